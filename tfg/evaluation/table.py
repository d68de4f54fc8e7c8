"""From numbers per clip to a table: means over the clips that every row has, with intervals, and paired differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from tfg.evaluation.pairs import CHANCE, REAL

Protocol = Literal["unbiased", "tracks", "lrs"]
PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)  # of LSE
Clips = Mapping[str, Mapping[str, float]]  # clip -> number -> value

RESAMPLES, LEVEL = 2000, 95.0  # of the bootstrap; per cent


class Column(NamedTuple):
    """A metric in the table."""

    key: str  #: of the numbers of a clip
    title: str
    sign: int  #: +1: higher is better, -1: lower is better
    digits: int


class Cell(NamedTuple):
    """A metric of one row."""

    mean: float  #: over clips, each counting once
    low: float | None  #: of the bootstrap interval; None where there is none (one clip, or FID)
    high: float | None
    clips: int
    best: bool = False  #: the best method, or one that these clips cannot tell from it


class Difference(NamedTuple):
    """Two rows on the same clips, ``a - b`` in one metric: every two methods, and the real videos and chance."""

    column: str
    a: str
    b: str
    mean: float
    low: float
    high: float


def columns(lse: Protocol) -> list[Column]:
    """The paper's columns, with LSE in one of its protocols."""
    return [
        Column("ssim", "SSIM", 1, 3),
        Column("psnr", "PSNR", 1, 2),
        Column("fid", "FID", -1, 2),
        Column("lmd_mouth", "LMD", -1, 3),
        Column(f"lse_c_{lse}", "LSE-C", 1, 3),
        Column(f"lse_d_{lse}", "LSE-D", -1, 3),
        Column("avs_u", "AVS_u", 1, 3),
        Column("avs_m", "AVS_m", 1, 3),
        Column("avs_v", "AVS_v", 1, 3),
    ]


def complete_clips(found: Mapping[str, Mapping[str, object]]) -> tuple[list[str], dict[str, dict[str, str]]]:
    """The clips that every row has numbers of, and why the others are left out of every row.

    :param found: clip -> row -> numbers, or a reason.
    :returns: names, and clip -> row -> reason.
    """
    reasons = {name: {row: why for row, why in rows.items() if isinstance(why, str)} for name, rows in found.items()}
    return [name for name, why in reasons.items() if not why], {name: why for name, why in reasons.items() if why}


def table(
    rows: Mapping[str, Clips], wanted: Sequence[Column], seed: int = 0
) -> tuple[dict[str, dict[str, Cell]], list[Difference]]:
    """Means with percentile bootstrap intervals over clips, and the paired differences of every two methods.

    Every cell of a column is a mean over the same clips: those that have this number in every row. All rows are
    resampled together, so a difference is of the same clips; methods whose interval of the difference to the best mean
    includes 0 are marked as best too. With a handful of clips the intervals are too narrow: a bootstrap knows only the
    talkers that are there.

    :param rows: row -> clip -> number -> value; the same clips in each.
    :returns: row -> title -> cell (a column that no clip has is left out), and the differences.
    """
    draw = np.random.default_rng(seed)
    names = list(next(iter(rows.values())))
    methods = [row for row in rows if row not in (REAL, CHANCE)]
    cells: dict[str, dict[str, Cell]] = {row: {} for row in rows}
    differences = []
    for column in wanted:
        common = [name for name in names if all(column.key in clips[name] for clips in rows.values())]
        if not common:
            continue
        values = {row: np.array([clips[name][column.key] for name in common]) for row, clips in rows.items()}
        picks = draw.integers(0, len(common), (RESAMPLES, len(common)))
        compared = [(a, b) for i, a in enumerate(methods) for b in methods[i + 1 :]]
        compared += [(REAL, CHANCE)] if {REAL, CHANCE} <= rows.keys() else []
        pairs = {(a, b): values[a] - values[b] for a, b in compared}
        spans = {pair: _interval(difference, picks) for pair, difference in pairs.items()}
        best = _best({method: float(values[method].mean()) for method in methods}, spans, column.sign)
        for row, of_row in values.items():
            low, high = _interval(of_row, picks) if len(common) > 1 else (None, None)
            cells[row][column.title] = Cell(float(of_row.mean()), low, high, len(common), row in best)
        if len(common) > 1:
            differences += [Difference(column.title, a, b, float(pairs[a, b].mean()), *spans[a, b]) for a, b in pairs]
    return cells, differences


def _interval(values: NDArray[np.float64], picks: NDArray[np.int64]) -> tuple[float, float]:
    means = values[picks].mean(axis=1)
    # an order statistic, not an interpolation: PSNR of the same picture is infinite
    low, high = np.percentile(means, [50 - LEVEL / 2, 50 + LEVEL / 2], method="nearest")
    return float(low), float(high)


def _best(means: Mapping[str, float], spans: Mapping[tuple[str, str], tuple[float, float]], sign: int) -> set[str]:
    """The method with the best mean, and the methods not told apart from it; empty for a single method."""
    if len(means) < 2:
        return set()
    first = max(means, key=lambda method: sign * means[method])
    near = {method for pair, (low, high) in spans.items() if first in pair and low <= 0 <= high for method in pair}
    return {first} | near
