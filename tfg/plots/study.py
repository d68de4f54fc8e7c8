"""Figures of the chapter *Do the metrics agree with people?*: votes, scores, agreement, comparisons, power."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from tfg.plots.style import ACCENT, COLOURS, LIPS, MUTED, SOUND, TRUTH, figure
from tfg.study.bradley_terry import BradleyTerry
from tfg.study.comparison import Pairwise, Report
from tfg.study.correlation import interval, within, within_pearson

Float = NDArray[np.float64]
DOTS = "osD^vPX*"
NORMAL = 1.96  # standard errors to either side of a 95% interval
SIZES = (6, 10)  # subjects, marked in the figures of power


def rankings(titles: Sequence[str], questions: Mapping[str, tuple[BradleyTerry, Float]]) -> Figure:
    """Bradley-Terry scores of each method, for each question, with two intervals.

    :param titles: of the methods.
    :param questions: title -> (the fit, scores of resampled subjects ``(draws, M)``).
    """
    places = np.arange(len(titles))[::-1]
    with figure(1, len(questions), size=(9, 2.6), sharey=True, squeeze=False) as (fig, axes):
        for ax, (question, (fit, drawn)) in zip(axes[0], questions.items(), strict=True):
            for place, score, error, draws in zip(places, fit.scores, fit.errors, drawn.T, strict=True):
                ax.plot(interval(draws), [place] * 2, color=SOUND, lw=1.5)
                ax.plot([score - NORMAL * error, score + NORMAL * error], [place] * 2, color=LIPS, lw=5, alpha=0.5)
                ax.plot(score, place, "o", color="black", ms=5)
            ax.axvline(0, color=MUTED, lw=1, ls=":")
            ax.set(title=question, xlabel="score (log-odds)", yticks=places, yticklabels=titles)
            ax.set_ylim(-0.6, len(titles) - 0.4)
        handles = [
            Line2D([], [], color=LIPS, lw=5, alpha=0.5, label="95% if all votes were independent"),
            Line2D([], [], color=SOUND, lw=1.5, label="95% over subjects drawn anew"),
        ]
        fig.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=9)
    return fig


def shares(people: Float, subjects: Sequence[str], methods: Sequence[str]) -> Figure:
    """Share of votes that each method won on each subject, as a table of colours.

    :param people: ``(S, M)`` in [0, 1].
    """
    with figure(size=(5.6, 3.4)) as (fig, ax):
        image = ax.imshow(people, cmap="PuOr", vmin=0, vmax=1, aspect="auto")
        for (row, column), share in np.ndenumerate(people):
            ax.text(column, row, f"{share:.0%}", ha="center", va="center", fontsize=9,
                    color="white" if abs(share - 0.5) > 0.33 else "black")  # fmt: skip
        ax.grid(False)
        ax.set_xticks(range(len(methods)), methods)
        ax.set_yticks(range(len(subjects)), subjects)
        ax.set_title("Share of lip-sync votes won")
        fig.colorbar(image, ax=ax, format="{x:.0%}", label="votes won")
    return fig


def against_votes(people: Float, metrics: Mapping[str, tuple[Float, int]], methods: Sequence[str]) -> Figure:
    """Metrics against shares of votes, each subject's mean taken off.

    :param people: ``(S, M)``.
    :param metrics: title -> (scores ``(S, M)`` as they are, +1 where higher is better, else -1).
    """
    columns = 4
    rows = -(-len(metrics) // columns)
    with figure(rows, columns, size=(9, 2.35 * rows + 0.5), sharey=True, squeeze=False) as (fig, axes):
        for ax, (title, (scores, sign)) in zip(axes.flat, metrics.items(), strict=False):
            moved = within(scores)
            for column, method in enumerate(methods):
                ax.scatter(moved[:, column], within(people)[:, column], s=24, marker=DOTS[column],
                           color=COLOURS[column], label=method)  # fmt: skip
            ax.axhline(0, color=MUTED, lw=0.8)
            ax.axvline(0, color=MUTED, lw=0.8)
            arrow = "" if sign > 0 else " (lower is better)"
            ax.set_title(f"{title}\nr = {sign * float(within_pearson(people, scores)):+.2f}{arrow}", fontsize=9)
        for ax in axes.flat[len(metrics) :]:
            ax.set_axis_off()
        for row in axes:
            row[0].set_ylabel("votes won")
        handles, labels = axes[0, 0].get_legend_handles_labels()
        fig.supxlabel("score, less the subject's mean", fontsize=10)
        fig.legend(handles, labels, loc="outside upper center", ncols=len(methods), fontsize=9)
    return fig


def agreement(reports: Mapping[str, Report], name_alone: Report, highlight: Sequence[str] = ()) -> Figure:
    """Each metric's agreement with the majority and its correlation within subjects, with intervals.

    :param reports: title -> report, drawn from top to bottom.
    :param name_alone: of what knowing the method's name tells, drawn as a dashed line.
    :param highlight: titles drawn in another colour.
    """
    places = np.arange(len(reports))[::-1]
    with figure(1, 2, size=(9, 0.26 * len(reports) + 1.4), sharey=True) as (fig, (left, right)):
        for place, (title, row) in zip(places, reports.items(), strict=True):
            colour = TRUTH if title in highlight else SOUND
            for ax, value, bounds in (
                (left, row.agreement.majority, row.majority),
                (right, row.pearson, row.pearson_interval),
            ):
                ax.plot(bounds, [place] * 2, color=colour, lw=2)
                ax.plot(value, place, "o", color=colour, ms=5)
        for ax, chance, known in ((left, 0.5, name_alone.agreement.majority), (right, 0.0, name_alone.pearson)):
            ax.axvline(chance, color=MUTED, ls=":", lw=1.3, label="chance")
            ax.axvline(known, color=ACCENT, ls="--", lw=1.3, label="the method's name alone")
        left.set(title="Agreement with the majority", xlabel="share of pairs", xlim=(0.25, 1))
        left.set_yticks(places, list(reports))
        right.set(title="Correlation within subjects", xlabel="Pearson's r with votes won", xlim=(-0.6, 1))
        handles, labels = left.get_legend_handles_labels()
        fig.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=9)
    return fig


def differences(found: Pairwise, titles: Sequence[str]) -> Figure:
    """How much better the row's metric correlates with people than the column's, and where that can be told.

    :param titles: of ``found.names``.
    """
    size = len(found.names)
    table = np.full((size, size), np.nan)
    marks = np.full((size, size), "", object)
    for (first, second), test in found.tests.items():
        i, j = found.names.index(first), found.names.index(second)
        table[i, j], table[j, i] = test.difference, -test.difference
        mark = "**" if found.adjusted[first, second] < 0.05 else "*" if test.p < 0.05 else ""
        marks[i, j] = marks[j, i] = mark
    with figure(size=(0.56 * size + 2.4, 0.4 * size + 1.8)) as (fig, ax):
        image = ax.imshow(table, cmap="PuOr", vmin=-1, vmax=1, aspect="auto")
        for (i, j), value in np.ndenumerate(table):
            if i != j:
                ax.text(j, i, f"{value:+.2f}{marks[i, j]}", ha="center", va="center", fontsize=8,
                        color="white" if abs(value) > 0.66 else "black")  # fmt: skip
        ax.grid(False)
        ax.set_xticks(range(size), titles, rotation=35, ha="right")
        ax.set_yticks(range(size), titles)
        ax.set_title("Correlation of the row less that of the column")
        fig.colorbar(image, ax=ax, label="difference of r")
    return fig


def without_each(found: Mapping[str, tuple[float, Float, Float]], methods: Sequence[str]) -> Figure:
    """How the correlations change when one subject, or one method, is left out.

    :param found: title -> (correlation of all, without each subject ``(S,)``, without each method ``(M,)``).
    """
    places = np.arange(len(found))[::-1]
    with figure(1, 2, size=(9, 0.29 * len(found) + 1.6), sharey=True, sharex=True) as (fig, (left, right)):
        for place, (every, subjects, without) in zip(places, found.values(), strict=True):
            for ax in (left, right):
                ax.plot(every, place, "|", color="black", ms=14, mew=2)
            left.plot(subjects, [place] * len(subjects), "o", color=SOUND, ms=5, alpha=0.6)
            for column, value in enumerate(without):
                right.plot(value, place, DOTS[column], color=COLOURS[column], ms=6)
        for ax in (left, right):
            ax.axvline(0, color=MUTED, ls=":", lw=1.3)
            ax.set_xlabel("Pearson's r within subjects")
        left.set_title("One subject left out")
        left.set_yticks(places, list(found))
        right.set_title("One method left out")
        handles = [Line2D([], [], color="black", marker="|", ls="", ms=14, mew=2, label="all")]
        handles += [
            Line2D([], [], color=COLOURS[i], marker=DOTS[i], ls="", label=f"without {method}")
            for i, method in enumerate(methods)
        ]
        fig.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=9)
    return fig


def power(
    subjects: Sequence[int], metrics: Mapping[str, Sequence[float]], methods: Mapping[str, Sequence[float]]
) -> Figure:
    """Share of simulated studies that decide, against their number of subjects.

    :param metrics: which two metrics -> power at each number of subjects; ``methods``: which gap -> likewise.
    """
    with figure(1, 2, size=(9, 4.1), sharey=True) as (fig, axes):
        titles = ("Which metric is better?", "Which method is better?")
        for ax, title, curves in zip(axes, titles, (metrics, methods), strict=True):
            ax.axvspan(*SIZES, color=MUTED, alpha=0.2, lw=0)
            ax.axhline(0.8, color=MUTED, ls=":", lw=1.3)
            for index, (name, values) in enumerate(curves.items()):
                ax.plot(subjects, values, marker=DOTS[index], ms=4, color=COLOURS[index], label=name)
            ax.set(title=title, xlabel="subjects", xscale="log", ylim=(0, 1.03))
            ax.set_xticks(subjects, [str(n) for n in subjects])
            ax.minorticks_off()
            ax.legend(fontsize=9, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2)
        axes[0].set_ylabel("share of studies that decide")
    return fig
