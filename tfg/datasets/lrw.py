"""LRW, *Lip Reading in the Wild*: 500 words of British television, 29 frames each, the word in the middle.

Chung, Zisserman, *Lip Reading in the Wild*, ACCV 2016. The BBC gives it to academic researchers on request. Layout
of the archive; the folders are the official split (up to 1000 clips a word for training, 50 each for val and test)::

    <root>/lipread_mp4/ABOUT/train/ABOUT_00001.mp4 and .txt
    <root>/lipread_mp4/ABOUT/val/...      <root>/lipread_mp4/ABOUT/test/...

The ``.txt`` tells where in the broadcast the clip is from and, in a line ``Duration: 0.34 seconds``, how long the word
lasts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from tfg.clip import FPS, Clip
from tfg.errors import DataError
from tfg.media import read_clip

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
ARCHIVE = "lipread_mp4"
FRAMES = 29
_DURATION = re.compile(r"^Duration:\s*([0-9.]+)", re.MULTILINE)


@dataclass(frozen=True)
class LrwClip:
    """One clip: the video (its metadata lie beside it), the word, the part of the official split."""

    path: Path
    word: str
    split: Split

    @property
    def name(self) -> str:
        """Unique within a split; every split counts from 00001."""
        return f"lrw-{self.path.stem}"

    @property
    def metadata(self) -> Path:
        return self.path.with_suffix(".txt")


def words(folder: Path) -> list[str]:
    """The words that are there, sorted.

    :param folder: ``lipread_mp4`` or the folder that holds it.
    :raises DataError: no corpus there.
    """
    archive = _archive(folder)
    found = [path.name for path in archive.iterdir() if any((path / split).is_dir() for split in SPLITS)]
    if not found:
        raise DataError(f"{archive} holds no word's folder; expected LRW's {ARCHIVE}: ABOUT/train, ABOUT/val, ...")
    return sorted(found)


def clips(split: Split, folder: Path) -> list[LrwClip]:
    """All clips of one split, sorted by word and number; also those of which only one of the two files is there
    (reading them says so).

    :param folder: ``lipread_mp4`` or the folder that holds it.
    :raises DataError: no corpus there, or no clip of this split.
    """
    archive = _archive(folder)
    result = []
    for word in words(folder):
        files = (archive / word / split).glob(f"{word}_*.*")
        stems = sorted({path.stem for path in files if path.suffix in (".mp4", ".txt")})
        result += [LrwClip(archive / word / split / f"{stem}.mp4", word, split) for stem in stems]
    if not result:
        raise DataError(f"{archive} holds no clip of split {split}; expected WORD/{split}/WORD_00001.mp4")
    return result


def duration(clip: LrwClip) -> float:
    """Seconds that the word lasts.

    :raises DataError: no metadata, or no ``Duration:`` in it.
    """
    try:
        text = clip.metadata.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{clip.metadata}: {error}; expected the metadata of {clip.path.name}") from None
    found = _DURATION.search(text)
    if not found:
        raise DataError(f"{clip.metadata}: no line 'Duration: 0.34 seconds' in {text!r}")
    return float(found[1])


def word_frames(clip: LrwClip) -> tuple[float, float]:
    """Frames ``[start, stop)`` of the word: its duration, centred in the clip's 29 frames.

    :raises DataError: as :func:`duration`.
    """
    half = duration(clip) * FPS / 2
    return max(FRAMES / 2 - half, 0.0), min(FRAMES / 2 + half, float(FRAMES))


def read(clip: LrwClip) -> Clip:
    """The clip.

    :raises DataError: its metadata are missing or damaged: the copy of the corpus is then not complete.
    :raises MediaError: its video is missing or damaged.
    """
    duration(clip)
    return read_clip(clip.path)


def _archive(folder: Path) -> Path:
    archive = folder / ARCHIVE if (folder / ARCHIVE).is_dir() else folder
    if not archive.is_dir():
        raise DataError(f"{archive} is not a folder; expected LRW there: {ARCHIVE}/ABOUT/train/ABOUT_00001.mp4, ...")
    return archive
