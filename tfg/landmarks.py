"""Where faces are in one frame, and their 68 landmarks: two interchangeable backends.

``dlib`` (default) is what AV-HuBERT's own preparation uses: a HOG detector and the 68-point shape predictor, whose
training data (300-W) excludes commercial use. ``mediapipe`` (optional) is more robust on hard poses; its 468 points
are reduced to the same 68.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from typing import Any, Literal, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from tfg.errors import FaceError

Box = NDArray[np.float32]  # x0, y0, x1, y1 in pixels
Frame = NDArray[np.uint8]  # (H, W, 3) RGB
Landmarks = NDArray[np.float32]  # (68, 2), x and y in pixels
BackendName = Literal["dlib", "mediapipe"]

DETECTION_SIDE = 640  # frames are scaled so that their longer side has at most this many pixels before detection
_SIZES = (95.0, 125.0, 70.0)  # widths in pixels to which a known face is scaled, in turn, until dlib responds
_WEAK = -0.6  # detector score that is believed where a face was a moment ago (0 elsewhere)


class LandmarkBackend(Protocol):
    """What tracking asks for. ``near`` is where a face is expected: a backend may look harder there."""

    def detect(self, frame: Frame, near: list[Box]) -> list[Box]: ...

    def landmarks(self, frame: Frame, box: Box) -> Landmarks: ...


class DlibBackend:
    """dlib's frontal HOG detector and 68-point predictor (bundled by ``face_recognition_models``).

    The detector finds faces of at least 80 pixels. Where nothing is expected yet, the whole frame is searched at 640
    and at 1280 pixels on the longer side, but no more than twice its own size (faces from about 1/12 of the longer
    side, and from 40 pixels). Where a face was before, it is looked for around that place, scaled to sizes to
    which the detector responds well, so that following costs the same at any resolution and sees faces of any size.
    """

    def __init__(self) -> None:
        import dlib

        self._dlib = dlib
        self._detector = dlib.get_frontal_face_detector()
        self._predictor = dlib.shape_predictor(str(_model_folder() / "shape_predictor_68_face_landmarks.dat"))

    def detect(self, frame: Frame, near: list[Box]) -> list[Box]:
        scale = min(1.0, DETECTION_SIDE / max(frame.shape[:2]))
        boxes = self._search(frame, scale)
        for expected in near:
            if all(overlap(expected, box) < 0.3 for box in boxes):
                boxes += self._search_around(frame, expected)
        if not near or not boxes:
            finer = self._search(frame, 2 * scale)
            boxes += [box for box in finer if all(overlap(box, other) < 0.3 for other in boxes)]
        return boxes

    def landmarks(self, frame: Frame, box: Box) -> Landmarks:
        # grey, as AV-HuBERT's preparation; only the surroundings of the box are converted
        x0, y0, x1, y1 = (round(float(value)) for value in box)
        part, (left, top) = _cut(frame, box, margin=0.5)
        rectangle = self._dlib.rectangle(x0 - left, y0 - top, x1 - left, y1 - top)
        shape = self._predictor(cv2.cvtColor(part, cv2.COLOR_RGB2GRAY), rectangle)
        return np.array([(p.x + left, p.y + top) for p in shape.parts()], np.float32)

    def _search(self, frame: Frame, scale: float, threshold: float = 0.0) -> list[Box]:
        grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        if scale != 1:
            method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
            grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=method)
        found, _, _ = self._detector.run(grey, 0, threshold)
        return [np.array([r.left(), r.top(), r.right(), r.bottom()], np.float32) / scale for r in found]

    def _search_around(self, frame: Frame, expected: Box) -> list[Box]:
        """The face that was here a moment ago: a weaker response is believed in that place (none or one box)."""
        part, (left, top) = _cut(frame, expected, margin=0.6)
        if min(part.shape[:2]) < 8:
            return []
        offset = np.array([left, top, left, top], np.float32)
        for size in _SIZES:
            scale = size / max(float(expected[2] - expected[0]), 1.0)
            found = [box + offset for box in self._search(part, scale, _WEAK)]
            found = [box for box in found if overlap(box, expected) > 0.4]
            if found:
                return found[:1]  # the surest comes first
        return []


def _cut(frame: Frame, box: Box, margin: float) -> tuple[Frame, tuple[int, int]]:
    """The frame inside a box that is widened by ``margin`` of its size on each side, and where that part begins."""
    height, width = frame.shape[:2]
    x0, y0, x1, y1 = (float(value) for value in box)
    dx, dy = margin * (x1 - x0), margin * (y1 - y0)
    left, top = int(np.clip(x0 - dx, 0, width - 1)), int(np.clip(y0 - dy, 0, height - 1))
    right, bottom = int(np.clip(x1 + dx, left + 1, width)), int(np.clip(y1 + dy, top + 1, height))
    return frame[top:bottom, left:right], (left, top)


#: For each of the 68 points, the vertex of MediaPipe's face mesh that lies there: on frames of 11 talkers the two
#: backends then differ by 4% of the distance between the eyes' outer corners (lips and eyes 2%, jaw 6%).
MESH_68 = (
    127, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 356,  # jaw, right to left
    70, 63, 105, 66, 107, 336, 296, 334, 293, 300,  # brows
    168, 197, 195, 4, 75, 97, 2, 326, 305,  # nose
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,  # eyes
    61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181, 78, 82, 13, 312, 308, 317, 14, 87,  # lips
)  # fmt: skip


class MediapipeBackend:
    """MediaPipe's face mesh (478 points), reduced to the 68-point scheme; up to 4 faces a frame. Needs
    ``mediapipe==0.10.21``, which bundles its models. Every frame is detected anew, whatever is expected where."""

    def __init__(self) -> None:
        try:
            import mediapipe
        except ImportError as error:
            raise FaceError(
                "the mediapipe backend needs the package mediapipe 0.10.21, which is not installed here: "
                "pip install --no-deps mediapipe==0.10.21 && pip install absl-py flatbuffers 'protobuf==4.25.9', "
                "or use backend='dlib'"
            ) from error
        self._mesh = mediapipe.solutions.face_mesh.FaceMesh(
            static_image_mode=True, max_num_faces=4, refine_landmarks=True, min_detection_confidence=0.5
        )
        self._last: tuple[Frame, list[Landmarks]] | None = None

    def detect(self, frame: Frame, near: list[Box]) -> list[Box]:
        return [_landmark_box(points) for points in self._faces(frame)]

    def landmarks(self, frame: Frame, box: Box) -> Landmarks:
        faces = self._faces(frame)
        if not faces:  # nothing on this frame: keep the mean shape of the box, the tracker will call it unobserved
            return np.full((68, 2), np.nan, np.float32)
        return max(faces, key=lambda points: overlap(_landmark_box(points), box))

    def _faces(self, frame: Frame) -> list[Landmarks]:
        if self._last is None or self._last[0] is not frame:
            height, width = frame.shape[:2]
            result: Any = self._mesh.process(frame)
            faces = [
                np.array([(face.landmark[i].x * width, face.landmark[i].y * height) for i in MESH_68], np.float32)
                for face in (result.multi_face_landmarks or [])
            ]
            self._last = (frame, faces)
        return self._last[1]


def backend(name: BackendName) -> LandmarkBackend:
    """The named backend; models are loaded once per process.

    :raises FaceError: unknown name, or its package is not installed.
    """
    if name not in ("dlib", "mediapipe"):
        raise FaceError(f"backend is {name!r}; expected 'dlib' or 'mediapipe'")
    return _load(name)


@cache
def _load(name: BackendName) -> LandmarkBackend:
    return DlibBackend() if name == "dlib" else MediapipeBackend()


def overlap(a: Box, b: Box) -> float:
    """Intersection over union of two boxes."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return float(both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both))


def _landmark_box(points: Landmarks) -> Box:
    return np.concatenate([points.min(axis=0), points.max(axis=0)])


def _model_folder() -> Path:
    # importing the package fails without setuptools' pkg_resources, so its folder is only looked up
    spec = importlib.util.find_spec("face_recognition_models")
    if spec is None or not spec.submodule_search_locations:
        raise FaceError("the landmark model is missing: pip install face_recognition_models==0.3.0 (it comes with tfg)")
    return Path(next(iter(spec.submodule_search_locations))) / "models"
