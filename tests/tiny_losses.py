"""What the tests of the sync losses share: a moving face, generated faces, and the composed frames by definition."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from tiny_experts import track
from torch import Tensor

from tfg.clip import Clip
from tfg.crops import generator_boxes
from tfg.faces import FaceTrack
from tfg.losses import paste_faces

SIDE = 20


def moving(start: int, stop: int) -> FaceTrack:
    """A face that wanders and turns a little, so that no two frames share their box or alignment."""
    still = track(start, stop)
    t = np.arange(len(still))[:, None]
    shake = np.random.default_rng(1).normal(0, 0.4, still.landmarks.shape)
    drift = np.stack([8 * np.sin(t / 5), 5 * np.cos(t / 3)], axis=-1)
    return FaceTrack(start, stop, (still.landmarks + shake + drift).astype(np.float32), still.observed)


def composed(video: Clip, face: FaceTrack, windows: Tensor, starts: Sequence[int]) -> Tensor:
    """The definition: every frame of the track, generated faces pasted in; ``(T, 3, H, W)``."""
    frames = torch.from_numpy(video.frames[face.start : face.stop]).permute(0, 3, 1, 2).to(windows.dtype) / 255
    boxes = torch.from_numpy(generator_boxes(face))
    parts = list(frames)
    for window, start in zip(windows, starts, strict=True):
        here = slice(start, start + len(window))
        parts[here] = paste_faces(frames[here], window, boxes[here])
    return torch.stack(parts)


def faces(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(*shape, 3, SIDE, SIDE, dtype=dtype, generator=generator).requires_grad_()
