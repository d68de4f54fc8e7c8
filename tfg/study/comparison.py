"""All metrics against people, and against each other: what a table in a paper needs to say which agrees best.

Metrics are given as ``name -> (S, M)``, subjects by methods, turned so that more is better.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tfg.study.correlation import (
    Comparison,
    PairAgreement,
    compare,
    interval,
    pair_agreement,
    pair_parts,
    resample,
    subject_correlations,
    within_pearson,
)
from tfg.study.votes import Counts, win_share

Float = NDArray[np.float64]
Interval = tuple[float, float]


class Report(NamedTuple):
    """One metric against people (:func:`report`); intervals are 95%, by drawing subjects."""

    agreement: PairAgreement
    majority: Interval  #: of ``agreement.majority``
    votes: Interval  #: of ``agreement.votes``
    pearson: float  #: within subjects, of scores with shares of votes won
    pearson_interval: Interval
    spearman: float  #: mean over subjects
    spearman_interval: Interval
    kendall: float  #: mean over subjects
    kendall_interval: Interval
    by_subject: Float  #: Spearman ``(S,)``, NaN where the metric does not vary


def report(wins: Counts, ties: Counts, metric: Float, draws: int = 1000, seed: int = 0) -> Report:
    """Everything about one metric.

    :param wins: ``(S, M, M)``, in the order of the metric's rows and columns; ``ties`` likewise.
    :param draws: of subjects, for the intervals.
    :raises MetricError: a score is missing, or there is no pair with a majority.
    """
    people = win_share(wins, ties)
    spearman, kendall = (subject_correlations(people, metric, kind) for kind in ("spearman", "kendall"))
    chosen = resample(len(people), draws, seed)
    right, decided, with_votes, votes, _ = (part[chosen].sum(axis=1) for part in pair_parts(wins, metric))
    means = [np.nan_to_num(values) for values in (spearman, kendall)]
    return Report(
        agreement=pair_agreement(wins, metric),
        majority=interval(right / np.maximum(decided, 1)),
        votes=interval(with_votes / votes),
        pearson=float(within_pearson(people, metric)),
        pearson_interval=interval(within_pearson(people[chosen], metric[chosen])),
        spearman=float(means[0].mean()),
        spearman_interval=interval(means[0][chosen].mean(axis=1)),
        kendall=float(means[1].mean()),
        kendall_interval=interval(means[1][chosen].mean(axis=1)),
        by_subject=spearman,
    )


def share_best(people: Float, metrics: Mapping[str, Float], draws: int = 2000, seed: int = 0) -> dict[str, float]:
    """How often each metric has the largest correlation within subjects when subjects are drawn anew.

    A metric that is best beyond doubt has a share near 1; metrics that the data cannot tell apart divide it.

    :param people: ``(S, M)``, shares of votes won.
    """
    chosen = resample(len(people), draws, seed)
    drawn = np.array([within_pearson(people[chosen], scores[chosen]) for scores in metrics.values()])
    best = np.argmax(np.nan_to_num(drawn, nan=-1.0), axis=0)
    return {name: float((best == index).mean()) for index, name in enumerate(metrics)}


def left_out(people: Float, metric: Float) -> tuple[Float, Float]:
    """The correlation within subjects without each subject ``(S,)``, and without each method ``(M,)``."""
    without = [
        [within_pearson(np.delete(people, i, axis), np.delete(metric, i, axis)) for i in range(people.shape[axis])]
        for axis in (0, 1)
    ]
    return np.array(without[0]), np.array(without[1])


def elsewhere(people: Float) -> Float:
    """The share of votes that each method won on the *other* subjects ``(S, M)``: what knowing the method alone tells.

    A metric that looks at a video should know more.
    """
    return (people.sum(axis=0) - people) / (len(people) - 1)


class Pairwise(NamedTuple):
    """Every metric against every other (:func:`pairwise`)."""

    names: list[str]
    tests: dict[tuple[str, str], Comparison]
    adjusted: dict[tuple[str, str], float]  #: p by Holm's method, for all of these tests together


def pairwise(people: Float, metrics: Mapping[str, Float]) -> Pairwise:
    """:func:`tfg.study.correlation.compare` for every two metrics, with p adjusted for their number.

    :raises MetricError: a score is missing, or a metric does not vary.
    """
    tests = {(a, b): compare(people, metrics[a], metrics[b]) for a, b in combinations(metrics, 2)}
    return Pairwise(list(metrics), tests, dict(zip(tests, holm([t.p for t in tests.values()]), strict=True)))


def holm(p: Sequence[float]) -> list[float]:
    """p values such that, for any level, all those below it are false alarms at most that often, taken together.

    Source: Holm, *Scandinavian Journal of Statistics* 6 (1979).
    """
    values = np.asarray(p, float)
    order = np.argsort(values)
    scaled = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    adjusted = np.empty(len(values))
    adjusted[order] = np.minimum(scaled, 1)
    return adjusted.tolist()
