"""Figures of dubbing: what is heard when, what is shown when, what silence does, what gives a dubbed film away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tfg.plots.style import COLOURS, LIPS, MUTED, SOUND, TRUTH, figure

Float = NDArray[np.floating[Any]]
Integers = NDArray[np.int64]
Groups = Mapping[str, Sequence[float]]


def hearing(rates: Mapping[str, tuple[Float, Float]], length: float) -> Figure:
    """What each picture hears, at several frame rates.

    :param rates: a title -> middles of the pictures and starts of their windows, ``(P,)`` each, in seconds.
    :param length: of a window, in seconds.
    """
    with figure(1, len(rates), size=(3.1 * len(rates), 2.6), sharex=True, sharey=True, squeeze=False) as (fig, axes):
        for number, (ax, (name, (middles, starts))) in enumerate(zip(axes[0], rates.items(), strict=True)):
            rows = np.arange(len(middles))
            ax.hlines(rows, starts, starts + length, color=SOUND, lw=5, alpha=0.5, label="what it hears")
            ax.plot(middles, rows, "|", color=LIPS, ms=9, mew=2, label="middle of the picture")
            ax.set(title=name, xlabel="time (s)")
            ax.grid(visible=False, axis="y")
            if number == 0:
                ax.set_ylabel("picture")
        axes[0, 0].invert_yaxis()
        handles, labels = axes[0, 0].get_legend_handles_labels()
        fig.legend(handles, labels, fontsize=8, loc="outside lower center", ncols=2)
    return fig


def order(times: Float, index: Integers) -> Figure:
    """Which picture of the input is shown when.

    :param times: ``(P,)``, in seconds.
    :param index: ``(P,)``, numbers of pictures.
    """
    with figure(size=(5.4, 2.2)) as (fig, ax):
        ax.plot(times, index, ".", ms=3, color=LIPS)
        ax.set(
            title="Back and forth until the sound ends", xlabel="time in the film (s)", ylabel="picture of the input"
        )
    return fig


def openings(curves: Mapping[str, Float], level: Float, rate: float, silence: Sequence[tuple[float, float]]) -> Figure:
    """The mouth over time, above the sound.

    :param curves: a name -> ``(T,)`` opening of the mouth, in eye-corner distances.
    :param level: ``(T,)`` of the sound, in dB.
    :param rate: values per second of both.
    :param silence: stretches (from, to) in seconds, shaded.
    """
    with figure(2, 1, size=(6.6, 3.3), sharex=True, height_ratios=(2, 1)) as (fig, (above, below)):
        for (name, values), colour in zip(curves.items(), (MUTED, LIPS, TRUTH), strict=False):
            above.plot(np.arange(len(values)) / rate, values, color=colour, label=name)
        below.plot(np.arange(len(level)) / rate, level, color=SOUND)
        for ax in (above, below):
            for first, last in silence:
                ax.axvspan(first, last, color=SOUND, alpha=0.1, lw=0)
        above.set(title="The mouth (shaded: silence)", ylabel="opening\n(eye-corner distances)")
        above.legend(fontsize=8, loc="upper right", ncols=2)
        above.set_ylim(top=1.25 * above.get_ylim()[1])
        below.set(title="The sound", ylabel="level (dB)", xlabel="time (s)")
    return fig


def stage_times(stages: Mapping[str, float], seconds: float, goal: float) -> Figure:
    """Where the time went, in units of the film's length.

    :param stages: a name -> seconds.
    :param seconds: length of the film.
    :param goal: that length times how much the whole may take.
    """
    with figure(size=(7.6, 1.7)) as (fig, ax):
        left = 0.0
        for (name, took), colour in zip(stages.items(), (*COLOURS, MUTED), strict=False):
            ax.barh(0, took / seconds, left=left, color=colour, label=name)
            left += took / seconds
        for place, name in ((1.0, "as long as the film"), (goal, f"{goal:g} times")):
            ax.axvline(place, color="black", lw=1, ls="--")
            ax.text(place, 0.48, f" {name}", fontsize=8, va="bottom")
        ax.set(title=" \n", xlabel="time on this machine / length of the film", ylim=(-0.5, 0.5))
        ax.set_xlim(0, max(1.15 * goal, 1.05 * left))
        ax.set_yticks([])
        ax.legend(fontsize=8, ncols=1, loc="center left", bbox_to_anchor=(1, 0.5))
    return fig


def real_and_dubbed(measures: Mapping[str, Groups]) -> Figure:
    """Each film a dot: can a number tell kinds of films apart?

    :param measures: a measure -> kinds of films -> one value per film.
    """
    with figure(1, len(measures), size=(2.7 * len(measures), 3.0), squeeze=False) as (fig, axes):
        for number, (ax, (name, kinds)) in enumerate(zip(axes[0], measures.items(), strict=True)):
            for row, (kind, colour) in enumerate(zip(kinds, (TRUTH, LIPS, *COLOURS[3:]), strict=False)):
                values = np.asarray(kinds[kind], float)
                ax.plot(row + np.linspace(-0.15, 0.15, len(values)), values, "o", color=colour, alpha=0.8)
            ax.set_title(name, fontsize=10)
            ax.set_xticks(range(len(kinds)), list(kinds), rotation=25, ha="right", fontsize=8)
            ax.margins(x=0.2)
            if number == 0:
                ax.set_ylabel("value of the measure")
    return fig


def mark_scores(found: Groups, threshold: float) -> Figure:
    """How clearly the mark is found after each change; each film a dot.

    :param found: a change -> scores, in standard deviations.
    """
    with figure(size=(7.4, 0.28 * len(found) + 1.1)) as (fig, ax):
        for row, values in enumerate(found.values()):
            colour = TRUTH if min(values) > threshold else LIPS
            ax.plot(values, np.full(len(values), row), "o", color=colour, alpha=0.8)
        ax.axvline(threshold, color="black", lw=1, ls="--")
        ax.set(title=f"The invisible mark (dashed: found from {threshold:g} on)", xlabel="score (standard deviations)")
        ax.set_yticks(range(len(found)), list(found), fontsize=9)
        ax.invert_yaxis()
    return fig
