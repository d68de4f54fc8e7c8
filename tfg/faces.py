"""Faces through time: who is where in each frame, through gaps and cuts, and who speaks.

Between detections a face is followed by its own landmarks: the box of the next frame is predicted from them. A new
detection is made every few frames, and at once when the picture inside the box changes abruptly, when the landmarks
jump, or when a face is missing. Frames where no face was seen are filled by interpolation and reported.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from tfg.clip import VideoSource
from tfg.errors import FaceError, NoFaceError
from tfg.landmarks import BackendName, Box, Frame, LandmarkBackend, Landmarks, backend, overlap

DETECT_EVERY = 12  # frames between detections of a face that is being followed
MAX_GAP = 25  # frames (1 s) that may be bridged without seeing the face, as SyncNet's pipeline allows
SEARCH_EVERY = 4  # frames between searches while there is no face at all
CUT_COLOURS = 0.25  # share of the colour histogram that changes at a cut; a talker in close-up moves up to 0.06 of it
CUT_LAYOUT = (0.12, 10.0)  # ... or less of it, when the 16 x 16 picture changes by this many levels as well
_JUMP = 0.2  # landmarks moving by more than this share of the face in one frame are doubted
_CHANGE = 22.0  # mean grey levels by which the inside of the box may change before it is looked at again


@dataclass(frozen=True, eq=False)
class FaceTrack:
    """One face over frames ``start .. stop - 1`` of a clip.

    :ivar landmarks: ``float32 (stop - start, 68, 2)``, x and y in pixels of the full frame, no NaN.
    :ivar observed: ``bool (stop - start,)``, False where the landmarks are interpolated or held.
    :ivar prominence: how much this looks like the speaker (see :func:`track_faces`); for comparison within a clip.
    """

    start: int
    stop: int
    landmarks: NDArray[np.float32]
    observed: NDArray[np.bool_]
    prominence: float = 0.0

    def __post_init__(self) -> None:
        count = self.stop - self.start
        if self.start < 0 or count < 1:
            raise FaceError(f"track covers frames {self.start} to {self.stop}; expected 0 <= start < stop")
        if self.landmarks.shape != (count, 68, 2) or self.observed.shape != (count,):
            raise FaceError(
                f"landmarks are {self.landmarks.shape} and observed {self.observed.shape}; expected "
                f"({count}, 68, 2) and ({count},) for frames {self.start} to {self.stop}"
            )
        if not np.isfinite(self.landmarks).all():
            raise FaceError("landmarks contain NaN or infinite values; expected pixels")

    def __len__(self) -> int:
        return self.stop - self.start

    @property
    def boxes(self) -> NDArray[np.float32]:
        """``float32 (T, 4)``: x0, y0, x1, y1 of the face from the middle of the forehead to the chin.

        The landmarks end at the brows, so the box is raised by 30% of brow-to-chin: it then resembles the boxes of
        face detectors such as S3FD, for which SyncNet's and Wav2Lip's crops were made.
        """
        low, high = self.landmarks.min(axis=1), self.landmarks.max(axis=1)
        top = low[:, 1] - 0.3 * (high[:, 1] - low[:, 1])
        return np.stack([low[:, 0], top, high[:, 0], high[:, 1]], axis=1)

    @property
    def coverage(self) -> float:
        """Share of the track's frames in which the face was seen."""
        return float(self.observed.mean())

    @property
    def gaps(self) -> list[tuple[int, int]]:
        """Runs ``[first, last)`` of clip frames in which the face was not seen."""
        edges = np.diff(np.pad(~self.observed, 1).astype(np.int8))
        firsts, lasts = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
        return [(int(a) + self.start, int(b) + self.start) for a, b in zip(firsts, lasts, strict=True)]

    @property
    def mouth_opening(self) -> NDArray[np.float32]:
        """``float32 (T,)``: distance of the inner lips, in units of the distance between the outer eye corners."""
        lips = np.linalg.norm(self.landmarks[:, 66] - self.landmarks[:, 62], axis=1)
        eyes = np.linalg.norm(self.landmarks[:, 45] - self.landmarks[:, 36], axis=1)
        return (lips / np.maximum(eyes, 1e-6)).astype(np.float32)

    def trimmed(self) -> FaceTrack:
        """The same track for the clip cut to its frames (``clip.trim(track.start, track.stop)``)."""
        return replace(self, start=0, stop=len(self))


