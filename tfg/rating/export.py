"""Votes or ratings as the csv that :mod:`tfg.study` reads, and how a study goes."""

from __future__ import annotations

import csv
import os
import statistics
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tfg.errors import DataError
from tfg.rating.store import Vote, VoteStore

COLUMNS = {  # by what raters see
    "pair": ("dimension", "subject", "rater", "method_a", "method_b", "choice", "seconds", "time"),
    "single": ("dimension", "subject", "rater", "method", "score", "seconds", "time"),
}


@dataclass(frozen=True)
class RaterSummary:
    """One rater: trials answered and there to answer, checks answered and failed, median seconds a trial."""

    code: str
    done: int
    total: int
    checks: int
    failed: int
    seconds: float | None


@dataclass(frozen=True)
class StudySummary:
    """How a study goes.

    :ivar raters: in the order of the design.
    :ivar votes: for each pair of methods, or each method where raters see single videos (the design's ``compared``),
        votes on the first question; checks do not count.
    :ivar fewest: of the same, votes on the subject that has the fewest.
    :ivar left: how often the left video was chosen among the votes that are no ties, 0 to 1; None without any.
    :ivar ties: share of "no difference", 0 to 1; None without votes on pairs.
    """

    raters: tuple[RaterSummary, ...]
    votes: dict[tuple[str, ...], int]
    fewest: dict[tuple[str, ...], int]
    left: float | None
    ties: float | None

    @property
    def finished(self) -> int:
        """How many raters have answered everything."""
        return sum(rater.done == rater.total for rater in self.raters)


def summarise(store: VoteStore) -> StudySummary:
    """How many raters and votes there are, who failed checks, and how long a trial takes."""
    votes = store.votes()
    first = next(iter(store.plan.questions))
    raters = tuple(_rater(store, code, [v for v in votes if v.rater == code]) for code in store.raters())
    design = store.plan.design
    counted = [v for v in votes if v.trial.kind == design.kind and v.dimension == first]
    visits = design.visits(v.trial for v in counted)
    told = Counter(v.choice for v in counted if v.trial.kind == "pair")
    decided = told["a"] + told["b"]
    return StudySummary(
        raters,
        votes=dict(zip(design.compared, visits.sum(axis=1).tolist(), strict=True)),
        fewest=dict(zip(design.compared, visits.min(axis=1).tolist(), strict=True)),
        left=told["a"] / decided if decided else None,
        ties=told["tie"] / told.total() if told else None,
    )


def export_votes(store: VoteStore, path: Path | str, most_failed: int | None = None) -> list[str]:
    """Write the votes, without checks, as csv.

    Votes on pairs are read by :func:`tfg.study.votes.read_votes`, ratings of single videos by
    :func:`tfg.study.ratings.read_ratings`.

    :param path: of the csv; an existing file is replaced when the new one is complete.
    :param most_failed: leave out raters who failed more checks than this; by default nobody. Decide before you look.
    :returns: codes of the raters left out.
    :raises DataError: there are no votes to write, or the folder does not exist.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise DataError(f"{path.parent}: no such folder; expected one to write {path.name} into: create it")
    out = [r.code for r in summarise(store).raters if most_failed is not None and r.failed > most_failed]
    kind = store.plan.design.kind
    votes = [v for v in store.votes() if v.trial.kind == kind and v.rater not in out]
    if not votes:
        raise DataError(f"{store.path}: no votes to export ({len(out)} raters left out for failed checks)")
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        with temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS[kind])
            for v in votes:
                shown = v.trial.shown
                writer.writerow([v.dimension, v.trial.subject, v.rater, *shown, v.choice, f"{v.seconds:.1f}", v.time])
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return out


def _rater(store: VoteStore, code: str, votes: list[Vote]) -> RaterSummary:
    at = store.progress(code)
    assert at is not None
    trials = {vote.place: vote for vote in votes}
    checks = {vote.place for vote in votes if vote.trial.expected}
    failed = {vote.place for vote in votes if vote.failed}
    seconds = statistics.median(vote.seconds for vote in trials.values()) if trials else None
    return RaterSummary(code, at.done, at.total, len(checks), len(failed), seconds)
