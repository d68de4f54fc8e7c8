"""Figures of the chapters that compare generators: mouths side by side, a film with sound, openings, protocols."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import cv2
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tfg.clip import FPS, Clip, Frames
from tfg.crops import face_crops, generator_boxes
from tfg.datasets.examples import Label
from tfg.faces import FaceTrack
from tfg.plots.style import COLOURS, LIPS, MUTED, SOUND, TRUTH, figure, image_axes

WIDER = 1.15  # of the panels than the generator's square: an edge of the square would be seen
STRIP = 18  # pixels under each panel, for its name
MARKS = "osD^v"


def faces(clip: Clip, track: FaceTrack, size: int = 128) -> Frames:
    """The face of every frame, the generator's square and a little around it: ``uint8 (T, size, size, 3)``."""
    boxes = generator_boxes(track)
    middle, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2 * WIDER
    return face_crops(clip, track, np.concatenate([middle - half, middle + half], axis=1), size)


def mouths(panels: Frames) -> Frames:
    """The part of :func:`faces` around the mouth."""
    size = panels.shape[1]
    return panels[:, int(0.5 * size) : int(0.98 * size), int(0.2 * size) : int(0.8 * size)]


def side_by_side(panels: Mapping[str, Frames], sound: Clip) -> Clip:
    """A film of several faces beside each other, their names below, with the sound of a clip as long.

    :param panels: name -> ``uint8 (T, S, S, 3)``; see :func:`split` for the way back.
    """
    named = []
    for name, frames in panels.items():
        strip = np.full((STRIP, frames.shape[2], 3), 255, np.uint8)
        (width, _), _ = cv2.getTextSize(name, cv2.FONT_HERSHEY_SIMPLEX, 0.36, 1)
        place = ((frames.shape[2] - width) // 2, STRIP - 6)
        cv2.putText(strip, name, place, cv2.FONT_HERSHEY_SIMPLEX, 0.36, (0, 0, 0), 1, cv2.LINE_AA)
        named.append(np.concatenate([frames, np.repeat(strip[None], len(frames), axis=0)], axis=1))
    return replace(sound, frames=np.concatenate(named, axis=2), notes=(*sound.notes, "partly generated"))


def split(film: Clip, names: Sequence[str]) -> dict[str, Frames]:
    """The panels of a film by :func:`side_by_side`."""
    side = film.height - STRIP
    return {name: film.frames[:, :side, i * side : (i + 1) * side] for i, name in enumerate(names)}


def spoken_at(labels: Sequence[Label], frame: int) -> str:
    """What is said in the middle of a frame; a point in silence."""
    time = (frame + 0.5) / FPS
    return next((one.text for one in labels if one.start <= time < one.stop and one.text), "·")


def strip(rows: Mapping[str, Frames], moments: Sequence[int], labels: Sequence[Label]) -> Figure:
    """The same moments of several clips below each other, with what is said (the paper's Figure 4).

    :param rows: name -> frames ``uint8 (T, h, w, 3)``, all of one size.
    :param moments: frames to show.
    """
    height, width = next(iter(rows.values())).shape[1:3]
    one = 0.84  # inches
    size = (one * len(moments) + 1.3, one * height / width * len(rows) + 0.55)
    with figure(len(rows), len(moments), size=size, squeeze=False) as (fig, axes):
        fig.get_layout_engine().set(w_pad=0.01, h_pad=0.01, wspace=0, hspace=0)  # type: ignore[union-attr, call-arg]
        for row, (name, frames) in zip(axes, rows.items(), strict=True):
            for ax, moment in zip(row, moments, strict=True):
                ax.imshow(frames[moment])
                image_axes(ax, "")
            row[0].set_ylabel(name, fontsize=9, rotation=0, ha="right", va="center")
        for ax, moment in zip(axes[0], moments, strict=True):
            ax.set_title(f"{spoken_at(labels, moment)}\n{moment / FPS:.2f} s", fontsize=9, loc="center")
    return fig


def openings(tracks: Mapping[str, FaceTrack], labels: Sequence[Label]) -> Figure:
    """How far each clip's mouth is open over time, by the landmarks found in it.

    :param tracks: name -> track; the first is drawn in black.
    :param labels: /p/, /b/ and /m/, which need closed lips, are shaded.
    """
    with figure(size=(7.4, 2.4)) as (fig, ax):
        colours = ("black", SOUND, LIPS, TRUTH, *COLOURS[3:])
        for (name, track), colour in zip(tracks.items(), colours, strict=False):
            ax.plot(np.arange(track.start, track.stop) / FPS, track.mouth_opening, color=colour, label=name, lw=1.5)
        for label in labels:
            if label.text in ("p", "b", "m"):
                ax.axvspan(label.start, label.stop, color=MUTED, alpha=0.3, lw=0)
            if label.text:
                ax.text((label.start + label.stop) / 2, 1.01, label.text, fontsize=7, ha="center",
                        transform=ax.get_xaxis_transform())  # fmt: skip
        ax.set_title("How far the mouth is open (shaded: lips must close)", pad=16)
        ax.set(xlabel="time (s)", ylabel="distance of inner lips\n(eye-corner distances)")
        ax.legend(fontsize=9, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return fig


def grouped(values: Mapping[str, Mapping[str, float]], titles: Sequence[str], label: str, title: str) -> Figure:
    """One number of a few videos under a few conditions: a group of dots for each condition.

    :param values: video -> condition -> number; a condition may be missing.
    :param titles: the conditions, from left to right.
    """
    with figure(size=(7.4, 3.1)) as (fig, ax):
        for index, (name, found) in enumerate(values.items()):
            x = [i + 0.1 * (index - (len(values) - 1) / 2) for i, t in enumerate(titles) if t in found]
            y = [found[t] for t in titles if t in found]
            ax.plot(x, y, MARKS[index % len(MARKS)], color=COLOURS[index % len(COLOURS)], ms=8, label=name)
        ax.set_xticks(range(len(titles)), titles)
        ax.set(title=title, ylabel=label)
        ax.legend(fontsize=9, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return fig


def spread_moments(labels: Sequence[Label], count: int, n_frames: int) -> NDArray[np.int64]:
    """Frames in the middle of spoken labels, ``count`` of them, evenly over all; never past the clip."""
    spoken = [label for label in labels if label.text]
    if not spoken:
        return np.linspace(0, n_frames - 1, count).round().astype(int)
    chosen = np.linspace(0, len(spoken) - 1, min(count, len(spoken))).round().astype(int)
    middles = [int((spoken[i].start + spoken[i].stop) / 2 * FPS) for i in chosen]
    return np.minimum(np.array(middles), n_frames - 1)
