"""What a study of a given size can show: studies simulated with a known truth, and how often each test finds it.

The model: method m on subject s has a quality ``q[s, m]``; a viewer prefers m to n with probability
``1 / (1 + exp(q[s, n] - q[s, m]))``. Qualities vary over methods, and the same method does better on one subject than
on another; viewers of one pair are independent. A metric sees the quality through noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import expit

from tfg.study.correlation import resample, williams_test, within_pearson
from tfg.study.votes import Counts, win_share

ALPHA = 0.05

Float = NDArray[np.float64]


class Spread(NamedTuple):
    """How much qualities vary, as standard deviations in log-odds (:func:`spread`)."""

    methods: float  #: of the methods' means over subjects
    subjects: float  #: of one method from subject to subject, beside its mean


def spread(wins: Counts) -> Spread:
    """Estimate how much qualities vary in a real study, from the pairs' log-odds, less what chance adds to them.

    :param wins: ``(S, M, M)`` of at least two subjects.
    """
    row, column = np.triu_indices(wins.shape[-1], 1)
    first, second = wins[:, row, column] + 0.5, wins[:, column, row] + 0.5  # finite where all votes went one way
    odds = np.log(first / second)
    chance = (1 / first + 1 / second).mean(axis=0)
    apart = odds.var(axis=0, ddof=1)  # between subjects: two methods' own variation, and chance
    across = odds.mean(axis=0) ** 2 - apart / len(wins)
    return Spread(_deviation(across), _deviation(apart - chance))


def _deviation(variance_of_difference: Float) -> float:
    """Of one of two independent terms, from variances of their difference."""
    return float(np.sqrt(max(variance_of_difference.mean() / 2, 0.0)))


def simulate(
    subjects: int,
    methods: int,
    viewers: int,
    how: Spread,
    follows: Sequence[float] = (),
    shared: float = 0.0,
    studies: int = 500,
    seed: int = 0,
) -> tuple[Counts, Float]:
    """Studies with votes and metrics.

    :param viewers: votes on each pair of each subject.
    :param how: the spread of the qualities.
    :param follows: for each metric, its correlation with the quality within subjects.
    :param shared: correlation of the metrics' noise with each other.
    :returns: wins ``(studies, S, M, M)`` and metrics ``(len(follows), studies, S, M)``.
    """
    random = np.random.default_rng(seed)
    quality = random.normal(0, how.methods, (studies, 1, methods))
    quality = quality + random.normal(0, how.subjects, (studies, subjects, methods))
    wins = np.zeros((studies, subjects, methods, methods), np.int64)
    for a, b in combinations(range(methods), 2):
        wins[..., a, b] = random.binomial(viewers, expit(quality[..., a] - quality[..., b]))
        wins[..., b, a] = viewers - wins[..., a, b]
    common = random.normal(size=quality.shape)
    metrics = []
    for r in follows:
        noise = np.sqrt(shared) * common + np.sqrt(1 - shared) * random.normal(size=quality.shape)
        scaled = quality / np.hypot(how.methods, how.subjects)
        metrics.append(r * scaled + np.sqrt(1 - r**2) * noise)
    return wins, np.array(metrics)


def metric_power(
    subjects: int,
    better: float,
    worse: float,
    how: Spread,
    methods: int = 4,
    viewers: int = 15,
    shared: float = 0.0,
    studies: int = 500,
    seed: int = 0,
) -> float:
    """Share of studies in which Williams' test (two-sided, 5%) prefers the metric that is the better one.

    :param better: correlation of the better metric with the quality; ``worse``: of the other. Equal: no study should
        decide; 2.5% is then the share that must be expected.
    :param shared: correlation of the metrics' noise.
    """
    wins, (first, second) = simulate(subjects, methods, viewers, how, (better, worse), shared, studies, seed)
    people = win_share(wins, np.zeros_like(wins))
    n = subjects * (methods - 1) + 1
    pairs = ((people, first), (people, second), (first, second))
    rs = zip(*(within_pearson(a, b) for a, b in pairs), strict=True)
    found = [williams_test(r12, r13, r23, n) for r12, r13, r23 in rs]
    return float(np.mean([test.p < ALPHA and test.difference > 0 for test in found]))


def subjects_to_decide(r12: float, r13: float, r23: float, methods: int = 4, power: float = 0.8) -> int | None:
    """How many subjects Williams' test needs, were the correlations found the true ones.

    :param r12: of people and the first metric; ``r13``: and the second; ``r23``: of the two; all within subjects.
    :returns: the smallest number of subjects with that power; None: not even 10,000 would do.
    """
    reach = stats.norm.ppf(power)
    for subjects in range(2, 10_001):
        test = williams_test(r12, r13, r23, subjects * (methods - 1) + 1)
        if abs(test.t) >= stats.t.ppf(1 - ALPHA / 2, test.freedom) + reach:
            return subjects
    return None


class Decided(NamedTuple):
    """Share of studies that find one method better than another, by two ways to test it."""

    by_votes: float  #: every vote counts as independent, as in the interval of Bradley-Terry's likelihood
    by_subjects: float  #: Student's t over subjects


def ranking_power(
    subjects: int, gap: float, deviation: float, viewers: int = 15, studies: int = 2000, seed: int = 0
) -> Decided:
    """How often a study of two methods finds a difference (two-sided, 5%).

    :param gap: of their mean qualities, log-odds. 0: what is found is a false alarm.
    :param deviation: of one method's quality from subject to subject (``Spread.subjects``).
    """
    random = np.random.default_rng(seed)
    apart = random.normal(gap, np.sqrt(2) * deviation, (studies, subjects))
    wins = random.binomial(viewers, expit(apart))
    votes = subjects * viewers
    z = (wins.sum(axis=1) - votes / 2) / np.sqrt(votes / 4)
    by_votes = 2 * stats.norm.sf(np.abs(z)) < ALPHA
    share = wins / viewers - 0.5
    error = share.std(axis=1, ddof=1) / np.sqrt(subjects)
    by_subjects = np.abs(share.mean(axis=1)) > stats.t.ppf(1 - ALPHA / 2, subjects - 1) * error
    return Decided(float(by_votes.mean()), float(by_subjects.mean()))


def coverage(
    subjects: int,
    follows: float,
    deviation: float,
    methods: int = 4,
    viewers: int = 15,
    studies: int = 500,
    draws: int = 500,
    seed: int = 0,
) -> float:
    """How often the 95% bootstrap interval over subjects holds the correlation that endless subjects would give.

    :param follows: correlation of the metric with the quality.
    :param deviation: of a quality from subject to subject; the methods' means are alike here, which makes the
        correlation of endless subjects one number for all studies.
    """
    how = Spread(0.0, deviation)
    wins, (metric,) = simulate(subjects, methods, viewers, how, (follows,), studies=studies, seed=seed)
    people = win_share(wins, np.zeros_like(wins))
    many, (endless,) = simulate(50_000, methods, viewers, how, (follows,), studies=1, seed=seed + 1)
    truth = within_pearson(win_share(many, np.zeros_like(many)), endless)[0]
    chosen = resample(subjects, draws, seed)
    low, high = np.quantile(within_pearson(people[:, chosen], metric[:, chosen]), (0.025, 0.975), axis=1)
    return float(((low <= truth) & (truth <= high)).mean())
