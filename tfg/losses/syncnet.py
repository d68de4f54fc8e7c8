"""Wav2Lip's sync loss: a SyncNet sees the generated window alone, five frames at a time.

    L_sync = BCE(CS(a, v), 1) = -log CS(a, v)

for each five frames of the window, with the cosine of their two embeddings read as a probability. The same logarithm
as the paper's loss, on another expert: the two can be exchanged for each other, which is the paper's ablation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from tfg.audio import log_mel, mfcc
from tfg.clip import VideoSource
from tfg.crops import OUTSIDE_SYNCNET, face_transforms_syncnet, generator_boxes
from tfg.errors import LossError
from tfg.experts.expert import SyncNetExpert, track_audio
from tfg.experts.lip_expert import FACE_SIZE, LipExpert
from tfg.experts.syncnet import WINDOW
from tfg.faces import FaceTrack, track_face
from tfg.losses.insertion import Insertion
from tfg.losses.sync import FLOOR, SyncLoss, Windows


@dataclass(frozen=True, eq=False)
class SyncNetTarget:
    """A clip as `SyncNetLoss.prepare` leaves it.

    ``sound``: ``(W, E)`` the audio embedding of the window that begins with each frame. ``crops``: the face crops, and
    how faces enter them (None for Wav2Lip's expert, which looks at the generator's own square). ``frames``: of the
    track. ``source``: the clip.
    """

    sound: Tensor
    crops: Insertion | None
    frames: int
    source: str

    def __len__(self) -> int:
        return self.frames

    @property
    def device(self) -> torch.device:
        """Where it is."""
        return self.sound.device

    def to(self, device: torch.device | str) -> SyncNetTarget:
        """The same on another device."""
        crops = None if self.crops is None else self.crops.to(device)
        return replace(self, sound=self.sound.to(device), crops=crops)


class SyncNetLoss(SyncLoss[SyncNetTarget]):
    """Binary cross-entropy of SyncNet's cosine with the answer "in sync", for each five frames of a window.

    :param expert: a SyncNet (``tfg.load_expert("syncnet-mini")``), which sees the generated faces in its own crop of
        the composed frame; or Wav2Lip's :class:`tfg.experts.LipExpert`, which sees the lower half of the generator's
        square as it comes (resized to 96 pixels if it is another size; ``boxes`` play no part).
    :param floor: see :class:`SyncLoss`.
    :raises LossError: another kind of expert, or a floor outside (0, 1).

    Embeddings of the mini and of Wav2Lip's expert are rectified, so their cosine is in [0, 1]. Those of the released
    SyncNet are signed, and it was trained on distances: a cosine below the floor is then common, counts as
    ``-log(floor)`` and gives no gradient, as :attr:`SyncValue.clamped` shows.

    A window of k >= 5 frames has k - 4 cosines, of which the mean is taken. The last audio window begins five frames
    before the track's end (six for SyncNet), so later starts are refused.

    Source: Prajwal et al. 2020 (Wav2Lip); its trainer leaves batch norm in training mode, here it is frozen.
    """

    def __init__(self, expert: SyncNetExpert | LipExpert, floor: float = FLOOR) -> None:
        super().__init__(floor)
        if not isinstance(expert, SyncNetExpert | LipExpert):
            raise LossError(
                f"expert is a {type(expert).__name__}; expected tfg.load_expert('syncnet-mini') or LipExpert"
            )
        # a frozen copy of its own: nobody else's train() can reach it
        self._model = (expert.model if isinstance(expert, SyncNetExpert) else expert).freeze()
        name = expert.name if isinstance(expert, SyncNetExpert) else "Wav2Lip's lip expert"
        self.prepares = name
        self.name = f"-log CS of {name}: {WINDOW} frames of generated lips with the sound"

    def prepare(
        self, clip: VideoSource, track: FaceTrack | None = None, boxes: NDArray[np.floating] | None = None
    ) -> SyncNetTarget:
        track = track or track_face(clip)
        source = clip.source or "the clip"
        audio, some = track_audio(clip, track), next(self._model.parameters())
        if len(track) <= WINDOW:
            raise LossError(f"{source}: the track has {len(track)} frames; expected at least {WINDOW + 1} (0.24 s)")
        if isinstance(self._model, LipExpert):
            sound = self._model.embed_audio(log_mel(audio))
            return SyncNetTarget(torch.from_numpy(sound).to(some), None, len(track), source)
        sound = self._model.embed_audio(mfcc(audio))
        size = self._model.config.image_size
        transforms = face_transforms_syncnet(track, size)
        boxes = generator_boxes(track) if boxes is None else boxes
        with torch.no_grad():
            crops, _ = Insertion.of(clip, track, boxes, transforms, size, some, outside=OUTSIDE_SYNCNET / 255)
        return SyncNetTarget(torch.from_numpy(sound).to(some), crops, len(track), source)

    def cosines(self, windows: Windows, targets: Sequence[SyncNetTarget]) -> Tensor:
        n, w, k = windows.shape
        if k < WINDOW:
            raise LossError(f"windows have {k} frames; expected at least {WINDOW}, which this expert looks at together")
        sound = []
        for i in range(0, len(windows.frames), k):
            target, start = targets[windows.copies[i]], windows.frames[i]
            stop = start + k - WINDOW + 1
            if stop > len(target.sound):
                raise LossError(
                    f"a window of {k} frames begins at {start} in {target.source}, where the sound for its last five "
                    f"frames is incomplete; expected starts up to {len(target.sound) - k + WINDOW - 1}"
                )
            sound.append(target.sound[start:stop])
        pictures = self._crops(windows, targets)
        pictures = pictures.unflatten(0, (n * w, k)).unfold(1, WINDOW, 1).flatten(0, 1)  # (M, 3, P, P, 5)
        lips = self._embed(pictures.permute(0, 1, 4, 2, 3))
        cosine = F.cosine_similarity(lips, torch.cat(sound), dim=-1)
        return cosine.view(n, w, -1).mean(dim=-1)

    def _crops(self, windows: Windows, targets: Sequence[SyncNetTarget]) -> Tensor:
        """What the expert sees of each generated frame: ``(N * W * k, 3, P, P)``, blue, green, red in [0, 1]."""
        faces = windows.faces.to(targets[0].sound.dtype).flip(1)
        if isinstance(self._model, LipExpert):
            if faces.shape[-1] != FACE_SIZE:
                faces = F.interpolate(faces, (FACE_SIZE, FACE_SIZE), mode="bilinear", antialias=True)
            return faces[:, :, FACE_SIZE // 2 :]
        each = len(windows.frames) // len(targets)
        parts = [
            target.crops.rows(windows.frames[i * each : (i + 1) * each])
            for i, target in enumerate(targets)
            if target.crops is not None
        ]
        crops = Insertion.join(parts)
        return replace(crops, around=crops.around.flip(1)).insert(faces)

    def _embed(self, pictures: Tensor) -> Tensor:
        """Windows ``(M, 3, 5, h, w)``, blue, green, red in [0, 1] -> embeddings ``(M, E)``."""
        if isinstance(self._model, LipExpert):
            return self._model.forward_face(pictures.transpose(1, 2).flatten(1, 2))
        return self._model.forward_lip(255 * pictures)
