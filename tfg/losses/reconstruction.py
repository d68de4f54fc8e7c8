"""Reconstruction: the generated face should be the real one, pixel by pixel."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from tfg.errors import LossError


def reconstruction_loss(generated: Tensor, truth: Tensor) -> Tensor:
    """``L_rec``: the mean absolute difference of two sets of faces, a scalar in [0, 1].

    :param generated: RGB in [0, 1], any shape.
    :param truth: the real faces, same shape.
    :raises LossError: the shapes differ (they would broadcast without a word).
    """
    if generated.shape != truth.shape:
        raise LossError(f"generated faces are {tuple(generated.shape)}, real ones {tuple(truth.shape)}; expected equal")
    return F.l1_loss(generated, truth)
