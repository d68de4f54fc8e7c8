"""The identity reference brought to where the head is: the same face at another moment, in the pose of this one.

A generator's output is a change to its identity reference (:mod:`tfg.generator`). Had the head moved since, the change
would have to undo one face and draw another, which a small network does by blurring. So the reference is moved first:
an affine map brings its ears, nose and eyes onto those of the frame to be drawn. What is left to change is the mouth.

Only points that speech hardly moves may say where to (:data:`HEAD`): the map must not tell how far the jaw is open.
With two more points of the jaw on each side, the height at which the reference's mouth comes to lie follows the opening
of the lips, with a correlation of about 0.5; without them it hardly does (``benchmarks/identity_leak.py``).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import uniform_filter1d

from tfg.clip import Frames
from tfg.crops import STABLE_POINTS, box_transforms
from tfg.faces import FaceTrack
from tfg.warps import Float64, compose, warp

HEAD = (*range(3), *range(14, 17), *range(27, 36), *STABLE_POINTS[1:])  # ears, nose, eye corners, of the 68 points
MARGIN = 0.25  # of the square's side: what is kept around a reference, for it to be moved


def points_in_square(track: FaceTrack, boxes: Float64, size: int) -> Float64:
    """The landmarks in pixels of the generator's square, ``(T, 68, 2)``, averaged over five frames against jitter.

    :param boxes: ``(T, 4)`` in pixel areas, of the track's frames.
    :param size: side of the square in pixels.
    """
    move = box_transforms(boxes, size)
    points = track.landmarks.astype(np.float64)
    inside = points * move[:, None, [0, 1], [0, 1]] + move[:, None, :, 2]
    return np.asarray(uniform_filter1d(inside, 5, axis=0, mode="nearest"))


def margin_of(size: int) -> int:
    """Pixels around a square of ``size`` that are kept of a reference."""
    return round(MARGIN * size)


def wide_boxes(boxes: Float64, size: int) -> Float64:
    """The boxes ``(N, 4)`` of squares of ``size`` pixels, and :func:`margin_of` such pixels around them."""
    margin = margin_of(size) / size * (boxes[:, 2:] - boxes[:, :2])
    return np.concatenate([boxes[:, :2] - margin, boxes[:, 2:] + margin], axis=1)


def wide_size(size: int, finer: int = 1) -> int:
    """Side in pixels of :func:`wide_boxes`, kept ``finer`` times as fine as the square."""
    return finer * (size + 2 * margin_of(size))


def reference_moves(reference: Float64, here: Float64, size: int, finer: int = 1, by: Sequence[int] = HEAD) -> Float64:
    """The maps that bring the head of a reference to where it is here.

    :param reference: ``(N, 68, 2)`` of :func:`points_in_square`, of the reference's frames.
    :param here: ``(N, 68, 2)``, of the frames to be drawn.
    :param by: the points that are brought together.
    :returns: ``(N, 2, 3)``: pixels of the reference's wide square -> pixels of the square here.

    Affine: a head that turns is narrower on one side, which a similarity transform cannot say.
    """
    source, target = reference[:, list(by)], here[:, list(by)]
    known = np.concatenate([source, np.ones_like(source[..., :1])], axis=-1)
    affine = (np.linalg.pinv(known) @ target).transpose(0, 2, 1)
    shift = 0.5 / finer - 0.5 - margin_of(size)
    from_wide = np.array([[1 / finer, 0, shift], [0, 1 / finer, shift]])
    return compose(affine, from_wide)


def moved(wide: Frames, move: Float64, size: int) -> Frames:
    """The reference as a generator is given it, ``uint8 (size, size, 3)``.

    :param wide: its wide square, ``uint8``.
    :param move: ``(2, 3)`` of :func:`reference_moves`.
    """
    return np.asarray(np.round(warp(wide, move, size)), np.uint8)
