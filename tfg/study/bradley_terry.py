"""From pairwise votes to one number for each method: Bradley-Terry, with Davidson's ties.

A method's strength is ``exp(score)``; for methods i and j and a tie parameter nu

    P(i preferred) : P(j preferred) : P(tie)  =  exp(s_i) : exp(s_j) : nu exp((s_i + s_j) / 2)

which is a logistic regression on "which of the two" when nobody ties (nu = 0). Counts are enough: the order of votes
does not matter. Sources: Bradley, Terry, *Biometrika* 39 (1952); Davidson, *On extending the Bradley-Terry model to
accommodate ties*, JASA 65 (1970); when a maximum exists: Ford, *American Mathematical Monthly* 64 (1957).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.sparse.csgraph import connected_components
from scipy.special import logsumexp, xlogy

from tfg.errors import MetricError
from tfg.study.votes import Counts

STEPS = 100  # of Newton's method, which needs about ten
PRECISION = 1e-10

Float = NDArray[np.float64]


class BradleyTerry(NamedTuple):
    """Scores of methods with what is known of their precision."""

    scores: Float  #: ``(M,)`` log-odds, sum 0: a method beats an average one with odds ``exp(score)``
    covariance: Float  #: ``(M, M)`` of the scores, from the likelihood: it takes all votes to be independent
    nu: float  #: tie parameter, 0 when there was no tie
    log_likelihood: float
    deviance: float  #: twice the log likelihood lost against free probabilities for every pair of every table
    freedom: int  #: its degrees of freedom; 0 when the model has as many parameters as there are pairs

    @property
    def errors(self) -> Float:
        """Standard errors ``(M,)`` of the scores."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def fit_p(self) -> float:
        """How probable so large a deviance is when the model holds; small: one scale does not explain the votes."""
        return float(stats.chi2.sf(self.deviance, self.freedom)) if self.freedom else 1.0

    def probability(self, first: int, second: int) -> float:
        """Of preferring one method to another, given that there is no tie."""
        return float(1 / (1 + np.exp(self.scores[second] - self.scores[first])))

    def difference(self, first: int, second: int) -> tuple[float, float, float]:
        """Difference of two scores, its standard error, and the two-sided p of a difference of 0 (Wald)."""
        value = float(self.scores[first] - self.scores[second])
        variance = self.covariance[first, first] + self.covariance[second, second] - 2 * self.covariance[first, second]
        error = float(np.sqrt(variance))
        return value, error, float(2 * stats.norm.sf(abs(value) / error))


def fit(wins: Counts, ties: Counts | None = None, methods: Sequence[str] | None = None) -> BradleyTerry:
    """Maximum likelihood by Newton's method, on the likelihood's own curvature.

    :param wins: ``(M, M)``: how often the row was preferred to the column; or ``(N, M, M)``, one table for each
        subject: the scores are those of their sum, and the deviance then also shows whether the tables differ.
    :param ties: likewise, symmetric; None: nobody tied.
    :param methods: names, for the messages.
    :raises MetricError: tables of another shape or with negative counts; methods in groups between which nobody
        compared; or methods that won (lost) every comparison with the rest, so that their scores would be infinite.
    """
    wins, ties = _checked(wins, ties)
    size = wins.shape[-1]
    names = [str(i) for i in range(size)] if methods is None else list(methods)
    _require_connected(wins.sum(axis=0), ties.sum(axis=0), names)
    pairs = np.array(list(combinations(range(size), 2)))
    first, second = pairs.T
    # outcomes: first preferred, second preferred, tie
    observed = np.stack([wins[:, first, second], wins[:, second, first], ties[:, first, second]], axis=-1).astype(float)
    tied = bool(ties.any())
    total = observed.sum(axis=0)
    basis = np.linalg.svd(np.ones((1, size)))[2][1:].T  # scores = basis @ free parameters: they sum to 0
    design = np.zeros((len(pairs), 3, size + 1))
    design[np.arange(len(pairs)), 0, first] = 1
    design[np.arange(len(pairs)), 1, second] = 1
    design[:, 2, :size] = (design[:, 0, :size] + design[:, 1, :size]) / 2
    design[:, 2, size] = 1
    design = np.concatenate([design[..., :size] @ basis, design[..., size:]], axis=-1)
    if not tied:
        design, total, observed = design[:, :2, :-1], total[:, :2], observed[..., :2]
    free = np.zeros(design.shape[-1])
    value = _log_likelihood(free, design, total)
    for _ in range(STEPS):
        gradient, information = _derivatives(free, design, total)
        step = np.linalg.solve(information, gradient)
        while (ahead := _log_likelihood(free + step, design, total)) < value - PRECISION:
            step /= 2
        free, value = free + step, ahead
        if np.abs(step).max() < PRECISION:
            break
    covariance = np.linalg.inv(_derivatives(free, design, total)[1])[: size - 1, : size - 1]
    there = observed.sum(axis=-1, keepdims=True)
    saturated = xlogy(observed, observed / np.maximum(there, 1)).sum()
    freedom = int((there > 0).sum()) * (observed.shape[-1] - 1) - len(free)
    return BradleyTerry(
        scores=basis @ free[: size - 1],
        covariance=basis @ covariance @ basis.T,
        nu=float(np.exp(free[-1])) if tied else 0.0,
        log_likelihood=value,
        deviance=float(2 * (saturated - value)),
        freedom=max(freedom, 0),
    )


