"""Figures of the chapter *The generator*: how it is built, what goes in, where its square lies, how it draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from tfg.clip import Clip
from tfg.faces import FaceTrack
from tfg.generator_taps import Flow, Shape
from tfg.plots.style import ACCENT, COLOURS, LIPS, MUTED, SOUND, TRUTH, figure, image_axes

Float = NDArray[np.floating]
Picture = NDArray[np.uint8]

#: Of the parts of the generator in every figure of the chapter.
PART_COLOURS = {"identity": ACCENT, "pose": LIPS, "decoder": TRUTH, "sound": SOUND}
SQUARES = {"generator": SOUND, "Wav2Lip": LIPS}


def architecture(flow: Flow, pictures: Mapping[str, Picture]) -> Figure:
    """The paper's Figure 2, drawn from a forward pass: every map with its shape, every connection that was used.

    :param flow: :func:`tfg.generator_taps.flow`.
    :param pictures: ``identity``, ``pose``, ``mel`` (grey) and ``face``: what went in and what came out, uint8.
    """
    scales = len(flow.decoder)
    height = {"identity": 4.6, "pose": 2.9, "decoder": 1.0}
    with figure(size=(10.5, 6.4)) as (fig, ax):
        image_axes(ax, "One forward pass (channels × rows × columns)")
        ax.set(xlim=(-1.65, scales + 0.65), ylim=(-1.75, 5.6))
        for part, shapes in (("identity", flow.identity), ("pose", flow.pose), ("decoder", flow.decoder)):
            for x, shape in enumerate(shapes):
                _sheets(ax, x, height[part], shape, PART_COLOURS[part])
                if x:
                    left, right = (x - 1 + _half(shapes[x - 1]), x - _half(shape))
                    ends = (left, right) if part != "decoder" else (right, left)
                    _arrow(ax, (ends[0], height[part]), (ends[1], height[part]), PART_COLOURS[part])
        _arrow(ax, (-_half(flow.decoder[0]), height["decoder"]), (-0.88, height["decoder"]), PART_COLOURS["decoder"])
        for x, joined in enumerate(flow.joined):
            for part, nudge in (("pose", -0.06), ("identity", 0.14)):
                if part in joined:
                    style = "arc3,rad=-0.32" if part == "identity" else "arc3"
                    start = (x + nudge, height[part] - 0.66)
                    _arrow(ax, start, (x + nudge, height["decoder"] + 0.52), PART_COLOURS[part], style)
        sound = f"sound embedding: {flow.embedding} numbers"
        low = -0.95
        ax.add_patch(Rectangle((-0.35, low - 0.16), scales - 0.3, 0.32, facecolor=SOUND, alpha=0.2))
        ax.text((scales - 1) / 2, low, sound, ha="center", va="center", fontsize=9)
        for x, times in enumerate(flow.heard):
            if times:
                _arrow(ax, (x, low + 0.18), (x, height["decoder"] - 0.68), SOUND)
                ax.text(x + 0.06, low + 0.33, f"× {times}", fontsize=8, color=SOUND, va="center")
        shapes_of_sound = " → ".join(_times(shape) for shape in flow.sound)
        ax.text(-0.35, low - 0.4, f"audio encoder: {shapes_of_sound}", fontsize=8, family="monospace", va="center")
        around = {
            "identity": (4.6, "identity\nreference"),
            "pose": (2.9, "pose reference,\nlower half hidden"),
            "face": (1.0, "the face"),
            "mel": (low, "0.2 s of sound"),
        }
        for key, (y, text) in around.items():
            inset = ax.inset_axes((-1.49, y - 0.42, 0.58, 0.84), transform=ax.transData)
            inset.imshow(pictures[key], cmap="magma" if pictures[key].ndim == 2 else None, aspect="auto")
            image_axes(inset, "")
            ax.text(-1.2, y + 0.46, text, ha="center", va="bottom", fontsize=8.5)
        for part, text in (("identity", "identity encoder"), ("pose", "pose encoder"), ("decoder", "decoder")):
            ax.text(
                scales - 0.5, height[part], text.replace(" ", "\n"), color=PART_COLOURS[part], va="center", fontsize=9
            )
    return fig


def _sheets(ax: Any, x: float, y: float, shape: Shape, colour: str) -> None:
    """A map as a few sheets, as wide as the root of its size, its shape below."""
    side = 0.085 * np.sqrt(shape[1])
    for depth in np.linspace(0.1, 0, 3):
        corner = (x - 0.345 * side + depth / 2, y - side / 2 + depth)
        for fill, alpha in (("white", 1.0), (colour, 0.3)):
            ax.add_patch(Rectangle(corner, 0.69 * side, side, facecolor=fill, edgecolor=colour, alpha=alpha, zorder=2))
    ax.text(x, y - 0.52, _times(shape), ha="center", va="top", fontsize=7.5, family="monospace", zorder=3,
            bbox={"facecolor": "white", "alpha": 0.8, "lw": 0, "pad": 0.6})  # fmt: skip


def _half(shape: Shape) -> float:
    """Half of the width that a map's sheets take, with a little room."""
    return float(0.345 * 0.085 * np.sqrt(shape[1]) + 0.09)