def track_face(video: VideoSource, backend_name: BackendName = "dlib") -> FaceTrack:
    """The most prominent speaking face of a video.

    :raises NoFaceError: no face in any frame.
    """
    tracks = track_faces(video, backend_name)
    if not tracks:
        raise NoFaceError(
            f"{video.source or 'the clip'}: no face in {video.n_frames} frames of {video.width} x {video.height}; "
            "expected a face, roughly frontal, at least 1/12 of the frame's longer side wide: crop the video to "
            "the speaker, or try backend_name='mediapipe'"
        )
    return tracks[0]


def track_faces(video: VideoSource, backend_name: BackendName = "dlib") -> list[FaceTrack]:
    """All faces of a video, the most prominent first.

    Tracks end at shot cuts and after 25 frames without a sight of the face; shorter gaps are filled (linear between
    sights, held at the ends of the shot) and marked in ``observed``. Prominence is the movement of the lips beyond the
    movement of the nose's landmarks (which is tracking noise), times the share of the clip, times the square root of
    the face's height: a large speaking face over a small one, a speaking one over a still one.

    :param video: a :class:`tfg.Clip`, or a stream, of which one block is in memory at a time.
    :raises FaceError: the backend is unknown or not installed.
    """
    tracker = _Tracker(backend(backend_name))
    shots = _Shots()
    count = 0
    for frame in _frames(video):
        tracker.step(count, frame, shots.step(count, frame))
        count += 1
    found = [_finish(face, shots, count) for face in tracker.closed + tracker.active]
    scored = [replace(t, prominence=_prominence(t, count, video.height)) for t in found if len(t) >= min(5, count)]
    return sorted(scored, key=lambda track: -track.prominence)


def shot_cuts(video: VideoSource) -> list[int]:
    """The frames at which a new shot begins (the first frame of the clip is not listed).

    A cut is a frame that differs from the one before by 25% of its colour histogram (8 levels a channel), or by 12%
    and by 10 grey levels on average over a 16 x 16 thumbnail (two scenes of like colours). A flash or a few blank
    frames after which the old picture comes back within a second are not cuts; a dissolve is not found.
    """
    shots = _Shots()
    for number, frame in enumerate(_frames(video)):
        shots.step(number, frame)
    return shots.cuts()


def _frames(video: VideoSource) -> Iterator[Frame]:
    for block in video.blocks():
        yield from block


class _Shots:
    """Assigns a shot number to each frame; a short interlude returns to the shot it interrupted."""

    def __init__(self) -> None:
        self.shot_of: list[int] = []
        self._previous: _Look | None = None
        self._left: tuple[int, int, _Look] | None = None  # frame, shot and look before the last cut

    def step(self, number: int, frame: Frame) -> int:
        look = _Look.of(frame)
        if self._previous is None:
            shot = 0
        elif look.change(self._previous) < 1:
            shot = self.shot_of[-1]
        else:
            shot = max(self.shot_of) + 1
            if self._left is not None and number - self._left[0] <= MAX_GAP:
                frame_left, shot_left, look_left = self._left
                if look.change(look_left) < 0.5:
                    shot = shot_left
                    self.shot_of[frame_left + 1 :] = [shot] * (number - frame_left - 1)
            self._left = (number - 1, self.shot_of[-1], self._previous)
        self._previous = look
        self.shot_of.append(shot)
        return shot

    def cuts(self) -> list[int]:
        shots = np.array(self.shot_of)
        return [int(i) for i in np.flatnonzero(np.diff(shots)) + 1] if len(shots) else []

    def bounds(self, frame: int) -> tuple[int, int]:
        """The frames ``[first, last)`` of the shot around a frame."""
        edges = [0, *self.cuts(), len(self.shot_of)]
        place = int(np.searchsorted(edges, frame, side="right"))
        return edges[place - 1], edges[place]


