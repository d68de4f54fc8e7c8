"""Figures of AV-HuBERT's features and of scores: chapters *AV-HuBERT's features* and *Score your own video*."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import Colormap, ListedColormap, NoNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from tfg.clip import FPS
from tfg.datasets.examples import Label
from tfg.plots.style import ACCENT, COLOURS, LIPS, MUTED, SOUND, TRUTH, figure, image_axes

Float = NDArray[np.floating]
Int = NDArray[np.integer]
Bool = NDArray[np.bool_]
Shape = tuple[int, ...]

METRICS = {  # key of tfg.score -> title, which direction is better
    "avs_u": ("AVS_u", "higher is better"),
    "avs_m": ("AVS_m", "higher is better"),
    "avs_v": ("AVS_v", "higher is better"),
    "lse_d_unbiased": ("LSE-D", "lower is better"),
}


class ClipScore(NamedTuple):
    """One row of :func:`chance_by_clip`."""

    clip: str
    group: str  #: what the expert knows of it, such as "new talker"
    score: float
    rotated: Float  #: ``(n,)`` the same score with the clip's own lips at another moment
    others: Float  #: ``(m,)`` the same score with the lips of other clips; may be empty


# ---- the network --------------------------------------------------------------------------------------------------


def architecture(shapes: Mapping[str, Shape]) -> Figure:
    """AV-HuBERT as boxes, with the shapes that a forward pass of one clip had.

    :param shapes: of the arrays ``sound``, ``lips`` (inputs), ``resnet``, ``audio_front``, ``video_front``, ``fused``,
        ``projected``, ``encoder``.
    """
    boxes = {  # name: x, y of the centre, width, text, colour
        "sound": (1.1, 3.0, 1.9, "stacked filterbank", SOUND),
        "lips": (1.1, 1.0, 1.9, "mouth video", LIPS),
        "resnet": (3.5, 1.0, 1.9, "3-D convolution\nand ResNet-18", LIPS),
        "video_front": (5.7, 1.0, 1.6, "linear", LIPS),
        "audio_front": (5.7, 3.0, 1.6, "linear", SOUND),
        "fused": (7.9, 2.0, 1.8, "side by side,\nsound first; norm", MUTED),
        "projected": (10.0, 2.0, 1.5, "linear", MUTED),
        "encoder": (12.3, 2.0, 2.1, "position convolution,\ntransformer, norm", TRUTH),
    }
    arrows = [("sound", "audio_front"), ("lips", "resnet"), ("resnet", "video_front"), ("audio_front", "fused"),
              ("video_front", "fused"), ("fused", "projected"), ("projected", "encoder")]  # fmt: skip
    with figure(size=(8.6, 3.0)) as (fig, ax):
        image_axes(ax, "One forward pass of AV-HuBERT")
        ax.set_xlim(0, 13.5)
        ax.set_ylim(0.2, 3.9)
        for name, (x, y, width, text, colour) in boxes.items():
            ax.add_patch(Rectangle((x - width / 2, y - 0.42), width, 0.84, facecolor=colour, alpha=0.18))
            ax.add_patch(Rectangle((x - width / 2, y - 0.42), width, 0.84, fill=False, edgecolor=colour))
            ax.text(x, y, text, ha="center", va="center", fontsize=8.5)
            ax.text(x, y - 0.5, _times(shapes[name]), ha="center", va="top", fontsize=8.5, family="monospace")
        for start, end in arrows:
            (x0, y0, w0, *_), (x1, y1, w1, *_) = boxes[start], boxes[end]
            ax.annotate("", (x1 - w1 / 2, y1 + 0.2 * np.sign(y0 - y1)), (x0 + w0 / 2, y0),
                        arrowprops={"arrowstyle": "->", "color": MUTED})  # fmt: skip
    return fig


def _times(shape: Shape) -> str:
    return "×".join(map(str, shape))


def missing_modality(cosines: Mapping[str, Mapping[str, Float]]) -> Figure:
    """How far features move when the missing modality is an input of zeros instead of None.

    :param cosines: panel -> {what was given in place of None: cosine per frame ``(T,)`` to the features with None}.
    """
    with figure(1, len(cosines), size=(4 * len(cosines), 2.8), sharey=True, squeeze=False) as (fig, axes):
        for ax, (title, curves) in zip(axes[0], cosines.items(), strict=True):
            for (name, cosine), colour in zip(curves.items(), (ACCENT, MUTED, *COLOURS), strict=False):
                ax.plot(cosine, color=colour, label=f"{name}: mean {np.mean(cosine):.2f}")
            ax.axhline(1, color="black", linewidth=0.8)
            ax.set(title=title, xlabel="frame")
            ax.legend(loc="lower center", fontsize=8)
        axes[0, 0].set_ylabel("cosine to None")
    return fig


# ---- masked cluster prediction ------------------------------------------------------------------------------------


def pseudo_labels(spans: Sequence[Label], strips: Mapping[str, Sequence[str]]) -> Figure:
    """Labels of one clip under what is said, in the same colours.

    :param spans: phonemes (:class:`tfg.datasets.examples.Example` has them); silence is an empty text.
    :param strips: row title -> the name of each frame's label, ``T`` texts; drawn from top to bottom.
    """
    frames = len(next(iter(strips.values())))
    used = sorted({span.text for span in spans} | {name for names in strips.values() for name in names} - {""})
    number = {name: i + 1 for i, name in enumerate(used)} | {"": 0}
    palette = ListedColormap(["0.95", *plt.get_cmap("tab20")(np.arange(len(used)) * 7 % 20)])
    rows = 1 + len(strips)
    with figure(rows, 1, size=(8, 0.55 * rows + 0.7), sharex=True) as (fig, axes):
        axes[0].set_title("What is said, and what machine-made labels stand for")
        _spans(axes[0], spans, "phonemes", {name: palette(i) for name, i in number.items()})
        for ax, (title, names) in zip(axes[1:], strips.items(), strict=True):
            _strip(ax, np.array([number[name] for name in names]), title, palette, ["", *used])
        axes[-1].set(xlabel="frame (40 ms)", xlim=(-0.5, frames - 0.5))
    return fig


def masked_input(
    mouth: NDArray[np.uint8], source: Int, fbank: Float, hidden_audio: Bool, strips: Mapping[str, Int]
) -> Figure:
    """A training example: what was there, what the network is shown, what it answers.

    :param mouth: ``uint8 (T, H, W)`` mouth crops.
    :param source: ``int (T,)``: frame from which each frame is really taken (itself where not masked).
    :param fbank: ``(T, 104)`` stacked filterbank.
    :param hidden_audio: ``bool (T,)``, True where the sound is replaced.
    :param strips: row title -> labels ``int (T,)``.
    """
    frames = len(mouth)
    heights = [1.0, 1.0, 1.1] + [0.45] * len(strips)
    size = (8, 0.75 * sum(heights) + 0.9)
    numbered = ListedColormap([plt.get_cmap("tab20")(i * 7 % 20) for i in range(1 + max(map(np.max, strips.values())))])
    with figure(len(heights), 1, size=size, sharex=True, height_ratios=heights) as (fig, axes):
        chosen = np.linspace(0, frames - 1, 15).round().astype(int)
        for ax, shown, title in ((axes[0], np.arange(frames), "lips"), (axes[1], source, "lips,\nas shown")):
            for t in chosen:
                left, right = t - frames / 32, t + frames / 32
                ax.imshow(mouth[shown[t]], cmap="gray", extent=(left, right, 0, 1), aspect="auto", vmin=0, vmax=255)
                if shown[t] != t:
                    ax.add_patch(Rectangle((left, 0), right - left, 1, fill=False, edgecolor=LIPS, linewidth=2.5))
            _bare(ax, title)
            ax.set_ylim(0, 1)
        heard = fbank.reshape(frames * 4, -1).T
        axes[2].imshow(heard, origin="lower", aspect="auto", extent=(-0.5, frames - 0.5, 0, 26), cmap="magma")
        _bare(axes[2], "sound,\nas given")
        for first, stop in _runs(hidden_audio):
            patch = Rectangle((first - 0.5, 0), stop - first, 26, facecolor="white", edgecolor=SOUND, hatch="//")
            axes[2].add_patch(patch)
        for ax, (title, labels) in zip(axes[3:], strips.items(), strict=True):
            _strip(ax, labels, title, numbered)
        axes[0].set_title("A training example: orange frames are swapped, hatched sound is hidden")
        axes[-1].set(xlabel="frame (40 ms)", xlim=(-1.5, frames + 0.5))
    return fig


def _bare(ax: Any, title: str) -> None:
    """A row without a scale, its title at the left."""
    ax.grid(False)
    ax.set_yticks([])
    ax.tick_params(axis="x", length=0)
    ax.set_ylabel(title, rotation=0, ha="right", va="center", fontsize=9)
    ax.spines[["left", "bottom"]].set_visible(False)


def _strip(ax: Any, labels: Int, title: str, palette: Colormap, names: Sequence[str] = ()) -> None:
    """One colour a frame; runs of three and more frames carry the label's name (its number when there is none)."""
    ax.imshow(labels[None], cmap=palette, norm=NoNorm(), aspect="auto", extent=(-0.5, len(labels) - 0.5, 0, 1))
    for first, stop in _runs(labels):
        if stop - first >= (2 if names else 3):
            text = names[labels[first]] if names else str(labels[first])
            ax.text((first + stop - 1) / 2, 0.5, text, ha="center", va="center", fontsize=7)
    _bare(ax, title)