def _arrow(ax: Any, start: tuple[float, float], stop: tuple[float, float], colour: str, style: str = "arc3") -> None:
    ax.annotate("", stop, start, arrowprops={"arrowstyle": "->", "color": colour, "connectionstyle": style, "lw": 1.2})


def _times(shape: Shape) -> str:
    return "×".join(map(str, shape))


# ---- what goes in -------------------------------------------------------------------------------------------------


def inputs(rows: Mapping[str, Sequence[NDArray[Any]]], columns: Sequence[str]) -> Figure:
    """What the generator gets for a few frames, and what it should draw.

    :param rows: name -> a picture for each frame: RGB ``(S, S, 3)``, or a window of log-mel ``(80, 16)`` in [-4, 4].
    :param columns: a title for each frame.
    """
    with figure(len(rows), len(columns), size=(1.3 * len(columns) + 0.6, 1.35 * len(rows) + 0.4),
                squeeze=False) as (fig, axes):  # fmt: skip
        for i, title in enumerate(columns):
            axes[0, i].set_title(title)
        for row, (name, pictures) in zip(axes, rows.items(), strict=True):
            for ax, picture in zip(row, pictures, strict=True):
                image_axes(ax, ax.get_title(loc="left"))
                if picture.ndim == 2:
                    ax.imshow(picture, origin="lower", aspect="auto", cmap="magma", vmin=-4, vmax=4)
                    ax.set_xlabel("0.2 s", fontsize=8)
                else:
                    ax.imshow(picture)
            row[0].set_ylabel(name)
    return fig


# ---- where the square lies ----------------------------------------------------------------------------------------


def squares(
    clip: Clip, track: FaceTrack, frames: Sequence[int], boxes: Mapping[str, NDArray[np.float64]], size: int = 96
) -> Figure:
    """Boxes around one face with the mouth closed and open, and what they cut out.

    :param frames: of the track.
    :param boxes: a name of :data:`SQUARES` -> ``(T, 4)``.
    """
    from tfg.crops import face_crops

    crops = {name: face_crops(clip, track, found, size) for name, found in boxes.items()}
    with figure(len(frames), 1 + len(boxes), size=(2.1 * (1 + len(boxes)), 2.2 * len(frames) + 0.3)) as (fig, axes):
        for row, t in zip(axes, frames, strict=True):
            row[0].imshow(clip.frames[track.start + t])
            image_axes(row[0], f"frame {t}, opening {track.mouth_opening[t]:.2f}")
            for ax, (name, found) in zip(row[1:], boxes.items(), strict=True):
                x0, y0, x1, y1 = found[t]
                row[0].add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, edgecolor=SQUARES[name], lw=2))
                ax.imshow(crops[name][t])
                ax.axhline(size / 2 - 0.5, color="white", lw=1, ls="--")
                image_axes(ax, name)
                ax.title.set_color(SQUARES[name])
    return fig


def geometry_leak(opening: Float, seen: Mapping[str, Float], correlations: Mapping[str, Mapping[str, float]]) -> Figure:
    """How much the placing of the square says about the mouth.

    :param opening: ``(T,)`` of one clip.
    :param seen: a name of :data:`SQUARES` -> ``(T,)`` how wide the eyes appear in its crops, % from their mean.
    :param correlations: clip -> the same names -> correlation of opening and width.
    """
    with figure(1, 2, size=(9.4, 3.3), width_ratios=(1, 1.35)) as (fig, (left, right)):
        for name, values in seen.items():
            left.plot(opening, values, ".", color=SQUARES[name], label=name, alpha=0.8)
        left.set(
            title="one clip, frame by frame",
            xlabel="mouth opening (eye-corner distances)",
            ylabel="width of the eyes in the crop\n(% from its mean)",
        )
        left.legend(fontsize=9)
        names = list(correlations)
        for name in seen:
            right.plot([correlations[clip][name] for clip in names], "o", color=SQUARES[name], label=name)
        right.axhline(0, color="black", lw=0.8)
        right.set(title="all clips", ylabel="correlation with\nmouth opening", ylim=(-1, 1))
        right.set_xticks(range(len(names)), names, rotation=60, ha="right", fontsize=8)
    return fig