@dataclass(frozen=True, eq=False)
class _Look:
    """What is compared of two frames: their colours, and a thumbnail."""

    colours: NDArray[np.float32]
    thumbnail: NDArray[np.float32]

    @classmethod
    def of(cls, frame: Frame) -> _Look:
        small = _shrink(frame, 64)
        colours = cv2.calcHist([small], [0, 1, 2], None, [8, 8, 8], [0, 256] * 3).ravel()
        return cls(colours.astype(np.float32) / np.float32(4096), _shrink(small, 16).astype(np.float32))

    def change(self, other: _Look) -> float:
        """How different two frames are; 1 or more is a cut."""
        colours = float(np.abs(self.colours - other.colours).sum() / 2)
        layout = float(np.abs(self.thumbnail - other.thumbnail).mean())
        return max(colours / CUT_COLOURS, min(colours / CUT_LAYOUT[0], layout / CUT_LAYOUT[1]))


@dataclass
class _Face:
    """A face that is being followed."""

    shot: int
    seen: list[int] = field(default_factory=list)
    landmarks: list[Landmarks] = field(default_factory=list)
    look: NDArray[np.float32] | None = None  # the inside of the box when last seen
    box_offset: NDArray[np.float32] | None = None  # detector's box against landmarks: centre and size, in face sizes

    def remember(self, number: int, points: Landmarks, look: NDArray[np.float32]) -> None:
        self.seen.append(number)
        self.landmarks.append(points)
        self.look = look

    def calibrate(self, box: Box) -> None:
        """Learn how the detector's box lies around the landmarks, to predict boxes without the detector."""
        centre, size = _centre_size(self.landmarks[-1])
        middle = (box[:2] + box[2:]) / 2
        self.box_offset = np.array([*((middle - centre) / size), (box[2] - box[0]) / size], np.float32)

    def predicted_box(self) -> Box:
        centre, size = _centre_size(self.landmarks[-1])
        assert self.box_offset is not None
        middle, half = centre + self.box_offset[:2] * size, self.box_offset[2] * size / 2
        return np.concatenate([middle - half, middle + half]).astype(np.float32)


def _centre_size(points: Landmarks) -> tuple[NDArray[np.float32], float]:
    centre = points.mean(axis=0)
    return centre, float(np.sqrt(((points - centre) ** 2).sum(axis=1).mean()))


class _Tracker:
    def __init__(self, landmark_backend: LandmarkBackend) -> None:
        self.backend = landmark_backend
        self.active: list[_Face] = []
        self.closed: list[_Face] = []
        self._last_detection = -DETECT_EVERY
        self._shot = -1

    def step(self, number: int, frame: Frame, shot: int) -> None:
        followed: list[tuple[_Face, Landmarks, NDArray[np.float32]]] = []
        doubtful = [f for f in self.active if f.shot != shot or f.seen[-1] != number - 1]
        for face in self.active:
            if face not in doubtful:
                box = face.predicted_box()
                points, look = self.backend.landmarks(frame, box), _look(frame, box)
                if _plausible(face, points, look):
                    followed.append((face, points, look))
                else:
                    doubtful.append(face)
        faces_here = any(face.shot == shot for face in self.active)
        since = number - self._last_detection
        due = since >= (DETECT_EVERY if faces_here else SEARCH_EVERY) or shot != self._shot
        self._shot = shot
        if due or doubtful:
            self._detect(number, frame, shot)
            self._last_detection = number
        else:
            for face, points, look in followed:
                face.remember(number, points, look)
        self._close(number)

    def _detect(self, number: int, frame: Frame, shot: int) -> None:
        expected = {id(f): f.predicted_box() for f in self.active}
        boxes = self.backend.detect(frame, [expected[id(f)] for f in self.active if f.shot == shot])
        pairs = sorted(
            (
                (overlap(expected[id(f)], box), i, f)
                for f in self.active
                if f.shot == shot
                for i, box in enumerate(boxes)
            ),
            key=lambda pair: -pair[0],
        )
        taken: set[int] = set()
        for common, i, face in pairs:
            if common > 0.3 and i not in taken and (not face.seen or face.seen[-1] != number):
                taken.add(i)
                self._see(face, number, frame, boxes[i])
        for i, box in enumerate(boxes):
            if i not in taken and all(overlap(box, boxes[j]) < 0.3 for j in taken):
                taken.add(i)
                face = _Face(shot)
                if self._see(face, number, frame, box):
                    self.active.append(face)

    def _see(self, face: _Face, number: int, frame: Frame, box: Box) -> bool:
        points = self.backend.landmarks(frame, box)
        if not np.isfinite(points).all():
            return False
        face.remember(number, points, _look(frame, box))
        face.calibrate(box)
        return True

    def _close(self, number: int) -> None:
        for face in [f for f in self.active if number - f.seen[-1] > MAX_GAP]:
            self.active.remove(face)
            self.closed.append(face)


