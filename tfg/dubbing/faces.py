"""Whose face is drawn where: per frame of the input its square, its outline, and its identity reference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tfg.clip import Frames
from tfg.crops import MOUTH, box_transforms
from tfg.errors import FaceError, FeatureError, NoFaceError
from tfg.faces import FaceTrack
from tfg.generator_inputs import FaceGenerator, steady_identity_frames
from tfg.identity import moved, points_in_square, reference_moves, wide_boxes, wide_size
from tfg.warps import Float64, warp

OUTLINE = [*range(17), *range(48, 60)]  # of the 68 points: the jaw from ear to ear, the outer lips
FINER = 2  # references are kept so many times finer than drawn: they are read between pixels
BRIDGED = 0.2  # s for which a face that is not seen is still drawn where it should be
_GAP = 0.4  # s between a frame and its identity reference, as in training
_SHORTEST = 5  # frames of a further track: shorter ones are mostly no faces


@dataclass(frozen=True, eq=False)
class FacePlan:
    """For each of the N frames of the input.

    :ivar track: ``int64 (N,)``, a number that changes when another track begins; -1 where no face is drawn.
    :ivar boxes: ``float64 (N, 4)``, the generator's square: x0, y0, x1, y1 in pixel areas.
    :ivar outline: ``float64 (N, 29, 2)``, 17 points of the jaw and 12 of the outer lips in pixels of that square, which
        is ``image_size`` wide.
    :ivar reference: ``int64 (N,)``, the frame that serves as identity reference.
    :ivar reference_moves: ``float64 (N, 2, 3)``, brings the head of the reference to where it is in the frame: pixels
        of the reference's wide square -> pixels of the frame's square (:func:`tfg.identity.reference_moves`).
    :ivar size: of the generator's faces.
    :ivar notes: what a user should know.
    """

    track: NDArray[np.int64]
    boxes: NDArray[np.float64]
    outline: NDArray[np.float64]
    reference: NDArray[np.int64]
    reference_moves: Float64
    size: int
    notes: tuple[str, ...]

    def kept(self, frame: Frames, number: int) -> Frames:
        """What has to be kept of the input's frame for it to serve as reference: ``uint8``, its wide square."""
        return cut(frame, wide_boxes(self.boxes[[number]], self.size)[0], wide_size(self.size, FINER))

    def moved(self, kept: Frames, number: int) -> Frames:
        """The identity reference of a frame ``(size, size, 3)``: what was kept, its head where it is in this frame."""
        return moved(kept, self.reference_moves[number], self.size)

    @classmethod
    def of(cls, tracks: list[FaceTrack], n_frames: int, rate: float, generator: FaceGenerator) -> FacePlan:
        """The plan for tracks that do not overlap in time (:func:`faces_in_turn`)."""
        size = generator.image_size
        track_of = np.full(n_frames, -1, np.int64)
        boxes, outline = np.zeros((n_frames, 4)), np.zeros((n_frames, len(OUTLINE), 2))
        reference, moves = np.zeros(n_frames, np.int64), np.zeros((n_frames, 2, 3))
        notes = []
        for number, track in enumerate(tracks):
            here = slice(track.start, track.stop)
            boxes[here] = _with_mouth_at(generator.mouth_row, generator.boxes(track), track)
            inside = points_in_square(track, boxes[here], size)
            outline[here] = inside[:, OUTLINE]
            chosen, note = _references(track, rate)
            reference[here] = chosen + track.start
            moves[here] = reference_moves(inside[chosen], inside, size, FINER)
            if note and n_frames > 1:
                notes.append(note)
            seen = track.observed.copy()
            for first, stop in track.gaps:
                if stop - first <= BRIDGED * rate:
                    seen[first - track.start : stop - track.start] = True
            track_of[here][seen] = number
        return cls(track_of, boxes, outline, reference, moves, size, tuple(notes))


def _with_mouth_at(row: float | None, boxes: NDArray[np.float64], track: FaceTrack) -> NDArray[np.float64]:
    """The boxes of a track, all raised or lowered by the same share of their height, until its mouth lies where mouths
    lay in training: a face whose lips are near its nose would otherwise get a second mouth below its own.

    One shift for the whole track says nothing about any frame's mouth, and it does not tremble.
    """
    if row is None:
        return boxes
    top, height = boxes[:, 1], boxes[:, 3] - boxes[:, 1]
    found = np.median((track.landmarks[:, MOUTH, 1].mean(axis=1) + 0.5 - top) / height)
    return boxes + ((found - row) * height)[:, None] * np.array([0, 1, 0, 1])


def cut(frame: Frames, box: NDArray[np.float64], size: int) -> Frames:
    """A square of a frame, as :func:`tfg.crops.face_crops` cuts it: ``uint8 (size, size, 3)``."""
    return np.asarray(np.round(warp(frame, box_transforms(box[None], size)[0], size)), np.uint8)


def faces_in_turn(tracks: list[FaceTrack], number: int, name: str) -> list[FaceTrack]:
    """Of all tracks, at each moment that of the ``number``-th most prominent face (1 is the first).

    A face has a new track after each cut, so one track alone would leave the rest of the film as it was. Tracks are
    taken in the order of their prominence as long as they do not overlap in time; what is left is asked for the second
    face, and so on.

    :raises NoFaceError: no face at all.
    :raises FaceError: fewer faces than ``number`` at any one time.
    """
    if not tracks:
        raise NoFaceError(
            f"{name}: no face in it; expected one, roughly frontal, at least 1/12 of the picture's longer side wide: "
            "crop the picture to the speaker, or try the backend 'mediapipe'"
        )
    left = tracks
    for level in range(1, number + 1):
        chosen: list[FaceTrack] = []
        for track in left:
            apart = all(track.stop <= other.start or other.stop <= track.start for other in chosen)
            if apart and (not chosen or len(track) > _SHORTEST):
                chosen.append(track)
        left = [track for track in left if track not in chosen]
        if not chosen:
            raise FaceError(
                f"{name}: face {number} was asked for, {level - 1} at most are seen at a time; expected one of these"
            )
    return sorted(chosen, key=lambda track: track.start)


def _references(track: FaceTrack, rate: float) -> tuple[NDArray[np.int64], str]:
    """For each frame of a track the one that shows who speaks: a closed mouth, at another moment."""
    rank = np.where(track.observed, track.mouth_opening, np.inf)
    try:
        return steady_identity_frames(rank, round(_GAP * rate)), ""
    except FeatureError:
        constant = np.full(len(track), int(np.argmin(rank)), np.int64)
        seconds = track.start / rate, track.stop / rate
        return constant, (
            f"the face seen from {seconds[0]:.2f} to {seconds[1]:.2f} s is too short for a reference from another "
            "moment: one of its frames serves for all"
        )
