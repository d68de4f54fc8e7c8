"""Figures of a generator's training: what a step is made of, what it costs, and how a run goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tfg.clip import Frames
from tfg.generator_inputs import IDENTITY_GAP
from tfg.plots.style import COLOURS, LIPS, MUTED, SOUND, TRUTH, figure, image_axes
from tfg.plots.training import running_mean

Integers = NDArray[np.integer]

#: Keys of a training log, and what they are called in figures.
TERMS = {
    "reconstruction": "reconstruction: mean absolute difference",
    "perceptual": "perceptual: difference of features",
    "sync": "sync: − log of the cosine",
    "cosine": "cosine that the expert sees",
    "adversarial": "adversarial: generator",
    "discriminator": "adversarial: discriminator",
    "seconds": "seconds per step",
}


def sample(faces: Frames, starts: Integers, identity: Integers, window_frames: int) -> Figure:
    """What a step draws from one clip: its windows, the reference of each, and what must not be a reference.

    :param faces: ``uint8 (T, S, S, 3)``, the clip.
    :param starts: ``(W,)``, where the windows begin.
    :param identity: ``(W,)``, the frame that serves each of them as identity reference.
    """
    count, length = len(starts), len(faces)
    columns = [0, window_frames // 2, window_frames - 1]
    widths = (5.2, 1, 0.12, 1, 1, 1)
    with figure(count, 6, size=(9.8, 1.02 * count + 0.7), width_ratios=widths, squeeze=False) as (fig, axes):
        grid = axes[0, 0].get_gridspec()
        for ax in axes[:, [0, 2]].ravel():
            ax.remove()
        time = fig.add_subplot(grid[:, 0])
        rows = np.arange(count)
        time.barh(rows, window_frames + 2 * IDENTITY_GAP, left=starts - IDENTITY_GAP, height=0.62, color=MUTED,
                  alpha=0.25, label="never its reference")  # fmt: skip
        time.barh(rows, window_frames, left=starts, height=0.62, color=LIPS, label="window, to be drawn")
        time.plot(identity + 0.5, rows, "o", color=TRUTH, ms=8, label="identity reference")
        time.set(xlim=(0, length), ylim=(count - 0.4, -0.6), xlabel="frame of the clip",
                 title="Windows of one clip in one step")  # fmt: skip
        time.set_yticks(rows, [f"window {i + 1}" for i in rows])
        time.legend(loc="upper center", bbox_to_anchor=(0.45, -0.2), ncols=3, fontsize=8, columnspacing=1)
        for i, start in enumerate(starts):
            shown = [identity[i], *(start + np.array(columns))]
            for ax, frame, word in zip(axes[i, [1, 3, 4, 5]], shown, ("identity", "first", "middle", "last"),
                                       strict=True):  # fmt: skip
                ax.imshow(faces[frame])
                image_axes(ax, "")
                ax.set_title(f"{word}\n{frame}" if i == 0 else f"{frame}", fontsize=8, loc="center")
    return fig


def schedules(curves: Mapping[str, Mapping[str, Sequence[float]]]) -> Figure:
    """What changes with the step: one panel for each quantity, one line for each run.

    :param curves: quantity -> run -> its value at every step.
    """
    with figure(1, len(curves), size=(9.4, 2.8), squeeze=False) as (fig, axes):
        for ax, (title, runs) in zip(axes[0], curves.items(), strict=True):
            for colour, (name, values) in zip(COLOURS, runs.items(), strict=False):
                ax.plot(np.arange(1, len(values) + 1), values, color=colour, label=name)
            ax.set(title=title, xlabel="step", ylim=(0, None))
        axes[0, 0].set_ylabel("value")
        axes[0, 0].legend(fontsize=8)
    return fig


def step_time(parts: Mapping[str, float]) -> Figure:
    """Where the time of a step goes, one part after the other.

    :param parts: what is done -> seconds.
    """
    seconds = np.array(list(parts.values()))
    ends = np.cumsum(seconds)
    rows = np.arange(len(parts))
    with figure(size=(8.6, 0.32 * len(parts) + 0.9)) as (fig, ax):
        ax.barh(rows, seconds, left=ends - seconds, height=0.7, color=[COLOURS[i % len(COLOURS)] for i in rows])
        for row, end, value in zip(rows, ends, seconds, strict=True):
            ax.text(end + 0.01 * ends[-1], row, f"{value:.2f} s", va="center", fontsize=9)
        ax.set_yticks(rows, list(parts))
        ax.set(xlim=(0, 1.12 * ends[-1]), ylim=(len(parts) - 0.4, -0.6), xlabel="seconds",
               title="A step, one part after the other")  # fmt: skip
    return fig


def terms(
    runs: Mapping[str, Mapping[str, Any]],
    keys: Sequence[str],
    *,
    axis: str = "step",
    edges: Mapping[str, float] | None = None,
    smooth: int = 1,
) -> Figure:
    """The terms of the loss in the course of one or several runs.

    :param runs: name -> columns of its log, all of one length; ``axis`` is one of them, and NaN or None is left out.
    :param keys: of :data:`TERMS`, one panel each; a run that lacks one is not in its panel.
    :param axis: what the horizontal axis counts; its words are the column's name.
    :param edges: word -> place on that axis where a new part of the runs begins, marked by a dashed line.
    :param smooth: points (odd) that are averaged.
    """
    across = min(len(keys), 3)
    down = -(-len(keys) // across)
    cuts = sorted((edges or {}).values())
    longest = max(columns[axis][-1] for columns in runs.values())
    with figure(down, across, size=(9.8, 2.35 * down + 0.35), squeeze=False) as (fig, axes):
        for ax in axes.ravel()[len(keys) :]:
            ax.remove()
        for ax, key in zip(axes.ravel(), keys, strict=False):
            for colour, (name, columns) in zip((TRUTH, LIPS, SOUND, *COLOURS[3:]), runs.items(), strict=False):
                places, values = np.array(columns[axis], float), np.array(columns.get(key, []), float)
                if not len(values):
                    continue
                parts = np.searchsorted(cuts, places)  # each part of a run is a line of its own
                label: str | None = name
                for part in np.unique(parts):
                    here = (parts == part) & ~np.isnan(values)
                    if not here.any():
                        continue
                    line = running_mean(values[here], smooth)
                    ax.plot(places[here], line, color=colour, lw=1.5, label=label)
                    label = None
            for place in cuts:
                ax.axvline(place, color="black", lw=0.8, ls="--", alpha=0.6)
            ax.set_title(TERMS[key], fontsize=9.5)
            ax.set(xlabel=axis, xlim=(0, longest))
        for word, place in (edges or {}).items():
            axes[0, 0].text(place, 0.97, f" {word}", fontsize=8, va="top", transform=axes[0, 0].get_xaxis_transform())
        if len(runs) > 1:
            handles, labels = axes[0, 0].get_legend_handles_labels()
            fig.legend(handles, labels, loc="outside lower center", ncols=len(runs))
    return fig
