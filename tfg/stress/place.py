"""Where a perturbation puts the face: out of the frame, or where it can be found again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfg.clip import Clip
from tfg.crops import MOUTH_CROP, mouth_transforms
from tfg.faces import FaceTrack
from tfg.landmarks import overlap
from tfg.stress.frames import GEOMETRY, Face, move
from tfg.warps import Float64

_SLACK = 0.5  # pixels by which a face may come to lie farther out of the frame than it was


def out_of_frame(track: FaceTrack, clip: Clip, name: str, value: float) -> str:
    """Why the face of a clip is not seen whole after a perturbation, or "" (always, if it moves nothing)."""
    if name not in GEOMETRY:
        return ""
    return leaves_frame(track, clip, move(name, value, Face.of(track, clip.n_frames)))


def leaves_frame(track: FaceTrack, clip: Clip, moved: Float64) -> str:
    """Why the face is not seen whole after the frames are warped by ``moved`` ``(2, 3)``, or "".

    Watched are the landmarks and the four corners of AV-HuBERT's mouth crop, which move with the picture. What was out
    of the frame before may stay so, but go no farther.
    """
    square = _corners(mouth_transforms(track), MOUTH_CROP)
    points = np.concatenate([track.landmarks.astype(np.float64), square], axis=1)
    before, after = _outside(points, clip), _outside(_moved(points, moved), clip)
    lost = after > before + _SLACK
    if not lost.any():
        return ""
    return f"the face leaves the frame in {lost.sum()} of {len(track)} frames, by up to {after.max():.0f} pixels"


def follow(found: Sequence[FaceTrack], track: FaceTrack, moved: Float64 | None) -> FaceTrack | None:
    """Of the faces found in the perturbed clip, the one that lies where ``track`` must have come to, if any does.

    :param moved: ``(2, 3)``, the transform of the frames, if they were moved.
    """
    expected = track.boxes
    if moved is not None:
        x0, y0, x1, y1 = expected.astype(np.float64).T
        corners = np.stack([np.stack([x0, x1, x0, x1], 1), np.stack([y0, y0, y1, y1], 1)], axis=2)
        corners = _moved(corners, moved)
        expected = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1).astype(np.float32)
    best, best_common = None, 0.3
    for other in found:
        first, stop = max(track.start, other.start), min(track.stop, other.stop)
        if first < stop:
            middle = (first + stop) // 2
            common = overlap(expected[middle - track.start], other.boxes[middle - other.start])
            if common > best_common:
                best, best_common = other, common
    return best


def shows_border(transforms: Float64, size: int, moved: Float64, clip: Clip) -> bool:
    """True when crops of ``size x size`` reach out of the frame, or see what has moved into it over its border."""
    square = _corners(transforms, size)
    linear = np.linalg.inv(moved[:, :2])
    back = np.column_stack([linear, -linear @ moved[:, 2]])
    return bool(max(_outside(square, clip).max(), _outside(_moved(square, back), clip).max()) > 0)


def _corners(transforms: Float64, size: int) -> Float64:
    """Where the corners of crops lie in the frames that they are taken from: ``(T, 2, 3) -> (T, 4, 2)``."""
    inverse = np.linalg.inv(transforms[:, :, :2])
    corners = np.array([(0, 0), (size, 0), (0, size), (size, size)]) - 0.5
    return np.asarray((corners - transforms[:, None, :, 2]) @ inverse.transpose(0, 2, 1))


def _moved(points: Float64, transform: Float64) -> Float64:
    return points @ transform[:, :2].T + transform[:, 2]


def _outside(points: Float64, clip: Clip) -> Float64:
    """By how many pixels the outermost of some points lies out of the frame: ``(T, K, 2) -> (T,)``."""
    edge = np.array([clip.width, clip.height]) - 0.5  # the border of the last pixel
    return np.asarray(np.maximum(-0.5 - points, points - edge).max(axis=(1, 2)).clip(0))
