"""Figures of a clip: its clock, its face, its crops, its sound."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tfg.clip import FPS, SAMPLE_RATE, SAMPLES_PER_FRAME, Clip, Frames, Wave
from tfg.crops import CANVAS, MEAN_FACE, MOUTH, MOUTH_CROP, MOUTH_INPUT, STABLE_POINTS, mouth_transforms
from tfg.faces import FaceTrack
from tfg.plots.style import LIPS, MUTED, SOUND, TRUTH, figure, image_axes
from tfg.warps import similarity_transform, warp

Array = NDArray[np.floating]
Labels = Iterable[tuple[str, float, float]]  # text, start and stop in seconds; silence is an empty text


def drift(times: Array, duration: float | None = None) -> Figure:
    """How far pictures and sound are apart when frames are counted, and when their timestamps are read.

    :param times: seconds at which each picture of a file is due, ascending.
    :param duration: seconds to draw; by default until the last picture.
    """
    duration = float(times[-1]) if duration is None else duration
    clock = np.arange(0, duration, 1 / FPS)
    counted = times[np.minimum(np.arange(len(clock)), len(times) - 1)] - clock
    later = np.searchsorted(times, clock).clip(1, len(times) - 1)
    earlier_is_nearer = clock - times[later - 1] < times[later] - clock
    nearest = times[np.where(earlier_is_nearer, later - 1, later)] - clock
    with figure(size=(7, 2.8)) as (fig, ax):
        ax.plot(clock, counted * 1000, color=LIPS, label="frames counted: picture i shown at i / 25 s")
        ax.plot(clock, nearest * 1000, color=SOUND, lw=1, label="timestamps: the picture nearest to i / 25 s")
        ax.set_title("How wrong the picture is at each moment of the sound")
        ax.set_xlabel("time in the sound (s)")
        ax.set_ylabel("picture's time minus\nsound's time (ms)")
        ax.legend(loc="best")
    return fig


def frames_and_samples(clip: Clip, first: int, count: int = 5) -> Figure:
    """``count`` frames above the 640 samples of sound that belong to each."""
    samples = slice(first * SAMPLES_PER_FRAME, (first + count) * SAMPLES_PER_FRAME)
    time = np.arange(samples.start, samples.stop) / SAMPLE_RATE * 1000
    with figure(size=(1.6 * count, 3.2)) as (fig, wave):
        wave.plot(time, clip.audio[samples], color=SOUND, lw=0.8)
        peak = float(np.abs(clip.audio[samples]).max()) or 1.0
        aspect = clip.height / clip.width
        for number in range(first, first + count + 1):
            wave.axvline(number * 1000 / FPS, color=MUTED, lw=0.8)
        for number in range(first, first + count):
            inset = wave.inset_axes((number * 1000 / FPS + 1, 1.15 * peak, 38, 2.2 * peak), transform=wave.transData)
            inset.imshow(clip.frames[number], aspect="auto" if abs(aspect - 1) < 0.05 else "equal")
            image_axes(inset, f"frame {number}")
        wave.set_xlim(first * 1000 / FPS, (first + count) * 1000 / FPS)
        wave.set_ylim(-1.1 * peak, 3.9 * peak)
        wave.set_yticks([-peak, 0, peak], [f"{-peak:.1f}", "0", f"{peak:.1f}"])
        wave.set_xticks(np.arange(first, first + count + 1) * 1000 / FPS)
        wave.spines["left"].set_bounds(-peak, peak)
        wave.grid(False)
        wave.set_title(f"{count} frames of 40 ms, and the 640 samples of each")
        wave.set_xlabel("time (ms)")
        wave.set_ylabel("pressure\n(full scale 1)", y=0.22)
    return fig


def landmarks(clip: Clip, track: FaceTrack, numbers: Sequence[int]) -> Figure:
    """Frames with the track's box and 68 landmarks; the mouth's and the five stable ones set off by colour.

    :param numbers: of the frames, in the clip.
    """
    with figure(1, len(numbers), size=(2.4 * len(numbers), 2.9), squeeze=False) as (fig, axes):
        for ax, number in zip(axes[0], numbers, strict=True):
            points, box = track.landmarks[number - track.start], track.boxes[number - track.start]
            ax.imshow(clip.frames[number])
            ax.scatter(*points.T, s=2, color="white", label="other landmarks")
            ax.scatter(*points[MOUTH].T, s=3, color=LIPS, label="mouth (20 points)")
            ax.scatter(*points[list(STABLE_POINTS)].T, s=9, color="#56B4E9", label="stable (5 points)")
            ax.add_patch(_rectangle(box[0], box[1], box[2] - box[0], box[3] - box[1], "white"))
            opening = float(track.mouth_opening[number - track.start])
            image_axes(ax, f"frame {number}, {number / FPS:.2f} s\nmouth opening {opening:.2f}")
        handles, names = axes[0, 0].get_legend_handles_labels()
        legend = fig.legend(handles, names, loc="outside lower center", ncols=3, markerscale=3)
        legend.get_frame().set(facecolor="#999999", alpha=1)
        legend.set_frame_on(True)
    return fig


def lips_and_sound(clip: Clip, track: FaceTrack, labels: Labels, truth: Array | None = None) -> Figure:
    """The mouth's opening over time, above the sound wave with what is said.

    :param labels: phones or words with their times; /p/, /b/ and /m/, which need closed lips, are shaded.
    :param truth: ``(T,)`` the true opening of a rendered clip.
    """
    frames = np.arange(track.start, track.stop)
    with figure(2, 1, size=(8, 4.4), sharex=True) as (fig, (above, below)):
        above.plot(frames / FPS, track.mouth_opening, color=LIPS, label="measured from the landmarks")
        if truth is not None:
            above.plot(frames / FPS, truth[frames], color=TRUTH, ls="--", label="true (the clip is rendered)")
        above.set_title("The mouth's opening")
        above.set_ylabel("distance of inner lips\n(eye-corner distances)")
        below.plot(np.arange(len(clip.audio)) / SAMPLE_RATE, clip.audio, color=SOUND, lw=0.4)
        below.set_title("The sound, and what is said")
        below.set_ylabel("sound pressure\n(full scale 1)")
        below.set_xlabel("time (s)")
        below.set_xlim(0, clip.duration)
        peak = float(np.abs(clip.audio).max()) or 1.0
        below.set_ylim(-1.1 * peak, 1.65 * peak)
        shaded = "closed lips needed: p, b, m"
        spoken = [label for label in labels if label[0]]
        for number, (text, start, stop) in enumerate(spoken):
            if text in ("p", "b", "m"):
                for ax in (above, below):
                    ax.axvspan(start, stop, color=MUTED, alpha=0.3, lw=0, label=shaded if ax is above else None)
                shaded = None  # type: ignore[assignment]  # one entry in the legend
            height = 1.5 if number % 2 else 1.2  # in two rows: phones can be shorter than their names
            below.text((start + stop) / 2, height * peak, text, ha="center", va="center", fontsize=8)
        above.legend(loc="upper right", ncols=3, fontsize=8)
        above.set_ylim(top=1.35 * above.get_ylim()[1])
    return fig


def correlation_by_delay(delays: Sequence[int], curves: Mapping[str, Array]) -> Figure:
    """Correlation of lips and sound as one is moved against the other, a line per clip and their mean.

    :param delays: frames by which the sound is taken earlier (negative) or later (positive) than the lips.
    :param curves: name -> one correlation per delay.
    """
    with figure(size=(6.5, 3.2)) as (fig, ax):
        for index, curve in enumerate(curves.values()):
            ax.plot(delays, curve, color=MUTED, lw=0.8, alpha=0.7, label="single clips" if index == 0 else None)
        ax.plot(delays, np.mean(list(curves.values()), axis=0), color=LIPS, lw=2, label=f"mean of {len(curves)} clips")
        ax.axvline(0, color="black", lw=0.8)
        ax.set_title("Open mouths are loud, at the same moment")
        ax.set_xlabel("sound taken this much later than the lips (frames of 40 ms)")
        ax.set_ylabel("correlation of\nopening and loudness")
        ax.legend()
    return fig


def alignment(clip: Clip, track: FaceTrack, number: int) -> Figure:
    """How one frame becomes a mouth crop: stable points, the aligned canvas, the crop.

    :param number: of the frame, in the clip.
    """
    row = number - track.start
    frame, points = clip.frames[number], track.landmarks[row].astype(np.float64)
    stable = points[list(STABLE_POINTS)]
    matrix = similarity_transform(stable, MEAN_FACE)
    canvas = warp(frame, matrix, CANVAS).astype(np.uint8)
    moved = stable @ matrix[:, :2].T + matrix[:, 2]
    to_crop = mouth_transforms(track)[row]
    crop = warp(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), to_crop, MOUTH_CROP)
    corner = (points[MOUTH].mean(axis=0) @ matrix[:, :2].T + matrix[:, 2]).round() - MOUTH_CROP // 2
    edge = (MOUTH_CROP - MOUTH_INPUT) // 2
    with figure(1, 3, size=(8.4, 3.3)) as (fig, (left, middle, right)):
        left.imshow(frame)
        left.scatter(*stable.T, s=16, color="#56B4E9")
        image_axes(left, f"1. five stable points\n{clip.width} x {clip.height} pixels")
        middle.imshow(canvas)
        middle.scatter(*MEAN_FACE.T, s=60, facecolors="none", edgecolors="yellow", label="where the mean face has them")
        middle.scatter(*moved.T, s=12, color="#56B4E9", label="where they land")
        middle.add_patch(_rectangle(corner[0], corner[1], MOUTH_CROP, MOUTH_CROP, "white"))
        middle.legend(loc="upper center", bbox_to_anchor=(0.5, 0), fontsize=8)
        image_axes(middle, f"2. turned, scaled, moved\n{CANVAS} x {CANVAS} pixels")
        right.imshow(crop, cmap="gray", vmin=0, vmax=255)
        right.add_patch(_rectangle(edge - 0.5, edge - 0.5, MOUTH_INPUT, MOUTH_INPUT, "white"))
        image_axes(right, f"3. mouth crop\n{MOUTH_CROP} x {MOUTH_CROP}, inside {MOUTH_INPUT} x {MOUTH_INPUT}")
    return fig


def image_grid(
    rows: Mapping[str, Sequence[NDArray[Any]]], columns: Sequence[str], notes: Mapping[str, Sequence[str]] | None = None
) -> Figure:
    """Pictures in a table.

    :param rows: name -> its pictures, grey ``(H, W)`` or RGB ``(H, W, 3)``, uint8.
    :param columns: a title for each column.
    :param notes: name of the row -> a line under each of its pictures.
    """
    size = 1.75 * len(columns), 2.0 * len(rows) + 0.2
    with figure(len(rows), len(columns), size=size, squeeze=False) as (fig, axes):
        for row, (name, pictures) in enumerate(rows.items()):
            for number, (ax, picture) in enumerate(zip(axes[row], pictures, strict=True)):
                ax.imshow(picture, cmap="gray" if picture.ndim == 2 else None, vmin=0, vmax=255)
                image_axes(ax, columns[number] if row == 0 else "")
                if number == 0:
                    ax.set_ylabel(name)
                if notes is not None and name in notes:
                    ax.set_xlabel(notes[name][number])
    return fig


def audio_features(audio: Wave, fbank: Array, cepstra: Array, mel: Array) -> Figure:
    """The wave and the three features of it, on one time axis.

    :param audio: ``(N,)``.
    :param fbank: ``(T, 104)`` of :func:`tfg.audio.stacked_filterbank`.
    :param cepstra: ``(F, 13)`` of :func:`tfg.audio.mfcc`.
    :param mel: ``(80, M)`` of :func:`tfg.audio.log_mel`.
    """
    seconds = len(audio) / SAMPLE_RATE
    pictures = (
        (fbank.T, 1 / 25, "stacked filterbank (AV-HuBERT): 25 columns/s of 4 x 26", "row"),
        (cepstra.T, 1 / 100, "MFCC (SyncNet): 100 columns/s of 13", "coefficient"),
        (mel, 1 / 80, "log-mel (Wav2Lip): 80 columns/s of 80", "mel band"),
    )
    with figure(4, 1, size=(8, 7.6), sharex=True, height_ratios=(1, 2, 2, 2)) as (fig, (top, *others)):
        top.plot(np.arange(len(audio)) / SAMPLE_RATE, audio, color=SOUND, lw=0.4)
        top.set_title("sound: 16,000 samples/s")
        top.set_ylabel("pressure\n(full scale 1)")
        for ax, (picture, step, title, rows) in zip(others, pictures, strict=True):
            extent = (0, picture.shape[1] * step, -0.5, len(picture) - 0.5)
            low, high = np.percentile(picture, (2, 98))
            shown = ax.imshow(
                picture, aspect="auto", origin="lower", extent=extent, cmap="viridis", vmin=low, vmax=high
            )
            ax.set_title(title)
            ax.set_ylabel(rows)
            ax.grid(False)
            fig.colorbar(shown, ax=ax, pad=0.01, label="value")
        others[-1].set_xlabel("time (s)")
        others[-1].set_xlim(0, seconds)
    return fig


def pixel_gradient(frame: Frames, gradient: Array) -> Figure:
    """A frame, and how much each of its pixels moves a number.

    :param frame: ``uint8 (H, W, 3)``.
    :param gradient: ``(H, W)``, per unit of brightness.
    """
    scaled = gradient * 1e3
    with figure(1, 2, size=(7.6, 3.4)) as (fig, (left, right)):
        left.imshow(frame)
        image_axes(left, "the frame")
        right.imshow(frame.mean(axis=2), cmap="gray", alpha=0.35)
        seen = np.ma.masked_less(np.abs(scaled), 1e-6)
        shown = right.imshow(seen, cmap="magma", vmin=0, vmax=1.3 * float(seen.max()))
        image_axes(right, "gradient of the crop's mean")
        fig.colorbar(shown, ax=right, shrink=0.8, label="change of the mean per unit of\na pixel's brightness (1/1000)")
    return fig


def _rectangle(x: float, y: float, width: float, height: float, colour: str) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((x, y), width, height, fill=False, edgecolor=colour, linewidth=1.2)
