"""Figures of the studio: from phones to pictures, and what is known of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tfg.clip import FPS, SAMPLE_RATE
from tfg.datasets.studio_check import PARTS, TrackerCheck
from tfg.datasets.studio_deform import CHANNELS
from tfg.datasets.studio_speech import Dominance, Phone, is_bilabial
from tfg.datasets.studio_truth import StudioClip
from tfg.plots.style import ACCENT, COLOURS, LIPS, MUTED, SOUND, TRUTH, figure, image_axes

Array = NDArray[np.floating]
_LABIODENTAL = ("f", "v")


def cast(pictures: Mapping[str, NDArray[np.uint8]], columns: int = 6) -> Figure:
    """A sheet of faces, each under its name.

    :param pictures: name -> frame ``uint8 (H, W, 3)``.
    """
    rows = -(-len(pictures) // columns)
    with figure(rows, columns, size=(1.5 * columns, 1.75 * rows), squeeze=False) as (fig, axes):
        for ax in axes.flat:
            ax.set_axis_off()
        for ax, (name, picture) in zip(axes.flat, pictures.items(), strict=False):
            ax.imshow(picture)
            ax.set_title(name, loc="center", fontsize=10)
    return fig


def blending(audio: Array, phones: Sequence[Phone], times: Array, shared: Dominance, channel: str) -> Figure:
    """Sound and phones; how much each phone counts; the articulator that follows from it.

    :param audio: ``(N,)``.
    :param times: ``(T,)`` seconds at which ``shared`` was sampled: finer than frames.
    :param channel: what ``shared`` moves, as a title says it.
    """
    with figure(3, 1, size=(9, 6.6), sharex=True, height_ratios=(1, 1.5, 1.5)) as (fig, (top, middle, below)):
        _wave(top, audio, phones)
        top.set_title("1. The sound, and the phones with their times")
        for number, label in enumerate(shared.labels):
            weight, colour = shared.dominance[:, number], COLOURS[number % len(COLOURS)]
            middle.plot(times, weight, color=colour, lw=1.3)
            middle.fill_between(times, weight, color=colour, alpha=0.12, lw=0)
            peak = float(times[weight >= 0.999 * weight.max()].mean())
            if shared.labels[max(number - 1, 0) : number] != (label,) or label != "pau":  # a long pause: once
                middle.text(peak, weight.max() + 0.03, label, color=colour, ha="center", va="bottom", fontsize=9)
            width = weight > 0.8 * weight.max()
            below.hlines(shared.target[number], times[width][0], times[width][-1], color=colour, lw=4, alpha=0.7)
        middle.set_ylim(0, 1.2 * float(shared.dominance.max()))
        middle.set_title("2. How much each phone counts: dominance functions")
        middle.set_ylabel("dominance")
        below.hlines([], 0, 0, color=MUTED, lw=4, label="what each phone wants (its target)")
        below.plot(times, shared.blend, color="black", lw=1.8, label="what the articulator does (the weighted mean)")
        below.plot(*_at_frames(times, shared.blend), "o", color="black", ms=3.5, label="the frames of the video")
        below.set_title(f"3. {channel}")
        below.set_ylabel("activation")
        below.set_xlabel("time (s)")
        below.legend(loc="upper left", bbox_to_anchor=(0, -0.22), ncols=3, fontsize=8)
        below.set_xlim(times[0], times[-1])
    return fig


def articulation(phones: Sequence[Phone], times: Array, channels: Array) -> Figure:
    """All nine articulators over time; where lips must close, and where the lower lip meets the teeth, is shaded.

    :param channels: ``(T, 9)`` in the order of :data:`tfg.datasets.studio_deform.CHANNELS`, at ``times`` ``(T,)``.
    """
    rows = (
        ("jaw", ("jaw",)),
        ("lips: width,\nprotrusion", ("width", "protrusion")),
        ("lips: raised,\nlowered", ("upper", "lower")),
        ("gates: closure,\ntuck", ("closure", "tuck")),
        ("tongue: height,\nfront", ("tongue", "tongue_front")),
    )
    with figure(len(rows), 1, size=(9, 6.8), sharex=True) as (fig, axes):
        for ax, (title, names) in zip(axes, rows, strict=True):
            for name, colour in zip(names, (SOUND, LIPS), strict=False):
                ax.plot(times, channels[:, CHANNELS.index(name)], color=colour, label=name)
            _shade(ax, phones, top=ax is axes[0])
            ax.set_ylabel(title, fontsize=9)
            low = -1.1 if "width" in names else -0.08
            ax.set_ylim(low, 1.15)
            if len(names) > 1:
                ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=8)
        _label_phones(axes[0], phones)
        axes[0].set_title("What moves the mouth (activations; 0 is rest)", pad=26)
        axes[-1].set_xlabel("time (s)")
        axes[-1].set_xlim(times[0], times[-1])
    return fig


def wireframes(shapes: Mapping[str, Array], triangles: NDArray[np.integer], turn: float = 55.0) -> Figure:
    """The mesh in several poses from the front and turned; colour says how far a place moved from the first one.

    :param shapes: name -> vertices ``(V, 3)`` in cm: x right, y up, z towards the camera.
    :param triangles: ``(M, 3)``.
    :param turn: degrees of the second row.
    """
    rest = next(iter(shapes.values()))
    moved = {name: np.linalg.norm(v - rest, axis=1) for name, v in shapes.items()}
    largest = max(float(distance.max()) for distance in moved.values())
    a = np.deg2rad(turn)
    with figure(2, len(shapes), size=(1.9 * len(shapes), 4.5), squeeze=False) as (fig, axes):
        for column, (name, v) in enumerate(shapes.items()):
            for row, angle in enumerate((0.0, a)):
                x = v[:, 0] * np.cos(angle) + v[:, 2] * np.sin(angle)
                z = v[:, 2] * np.cos(angle) - v[:, 0] * np.sin(angle)
                corners = np.stack([x, v[:, 1]], axis=1)[triangles]
                first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
                facing = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]
                order = np.argsort(z[triangles].mean(axis=1))
                order = order[facing[order] * np.sign(np.median(facing)) > 0]
                mesh = PolyCollection(
                    list(corners[order]), array=moved[name][triangles].mean(axis=1)[order], cmap="Oranges",
                    edgecolors="#444444", linewidths=0.3,
                )  # fmt: skip
                mesh.set_clim(0, largest)
                ax = axes[row, column]
                ax.add_collection(mesh)
                ax.set_aspect("equal")
                ax.autoscale_view()
                image_axes(ax, name if row == 0 else "")
        fig.colorbar(mesh, ax=axes, shrink=0.6, label="moved from rest (cm)")
    return fig


def layers(pictures: Mapping[str, NDArray[np.uint8]], columns: int = 4) -> Figure:
    """Steps of a rendering, numbered.

    :param pictures: what :meth:`tfg.datasets.studio_render.Renderer.layers` returns.
    """
    rows = -(-len(pictures) // columns)
    with figure(rows, columns, size=(2.2 * columns, 2.5 * rows), squeeze=False) as (fig, axes):
        for number, (ax, (name, picture)) in enumerate(zip(axes.flat, pictures.items(), strict=True), 1):
            ax.imshow(picture)
            image_axes(ax, f"{number}. {name}")
            ax.title.set_fontsize(9.5)
    return fig


def film_strip(made: StudioClip, first: int, count: int, box: tuple[int, int, int, int], rows: int = 2) -> Figure:
    """``count`` frames from ``first``, cut to ``box`` (left, top, right, bottom), with phone, and the true opening."""
    left, top, right, bottom = box
    columns = -(-count // rows)
    with figure(rows, columns, size=(1.15 * columns, 1.35 * rows), squeeze=False) as (fig, axes):
        for ax in axes.flat:
            ax.set_axis_off()
        for ax, t in zip(axes.flat, range(first, first + count), strict=False):
            ax.imshow(made.clip.frames[t, top:bottom, left:right])
            phone, colour = made.truth.phoneme[t], "black"
            if is_bilabial(phone):
                colour = LIPS
            ax.set_title(f"/{phone}/", loc="center", color=colour, fontsize=10, fontweight="bold")
            ax.text(
                0.5, -0.04, f"{made.truth.opening[t]:.2f}", transform=ax.transAxes, ha="center", va="top", fontsize=8
            )
    return fig


def truth_by_frame(made: StudioClip) -> Figure:
    """All that is known of a clip, over time."""
    truth, time = made.truth, (np.arange(made.clip.n_frames) + 0.5) / FPS
    with figure(4, 1, size=(9, 6.6), sharex=True, height_ratios=(1.2, 1, 1, 0.6)) as (fig, axes):
        _wave(axes[0], made.clip.audio, truth.phones)
        axes[0].set_title("Sound and phones")
        axes[1].plot(time, truth.opening, color=LIPS, marker=".", ms=4)
        _shade(axes[1], truth.phones, top=True)
        axes[1].set_title("Opening of the mouth")
        axes[1].set_ylabel("eye-corner\ndistances")
        for column, (name, colour) in enumerate(zip(("yaw", "pitch", "roll"), (SOUND, TRUTH, ACCENT), strict=True)):
            axes[2].plot(time, truth.rotation[:, column], color=colour, label=name)
        axes[2].legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=8)
        axes[2].set_title("Rotation of the head")
        axes[2].set_ylabel("degrees")
        axes[3].fill_between(time, truth.blink, color=MUTED, step="mid")
        axes[3].set_title("Lids closed")
        axes[3].set_ylim(0, 1.05)
        axes[3].set_ylabel("share")
        axes[3].set_xlabel("time (s)")
        axes[3].set_xlim(0, made.clip.duration)
    return fig


def tracker_against_truth(checks: Sequence[TrackerCheck], name: str, number: int) -> Figure:
    """Tracked points over true ones in one frame; measured against true opening in all; the error of each part.

    :param name: of the clip among ``checks`` whose frame ``number`` is shown.
    """
    shown = next(check for check in checks if check.truth.name == name)
    rendered = [check for check in checks if check.landmarks is not None]
    with figure(1, 3, size=(10.5, 3.7), width_ratios=(1, 1, 1)) as (fig, (face, cloud, bars)):
        true = shown.landmarks[number] if shown.landmarks is not None else np.empty((0, 2))
        found = shown.track.landmarks[number - shown.track.start]
        face.imshow(shown.clip.frames[number])
        face.scatter(*true.T, s=14, color=TRUTH, label="true", zorder=2)
        face.scatter(*found.T, s=14, facecolors="none", edgecolors="white", linewidths=1.1, label="tracked", zorder=3)
        low, high = found.min(axis=0) - 14, found.max(axis=0) + 14
        face.set_xlim(low[0], high[0])
        face.set_ylim(high[1], low[1])
        image_axes(face, f"{name}, frame {number}")
        legend = face.legend(loc="upper center", bbox_to_anchor=(0.5, 0), ncols=2)
        legend.get_frame().set(facecolor="#aaaaaa", alpha=1)
        legend.set_frame_on(True)
        for label, colour, group in (
            ("rendered", LIPS, rendered),
            ("portrait", SOUND, [check for check in checks if check.landmarks is None]),
        ):
            for number_, check in enumerate(group):
                measured, actual = check.openings
                cloud.plot(actual, measured, ".", ms=3, alpha=0.5, color=colour, label=None if number_ else label)
        limit = 1.05 * max(float(np.max(check.openings)) for check in checks)
        cloud.plot([0, limit], [0, limit], color="black", lw=0.8)
        cloud.set_xlim(0, limit)
        cloud.set_ylim(0, limit)
        cloud.set_aspect("equal")
        cloud.set_title("Opening, every frame")
        cloud.set_xlabel("true (eye-corner distances)")
        cloud.set_ylabel("measured by the tracker")
        cloud.legend(markerscale=4, loc="lower right")
        for row, part in enumerate(PARTS):
            errors = [check.error(part) for check in rendered]
            bars.barh(row, np.mean(errors), color=SOUND, alpha=0.35)
            bars.plot(errors, np.full(len(errors), row), ".", color=SOUND, ms=4)
        bars.set_yticks(range(len(PARTS)), list(PARTS))
        bars.invert_yaxis()
        bars.grid(axis="y", visible=False)
        bars.set_title("Distance of tracked from true points")
        bars.set_ylabel("part of the face")
        bars.set_xlabel("% of the eye-corner distance\n(bar: mean, dots: clips)")
    return fig


def openings(phones: Sequence[Phone], curves: Mapping[str, Array]) -> Figure:
    """True openings of several versions of one utterance over time.

    :param curves: name -> ``(T,)`` opening, one value a frame.
    """
    with figure(size=(9, 3.4)) as (fig, ax):
        for (name, curve), colour in zip(curves.items(), (TRUTH, LIPS, SOUND, ACCENT), strict=False):
            ax.plot((np.arange(len(curve)) + 0.5) / FPS, curve, color=colour, label=name)
        _shade(ax, phones, top=True)
        _label_phones(ax, phones)
        ax.set_title("Opening of the mouth", pad=26)
        ax.set_xlabel("time (s)")
        ax.set_ylabel("eye-corner distances")
        ax.legend(loc="upper left", bbox_to_anchor=(0, -0.2), ncols=3, fontsize=9)
    return fig


def mouths(measured: Mapping[str, Sequence[Mapping[str, float]]], names: Mapping[str, str]) -> Figure:
    """How mouths move in several sets of clips: a dot per clip, a bar for the mean.

    :param measured: set -> one :func:`tfg.studies.mouths.motion` per clip.
    :param names: set -> what the axis calls it.
    """
    panels = {
        "widest": ("Opening", "widest (eye-corner\ndistances)"),
        "speed": ("Speed of the mouth", "mean change per second\n(of the widest opening)"),
        "loudness": ("Mouth and loudness", "correlation"),
        "head": ("Speed of the head", "eye-corner distances\nper second"),
    }
    with figure(1, len(panels), size=(10.5, 3.2)) as (fig, axes):
        for ax, (key, (title, unit)) in zip(axes, panels.items(), strict=True):
            for column, name in enumerate(names):
                values = np.array([clip[key] for clip in measured[name]])
                aside = column + 0.28 * (np.arange(len(values)) / max(len(values) - 1, 1) - 0.5)
                ax.plot(aside, values, ".", color=COLOURS[column], alpha=0.6, ms=5)
                ax.hlines(values.mean(), column - 0.3, column + 0.3, color=COLOURS[column], lw=2.5)
            ax.set_xticks(range(len(names)), [title.replace(" ", "\n") for title in names.values()], fontsize=9)
            ax.set_xlim(-0.6, len(names) - 0.4)
            ax.set_xlabel("set of clips")
            ax.set_ylabel(unit)
            ax.set_title(title)
            ax.grid(axis="x", visible=False)
    return fig


def _at_frames(times: Array, values: Array) -> tuple[Array, Array]:
    frames = (np.arange(int(times[-1] * FPS)) + 0.5) / FPS
    return frames, np.interp(frames, times, values)


def _wave(ax: Any, audio: Array, phones: Sequence[Phone]) -> None:
    peak = float(np.abs(audio).max()) or 1.0
    ax.plot(np.arange(len(audio)) / SAMPLE_RATE, audio, color=SOUND, lw=0.4)
    ax.set_ylim(-1.1 * peak, 2.1 * peak)
    ax.set_yticks([-peak, 0, peak], [f"{-peak:.1f}", "0", f"{peak:.1f}"])
    ax.set_ylabel("pressure\n(full scale 1)", y=0.35)
    for number, phone in enumerate(phones):
        colour = COLOURS[number % len(COLOURS)]
        ax.axvspan(phone.start, phone.end, ymin=0, ymax=0.69, color=colour, alpha=0.10, lw=0)
        height = (1.75, 1.3)[number % 2] * peak
        ax.text((phone.start + phone.end) / 2, height, phone.label, ha="center", va="center", fontsize=9)


def _label_phones(ax: Any, phones: Sequence[Phone]) -> None:
    """Above the axes, in two rows: phones can be shorter than their names."""
    for number, phone in enumerate(phones):
        ax.annotate(
            phone.label, ((phone.start + phone.end) / 2, 1), (0, 17 if number % 2 else 6), fontsize=8, ha="center",
            va="center", xycoords=ax.get_xaxis_transform(), textcoords="offset points",
        )  # fmt: skip


def _shade(ax: Any, phones: Sequence[Phone], *, top: bool) -> None:
    """Bands where the lips have to close, and where the lower lip meets the teeth; named when ``top``."""
    for test, colour in ((is_bilabial, LIPS), (_LABIODENTAL.__contains__, SOUND)):
        for phone in phones:
            if test(phone.label):
                ax.axvspan(phone.start, phone.end, color=colour, alpha=0.15, lw=0)
    if top:
        ax.text(1.01, 0.75, "lips closed:\np b m", color=LIPS, transform=ax.transAxes, va="center", fontsize=8)
        ax.text(1.01, 0.30, "teeth on lip:\nf v", color=SOUND, transform=ax.transAxes, va="center", fontsize=8)
