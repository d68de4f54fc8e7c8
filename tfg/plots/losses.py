"""Figures of the chapter *The losses, one by one*: where each looks, how it moves, how it pulls, how to fool it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tfg.plots.style import ACCENT, COLOURS, LIPS, MUTED, SOUND, TRUTH, figure, image_axes

Float = NDArray[np.floating]
Picture = NDArray[np.uint8]


def where_it_looks(face: Picture, gradients: Mapping[str, Float], columns: int = 4) -> Figure:
    """How strongly each loss pulls at each pixel of one face, each on a scale of its own.

    :param face: ``(S, S, 3)``, drawn first and, in grey, below each map.
    :param gradients: loss -> ``(S, S)`` size of the gradient at each pixel.
    """
    rows = -(-(1 + len(gradients)) // columns)
    with figure(rows, columns, size=(2.15 * columns, 2.35 * rows), squeeze=False) as (fig, axes):
        for ax in axes.flat:
            image_axes(ax, "")
        axes.flat[0].imshow(face)
        axes.flat[0].set_title("the face", fontsize=10)
        for ax, (name, size) in zip(axes.flat[1:], gradients.items(), strict=False):
            ax.imshow(face.mean(axis=2), cmap="gray", vmin=0, vmax=255)
            top = float(np.quantile(size[size > 0], 0.995))  # a few pixels would darken all others
            ax.imshow(size, cmap="inferno", alpha=np.clip(size / top, 0, 1) ** 0.5 * 0.9, vmin=0, vmax=top)
            ax.set_title(name, fontsize=10)
    return fig


def answers(faces: Mapping[str, Picture], logits: Mapping[str, Float]) -> Figure:
    """Faces, and what a patch discriminator says of each place of them, on one scale.

    :param faces: name -> ``(S, S, 3)``; ``logits``: the same names -> ``(h, w)``.
    """
    limit = max(float(np.abs(x).max()) for x in logits.values())
    with figure(1, 2 * len(faces), size=(4.4 * len(faces) + 0.8, 2.3)) as (fig, axes):
        for left, right, name in zip(axes[::2], axes[1::2], faces, strict=True):
            left.imshow(faces[name])
            image_axes(left, name)
            shown = right.imshow(logits[name], cmap="RdBu", vmin=-limit, vmax=limit)
            image_axes(right, "")
        fig.colorbar(shown, ax=axes.tolist(), shrink=0.8, label="logit\n(positive: real)")
    return fig


def clamp(cosines: Mapping[str, Float], floor: float) -> Figure:
    """The logarithm and its slope, and where the cosines of windows lie on it.

    :param cosines: name -> cosines of windows.
    :param floor: below it the loss is constant.
    """
    x = np.linspace(-0.4, 1, 561)
    kept = x >= floor
    with figure(1, 2, size=(9.4, 3.1), width_ratios=(1, 1.3)) as (fig, (left, right)):
        left.plot(x, -np.log(np.maximum(x, floor)), color=SOUND)
        left.text(-0.38, 4.9, "loss", color=SOUND)
        left.plot(x[kept], 1 / x[kept], color=LIPS)
        left.plot(x[~kept], np.zeros((~kept).sum()), color=LIPS)
        left.text(0.3, 4.0, "size of its slope:\n1 / cosine; zero\nbelow the floor", color=LIPS)
        left.axvline(floor, color=MUTED, ls=":")
        left.set(title=f"clamped at {floor:g}", xlabel="cosine of a window", ylabel="nats", ylim=(-0.5, 12))
        places = list(cosines)
        for i, values in enumerate(cosines.values()):
            nudge = np.random.default_rng(0).uniform(-0.3, 0.3, len(values))
            taught = values >= floor
            right.plot(values[taught], i + nudge[taught], ".", color=COLOURS[i % len(COLOURS)], ms=4)
            right.plot(values[~taught], i + nudge[~taught], "x", color="black", ms=4)
            right.text(1.03, i, f"{np.mean(~taught):.0%}", va="center", fontsize=9)
        right.text(1.03, -0.8, "clamped", va="center", fontsize=8)
        right.axvline(floor, color=MUTED, ls=":")
        right.set(title="windows", xlabel="cosine", xlim=(-0.4, 1.02), ylim=(len(places) - 0.5, -1))
        right.set_yticks(range(len(places)), places)
        right.grid(axis="y", visible=False)
    return fig


def damage(values: Mapping[str, Mapping[str, float]]) -> Figure:
    """What each loss says of each kind of mouth: values in the fields, colours from a row's smallest to its largest.

    :param values: loss -> kind of mouth -> value.
    """
    losses, kinds = list(values), list(next(iter(values.values())))
    table = np.array([[values[loss][kind] for kind in kinds] for loss in losses])
    low, high = table.min(axis=1, keepdims=True), table.max(axis=1, keepdims=True)
    shade = (table - low) / np.where(high > low, high - low, 1)
    with figure(size=(1.25 * len(kinds) + 2.2, 0.42 * len(losses) + 1.0)) as (fig, ax):
        ax.imshow(shade, cmap="Blues", vmin=0, vmax=1.25, aspect="auto")
        for (i, j), value in np.ndenumerate(table):
            ax.text(j, i, f"{value:.3f}" if value < 0.1 else f"{value:.2f}", ha="center", va="center",
                    color="white" if shade[i, j] > 0.75 else "black")  # fmt: skip
        ax.set_title("value of each loss (dark: the worst of its row)")
        ax.set_xticks(range(len(kinds)), [kind.replace(" ", "\n", 1) for kind in kinds])
        ax.set_yticks(range(len(losses)), losses)
        ax.tick_params(length=0)
        ax.grid(False)
    return fig


def pulls(norms: Mapping[str, Sequence[float]]) -> Figure:
    """How hard each loss pulls with a weight of one: the size of its gradient, window by window.

    :param norms: loss -> one size per window.
    """
    with figure(size=(7.4, 0.36 * len(norms) + 1.1)) as (fig, ax):
        for i, values in enumerate(norms.values()):
            ax.plot(values, np.full(len(values), i), ".", color=COLOURS[i % len(COLOURS)], alpha=0.6)
            ax.plot(np.median(values), i, "|", color="black", ms=16, mew=2)
        ax.set(title="size of the gradient to the faces (line: median)", xscale="log", ylim=(len(norms) - 0.5, -0.5),
               xlabel="length of the gradient of a window of five frames, per unit of brightness")  # fmt: skip
        ax.set_yticks(range(len(norms)), list(norms))
        ax.grid(axis="y", visible=False)
    return fig


def fooled(cosines: Mapping[str, Sequence[float]], levels: Mapping[str, float]) -> Figure:
    """Two experts' opinions while the pixels climb the gradient of one of them.

    :param cosines: expert -> mean cosine after each step, from the untouched faces on.
    :param levels: name -> a cosine to compare with, drawn across.
    """
    with figure(size=(7, 3.1)) as (fig, ax):
        for colour, (name, values) in zip((SOUND, LIPS), cosines.items(), strict=False):
            ax.plot(range(len(values)), values, color=colour, marker="o", ms=4, label=name)
        for colour, (name, value) in zip((TRUTH, ACCENT), levels.items(), strict=False):
            ax.axhline(value, color=colour, ls="--", label=name)
        ax.set(title="The score rises, the lips stay", xlabel="step", ylabel="cosine of lips\nand wrong sound")
        ax.legend(fontsize=9, loc="upper left", bbox_to_anchor=(1, 1))
    return fig
