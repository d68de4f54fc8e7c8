"""Clips turned once into what the experts read, so that training never decodes a video: the format.

A prepared folder holds ``prepared.json`` (the layout's version) and one ``.npz`` per clip::

    mouth  uint8   (T, 96, 96)        AV-HuBERT's aligned grey mouth crop
    face   uint8   (T, 112, 112, 3)   SyncNet's face crop, RGB, at the mini expert's size
    fbank  float32 (T, 104)           AV-HuBERT's audio
    mfcc   float32 (4 T - 1, 13)      SyncNet's audio

:mod:`tfg.datasets.prepare` makes it.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tfg.errors import DataError

LAYOUT = {"version": 1, "face_size": 112}
HEADER, REJECTED = "prepared.json", "rejected.csv"


class PreparedClip:
    """One prepared clip; each array is read from the file when it is first asked for (shapes in the module's text)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.stem

    def _read(self, key: str) -> NDArray[np.generic]:
        try:
            with np.load(self.path) as arrays:
                return np.asarray(arrays[key])
        except (OSError, KeyError, ValueError) as error:
            raise DataError(f"{self.path}: {error}; prepare the clip again with 'tfg prepare'") from error

    @property
    def n_frames(self) -> int:
        return len(self.mouth)

    @cached_property
    def mouth(self) -> NDArray[np.uint8]:
        return self._read("mouth").astype(np.uint8, copy=False)

    @cached_property
    def face(self) -> NDArray[np.uint8]:
        return self._read("face").astype(np.uint8, copy=False)

    @cached_property
    def fbank(self) -> NDArray[np.float32]:
        return self._read("fbank").astype(np.float32, copy=False)

    @cached_property
    def mfcc(self) -> NDArray[np.float32]:
        return self._read("mfcc").astype(np.float32, copy=False)


def names(folder: Path) -> list[str]:
    """The names of all prepared clips, sorted.

    :raises DataError: not a prepared folder, or an empty one.
    """
    if not (folder / HEADER).is_file():
        raise DataError(f"{folder} has no {HEADER}; expected a folder made by 'tfg prepare'")
    found = sorted(path.stem for path in folder.glob("*.npz"))
    if not found:
        raise DataError(f"{folder} holds no prepared clip; see {folder / REJECTED}")
    return found


def load(folder: Path, wanted: Iterable[str]) -> list[PreparedClip]:
    """Prepared clips by name; their arrays are read on first use (0.7 MB of mouth, 2.8 MB of face for 3 seconds).

    :raises DataError: a clip is not in the folder.
    """
    result = [PreparedClip(folder / f"{name}.npz") for name in wanted]
    for clip in result:
        if not clip.path.is_file():
            raise DataError(f"{clip.path} does not exist; see {folder / REJECTED}, or run 'tfg prepare' again")
    return result
