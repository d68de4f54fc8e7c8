"""How the experts' scores of one clip change while one perturbation grows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from tfg.audio import stacked_filterbank
from tfg.clip import Clip
from tfg.crops import MOUTH_CROP, face_crops_syncnet, face_transforms_syncnet, mouth_crops, mouth_transforms
from tfg.errors import FeatureError, StressError
from tfg.experts.expert import AVHubertExpert, SyncNetExpert, track_audio
from tfg.experts.syncnet import WINDOW
from tfg.faces import FaceTrack, track_face, track_faces
from tfg.metrics.lse import lse_unbiased
from tfg.metrics.sync import MIN_SHIFT, avs_u, chance_level, cosine_similarity, offset_search
from tfg.stress.apply import perturb
from tfg.stress.frames import GEOMETRY, Face, move
from tfg.stress.place import follow, out_of_frame, shows_border
from tfg.stress.table import Perturbation, find
from tfg.warps import Float64

Alignment = Literal["frozen", "estimated"]
Expert = AVHubertExpert | SyncNetExpert
Float = NDArray[np.float32]

FIGURES = ("cosine", "chance", "avs_u", "lse_d", "lse_c", "offset")


@dataclass(frozen=True, eq=False)
class Measured:
    """What one expert says of the clip at one value of the perturbation.

    :ivar cosines: ``float32 (W,)``, the cosine of lips and sound in each window of five frames: SyncNet's of its
        embeddings (W = T - 5), AV-HuBERT's per frame, averaged over the window (W = T - 4). Row i begins at frame
        ``track.start + i`` of the clip. NaN in windows that are not counted.
    :ivar figures: ``cosine`` (mean of the above), ``chance`` (the same when lips and sound are rotated against each
        other: :func:`tfg.metrics.chance_level`), ``offset`` (frames, positive: audio early; best of 15 either way),
        and AV-HuBERT's ``avs_u`` or SyncNet's ``lse_d`` and ``lse_c`` (comparisons with padding left out).
    """

    cosines: Float
    figures: dict[str, float]


@dataclass(frozen=True, eq=False)
class Point:
    """One value of the perturbation.

    :ivar problem: "", or why this point has no scores; they are NaN then.
    :ivar measured: by the expert's name.
    """

    value: float
    problem: str
    measured: dict[str, Measured]


@dataclass(frozen=True, eq=False)
class SweepResult:
    """The scores of one clip over the values of one perturbation."""

    clip: str
    perturbation: Perturbation
    alignment: Alignment
    seed: int
    points: tuple[Point, ...]

    @property
    def values(self) -> NDArray[np.float64]:
        """``(N,)``, in the order in which they were asked for."""
        return np.array([point.value for point in self.points])

    @property
    def experts(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(self.points[0].measured)

    @property
    def problems(self) -> dict[float, str]:
        """The points without scores, and why."""
        return {point.value: point.problem for point in self.points if point.problem}

    def cosines(self, expert: str) -> Float:
        """``(N, W)``: a row per value, a column per window; NaN where not measured."""
        return np.stack([point.measured[expert].cosines for point in self.points])

    def figure(self, expert: str, name: str) -> NDArray[np.float64]:
        """``(N,)``: one of :attr:`Measured.figures` at each value; NaN where there is none."""
        return np.array([point.measured[expert].figures.get(name, np.nan) for point in self.points])

    def table(self) -> list[dict[str, Any]]:
        """One row per value and expert, for a csv; None where there is no number."""
        rows = []
        for point in self.points:
            for expert, measured in point.measured.items():
                counted = measured.cosines[~np.isnan(measured.cosines)]
                row: dict[str, Any] = {
                    "clip": self.clip,
                    "perturbation": self.perturbation.name,
                    "unit": self.perturbation.unit,
                    "value": point.value,
                    "alignment": self.alignment,
                    "seed": self.seed,
                    "expert": expert,
                    "windows": len(counted),
                    "cosine_std": float(counted.std()) if len(counted) else None,
                }
                figures = {name: measured.figures.get(name, np.nan) for name in FIGURES}
                row |= {name: None if np.isnan(value) else value for name, value in figures.items()}
                rows.append(row | {"problem": point.problem})
        return rows


def sweep(
    clip: Clip,
    name: str,
    values: Sequence[float],
    experts: Sequence[Expert],
    alignment: Alignment = "frozen",
    seed: int = 0,
    track: FaceTrack | None = None,
    on_point: Callable[[Point], None] | None = None,
) -> SweepResult:
    """Score a clip at each value of a perturbation.

    :param name: of :data:`tfg.stress.PERTURBATIONS`; ``values`` in its unit.
    :param experts: of :func:`tfg.load_expert`, with different names.
    :param alignment: ``"frozen"``: perturbed frames are cropped where the face was before, so that the experts see
        the perturbation; ``"estimated"``: the face is tracked again, which undoes what tracking can undo. Without
        effect on sound and timing.
    :param seed: of the perturbation and of the chance levels.
    :param track: the face in the unperturbed clip; by default :func:`tfg.track_face`.
    :param on_point: called after each value, for progress bars.
    :returns: :class:`SweepResult`. A value at which the face leaves the frame, or at which no face is found again,
        has ``problem`` and NaN instead of scores.
    :raises StressError: unknown name, no values or one out of range, no experts or two of one name.
    :raises NoFaceError: no face in the unperturbed clip.
    :raises FeatureError: a face of fewer than 6 frames.

    Delaying the sound leaves silence at one end: windows that would hear it are NaN and not counted, neither in
    the means nor in the search over delays. (AV-HuBERT attends to the whole clip, so its other frames know of it.)
    """
    row = find(name)
    for value in values:
        row.check(value)
    names = [expert.name for expert in experts]
    if not len(values) or not names or len(set(names)) < len(names):
        raise StressError(f"{len(values)} values and experts {names}; expected at least one of each, no name twice")
    if alignment not in get_args(Alignment):
        raise StressError(f"alignment is {alignment!r}; expected 'frozen' or 'estimated'")
    track = track or track_face(clip)
    if len(track) <= WINDOW:
        raise FeatureError(f"{len(track)} frames of a face; a sweep needs at least {WINDOW + 1} (0.24 s)")
    runner = _Runner(clip, row, experts, alignment, seed, track)
    points = []
    for value in values:
        points.append(runner.point(float(value)))
        if on_point is not None:
            on_point(points[-1])
    return SweepResult(clip.source or "clip", row, alignment, seed, tuple(points))


class _Runner:
    """One sweep: features that do not change from value to value are computed once."""

    def __init__(
        self, clip: Clip, row: Perturbation, experts: Sequence[Expert], alignment: Alignment, seed: int,
        track: FaceTrack,
    ) -> None:  # fmt: skip
        self.clip, self.row, self.experts, self.seed, self.track = clip, row, experts, seed, track
        self.estimated = alignment == "estimated"
        self._sounds: dict[tuple[str, int, int], Float] = {}
        self._lips: dict[str, Float] = {}

    def point(self, value: float) -> Point:
        """All experts at one value."""
        changed = _Changed(self.clip, self.row, value, self.track, self.seed)
        problem = out_of_frame(self.track, self.clip, self.row.name, value) if self.row.name in GEOMETRY else ""
        track = self.track
        if self.estimated and changed.pictures and not problem:
            found = follow(track_faces(changed.clip), self.track, self.clip, self.row.name, value)
            track = found or self.track
            problem = "" if found else "the face was not found again"
        heard = self._heard(value, track)
        if not problem and heard.stop - heard.start <= WINDOW:
            problem = f"only {max(0, heard.stop - heard.start)} frames have both a face and sound"
        measured = {expert.name: self._measured(expert, changed, track, heard, problem) for expert in self.experts}
        return Point(value, problem, measured)

    def _measured(self, expert: Expert, changed: _Changed, track: FaceTrack, heard: slice, problem: str) -> Measured:
        windows = len(self.track) - WINDOW + isinstance(expert, AVHubertExpert)
        cosines = np.full(windows, np.nan, np.float32)
        if problem:
            return Measured(cosines, {})
        sound, lips = self._sound(expert, changed, track), self._seen(expert, changed, track)
        counted, figures = _measure(expert, sound, lips, heard, self.seed)
        rows = np.arange(len(counted)) + track.start - self.track.start
        inside = (rows >= 0) & (rows < windows)
        cosines[rows[inside]] = counted[inside]
        return Measured(cosines, figures)

    def _heard(self, value: float, track: FaceTrack) -> slice:
        """The frames of the track whose sound is not the silence that a delay leaves."""
        first, last = 0, self.clip.n_frames
        if self.row.acts_on == "timing":
            first, last = max(0, int(np.ceil(value))), last + min(0, int(np.floor(value)))
        return slice(max(first - track.start, 0), min(last - track.start, len(track)))

    def _sound(self, expert: Expert, changed: _Changed, track: FaceTrack) -> Float:
        if changed.sound:
            return _encode_sound(expert, changed.clip, track)
        key = (expert.name, track.start, track.stop)
        if key not in self._sounds:
            self._sounds[key] = _encode_sound(expert, self.clip, track)
        return self._sounds[key]

    def _seen(self, expert: Expert, changed: _Changed, track: FaceTrack) -> Float:
        if not changed.pictures:
            if expert.name not in self._lips:
                self._lips[expert.name] = _encode_lips(expert, self.clip, track)
            return self._lips[expert.name]
        # where no border is in sight, moving the frames and cropping them are one transform
        if changed.moved is not None and not self.estimated and not shows_border(
            *_crop_transforms(expert, track), changed.moved, self.clip
        ):  # fmt: skip
            return _encode_lips(expert, self.clip, track, changed.moved)
        return _encode_lips(expert, changed.clip, track)


class _Changed:
    """The perturbed clip, made when it is asked for.

    :ivar pictures: whether its frames differ from the clip's; ``sound``: whether its audio does.
    :ivar moved: the transform of its frames ``(2, 3)``, if that is all that was done to them.
    """

    def __init__(self, clip: Clip, row: Perturbation, value: float, track: FaceTrack, seed: int) -> None:
        self.pictures = row.acts_on == "frames" and value != row.neutral
        self.sound = row.acts_on != "frames" and value != row.neutral
        self.moved = None
        if self.pictures and row.name in GEOMETRY:
            self.moved = move(row.name, value, Face.of(track, clip.n_frames))
        self._make = partial(perturb, clip, row.name, value, track, seed)

    @cached_property
    def clip(self) -> Clip:
        return self._make()


def _encode_sound(expert: Expert, clip: Clip, track: FaceTrack) -> Float:
    audio = track_audio(clip, track)
    if isinstance(expert, SyncNetExpert):
        return expert.encode_sound(audio)
    return expert.encode(audio=stacked_filterbank(audio, len(track)))


def _encode_lips(expert: Expert, clip: Clip, track: FaceTrack, moved: Float64 | None = None) -> Float:
    if isinstance(expert, SyncNetExpert):
        return expert.encode_lips(face_crops_syncnet(clip, track, expert.model.config.image_size, moved))
    return expert.encode(mouth=mouth_crops(clip, track, moved))


def _crop_transforms(expert: Expert, track: FaceTrack) -> tuple[Float64, int]:
    """The transforms of an expert's crops, and their side in pixels."""
    if isinstance(expert, SyncNetExpert):
        size = expert.model.config.image_size
        return face_transforms_syncnet(track, size), size
    return mouth_transforms(track), MOUTH_CROP