def bootstrap(wins: Counts, ties: Counts | None = None, draws: int = 2000, seed: int = 0) -> Float:
    """Scores of resampled studies: tables drawn with replacement, then fitted together.

    Tables of subjects say how far the scores depend on who was shown; tables of raters, on who was asked.

    :param wins: ``(N, M, M)``, one table for each subject or rater; ``ties`` likewise.
    :returns: ``(draws, M)``; NaN in draws in which a score would be infinite.
    :raises MetricError: as :func:`fit`, or fewer than two tables.
    """
    wins, ties = _checked(wins, ties)
    if len(wins) < 2:
        raise MetricError(f"found {len(wins)} table; expected at least 2 subjects or raters to draw from")
    random = np.random.default_rng(seed)
    scores = np.full((draws, wins.shape[-1]), np.nan)
    for row in scores:
        chosen = random.integers(len(wins), size=len(wins))
        total, tied = wins[chosen].sum(axis=0), ties[chosen].sum(axis=0)
        if _groups(total, tied, "strong") == 1:
            row[:] = fit(total, tied).scores
    return scores


def _log_likelihood(free: Float, design: Float, total: Float) -> float:
    predicted = design @ free
    return float((total * (predicted - logsumexp(predicted, axis=1, keepdims=True))).sum())


def _derivatives(free: Float, design: Float, total: Float) -> tuple[Float, Float]:
    """Gradient of the log likelihood and the information, which is minus its second derivative."""
    predicted = design @ free
    expected = np.exp(predicted - logsumexp(predicted, axis=1, keepdims=True))
    judged = total.sum(axis=1)
    mean = np.einsum("po,pok->pk", expected, design)
    gradient = np.einsum("po,pok->k", total, design) - judged @ mean
    second = np.einsum("p,po,pok,pol->kl", judged, expected, design, design)
    return gradient, second - np.einsum("p,pk,pl->kl", judged, mean, mean)


def _checked(wins: Counts, ties: Counts | None) -> tuple[Counts, Counts]:
    wins = np.asarray(wins)
    wins = wins[None] if wins.ndim == 2 else wins
    ties = np.zeros_like(wins) if ties is None else np.asarray(ties).reshape(wins.shape)
    if wins.ndim != 3 or wins.shape[1] != wins.shape[2] or wins.shape[1] < 2:
        raise MetricError(f"wins have the shape {wins.shape}; expected (M, M) or (N, M, M) with at least 2 methods")
    if (wins < 0).any() or (ties < 0).any() or np.diagonal(wins + ties, axis1=1, axis2=2).any():
        raise MetricError("expected counts of 0 or more, and 0 of a method against itself")
    if (ties != np.swapaxes(ties, 1, 2)).any():
        raise MetricError("the table of ties is not symmetric; expected each tie to stand on both sides")
    return wins, ties


def _groups(wins: Counts, ties: Counts, connection: str) -> int:
    return int(connected_components(wins + ties, connection=connection)[0])


def _require_connected(wins: Counts, ties: Counts, names: Sequence[str]) -> None:
    """There is a finite maximum only where every method can be reached from every other along preferences."""
    count, group = connected_components(wins + ties, connection="weak")
    if count > 1:
        parts = " | ".join(", ".join(np.array(names)[group == i]) for i in range(count))
        raise MetricError(
            f"the comparisons fall into {count} groups without a vote between them: {parts}; expected votes that link "
            "all methods: collect some, or fit each group by itself"
        )
    count, group = connected_components(wins + ties, connection="strong")
    if count > 1:
        parts = " | ".join(", ".join(np.array(names)[group == i]) for i in range(count))
        raise MetricError(
            f"between these groups of methods, every vote went the same way: {parts}; the difference of their scores "
            "has no finite estimate: use tfg.study.votes.win_share, or pool more votes"
        )
