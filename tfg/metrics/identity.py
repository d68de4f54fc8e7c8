"""Identity similarity: is it still the same person? Cosine of face embeddings (papers: CSIM)."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfg.clip import Frames
from tfg.errors import MetricError, WeightsError
from tfg.landmarks import Frame, Landmarks

WEIGHTS_FILE = "dlib_face_recognition_resnet_model_v1.dat"

Embedder = Callable[[Frame, Landmarks], NDArray[np.floating]]


class DlibEmbedder:
    """dlib's face recognition network: one frame and its 68 landmarks -> 128 numbers.

    The face is turned upright and cut to 150 x 150 by its landmarks. Two pictures of one person lie less than 0.6
    apart (King 2017, 99.4% of pairs on LFW). The vectors share a mean direction: the cosine of two strangers is far
    above 0, so read a similarity beside that of another person.

    :raises WeightsError: the weights are not here.
    """

    def __init__(self) -> None:
        import dlib

        self._dlib: Any = dlib
        self._network = dlib.face_recognition_model_v1(str(_weights()))

    def __call__(self, frame: Frame, landmarks: Landmarks) -> NDArray[np.float64]:
        """:returns: ``float64 (128,)``."""
        points = [self._dlib.point(round(float(x)), round(float(y))) for x, y in landmarks]
        (left, top), (right, bottom) = landmarks.min(axis=0).round(), landmarks.max(axis=0).round()
        box = self._dlib.rectangle(int(left), int(top), int(right), int(bottom))
        shape = self._dlib.full_object_detection(box, self._dlib.points(points))
        return np.array(self._network.compute_face_descriptor(np.ascontiguousarray(frame), shape))


@cache
def dlib_embedder() -> DlibEmbedder:
    """The embedder, loaded once per process.

    :raises WeightsError: the weights are not here.
    """
    return DlibEmbedder()


def identity_similarity(
    generated: Frames,
    generated_landmarks: NDArray[np.float32],
    reference: Frames,
    reference_landmarks: NDArray[np.float32],
    embedder: Embedder | None = None,
) -> NDArray[np.float64]:
    """Cosine of the embeddings of the faces in corresponding frames.

    An embedding takes about a tenth of a second on a CPU: one frame in 25 is enough for the mean of a clip.

    :param generated: ``uint8 (T, H, W, 3)`` whole frames.
    :param generated_landmarks: ``(T, 68, 2)`` pixels, rows of :attr:`tfg.FaceTrack.landmarks`.
    :param reference: as many frames, of any size; ``reference_landmarks`` likewise.
    :param embedder: a function of one frame and its landmarks; by default :class:`DlibEmbedder`.
    :returns: ``float64 (T,)`` in [-1, 1], 1 is the same.
    :raises MetricError: the arrays do not have the same number of frames, or an embedding is zero or not finite.
    :raises WeightsError: the embedder's weights are not here.
    """
    counts = [len(each) for each in (generated, generated_landmarks, reference, reference_landmarks)]
    if len(set(counts)) != 1 or counts[0] == 0:
        raise MetricError(
            f"there are {counts[0]} generated frames with {counts[1]} sets of landmarks and {counts[2]} reference "
            f"frames with {counts[3]}; expected four times the same number, at least 1"
        )
    embed = embedder or dlib_embedder()
    made = _unit([embed(frame, points) for frame, points in zip(generated, generated_landmarks, strict=True)])
    real = _unit([embed(frame, points) for frame, points in zip(reference, reference_landmarks, strict=True)])
    return np.asarray((made * real).sum(axis=1).clip(-1, 1))


def _unit(embeddings: list[NDArray[np.floating]]) -> NDArray[np.float64]:
    vectors = np.stack(embeddings).astype(np.float64)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not np.isfinite(norms).all() or not norms.all():
        raise MetricError("a face embedding is zero or not finite: it has no direction to compare")
    return np.asarray(vectors / norms)


def _weights() -> Path:
    # importing the package fails without setuptools' pkg_resources, so its folder is only looked up
    spec = importlib.util.find_spec("face_recognition_models")
    folders = list(spec.submodule_search_locations or []) if spec else []
    path = Path(folders[0] if folders else "face_recognition_models", "models", WEIGHTS_FILE)
    if not path.is_file():
        raise WeightsError(
            f"identity similarity: {path} is missing; expected dlib's face embedding: "
            "pip install face_recognition_models==0.3.0 (it comes with tfg)"
        )
    return path
