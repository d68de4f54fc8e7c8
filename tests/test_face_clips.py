"""Face clips: what training cuts from them is what it would have cut from the source; damage names its file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny_experts as tiny
import tiny_training

from tfg.clip import Clip
from tfg.crops import face_crops, face_crops_syncnet, generator_boxes, mouth_crops, wav2lip_boxes
from tfg.datasets import face_clips
from tfg.datasets.face_clips import FaceClip, write_face_clip
from tfg.errors import DataError, MediaError
from tfg.faces import FaceTrack


def wide_clip(frames: int = 12) -> Clip:
    """A smooth picture, much larger than the face, so that compression changes little."""
    rows, columns = np.mgrid[:200, :300]
    waves = 128 + 100 * np.sin(columns / 9 + rows / 14)  # grey: the colours of a video are stored at half the size
    pictures = np.repeat(np.repeat(waves.astype(np.uint8)[None, ..., None], frames, 0), 3, -1)
    return Clip(pictures, np.zeros(640 * frames, np.float32), source="waves")


def folder_of(tmp_path: Path, *names: str) -> Path:
    (tmp_path / face_clips.HEADER).write_text(json.dumps(face_clips.LAYOUT))
    for name in names:
        tiny_training.write_clip(tmp_path, name, frames=8)
    return tmp_path


@pytest.mark.parametrize("at", [40, 150, 270], ids=["left edge", "middle", "right edge"])
def test_every_crop_is_what_the_source_gives(at: float, tmp_path: Path) -> None:
    clip, track = wide_clip(), tiny.track(2, 10, at=at)
    write_face_clip(clip, track, tmp_path, "a")
    cut, kept = FaceClip(tmp_path, "a").read()
    assert cut.width < clip.width, "only the surroundings of the face are kept"
    assert (cut.n_frames, kept.start, kept.stop) == (8, 0, 8)
    crops = (
        lambda c, t: face_crops(c, t, generator_boxes(t), 96),
        lambda c, t: face_crops(c, t, wav2lip_boxes(t), 96),
        face_crops_syncnet,
        mouth_crops,
    )
    for crop in crops:
        before, after = (crop(c, t).astype(float) for c, t in ((clip, track), (cut, kept)))
        assert np.abs(before - after).mean() < 1.5, "levels of 255: compression, not another place"


def test_a_face_at_the_right_edge_of_a_video_of_odd_width_loses_no_column(tmp_path: Path) -> None:
    clip, track = wide_clip(), tiny.track(0, 12, at=285)
    columns = np.linspace(40, 240, 299).astype(np.uint8)  # odd; each column has a brightness of its own, nearly
    clip = replace(clip, frames=np.broadcast_to(columns[None, None, :, None], (12, 199, 299, 3)).copy())
    write_face_clip(clip, track, tmp_path, "a")
    cut, kept = FaceClip(tmp_path, "a").read()
    x0 = round(float((track.landmarks - kept.landmarks)[0, 0, 0]))
    assert cut.width >= clip.width - x0, "the last column is there"
    seen = cut.frames[:, 50, : clip.width - x0, 0].mean(axis=0)
    assert np.abs(seen - columns[x0:]).max() < 3
    before, after = (face_crops(c, t, generator_boxes(t), 96).astype(float) for c, t in ((clip, track), (cut, kept)))
    other = (np.abs(before - after).max(axis=(0, 1, 3)) > 6).nonzero()[0]
    assert len(other) <= 3, "only where crops are black beyond the edge, the repeated column"
    assert after[..., other[-1] + 1 :, :].max() == 0


def test_sound_and_visibility_stay_with_their_frames(tmp_path: Path) -> None:
    seen = np.array([True, False, True, True, True, False, True, True])
    clip = tiny.clip(20)
    write_face_clip(clip, tiny.track(3, 11, observed=seen), tmp_path, "a")
    cut, track = FaceClip(tmp_path, "a").read()
    assert track.observed.tolist() == seen.tolist()
    expected = clip.audio[3 * 640 : 11 * 640]
    assert len(cut.audio) == len(expected)
    assert np.corrcoef(cut.audio, expected)[0, 1] > 0.9


def test_length_is_known_without_decoding(tmp_path: Path) -> None:
    tiny_training.write_clip(tmp_path, "a", frames=9)
    (tmp_path / "a.mp4").unlink()
    assert FaceClip(tmp_path, "a").frames == 9


def test_a_clip_is_complete_when_its_landmarks_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder_of(tmp_path, "whole")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(OSError, match="No space left"):
        tiny_training.write_clip(tmp_path, "half", frames=8)
    assert face_clips.names(tmp_path) == ["whole"]


def test_names_are_sorted_and_a_missing_one_is_named(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "b", "a")
    assert [clip.name for clip in face_clips.load(folder)] == ["a", "b"]
    assert [clip.name for clip in face_clips.load(folder, ["b"])] == ["b"]
    with pytest.raises(DataError, match=r"has no clip zoe.*rejected\.csv"):
        face_clips.load(folder, ["b", "zoe"])


@pytest.mark.parametrize(
    ("header", "match"),
    [(None, "has no face_clips.json"), ("{", "expected"), ('{"layout": "face clips", "version": 9}', "expected")],
)
def test_another_folder_is_refused(header: str | None, match: str, tmp_path: Path) -> None:
    if header is not None:
        (tmp_path / face_clips.HEADER).write_text(header)
    with pytest.raises(DataError, match=match):
        face_clips.names(tmp_path)


def test_a_folder_without_clips_points_to_the_list_of_reasons(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no face clip.*rejected\.csv"):
        face_clips.names(folder_of(tmp_path))


@pytest.mark.parametrize("damage", ["cut", "empty", "flipped", "other arrays", "gone"])
def test_damaged_landmarks_name_their_file(damage: str, tmp_path: Path) -> None:
    tiny_training.write_clip(tmp_path, "a", frames=8)
    path = tmp_path / "a.npz"
    data = bytearray(path.read_bytes())
    if damage == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "flipped":
        data[100:140] = bytes(255 - x for x in data[100:140])
        path.write_bytes(data)
    elif damage == "other arrays":
        np.savez(path, something=np.zeros(3))
    else:
        path.unlink()
    with pytest.raises(DataError, match=r"a\.npz: .*prepare it again"):
        FaceClip(tmp_path, "a").read()


def test_a_damaged_video_names_its_file(tmp_path: Path) -> None:
    tiny_training.write_clip(tmp_path, "a", frames=8)
    path = tmp_path / "a.mp4"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(MediaError, match=r"a\.mp4"):
        FaceClip(tmp_path, "a").read()


def test_landmarks_of_another_video_are_noticed(tmp_path: Path) -> None:
    tiny_training.write_clip(tmp_path, "a", frames=8)
    tiny_training.write_clip(tmp_path, "b", frames=9)
    (tmp_path / "b.npz").replace(tmp_path / "a.npz")
    with pytest.raises(DataError, match=r"a\.mp4: 8 frames, but landmarks of 9"):
        FaceClip(tmp_path, "a").read()


def test_a_face_at_the_border_stays_inside_the_picture(tmp_path: Path) -> None:
    track = tiny.track(0, 6, at=5)
    far = replace(track, landmarks=track.landmarks - np.float32([0, 60]))
    write_face_clip(wide_clip(6), far, tmp_path, "a")
    cut, kept = FaceClip(tmp_path, "a").read()
    assert isinstance(kept, FaceTrack)
    assert cut.width > 0
    np.testing.assert_allclose(kept.landmarks, far.landmarks, atol=1e-4)  # nothing left or above to cut off
