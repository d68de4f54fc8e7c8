"""Figures of SyncNet's comparisons: what it sees and hears, its distances, and the scores made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tfg.clip import FPS, Frames
from tfg.experts.syncnet import COLUMNS, COLUMNS_PER_FRAME, WINDOW
from tfg.metrics.lse import LSEResult
from tfg.plots.style import COLOURS, LIPS, MUTED, SOUND, figure, image_axes

Array = NDArray[np.floating]


def syncnet_window(crops: Frames, cepstra: Array, number: int) -> Figure:
    """What SyncNet is given for one window: five face crops and 20 columns of MFCC.

    :param crops: ``uint8 (T, S, S, 3)`` of :func:`tfg.crops.face_crops_syncnet`.
    :param cepstra: ``(F, 13)`` of :func:`tfg.audio.mfcc`.
    :param number: of the window: it begins with this frame.
    """
    first = number * COLUMNS_PER_FRAME
    columns = cepstra[first : first + COLUMNS].T
    scaled = (columns - cepstra.mean(axis=0)[:, None]) / cepstra.std(axis=0)[:, None]
    with figure(size=(8, 3.9)) as (fig, empty):
        empty.remove()
        grid = fig.add_gridspec(2, WINDOW, height_ratios=(1, 0.9))
        for column in range(WINDOW):
            ax = fig.add_subplot(grid[0, column])
            ax.imshow(crops[number + column])
            image_axes(ax, f"frame {number + column}")
        ax = fig.add_subplot(grid[1, :])
        start, stop = number * 1000 / FPS, (number + WINDOW) * 1000 / FPS
        shown = ax.imshow(
            scaled, aspect="auto", origin="lower", extent=(start, stop, -0.5, 12.5), cmap="RdBu_r", vmin=-2.5, vmax=2.5
        )
        ax.grid(False)
        for frame in range(number + 1, number + WINDOW):
            ax.axvline(frame * 1000 / FPS, color="black", lw=0.8)
        ax.set_title(f"the sound of the same {WINDOW} frames: {COLUMNS} columns of 13 MFCC")
        ax.set_xlabel("time (ms)")
        ax.set_ylabel("coefficient")
        ax.set_yticks(range(0, 13, 4))
        fig.colorbar(shown, ax=ax, pad=0.01, label="deviations\nfrom its mean")
    return fig


def distance_matrix(distances: Array, vshift: int = 15) -> Figure:
    """Distances of every lip window to every audio window; the band that LSE searches is marked.

    :param distances: ``(W, W)``, row: lips, column: sound.
    """
    windows = len(distances)
    ends = np.array([0, windows - 1])
    with figure(size=(5.6, 4.6)) as (fig, ax):
        low, high = np.percentile(distances, (1, 99))
        shown = ax.imshow(distances, cmap="magma", vmin=low, vmax=high)
        ax.plot(ends, ends, color="#56B4E9", lw=1.5, ls=":", label="same moment (s = 0)")
        for sign in (-1, 1):
            name = f"searched: {vshift} frames either way" if sign > 0 else None
            ax.plot(ends + sign * vshift, ends, color="#56B4E9", lw=1, ls="--", label=name)
        ax.set_xlim(-0.5, windows - 0.5)
        ax.set_ylim(windows - 0.5, -0.5)
        ax.grid(False)
        ax.set_title("Every lip window against every audio window")
        ax.set_xlabel("audio window begins at frame")
        ax.set_ylabel("lip window begins at frame")
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2, fontsize=8)
        fig.colorbar(shown, ax=ax, label="distance")
    return fig


def lse_curve(results: Mapping[str, LSEResult]) -> Figure:
    """Mean distance against the offset that is tried; offset, LSE-D and LSE-C are marked on it.

    :param results: name -> result of :func:`tfg.metrics.lse`; with one result the marks are explained.
    """
    with figure(size=(7, 3.6)) as (fig, ax):
        for colour, (name, result) in zip(COLOURS, results.items(), strict=False):
            reach = result.distances.shape[1] // 2
            offsets = reach - np.arange(2 * reach + 1)
            means = np.nanmean(result.distances, axis=0)
            ax.plot(offsets, means, marker=".", color=colour, label=name if len(results) > 1 else None)
            ax.plot(result.offset, result.lse_d, "o", color=colour, ms=8, mfc="white")
            if len(results) == 1:
                _explain(ax, result)
        ax.set_title("Mean distance at each offset tried")
        ax.set_xlabel("offset $-s$ (frames of 40 ms; positive: the sound is early)")
        ax.set_ylabel("mean distance $m(s)$")
        if len(results) > 1:
            ax.legend(fontsize=8)
    return fig


def _explain(ax: Any, result: LSEResult) -> None:
    median = result.lse_d + result.lse_c
    ax.axhline(median, color=MUTED, ls="--", lw=1)
    ax.axvline(result.offset, color=MUTED, ls=":", lw=1)
    right = 1 if result.offset <= 0 else -1
    side = "left" if right > 0 else "right"
    ax.text(
        right * 15,
        median,
        " median ",
        ha="right" if right > 0 else "left",
        va="center",
        color=MUTED,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
    )
    ax.annotate(
        "", (result.offset, median), (result.offset, result.lse_d), arrowprops={"arrowstyle": "<->", "color": LIPS}
    )
    ax.text(
        result.offset + 0.4 * right, (median + result.lse_d) / 2, f"LSE-C = {result.lse_c:.2f}", ha=side,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1, "alpha": 0.85},
    )  # fmt: skip
    ax.text(
        result.offset + 0.6 * right, result.lse_d, f"LSE-D = {result.lse_d:.2f} at offset {result.offset}", ha=side,
        va="top",
    )  # fmt: skip
    ax.set_ylim(result.lse_d - 0.25 * result.lse_c, None)


def by_delay(delays: Sequence[float], results: Sequence[LSEResult]) -> Figure:
    """Offset, LSE-D and LSE-C of one clip whose sound is moved.

    :param delays: frames by which the sound was made late (negative: early).
    """
    panels: tuple[tuple[str, str, list[float], str], ...] = (
        ("offset: follows the delay", "offset (frames,\npositive: sound early)", [r.offset for r in results], MUTED),
        ("LSE-D (lower is better)", "smallest mean distance", [r.lse_d for r in results], SOUND),
        ("LSE-C (higher is better)", "median minus smallest", [r.lse_c for r in results], LIPS),
    )
    with figure(1, 3, size=(9, 3)) as (fig, axes):
        for ax, (title, name, values, colour) in zip(axes, panels, strict=True):
            ax.plot(delays, values, marker="o", ms=4, color=colour)
            ax.set_title(title)
            ax.set_xlabel("sound delayed by (frames)")
            ax.set_ylabel(name)
            if ax is not axes[0]:
                ax.set_ylim(0, 1.25 * max(values))
    return fig


def padding_bias(windows: Sequence[int], confidences: Mapping[str, Sequence[Array]]) -> Figure:
    """LSE-C of features with nothing to find, against the length of the clip.

    :param windows: numbers of windows W.
    :param confidences: name -> for each W, the LSE-C of several random clips; drawn are the mean and the range.
    """
    with figure(size=(6.5, 3.4)) as (fig, ax):
        for colour, (name, values) in zip((LIPS, SOUND, *COLOURS[2:]), confidences.items(), strict=False):
            means = [float(np.mean(v)) for v in values]
            ax.plot(windows, means, marker="o", color=colour, label=name)
            ax.fill_between(
                windows, [np.min(v) for v in values], [np.max(v) for v in values], color=colour, alpha=0.2, lw=0
            )
        ax.axhline(0, color="black", lw=0.8)
        ax.set_xscale("log")
        ax.set_xticks(windows, [str(w) for w in windows])
        ax.minorticks_off()
        ax.set_title("Confidence found in pure noise")
        ax.set_xlabel("windows W of the clip (frames minus 5)")
        ax.set_ylabel("LSE-C")
        ax.legend()
    return fig


def sync_loss(similarities: Mapping[str, Array], losses: Mapping[str, Array]) -> Figure:
    """Cosine and sync loss of every window of clips that are in sync, over time, with their spread at the side.

    :param similarities: clip -> cosine ``(W,)`` of each window.
    :param losses: clip -> loss ``(W,)`` of each window.
    """
    panels = (("Similarity of matching lips and sound", "cosine", similarities), ("Sync loss", "-log cosine", losses))
    with figure(2, 2, size=(9, 5), sharex="col", width_ratios=(4, 1)) as (fig, axes):
        for (ax, side), (title, name, values) in zip(axes, panels, strict=True):
            for colour, (clip, value) in zip(COLOURS, values.items(), strict=False):
                ax.plot(np.arange(len(value)) / FPS, value, color=colour, lw=1, label=clip)
            ax.set_title(title)
            ax.set_ylabel(name)
            everything = np.concatenate(list(values.values()))
            side.hist(everything, bins=24, orientation="horizontal", color=MUTED)
            side.set_title(f"mean {everything.mean():.2f}, std {everything.std():.2f}", fontsize=9)
            side.sharey(ax)
            side.tick_params(labelleft=False)
        axes[1, 0].set_xlabel("window begins at (s)")
        axes[1, 1].set_xlabel("windows")
        fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=len(losses))
    return fig
