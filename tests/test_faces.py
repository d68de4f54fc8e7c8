"""Face tracking on real clips: gaps, cuts, several faces, no face; and the track's own promises."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

import tfg
from tfg.clip import Clip
from tfg.errors import FaceError, NoFaceError
from tfg.faces import FaceTrack, shot_cuts, track_face, track_faces
from tfg.landmarks import backend, overlap


@pytest.fixture(scope="module")
def talker(grid_dir: Path) -> Clip:
    return tfg.read_clip(sorted((grid_dir / "s1").glob("*.mp4"))[40])


@pytest.fixture(scope="module")
def stranger(grid_dir: Path) -> Clip:
    return tfg.read_clip(sorted((grid_dir / "s4").glob("*.mp4"))[0])


def _with_frames(clip: Clip, frames: np.ndarray) -> Clip:
    return Clip(frames=np.ascontiguousarray(frames), audio=np.resize(clip.audio, 640 * len(frames)))


def test_a_frontal_talker_is_seen_in_every_frame(talker: Clip) -> None:
    track = track_face(talker)
    assert (track.start, track.stop) == (0, talker.n_frames)
    assert track.coverage == 1.0
    assert track.gaps == []
    assert track.landmarks.dtype == np.float32
    mouth, eyes = track.landmarks[:, 48:68].mean(axis=1), track.landmarks[:, 36:48].mean(axis=1)
    assert (mouth[:, 1] > eyes[:, 1] + 20).all()
    assert (track.boxes[:, 1] < eyes[:, 1]).all()


def test_following_between_detections_agrees_with_detecting_every_frame(talker: Clip) -> None:
    track = track_face(talker)
    dlib = backend("dlib")
    errors = []
    for t in range(0, talker.n_frames, 7):
        (box,) = dlib.detect(talker.frames[t], [])
        points = dlib.landmarks(talker.frames[t], box)
        errors.append(np.linalg.norm(points - track.landmarks[t], axis=1).mean())
    face_height = (track.boxes[:, 3] - track.boxes[:, 1]).mean()
    assert np.mean(errors) < 0.02 * face_height


def test_blank_frames_are_bridged_and_reported(talker: Clip) -> None:
    frames = talker.frames.copy()
    frames[30:40] = 0
    track = track_face(_with_frames(talker, frames))
    assert (track.start, track.stop) == (0, talker.n_frames)
    assert track.gaps == [(30, 40)]
    truth = track_face(talker)
    assert np.abs(track.landmarks[30:40] - truth.landmarks[30:40]).mean() < 6
    halfway = track.landmarks[29] + (track.landmarks[40] - track.landmarks[29]) * (5 / 11) - track.landmarks[34]
    assert np.abs(halfway).max() < 0.5


def test_the_ends_of_a_shot_are_held_from_the_nearest_sight(talker: Clip) -> None:
    frames = talker.frames.copy()
    box = track_face(talker).boxes.round().astype(int)
    for t in (*range(6), *range(69, 75)):  # the face is covered, the scene stays
        x0, y0, x1, y1 = box[t]
        frames[t, max(0, y0) : y1 + 10, x0:x1] = (60, 90, 60)
    track = track_face(_with_frames(talker, frames))
    assert (track.start, track.stop) == (0, talker.n_frames)
    assert not track.observed[:6].any()
    assert not track.observed[69:].any()
    assert track.observed[9:69].all()  # a face that appears is found within 4 frames
    first, last = np.flatnonzero(track.observed)[[0, -1]]
    np.testing.assert_array_equal(track.landmarks[0], track.landmarks[first])
    np.testing.assert_array_equal(track.landmarks[-1], track.landmarks[last])


def test_tracks_end_at_shot_cuts(talker: Clip, stranger: Clip) -> None:
    joined = _with_frames(talker, np.concatenate([talker.frames[:40], stranger.frames[:30], talker.frames[40:]]))
    assert shot_cuts(joined) == [40, 70]
    spans = sorted((t.start, t.stop) for t in track_faces(joined))
    assert spans == [(0, 40), (40, 70), (70, 105)]


def test_a_cut_between_scenes_of_like_colours_is_found(talker: Clip, grid_dir: Path) -> None:
    other = tfg.read_clip(sorted((grid_dir / "s3").glob("*.mpg"))[0])  # before the same blue wall
    assert shot_cuts(_with_frames(talker, np.concatenate([talker.frames[:30], other.frames[:30]]))) == [30]


def test_a_flash_is_not_a_cut(talker: Clip) -> None:
    frames = talker.frames.copy()
    frames[20:22] = 255
    assert shot_cuts(_with_frames(talker, frames)) == []
    assert shot_cuts(talker) == []


@pytest.mark.parametrize("speaker_left", [True, False])
def test_of_two_faces_the_one_that_speaks_is_chosen(talker: Clip, stranger: Clip, speaker_left: bool) -> None:
    silent = np.repeat(stranger.frames[:1], talker.n_frames, axis=0)
    noise = np.random.default_rng(0).integers(0, 8, silent.shape, dtype=np.uint8)  # a camera is never quite still
    silent = np.clip(silent.astype(np.int16) + noise, 0, 255).astype(np.uint8)
    halves = [talker.frames, silent] if speaker_left else [silent, talker.frames]
    both = _with_frames(talker, np.concatenate(halves, axis=2))
    tracks = track_faces(both)
    assert len(tracks) == 2
    centre = tracks[0].boxes[:, [0, 2]].mean()
    assert (centre < talker.width) == speaker_left
    assert tracks[0].prominence > 2 * tracks[1].prominence


def test_a_small_face_beside_a_large_one_is_found(talker: Clip, stranger: Clip) -> None:
    large = np.stack([cv2.resize(f, (720, 576)) for f in talker.frames[:12]])
    small = np.zeros((12, 576, 360, 3), np.uint8)
    small[:, :288] = stranger.frames[:12]
    tracks = track_faces(_with_frames(talker, np.concatenate([large, small], axis=2)))
    heights = sorted(float((t.boxes[:, 3] - t.boxes[:, 1]).mean()) for t in tracks)
    assert len(heights) == 2
    assert heights[1] > 1.6 * heights[0]


def test_no_face_is_an_error_that_says_what_was_looked_at() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (10, 120, 160, 3), dtype=np.uint8)
    clip = Clip(frames=noise, audio=np.zeros(6400, np.float32), source="noise.mp4")
    with pytest.raises(NoFaceError, match=r"noise\.mp4: no face in 10 frames of 160 x 120"):
        track_face(clip)


def test_size_of_the_frame_does_not_matter(talker: Clip) -> None:
    reference = track_face(talker)
    for factor in (0.7, 3.0):
        frames = np.stack([cv2.resize(f, None, fx=factor, fy=factor) for f in talker.frames[:20]])
        track = track_face(_with_frames(talker, frames))
        difference = np.abs(track.landmarks / factor - reference.landmarks[:20]).mean()
        assert difference < 2.5


def test_stream_and_clip_give_the_same_track(grid_dir: Path) -> None:
    path = sorted((grid_dir / "s1").glob("*.mp4"))[3]
    a, b = track_face(tfg.read_clip(path)), track_face(tfg.open_clip(path))
    np.testing.assert_array_equal(a.landmarks, b.landmarks)


def test_generated_videos_and_their_sources_are_tracked(adthqa_dir: Path) -> None:
    path = adthqa_dir / "source_videos" / "HDTF2_slice.mp4"
    clip = tfg.read_clip(path, duration=3.0)
    track = track_face(clip)
    assert track.coverage >= 0.97
    assert len(track) == clip.n_frames


def test_tracks_refuse_arrays_that_do_not_fit() -> None:
    with pytest.raises(FaceError, match="expected"):
        FaceTrack(0, 3, np.zeros((2, 68, 2), np.float32), np.ones(3, bool))
    with pytest.raises(FaceError, match="NaN"):
        FaceTrack(0, 1, np.full((1, 68, 2), np.nan, np.float32), np.ones(1, bool))
    with pytest.raises(FaceError, match="start < stop"):
        FaceTrack(2, 2, np.zeros((0, 68, 2), np.float32), np.ones(0, bool))


def test_overlap_of_boxes() -> None:
    a = np.array([0, 0, 10, 10], np.float32)
    assert overlap(a, a) == 1.0
    assert overlap(a, a + np.array([5, 0, 5, 0], np.float32)) == pytest.approx(1 / 3)
    assert overlap(a, a + 20) == 0.0


def test_unknown_backend_and_missing_mediapipe_say_what_to_do() -> None:
    with pytest.raises(FaceError, match="'dlib' or 'mediapipe'"):
        backend("haar")  # type: ignore[arg-type]
    try:
        import mediapipe  # noqa: F401
    except ImportError:
        with pytest.raises(FaceError, match="pip install"):
            backend("mediapipe")


def test_mediapipe_finds_the_same_face(talker: Clip) -> None:
    pytest.importorskip("mediapipe")
    short = talker.trim(0, 15)
    ours, theirs = track_face(short), track_face(short, "mediapipe")
    assert theirs.coverage == 1.0
    eyes = np.linalg.norm(ours.landmarks[:, 45] - ours.landmarks[:, 36], axis=1).mean()
    assert np.linalg.norm(ours.landmarks - theirs.landmarks, axis=2).mean() < 0.06 * eyes


def test_mediapipe_looks_at_each_frame_anew(talker: Clip) -> None:
    pytest.importorskip("mediapipe")
    shifted = talker.frames.copy()
    shifted[1::2] = np.roll(shifted[1::2], 12, axis=2)
    track = track_face(_with_frames(talker, shifted).trim(0, 10), "mediapipe")
    step = np.diff(track.landmarks[:, :, 0].mean(axis=1))
    np.testing.assert_allclose(np.abs(step), 12, atol=4)
