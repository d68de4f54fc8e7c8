"""Which generated video belongs to which real one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tfg.errors import DataError, MissingFileError
from tfg.metrics.corpus import find_videos, match_references

REAL, CHANCE = "real video", "chance"  # the two rows that every table has


class Corpus(NamedTuple):
    """Real videos, and those that methods made of them."""

    name: str  #: for the table's title
    real: dict[str, Path]  #: clip -> real video
    made: dict[str, dict[str, Path | None]]  #: method -> clip -> its video, None where there is none
    ignored: dict[str, list[str]]  #: method -> files that no real video asked for


def pair_folders(references: str | Path, methods: Mapping[str, str | Path]) -> Corpus:
    """Pair a folder of real videos with one folder of generated videos per method.

    A clip is named by its place below ``references``, without suffix. A method's video of it is the file at the same
    place below the method's folder, or else the only one of its stem.

    :param references: searched with its sub-folders.
    :param methods: name -> folder.
    :raises MissingFileError: a folder does not exist.
    :raises DataError: a folder without videos, two candidates for one clip, or a method's name that cannot be used.
    """
    references = Path(references)
    for folder in (references, *map(Path, methods.values())):
        if not folder.is_dir():
            raise MissingFileError(f"{folder} is no folder; expected one with videos")
    real = {path.relative_to(references).with_suffix("").as_posix(): path for path in find_videos(references)}
    if len(real) < len(find_videos(references)):
        raise DataError(f"{references} holds files that differ in their suffix only; expected one video per clip")
    made: dict[str, dict[str, Path | None]] = {}
    ignored = {}
    for method, place in methods.items():
        if not re.fullmatch(r"\w[\w .+-]*", method) or method in (REAL, CHANCE):
            raise DataError(
                f"method name {method!r}: expected letters, digits, spaces and any of . + - _, and neither "
                f"{REAL!r} nor {CHANCE!r}"
            )
        found = match_references(list(real.values()), references, Path(place))
        made[method] = {name: found[path] for name, path in real.items()}
        used = set(found.values())
        ignored[method] = [str(path) for path in find_videos(Path(place)) if path not in used]
    return Corpus(references.name, real, made, ignored)
