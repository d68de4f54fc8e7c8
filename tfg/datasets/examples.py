"""The clips that the book's pages show: rendered ones, and one of GRID where that corpus is found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tfg.clip import FPS, Clip
from tfg.datasets import grid, studio
from tfg.errors import DataError
from tfg.media import read_clip

GRID_TALKER = "s1"


class Label(NamedTuple):
    """What is said from ``start`` to ``stop`` (seconds): a phone of a studio clip, a word of a GRID clip."""

    text: str
    start: float
    stop: float


@dataclass(frozen=True, eq=False)
class Example:
    """A clip and what is known of it.

    :ivar text: what is said.
    :ivar labels: the same with times; silence is an empty text.
    :ivar opening: ``float32 (T,)`` true mouth opening of a rendered clip (:class:`studio.StudioTruth`), else None.
    :ivar origin: where the clip is from, for captions.
    """

    name: str
    clip: Clip
    text: str
    labels: tuple[Label, ...]
    opening: NDArray[np.float32] | None
    origin: str


def load(*names: str) -> list[Example]:
    """The studio clips of these names, then one clip of GRID if ``TFG_DATA`` names a folder that holds it.

    :raises DataError: a studio clip does not exist.
    """
    return [_studio(name) for name in names] + _grid()


def _studio(name: str) -> Example:
    truth = studio.truth(name)
    labels = tuple(Label("" if p.label == "pau" else p.label, p.start, p.end) for p in truth.phones)
    return Example(name, studio.read(name), truth.text, labels, truth.opening, "rendered, comes with the package")


def _grid() -> list[Example]:
    try:
        found = grid.split(grid.clips(GRID_TALKER), "val")[0]
    except DataError:
        return []
    words = [Label("" if w.text in ("sil", "sp") else w.text, w.start / FPS, w.stop / FPS) for w in grid.words(found)]
    text = " ".join(word.text for word in words if word.text)
    return [Example(found.name, read_clip(found.path), text, tuple(words), None, "GRID corpus, CC BY 4.0")]
