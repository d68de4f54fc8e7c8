"""The GRID corpus: talkers ``s1`` .. ``s34``, fixed-grammar sentences of three seconds, word alignments.

Cooke, Barker, Cunningham, Shao, *The Grid Audio-Visual Speech Corpus* (1.0), CC BY 4.0, Zenodo 3625687. Layout::

    <root>/s1/bbaf2n.mp4 (or .mpg)      <root>/align/s1/bbaf2n.align
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tfg.errors import DataError

ALIGN_UNITS_PER_FRAME = 1000  # alignments count 1/25000 s; a frame at 25 fps is 1000 of them
HELD_OUT_EVERY = 20  # every 20th clip of a training talker is for validation
SUFFIXES = (".mp4", ".mpg")


@dataclass(frozen=True)
class GridClip:
    """One sentence of one talker: the file, the talker (``"s1"``) and the sentence code (``"bbaf2n"``)."""

    path: Path
    speaker: str
    code: str

    @property
    def name(self) -> str:
        return f"grid-{self.speaker}-{self.code}"


@dataclass(frozen=True)
class Word:
    """A word and its frames ``[start, stop)`` at 25 fps; ``"sil"`` is silence."""

    text: str
    start: float
    stop: float


def root() -> Path:
    """The corpus's folder: ``$TFG_DATA/grid``.

    :raises DataError: the variable is not set, or the folder does not exist.
    """
    data = os.environ.get("TFG_DATA")
    if not data:
        raise DataError("TFG_DATA is not set; set it to the folder that holds grid/ (talkers as grid/s1, grid/s2, ...)")
    folder = Path(data) / "grid"
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder; expected the GRID corpus there, talkers as s1/, s2/, ...")
    return folder


def speakers(folder: Path | None = None) -> list[str]:
    """The talkers that are there, ``["s1", "s2", ...]`` in the order of their numbers.

    :raises DataError: no corpus, or no talker's folder in it.
    """
    corpus = folder or root()
    if not corpus.is_dir():
        raise DataError(f"{corpus} is not a folder; expected the GRID corpus there, talkers as s1/, s2/, ...")
    found = [p.name for p in corpus.iterdir() if p.is_dir() and p.name[:1] == "s" and p.name[1:].isdigit()]
    if not found:
        raise DataError(f"{corpus} holds no talker's folder; expected s1/, s2/, ...")
    return sorted(found, key=lambda name: int(name[1:]))


def clips(speaker: str, folder: Path | None = None) -> list[GridClip]:
    """All clips of one talker, sorted by sentence code.

    :raises DataError: the talker's folder is missing or holds no video.
    """
    speaker_dir = (folder or root()) / speaker
    if not speaker_dir.is_dir():
        raise DataError(f"{speaker_dir} is not a folder; expected the clips of GRID talker {speaker}")
    found = sorted(p for p in speaker_dir.iterdir() if p.suffix in SUFFIXES)
    if not found:
        raise DataError(f"{speaker_dir} holds no {' or '.join(SUFFIXES)} file; expected GRID clips such as bbaf2n.mpg")
    return [GridClip(path, speaker, path.stem) for path in found]


def split(speaker_clips: list[GridClip], part: Literal["train", "val"]) -> list[GridClip]:
    """The project's fixed split of a training talker: every 20th clip of the sorted list is held out."""
    held_out = part == "val"
    ordered = sorted(speaker_clips, key=lambda clip: clip.code)
    return [clip for i, clip in enumerate(ordered) if (i % HELD_OUT_EVERY == 0) == held_out]


def words(clip: GridClip, folder: Path | None = None) -> list[Word]:
    """The words of a clip with their frames, from its ``.align`` file.

    :raises DataError: no such file, or a line that is not ``start end word``.
    """
    path = (folder or root()) / "align" / clip.speaker / f"{clip.code}.align"
    if not path.is_file():
        raise DataError(f"{path} does not exist; expected the word alignment of {clip.path.name}")
    result = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        fields = line.split()
        if not fields:
            continue
        try:
            start, stop, text = fields
            result.append(Word(text, int(start) / ALIGN_UNITS_PER_FRAME, int(stop) / ALIGN_UNITS_PER_FRAME))
        except ValueError:
            raise DataError(f"{path}, line {number}: found {line!r}, expected 'start end word'") from None
    return result
