"""LRS2-BBC: sentences from British television, with transcripts and the official split.

Afouras, Chung, Senior, Vinyals, Zisserman, *Deep Audio-Visual Speech Recognition*, 2018. The BBC gives it to academic
researchers on request. Layout of the archive, and of the four file lists that are downloaded beside it::

    <root>/mvlrs_v1/main/5535415699068794046/00001.mp4 and .txt        train, val and test
    <root>/mvlrs_v1/pretrain/5535415699068794046/00001.mp4 and .txt    pretrain: longer, words with times
    <root>/train.txt  val.txt  test.txt  pretrain.txt                  or in mvlrs_v1

A line of a list is ``<video>/<clip>``; lines of ``test.txt`` go on with tags (``NF``, ``MV``).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from tfg.clip import Clip
from tfg.errors import DataError
from tfg.media import read_clip

Split = Literal["train", "val", "test", "pretrain"]
SPLITS: tuple[Split, ...] = get_args(Split)
ARCHIVE = "mvlrs_v1"


@dataclass(frozen=True)
class Lrs2Clip:
    """One clip of the official lists.

    :ivar path: the video; its transcript lies beside it.
    :ivar split: the list that names it.
    :ivar code: ``"5535415699068794046/00001"``, as papers and other systems name it.
    :ivar tags: what ``test.txt`` says of it beside the code.
    """

    path: Path
    split: Split
    code: str
    tags: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Unique over all splits: the same code names one clip of ``main`` and another of ``pretrain``."""
        part = "lrs2-pretrain" if self.split == "pretrain" else "lrs2"
        return f"{part}-{self.code.replace('/', '-')}"

    @property
    def transcript(self) -> Path:
        return self.path.with_suffix(".txt")


@dataclass(frozen=True)
class Word:
    """A word of a pretrain clip, ``[start, stop)`` in seconds."""

    text: str
    start: float
    stop: float


def clips(split: Split, folder: Path) -> list[Lrs2Clip]:
    """The clips of one official list, in its order. Whether the files are there is seen when they are read.

    :param folder: ``mvlrs_v1`` or the folder that holds it.
    :raises DataError: no corpus there, no list, or a line of it that is not ``video/clip``.
    """
    archive = folder / ARCHIVE if (folder / ARCHIVE).is_dir() else folder
    part = archive / ("pretrain" if split == "pretrain" else "main")
    if not part.is_dir():
        raise DataError(f"{part} is not a folder; expected LRS2 there: {ARCHIVE}/main and {ARCHIVE}/pretrain, unpacked")
    places = [archive / f"{split}.txt", archive.parent / f"{split}.txt"]
    listing = next((place for place in places if place.is_file()), None)
    if listing is None:
        raise DataError(
            f"neither {places[0]} nor {places[1]} exists; put the official file list {split}.txt there (it is "
            "downloaded separately from the page that has the archive)"
        )
    result = []
    for number, line in enumerate(listing.read_text().splitlines(), 1):
        if not line.strip():
            continue
        code, *tags = line.split()
        video, _, clip = code.partition("/")
        if not (video.isalnum() and clip.isalnum()):
            raise DataError(
                f"{listing}, line {number}: found {line!r}, expected 'video/clip' such as '5535415699068794046/00001'"
            )
        result.append(Lrs2Clip(part / video / f"{clip}.mp4", split, code, tuple(tags)))
    return result


def sentence(clip: Lrs2Clip) -> str:
    """What is said, in capitals as in the corpus.

    :raises DataError: no transcript, or one that does not begin with ``Text:``.
    """
    first = _lines(clip)[0]
    if not first.startswith("Text:") or not first[5:].strip():
        raise DataError(f"{clip.transcript}, line 1: found {first!r}, expected 'Text:  WHAT IS SAID'")
    return first[5:].strip()


def words(clip: Lrs2Clip) -> list[Word]:
    """The words of a pretrain clip with their times; transcripts of ``main`` have none: an empty list.

    :raises DataError: no transcript, or a line that is not ``WORD START END SCORE``.
    """
    lines = _lines(clip)
    header = next((i for i, line in enumerate(lines) if line.split()[:3] == ["WORD", "START", "END"]), len(lines))
    result = []
    for number, line in enumerate(lines[header + 1 :], header + 2):
        if not line.strip():
            continue
        try:
            text, start, stop = line.split()[:3]
            result.append(Word(text, float(start), float(stop)))
        except ValueError:
            raise DataError(
                f"{clip.transcript}, line {number}: found {line!r}, expected 'WORD START END SCORE'"
            ) from None
    return result


def read(clip: Lrs2Clip) -> Clip:
    """The clip.

    :raises DataError: its transcript is missing or damaged: the copy of the corpus is then not complete.
    :raises MediaError: its video is missing or damaged.
    """
    sentence(clip)
    return read_clip(clip.path)


def _lines(clip: Lrs2Clip) -> list[str]:
    try:
        return clip.transcript.read_text().splitlines() or [""]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{clip.transcript}: {error}; expected the transcript of {clip.path.name}") from None
