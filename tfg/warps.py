"""Similarity transforms and warps: the NumPy version that prepares data, and its differentiable twin.

A transform is a ``(2, 3)`` matrix ``M`` that maps a point ``(x, y, 1)`` of the source image to a point of the output.
Pixel centres have integer coordinates, as in OpenCV and scikit-image.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from tfg.errors import CropError

Float64 = NDArray[np.float64]


def similarity_transform(source: NDArray[np.floating], target: NDArray[np.floating]) -> Float64:
    """The rotation, uniform scale and shift that bring ``source`` closest to ``target`` in least squares.

    :param source: ``(..., K, 2)`` points, ``K >= 2``.
    :param target: ``(K, 2)`` or ``(..., K, 2)``.
    :returns: ``(..., 2, 3)``; no reflection.
    :raises CropError: the source points coincide, or the shapes do not fit.

    Source: Umeyama 1991, as scikit-image estimates a SimilarityTransform. In the plane it has a closed form: with
    centred points as complex numbers, ``scale * exp(i angle) = sum(conj(p) q) / sum(|p|^2)``.
    """
    source, target = np.asarray(source, np.float64), np.asarray(target, np.float64)
    if source.shape[-1] != 2 or target.shape[-2:] != source.shape[-2:] or source.shape[-2] < 2:
        raise CropError(f"points are {source.shape} and {target.shape}; expected (..., K, 2) with the same K >= 2")
    centre_p, centre_q = source.mean(axis=-2), target.mean(axis=-2)
    p = (source - centre_p[..., None, :]) @ [1, 1j]
    q = (target - centre_q[..., None, :]) @ [1, 1j]
    spread = (np.abs(p) ** 2).sum(axis=-1)
    if not (spread > 1e-12).all():
        raise CropError("the source points of a similarity transform coincide: the landmarks are degenerate")
    turn = (np.conj(p) * q).sum(axis=-1) / spread
    matrix = np.empty((*turn.shape, 2, 3))
    matrix[..., 0, 0], matrix[..., 0, 1] = turn.real, -turn.imag
    matrix[..., 1, 0], matrix[..., 1, 1] = turn.imag, turn.real
    matrix[..., 2] = np.broadcast_to(centre_q, (*turn.shape, 2)) - (matrix[..., :2] @ centre_p[..., None]).squeeze(-1)
    return matrix


def compose(second: Float64, first: Float64) -> Float64:
    """The transform that does ``first``, then ``second``: ``(..., 2, 3)`` each, broadcast."""
    shift = second[..., :2] @ first[..., 2:] + second[..., 2:]
    return np.concatenate([second[..., :2] @ first[..., :2], shift], axis=-1)


def warp(image: NDArray[np.generic], transform: Float64, size: int, outside: float = 0.0) -> NDArray[np.float32]:
    """Warp one image bilinearly: ``(H, W)`` or ``(H, W, C)`` -> ``float32 (size, size[, C])``.

    Only the part of the image that the output shows is touched, so a small crop of a large frame is cheap. OpenCV
    samples at 1/32 pixel: on video frames 0.15 grey levels from exact interpolation on average, at most 3.
    """
    height, width = image.shape[:2]
    inverse = np.linalg.inv(transform[:, :2])
    corners = np.array([(0, 0), (size, 0), (0, size), (size, size)]) - 0.5 - transform[:, 2]
    seen = corners @ inverse.T
    left, top = (np.floor(seen.min(axis=0)).astype(int) - 2).clip(0, (width - 1, height - 1))
    right, bottom = (np.ceil(seen.max(axis=0)).astype(int) + 3).clip((left + 1, top + 1), (width, height))
    moved = transform.copy()
    moved[:, 2] += transform[:, :2] @ (left, top)
    return np.asarray(
        cv2.warpAffine(
            image[top:bottom, left:right].astype(np.float32), moved, (size, size), flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT, borderValue=(outside,) * 4,
        )
    )  # fmt: skip


def inverse_2x2(matrix: Tensor) -> Tensor:
    """The inverses of ``(..., 2, 2)`` matrices in closed form: on a GPU, linear algebra may not start in a thread."""
    (a, b), (c, d) = matrix[..., 0, :].unbind(-1), matrix[..., 1, :].unbind(-1)
    adjugate = torch.stack([torch.stack([d, -b], dim=-1), torch.stack([-c, a], dim=-1)], dim=-2)
    return adjugate / (a * d - b * c)[..., None, None]


def warp_frames_torch(frames: Tensor, transforms: Tensor, size: int) -> Tensor:
    """The differentiable twin of :func:`warp`: bilinear, zeros outside, gradients to the pixels.

    :param frames: floating point ``(T, C, H, W)``, any value range.
    :param transforms: ``(T, 2, 3)``, source -> output, as for :func:`warp`.
    :returns: ``(T, C, size, size)``.
    :raises CropError: shapes do not fit, or integer frames (they have no gradient).
    """
    if frames.ndim != 4 or transforms.shape != (len(frames), 2, 3):
        raise CropError(f"frames are {tuple(frames.shape)}, transforms {tuple(transforms.shape)}; expected "
                        "(T, C, H, W) and (T, 2, 3)")  # fmt: skip
    if not frames.is_floating_point():
        raise CropError(f"frames are {frames.dtype}; expected floating point: call .float() first")
    height, width = frames.shape[2:]
    # the grid is laid out in the transforms' own precision (float64 from NumPy) and rounded once, at the end
    matrix = transforms.to(frames.device)
    inverse = inverse_2x2(matrix[:, :, :2])  # output -> source
    axis = torch.arange(size, dtype=matrix.dtype, device=frames.device)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    points = torch.stack([x, y], dim=-1).reshape(1, -1, 2) - matrix[:, None, :, 2]
    source = points @ inverse.transpose(1, 2)
    scale = torch.tensor([2 / (width - 1), 2 / (height - 1)], dtype=matrix.dtype, device=frames.device)
    grid = (source * scale - 1).reshape(len(frames), size, size, 2).to(frames.dtype)
    return F.grid_sample(frames, grid, mode="bilinear", padding_mode="zeros", align_corners=True)
