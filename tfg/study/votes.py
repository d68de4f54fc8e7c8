"""Pairwise votes: the csv in which they are kept, read strictly, and the tables made of them.

A csv file (UTF-8, comma, header line) has one of two forms; the header says which.

**Single votes**, one row for each vote, as the rating page exports them::

    dimension,subject,rater,method_a,method_b,choice
    lip,anna,r01,wav2lip,adnerf,b
    lip,anna,r02,adnerf,wav2lip,tie

=============  =====================================================================================
``dimension``  what was asked, such as ``lip`` (lip sync), ``head`` (head motion), ``rendering``
``subject``    whose talk is shown: both videos of a row are of the same subject and speech
``rater``      who voted: a code, never a name
``method_a``   the method whose video was shown on the **left** (or first)
``method_b``   the method whose video was shown on the **right** (or second)
``choice``     ``a``, ``b`` or ``tie``
``seconds``    optional: how long the rater took
``time``       optional: when, ISO 8601 with offset
=============  =====================================================================================

**Counts**, one row for each pair of methods, as published studies give them::

    dimension,subject,method_a,method_b,wins_a,wins_b,ties
    lip,anna,wav2lip,adnerf,4,11,0

``wins_a``, ``wins_b`` and ``ties`` (optional, then 0) are numbers of raters. Who voted for what is lost.

In both forms a pair stands once for each dimension and subject (and rater), in either order of the two methods.
Attention checks and practice trials are no votes and do not belong in the file. Other columns are refused, since a
misspelt ``ties`` would be lost without a word.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tfg.errors import DataError

SINGLE = ("dimension", "subject", "rater", "method_a", "method_b", "choice")
SINGLE_OPTIONAL = ("seconds", "time")
COUNTED = ("dimension", "subject", "method_a", "method_b", "wins_a", "wins_b")
COUNTED_OPTIONAL = ("ties",)
CHOICES = {"a": (1, 0, 0), "b": (0, 1, 0), "tie": (0, 0, 1)}

Counts = NDArray[np.int64]


class Vote(NamedTuple):
    """A single vote (one of the three numbers is 1) or a counted pair (``rater`` is empty)."""

    dimension: str
    subject: str
    method_a: str
    method_b: str
    wins_a: int
    wins_b: int
    ties: int = 0
    rater: str = ""

    @property
    def total(self) -> int:
        """How many people's judgement this is."""
        return self.wins_a + self.wins_b + self.ties


# ---- reading and writing ------------------------------------------------------------------------------------------


def read_votes(
    path: str | os.PathLike[str], methods: Sequence[str] | None = None, columns: Mapping[str, str] | None = None
) -> list[Vote]:
    """Read a csv of votes, in either form (see the module).

    :param methods: those that a vote may name; None: whichever the file names.
    :param columns: for a file from elsewhere: its name of a column -> the name here.
    :raises DataError: no such file or a header of neither form; or, with the number of the row: an empty or missing
        field, a method that is not among ``methods``, a method against itself, a count that is negative or no whole
        number, a row without any vote, or a pair that stands twice.
    """
    path = Path(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            reader.fieldnames = [(columns or {}).get(name, name) for name in reader.fieldnames or []]
            counted = _form(path, list(reader.fieldnames))
            votes: dict[tuple[str, str, str, frozenset[str]], tuple[Vote, int]] = {}
            for row in reader:
                where = f"{path}, row {reader.line_num}"
                vote = _counted(where, row) if counted else _single(where, row)
                _check(where, vote, methods)
                pair = (vote.dimension, vote.subject, vote.rater, frozenset(vote[2:4]))
                if pair in votes:
                    raise DataError(
                        f"{where}: this pair, {vote.method_a} and {vote.method_b} of {vote.subject}, stands in row "
                        f"{votes[pair][1]} already; keep one of the two rows"
                    )
                votes[pair] = vote, reader.line_num
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; expected a csv of votes (tfg.study.votes says which columns)") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is no csv in UTF-8: {error}; export it again as 'CSV UTF-8'") from error
    if not votes:
        raise DataError(f"{path} holds a header but no vote")
    return [vote for vote, _ in votes.values()]


def write_votes(votes: Iterable[Vote], path: str | os.PathLike[str]) -> Path:
    """Write votes as csv, single or counted; the file appears only when it is complete.

    :raises DataError: single votes and counts mixed, or none at all.
    """
    path, rows = Path(path), list(votes)
    if len({bool(vote.rater) for vote in rows}) != 1:
        raise DataError(f"{path}: expected votes that all name a rater, or none of which does; found {len(rows)} votes")
    single = bool(rows[0].rater)
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    with temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(SINGLE if single else COUNTED + COUNTED_OPTIONAL)
        for vote in rows:
            if single:
                choice = next(name for name, counts in CHOICES.items() if counts == vote[4:7])
                writer.writerow((vote.dimension, vote.subject, vote.rater, vote.method_a, vote.method_b, choice))
            else:
                writer.writerow(vote[:7])
    temporary.replace(path)
    return path


def _form(path: Path, header: list[str]) -> bool:
    """Whether the header is that of counts."""
    for required, optional in ((COUNTED, COUNTED_OPTIONAL), (SINGLE, SINGLE_OPTIONAL)):
        if set(required) <= set(header) <= {*required, *optional} and len(set(header)) == len(header):
            return required is COUNTED
    raise DataError(
        f"{path}: found the columns {', '.join(header) or 'none'}; expected {', '.join(COUNTED)} and perhaps ties, "
        f"or {', '.join(SINGLE)} and perhaps {', '.join(SINGLE_OPTIONAL)}"
    )


