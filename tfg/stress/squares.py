"""Faces as a bad generator might draw them: what a loss should notice, in the generator's own squares."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from tfg.errors import StressError


def blur_mouths(faces: Tensor, pixels: int) -> Tensor:
    """The lower half as if the whole square had been seen with ``pixels`` x ``pixels`` only; the upper half untouched.

    :param faces: ``(N, 3, S, S)``.
    :raises StressError: fewer than 2 pixels, or more than there are.
    """
    size = faces.shape[-1]
    if not 2 <= pixels <= size:
        raise StressError(f"pixels is {pixels}; expected 2 to {size}, the side of the faces")
    coarse = F.interpolate(faces, (pixels, pixels), mode="area")
    lower = F.interpolate(coarse, (size, size), mode="bilinear", align_corners=False)
    return torch.cat([faces[:, :, : size // 2], lower[:, :, size // 2 :]], dim=2)


def freeze_mouths(faces: Tensor, frame: int) -> Tensor:
    """The lower half of one frame in all of them; each keeps its own upper half.

    :param faces: ``(N, 3, S, S)``.
    """
    middle = faces.shape[-1] // 2
    still = faces[frame, None, :, middle:].expand(len(faces), -1, -1, -1)
    return torch.cat([faces[:, :, :middle], still], dim=2)
