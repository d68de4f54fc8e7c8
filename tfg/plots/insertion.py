"""Figures of the chapter *Windows in the whole video*: what is inserted, what it changes, what it costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from tfg.plots.style import COLOURS, LIPS, MUTED, SOUND, TRUTH, figure, image_axes

Float = NDArray[np.floating]
Picture = NDArray[np.uint8]


def inserted_window(rows: Mapping[str, Sequence[Picture]], numbers: Sequence[int], generated: Sequence[int]) -> Figure:
    """Consecutive frames and crops of them, with those that hold a generated face framed.

    :param rows: name -> a picture per frame, grey or RGB.
    :param numbers: of the frames.
    :param generated: those of them that are framed.
    """
    size = (1.15 * len(numbers) + 0.4, 1.25 * len(rows) + 0.35)
    with figure(len(rows), len(numbers), size=size, squeeze=False) as (fig, axes):
        for ax, number in zip(axes[0], numbers, strict=True):
            ax.set_title(str(number), loc="center", color=LIPS if number in generated else "black")
        for row, (name, pictures) in zip(axes, rows.items(), strict=True):
            for ax, number, picture in zip(row, numbers, pictures, strict=True):
                title = ax.get_title(loc="center")
                image_axes(ax, "")
                ax.set_title(title, loc="center", color=LIPS if number in generated else "black")
                ax.imshow(picture, cmap="gray", vmin=0, vmax=255)
                if number in generated:
                    height, width = picture.shape[:2]
                    ax.add_patch(
                        Rectangle((-0.5, -0.5), width, height, fill=False, edgecolor=LIPS, lw=4, clip_on=False)
                    )
            row[0].set_ylabel(name, fontsize=9)
    return fig


def what_changes(changes: Mapping[str, Float], starts: Sequence[int], k: int) -> Figure:
    """Which frames' features move when windows are inserted, stage by stage.

    :param changes: stage -> ``(T,)`` relative change of each frame's output; exact zeros are drawn at the lower edge.
    :param starts: first frames of the windows; ``k``: their length.
    """
    smallest = min(float(values[values > 0].min()) for values in changes.values())
    floor = smallest / 10
    with figure(len(changes), 1, size=(8, 1.6 * len(changes) + 0.6), sharex=True, squeeze=False) as (fig, axes):
        for ax, colour, (name, values) in zip(axes[:, 0], (LIPS, SOUND, TRUTH), changes.items(), strict=False):
            for start in starts:
                ax.axvspan(start - 0.5, start + k - 0.5, color="0.88", lw=0)
            frames, moved = np.arange(len(values)), values > 0
            ax.vlines(frames[moved], floor, values[moved], color=colour, lw=3)
            ax.plot(frames[~moved], np.full((~moved).sum(), floor), "|", color=MUTED, ms=4)
            ax.set(title=f"{name}: {moved.sum()} of {len(values)} frames", yscale="log", ylim=(0.8 * floor, 3))
            ax.set_ylabel("relative\nchange")
        axes[-1, 0].set_xlabel("frame (grey: generated; small marks: no change at all)")
    return fig


def filled_in(values: Mapping[str, Mapping[str, float]], ylabel: str) -> Figure:
    """The loss of several kinds of mouths, asked in different ways.

    :param values: way of asking -> kind of mouth -> loss.
    """
    kinds = list(next(iter(values.values())))
    with figure(size=(7.4, 3.1)) as (fig, ax):
        for k, (name, losses) in enumerate(values.items()):
            x = np.arange(len(kinds)) + (k - (len(values) - 1) / 2) * 0.8 / len(values)
            bars = ax.bar(x, [losses[kind] for kind in kinds], 0.76 / len(values), color=COLOURS[k], label=name)
            ax.bar_label(bars, fmt="%.2f", fontsize=8)
        ax.set(title="The same mouths, judged in different company", ylabel=ylabel)
        ax.set_xticks(range(len(kinds)), [kind.replace(" ", "\n", 1) for kind in kinds])
        ax.grid(axis="x", visible=False)
        ax.margins(y=0.12)
        ax.legend(fontsize=9)
    return fig


def window_alone(pairs: Mapping[str, tuple[Float, Float]]) -> Figure:
    """Cosines of windows in sync and off, when the network is given different amounts of the clip.

    :param pairs: what it is given -> cosines of windows in sync, and of windows off.
    """
    edges = np.linspace(-0.4, 1, 57)
    with figure(1, len(pairs), size=(4.2 * len(pairs), 2.9), sharex=True, sharey=True, squeeze=False) as (fig, axes):
        for ax, (name, (matching, off)) in zip(axes[0], pairs.items(), strict=True):
            for values, colour, label in ((off, "0.7", "5 to 15 frames off"), (matching, SOUND, "in sync")):
                counts, _ = np.histogram(values, edges)
                ax.stairs(100 * counts / counts.sum(), edges, fill=True, color=colour, alpha=0.75, label=label)
                ax.axvline(float(np.mean(values)), color=colour, lw=1.5, ls="--")
            ax.set(title=name, xlabel="cosine of a window's lips and sound")
        axes[0, 0].set_ylabel("% of the windows")
        axes[0, 0].legend(fontsize=9, loc="upper left")
    return fig