def _single(where: str, row: dict[str, str | None]) -> Vote:
    values = {key: _text(where, row, key) for key in SINGLE}
    choice = values.pop("choice")
    if choice not in CHOICES:
        raise DataError(f"{where}: found the choice {choice!r}; expected one of {', '.join(CHOICES)}")
    wins_a, wins_b, ties = CHOICES[choice]
    return Vote(wins_a=wins_a, wins_b=wins_b, ties=ties, **values)


def _counted(where: str, row: dict[str, str | None]) -> Vote:
    texts = {key: _text(where, row, key) for key in COUNTED[:4]}
    names = ("wins_a", "wins_b", *(key for key in COUNTED_OPTIONAL if key in row))
    counts = {}
    for key in names:
        text = _text(where, row, key)
        if not text.isascii() or not text.isdigit():
            raise DataError(f"{where}: found {text!r} for {key}; expected a whole number of votes, 0 or more")
        counts[key] = int(text)
    return Vote(**texts, **counts)  # type: ignore[arg-type]


def _text(where: str, row: dict[str, str | None], key: str) -> str:
    if None in row:
        raise DataError(f"{where}: more fields than the header has columns; remove what is too much")
    value = (row[key] or "").strip()
    if not value:
        raise DataError(f"{where}: {key} is empty; fill it in, or remove the row")
    return value


def _check(where: str, vote: Vote, methods: Sequence[str] | None) -> None:
    if vote.method_a == vote.method_b:
        raise DataError(f"{where}: {vote.method_a} against itself; expected two different methods")
    unknown = [name for name in vote[2:4] if methods is not None and name not in methods]
    if unknown:
        raise DataError(f"{where}: unknown method {unknown[0]!r}; expected one of {', '.join(methods or ())}")
    if vote.total == 0:
        raise DataError(f"{where}: all counts are 0; remove the row of a pair on which nobody voted")


# ---- tables -------------------------------------------------------------------------------------------------------


def of(votes: Iterable[Vote], dimension: str, subject: str | None = None) -> list[Vote]:
    """The votes on one question, of one subject or all.

    :raises DataError: there is none.
    """
    votes = list(votes)
    found = [v for v in votes if v.dimension == dimension and subject in (None, v.subject)]
    if not found:
        there = ", ".join(sorted({vote.dimension for vote in votes})) or "none"
        about = f" of {subject}" if subject else ""
        raise DataError(f"no vote on {dimension!r}{about}; the votes are on: {there}")
    return found


def methods_of(votes: Iterable[Vote]) -> list[str]:
    """The methods that occur, in the order in which they do."""
    return list(dict.fromkeys(name for vote in votes for name in vote[2:4]))


def subjects_of(votes: Iterable[Vote]) -> list[str]:
    """The subjects that occur, in the order in which they do."""
    return list(dict.fromkeys(vote.subject for vote in votes))


def counts(votes: Iterable[Vote], methods: Sequence[str]) -> tuple[Counts, Counts]:
    """Sum votes over subjects and raters.

    :param methods: the order of rows and columns.
    :returns: ``wins (M, M)``: how often the row's method was preferred to the column's; ``ties (M, M)``, symmetric.
    :raises DataError: a vote names another method.
    """
    place = {name: index for index, name in enumerate(methods)}
    wins, ties = np.zeros((2, len(methods), len(methods)), np.int64)
    for vote in votes:
        missing = [name for name in vote[2:4] if name not in place]
        if missing:
            raise DataError(f"a vote names the method {missing[0]!r}; expected one of {', '.join(methods)}")
        a, b = place[vote.method_a], place[vote.method_b]
        wins[a, b] += vote.wins_a
        wins[b, a] += vote.wins_b
        ties[a, b] += vote.ties
        ties[b, a] += vote.ties
    return wins, ties


def tables(
    votes: Iterable[Vote], methods: Sequence[str], by: Literal["subject", "rater"] = "subject"
) -> tuple[list[str], Counts, Counts]:
    """:func:`counts` of each subject, or of each rater.

    :returns: the names, ``wins (N, M, M)`` and ``ties (N, M, M)``.
    :raises DataError: a vote names another method; or ``by="rater"`` and a vote does not name its rater.
    """
    parts: dict[str, list[Vote]] = {}
    for vote in votes:
        if by == "rater" and not vote.rater:
            raise DataError("these votes are counts that do not say who voted; expected single votes to sort by rater")
        parts.setdefault(getattr(vote, by), []).append(vote)
    found = [counts(part, methods) for part in parts.values()]
    wins, ties = (np.stack(column) for column in zip(*found, strict=True))
    return list(parts), wins, ties


def win_share(wins: Counts, ties: Counts) -> NDArray[np.float64]:
    """Share in [0, 1] of its votes that each method won, a tie counted as half; NaN without a vote.

    Where every pair was judged equally often, it orders the methods as Bradley-Terry does, and it stays finite where
    a method won or lost every vote.

    :param wins: ``(..., M, M)``, as :func:`counts` and :func:`tables` give it; ``ties`` likewise.
    :returns: ``(..., M)``.
    """
    total = (wins + np.swapaxes(wins, -1, -2) + ties).sum(axis=-1)
    won = (wins + ties / 2).sum(axis=-1)
    return np.divide(won, total, out=np.full(total.shape, np.nan), where=total > 0)
