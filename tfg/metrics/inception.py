"""Inception v3 as FID uses it: the layers up to 2048 features per picture, under the released weights' names.

Source: Szegedy, Vanhoucke, Ioffe, Shlens, Wojna 2016 (figures 5 to 7 are the three kinds of block), in the version of
TensorFlow's 2015 release, to which published FIDs refer: averages leave padding out, and the last block takes a maximum
where the article takes an average.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIZE, WIDTH = 299, 2048  # pixels of the input's side; features

_Step = tuple[int, int, int]  # channels that come out, rows and columns of the kernel
_Branches = Mapping[str, Sequence[_Step | list[_Step]]]  # a list: convolutions of the same input, side by side


class _Conv(nn.Module):
    """Convolution, batch normalisation, ReLU; as large as its input unless ``valid``."""

    def __init__(self, inputs: int, step: _Step, stride: int = 1, valid: bool = False) -> None:
        super().__init__()
        width, rows, columns = step
        padding = (0, 0) if valid else (rows // 2, columns // 2)
        self.conv = nn.Conv2d(inputs, width, (rows, columns), stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(width, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


class _Mixed(nn.Module):
    """Branches side by side, then a pooled one. With ``projected`` channels the pooled branch is convolved and the
    picture keeps its size; with 0 of them the block halves the picture, by the last step of each branch."""

    def __init__(
        self, inputs: int, branches: _Branches, projected: int = 0, pool: Literal["mean", "max"] = "mean"
    ) -> None:
        super().__init__()
        self._halves, self._pool = projected == 0, pool
        self._chains: list[list[tuple[str, ...]]] = []
        for branch, steps in branches.items():
            width, chain = inputs, []
            for number, step in enumerate(steps, 1):
                name = f"{branch}_{number}" if len(steps) > 1 else branch
                parts = (
                    dict(zip((f"{name}a", f"{name}b"), step, strict=True)) if isinstance(step, list) else {name: step}
                )
                halves = self._halves and number == len(steps)
                for part, plain in parts.items():
                    self.add_module(part, _Conv(width, plain, 2 if halves else 1, valid=halves))
                chain.append(tuple(parts))
                width = sum(plain[0] for plain in parts.values())
            self._chains.append(chain)
        if projected:
            self.branch_pool = _Conv(inputs, (projected, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        outputs = []
        for chain in self._chains:
            y = x
            for parts in chain:
                y = torch.cat([getattr(self, part)(y) for part in parts], 1)
            outputs.append(y)
        if self._halves:
            return torch.cat([*outputs, F.max_pool2d(x, 3, 2)], 1)
        largest = self._pool == "max"
        pooled = F.max_pool2d(x, 3, 1, 1) if largest else F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
        return torch.cat([*outputs, self.branch_pool(pooled)], 1)


def _fine(inputs: int, projected: int) -> _Mixed:
    """At 35 x 35."""
    branches: _Branches = {
        "branch1x1": [(64, 1, 1)],
        "branch5x5": [(48, 1, 1), (64, 5, 5)],
        "branch3x3dbl": [(64, 1, 1), (96, 3, 3), (96, 3, 3)],
    }
    return _Mixed(inputs, branches, projected)


def _middle(width: int) -> _Mixed:
    """At 17 x 17: 7 x 7 kernels as a row and a column."""
    row, column = (width, 1, 7), (width, 7, 1)
    branches: _Branches = {
        "branch1x1": [(192, 1, 1)],
        "branch7x7": [(width, 1, 1), row, (192, 7, 1)],
        "branch7x7dbl": [(width, 1, 1), column, row, column, (192, 1, 7)],
    }
    return _Mixed(768, branches, projected=192)


def _coarse(inputs: int, pool: Literal["mean", "max"]) -> _Mixed:
    """At 8 x 8: branches that end in a row and a column side by side."""
    fork = [(384, 1, 3), (384, 3, 1)]
    branches: _Branches = {
        "branch1x1": [(320, 1, 1)],
        "branch3x3": [(384, 1, 1), fork],
        "branch3x3dbl": [(448, 1, 1), (384, 3, 3), fork],
    }
    return _Mixed(inputs, branches, projected=192, pool=pool)


class Inception(nn.Module):
    """RGB in [0, 1] ``(N, 3, H, W)`` -> features ``(N, 2048)``."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = _Conv(3, (32, 3, 3), stride=2, valid=True)
        self.Conv2d_2a_3x3 = _Conv(32, (32, 3, 3), valid=True)
        self.Conv2d_2b_3x3 = _Conv(32, (64, 3, 3))
        self.Conv2d_3b_1x1 = _Conv(64, (80, 1, 1))
        self.Conv2d_4a_3x3 = _Conv(80, (192, 3, 3), valid=True)
        self.Mixed_5b = _fine(192, projected=32)
        self.Mixed_5c = _fine(256, projected=64)
        self.Mixed_5d = _fine(288, projected=64)
        halving_to_17: _Branches = {
            "branch3x3": [(384, 3, 3)],
            "branch3x3dbl": [(64, 1, 1), (96, 3, 3), (96, 3, 3)],
        }
        self.Mixed_6a = _Mixed(288, halving_to_17)
        self.Mixed_6b = _middle(128)
        self.Mixed_6c = _middle(160)
        self.Mixed_6d = _middle(160)
        self.Mixed_6e = _middle(192)
        halving_to_8: _Branches = {
            "branch3x3": [(192, 1, 1), (320, 3, 3)],
            "branch7x7x3": [(192, 1, 1), (192, 1, 7), (192, 7, 1), (192, 3, 3)],
        }
        self.Mixed_7a = _Mixed(768, halving_to_8)
        self.Mixed_7b = _coarse(1280, "mean")
        self.Mixed_7c = _coarse(WIDTH, "max")
        self._pooled_after = {self.Conv2d_2b_3x3, self.Conv2d_4a_3x3}

    def forward(self, pictures: Tensor) -> Tensor:
        x = F.interpolate(pictures, (SIZE, SIZE), mode="bilinear", align_corners=False)
        x = 2 * x - 1
        for layer in self.children():
            x = layer(x)
            if layer in self._pooled_after:
                x = F.max_pool2d(x, 3, 2)
        return x.mean(dim=(2, 3))
