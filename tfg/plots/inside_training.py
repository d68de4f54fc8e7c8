"""Figures of the chapter *AV-HuBERT inside* on its training: clusters, hidden frames, how alignment comes about."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tfg.plots.style import ACCENT, COLOURS, LIPS, MUTED, SOUND, TRUTH, figure

Float = NDArray[np.floating]
Curve = Sequence[Mapping[str, Any]]


def clusters_and_phones(counts: Float, phones: Sequence[str], title: str) -> Figure:
    """Which phones the frames of each cluster belong to; clusters in the order of their commonest phone.

    :param counts: ``(clusters, phones)`` frames.
    """
    share = counts / counts.sum(axis=1, keepdims=True)
    order = np.lexsort((-share.max(axis=1), share.argmax(axis=1)))
    with figure(size=(8.2, 5.2)) as (fig, ax):
        image = ax.imshow(share[order].T, aspect="auto", cmap="magma_r", vmin=0, vmax=1)
        ax.set(title=title, xlabel="cluster (sorted by its commonest phone)", ylabel="phone that is said")
        ax.set_yticks(range(len(phones)), phones, fontsize=7)
        ax.grid(False)
        fig.colorbar(image, ax=ax, label="share of the cluster's frames")
    return fig


def filled_in(curves: Mapping[str, Float], chance: float) -> Figure:
    """How often the network names a hidden frame as it would with everything shown.

    :param curves: what was given -> ``(L,)``, share of right answers by place in a hidden span of L frames.
    :param chance: the share that the answer of another moment gets right.
    """
    colours = dict(zip(curves, (LIPS, SOUND, ACCENT, TRUTH, COLOURS[4]), strict=False))
    length = len(next(iter(curves.values())))
    with figure(size=(8.2, 3.4)) as (fig, ax):
        for name, values in curves.items():
            ax.plot(
                np.arange(1, length + 1),
                values,
                marker=".",
                color=colours[name],
                label=f"{name}: {np.mean(values):.2f}",
            )
        ax.axhline(chance, color="black", linestyle=":", label=f"another moment's answer: {chance:.2f}")
        ax.set(title=f"A span of {length} frames is hidden: is the answer still the same?", ylim=(0, 1))
        ax.set(xlabel=f"place in the hidden span (1 and {length} lie next to shown frames)", xlim=(0.5, length + 0.5))
        ax.set_ylabel("share of same answers")
        ax.set_xticks([1, *range(5, length, 5), length])
        ax.legend(
            fontsize=8, loc="upper left", bbox_to_anchor=(1, 1), title="given: mean over the span", title_fontsize=8
        )
    return fig


def learning_curve(curve: Curve) -> Figure:
    """The training run of an expert in several iterations, as its card tells it.

    :param curve: points with ``steps`` (from the start), ``iteration``, ``loss``, ``accuracy``, ``auc_5``, ``auc_2``,
        ``offset_within_1``, ``cosine`` and ``cosine_chance`` (:func:`tfg.training.publish.learning_curve`).
    """
    steps, iterations = (np.array([point[key] for point in curve]) for key in ("steps", "iteration"))
    borders = [*steps[np.flatnonzero(np.diff(iterations))], steps[-1]]
    trained = {"loss": ("loss", SOUND), "accuracy": ("hidden frames\nnamed right", ACCENT)}
    tested = {
        "auc_5": ("AUC, 5 to 15 frames off", TRUTH),
        "auc_2": ("AUC, 2 frames off", COLOURS[4]),
        "offset_within_1": ("delays found", COLOURS[5]),
        "cosine": ("cosine of true pairs", LIPS),
        "cosine_chance": ("cosine of wrong pairs", MUTED),
    }
    with figure(3, 1, size=(8.2, 6.2), sharex=True, height_ratios=[1, 1, 1.7]) as (fig, axes):
        for ax, (key, (label, colour)) in zip(axes, trained.items(), strict=False):
            for i in np.unique(iterations):
                part = iterations == i
                ax.plot(steps[part], [p[key] for p in curve if p["iteration"] == i], marker="o", color=colour)
            ax.set_ylabel(label)
        for key, (label, colour) in tested.items():
            axes[2].plot(steps, [point[key] for point in curve], marker="o", color=colour, label=label)
        axes[2].set(ylabel="held-out clips", xlabel="training step", ylim=(None, 1.05))
        axes[2].legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
        for i, (left, right) in enumerate(itertools.pairwise([0, *borders])):
            axes[0].text((left + right) / 2, 1.03, f"iteration {i + 1}", transform=axes[0].get_xaxis_transform(),
                         ha="center", fontsize=9)  # fmt: skip
            for ax in axes:
                ax.axvline(right, color="black", linewidth=0.8)
        axes[0].set_title("What is trained (above), and what comes with it (below)", pad=18)
    return fig


def hiding(curves: Mapping[str, Curve], title: str) -> Figure:
    """Alignment of sound and lips while small networks learn, by what is hidden from them.

    :param curves: setting of :data:`tfg.studies.hiding.SETTINGS` -> points with ``step``, ``loss`` (None or NaN before
        the first step), ``auc_5``, ``cosine`` and ``cosine_chance``.
    """
    panels: dict[str, Callable[[Mapping[str, Any]], float]] = {
        "training loss": lambda p: np.nan if p["loss"] is None else p["loss"],
        "cosine: true − wrong pairs": lambda p: p["cosine"] - p["cosine_chance"],
        "AUC: true against wrong pairs": lambda p: p["auc_5"],
    }
    colours = {"nothing hidden": MUTED, "whole modalities": SOUND, "spans": LIPS, "both, as published": TRUTH}
    with figure(1, 3, size=(8.6, 3.3)) as (fig, axes):
        for ax, (name, value) in zip(axes, panels.items(), strict=True):
            for setting, curve in curves.items():
                steps = [point["step"] for point in curve]
                ax.plot(steps, [value(p) for p in curve], marker=".", color=colours[setting], label=setting)
            ax.set(title=name, xlabel="training step")
        axes[1].axhline(0, color="black", linewidth=0.8)
        axes[2].axhline(0.5, color="black", linewidth=0.8)
        handles, labels = axes[0].get_legend_handles_labels()
        fig.legend(handles, labels, title=title, loc="outside lower center", ncols=4, fontsize=9, title_fontsize=9)
    return fig
