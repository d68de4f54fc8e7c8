"""Does a metric agree with people? Agreement on pairs, correlations on scores, and whether one metric beats another.

Scores are arrays ``(S, M)``, subjects by methods, turned so that more is better. People compared the methods on one
subject at a time, so their scores say nothing across subjects; correlations are therefore taken *within subjects*:
each subject's mean is subtracted first. What raters saw of one subject hangs together: intervals draw subjects.
"""

from __future__ import annotations

from itertools import combinations, product
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from tfg.errors import MetricError
from tfg.study.votes import Counts

Float = NDArray[np.float64]
Kind = Literal["pearson", "spearman", "kendall"]
_FUNCTIONS = {"pearson": stats.pearsonr, "spearman": stats.spearmanr, "kendall": stats.kendalltau}
MOST_FLIPS = 12  # subjects up to which all sign patterns are tried


# ---- pairs --------------------------------------------------------------------------------------------------------


class PairAgreement(NamedTuple):
    """How often a metric prefers what people prefer (:func:`pair_agreement`); chance is 0.5."""

    majority: float  #: share of the pairs with a majority in which the metric is on its side
    votes: float  #: share of single votes on the metric's side
    ceiling: float  #: ``votes`` of a metric that is always on the majority's side: more cannot be had
    pairs: int  #: pairs with a majority


def pair_agreement(wins: Counts, metric: Float) -> PairAgreement:
    """Agreement with the majority and with each vote, on the pairs of every subject.

    A metric that gives both the same value, or none (NaN), gets half a point. People's ties do not count.

    :param wins: ``(S, M, M)`` of each subject.
    :param metric: ``(S, M)``, more is better.
    :raises MetricError: shapes that do not fit, or no pair with a majority.
    """
    parts = pair_parts(wins, metric)
    right, decided, with_votes, votes, most = (float(part.sum()) for part in parts)
    if not decided:
        raise MetricError("no pair has a majority; agreement with it is undefined")
    return PairAgreement(right / decided, with_votes / votes, most / votes, int(decided))


class PairParts(NamedTuple):
    """Sums of :func:`pair_agreement` for each subject, ``(S,)``, so that subjects can be drawn anew."""

    right: Float  #: pairs with a majority on whose side the metric is
    decided: Float  #: pairs with a majority
    with_votes: Float  #: votes on the metric's side
    votes: Float
    most: Float  #: votes on the side of their pair's majority


def pair_parts(wins: Counts, metric: Float) -> PairParts:
    """What :func:`pair_agreement` adds up, subject by subject; its parameters."""
    wins, metric = np.asarray(wins), np.asarray(metric, float)
    if wins.shape != (*metric.shape, metric.shape[-1]):
        raise MetricError(f"wins {wins.shape} and scores {metric.shape}; expected (S, M, M) and (S, M)")
    row, column = np.array(list(combinations(range(metric.shape[1]), 2))).T
    first, second = wins[:, row, column], wins[:, column, row]
    prefers = np.nan_to_num(np.sign(metric[:, row] - metric[:, column]))
    decided = first != second
    right = decided * (1 + prefers * np.sign(first - second)) / 2
    with_votes = (first * (1 + prefers) + second * (1 - prefers)) / 2
    parts = (right, decided, with_votes, first + second, np.maximum(first, second))
    return PairParts(*(part.sum(axis=1).astype(float) for part in parts))


# ---- scores -------------------------------------------------------------------------------------------------------


def within(scores: Float) -> Float:
    """Scores ``(S, M)`` less the mean of their subject."""
    return np.asarray(scores, float) - np.mean(scores, axis=-1, keepdims=True)


def correlation(people: Float, metric: Float, kind: Kind = "pearson") -> float:
    """Correlation over all values of two arrays of one shape; NaN where one of them does not vary.

    :raises MetricError: different shapes, fewer than three values, or a value that is not finite.
    """
    a, b = np.asarray(people, float).ravel(), np.asarray(metric, float).ravel()
    if np.shape(people) != np.shape(metric) or len(a) < 3:
        raise MetricError(f"found {np.shape(people)} and {np.shape(metric)} scores; expected one shape, 3 or more")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise MetricError("a score is missing or infinite; leave out the subjects that lack it, and say so")
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return np.nan
    return float(_FUNCTIONS[kind](a, b).statistic)


def within_pearson(people: Float, metric: Float) -> Float:
    """Pearson's correlation after each subject's mean was taken off, of many studies at once.

    :param people: ``(..., S, M)``, as ``metric``.
    :returns: ``(...)``; NaN where one of the two does not vary.
    """
    a, b = within(people), within(metric)
    together, *alone = ((x * y).sum(axis=(-1, -2)) for x, y in ((a, b), (a, a), (b, b)))
    scale = np.sqrt(alone[0] * alone[1])
    return np.divide(together, scale, out=np.full(np.shape(together), np.nan), where=scale > 1e-12)


