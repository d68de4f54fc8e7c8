"""Figures of the chapter *AV-HuBERT inside*: from the first convolution to what training makes of the whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tfg.clip import FPS
from tfg.datasets.examples import Label
from tfg.plots.style import ACCENT, COLOURS, LIPS, MUTED, SOUND, TRUTH, figure, image_axes

Float = NDArray[np.floating]
Curve = Sequence[Mapping[str, Any]]

SIGNED = "RdBu_r"  # white is zero
GIVEN = {"a": ("sound alone", SOUND), "v": ("lips alone", LIPS), "av": ("both", TRUTH)}


# ---- front ends ---------------------------------------------------------------------------------------------------


def impulse(changes: Mapping[str, Float], floor: float = 1e-3) -> Figure:
    """Which features move when one frame of the input is replaced.

    :param changes: panel -> ``(T, T)``: row is the frame that was replaced, column the feature, value the relative
        change; NaN rows are left white.
    :param floor: the smallest change that the colours show; exact zeros are white.
    """
    with figure(1, len(changes), size=(4.1 * len(changes), 3.9), squeeze=False) as (fig, axes):
        for ax, (title, change) in zip(axes[0], changes.items(), strict=True):
            shown = np.where(change > 0, change, np.nan)
            image = ax.imshow(shown, norm=LogNorm(floor, 1, clip=True), cmap="viridis_r", origin="lower")
            ax.set(title=title, xlabel="feature of frame")
            ax.grid(False)
        axes[0, 0].set_ylabel("frame that was replaced")
        fig.colorbar(image, ax=axes[0].tolist(), label="relative change (white: none at all)", shrink=0.85)
    return fig


def first_layer(frames: Float, filters: Mapping[str, Float], maps: Mapping[str, Float], first: int) -> Figure:
    """Some filters of the first convolution, each with what it makes of a few consecutive frames.

    :param frames: ``(n, H, W)`` what the network sees.
    :param filters: row title -> ``(5, h, w)``, one picture per frame that the filter looks at.
    :param maps: row title -> ``(n, H', W')``, the filter's answer at each of these frames.
    :param first: number of the first frame.
    """
    n, taps = len(frames), len(next(iter(filters.values())))
    with figure(
        1 + len(filters), taps + 1 + n, size=(8.6, 0.66 * (1 + len(filters)) + 0.35), squeeze=False,
        width_ratios=[0.6] * taps + [0.35] + [1.0] * n,
    ) as (fig, axes):  # fmt: skip
        for ax in axes.flat:
            image_axes(ax, "")
        for i, picture in enumerate(frames):
            axes[0, taps + 1 + i].imshow(picture, cmap="gray")
            axes[0, taps + 1 + i].set_title(f"{first + i}", loc="center", fontsize=8)
        for row, (title, taps_of_row) in zip(axes[1:], filters.items(), strict=True):
            limits = [np.abs(values).max() for values in (taps_of_row, maps[title])]
            for j, picture in enumerate(taps_of_row):
                row[j].imshow(picture, cmap=SIGNED, vmin=-limits[0], vmax=limits[0])
            for j, picture in enumerate(maps[title]):
                row[taps + 1 + j].imshow(picture, cmap=SIGNED, vmin=-limits[1], vmax=limits[1])
            row[0].set_ylabel(title, rotation=0, ha="right", va="center", fontsize=8)
        for j in range(taps):
            axes[1, j].set_title(f"{j - taps // 2:+d}" if j != taps // 2 else "0", loc="center", fontsize=8)
        fig.suptitle(
            "Filters from frame t − 2 to t + 2 (left), and their answers (right)", x=0.01, ha="left", fontsize=11
        )
    return fig


def where_it_looks(face: Float, occlusion: Float, gradient: Float) -> Figure:
    """Which part of the mouth crop matters.

    :param face: ``(88, 88)`` grey picture, the average crop.
    :param occlusion: ``(r, c)``, change of the features when the movement of that part is taken away.
    :param gradient: ``(88, 88)``, size of the score's gradient at each pixel.
    """
    extent = (0, face.shape[1], face.shape[0], 0)
    panels = {
        "average mouth crop": (None, ""),
        "movement frozen there": (occlusion, "change of $F_V$ (1 − cosine)"),
        "gradient of AVS_u": (gradient / gradient.max(), "mean size (largest: 1)"),
    }
    with figure(1, 3, size=(8.6, 3.0)) as (fig, axes):
        for ax, (title, (values, label)) in zip(axes, panels.items(), strict=True):
            image_axes(ax, title)
            ax.imshow(face, cmap="gray", extent=extent)
            if values is not None:
                shown = ax.imshow(values, cmap="inferno", extent=extent, alpha=0.75, vmin=0, interpolation="bilinear")
                fig.colorbar(shown, ax=ax, label=label, shrink=0.75)
    return fig


def sound_patterns(fbank: Float, patterns: Float, share: Float) -> Figure:
    """The filterbank of some frames, and the patterns to which the linear map of the sound answers most.

    :param fbank: ``(T, 104)``, consecutive frames.
    :param patterns: ``(n, 4, 26)``: right singular vectors of the map, as time steps times bands.
    :param share: ``(n,)`` of the map's energy.
    """
    frames, n = len(fbank), len(patterns)
    limit = np.abs(patterns).max()
    with figure(1, n + 1, size=(8.6, 2.9), width_ratios=[frames * 1.6, *[4] * n], sharey=True) as (fig, axes):
        picture = fbank.reshape(frames * 4, 26).T
        axes[0].imshow(picture, origin="lower", aspect="auto", cmap="magma", extent=(0, frames, 0, 26))
        axes[0].set(
            title=f"{frames} frames of sound", xlabel="frame (40 ms)", ylabel="mel band", xticks=range(frames + 1)
        )
        axes[0].grid(axis="x", color="white", alpha=0.8, linewidth=1.2)
        for ax, pattern, part in zip(axes[1:], patterns, share, strict=True):
            ax.imshow(
                pattern.T, origin="lower", aspect="auto", cmap=SIGNED, vmin=-limit, vmax=limit, extent=(0, 40, 0, 26)
            )
            ax.set_title(f"{part:.0%}", loc="center", fontsize=9)
            ax.set_xticks([0, 40])
            ax.grid(False)
        axes[1 + n // 2].set_xlabel("ms within a frame")
        axes[1].set_title(f"patterns\n{share[0]:.0%}", loc="center", fontsize=9)
    return fig


# ---- fusion -------------------------------------------------------------------------------------------------------


def fused_vectors(vectors: Mapping[str, Float]) -> Figure:
    """What the fused vector holds when both modalities are given, or one.

    :param vectors: panel -> ``(T, 2 D)`` after the layer norm, sound first.
    """
    with figure(1, len(vectors), size=(8.6, 3.2), sharey=True) as (fig, axes):
        for ax, (title, values) in zip(axes, vectors.items(), strict=True):
            size = values.shape[1]
            image = ax.imshow(values.T, cmap=SIGNED, vmin=-2.5, vmax=2.5, aspect="auto", interpolation="none")
            ax.axhline(size / 2 - 0.5, color="black", linewidth=0.8)
            ax.set(
                title=title, xlabel="frame", yticks=[size / 4, 3 * size / 4], yticklabels=["sound half", "lips half"]
            )
            ax.grid(False)
        fig.colorbar(image, ax=axes.tolist(), label="value after the layer norm")
    return fig


def two_clouds(planes: Mapping[str, tuple[Float, Float]], opening: Float) -> Figure:
    """Sound-only and lips-only features of the same frames in a plane: by modality, and by what the mouth does.

    :param planes: stage -> two ``(N, 2)``: features of the sound and of the lips, on common axes.
    :param opening: ``(N,)`` true mouth opening of the frames.
    """
    with figure(2, len(planes), size=(8.2, 6.4), squeeze=False) as (fig, axes):
        for column, (stage, (sound, lips)) in zip(axes.T, planes.items(), strict=True):
            for points, (name, colour) in ((sound, GIVEN["a"]), (lips, GIVEN["v"])):
                column[0].scatter(*points.T, s=5, color=colour, alpha=0.6, linewidths=0, label=name)
                shown = column[1].scatter(*points.T, s=5, c=opening, cmap="viridis", linewidths=0)
            column[0].set_title(stage)
            for ax in column:
                ax.set(xlabel="first principal component", ylabel="second")
                ax.tick_params(length=0, labelbottom=False, labelleft=False)
                ax.set_aspect("equal", adjustable="datalim")
        axes[0, 0].legend(markerscale=3, fontsize=8)
        fig.colorbar(shown, ax=axes[1].tolist(), label="mouth opening (true)")
    return fig


def alignment_by_stage(stages: Sequence[str], pairs: Mapping[str, tuple[Float, Float]]) -> Figure:
    """Cosine of features of the same frames under two inputs, stage by stage, beside that of unrelated frames.

    :param pairs: title -> two ``(n,)``: mean cosine of the same frame, and of frames a second or more apart.
    """
    with figure(1, len(pairs), size=(8.6, 3.0), sharey=True) as (fig, axes):
        for ax, (title, (same, chance)), colour in zip(axes, pairs.items(), (ACCENT, SOUND, LIPS), strict=False):
            ax.fill_between(range(len(stages)), chance, same, color=colour, alpha=0.15)
            ax.plot(same, marker="o", color=colour, label="same frame")
            ax.plot(chance, marker=".", linestyle="--", color=MUTED, label="another moment")
            ax.set(title=title, ylim=(-0.1, 1.03))
            ax.set_xticks(range(len(stages)), stages, rotation=40, ha="right", fontsize=8)
            ax.legend(fontsize=8, loc="lower right")
        axes[0].set_ylabel("cosine")
    return fig


# ---- transformer --------------------------------------------------------------------------------------------------


def attention_maps(maps: Float, layer: int, head: int, spans: Sequence[Label]) -> Figure:
    """All heads in small, one in large with the phones of the clip.

    :param maps: ``(layers, heads, T, T)``, row t holds the weights with which frame t reads each frame.
    :param layer: of the large one, from 0; so is ``head``.
    :param spans: phones of the clip; silence is an empty text.
    """
    layers, heads, frames = maps.shape[:3]
    with figure(size=(8.6, 4.7)) as (fig, unused):
        unused.remove()
        halves = fig.add_gridspec(1, 2, width_ratios=[1, 1.25])
        small = halves[0].subgridspec(layers, heads).subplots()
        for (i, j), ax in np.ndenumerate(small):
            image_axes(ax, "")
            ax.imshow(np.sqrt(maps[i, j]), cmap="magma")
            if (i, j) == (layer, head):
                for spine in ax.spines.values():
                    spine.set(visible=True, color=LIPS, linewidth=2.5)
            if i == 0:
                ax.set_title(f"head {j + 1}", fontsize=9, loc="center")
            if j == 0:
                ax.set_ylabel(f"layer {i + 1}", fontsize=9)
        ax = fig.add_subplot(halves[1])
        image = ax.imshow(maps[layer, head] * frames, cmap="magma", vmax=np.quantile(maps[layer, head], 0.995) * frames)
        ax.set_title(f"layer {layer + 1}, head {head + 1}")
        names = [(FPS * (a + b) / 2 - 0.5, FPS * a - 0.5, text) for text, a, b in spans if text]
        ax.set_xticks([centre for centre, _, _ in names], [text for *_, text in names], fontsize=6)
        ax.set_yticks(range(0, frames, 10))
        for i, label in enumerate(ax.get_xticklabels()):
            label.set_y(-0.025 * (i % 2))
        ax.set(xlabel="frame that is read (its phone)", ylabel="frame t that reads")
        ax.grid(False)
        fig.colorbar(image, ax=ax, label="weight × T (even reading: 1)", shrink=0.8)
    return fig


def reach(distances: Float, by_layer: Mapping[str, Float], taps: Float) -> Figure:
    """How far the two parts that mix frames look.

    :param distances: ``(n,)`` frames from the frame that reads.
    :param by_layer: layer -> ``(n,)`` mean attention at that distance, times T (even reading: 1).
    :param taps: ``(k,)`` size of the positional convolution's weights, one per frame.
    """
    offsets = np.arange(len(taps)) - len(taps) // 2
    with figure(1, 2, size=(8.6, 2.9)) as (fig, (left, right)):
        left.bar(offsets, taps, color=MUTED)
        left.set(title="positional convolution", xlabel="frames from t", ylabel="size of the weights", ylim=(0, None))
        for (name, weights), colour in zip(by_layer.items(), COLOURS * len(by_layer), strict=False):
            right.plot(distances, weights, color=colour, label=name)
        right.axhline(1, color="black", linewidth=0.8)
        right.set(title="attention", xlabel="frames from t", ylabel="weight × T (even: 1)", ylim=(0, None))
        right.legend(fontsize=8)
    return fig


def probes(stages: Sequence[str], scores: Mapping[str, Mapping[str, Float]], floors: Mapping[str, float]) -> Figure:
    """What a linear map can read from the features of each stage, on talkers that it has not seen.

    :param scores: panel -> {``"a"``, ``"v"``, ``"av"``: ``(n,)``}.
    :param floors: panel -> the score of a guess without features.
    """
    with figure(1, len(scores), size=(8.6, 3.1)) as (fig, axes):
        for ax, (title, curves) in zip(np.atleast_1d(axes), scores.items(), strict=True):
            for given, values in curves.items():
                name, colour = GIVEN[given]
                ax.plot(values, marker="o", color=colour, label=name)
            ax.axhline(floors[title], color="black", linestyle=":", label="without features")
            ax.set(title=title, ylim=(min(0, floors[title]), None))
            ax.set_xticks(range(len(stages)), stages, rotation=40, ha="right", fontsize=8)
        np.atleast_1d(axes)[-1].legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    return fig
