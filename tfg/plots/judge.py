"""Figures of the chapter *The expert as judge*: scores under a shift and a delay, layers, generated videos, doubt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from tfg.clip import FPS
from tfg.plots.style import ACCENT, COLOURS, LIPS, MUTED, SOUND, TRUTH, figure
from tfg.stability.offsets import ACCEPTABLE_MS, DETECTABLE_MS

Float = NDArray[np.floating]
Scores = Mapping[str, Float]

NAMES = {"avs_u": "AVS_u", "avs_m": "AVS_m", "avs_v": "AVS_v", "lse_c": "LSE-C", "lse_d": "LSE-D"}
SCORE_COLOURS = {"avs_u": TRUTH, "avs_m": SOUND, "avs_v": LIPS, "lse_c": ACCENT, "lse_d": "#E69F00"}
METHOD_COLOURS = (TRUTH, *(c for c in COLOURS if c != TRUTH))


def judge_under_shift(
    values: Sequence[float], sets: Mapping[str, tuple[Scores, Mapping[str, float]]], axis: str
) -> Figure:
    """The paper's Figure 5 (c, d): all scores against a perturbation that leaves lips and sound in sync.

    :param values: of the perturbation.
    :param sets: name of the clips -> (score -> ``(clips, values)``, score -> chance level).
    :param axis: the perturbation with its unit.
    """
    with figure(len(sets), 2, size=(9, 3.1 * len(sets) + 0.5), squeeze=False, sharex=True) as (fig, axes):
        for (left, right), (name, (scores, chance)) in zip(axes, sets.items(), strict=True):
            twin = left.twinx()
            twin.grid(False)
            twin.spines["right"].set_visible(True)
            for ax, keys in ((left, ("avs_u",)), (twin, ("lse_c", "lse_d")), (right, ("avs_m", "avs_v", "avs_u"))):
                for key in keys:
                    _curve(ax, values, np.asarray(scores[key], float), key, chance[key])
            left.set(title=f"(c) AVS_u and LSE: {name}", ylabel="AVS_u", ylim=(min(0.0, left.get_ylim()[0]), 1))
            twin.set(ylabel="LSE-C, LSE-D", ylim=(0, None))
            right.set(title=f"(d) the three AVS: {name}", ylabel="AVS", ylim=(min(0.0, right.get_ylim()[0]), 1.03))
        for ax in axes[-1]:
            ax.set_xlabel(axis)
        handles = {
            line.get_label(): line for ax in (axes[0, 1], twin) for line in ax.lines if line.get_label()[0] != "_"
        }
        handles["chance: lips of another clip"] = axes[0, 0].plot([], [], color=MUTED, ls=":")[0]
        fig.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=6, fontsize=9)
    return fig


def _curve(ax: Any, values: Sequence[float], scores: Float, key: str, chance: float) -> None:
    """Mean over clips with its range, and the chance level in the same colour."""
    colour = SCORE_COLOURS[key]
    ax.plot(values, np.nanmean(scores, axis=0), marker=".", color=colour, label=NAMES[key])
    if len(scores) > 1:
        low, high = np.nanquantile(scores, (0.25, 0.75), axis=0)
        ax.fill_between(values, low, high, color=colour, alpha=0.12, lw=0)
    ax.axhline(chance, color=colour, ls=":", lw=1.3)


def scores_by_delay(delays: Sequence[float], sets: Mapping[str, tuple[Scores, Mapping[str, float]]]) -> Figure:
    """AVS_u, LSE-C and LSE-D against the delay of the sound, over the limits of ITU-R BT.1359.

    :param delays: frames, positive: the sound is late.
    :param sets: name of the clips -> (``avs_u``, ``lse_c``, ``lse_d`` -> ``(clips, delays)``, score -> chance level;
        under ``rotated`` that of AVS_u with the clip's own lips of another moment).
    """
    time = np.asarray(delays, float) * 1000 / FPS
    titles = {
        "avs_u": "AVS_u: the clip as it is",
        "lse_c": "LSE-C: after the best of 31 shifts",
        "lse_d": "LSE-D: after the best of 31 shifts",
    }
    size = (4.3 * len(sets) + 0.4, 7)
    with figure(3, len(sets), size=size, squeeze=False, sharex=True, sharey="row") as (fig, axes):
        for column, (name, (scores, chance)) in enumerate(sets.items()):
            for ax, key in zip(axes[:, column], titles, strict=True):
                minded = ax.axvspan(*ACCEPTABLE_MS, color="0.93", lw=0)
                noticed = ax.axvspan(*DETECTABLE_MS, color="0.84", lw=0)
                ax.axvline(0, color="black", lw=0.8)
                _curve(ax, time.tolist(), np.asarray(scores[key], float), key, chance[key])
                ax.set(title=f"{titles[key]}" if len(sets) == 1 else f"{NAMES[key]}: {name}", ylabel=NAMES[key])
                if key == "avs_u" and "rotated" in chance:
                    ax.axhline(chance["rotated"], color=SCORE_COLOURS[key], ls="--", lw=1)
            axes[-1, column].set_xlabel("delay of the sound (ms)   ← early | late →")
        for row in axes[1:]:
            row[0].set_ylim(0, max(ax.dataLim.ymax for ax in row) * 1.05)
        lines = [axes[0, 0].plot([], [], color=MUTED, ls=style)[0] for style in (":", "--")]
        labels = [
            "viewers do not notice\n(−45 to 125 ms)",
            "they accept it\n(−90 to 185 ms)",
            "chance: lips of\nanother clip",
            "chance: own lips,\nanother moment",
        ]
        fig.legend([noticed, minded, *lines], labels, loc="outside lower center", ncols=4, fontsize=9)
    return fig


def layers_compared(
    sets: Mapping[str, Mapping[str, Mapping[str, Any]]], shifts: Sequence[float], validation: Sequence[str], chosen: str
) -> Figure:
    """AUC and d' of each layer, and how its AUC bears a shifted crop.

    :param sets: name of the clips -> layer -> result of :func:`tfg.stability.layers.compare_layers`.
    :param shifts: of ``auc_shifted``, percent of the face's width.
    :param validation: the sets by which ``chosen`` was chosen; the others are drawn dashed.
    """
    names = list(next(iter(sets.values())))
    places = np.arange(len(names))
    with figure(1, 3, size=(11, 3.9), width_ratios=(1, 1, 1)) as (fig, axes):
        for colour, (title, layers) in zip(COLOURS, sets.items(), strict=False):
            style = {"color": colour, "marker": "o", "ls": "-" if title in validation else "--"}
            axes[0].plot(places, [layers[name]["auc"] for name in names], label=title, **style)
            axes[1].plot(places, [layers[name]["d_prime"] for name in names], **style)
            largest = [layers[name]["auc_shifted"][-1] for name in names]
            axes[2].plot(places, largest, **style)
        axes[0].set(title="AUC", ylabel="in sync against 5–15 frames off", ylim=(0.35, 1.02))
        axes[1].set(title="distance d'", ylabel="standard deviations")
        axes[2].set(title=f"AUC, crop moved by {shifts[-1]:g}% of the face", ylabel="AUC", ylim=(0.35, 1.02))
        for ax, chance in zip(axes, (0.5, 0.0, 0.5), strict=True):
            ax.axhline(chance, color=MUTED, ls=":", label="chance" if ax is axes[0] else None)
            ax.axvspan(names.index(chosen) - 0.3, names.index(chosen) + 0.3, color="0.9", lw=0, zorder=0)
            ax.set_xticks(places, [name.replace(" ", "\n", 1) for name in names], fontsize=9)
            ax.set_xlabel("features of")
        fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5, fontsize=9)
    return fig


def generated_under_shift(
    values: Sequence[float], methods: Mapping[str, Scores], chance: Mapping[str, float], axis: str
) -> Figure:
    """Five scores of real and generated videos under a shift.

    :param methods: name -> score -> ``(clips, values)``; the first is the real videos.
    :param chance: score -> its value with the lips of another clip.
    """
    with figure(1, 5, size=(12.5, 3.3)) as (fig, axes):
        for ax, key in zip(axes, NAMES, strict=True):
            for colour, (name, scores) in zip(METHOD_COLOURS, methods.items(), strict=False):
                mean = np.nanmean(np.asarray(scores[key], float), axis=0)
                ax.plot(values, mean, marker=".", color=colour, label=name, lw=2 if colour == TRUTH else 1.3)
            ax.axhline(chance[key], color=MUTED, ls=":", label="chance: lips of another clip")
            ax.set(title=NAMES[key], xlabel=axis)
            ax.yaxis.set_major_locator(MaxNLocator(5))
        axes[0].set_ylabel("score, mean over subjects")
        fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=6, fontsize=9)
    return fig


def offsets_found(methods: Mapping[str, Sequence[Mapping[str, float]]], reach: int = 15) -> Figure:
    """The delay that each expert finds in each video: do two experts agree?

    :param methods: name -> one entry per clip with ``offset_avs`` and ``offset_lse`` (frames, positive: early).
    """
    with figure(size=(6.2, 4.6)) as (fig, ax):
        ends = np.array([-reach, reach]) * 1000 / FPS
        ax.plot(ends, ends, color=MUTED, lw=1, label="the experts agree")
        ax.axvspan(*DETECTABLE_MS, color="0.92", lw=0, zorder=0, label="viewers do not notice")
        for i, (colour, (name, clips)) in enumerate(zip(METHOD_COLOURS, methods.items(), strict=False)):
            nudge = 5.0 * (i - (len(methods) - 1) / 2)  # clips on the same spot stay visible
            avs, lse = (np.array([-clip[key] * 1000 / FPS for clip in clips]) for key in ("offset_avs", "offset_lse"))
            ax.plot(avs + nudge, lse - nudge, "o", color=colour, alpha=0.85, label=name)
        ax.set(
            title="Delay of the sound in each video, found by two experts",
            xlabel="by AV-HuBERT (ms, positive: late)",
            ylabel="by SyncNet (ms, positive: late)",
        )
        ax.legend(fontsize=9, loc="upper left", bbox_to_anchor=(1, 1))
    return fig


def warning_rates(sets: Mapping[str, Mapping[str, Mapping[str, float]]], threshold: float) -> Figure:
    """How often a score is called hardly above chance, and the AUC behind it.

    :param sets: name of the clips -> case -> result of :func:`tfg.studies.judge.warned`.
    :param threshold: AUC below which the warning is given.
    """
    cases = list(next(iter(sets.values())))
    with figure(1, len(sets), size=(2.9 * len(sets) + 1, 2.8), sharey=True, squeeze=False) as (fig, axes):
        for ax, (name, found) in zip(axes[0], sets.items(), strict=True):
            ax.axvspan(0, threshold, color="0.92", lw=0, zorder=0)
            ax.axvline(0.5, color=MUTED, ls=":")
            for i, case in enumerate(cases):
                row = found[case]
                colour = TRUTH if i == 0 else LIPS
                ax.plot([row["lowest"], row["highest"]], [i, i], color=colour, lw=2, alpha=0.5)
                ax.plot(row["median"], i, "o", color=colour)
                ax.text(1.03, i, f"{row['share']:.0%}", va="center", fontsize=9)
            ax.set(
                title=name, xlim=(0.2, 1.02), xlabel="AUC within the clip", yticks=range(len(cases)), yticklabels=cases
            )
            ax.text(1.03, -0.75, "warned", fontsize=8, va="center")
            ax.grid(axis="y", visible=False)
        axes[0, 0].set_ylim(len(cases) - 0.5, -1.0)
    return fig