def _look(frame: Frame, box: Box) -> NDArray[np.float32]:
    """The inside of a box, 16 x 16 grey: enough to notice that something else is there now."""
    height, width = frame.shape[:2]
    x0, x1 = np.clip([box[0], box[2]], 0, width - 1).astype(int)
    y0, y1 = np.clip([box[1], box[3]], 0, height - 1).astype(int)
    return np.asarray(_shrink(frame[y0 : y1 + 1, x0 : x1 + 1], 16).mean(axis=2, dtype=np.float32))


def _shrink(image: Frame, side: int) -> Frame:
    """``side x side`` averages of an image; of a large image, a regular sample of pixels is averaged."""
    step = max(1, min(image.shape[:2]) // (4 * side))
    return np.asarray(cv2.resize(image[::step, ::step], (side, side), interpolation=cv2.INTER_AREA), np.uint8)


def _plausible(face: _Face, points: Landmarks, look: NDArray[np.float32]) -> bool:
    if not np.isfinite(points).all():
        return False
    _, size = _centre_size(face.landmarks[-1])
    moved = np.linalg.norm(points - face.landmarks[-1], axis=1).mean() / size
    assert face.look is not None
    return bool(moved < _JUMP and np.abs(look - face.look).mean() < _CHANGE)


def _finish(face: _Face, shots: _Shots, count: int) -> FaceTrack:
    """Fill the gaps, and hold the ends to the borders of the shot when they are near."""
    first, last = face.seen[0], face.seen[-1] + 1
    shot_first, shot_last = shots.bounds(first)
    start = shot_first if first - shot_first <= MAX_GAP else first
    stop = shot_last if 0 <= shot_last - last <= MAX_GAP else last
    frames = np.arange(start, min(stop, count))
    flat = np.stack(face.landmarks).reshape(len(face.seen), -1)
    filled = np.stack([np.interp(frames, face.seen, column) for column in flat.T], axis=1)
    landmarks = filled.reshape(-1, 68, 2).astype(np.float32)
    return FaceTrack(start, start + len(frames), landmarks, np.isin(frames, face.seen))


def _prominence(track: FaceTrack, n_frames: int, height: int) -> float:
    eyes = np.linalg.norm(track.landmarks[:, 45] - track.landmarks[:, 36], axis=1)
    nose = np.linalg.norm(track.landmarks[:, 33] - track.landmarks[:, 30], axis=1) / np.maximum(eyes, 1e-6)
    motion = max(0.0, float(track.mouth_opening.std() - nose.std()))
    size = float((track.boxes[:, 3] - track.boxes[:, 1]).mean()) / height
    return (0.001 + motion) * (len(track) / n_frames) * float(np.sqrt(size))
