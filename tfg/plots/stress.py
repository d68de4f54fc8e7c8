"""Figures of a sweep: scores over the values of a perturbation, and what the experts are shown at some of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from tfg.clip import Clip, Frames
from tfg.crops import face_crops_syncnet, mouth_crops
from tfg.experts.syncnet import WINDOW
from tfg.faces import FaceTrack
from tfg.plots.style import COLOURS, DPI, MUTED, figure, image_axes

if TYPE_CHECKING:
    from tfg.stress import SweepResult

_NAMES = {"avs_u": "AVS_u", "lse_d": "LSE-D (lower is better)", "lse_c": "LSE-C (higher is better)"}


def sweep(result: SweepResult) -> Figure:
    """Per expert the cosine of lips and sound over the values, and the experts' metrics on twin axes.

    Left, a line per expert: the mean over windows with the range that holds 80% of them, and the chance level dashed.
    Middle: AVS_u, LSE-C and LSE-D, each with an axis of its own. Right: the delay that each expert's search finds.
    A value without a score is marked on the horizontal axis.
    """
    with figure(1, 3, size=(11, 3.4), width_ratios=(1.1, 1.25, 1)) as (fig, (similarity, metrics, delays)):
        x = result.values
        for number, expert in enumerate(result.experts):
            colour = COLOURS[number % len(COLOURS)]
            cosines = result.cosines(expert)
            known = ~np.isnan(cosines).all(axis=1)
            if known.any():
                low, high = np.nanquantile(cosines[known], [0.1, 0.9], axis=1)
                similarity.fill_between(x[known], low, high, color=colour, alpha=0.15, lw=0)
            similarity.plot(x, result.figure(expert, "cosine"), color=colour, marker="o", ms=3, label=expert)
            similarity.plot(x, result.figure(expert, "chance"), color=colour, ls="--", lw=1)
            width = max(1, 4 - 3 * number)  # lines that coincide are both seen
            delays.plot(
                x, result.figure(expert, "offset"), color=colour, lw=width, marker="o", ms=2 + width, label=expert
            )
        similarity.plot([], [], color=MUTED, ls="--", lw=1, label="chance")
        similarity.set_title("Cosine of lips and sound")
        similarity.set_ylabel("mean over windows, 80% of them")
        delays.set_title("Delay found")
        delays.set_ylabel("frames (positive: audio early)")
        lowest, highest = delays.get_ylim()
        delays.set_ylim(min(lowest, -2.2), max(highest, 2.2))
        _twin_axes(metrics, result)
        for ax in (similarity, metrics, delays):
            ax.set_xlabel(result.perturbation.axis)
            for value in result.problems:
                ax.plot(value, 0.02, "x", color="black", transform=ax.get_xaxis_transform(), clip_on=False)
        if result.problems:
            similarity.plot([], [], "x", color="black", label="no score")
        similarity.legend(fontsize=8, loc="best")
    return fig


def _twin_axes(ax: Any, result: SweepResult) -> None:
    """Every metric that there is over the values, on an axis of its own that begins at 0 (or below)."""
    series = [
        (name, expert, values)
        for name in _NAMES
        for expert in result.experts
        if not np.isnan(values := result.figure(expert, name)).all()
    ]
    axes: dict[str, Any] = {}
    for name, expert, values in series:
        colour = COLOURS[2 + len(axes.keys() - {name})] if name not in axes else axes[name].yaxis.label.get_color()
        if name not in axes:
            axes[name] = twin = ax.twinx() if axes else ax
            twin.grid(twin is ax)
            twin.set_ylabel(_NAMES[name], color=colour, fontsize=9)
            twin.tick_params(axis="y", colors=colour, labelsize=8)
            if twin is not ax:
                twin.spines["right"].set_visible(True)
                twin.spines["right"].set_position(("outward", 46 * (len(axes) - 2)))
        style = ("-", "--", ":", "-.")[result.experts.index(expert) % 4]
        axes[name].plot(result.values, values, color=colour, ls=style, marker="o", ms=3)
    for name in axes:
        low, high = axes[name].get_ylim()
        axes[name].set_ylim(min(low, 0), high)
    ax.set_title("Metrics")


def montage(clips: Sequence[Clip], track: FaceTrack, labels: Sequence[str], number: int | None = None) -> Figure:
    """What the experts are shown: a frame of each clip with the box of ``track``, its face crop and its mouth crop.

    :param clips: the same clip perturbed in different ways; ``labels`` says how, one text each.
    :param track: of the unperturbed clip, so the crops are those of frozen alignment.
    :param number: of the frame; by default the one with the widest open mouth.
    """
    if number is None:
        number = track.start + int(track.mouth_opening.argmax())
    x0, y0, x1, y1 = track.boxes[number - track.start]
    with figure(3, len(clips), size=(1.7 * len(clips), 5), squeeze=False, height_ratios=(1, 1, 1)) as (fig, axes):
        for column, (clip, label) in enumerate(zip(clips, labels, strict=True)):
            rows = (
                clip.frames[number],
                face_crops_syncnet(clip, track, 112)[number - track.start],
                mouth_crops(clip, track)[number - track.start],
            )
            for ax, picture in zip(axes[:, column], rows, strict=True):
                ax.imshow(picture, cmap="gray" if picture.ndim == 2 else None, vmin=0, vmax=255)
                image_axes(ax, "")
            axes[0, column].set_title(label, fontsize=9)
            axes[0, column].add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, color="yellow", lw=1))
        for ax, text in zip(
            axes[:, 0], (f"frame {number}", "face crop\n(SyncNet)", "mouth crop\n(AV-HuBERT)"), strict=True
        ):
            ax.set_ylabel(text)
    return fig


def panel(result: SweepResult, index: int, height: int, width: int = 400) -> tuple[Frames, tuple[int, int, int, int]]:
    """The scores at one value, drawn for a film: a bar per expert, and its cosine in each window below.

    :returns: ``uint8 (height, width, 3)``, and the box ``(left, top, right, bottom)`` of the lower plot, whose sides
        are the clip's first and last frame.
    """
    point, experts = result.points[index], result.experts
    with figure(2, 1, size=(width / DPI, height / DPI), height_ratios=(len(experts), 3)) as (fig, (bars, curve)):
        for number, expert in enumerate(experts):
            colour, figures = COLOURS[number % len(COLOURS)], point.measured[expert].figures
            bars.barh(number, figures.get("cosine", 0), color=colour, height=0.6)
            if "chance" in figures:
                bars.plot([figures["chance"]] * 2, [number - 0.4, number + 0.4], color="black", ls="--", lw=1)
            curve.plot(point.measured[expert].cosines, color=colour, lw=1)
        bars.set_yticks(range(len(experts)), experts)
        bars.invert_yaxis()
        bars.set_xlim(-0.2, 1)
        bars.set_title(result.perturbation.label(point.value), fontsize=10)
        bars.set_xlabel("mean cosine; dashed: chance" if not point.problem else "", fontsize=9)
        last = max(len(point.measured[expert].cosines) for expert in experts) + WINDOW - 1
        curve.set_xlim(0, last - 1)
        curve.set_ylim(-0.5, 1)
        curve.set_xlabel("frame", fontsize=9)
        curve.set_ylabel("cosine", fontsize=9)
        if point.problem:
            curve.text(
                0.5, 0.5, "no score:\n" + point.problem, transform=curve.transAxes, ha="center", va="center", wrap=True
            )
        fig.canvas.draw()
        picture = np.asarray(fig.canvas.buffer_rgba())[..., :3].copy()  # type: ignore[attr-defined]
        left, bottom, right, top = curve.get_window_extent().extents
    return picture, (round(left), round(height - top), round(right), round(height - bottom))
