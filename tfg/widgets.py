"""See and hear a clip being moved, with the scores of both experts: live in a notebook, or as a film for a page.

:func:`explore` needs a running kernel and ipywidgets; :func:`film` shows the same to readers who have neither.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from typing import Any

import cv2
import numpy as np

from tfg.clip import Clip, Frames
from tfg.crops import face_crops_syncnet, mouth_crops
from tfg.errors import StressError
from tfg.experts.syncnet import WINDOW
from tfg.faces import FaceTrack, track_face
from tfg.plots.player import show
from tfg.plots.stress import panel
from tfg.stress import PERTURBATIONS, perturb, sweep
from tfg.stress.frames import Face, move, warp_pictures
from tfg.stress.measure import Expert, Float, Measured, encode_lips, encode_sound, heard_frames, measure
from tfg.stress.place import leaves_frame
from tfg.warps import Float64, compose

_CROP = 112  # pixels of each crop in a picture; the frame above is as wide as two of them with a gap
_GAP = 8
_TITLES = {"cosine": "cosine", "chance": "chance", "avs_u": "AVS_u", "lse_c": "LSE-C", "lse_d": "LSE-D",
           "offset": "delay found (frames)"}  # fmt: skip


class Explorer:
    """The state behind :func:`explore`: a clip moved, turned and delayed, and what the experts make of it.

    Crops are those of frozen alignment: what an expert sees when tracking is off by this much.
    """

    def __init__(self, clip: Clip, experts: Sequence[Expert], track: FaceTrack | None = None) -> None:
        self.clip, self.experts = clip, tuple(experts)
        self.track = track or track_face(clip)
        self._frames: tuple[tuple[float, float], Clip] = ((0.0, 0.0), clip)
        self._lips: dict[tuple[str, float, float], Float] = {}
        self._sounds: dict[tuple[str, float], Float] = {}

    def moved(self, shift: float = 0, rotation: float = 0, delay: float = 0) -> Clip:
        """The clip turned about its face, shifted, and with its sound delayed; units as in the table."""
        for name, value in (("shift_x", shift), ("rotation", rotation), ("offset", delay)):
            PERTURBATIONS[name].check(value)
        if self._frames[0] != (shift, rotation):
            frames = warp_pictures(self.clip.frames, self._transform(shift, rotation))
            self._frames = ((shift, rotation), replace(self.clip, frames=frames))
        changed = self._frames[1]
        return changed.delay_audio(delay) if delay else changed

    def scores(self, shift: float = 0, rotation: float = 0, delay: float = 0) -> tuple[str, dict[str, Measured]]:
        """Why there are no scores, or "", and what each expert measures."""
        problem = leaves_frame(self.track, self.clip, self._transform(shift, rotation))
        heard = heard_frames(self.track, self.clip, delay)
        if not problem and heard.stop - heard.start <= WINDOW:
            problem = "the delay leaves no sound to score"
        if problem:
            return problem, {}
        changed = self.moved(shift, rotation, delay)
        measured = {}
        for expert in self.experts:
            seen, said = (expert.name, shift, rotation), (expert.name, delay)
            if seen not in self._lips:
                self._lips[seen] = encode_lips(expert, changed, self.track)
            if said not in self._sounds:
                self._sounds[said] = encode_sound(expert, changed, self.track)
            measured[expert.name] = measure(expert, self._sounds[said], self._lips[seen], heard)
        return "", measured

    def picture(self, number: int, shift: float = 0, rotation: float = 0) -> Frames:
        """Frame ``number`` of the track with both crops below: ``uint8 (H, 232, 3)``."""
        one = self.moved(shift, rotation).trim(self.track.start, self.track.stop)
        return views(one, self.track.trimmed(), slice(number, number + 1))[0]

    def _transform(self, shift: float, rotation: float) -> Float64:
        face = Face.of(self.track, self.clip.n_frames)
        return compose(move("shift_x", shift, face), move("rotation", rotation, face))


def explore(clip: Clip, experts: Sequence[Expert], track: FaceTrack | None = None) -> Any:
    """Sliders that shift, turn and delay a clip, its frame with both crops, the scores, and a player with sound.

    :param experts: of :func:`tfg.load_expert`.
    :param track: by default :func:`tfg.track_face`.
    :returns: an ipywidgets box; as the last value of a cell it shows itself.
    :raises StressError: ipywidgets is not installed.
    """
    widgets = _ipywidgets()
    state = Explorer(clip, experts, track)

    def slider(kind: Any, name: str, reach: float, step: float) -> Any:
        row = PERTURBATIONS[name]
        return kind(
            value=0, min=-reach, max=reach, step=step, description=row.name, continuous_update=False,
            tooltip=f"{row.about} ({row.unit})", layout=widgets.Layout(width="22em"),
        )  # fmt: skip

    shift = slider(widgets.FloatSlider, "shift_x", 30, 1)
    rotation = slider(widgets.FloatSlider, "rotation", 20, 1)
    delay = slider(widgets.IntSlider, "offset", 15, 1)
    number = widgets.IntSlider(
        value=int(state.track.mouth_opening.argmax()), max=len(state.track) - 1, description="frame",
        layout=widgets.Layout(width="22em"),
    )  # fmt: skip
    play = widgets.Button(description="Play", tooltip="Show the clip as it is now, with sound", icon="play")
    picture, scores, player = widgets.Image(format="png"), widgets.HTML(), widgets.HTML()

    def look(_: object = None) -> None:
        seen = state.picture(number.value, shift.value, rotation.value)
        picture.value = cv2.imencode(".png", cv2.cvtColor(seen, cv2.COLOR_RGB2BGR))[1].tobytes()

    def judge(_: object = None) -> None:
        player.value = ""  # it no longer shows what the sliders say
        scores.value = score_table(*state.scores(shift.value, rotation.value, delay.value))

    def start(_: object = None) -> None:
        said = f"shift {shift.value:g}%, rotation {rotation.value:g}°, sound delayed by {delay.value} frames"
        player.value = show(state.moved(shift.value, rotation.value, delay.value), said).data

    for control in (shift, rotation, number):
        control.observe(look, "value")
    for control in (shift, rotation, delay):
        control.observe(judge, "value")
    play.on_click(start)
    look()
    judge()
    return widgets.HBox([picture, widgets.VBox([shift, rotation, delay, number, scores, play, player])])


def score_table(problem: str, measured: dict[str, Measured]) -> str:
    """The experts' figures as an HTML table, or why there are none."""
    if problem:
        return f"<p>No score: {html.escape(problem)}.</p>"
    rows = "".join(
        f"<tr><th scope='row' style='text-align:left'>{title}</th>"
        + "".join(f"<td style='padding-left:1em'>{_number(m.figures.get(name))}</td>" for m in measured.values())
        + "</tr>"
        for name, title in _TITLES.items()
    )
    heads = "".join(f"<th scope='col' style='padding-left:1em'>{html.escape(name)}</th>" for name in measured)
    return f"<table><thead><tr><td></td>{heads}</tr></thead><tbody>{rows}</tbody></table>"