def _spans(ax: Any, spans: Sequence[Label], title: str, colours: Mapping[str, Any] | None = None) -> None:
    """What is said, each text over its time; in two alternating greys unless ``colours`` has one for every text."""
    for i, (text, start, stop) in enumerate(spans):
        first, length = FPS * start - 0.5, FPS * (stop - start)  # frame t is drawn from t - 0.5 to t + 0.5
        grey = ("0.80", "0.88")[i % 2] if text else "0.97"
        ax.add_patch(Rectangle((first, 0), length, 1, facecolor=colours[text] if colours else grey, edgecolor="white"))
        height = 0.5 + 0.2 * (-1) ** i  # texts of short neighbours do not touch
        ax.text(first + length / 2, height, text, ha="center", va="center", fontsize=7)
    _bare(ax, title)
    ax.set_ylim(0, 1)


def _runs(values: Int | Bool) -> list[tuple[int, int]]:
    """``[first, stop)`` of equal values; of a mask, only its True runs."""
    edges = np.flatnonzero(np.diff(values)) + 1
    bounds = [0, *edges.tolist(), len(values)]
    runs = list(itertools.pairwise(bounds))
    return [run for run in runs if values[run[0]]] if values.dtype == bool else runs


# ---- features of one clip -----------------------------------------------------------------------------------------