def within_correlation(people: Float, metric: Float, kind: Kind = "pearson") -> float:
    """Correlation within subjects, ``(S, M)`` against ``(S, M)``: of all clips, each subject's mean taken off first.

    For rank correlations: the mean over subjects of their own rank correlations, since ranks across subjects would
    compare what nobody compared. A subject on which the metric does not vary counts 0.

    :raises MetricError: see :func:`correlation`.
    """
    by_subject = subject_correlations(people, metric, kind)
    return float(within_pearson(people, metric) if kind == "pearson" else np.nan_to_num(by_subject).mean())


def subject_correlations(people: Float, metric: Float, kind: Kind = "spearman") -> Float:
    """Correlation of each subject by itself, ``(S,)``."""
    return np.array([correlation(a, b, kind) for a, b in zip(people, metric, strict=True)])


# ---- intervals ----------------------------------------------------------------------------------------------------


def resample(subjects: int, draws: int = 2000, seed: int = 0) -> NDArray[np.int64]:
    """Subjects drawn anew with replacement: indices ``(draws, subjects)``, the same for the same seed."""
    return np.random.default_rng(seed).integers(subjects, size=(draws, subjects))


def interval(values: Float, level: float = 0.95) -> tuple[float, float]:
    """The middle of bootstrap values (percentile interval), NaN left out.

    With few subjects it is too narrow: :func:`tfg.study.power.coverage` says by how much.
    """
    low, high = np.nanquantile(values, ((1 - level) / 2, (1 + level) / 2))
    return float(low), float(high)


# ---- one metric against another -----------------------------------------------------------------------------------


class Comparison(NamedTuple):
    """Whether one metric correlates better with people than another."""

    difference: float  #: of the two correlations, first minus second
    t: float
    freedom: int
    p: float  #: two-sided, of so large a difference when both correlate equally


def williams_test(r12: float, r13: float, r23: float, n: int) -> Comparison:
    """Williams' test: do 2 and 3 correlate differently with 1, given that they correlate with each other?

    Takes the three to be jointly normal. Steiger recommends it over Hotelling's, which is too liberal.

    :param r12: correlation of people and the first metric; ``r13``: and the second; ``r23``: of the two metrics.
    :param n: independent observations.
    :raises MetricError: fewer than 4 observations, or correlations that cannot occur together.

    Sources: Williams, *J. Royal Stat. Soc. B* 21 (1959); Steiger, *Psychological Bulletin* 87 (1980), equation 7.
    """
    determinant = 1 - r12**2 - r13**2 - r23**2 + 2 * r12 * r13 * r23
    if n < 4 or max(abs(r12), abs(r13), abs(r23)) > 1 or determinant < -1e-9:
        raise MetricError(f"correlations {r12:.3f}, {r13:.3f}, {r23:.3f} of {n}: expected three that can occur, n >= 4")
    mean = (r12 + r13) / 2
    below = 2 * (n - 1) / (n - 3) * max(determinant, 0.0) + mean**2 * (1 - r23) ** 3
    if below == 0:  # the two metrics are one
        return Comparison(0.0, 0.0, n - 3, 1.0)
    t = (r12 - r13) * np.sqrt((n - 1) * (1 + r23) / below)
    return Comparison(r12 - r13, float(t), n - 3, float(2 * stats.t.sf(abs(t), n - 3)))


def compare(people: Float, first: Float, second: Float) -> Comparison:
    """:func:`williams_test` on correlations within subjects.

    Taking off the means of S subjects uses up S degrees of freedom, so ``S M`` clips count as ``S (M - 1) + 1``.

    :raises MetricError: see :func:`correlation`, or a metric that does not vary.
    """
    subjects, methods = np.shape(people)
    r12, r13, r23 = (within_correlation(a, b) for a, b in ((people, first), (people, second), (first, second)))
    if np.isnan([r12, r13, r23]).any():
        raise MetricError("people's or a metric's scores do not vary within subjects; nothing to compare")
    return williams_test(r12, r13, r23, subjects * (methods - 1) + 1)


def sign_flip_test(differences: Float, seed: int = 0) -> float:
    """Two-sided p of differences ``(S,)``, one for each subject, whose signs could as well be the other way round.

    Takes nothing to be normal, and subjects alone to be independent. Tries every pattern of signs of up to 12
    subjects, 20,000 of more. With S subjects p is never below ``2 / 2**S``: 6 subjects cannot reach 0.03.
    """
    values = np.asarray(differences, float)
    if len(values) <= MOST_FLIPS:
        signs = np.array(list(product((-1, 1), repeat=len(values))))
        drawn = np.abs(signs @ values)
        return float((drawn >= abs(values.sum()) - 1e-9).mean())
    signs = np.random.default_rng(seed).choice((-1, 1), (20_000, len(values)))
    drawn = np.abs(signs @ values)
    return float((1 + (drawn >= abs(values.sum()) - 1e-9).sum()) / (1 + len(drawn)))
