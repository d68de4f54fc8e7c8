"""The losses of the generator: synchronisation, reconstruction, perceptual, adversarial.

The sync losses share one interface (:class:`SyncLoss`)::

    loss = tfg.losses.AVHubertSyncLoss(tfg.load_expert("avhubert-mini"))
    target = loss.prepare(clip)                 # once per clip: everything that generated faces cannot change
    value = loss(generated, target, starts)     # (N, k, 3, S, S) faces for the windows that begin at frames `starts`
    value.loss.backward()                       # and log value.clamped

:class:`SyncNetLoss` takes its place without any other change.
"""

from tfg.losses.adversarial import discriminator_loss, generator_loss
from tfg.losses.avhubert import AVHubertSyncLoss
from tfg.losses.insertion import Insertion, paste_faces
from tfg.losses.perceptual import PerceptualLoss
from tfg.losses.reconstruction import reconstruction_loss
from tfg.losses.sync import SyncLoss, SyncValue
from tfg.losses.syncnet import SyncNetLoss

__all__ = [
    "AVHubertSyncLoss",
    "Insertion",
    "PerceptualLoss",
    "SyncLoss",
    "SyncNetLoss",
    "SyncValue",
    "discriminator_loss",
    "generator_loss",
    "paste_faces",
    "reconstruction_loss",
]
