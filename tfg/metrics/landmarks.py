"""LMD: how far the landmarks of a generated face lie from those of the real one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tfg.crops import MOUTH
from tfg.errors import MetricError
from tfg.faces import FaceTrack

PerFrame = NDArray[np.float64]


class LandmarkDistance(NamedTuple):
    """What :func:`landmark_distance` finds; arrays are ``float64 (stop - start,)``, lower is better.

    ``mouth * eyes`` is the distance in pixels of the frame, as Chen et al. print it.
    """

    mouth: PerFrame  #: of the 20 mouth landmarks, in eye distances
    face: PerFrame  #: of all 68 landmarks, in eye distances
    place: PerFrame  #: between the mean points of all 68, before they are laid on each other, in eye distances
    eyes: PerFrame  #: pixels between the outer corners of the reference's eyes
    start: int  #: first frame compared
    stop: int  #: one after the last


def landmark_distance(generated: FaceTrack, reference: FaceTrack) -> LandmarkDistance:
    """Mean Euclidean distance of corresponding landmarks in every frame that both tracks cover.

    In each frame the mean points of the two sets are laid on each other first (of the 20 mouth points for ``mouth``,
    of all 68 for ``face``), so a face that is merely elsewhere is not punished; rotation and size are not undone. The
    distance is given in units of the distance between the outer eye corners of the reference, which makes it the
    same at every resolution. Published values are pixels of frames of the authors' size, and cannot be compared.

    :raises MetricError: no frame in common.

    Source: Chen, Li, Maddox, Duan, Xu, *Lip movements generation at a glance*, ECCV 2018 (mouth points, pixels).
    """
    start, stop = max(generated.start, reference.start), min(generated.stop, reference.stop)
    if start >= stop:
        raise MetricError(
            f"the tracks cover frames {generated.start} to {generated.stop - 1} and {reference.start} to "
            f"{reference.stop - 1}; expected frames in common: are both faces from the same stretch of time?"
        )
    made = generated.landmarks[start - generated.start : stop - generated.start].astype(np.float64)
    real = reference.landmarks[start - reference.start : stop - reference.start].astype(np.float64)
    eyes = np.linalg.norm(real[:, 45] - real[:, 36], axis=-1)
    if not eyes.all():
        raise MetricError("the reference's outer eye corners coincide; expected a face, to measure distances by")
    mouth, face = (_distance(made[:, points], real[:, points]) / eyes for points in (MOUTH, slice(None)))
    place = np.linalg.norm(made.mean(axis=1) - real.mean(axis=1), axis=-1) / eyes
    return LandmarkDistance(mouth, face, place, eyes, start, stop)


def _distance(made: PerFrame, real: PerFrame) -> PerFrame:
    made, real = (points - points.mean(axis=1, keepdims=True) for points in (made, real))
    return np.asarray(np.linalg.norm(made - real, axis=-1).mean(axis=-1))
