"""Unsteadiness in numbers, on scales on which two experts may be compared.

The standard deviation of the cosine alone would mislead: an expert that gives 0.5 to everything has none. An expert's
scale is set by the distance between pairs in sync and pairs that are off, so the spread is read against that distance
(d'), or dropped altogether (AUC, which only asks for the order). The loss is compared as it acts on a generator.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kurtosis
from sklearn.metrics import roc_auc_score

from tfg.errors import MetricError

Array = NDArray[np.floating]

NEAR_ZERO = 0.1  # a cosine below this is "near zero": its loss is above 2.3 nats
TAIL = 0.05  # share of the values that the tail index looks at ...
FEWEST = 10  # ... and at least so many of them


def describe_cosines(cosines: Array) -> dict[str, float]:
    """Spread of the cosines of matching pairs.

    :returns: ``windows``, ``mean``, ``std``, ``cv`` (coefficient of variation: std over mean), ``min``, ``q05``,
        ``q50``, ``q95``, ``share_nonpositive`` (<= 0), ``share_near_zero`` (< 0.1) and ``pull_index``: the
        :func:`tail_index` of ``1 / CS``, the factor by which ``-log CS`` multiplies the gradient, over the windows that
        have a gradient (CS > 0); NaN where these are too few.
    """
    values = _values(cosines)
    low, median, high = np.quantile(values, (0.05, 0.5, 0.95))
    return {
        "windows": float(len(values)),
        "mean": float(values.mean()),
        "std": float(values.std()),
        "cv": float(values.std() / values.mean()),
        "min": float(values.min()),
        "q05": float(low),
        "q50": float(median),
        "q95": float(high),
        "share_nonpositive": float((values <= 0).mean()),
        "share_near_zero": float((values < NEAR_ZERO).mean()),
        "pull_index": tail_index(1 / values[values > 0]) if (values > 0).sum() > FEWEST else float("nan"),
    }


def describe_losses(losses: Array) -> dict[str, float]:
    """Spread and tail of the sync losses of matching pairs.

    :returns: ``mean``, ``std``, ``cv``, ``q50``, ``q95``, ``q99``, ``max``, ``excess_kurtosis`` (0 for a normal
        distribution, 6 for an exponential one) and ``worst_tenth`` (share of the total loss that the largest tenth has;
        0.1 if all are equal, 0.33 for an exponential distribution).
    """
    values = _values(losses)
    median, high, higher = np.quantile(values, (0.5, 0.95, 0.99))
    worst = np.sort(values)[-max(1, round(0.1 * len(values))) :]
    return {
        "mean": float(values.mean()),
        "std": float(values.std()),
        "cv": float(values.std() / values.mean()),
        "q50": float(median),
        "q95": float(high),
        "q99": float(higher),
        "max": float(values.max()),
        "excess_kurtosis": float(kurtosis(values)),
        "worst_tenth": float(worst.sum() / values.sum()),
    }


def tail_index(values: Array, share: float = TAIL) -> float:
    """Hill's estimate of ``a`` in ``P(X > x) ~ x^-a``: the smaller, the heavier the tail.

    Below 2 the variance is infinite, below 1 the mean: averages over a batch never settle.

    :param values: positive.
    :param share: of the largest values that are used (at least ten of them).
    :returns: positive; NaN when the largest values are all equal.
    :raises MetricError: fewer than eleven values, or values that are not positive.

    Source: Hill, Annals of Statistics 3 (1975).
    """
    ordered = np.sort(_values(values))[::-1]
    count = max(FEWEST, round(share * len(ordered)))
    if len(ordered) <= count or ordered[-1] <= 0:
        raise MetricError(f"{len(ordered)} values from {ordered[-1]:g}; expected more than {count}, all positive")
    excess = float(np.log(ordered[:count] / ordered[count]).mean())
    return 1 / excess if excess > 0 else float("nan")


class Separation(NamedTuple):
    """How far pairs in sync lie from pairs that are off."""

    auc: float  #: probability that a pair in sync has the larger cosine; 0.5 is chance
    d_prime: float  #: difference of the means over the pooled standard deviation
    matching: float  #: mean cosine in sync
    off: float  #: mean cosine of pairs that are off: the chance level


def separation(matching: Array, off: Array) -> Separation:
    """Compare the cosines of pairs in sync with those of pairs 5 to 15 frames off (:func:`off_cosines`).

    d' is in units of spread, so neither a shift nor a scale of the cosine changes it; the pooled variance is the mean
    of the two sets' variances.
    """
    a, b = _values(matching), _values(off)
    truth = np.concatenate([np.ones(len(a)), np.zeros(len(b))])
    spread = float(np.sqrt((a.var() + b.var()) / 2))
    distance = float(a.mean() - b.mean())
    auc = float(roc_auc_score(truth, np.concatenate([a, b])))
    return Separation(auc, distance / max(spread, 1e-12), float(a.mean()), float(b.mean()))


def _values(values: Array) -> NDArray[np.float64]:
    array = np.asarray(values, np.float64).ravel()
    if len(array) == 0 or not np.isfinite(array).all():
        broken = int((~np.isfinite(array)).sum())
        raise MetricError(
            f"{len(array)} values, {broken} of them not finite; expected finite ones: leave out what has no value"
        )
    return array
