"""How the experts' scores of one clip change while one perturbation grows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from tfg.clip import Clip
from tfg.errors import FeatureError, StressError
from tfg.experts.expert import AVHubertExpert
from tfg.experts.syncnet import WINDOW
from tfg.faces import FaceTrack, track_face, track_faces
from tfg.stress.apply import perturb
from tfg.stress.frames import GEOMETRY, Face, move
from tfg.stress.measure import (
    Expert,
    Float,
    Measured,
    crop_transforms,
    encode_lips,
    encode_sound,
    heard_frames,
    measure,
)
from tfg.stress.place import follow, out_of_frame, shows_border
from tfg.stress.table import Perturbation, find

Alignment = Literal["frozen", "estimated"]

FIGURES = ("cosine", "chance", "avs_u", "lse_d", "lse_c", "offset")


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
        problem = out_of_frame(self.track, self.clip, self.row.name, value)
        track = self.track
        if self.estimated and changed.pictures and not problem:
            found = follow(track_faces(changed.clip), self.track, changed.moved)
            track = found or self.track
            problem = "" if found else "the face was not found again"
        heard = heard_frames(track, self.clip, value if self.row.acts_on == "timing" else 0)
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
        found = measure(expert, sound, lips, heard, self.seed)
        rows = np.arange(len(found.cosines)) + track.start - self.track.start
        inside = (rows >= 0) & (rows < windows)
        cosines[rows[inside]] = found.cosines[inside]
        return Measured(cosines, found.figures)

    def _sound(self, expert: Expert, changed: _Changed, track: FaceTrack) -> Float:
        if changed.sound:
            return encode_sound(expert, changed.clip, track)
        key = (expert.name, track.start, track.stop)
        if key not in self._sounds:
            self._sounds[key] = encode_sound(expert, self.clip, track)
        return self._sounds[key]

    def _seen(self, expert: Expert, changed: _Changed, track: FaceTrack) -> Float:
        if not changed.pictures:
            if expert.name not in self._lips:
                self._lips[expert.name] = encode_lips(expert, self.clip, track)
            return self._lips[expert.name]
        # where no border is in sight, moving the frames and cropping them are one transform
        if changed.moved is not None and not self.estimated and not shows_border(
            *crop_transforms(expert, track), changed.moved, self.clip
        ):  # fmt: skip
            return encode_lips(expert, self.clip, track, changed.moved)
        return encode_lips(expert, changed.clip, track)


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
