"""Figures of a contrastive training: what can be watched while it runs, and what it has learned."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tfg.experts.syncnet import WINDOW
from tfg.plots.style import ACCENT, COLOURS, LIPS, MUTED, SOUND, TRUTH, figure, image_axes
from tfg.training.evaluate import MAX_SHIFT, cosine_by_shift
from tfg.training.live import Moment

Array = NDArray[np.floating]


# ---- while it runs --------------------------------------------------------------------------------------------------


def training_now(moments: Sequence[Moment], groups: Mapping[str, Sequence[str]], clip: str) -> Figure:
    """A run up to now: the batches' loss, the AUC of groups of clips, and one clip's cosines.

    :param moments: so far, of :func:`tfg.training.live.watch`.
    :param groups: label -> names of watched clips.
    :param clip: a watched clip, whose cosines after the last look are drawn.
    """
    looks = [m for m in moments if m.embeddings]
    steps = [m.step for m in moments[1:]]
    with figure(1, 3, size=(9.6, 3.1), width_ratios=(1, 1.1, 1)) as (fig, (loss, auc, matrix)):
        values = np.array([m.loss for m in moments[1:]])
        loss.plot(steps, values, color=MUTED, lw=0.7, alpha=0.6, label="each batch")
        loss.plot(steps, running_mean(values, 9), color=LIPS, lw=2, label="mean of 9")
        loss.set_title("Loss on the training batches")
        loss.set_xlabel("step")
        loss.set_ylabel("loss")
        loss.legend(fontsize=8)
        for colour, (label, names) in zip(COLOURS, groups.items(), strict=False):
            curve = [m.figures(names)["auc_5"] for m in looks]
            auc.plot([m.step for m in looks], curve, marker="o", ms=3, color=colour, label=label)
        auc.axhline(0.5, color="black", lw=0.8, ls=":")
        auc.text(looks[-1].step, 0.495, "chance", fontsize=8, ha="right", va="top")
        auc.set_ylim(0.45, 1.2)
        auc.set_yticks(np.arange(0.5, 1.01, 0.1))
        auc.set_title("AUC: in sync or 5–15 frames off?")
        auc.set_xlabel("step")
        auc.set_ylabel("area under the ROC curve")
        auc.legend(fontsize=8, loc="upper left")
        shown = matrix.imshow(looks[-1].cosines(clip), cmap="magma", vmin=0, vmax=1)
        matrix.grid(False)
        matrix.set_title(f"{clip}, step {looks[-1].step}")
        matrix.set_xlabel("sound begins at frame")
        matrix.set_ylabel("lips begin at frame")
        fig.colorbar(shown, ax=matrix, label="cosine", shrink=0.8)
    return fig


def running_mean(values: Array, width: int) -> Array:
    """Mean over ``width`` values (odd) around each; fewer at the ends."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    places = np.arange(len(values))
    first, after = (places - width // 2).clip(0), (places + width // 2 + 1).clip(max=len(values))
    return np.asarray((total[after] - total[first]) / (after - first))


def diagonal_emerging(looks: Sequence[Moment], clips: Mapping[str, str]) -> Figure:
    """The matrix of cosines of a few clips (rows) at moments of a training (columns).

    :param clips: label -> watched clip.
    """
    with figure(len(clips), len(looks), size=(9.6, 1.75 * len(clips) + 0.5), squeeze=False) as (fig, axes):
        for row, (label, name) in zip(axes, clips.items(), strict=True):
            for ax, look in zip(row, looks, strict=True):
                shown = ax.imshow(look.cosines(name), cmap="magma", vmin=0, vmax=1)
                image_axes(ax, f"step {look.step}" if ax in axes[0] else "")
            row[0].set_ylabel(f"{label}\nlips begin at →", fontsize=9)
        for ax in axes[-1]:
            ax.set_xlabel("sound begins at →", fontsize=9)
        fig.colorbar(shown, ax=axes, label="cosine", shrink=0.7)
    return fig


def cosines_apart(looks: Sequence[Moment], names: Sequence[str]) -> Figure:
    """How the cosines of pairs in sync draw apart from those of pairs 5 to 15 frames off.

    :param names: of the watched clips that are pooled.
    """
    bins = np.linspace(0, 1, 26)
    with figure(1, len(looks), size=(9.6, 2.7), sharex=True, squeeze=False) as (fig, axes):
        for ax, look in zip(axes[0], looks, strict=True):
            fits, off = pooled_cosines(look, names)
            ax.hist(off, bins, density=True, color=MUTED, alpha=0.6, label="5–15 frames off")
            ax.hist(fits, bins, density=True, color=TRUTH, alpha=0.6, label="in sync")
            ax.set_title(f"step {look.step}\nAUC {look.figures(names)['auc_5']:.2f}")
            ax.set_xlabel("cosine")
            ax.set_yticks([])
        axes[0, 0].set_ylabel("share of the pairs")
        fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return fig


def pooled_cosines(look: Moment, names: Sequence[str]) -> tuple[Array, Array]:
    """Cosines of all pairs in sync, and of all pairs 5 to 15 frames off, of some watched clips."""
    tables = [cosine_by_shift(*look.embeddings[name], window=1) for name in names]
    shifts = np.abs(np.arange(-MAX_SHIFT, MAX_SHIFT + 1))
    fits = np.concatenate([t[:, MAX_SHIFT] for t in tables])
    off = np.concatenate([t[:, shifts >= 5].ravel() for t in tables])
    return fits, off[~np.isnan(off)]


def offset_curves(looks: Sequence[Moment], groups: Mapping[str, Sequence[str]]) -> Figure:
    """Mean cosine of lips with the sound some frames later, at moments of a training; later moments are darker.

    :param groups: panel -> names of watched clips.
    """
    shifts = np.arange(-MAX_SHIFT, MAX_SHIFT + 1)
    shades = plt.get_cmap("viridis_r")(np.linspace(0.1, 1, len(looks)))
    with figure(1, len(groups), size=(9.6, 3.2), sharey=True, squeeze=False) as (fig, axes):
        for ax, (title, names) in zip(axes[0], groups.items(), strict=True):
            for look, shade in zip(looks, shades, strict=True):
                tables = [cosine_by_shift(*look.embeddings[name], window=1) for name in names]
                ax.plot(shifts, np.nanmean(np.concatenate(tables), axis=0), color=shade, label=f"step {look.step}")
            ax.axvline(0, color="black", lw=0.8, ls=":")
            ax.set_title(title)
            ax.set_xlabel("sound taken from (frames later)")
        axes[0, 0].set_ylabel("mean cosine")
        axes[0, -1].legend(fontsize=8)
    return fig


# ---- after it -------------------------------------------------------------------------------------------------------


def auc_by_distance(aucs: Mapping[str, Array], min_offset: int) -> Figure:
    """How well windows in sync are told from windows some frames off, for each number of frames.

    :param aucs: label -> AUC for 1, 2, 3, ... frames.
    :param min_offset: the smallest distance that training asked for; nearer ones are shaded.
    """
    with figure(size=(6.6, 3.2)) as (fig, ax):
        for colour, (label, values) in zip(COLOURS, aucs.items(), strict=False):
            ax.plot(np.arange(1, len(values) + 1), values, marker="o", ms=4, color=colour, label=label)
        ax.axvspan(0, min_offset - 0.5, color=MUTED, alpha=0.2, lw=0, label="not asked in training")
        ax.axvspan(WINDOW - 0.5, len(values) + 1, color=TRUTH, alpha=0.08, lw=0, label="no frame in common")
        ax.axhline(0.5, color="black", lw=0.8, ls=":")
        ax.set_xlim(0.5, len(values) + 0.5)
        ax.set_title("How far off must the sound be to be noticed?")
        ax.set_xlabel("sound off by (frames, either way)")
        ax.set_ylabel("AUC against sound in sync")
        ax.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    return fig


def pause(cosines: Array, frames: int) -> Figure:
    """Cosines of a clip that begins with a pause, and how they depend on the delay in the pause and in speech.

    :param cosines: ``(W, W)``, lips by sound.
    :param frames: length of the pause.
    """
    reach = (frames - WINDOW) // 2
    shifts = np.arange(-reach, reach + 1)
    parts = {"in the pause": np.array([reach]), "in speech": np.arange(frames + reach, len(cosines) - reach)}
    with figure(1, 2, size=(9, 3.5), width_ratios=(1, 1.2)) as (fig, (matrix, curve)):
        shown = matrix.imshow(cosines, cmap="magma", vmin=0, vmax=1)
        matrix.grid(False)
        edge = frames - WINDOW + 0.5
        matrix.plot([-0.5, edge, edge], [edge, edge, -0.5], color="#56B4E9", lw=1.5)
        matrix.set_title("The first second is a pause")
        matrix.set_xlabel("sound begins at frame")
        matrix.set_ylabel("lips begin at frame")
        fig.colorbar(shown, ax=matrix, label="cosine", shrink=0.8)
        for colour, (name, rows) in zip((MUTED, TRUTH), parts.items(), strict=True):
            curve.plot(
                shifts, [cosines[rows, np.add(rows, s)].mean() for s in shifts], marker=".", color=colour, label=name
            )
        curve.set_title("What a delay changes")
        curve.set_xlabel("sound taken from (frames later)")
        curve.set_ylabel("mean cosine")
        curve.set_xticks(shifts[::5])
        curve.set_ylim(0, 1)
        curve.legend()
    return fig


def shortcut(matrices: Mapping[str, Array], edges: Sequence[int], aucs: Mapping[str, Sequence[float]]) -> Figure:
    """Cosines over several clips end to end, for networks that were trained differently, and what each can tell.

    :param matrices: network -> ``(W, W)`` cosines of all windows with all windows.
    :param edges: window at which each clip begins, and the number of windows.
    :param aucs: network -> AUC of windows in sync against the same clip 5 to 15 frames off, and against other clips.
    """
    count = len(matrices)
    with figure(1, count + 1, size=(9.8, 3.4), width_ratios=(*[1] * count, 0.8)) as (fig, axes):
        for ax, (title, cosines) in zip(axes, matrices.items(), strict=False):
            shown = ax.imshow(cosines, cmap="magma", vmin=0, vmax=1)
            image_axes(ax, title)
            for edge in edges[1:-1]:
                ax.axhline(edge - 0.5, color="white", lw=0.8)
                ax.axvline(edge - 0.5, color="white", lw=0.8)
            ax.set_xlabel("sound of clip")
            middles = (np.asarray(edges[1:]) + np.asarray(edges[:-1])) / 2
            ax.set_xticks(middles, range(1, len(edges)))
            ax.set_yticks(middles, range(1, len(edges)))
        axes[0].set_ylabel("lips of clip")
        fig.colorbar(shown, ax=axes[count - 1], label="cosine", shrink=0.75)
        bars, places = axes[count], np.arange(2)
        for i, (colour, (title, values)) in enumerate(zip((TRUTH, ACCENT), aucs.items(), strict=True)):
            drawn = bars.bar(places + 0.4 * i - 0.2, values, 0.36, color=colour, label=title)
            bars.bar_label(drawn, fmt="%.2f", fontsize=8)
        bars.axhline(0.5, color="black", lw=0.8, ls=":")
        bars.set_xticks(places, ["another\nmoment", "another\nclip"])
        bars.set_ylim(0.4, 1.3)
        bars.set_yticks([0.5, 0.75, 1])
        bars.set_xlabel("in sync, or the sound of")
        bars.set_ylabel("AUC (0.5 is chance)")
        bars.set_title("What each can tell")
        bars.legend(fontsize=8, loc="upper left")
    return fig


def loss_comparison(steps: Sequence[int], auc: Mapping[str, Sequence[Sequence[float]]]) -> Figure:
    """AUC on held-out talkers while several short runs of each setting go on.

    :param auc: setting -> for each seed, the AUC at ``steps``; drawn are the mean and the range.
    """
    with figure(size=(8.6, 3.6)) as (fig, ax):
        for colour, (name, runs) in zip((ACCENT, MUTED, SOUND, TRUTH, LIPS), auc.items(), strict=True):
            curves = np.asarray(runs)
            ax.plot(steps, curves.mean(axis=0), marker="o", ms=4, color=colour, label=name)
            ax.fill_between(steps, curves.min(axis=0), curves.max(axis=0), color=colour, alpha=0.15, lw=0)
        ax.axhline(0.5, color="black", lw=0.8, ls=":")
        ax.set_title(f"Held-out talkers: mean and range of {len(curves)} runs each")
        ax.set_xlabel("step")
        ax.set_ylabel("AUC, in sync or 5–15 frames off")
        ax.legend(fontsize=8.5, loc="center left", bbox_to_anchor=(1, 0.5))
    return fig


def learning_curves(curves: Mapping[str, Sequence[Mapping[str, float]]]) -> Figure:
    """Whole trainings: the loss on the batches, and AUC and cosines on validation clips.

    :param curves: name of a run -> the ``curve`` on the card of its weights
        (:func:`tfg.training.publish.learning_curve`); dashed lines mark the ends of phases or iterations.
    """
    with figure(len(curves), 3, size=(9.6, 2.6 * len(curves) + 0.3), squeeze=False) as (fig, axes):
        for row, (name, curve) in zip(axes, curves.items(), strict=True):
            steps = [point["steps"] for point in curve]
            # folders measured on the way, perhaps not from the beginning
            further = sorted({key for point in curve for key in point if key.endswith("/auc_5")})
            watched = {
                key: (key.removesuffix("/auc_5"), colour) for key, colour in zip(further, COLOURS[4:], strict=False)
            }
            lines = (
                (f"{name}: loss", {"loss": ("training batches", LIPS)}),
                ("AUC", {"auc_5": ("5–15 frames off", TRUTH), "auc_2": ("2 frames off", ACCENT)} | watched),
                ("mean cosine", {"cosine": ("in sync", TRUTH), "cosine_chance": ("5–15 frames off", MUTED)}),
            )
            for ax, (title, drawn) in zip(row, lines, strict=True):
                for key, (label, colour) in drawn.items():
                    ax.plot(
                        steps, [point.get(key, np.nan) for point in curve], marker=".", ms=4, color=colour, label=label
                    )
                for before, after in itertools.pairwise(curve):
                    if _part(before) != _part(after):
                        ax.axvline(before["steps"], color="black", lw=0.8, ls="--", alpha=0.5)
                ax.set_title(title)
                ax.set_xlabel("step")
                ax.set_ylabel(title.split(": ")[-1])
                if len(drawn) > 1:
                    ax.legend(fontsize=8)
            row[1].set_ylim(None, 1)
    return fig


def _part(point: Mapping[str, float]) -> float:
    return point.get("phase", point.get("iteration", 0))
