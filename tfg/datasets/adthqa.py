"""ADTH-QA: the videos of four talking-head methods, their real sources, and what people preferred.

Zhang, Zhu, Gao, Yan, Zhai, Yang, *A Comparative Study of Perceptual Quality Metrics for Audio-driven Talking Head
Videos*, ICIP 2024. Each method drove each subject's face by that subject's own speech. Viewers saw two methods' videos
of one subject and said which was better, once for lip sync, once for head motion, once for rendering. No licence is
stated: use the videos for evaluation only. Layout of the folder ``adthqa`` (of its repository, and of ``$TFG_DATA``)::

    source_videos/<subject>_slice.mp4                  the real video
    <method>/<subject>_<subject>.mp4                   the same speech by wav2lip, makeittalk, adnerf, dfanerf
    lip_summary.mat, head_summary.mat, render_summary.mat    the votes, as distributed
    votes.csv                                          the same votes as counts, where someone wrote them down

The repository does not describe its MATLAB files. What is known is their names, and that they hold, for each subject,
how often each method was preferred to each other. :func:`summary_counts` looks for tables that can be that, and
:func:`summary_votes` leaves to its caller what the files do not say: the order of methods and subjects.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from tfg.errors import DataError
from tfg.study.votes import Vote, read_votes

METHODS = ("wav2lip", "makeittalk", "adnerf", "dfanerf")
TITLES: Mapping[str, str] = {
    "wav2lip": "Wav2Lip",
    "makeittalk": "MakeItTalk",
    "adnerf": "AD-NeRF",
    "dfanerf": "DFA-NeRF",
}
#: what was asked -> the MATLAB file with its votes
DIMENSIONS: Mapping[str, str] = {
    "lip": "lip_summary.mat",
    "head": "head_summary.mat",
    "rendering": "render_summary.mat",
}
COLUMNS = {"criterion": "dimension", "votes_a": "wins_a", "votes_b": "wins_b"}  # of votes.csv -> of tfg.study.votes


def root() -> Path:
    """The folder of the videos: ``$TFG_DATA/adthqa``.

    :raises DataError: the variable is not set, or the folder does not exist.
    """
    data = os.environ.get("TFG_DATA")
    if not data:
        raise DataError("TFG_DATA is not set; set it to the folder that holds adthqa/ (source_videos/, wav2lip/, ...)")
    folder = Path(data) / "adthqa"
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder; expected the folder adthqa of ADTH-QA's repository there")
    return folder


def subjects(folder: Path | None = None) -> list[str]:
    """The subjects that have a source video, sorted by name.

    :raises DataError: there is none.
    """
    videos = (folder or root()) / "source_videos"
    found = sorted(path.stem.removesuffix("_slice") for path in videos.glob("*_slice.mp4"))
    if not found:
        raise DataError(f"{videos} holds no source video; expected files such as May_slice.mp4")
    return found


def source(subject: str, folder: Path | None = None) -> Path:
    """The real video of a subject, whose speech drove all methods.

    :raises DataError: it is not there.
    """
    return _existing((folder or root()) / "source_videos" / f"{subject}_slice.mp4")


def generated(method: str, subject: str, folder: Path | None = None) -> Path:
    """A method's video of a subject; up to half a second shorter than the source.

    :raises DataError: no such method, or no such file.
    """
    if method not in METHODS:
        raise DataError(f"unknown method {method!r}; expected one of {', '.join(METHODS)}")
    return _existing((folder or root()) / method / f"{subject}_{subject}.mp4")


def votes(folder: Path | None = None) -> list[Vote]:
    """The votes of ``votes.csv``, on all of :data:`DIMENSIONS`.

    :raises DataError: no such file, or a row that is no vote (its number is named).
    """
    return read_votes((folder or root()) / "votes.csv", METHODS, COLUMNS)


def summary_votes(
    names: Sequence[str], methods: Sequence[str] = METHODS, folder: Path | None = None, rows_win: bool = True
) -> list[Vote]:
    """The votes of the three MATLAB files.

    Nothing in the files is known to say whose a table is: compare with a figure of the paper before you use them.

    :param names: the subjects, in the order of the tables in a file.
    :param methods: in the order of a table's rows and columns.
    :param rows_win: a table's entry counts how often the method of its row won; False: how often that of its column.
    :raises DataError: a file is missing, or does not hold one table a subject.
    """
    found = []
    for dimension, file in DIMENSIONS.items():
        path = (folder or root()) / file
        tables = summary_counts(path, len(methods))
        if len(tables) != len(names):
            raise DataError(f"{path} holds {len(tables)} tables ({', '.join(tables)}); expected {len(names)} subjects")
        for subject, table in zip(names, tables.values(), strict=True):
            wins = table if rows_win else table.T
            for a, b in combinations(range(len(methods)), 2):
                found.append(Vote(dimension, subject, methods[a], methods[b], int(wins[a, b]), int(wins[b, a])))
    return found


def summary_counts(path: Path, size: int = len(METHODS)) -> dict[str, NDArray[np.int64]]:
    """Every table of pairwise counts in a MATLAB file (before version 7.3), wherever it is in it.

    :param path: of ``lip_summary.mat`` and its like.
    :param size: methods that are compared.
    :returns: where in the file -> counts ``(size, size)``, the diagonal 0. A table is a matrix, a page of an array
        ``(size, size, subjects)``, or either of these in cells or fields.
    :raises DataError: the file cannot be read, or holds no such table; the message says what it does hold.
    """
    try:
        content = loadmat(_existing(path), squeeze_me=True, struct_as_record=True)
    except (ValueError, TypeError, NotImplementedError, MatReadError) as error:  # SciPy's answer to version 7.3
        raise DataError(f"{path} cannot be read as a MATLAB file up to version 7: {error}") from error
    arrays = dict(entry for name in content if name[:2] != "__" for entry in _arrays(name, content[name]))
    tables = {}
    for name, array in arrays.items():
        pages = array[:, :, None] if array.ndim == 2 else array
        if array.ndim not in (2, 3) or pages.shape[:2] != (size, size):
            continue
        for index in range(pages.shape[2]):
            page = pages[:, :, index] * (1.0 - np.eye(size))
            page[np.eye(size, dtype=bool)] = 0  # also where the diagonal is NaN
            if (page >= 0).all() and (page == page.round()).all() and (page + page.T + np.eye(size) > 0).all():
                tables[name if array.ndim == 2 else f"{name}(:,:,{index + 1})"] = page.astype(np.int64)
    if not tables:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items()) or "no numbers"
        raise DataError(
            f"{path}: no table of {size} by {size} counts among {shapes}; write the counts down as a csv instead "
            "(tfg.study.votes says which columns)"
        )
    return tables


def _arrays(name: str, value: Any) -> Iterator[tuple[str, NDArray[Any]]]:
    """The numeric arrays in a MATLAB value: itself, in its cells, in its fields."""
    array = np.asarray(value)
    if array.dtype.names:
        for field in array.dtype.names:
            yield from _arrays(f"{name}.{field}", array[field])
    elif array.dtype == object:
        for index, item in enumerate(array.ravel(), 1):
            yield from _arrays(name if array.size == 1 else f"{name}{{{index}}}", item)
    elif np.issubdtype(array.dtype, np.number):
        yield name, array


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise DataError(f"{path} does not exist; expected the layout of ADTH-QA's folder adthqa")
    return path
