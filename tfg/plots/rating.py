"""Figures of a study in the making: who is shown what, and how raters went about it."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from tfg.plots.style import LIPS, MUTED, SOUND, figure


def visits(tables: Mapping[str, NDArray[np.int64]], pairs: Sequence[str], subjects: Sequence[str]) -> Figure:
    """How often each pair of methods was shown on each subject, one panel for each plan, one scale for all.

    :param tables: title -> ``(P, S)``, as :meth:`tfg.rating.Design.visits` gives it.
    :param pairs: names of the rows; ``subjects``: of the columns.
    """
    top = max(int(table.max()) for table in tables.values())
    size = (1.6 + 0.62 * len(subjects) * len(tables), 1.5 + 0.32 * len(pairs))
    with figure(1, len(tables), size=size, sharey=True, squeeze=False) as (fig, axes):
        for ax, (title, table) in zip(axes[0], tables.items(), strict=True):
            ax.imshow(table, cmap="Blues", vmin=0, vmax=top, aspect="auto")
            for (row, column), count in np.ndenumerate(table):
                ax.text(column, row, count, ha="center", va="center", fontsize=9,
                        color="white" if count > 0.6 * top else "black")  # fmt: skip
            ax.grid(False)
            ax.set_title(title)
            ax.set_xticks(range(len(subjects)), subjects, rotation=30, ha="right")
            ax.set_yticks(range(len(pairs)), pairs)
            ax.set_xlabel("subject")
    return fig


def trial_times(seconds: Mapping[str, Sequence[float]], failed: Container[str]) -> Figure:
    """Seconds that each rater took for each trial, raters in the order of their medians.

    :param seconds: rater -> times.
    :param failed: raters who failed a check.
    """
    raters = sorted(seconds, key=lambda rater: float(np.median(seconds[rater])))
    with figure(size=(7, 1.3 + 0.19 * len(raters))) as (fig, ax):
        for row, rater in enumerate(raters):
            colour = LIPS if rater in failed else SOUND
            ax.plot(seconds[rater], [row] * len(seconds[rater]), "o", ms=3, alpha=0.5, color=colour)
            ax.plot(np.median(seconds[rater]), row, "|", ms=12, mew=2, color=colour)
        ax.set_xscale("log")
        ticks = [t for t in (2, 5, 10, 20, 50, 100, 200) if ax.get_xlim()[0] < t < ax.get_xlim()[1]]
        ax.set_xticks(ticks, [str(t) for t in ticks])
        ax.set_xticks([], minor=True)
        ax.set_yticks([])
        ax.set(title="How long each rater took", xlabel="seconds a trial, both videos included (logarithmic)")
        ax.set_ylabel("raters, the fastest below")
        handles = [
            Line2D([], [], color=SOUND, marker="o", ls="", label="passed all checks"),
            Line2D([], [], color=LIPS, marker="o", ls="", label="failed a check"),
            Line2D([], [], color=MUTED, marker="|", ms=10, mew=2, ls="", label="median"),
        ]
        fig.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=9)
    return fig
