"""Figures of an expert's steadiness: chapter *Why SyncNet is a shaky teacher*."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from tfg.clip import FPS
from tfg.plots.style import ACCENT, COLOURS, LIPS, MUTED, SOUND, TRUTH, figure, image_axes
from tfg.stability.cosines import sync_loss

Array = NDArray[np.floating]
Named = Mapping[str, Any]

SHOWN = 4  # clips whose course is drawn
#: Of an expert in every figure of the chapter.
EXPERT_COLOURS = {"SyncNet": LIPS, "AV-HuBERT": SOUND}
_AXES = {"shift_x": "shift to the right (% of the face's width)", "rotation": "rotation, clockwise (degrees)"}


def matching_pairs(
    courses: Mapping[str, Mapping[str, Array]], summaries: Mapping[str, Named], bins: Array, loss_bins: Array
) -> Figure:
    """The paper's Figure 1: cosine and loss of pairs in sync, window by window, and of all windows at the side.

    :param courses: expert -> clip -> ``(W,)`` cosines; drawn are four clips, evenly spread.
    :param summaries: expert -> ``cosine``, ``loss`` (``mean``, ``std``, ``max``), ``histogram``, ``histogram_loss``
        (:func:`tfg.studies.fig1.summary`) of all clips.
    :param bins: edges of the first histogram; ``loss_bins``: of the second.
    """
    letters = iter("acbd")
    drawn = {
        expert: dict(list(clips.items())[:: max(1, len(clips) // SHOWN)][:SHOWN]) for expert, clips in courses.items()
    }
    top = max(float(sync_loss(values).max()) for clips in drawn.values() for values in clips.values())
    with figure(2, 4, size=(11, 5.2), width_ratios=(3, 1, 3, 1), sharey="row") as (fig, axes):
        for row, (key, label, edges) in enumerate((("cosine", "cosine similarity", bins),
                                                   ("loss", "sync loss (nats)", loss_bins))):  # fmt: skip
            for column, (expert, clips) in enumerate(drawn.items()):
                ax, side = axes[row, 2 * column], axes[row, 2 * column + 1]
                for colour, (clip, values) in zip(COLOURS, clips.items(), strict=False):
                    values = np.asarray(values, float) if key == "cosine" else sync_loss(np.asarray(values, float))
                    ax.plot(np.arange(len(values)) / FPS, values, color=colour, lw=1.1, label=clip)
                one = summaries[expert]
                counts = np.asarray(one["histogram" if key == "cosine" else "histogram_loss"], float)
                side.stairs(counts, edges, orientation="horizontal", fill=True, color=EXPERT_COLOURS[expert], alpha=0.8)
                largest = f"\nmax {one[key]['max']:.1f}" if key == "loss" else ""
                side.set_title(f"{one[key]['mean']:.2f} ± {one[key]['std']:.2f}{largest}", fontsize=9)
                side.set_xticks([])
                ax.set_title(f"({next(letters)}) {expert}")
                if column == 0:
                    ax.set_ylabel(label)
                if row:
                    ax.set_xlabel("window begins at (s)")
                    side.set_xlabel("all windows")
        axes[0, 0].set_ylim(min(-0.05, min(v.min() for c in drawn.values() for v in map(np.asarray, c.values()))), 1.02)
        axes[1, 0].set_ylim(0, 1.05 * top)
        fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=SHOWN, fontsize=9)
    return fig


def in_sync_and_off(sets: Mapping[str, Mapping[str, Named]], bins: Array) -> Figure:
    """Cosines of pairs in sync over those of pairs that are 5 to 15 frames off.

    :param sets: title of a set of clips -> expert -> ``histogram``, ``histogram_off`` (counts) and ``separation``.
    :param bins: edges ``(B + 1,)`` of the counts.
    """
    experts = list(next(iter(sets.values())))
    with figure(len(experts), len(sets), size=(3.7 * len(sets), 2.3 * len(experts) + 0.4), squeeze=False,
                sharex=True) as (fig, axes):  # fmt: skip
        for column, (title, found) in enumerate(sets.items()):
            for row, expert in enumerate(experts):
                ax, one = axes[row, column], found[expert]
                for key, colour, alpha in (("histogram_off", "0.75", 1.0), ("histogram", EXPERT_COLOURS[expert], 0.7)):
                    counts = np.asarray(one[key], float)
                    ax.stairs(counts / counts.sum(), bins, fill=True, color=colour, alpha=alpha)
                apart = one["separation"]
                ax.text(0.02, 0.95, f"d' = {apart['d_prime']:.1f}\nAUC = {apart['auc']:.2f}", va="top",
                        transform=ax.transAxes, fontsize=9)  # fmt: skip
                ax.set_title(f"{expert}: {title}")
                ax.set_xlim(-0.4, 1.0)
                ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
                if column == 0:
                    ax.set_ylabel("share of windows")
                if row == len(experts) - 1:
                    ax.set_xlabel("cosine similarity")
        handles = [
            *(Line2D([], [], color=EXPERT_COLOURS[e], lw=6, alpha=0.7, label=f"{e}, in sync") for e in experts),
            Line2D([], [], color="0.75", lw=6, label="5 to 15 frames off"),
        ]
        fig.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=9)
    return fig


def loss_tails(losses: Mapping[str, Array]) -> Figure:
    """Share of the windows in sync whose loss exceeds a value, and where the total loss comes from.

    :param losses: expert -> ``(W,)`` of all windows.
    """
    with figure(1, 2, size=(9, 3.3)) as (fig, (tail, total)):
        for name, values in losses.items():
            ordered, colour = np.sort(values), EXPERT_COLOURS.get(name)
            share = np.arange(len(ordered), 0, -1) / len(ordered)
            tail.step(ordered, share, where="post", color=colour, label=f"{name} (mean {ordered.mean():.2f})")
            lorenz = np.cumsum(ordered[::-1]) / ordered.sum()
            total.plot(np.arange(1, len(ordered) + 1) / len(ordered), lorenz, color=colour, label=name)
            worst = float(lorenz[max(0, round(0.1 * len(ordered)) - 1)])
            total.plot(0.1, worst, "o", color=colour)
            total.annotate(
                f"{worst:.0%}",
                (0.1, worst),
                (7, -4),
                textcoords="offset points",
                fontsize=9,
                color=colour,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
            )
        tail.set(title="How often is the loss larger than ... ?", xlabel="sync loss (nats)", ylabel="share of windows",
                 yscale="log")  # fmt: skip
        tail.legend(fontsize=9)
        total.plot([0, 1], [0, 1], color=MUTED, ls=":", label="all windows alike")
        total.set(title="Where the total loss comes from", xlabel="the worst share of the windows",
                  ylabel="share of the total loss", xlim=(0, 1), ylim=(0, 1))  # fmt: skip
        for axis in (total.xaxis, total.yaxis):
            axis.set_major_formatter(PercentFormatter(1, decimals=0))
        total.legend(fontsize=9, loc="lower right")
    return fig


def robustness(perturbations: Mapping[str, Named], title: str) -> Figure:
    """The paper's Figure 5 (a, b): cosine and loss while the picture is moved and the crop is not.

    :param perturbations: ``shift_x`` or ``rotation`` -> ``values`` and per expert the curves of
        :func:`tfg.studies.fig5.curves`.
    """
    rows = (("cosine", "cosine similarity"), ("loss", "sync loss (nats)"), ("kept", "sync signal kept"))
    with figure(3, len(perturbations), size=(4.6 * len(perturbations), 7.4), squeeze=False, sharey="row",
                sharex="col") as (fig, axes):  # fmt: skip
        fig.suptitle(title, fontsize=11)
        for column, (name, found) in enumerate(perturbations.items()):
            for expert, colour in EXPERT_COLOURS.items():
                curve = {key: np.array(found[expert][key], float) for key, _ in rows}
                for row, (key, _) in enumerate(rows):
                    axes[row, column].plot(found["values"], curve[key], marker="o", ms=4, color=colour, label=expert)
                spread = [np.array(found[expert][f"cosine_{side}"], float) for side in ("low", "high")]
                axes[0, column].fill_between(found["values"], *spread, color=colour, alpha=0.15, lw=0)
                chance = np.array(found[expert]["chance"], float)
                axes[0, column].plot(found["values"], chance, color=colour, ls="--", lw=1)
            axes[0, column].set_title(f"({'ab'[column]}) {name.replace('shift_x', 'horizontal shift')}")
            axes[2, column].axhline(1, color=MUTED, lw=0.8)
            axes[2, column].axhline(0, color=MUTED, lw=0.8, ls="--")
            axes[2, column].set_xlabel(_AXES[name])
            axes[2, column].yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        for row, (_, label) in enumerate(rows):
            axes[row, 0].set_ylabel(label)
        handles = axes[0, 0].get_legend_handles_labels()[0]
        handles.append(Line2D([], [], color=MUTED, ls="--", lw=1, label="chance: sound of another moment"))
        fig.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=9)
    return fig


def frozen_or_estimated(frozen: Mapping[str, Named], estimated: Mapping[str, Named]) -> Figure:
    """What is kept of the sync signal when the face is looked for again in the moved picture, and when it is not."""
    with figure(1, len(frozen), size=(4.6 * len(frozen), 3.4), squeeze=False, sharey=True) as (fig, axes):
        for ax, name in zip(axes[0], frozen, strict=True):
            for expert, colour in EXPERT_COLOURS.items():
                for found, style, how in ((frozen, "--", "crop frozen"), (estimated, "-", "face found again")):
                    kept = np.array(found[name][expert]["kept"], float)
                    ax.plot(found[name]["values"], kept, ls=style, marker="o", ms=4, color=colour,
                            label=f"{expert}, {how}")  # fmt: skip
            ax.axhline(1, color=MUTED, lw=0.8)
            ax.set_xlabel(_AXES[name])
            ax.set_title(name.replace("shift_x", "horizontal shift"))
            ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes[0, 0].set_ylabel("sync signal kept")
        fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=9)
    return fig


def context_lengths(ways: Mapping[str, Sequence[Named]]) -> Figure:
    """Steadiness against the number of frames that a cosine is made of.

    :param ways: way to use context -> rows with ``frames`` (None: whole clip), ``cv``, ``d_prime``, ``auc``.
    """
    places = {1: 0, 5: 1, 25: 2, None: 3}
    styles = {
        "SyncNet, averaged": (LIPS, "-"),
        "AV-HuBERT, averaged": (SOUND, "-"),
        "AV-HuBERT, given no more": (SOUND, ":"),
    }
    panels = (
        ("cv", "spread over mean of pairs in sync", "log"),
        ("d_prime", "d' (in sync against off)", "symlog"),
        ("auc", "AUC (0.5 is chance)", "linear"),
    )
    with figure(1, 3, size=(11, 3.5)) as (fig, axes):
        for ax, (key, label, scale) in zip(axes, panels, strict=True):
            for way, rows in ways.items():
                colour, style = styles[way]
                at = [places[row["frames"]] for row in rows]
                ax.plot(at, [row[key] for row in rows], style, marker="o", ms=5, color=colour, label=way)
            ax.set(ylabel=label, xlabel="frames in a cosine", yscale=scale, xticks=range(4),
                   xticklabels=["1", "5", "25", "whole\nclip"])  # fmt: skip
        axes[0].set_title("Spread (lower is steadier)")
        axes[1].set_title("Distance in spreads")
        axes[2].set_title("Order")
        axes[2].axhline(0.5, color=MUTED, ls="--", lw=1)
        fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=9)
    return fig


def gradient_maps(mouth: Array, pushes: Mapping[str, Sequence[Array]], titles: Sequence[str]) -> Figure:
    """Where each expert's loss would push one frame's mouth, in several looks at the same moment.

    :param mouth: ``(88, 88)`` grey levels, drawn beneath.
    :param pushes: expert -> for each title, minus the gradient ``(22, 22)``; every map has its own scale.
    """
    with figure(len(pushes), len(titles), size=(2.3 * len(titles), 2.5 * len(pushes)), squeeze=False) as (fig, axes):
        for number, (expert, maps) in enumerate(pushes.items()):
            for ax, title, push in zip(axes[number], titles, maps, strict=True):
                strong = np.quantile(np.abs(push), 0.995) or 1.0
                ax.imshow(mouth, cmap="gray", vmin=-60, vmax=320)
                ax.imshow(push, cmap="RdBu_r", vmin=-strong, vmax=strong, alpha=np.clip(np.abs(push) / strong, 0, 0.9),
                          extent=ax.get_images()[0].get_extent(), interpolation="bilinear")  # fmt: skip
                image_axes(ax, title if number == 0 else "")
            axes[number, 0].set_ylabel(expert)
    return fig


def gradient_noise(sets: Mapping[str, Mapping[str, Named]]) -> Figure:
    """Do gradients point the same way when hardly anything has changed? And how much larger are they for wrong pairs?

    :param sets: title -> expert -> the figures of :func:`tfg.studies.gradients.noise`.
    """
    questions = {
        "camera_noise": "camera noise\n(2 grey levels)",
        "nudged": "crop nudged\n(1% of the face)",
        "neighbours": "next window\n(one frame on)",
        "clips": "another clip",
    }
    with figure(1, len(sets), size=(5.2 * len(sets), 3.6), squeeze=False, sharey=True) as (fig, axes):
        for ax, (title, found) in zip(axes[0], sets.items(), strict=True):
            for k, (expert, one) in enumerate(found.items()):
                x = np.arange(len(questions)) + (k - 0.5) * 0.36
                ax.bar(x, [one[key] for key in questions], 0.34, color=EXPERT_COLOURS[expert], alpha=0.8, label=expert)
                for place, key in zip(x, questions, strict=True):
                    if f"{key}_spread" in one:
                        low, _, high = one[f"{key}_spread"]
                        ax.plot([place] * 2, [low, high], color="black", lw=1.2)
                    else:
                        ax.plot(place, one[key], "_", color="black")
            ax.axhline(0, color="black", lw=0.8)
            ax.set(title=title, xticks=range(len(questions)), xticklabels=list(questions.values()), ylim=(-0.4, 1.05))
            ax.tick_params(axis="x", labelsize=9)
            ax.grid(axis="x", visible=False)
        axes[0, 0].set_ylabel("cosine between gradients")
        fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=9)
    return fig


def expert_variants(found: Mapping[str, Named], known: str) -> Figure:
    """Experts that differ in architecture, objective or augmentation, by four measures.

    :param found: variant -> figures of :func:`tfg.studies.variants.compare`.
    :param known: key of the set of clips that is drawn.
    """

    def ends(name: str, perturbation: str) -> float:
        kept = np.array(found[name][perturbation]["kept"], float)
        return float((kept[0] + kept[-1]) / 2)

    names = list(found)
    panels = {
        "d' on pairs\nin sync": [found[n][known]["separation"]["d_prime"] for n in names],
        "std of the loss\n(lower is steadier)": [found[n][known]["loss"]["std"] for n in names],
        "kept at a shift\nof ±16%": [ends(n, "shift_x") for n in names],
        "kept at a rotation\nof ±20 degrees": [ends(n, "rotation") for n in names],
        "gradients of neighbouring\nwindows agree": [found[n]["gradients"]["neighbours"] for n in names],
    }
    with figure(1, len(panels), size=(11.5, 0.42 * len(names) + 1.5), sharey=True) as (fig, axes):
        for ax, (title, values) in zip(axes, panels.items(), strict=True):
            for i, (name, value) in enumerate(zip(names, values, strict=True)):
                colour = LIPS if name.startswith("syncnet") else ACCENT if "contrastive" in name else SOUND
                ax.barh(i, value, color=colour, alpha=0.45 if name.endswith("nojitter") else 0.9)
                ax.text(max(value, 0), i, f" {value:.2f}", va="center", fontsize=9)
            ax.set_title(title, fontsize=9)
            ax.margins(x=0.25)
            ax.set(yticks=range(len(names)), yticklabels=names, ylim=(len(names) - 0.4, -0.6))
            ax.grid(axis="y", visible=False)
        handles = [
            Line2D([], [], color=colour, lw=6, label=label)
            for colour, label in (
                (LIPS, "SyncNet, pairs"),
                (ACCENT, "AV-HuBERT, pairs"),
                (SOUND, "AV-HuBERT, masked prediction"),
            )
        ]
        handles.append(
            Line2D([], [], color=MUTED, lw=6, alpha=0.45, label="pale: trained without crop jitter and flips")
        )
        fig.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=9)
    return fig


def claims(rows: Sequence[Named]) -> Figure:
    """How much steadier AV-HuBERT is than SyncNet, by each ruler: right of the line the paper's claim holds.

    :param rows: ``panel``, ``ruler``, ``where`` and ``factor`` (above 1: AV-HuBERT is steadier by this factor).
    """
    rulers = list(dict.fromkeys(f"({row['panel']}) {row['ruler']}" for row in rows))
    places = list(dict.fromkeys(row["where"] for row in rows))
    marks = dict(zip(places, zip("os^D", (TRUTH, SOUND, LIPS, ACCENT), strict=True), strict=False))
    with figure(size=(8.5, 0.42 * len(rulers) + 1.4)) as (fig, ax):
        ax.axvspan(0.9, 1.1, color="0.9")
        ax.axvline(1, color="black", lw=0.8)
        for row in rows:
            marker, colour = marks[row["where"]]
            y = rulers.index(f"({row['panel']}) {row['ruler']}")
            if np.isfinite(row["factor"]):
                ax.plot(np.clip(row["factor"], 1 / 16, 16), y, marker, color=colour, ms=8, alpha=0.8)
        ax.set(title="Is AV-HuBERT steadier than SyncNet?", xscale="log", xlim=(1 / 20, 20),
               yticks=range(len(rulers)), yticklabels=rulers, ylim=(len(rulers) - 0.5, -0.5),
               xlabel="steadier by this factor (left of 1: less steady; marks at the edge: 16 or more)")  # fmt: skip
        ticks = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8, 16)
        ax.set_xticks(ticks, ["1/16", "1/8", "1/4", "1/2", "1", "2", "4", "8", "16"])
        ax.minorticks_off()
        handles = [Line2D([], [], ls="", marker=m, color=c, ms=8, label=place) for place, (m, c) in marks.items()]
        ax.legend(handles=handles, loc="upper left", bbox_to_anchor=(1, 1), fontsize=9)
    return fig