# ---- how it draws -------------------------------------------------------------------------------------------------


def checkerboard(maps: Mapping[str, Float]) -> Figure:
    """What different ways to enlarge make of a flat map.

    :param maps: way -> its output ``(H, W)``.
    """
    with figure(1, len(maps), size=(3.4 * len(maps), 2.9), squeeze=False) as (fig, axes):
        for ax, (name, values) in zip(axes[0], maps.items(), strict=True):
            shown = ax.imshow(values, cmap="viridis", vmin=0, vmax=float(values.max()))
            image_axes(ax, name)
            fig.colorbar(shown, ax=ax, shrink=0.85, label="value")
    return fig


def learning(losses: Sequence[float], faces: Mapping[str, Sequence[Picture]]) -> Figure:
    """A fit as it goes: the loss, and what was drawn on the way.

    :param losses: one per step.
    :param faces: name of the row (a step, or the truth) -> pictures ``(S, S, 3)``.
    """
    count = len(next(iter(faces.values())))
    size = (9.8, 1.0 * len(faces) + 0.5)
    with figure(len(faces), 1 + count, size=size, width_ratios=[3.2] + [1] * count, squeeze=False) as (fig, axes):
        curve = fig.add_subplot(axes[0, 0].get_gridspec()[:, 0])
        curve.plot(np.arange(1, len(losses) + 1), losses, color=TRUTH)
        curve.set(title="reconstruction loss", xlabel="step", ylabel="mean absolute difference", ylim=(0, None))
        for row, (name, pictures) in zip(axes, faces.items(), strict=True):
            row[0].remove()
            for ax, picture in zip(row[1:], pictures, strict=True):
                ax.imshow(picture)
                image_axes(ax, "")
            row[1].set_ylabel(name, fontsize=9)
    return fig


def sound_at_every_scale(changes: Mapping[str, Sequence[float]], sizes: Sequence[int]) -> Figure:
    """How far another sound moves the map of each scale of the decoder, and the face.

    :param changes: name -> relative change of each scale's map, coarsest first, then that of the face.
    :param sizes: side of each of these maps in pixels.
    """
    labels = [f"{size} × {size}" for size in sizes] + ["face"]
    with figure(size=(6.6, 3.0)) as (fig, ax):
        for k, (name, values) in enumerate(changes.items()):
            x = np.arange(len(labels)) + (k - (len(changes) - 1) / 2) * 0.38
            ax.bar(x, values, 0.36, color=COLOURS[k], label=name)
        ax.set(title="Another sound changes every scale", ylabel="change of the map\n(share of its size)",
               xlabel="scale of the decoder, coarse to fine")  # fmt: skip
        ax.set_xticks(range(len(labels)), labels)
        ax.grid(axis="x", visible=False)
        ax.legend(fontsize=9)
    return fig


def patches(face: Picture, logits: Float, seen: Float, place: tuple[int, int]) -> Figure:
    """What the discriminator answers, and which pixels one of its answers looks at.

    :param face: ``(S, S, 3)``.
    :param logits: ``(h, w)``.
    :param seen: ``(S, S)`` size of one logit's gradient at each pixel.
    :param place: row and column of that logit.
    """
    reached = np.flatnonzero(seen.max(axis=1)), np.flatnonzero(seen.max(axis=0))
    (top, bottom), (left, right) = ((edge.min() - 0.5, edge.max() + 0.5) for edge in reached)
    limit = float(np.abs(logits).max())
    with figure(1, 3, size=(9.2, 3.1)) as (fig, axes):
        axes[0].imshow(face)
        image_axes(axes[0], "what it is shown")
        shown = axes[1].imshow(logits, cmap="RdBu", vmin=-limit, vmax=limit)
        axes[1].add_patch(Rectangle((place[1] - 0.5, place[0] - 0.5), 1, 1, fill=False, edgecolor="black", lw=2))
        image_axes(axes[1], f"its {logits.shape[0]} × {logits.shape[1]} answers")
        fig.colorbar(shown, ax=axes[1], shrink=0.75, label="logit (positive: real)")
        axes[2].imshow(face.mean(axis=2), cmap="gray", alpha=0.45, vmin=0, vmax=255)
        gradient = np.ma.masked_equal(seen, 0)
        axes[2].imshow(gradient, cmap="magma", alpha=0.75)
        axes[2].add_patch(Rectangle((left, top), right - left, bottom - top, fill=False, edgecolor=MUTED, lw=2))
        image_axes(axes[2], f"one answer sees {len(reached[0])} × {len(reached[1])} pixels")
    return fig