def _measure(expert: Expert, audio: Float, lips: Float, heard: slice, seed: int) -> tuple[Float, dict[str, float]]:
    """Cosine per window, NaN where it hears a frame outside ``heard``, and the figures of the rest."""
    per_row = cosine_similarity(audio, lips)
    if isinstance(expert, SyncNetExpert):
        rows = windows = slice(heard.start, min(heard.stop - WINDOW + 1, len(per_row)))
        cosines = per_row.astype(np.float32)
    else:
        rows, windows = heard, slice(heard.start, heard.stop - WINDOW + 1)
        cosines = np.lib.stride_tricks.sliding_window_view(per_row, WINDOW).mean(axis=1).astype(np.float32)
    counted = np.full_like(cosines, np.nan)
    counted[windows] = cosines[windows]
    audio, lips = audio[rows], lips[rows]
    shift = MIN_SHIFT if len(audio) >= 2 * MIN_SHIFT else len(audio) // 3
    figures = {"cosine": float(np.nanmean(counted))}
    figures["chance"] = chance_level(avs_u, audio, lips, seed, min_shift=shift) if shift else np.nan
    if isinstance(expert, SyncNetExpert):
        result = lse_unbiased(lips, audio)
        figures |= {"lse_d": result.lse_d, "lse_c": result.lse_c, "offset": float(result.offset)}
    else:
        figures |= {"avs_u": float(per_row[rows].mean()), "offset": float(offset_search(audio, lips).offset)}
    return counted, figures
