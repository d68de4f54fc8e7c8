"""Figures of the chapter *What each loss is good for*: levels, two judges, differences, seeds, learning curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from tfg.evaluation.table import Cell, Column
from tfg.plots.style import COLOURS, LIPS, MUTED, SOUND, TRUTH, figure
from tfg.studies.ablation import Contrast

BETTER = {1: "higher is better", -1: "lower is better", 0: "real: 1"}
MARKS = "osD^vPXp<>"

Cells = Mapping[str, Mapping[str, Cell]]  # row -> column's title -> cell


def levels(cells: Cells, columns: Sequence[Column], bounds: Mapping[str, str], columns_of_panels: int = 4) -> Figure:
    """Means with intervals over clips, a panel for each metric.

    :param bounds: rows that are drawn as vertical lines -> colour; left out where they lie far from all others.
    """
    rows = [row for row in cells if row not in bounds]
    places = np.arange(len(rows))[::-1]
    panels = -(-len(columns) // columns_of_panels)
    size = (9.6, panels * (0.25 * len(rows) + 0.75) + 0.4)
    with figure(panels, columns_of_panels, size=size, sharey=True, squeeze=False) as (fig, axes):
        for ax, column in zip(axes.flat, columns, strict=False):
            found = [cells[row][column.title] for row in rows]
            for place, cell in zip(places, found, strict=True):
                ax.plot([cell.low, cell.high], [place] * 2, color=SOUND, lw=2)
                ax.plot(cell.mean, place, "o", color=SOUND, ms=5)
            means = [cell.mean for cell in found]
            reach = 3 * (max(means) - min(means))
            for row, colour in bounds.items():
                value = cells[row][column.title].mean
                if min(means) - reach <= value <= max(means) + reach:
                    ax.axvline(value, color=colour, ls="--", lw=1.5, label=row)
            ax.set_title(f"{column.title} ({BETTER[column.sign]})", fontsize=9)
            ax.tick_params(axis="x", labelsize=8)
        for ax in axes.flat[len(columns) :]:
            ax.set_axis_off()
        for row_of_axes in axes:
            row_of_axes[0].set_yticks(places, rows, fontsize=9)
        _legend(fig, axes)
    return fig


def judges(cells: Cells, x: Column, y: Column, bounds: Mapping[str, str]) -> Figure:
    """Every row as a cross in the plane of two judges.

    :param bounds: rows drawn as a large star -> colour.
    """
    with figure(size=(8.2, 4.0)) as (fig, ax):
        for index, (row, found) in enumerate(cells.items()):
            a, b = found[x.title], found[y.title]
            colour = bounds.get(row, COLOURS[index % len(COLOURS)])
            ax.plot([a.low, a.high], [b.mean] * 2, color=colour, lw=1.2, alpha=0.5)
            ax.plot([a.mean] * 2, [b.low, b.high], color=colour, lw=1.2, alpha=0.5)
            mark, size = ("*", 14) if row in bounds else (MARKS[index % len(MARKS)], 7)
            ax.plot(a.mean, b.mean, mark, color=colour, ms=size, ls="", label=row)
        ax.set(
            title="One mark per training run, judged by two experts",
            xlabel=f"{x.title} (mean over clips, by AV-HuBERT)",
            ylabel=f"{y.title} (mean over clips, by SyncNet)",
        )
        ax.legend(fontsize=9, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return fig


def differences(found: Mapping[str, Mapping[str, Contrast]], columns: Sequence[Column], base: str) -> Figure:
    """Each row less ``base``: the number, and a colour for better or worse, scaled within each column (none where
    neither direction is better)."""
    rows, titles = list(found), [column.title for column in columns]
    table = np.array([[column.sign * found[row][column.title].mean for column in columns] for row in rows])
    shade = table / np.maximum(np.abs(table).max(axis=0), 1e-12)
    with figure(size=(1.0 * len(titles) + 2.6, 0.4 * len(rows) + 1.2)) as (fig, ax):
        ax.imshow(shade, cmap="PuOr", vmin=-1.3, vmax=1.3, aspect="auto")
        for (i, j), value in np.ndenumerate(shade):
            contrast = found[rows[i]][titles[j]]
            unclear = contrast.low <= 0 <= contrast.high
            text = f"{contrast.mean:+.{columns[j].digits}f}"
            ax.text(j, i, f"({text})" if unclear else text, ha="center", va="center", fontsize=9,
                    color="white" if abs(value) > 0.8 else "black")  # fmt: skip
        ax.grid(False)
        ax.set_xticks(range(len(titles)), titles, rotation=25, ha="right")
        ax.set_yticks(range(len(rows)), rows)
        ax.set_title(f"Less “{base}”: violet is better, orange worse", fontsize=10)
    return fig


def seeds(curves: Mapping[str, Mapping[str, Mapping[str, Sequence[float]]]], base: str) -> Figure:
    """Held-out L1 at the end of every run that got there, a dot per seed, and how far two seeds of ``base`` are apart.

    :param curves: condition -> seed -> ``looks`` and ``held_out/l1``.
    """
    last = max(look for runs in curves.values() for curve in runs.values() for look in curve["looks"])
    ends = {
        condition: {seed: curve["held_out/l1"][-1] for seed, curve in runs.items() if curve["looks"][-1:] == [last]}
        for condition, runs in curves.items()
    }
    rows = [condition for condition, found in ends.items() if found]
    places = np.arange(len(rows))[::-1]
    with figure(size=(7.6, 0.27 * len(rows) + 1.3)) as (fig, ax):
        if len(ends[base]) > 1:
            ax.axvspan(min(ends[base].values()), max(ends[base].values()), color=MUTED, alpha=0.2, lw=0,
                       label=f"between the seeds of “{base}”")  # fmt: skip
        for index, seed in enumerate(sorted({seed for found in ends.values() for seed in found})):
            here = [(ends[row][seed], place) for row, place in zip(rows, places, strict=True) if seed in ends[row]]
            ax.plot(
                *np.array(here).T, "oDs"[index % 3], color=COLOURS[index % len(COLOURS)], ms=6, label=f"seed {seed}"
            )
        ax.set_yticks(places, rows)
        ax.set(title=f"Lower half of held-out faces after step {last:.0f}", xlabel="mean absolute difference (L1)")
        ax.legend(fontsize=9, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return fig


def trainings(
    means: Mapping[str, Mapping[str, NDArray[np.float64]]],
    contrasts: Mapping[str, Mapping[str, Contrast]],
    columns: Sequence[Column],
    base: str,
    columns_of_panels: int = 4,
) -> Figure:
    """Each row less ``base``: a dot per seed, and the mean with its interval over trainings."""
    rows = list(contrasts)
    places = np.arange(len(rows))[::-1]
    panels = -(-len(columns) // columns_of_panels)
    size = (9.6, panels * (0.25 * len(rows) + 0.75) + 0.2)
    with figure(panels, columns_of_panels, size=size, sharey=True, squeeze=False) as (fig, axes):
        for ax, column in zip(axes.flat, columns, strict=False):
            ax.axvline(0, color=MUTED, lw=1)
            for row, place in zip(rows, places, strict=True):
                contrast = contrasts[row][column.title]
                clear = contrast.low > 0 or contrast.high < 0
                colour = LIPS if clear else MUTED
                ax.plot([contrast.low, contrast.high], [place] * 2, color=colour, lw=2)
                gaps = means[row][column.title] - means[base][column.title]
                ax.plot(gaps, [place] * len(gaps), "o", color=colour, ms=3.5, mfc="white")
            ax.set_title(f"{column.title} ({BETTER[column.sign]})", fontsize=9)
            ax.xaxis.set_major_locator(MaxNLocator(3))
            ax.tick_params(axis="x", labelsize=8)
        for ax in axes.flat[len(columns) :]:
            ax.set_axis_off()
        for row_of_axes in axes:
            row_of_axes[0].set_yticks(places, rows, fontsize=9)
        fig.supxlabel(f"less “{base}” of the same seed", fontsize=9)
    return fig


def learning(curves: Mapping[str, Mapping[str, Sequence[float | None]]], key: str, label: str, title: str) -> Figure:
    """One curve for each run, as far as it got.

    :param curves: run -> ``step`` and ``key``; nothing is drawn where a value is missing.
    """
    with figure(size=(7, 3)) as (fig, ax):
        for (run, curve), colour in zip(curves.items(), (SOUND, LIPS, TRUTH, *COLOURS[3:]), strict=False):
            values = np.array(curve[key], float)
            ax.plot(curve["step"], np.where(values == 0, np.nan, values), color=colour, label=run)
        ax.set(title=title, xlabel="step", ylabel=label)
        ax.legend(fontsize=9)
    return fig


def _legend(fig: Figure, axes: Any) -> None:
    known: dict[str, Any] = {}
    for ax in axes.flat:
        handles, labels = ax.get_legend_handles_labels()
        known |= dict(zip(labels, handles, strict=True))
    if known:
        fig.legend(list(known.values()), list(known), loc="outside lower center", ncols=len(known), fontsize=9)