def similarity_matrices(matrices: Mapping[str, Float]) -> Figure:
    """Cosine of every moment of the sound with every moment of the lips.

    :param matrices: clip -> ``(T, T)``, row s is the sound of frame s, column t the lips of frame t.
    """
    count = len(matrices)
    low, high = np.quantile(np.concatenate([m.ravel() for m in matrices.values()]), [0.02, 0.998])
    with figure(1, count, size=(4.4 * count, 3.9), squeeze=False) as (fig, axes):
        for ax, (name, matrix) in zip(axes[0], matrices.items(), strict=True):
            image = ax.imshow(matrix, origin="lower", cmap="viridis", vmin=low, vmax=high)
            ax.set(title=name, xlabel="frame t of the lips", ylabel="frame s of the sound")
            ax.grid(False)
        fig.colorbar(image, ax=axes[0].tolist(), label="cosine similarity", shrink=0.85)
    return fig


def cosine_and_loss(spans: Sequence[Label], cosine: Float, mismatched: Float, loss: Float) -> Figure:
    """Similarity of sound and lips over one clip, and the sync loss made of it, under the phonemes.

    :param cosine: ``(T,)`` of the frames as they are.
    :param mismatched: ``(T,)`` with the lips of another moment.
    :param loss: ``(T,)`` minus the logarithm of the cosine, floored.
    """
    with figure(3, 1, size=(8, 4.6), sharex=True, height_ratios=[0.25, 1, 1]) as (fig, axes):
        _spans(axes[0], spans, "phonemes")
        axes[0].set_title("Sound and lips of one clip, frame by frame")
        axes[1].plot(mismatched, color=MUTED, linewidth=1, label=f"lips of another moment: {np.mean(mismatched):.2f}")
        axes[1].plot(cosine, color=TRUTH, label=f"as recorded: mean {np.mean(cosine):.2f}")
        axes[1].set(ylabel="cosine", ylim=(min(-0.3, float(mismatched.min())), 1.1))
        axes[1].legend(loc="upper right", ncols=2, fontsize=8)
        axes[2].plot(loss, color=ACCENT)
        axes[2].set(ylabel="sync loss (nats)", xlabel="frame (40 ms)", ylim=(0, None), xlim=(-0.5, len(cosine) - 0.5))
    return fig


