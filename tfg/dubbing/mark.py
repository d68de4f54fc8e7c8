"""A dubbed video says that it is synthetic: in words in a corner, and by a pattern that a detector finds.

The pattern is a spread-spectrum watermark (Cox, Kilian, Leighton, Shamoon 1997) in brightness: a grid of cells, 64
along the shorter side whatever the resolution, each a little lighter or darker by a fixed random sign. The detector
averages frames over time, takes each cell against its neighbours, and correlates the signs. Over random signs the
score of any video without the mark has mean 0 and variance 1, and exceeds t with a probability of at most
exp(-t^2 / 2) (Hoeffding); at the threshold of 6 that is 1.5e-8.

It survives what happens to an honest copy (compression, another size, another frame rate). It is no protection against
who wants to remove it, and it does not survive cropping, mirroring or rotation.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from tfg.clip import Frames
from tfg.errors import MediaError
from tfg.media import open_clip

MarkKind = Literal["both", "visible", "invisible", "none"]
KINDS = ("both", "visible", "invisible", "none")

TEXT = "AI-generated"
CELLS = 64  # along the shorter side
STRENGTH = 1.6  # grey levels
THRESHOLD = 6.0
_KEY = 20240527
_EVERY, _MOST = 5, 100  # of 25 frames a second, the detector looks at each fifth, at most so many
_SUPER = 4

Float = NDArray[np.float32]


class Mark:
    """What is added to every frame of one size.

    :param kind: ``"both"``, ``"visible"``, ``"invisible"`` or ``"none"``.
    :raises MediaError: another kind.
    """

    def __init__(self, height: int, width: int, kind: MarkKind = "both") -> None:
        if kind not in KINDS:
            raise MediaError(f"mark is {kind!r}; expected one of {', '.join(KINDS)}")
        self._levels: tuple[Frames, Frames] | None = None
        self._words: tuple[Float, Float] | None = None
        if kind in ("both", "invisible"):
            signs = cell_signs(height, width)
            pattern = cv2.resize(signs, (width, height), interpolation=cv2.INTER_CUBIC) * STRENGTH
            levels = np.repeat(np.rint(pattern).astype(np.int16)[..., None], 3, axis=2)
            self._levels = levels.clip(0).astype(np.uint8), (-levels).clip(0).astype(np.uint8)
        if kind in ("both", "visible"):
            self._words = _words(height, width)

    def apply(self, frame: Frames) -> None:
        """Mark ``uint8 (H, W, 3)`` in place."""
        if self._levels is not None:
            lighter, darker = self._levels
            cv2.add(frame, lighter, dst=frame)
            cv2.subtract(frame, darker, dst=frame)
        if self._words is not None:
            level, opacity = self._words
            height, width = opacity.shape[:2]
            part = frame[-height:, -width:]
            part[...] = np.rint(part + opacity * (level - part))


def cell_signs(height: int, width: int) -> Float:
    """The pattern of frames of this shape: ``float32 (rows, columns)`` of -1 and 1."""
    rows, columns = (max(1, round(CELLS * side / min(height, width))) for side in (height, width))
    table = np.random.default_rng(_KEY).integers(0, 2, (rows + columns, rows + columns)) * 2 - 1
    return table[:rows, :columns].astype(np.float32)


def _words(height: int, width: int) -> tuple[Float, Float]:
    """White letters on their own dark shadow for the lower right corner: grey level and opacity ``(h, w, 1)``."""
    size = max(8.0, 0.03 * min(height, width))  # of a capital letter, in pixels
    font, capital = cv2.FONT_HERSHEY_DUPLEX, 22.0  # OpenCV's letters have 22 pixels at scale 1
    scale = _SUPER * size / capital
    thick = max(1, round(_SUPER * size / 10))
    (long, tall), base = cv2.getTextSize(TEXT, font, scale, thick)
    edge = round(0.7 * _SUPER * size)
    drawn = [np.zeros((tall + base + 2 * edge, long + 2 * edge), np.uint8) for _ in range(2)]
    for image, width_of_stroke in zip(drawn, (thick, 3 * thick), strict=True):
        cv2.putText(image, TEXT, (edge, tall + edge), font, scale, 255, width_of_stroke, cv2.LINE_AA)
    smaller = (max(1, drawn[0].shape[1] // _SUPER), max(1, drawn[0].shape[0] // _SUPER))
    letters, around = (
        (cv2.resize(image, smaller, interpolation=cv2.INTER_AREA)[..., None] / 255).astype(np.float32)
        for image in drawn
    )
    opacity = 0.8 * letters + 0.45 * (around * (1 - letters))
    level = 255 * 0.8 * letters / np.maximum(opacity, 1e-6)
    return level[-height:, -width:].astype(np.float32), opacity[-height:, -width:].astype(np.float32)


@dataclass(frozen=True)
class MarkFound:
    """What :func:`detect_mark` found: ``score`` in standard deviations, and whether it is beyond the threshold."""

    score: float

    @property
    def marked(self) -> bool:
        """Whether the video carries the mark."""
        return self.score > THRESHOLD


def detect_mark(video: str | os.PathLike[str]) -> MarkFound:
    """Look for the invisible mark of :func:`tfg.dubbing.dub` in the first 20 s of a video.

    :raises MediaError: not a video that can be read.
    """
    stream = open_clip(video, audio="optional")
    total, seen, number = np.zeros((stream.height, stream.width), np.float64), 0, 0
    for block in stream.blocks():
        for frame in block[-number % _EVERY :: _EVERY]:
            total += cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
            seen += 1
        number += len(block)
        if seen >= _MOST:
            break
    return MarkFound(mark_score(total / seen))


def mark_score(grey: NDArray[np.floating], signs: Float | None = None) -> float:
    """How well the mean frame ``(H, W)`` of a video agrees with the mark's signs, in standard deviations."""
    signs = cell_signs(*grey.shape) if signs is None else signs
    rows, columns = signs.shape
    cells = cv2.resize(grey.astype(np.float32), (columns, rows), interpolation=cv2.INTER_AREA)
    edges = _against_neighbours(cells.astype(np.float32), cv2.BORDER_REPLICATE)
    local = np.sqrt(cv2.blur(edges**2, (5, 5)) + 0.25**2)
    # what each sign contributes; the kernel is its own transpose, so this is the same as filtering the signs
    evidence = _against_neighbours((edges / local).clip(-2, 2), cv2.BORDER_CONSTANT)
    return float((evidence * signs).sum() / np.sqrt((evidence**2).sum() + 1e-12))


def _against_neighbours(cells: Float, border: int) -> Float:
    kernel = np.array([[0, -1, 0], [-1, 4, -1], [0, -1, 0]], np.float32) / 4
    return np.asarray(cv2.filter2D(cells, -1, kernel, borderType=border))
