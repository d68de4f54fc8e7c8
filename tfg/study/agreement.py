"""Do the raters agree with each other? What they do not agree on, no metric can agree with."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from tfg.errors import DataError, MetricError
from tfg.study.correlation import within_pearson
from tfg.study.votes import Counts, Vote, win_share

Float = NDArray[np.float64]


class Agreement(NamedTuple):
    """How far raters chose alike (:func:`kendall_u`)."""

    u: float  #: 1: all alike; 0: as by tossing coins; negative: less alike than that
    chi2: float
    freedom: int
    p: float  #: of so large a chi2 when every vote is a coin toss of its own


def kendall_u(wins: Counts) -> Agreement:
    """Kendall's coefficient of agreement in paired comparisons: ``2 P - 1``, with P the share of agreeing rater pairs.

    It needs counts only. Chance is one half, since which of two methods is called the first means nothing. A rater who
    tied is left out of that pair.

    :param wins: ``(M, M)`` or ``(N, M, M)``, one table for each subject: pairs of different subjects count apart.
    :raises MetricError: no pair has two votes.

    Source: Kendall, Babington Smith, *On the method of paired comparisons*, Biometrika 31 (1940).
    """
    wins = np.atleast_3d(wins) if np.ndim(wins) == 3 else np.asarray(wins)[None]
    row, column = np.triu_indices(wins.shape[-1], 1)
    first, second = wins[:, row, column].ravel().astype(float), wins[:, column, row].ravel().astype(float)
    judged = first + second
    several, some = judged >= 2, judged > 0
    if not several.any():
        raise MetricError("no pair has two votes; expected several raters for the same pair")
    alike = (first * (first - 1) + second * (second - 1))[several] / (judged * (judged - 1))[several]
    chi2, freedom = float(((first - second)[some] ** 2 / judged[some]).sum()), int(some.sum())
    return Agreement(float(2 * alike.mean() - 1), chi2, freedom, float(stats.chi2.sf(chi2, freedom)))


def answers(votes: Iterable[Vote]) -> Counts:
    """Votes as ``(2 P, 3)`` for :func:`krippendorff_alpha`: first preferred, second preferred, tie.

    Each of the P pairs (of a subject and question) stands there twice, once in each order of its two methods, so that
    the agreement expected by chance does not depend on which method was called the first.
    """
    pairs: dict[tuple[str, str, str, str], Counts] = {}
    for vote in votes:
        a, b = sorted(vote[2:4])
        wins = (vote.wins_a, vote.wins_b) if a == vote.method_a else (vote.wins_b, vote.wins_a)
        key = (vote.dimension, vote.subject, a, b)
        pairs[key] = pairs.get(key, np.zeros(3, np.int64)) + np.array([*wins, vote.ties])
    one_way = np.array(list(pairs.values())).reshape(-1, 3)
    return np.concatenate([one_way, one_way[:, [1, 0, 2]]])


def krippendorff_alpha(counts: ArrayLike, values: ArrayLike | None = None) -> float:
    """Krippendorff's alpha: 1 is perfect agreement, 0 what chance gives.

    Raters may be missing, and who answered what is not needed.

    :param counts: ``(U, V)``: for each thing judged, how many raters gave each of V answers.
    :param values: the V answers as numbers, whose squared differences count (interval scale), such as 1 to 5;
        None: answers are names (nominal scale).
    :raises MetricError: fewer than two things that two raters judged, or all answers are the same.

    Source: Krippendorff, *Content Analysis* (2004), chapter 11.
    """
    table = np.asarray(counts, float)
    if table.ndim != 2 or (table < 0).any():
        raise MetricError(f"counts have the shape {table.shape}; expected (things, answers), all 0 or more")
    table = table[table.sum(axis=1) >= 2]
    if len(table) < 2:
        raise MetricError(f"{len(table)} things were judged by two raters or more; expected at least 2")
    scale = np.arange(table.shape[1]) if values is None else np.asarray(values, float)
    distance = (scale[:, None] != scale) if values is None else (scale[:, None] - scale) ** 2
    judged = table.sum(axis=1)
    coincidences = np.einsum("u,uc,uk->ck", 1 / (judged - 1), table, table) - np.diag((table.T / (judged - 1)).sum(1))
    totals = table.sum(axis=0)
    expected = (np.outer(totals, totals) - np.diag(totals)) / (totals.sum() - 1)
    if not (expected * distance).sum():
        raise MetricError("all answers are the same; agreement beyond chance is undefined")
    return float(1 - (coincidences * distance).sum() / (expected * distance).sum())


def reliability(wins: Counts, draws: int = 200, seed: int = 0) -> float:
    """How far the shares of votes won would come out the same with as many other raters, as a correlation.

    Each pair's votes are split at random into halves, whose shares are correlated within subjects; Spearman and Brown's
    formula gives the value for all votes. Its square root is the largest correlation to expect of any metric. Where
    raters have tastes of their own, it is somewhat too high, since votes are split pair by pair.

    :param wins: ``(S, M, M)`` counts without ties.
    :raises MetricError: no pair has two votes.
    """
    row, column = np.triu_indices(wins.shape[-1], 1)
    first, second = wins[:, row, column], wins[:, column, row]
    if not (first + second >= 2).any():
        raise MetricError("no pair has two votes; expected several raters for the same pair")
    half = np.zeros((draws, *wins.shape), np.int64)
    size = (draws, *first.shape)
    half[..., row, column] = np.random.default_rng(seed).hypergeometric(first, second, (first + second) // 2, size)
    half[..., column, row] = (first + second) // 2 - half[..., row, column]
    shares = [win_share(part, np.zeros_like(part)) for part in (half, wins - half)]
    r = float(within_pearson(*shares).mean())
    return 2 * r / (1 + r)


def rater_agreement(votes: Iterable[Vote]) -> dict[str, float]:
    """Share of each rater's votes that go with the majority of the *other* raters; NaN without such a majority.

    Pairs on which the others are divided evenly, and votes for a tie, do not count.

    :raises DataError: a vote does not name its rater.
    """
    votes = list(votes)
    if any(not vote.rater for vote in votes):
        raise DataError("these votes are counts that do not say who voted; expected single votes")
    margin: dict[tuple[str, str, str, str], int] = {}
    signed = []
    for vote in votes:
        a, b = sorted(vote[2:4])
        sign = (vote.wins_a - vote.wins_b) * (1 if a == vote.method_a else -1)
        key = (vote.dimension, vote.subject, a, b)
        margin[key] = margin.get(key, 0) + sign
        signed.append((vote.rater, key, sign))
    found: dict[str, list[bool]] = {vote.rater: [] for vote in votes}
    for rater, key, sign in signed:
        others = margin[key] - sign
        if sign and others:
            found[rater].append(sign * others > 0)
    return {rater: float(np.mean(same)) if same else np.nan for rater, same in found.items()}