def context_curve(lengths: Sequence[int], cosines: Mapping[str, Float]) -> Figure:
    """How much features taken from a short window differ from those of the whole clip.

    :param lengths: window lengths in frames.
    :param cosines: sound or lips -> ``(len(lengths), n)`` cosine of windowed and whole-clip features of n frames.
    """
    with figure(size=(6, 3.2)) as (fig, ax):
        for (name, values), colour in zip(cosines.items(), (SOUND, LIPS), strict=True):
            low, middle, high = np.quantile(values, [0.25, 0.5, 0.75], axis=1)
            ax.plot(lengths, middle, marker="o", color=colour, label=name)
            ax.fill_between(lengths, low, high, color=colour, alpha=0.15)
        ax.set(title="Features depend on context", xlabel="frames that the network was given",
               ylabel="cosine to whole-clip features", xticks=list(lengths), ylim=(None, 1.02))  # fmt: skip
        ax.legend(title="median, quartiles")
    return fig


# ---- chance, delay, steadiness ------------------------------------------------------------------------------------


def chance_by_clip(rows: Sequence[ClipScore]) -> Figure:
    """Every clip's AVS_u beside what mismatched pairs reach, by either way to mismatch."""
    groups = list(dict.fromkeys(row.group for row in rows))
    colours = dict(zip(groups, (TRUTH, SOUND, LIPS, ACCENT), strict=False))
    with figure(size=(8, 0.24 * len(rows) + 1.2)) as (fig, ax):
        for i, row in enumerate(rows):
            for values, shade in ((row.rotated, "0.85"), (row.others, "0.6")):
                if len(values):
                    low, high = float(np.min(values)), float(np.max(values))
                    ax.barh(i, high - low, left=low, height=0.6 if shade == "0.85" else 0.25, color=shade)
            ax.plot(row.score, i, "o", color=colours[row.group])
        for group in groups:
            ax.plot([], [], "o", color=colours[group], label=group)
        ax.set(title="AVS_u of true pairs and of mismatched ones", xlabel="AVS_u", yticks=range(len(rows)),
               yticklabels=[row.clip for row in rows], ylim=(len(rows) - 0.4, -0.6))  # fmt: skip
        ax.xaxis.set_major_locator(MaxNLocator(7))
        ax.grid(axis="y", visible=False)
        rotated = Rectangle((0, 0), 1, 1, color="0.85", label="own lips, another moment")
        others = Rectangle((0, 0), 1, 1, color="0.6", label="lips of other clips")
        handles = [*ax.get_legend_handles_labels()[0], rotated, others]
        ax.legend(handles=handles, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    return fig


def delay_curves(
    delays: Int, avs: Float, mismatched: Float, lse_d: Mapping[int, float], lse_mismatched: float
) -> Figure:
    """What each expert's score does when the sound of one clip is delayed.

    :param delays: ``(n,)`` frames, positive: late.
    :param avs: ``(n,)`` AVS_u of the clip so delayed.
    :param mismatched: AVS_u of mismatched pairs, for the band.
    :param lse_d: delay in frames -> LSE-D of the clip so delayed.
    :param lse_mismatched: the median distance over shifts of the original clip: LSE-D + LSE-C.
    """
    with figure(2, 1, size=(8, 4.8), sharex=True) as (fig, (top, bottom)):
        top.axhspan(float(np.min(mismatched)), float(np.max(mismatched)), color="0.85", label="mismatched pairs")
        top.plot(delays, avs, marker=".", color=TRUTH, label="AVS_u")
        top.set(title="AV-HuBERT: AVS_u takes the clip as it is", ylabel="AVS_u")
        bottom.axhline(lse_mismatched, color=MUTED, linestyle="--", label="median over shifts\n(LSE-D + LSE-C)")
        bottom.plot(list(lse_d), list(lse_d.values()), marker=".", color=ACCENT, label="LSE-D")
        bottom.set(title="SyncNet: LSE-D looks for the best shift first", ylabel="distance", ylim=(0, None),
                   xlabel="delay of the sound (frames of 40 ms, positive: late)")  # fmt: skip
        for ax in (top, bottom):
            ax.axvline(0, color="black", linewidth=0.8)
            ax.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=8)
    return fig