def film(
    clip: Clip,
    experts: Sequence[Expert],
    name: str,
    values: Sequence[float],
    track: FaceTrack | None = None,
    span: tuple[int, int] | None = None,
    seed: int = 0,
) -> Clip:
    """A film with sound: the clip at one value of a perturbation after the other, its crops below, its scores beside.

        tfg.plots.show(tfg.widgets.film(clip, experts, "offset", [0, 5, 10]), width=640)

    :param name: of :data:`tfg.stress.PERTURBATIONS`; ``values`` in its unit, shown in this order.
    :param track: by default :func:`tfg.track_face`; crops and scores are those of frozen alignment.
    :param span: frames ``(first, stop)`` of the track to show of each; scores are those of the whole clip.
    :returns: a clip of ``len(values)`` times the span.
    :raises StressError: as :func:`tfg.stress.sweep`, or ``span`` leaves the track.
    """
    track = track or track_face(clip)
    first, stop = span or (0, len(track))
    if not 0 <= first < stop <= len(track):
        raise StressError(f"span is {span}; expected 0 <= first < stop <= {len(track)}, frames of the face's track")
    result = sweep(clip, name, values, experts, seed=seed, track=track)
    frames, sound = [], []
    for index, value in enumerate(values):
        part = perturb(clip, name, value, track, seed).trim(track.start, track.stop)
        seen = views(part, track.trimmed(), slice(first, stop))
        back, (left, top, right, bottom) = panel(result, index, height=seen.shape[1])
        beside = np.repeat(back[None], stop - first, axis=0)
        cursor = np.round(np.linspace(left, right, len(track))[first:stop]).astype(int)
        for picture, x in zip(beside, cursor, strict=True):
            picture[top:bottom, x] //= 3
        frames.append(np.concatenate([seen, beside], axis=2))
        sound.append(part.trim(first, stop).audio)
    return Clip(np.concatenate(frames), np.concatenate(sound), source=clip.source, notes=(*clip.notes, f"film: {name}"))


def views(clip: Clip, track: FaceTrack, part: slice) -> Frames:
    """Frames with SyncNet's and AV-HuBERT's crops below: ``uint8 (n, H, 232, 3)``, H even.

    :param part: which frames of the clip, all of which ``track`` covers.
    """
    width = 2 * _CROP + _GAP
    height = round(clip.height * width / clip.width / 2) * 2
    faces, mouths = face_crops_syncnet(clip, track, _CROP)[part], mouth_crops(clip, track)[part]
    out = np.full((len(faces), height + _GAP + _CROP, width, 3), 255, np.uint8)
    for picture, frame, face, mouth in zip(out, clip.frames[part], faces, mouths, strict=True):
        picture[:height] = cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
        picture[height + _GAP :, :_CROP] = face
        picture[height + _GAP :, _CROP + _GAP :] = cv2.resize(mouth, (_CROP, _CROP))[..., None]
    return out


def _number(value: float | None) -> str:
    return "–" if value is None or np.isnan(value) else f"{value:.3g}"


def _ipywidgets() -> Any:
    try:
        return import_module("ipywidgets")
    except ImportError as error:
        raise StressError(
            "the explorer needs ipywidgets, which is not installed here: pip install 'tfg[book]'; "
            "tfg.widgets.film shows the same without it"
        ) from error
