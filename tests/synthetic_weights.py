"""Weights made from their names: the same numbers in two implementations, full rank, no download."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn


def hashed(module: nn.Module) -> dict[str, Tensor]:
    """A state dict for ``module`` whose entries depend on name and position alone, scaled to keep activations alive."""
    return {key: _entry(key, value) for key, value in module.state_dict().items()}


def _entry(key: str, value: Tensor) -> Tensor:
    if not value.is_floating_point():
        return value.clone()
    seed = sum(map(ord, key))
    mask = np.uint64(0xFFFFFFFF)
    h = (np.arange(value.numel(), dtype=np.uint64) * np.uint64(2654435761) + np.uint64(seed * 40503 + 1)) & mask
    h ^= h >> np.uint64(16)
    h = (h * np.uint64(2246822519)) & mask
    h ^= h >> np.uint64(13)
    h = (h * np.uint64(3266489917)) & mask
    h ^= h >> np.uint64(16)
    x = h.astype(np.float64) / 2**31 - 1
    if key.endswith("running_var") or (value.ndim == 1 and key.endswith("weight")):
        x = 1 + 0.1 * x
    elif value.ndim < 2:
        x = 0.1 * x
    else:
        x = x * np.sqrt(3 / (value.numel() / value.shape[0]))
    return torch.from_numpy(x.astype(np.float32)).reshape(value.shape)