def steadiness(experts: Mapping[str, tuple[Float, Float, Float]]) -> Figure:
    """Window by window, true pairs of each expert: over one clip, and over many beside mismatched pairs.

    :param experts: name -> (cosines over one clip ``(W,)``, true pairs of many clips, mismatched pairs of many clips).
    """
    with figure(len(experts), 2, size=(8, 2.3 * len(experts)), sharey=True, squeeze=False,
                sharex="col", width_ratios=[2, 1]) as (fig, axes):  # fmt: skip
        for row, (name, (course, true, wrong)) in zip(axes, experts.items(), strict=True):
            row[0].plot(course, color=TRUTH)
            row[0].set(title=f"{name}: one clip, true pairs", ylabel="cosine")
            row[1].hist(wrong, 40, orientation="horizontal", density=True, color="0.7", label="5 or more frames off")
            row[1].hist(true, 40, orientation="horizontal", density=True, color=TRUTH, alpha=0.7, label="true pairs")
            row[1].set(title="many clips")
        axes[-1, 0].set_xlabel("first frame of the window")
        axes[-1, 1].set_xlabel("density")
        fig.legend(*axes[0, 1].get_legend_handles_labels(), loc="outside lower right", ncols=2, fontsize=8)
    return fig


# ---- scores -------------------------------------------------------------------------------------------------------


def compare_methods(methods: Mapping[str, Sequence[Mapping[str, Any]]], other_clips: float) -> Figure:
    """Mean scores of each method, with every clip's own, the chance level and the ceiling of the real videos.

    :param methods: name -> one result of :func:`tfg.score` per clip; metrics that a result lacks are left out.
    :param other_clips: AVS_u of the sound of one clip with the lips of another (`tfg.metrics.corpus.score_folder`).
    """
    scores = [clip for clips in methods.values() for clip in clips]
    keys = [key for key in METRICS if all(clip.get(key) is not None for clip in scores)]
    size = (1.9 * len(keys) + 1, 0.42 * len(methods) + 1.6)
    with figure(1, len(keys), size=size, sharey=True, squeeze=False) as (fig, axes):
        for ax, key in zip(axes[0], keys, strict=True):
            for i, clips in enumerate(methods.values()):
                values = [clip[key] for clip in clips]
                ax.barh(i, np.mean(values), color=SOUND, alpha=0.45)
                ax.plot(values, np.full(len(values), i), ".", color=SOUND)
                if f"{key}_chance" in clips[0]:
                    chance = np.mean([clip[f"{key}_chance"] for clip in clips])
                    ax.plot([chance] * 2, [i - 0.4, i + 0.4], color=LIPS, linewidth=2.5)
            if all(f"{key}_reference" in clip for clip in scores):
                ceiling = np.mean([clip[f"{key}_reference"] for clip in scores])
                ax.axvline(ceiling, color=TRUTH, linestyle="--")
                ax.axvline(other_clips, color=LIPS, linestyle=":")
            title, direction = METRICS[key]
            ax.set(title=title, xlabel=direction, yticks=range(len(methods)), yticklabels=methods)
            ax.grid(axis="y", visible=False)
        axes[0, 0].invert_yaxis()
        handles = [
            plt.Line2D([], [], marker=".", linestyle="", color=SOUND, label="one clip"),
            Rectangle((0, 0), 1, 1, color=SOUND, alpha=0.45, label="mean"),
            plt.Line2D([], [], color=LIPS, linewidth=2.5, label="chance: same lips, another moment"),
            plt.Line2D([], [], color=LIPS, linestyle=":", label="chance: lips of other clips"),
            plt.Line2D([], [], color=TRUTH, linestyle="--", label="real videos (ceiling)"),
        ]
        fig.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=8)
    return fig
