"""The adversarial pair: a discriminator learns to tell real faces from generated ones, the generator to pass for real.

Binary cross-entropy, as Wav2Lip's quality discriminator is trained, but on logits: the discriminator's last layer has
no sigmoid. ``-log sigmoid(x) = softplus(-x)`` then neither overflows nor loses its gradient where the discriminator is
sure, which is where the generator needs it most.

Source: Goodfellow et al. 2014 (the generator's side in its non-saturating form); Prajwal et al. 2020.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def generator_loss(generated_logits: Tensor) -> Tensor:
    """``L_adv``: ``mean(-log D(generated))``, a scalar; ``log 2`` where the discriminator cannot tell.

    :param generated_logits: the discriminator's logits of generated faces, any shape, with their graph.
    """
    return F.softplus(-generated_logits).mean()


def discriminator_loss(real_logits: Tensor, generated_logits: Tensor) -> Tensor:
    """``mean(-log D(real)) + mean(-log(1 - D(generated)))``, a scalar; ``2 log 2`` where it cannot tell.

    :param real_logits: logits of real faces, any shape.
    :param generated_logits: logits of generated faces; ``detach()`` the faces before the discriminator sees them, or
        the generator is trained to be found out.
    """
    return F.softplus(-real_logits).mean() + F.softplus(generated_logits).mean()
