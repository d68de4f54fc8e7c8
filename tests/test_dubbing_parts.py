"""The parts of dubbing: which picture is shown when, what is heard there, how a face is put in, and the mark."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfg.audio import log_mel
from tfg.clip import FPS, Clip
from tfg.crops import generator_boxes
from tfg.dubbing import detect_mark, pipeline
from tfg.dubbing.faces import FacePlan, cut, faces_in_turn
from tfg.dubbing.mark import CELLS, THRESHOLD, Mark, mark_score
from tfg.dubbing.paste import ColourMatch, lower_face_masks, paste
from tfg.dubbing.timeline import Timeline, ping_pong, spans
from tfg.errors import FaceError, MediaError, MissingFileError, NoAudioError, NoFaceError
from tfg.faces import FaceTrack
from tfg.generator_inputs import IDENTITY_GAP, mel_windows
from tfg.media import read_clip, write_clip
from tfg.media_native import NativeVideo, StillPicture, open_native
from tfg.media_sound import SoundFormat, read_sound, sound_chunks, sound_format
from tfg.media_write import open_film

TICK = Fraction(1, 90_000)


class Shape:
    """A generator's geometry."""

    image_size, audio_start, mouth_row = 96, -2, None
    boxes = staticmethod(generator_boxes)


def numbered(number: int) -> np.ndarray:
    """A picture of 48 x 160 whose ten vertical bars are the bits of its number."""
    bits = (number >> np.arange(10)) & 1
    row = np.repeat(40 + 170 * bits, 16).astype(np.uint8)
    return np.broadcast_to(row[None, :, None], (48, 160, 3)).copy()


def number_of(picture: np.ndarray) -> int:
    bits = picture[20:28].mean(axis=(0, 2))[8::16] > 125
    return int((bits << np.arange(10)).sum())


def film(path: Path, ticks: np.ndarray, rate: Fraction = Fraction(30), **sound: Any) -> Path:
    with open_film(path, 160, 48, rate=rate, tick=TICK, **sound) as out:
        for i, tick in enumerate(ticks):
            out.picture(numbered(i), int(tick))
        out.sound(np.zeros((1, 16_000), np.float32))
    return path


def native(path: Path) -> NativeVideo:
    video = NativeVideo(path, 1000.0)
    assert [number_of(f) for block in video.blocks() for f in block] == list(range(video.n_frames))
    return video


# --- when each picture is shown -----------------------------------------------------------------------------------


@given(st.integers(2, 9), st.integers(1, 60))
def test_ping_pong_is_a_reflection(n_frames: int, count: int) -> None:
    shown = [i for a, b in ping_pong(n_frames, count) for i in (range(a, b + 1) if a <= b else range(a, b - 1, -1))]
    period = 2 * (n_frames - 1)
    assert shown == [min(k % period, period - k % period) for k in range(count)]


@pytest.mark.parametrize("rate", [Fraction(25), Fraction(30000, 1001), Fraction(50), Fraction(12)])
def test_every_picture_is_read_once_at_its_own_time_and_rate(tmp_path: Path, rate: Fraction) -> None:
    ticks = np.round(np.arange(70) / float(rate * TICK)).astype(int)
    video = native(film(tmp_path / "a.mp4", ticks, rate))
    assert video.n_frames == 70
    np.testing.assert_allclose(video.times, np.arange(70) / float(rate), atol=2e-5)
    line = Timeline.of(video, 200 / float(rate))
    assert abs(line.rate - rate) < 0.01
    assert len(line.times) == 200
    shown = [number_of(f) for run in line.runs for f in video.run(*run)]
    assert shown == line.index.tolist()


def test_backwards_in_several_stretches_gives_the_same_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tfg.media_native._HELD", 7 * 160 * 48 * 3 // 2)
    video = native(film(tmp_path / "a.mp4", 3000 * np.arange(40)))
    assert [number_of(f) for f in video.run(38, 3)] == list(range(38, 2, -1))
    assert [number_of(f) for f in video.run(5, 5)] == [5]


def test_uneven_times_are_kept_and_mirrored(tmp_path: Path) -> None:
    ticks = 3000 * np.array([0, 1, 2, 5, 6, 10])
    video = native(film(tmp_path / "a.mp4", ticks))
    line = Timeline.of(video, 0.61)
    assert line.ticks.tolist() == (3000 * np.array([0, 1, 2, 5, 6, 10, 14, 15, 18])).tolist()
    assert line.index.tolist() == [0, 1, 2, 3, 4, 5, 4, 3, 2]
    assert Timeline.of(video, 5.0).ticks[10] == 3000 * 20  # the start once more


def test_a_longer_video_is_read_as_far_as_the_sound_goes(tmp_path: Path) -> None:
    video = NativeVideo(film(tmp_path / "a.mp4", 3000 * np.arange(90)), 1.0)
    assert sum(len(block) for block in video.blocks()) == video.n_frames == 30


def test_a_picture_is_a_video_of_one_frame_that_stays(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), numbered(321))
    still = open_native(tmp_path / "a.png", 1.0)
    line = Timeline.of(still, 1.0)
    assert isinstance(still, StillPicture)
    assert len(line.times) == 25
    assert [number_of(f) for run in line.runs for f in still.run(*run)] == [321] * 25
    (tmp_path / "b.jpg").write_bytes(b"no picture")
    with pytest.raises(MediaError, match=r"b\.jpg"):
        StillPicture(tmp_path / "b.jpg")
    with pytest.raises(MissingFileError):
        StillPicture(tmp_path / "c.jpg")


def test_runs_of_flags_are_found() -> None:
    assert spans(np.array([1, 0, 1, 1, 0, 1], bool)) == [(0, 1), (2, 4), (5, 6)]
    assert spans(np.zeros(3, bool)) == []


# --- what is heard ------------------------------------------------------------------------------------------------


def test_a_window_between_two_frames_is_centred_on_its_own_time() -> None:
    mel = np.broadcast_to(np.arange(400, dtype=np.float32) / 100, (80, 400))
    for rate in (24, 30000 / 1001, 50, 60):
        middles = (np.arange(10, 90) + 0.5) / rate
        heard = mel_windows(mel, FPS * middles - 0.5, -2)[:, 0, 0].numpy().mean(axis=1) * 100 + 0.5
        assert np.abs(heard / 80 - middles).max() <= 1.01 / 80  # a column is 12.5 ms
    whole = np.arange(3, 60)
    first = mel_windows(mel, whole.tolist(), 0)[:, 0, 0, 0].numpy()
    assert (np.rint(first * 100) == whole * 80 // 25).all()


@settings(deadline=None, max_examples=6)
@given(st.integers(900, 90_000), st.integers(0, 3))
def test_mel_in_pieces_is_the_mel_of_the_whole(samples: int, seed: int) -> None:
    wave = np.random.default_rng(seed).normal(0, 0.1, samples).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "_COLUMNS", 50)
        np.testing.assert_allclose(pipeline.mel_in_pieces(wave), log_mel(wave), atol=1e-5)


def test_sound_comes_from_any_file_in_its_own_format(tmp_path: Path) -> None:
    wave = (np.sin(np.arange(66_150) / 9) * 12_000).astype(np.int16)
    with av.open(str(tmp_path / "a.wav"), "w") as container:
        stream: Any = container.add_stream("pcm_s16le", rate=44_100, layout="stereo")
        frame = av.AudioFrame.from_ndarray(np.repeat(wave, 2)[None], format="s16", layout="stereo")
        frame.sample_rate = 44_100
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert sound_format(tmp_path / "a.wav") == SoundFormat(44_100, 2)
    assert abs(len(read_sound(tmp_path / "a.wav")) - 24_000) < 20
    both = np.concatenate(list(sound_chunks(tmp_path / "a.wav", SoundFormat(44_100, 2))), axis=1)
    np.testing.assert_allclose(both, np.tile(wave / np.float32(32768), (2, 1)), atol=1e-6)
    with pytest.raises(MissingFileError):
        read_sound(tmp_path / "b.wav")
    cv2.imwrite(str(tmp_path / "c.png"), numbered(1))
    with pytest.raises(NoAudioError, match=r"c\.png"):
        read_sound(tmp_path / "c.png")


# --- whose face -----------------------------------------------------------------------------------------------------


def track(start: int, stop: int, prominence: float = 1.0, unseen: slice = slice(0, 0), at: float = 100.0) -> FaceTrack:
    random = np.random.default_rng(start)
    points = np.zeros((68, 2), np.float32)
    points[:17] = np.stack([50 * -np.cos(np.linspace(0, np.pi, 17)), 70 * np.sin(np.linspace(0, np.pi, 17))], axis=1)
    points[17:] = random.normal(0, 12, (51, 2))
    points[[33, 36, 39, 42, 45]] = [(0, 20), (-30, -15), (-12, -15), (12, -15), (30, -15)]
    landmarks = np.repeat(points[None] + np.float32(at), stop - start, axis=0)
    landmarks[:, 66, 1] = landmarks[:, 62, 1] + random.uniform(0, 20, stop - start)
    observed = np.ones(stop - start, bool)
    observed[unseen] = False
    return FaceTrack(start, stop, landmarks, observed, prominence)


def test_at_each_moment_the_most_prominent_face_speaks() -> None:
    tracks = [track(0, 50, 3), track(0, 80, 2), track(60, 90, 1), track(95, 98, 0.5)]
    assert faces_in_turn(tracks, 1, "x") == [tracks[0], tracks[2]]  # 3 frames are too few to be believed
    assert faces_in_turn(tracks, 2, "x") == [tracks[1]]
    with pytest.raises(FaceError, match="face 4"):
        faces_in_turn(tracks, 4, "x")
    with pytest.raises(NoFaceError, match=r"a\.mp4"):
        faces_in_turn([], 1, "a.mp4")


def test_identity_references_are_of_another_moment_and_unseen_faces_are_not_drawn() -> None:
    plan = FacePlan.of([track(5, 100, unseen=slice(20, 40)), track(120, 150)], 160, 25.0, Shape())  # type: ignore[arg-type]
    drawn = np.flatnonzero(plan.track >= 0)
    assert set(drawn) == {*range(5, 25), *range(45, 100), *range(120, 150)}
    assert (np.abs(plan.reference[drawn] - drawn) > IDENTITY_GAP).all()
    assert ((plan.reference[drawn] < 110) == (drawn < 110)).all()  # of the same person
    assert not np.isin(plan.reference, np.arange(25, 45)).any()  # never where the face was not seen


def test_a_mouth_near_the_nose_is_put_where_mouths_lay_in_training() -> None:
    """The square of a whole track is shifted by one share of its height; a moving jaw does not move it."""
    still = track(0, 20)
    row = 0.66

    class Trained(Shape):
        mouth_row = row

    found = {}
    for name, generator in (("as it is", Shape()), ("shifted", Trained())):
        plan = FacePlan.of([still], 20, 25.0, generator)  # type: ignore[arg-type]
        lips = still.landmarks[:, 48:, 1].mean(axis=1) + 0.5
        height = plan.boxes[:, 3] - plan.boxes[:, 1]
        found[name] = plan.boxes, (lips - plan.boxes[:, 1]) / height
    (before, was), (after, now) = found.values()
    assert np.median(now) == pytest.approx(row, abs=1e-6)
    assert abs(np.median(was) - row) > 0.005, "there was something to shift"
    np.testing.assert_array_equal(before[:, [0, 2]], after[:, [0, 2]])
    shares = (after[:, 1] - before[:, 1]) / (before[:, 3] - before[:, 1])
    np.testing.assert_allclose(shares, shares[0], atol=1e-9)


def test_the_reference_is_moved_to_where_the_head_is() -> None:
    """A chessboard glued to the head: drawn into the reference and moved, it lies as in the frame."""
    head = track(0, 60)
    turn = np.linspace(0, 1, 60)
    moved = head.landmarks.astype(np.float64)
    moved[..., 0] = 150 + (moved[..., 0] - 150) * (1 - 0.15 * turn[:, None]) + 25 * turn[:, None]  # narrower
    moved[..., 1] += 0.08 * (moved[..., 0] - 150) * turn[:, None]  # tilted
    head = replace(head, landmarks=moved.astype(np.float32))
    plan = FacePlan.of([head], 60, 25.0, Shape())  # type: ignore[arg-type]
    y, x = np.mgrid[:400, :400]

    def picture(i: int) -> np.ndarray:
        u = (x - 25 * turn[i] - 150) / (1 - 0.15 * turn[i]) + 150
        v = y - 0.08 * (x - 150) * turn[i]
        return np.repeat((128 + 60 * np.sin(u / 12) * np.sin(v / 12))[..., None], 3, axis=2).astype(np.uint8)

    for i in (12, 30, 50):
        reference = plan.reference[i]
        there = plan.moved(plan.kept(picture(reference), reference), i)
        wanted, unmoved = (cut(picture(j), plan.boxes[j], plan.size).astype(float) for j in (i, reference))
        inner = slice(12, -12)
        off, without = (np.abs(a - wanted)[inner, inner].mean() for a in (there, unmoved))
        assert off < 4
        assert off < 0.5 * without


def test_a_short_gap_is_bridged_and_a_short_track_says_that_it_has_one_reference() -> None:
    plan = FacePlan.of([track(0, 15, unseen=slice(5, 9))], 20, 25.0, Shape())  # type: ignore[arg-type]
    assert np.flatnonzero(plan.track >= 0).tolist() == list(range(15))
    assert len(set(plan.reference[:15])) == 1
    assert "too short" in plan.notes[0]


# --- put in ---------------------------------------------------------------------------------------------------------


def outline(mouth: float = 48.0) -> np.ndarray:
    angle, turn = np.linspace(0, np.pi, 17), np.linspace(0, 2 * np.pi, 12, endpoint=False)
    jaw = np.stack([48 - 30 * np.cos(angle), 44 + 42 * np.sin(angle)], axis=1)
    return np.concatenate([jaw, np.stack([mouth + 10 * np.cos(turn), 66 + 5 * np.sin(turn)], axis=1)])[None]


def test_the_mask_covers_the_mouth_and_nothing_of_the_upper_half_or_the_border() -> None:
    mask = lower_face_masks(outline(), 96)[0]
    assert mask[58:78, 40:57].min() > 0.95
    assert mask[:44].max() == 0
    assert mask[:, [0, 1, -2, -1]].max() == mask[-2:].max() == 0
    assert lower_face_masks(outline(66.0), 96)[0, 64:69, 58:75].min() > 0.85  # the head turned, the mouth at its side
    steps = max(np.abs(np.diff(mask, axis=0)).max(), np.abs(np.diff(mask, axis=1)).max())
    assert steps < 0.25  # no edge


def test_the_mask_begins_below_the_first_drawn_rows_unless_the_old_lips_are_there() -> None:
    smile = outline()
    smile[0, 17:, 1] -= 9
    still, smiling = lower_face_masks(np.concatenate([outline(), smile]), 96)
    assert still[:49].max() == 0
    assert smiling[52:68, 42:55].min() > 0.9


@pytest.mark.parametrize("box", [(20.3, 11.7, 180.3, 171.7), (-60.0, -20.0, 90.0, 130.0), (90.0, 60.0, 186.0, 156.0)])
def test_a_face_pasted_where_it_came_from_changes_nothing(box: tuple[float, ...]) -> None:
    x, y = np.meshgrid(np.arange(200), np.arange(170))
    frame = np.stack([40 + x * 0.7, 200 - y * 0.6, 60 + 0.4 * x + 0.3 * y], axis=2).astype(np.uint8)
    places = [np.linspace(box[i], box[i + 2], 97) for i in (0, 1)]
    u, v = np.meshgrid(*((p[1:] + p[:-1]) / 2 - 0.5 for p in places))
    face = np.stack([40 + u * 0.7, 200 - v * 0.6, 60 + 0.4 * u + 0.3 * v], axis=2).astype(np.float32)
    pasted = frame.copy()
    paste(pasted, face, lower_face_masks(outline(), 96)[0], np.array(box))
    assert np.abs(pasted.astype(int) - frame).max() <= 2  # rounding down, then to the nearest
    paste(pasted, face + 60, lower_face_masks(outline(), 96)[0], np.array(box))
    outside = np.ones(frame.shape[:2], bool)
    outside[max(0, int((box[1] + box[3]) / 2) - 6) :, max(0, int(box[0])) : int(box[2]) + 1] = False
    assert (pasted[outside] == frame[outside]).all()
    assert (pasted.astype(int) - frame).max() > 55


def test_the_colour_match_takes_off_a_cast_and_a_gradient_but_not_the_mouth() -> None:
    random = np.random.default_rng(0)
    real = np.full((1, 96, 96, 3), 130, np.float32) + random.normal(0, 3, (1, 96, 96, 3)).astype(np.float32)
    drawn = real + np.array([14, 6, -9], np.float32) + np.linspace(-8, 8, 96, dtype=np.float32)[None, None, :, None]
    drawn[:, 60:75, 38:58] = 20  # an open mouth, where the real one is closed
    real[:, 80:, 40:56] = 255  # a collar beside the chin, where the generator draws skin
    masks = lower_face_masks(outline(), 96)
    matched = ColourMatch()(drawn, real, masks, np.array([0]))
    skin = (masks[0] > 0.5) & (drawn[0, ..., 0] > 60) & (real[0, ..., 0] < 200)
    assert np.abs((matched - real)[0][skin].mean(axis=0)).max() < 2
    assert np.abs(matched[0, 60:75, 38:58].mean() - 20) < 10


def test_a_colour_that_is_off_at_one_place_of_the_rim_leaves_no_seam_there() -> None:
    real = np.full((1, 96, 96, 3), 130, np.float32)
    masks = lower_face_masks(outline(), 96)
    rim = masks[0] * (1 - masks[0]) > 0.1
    stain = np.zeros((96, 96), np.float32)
    stain[50:66, 24:36] = 1  # a cheek
    drawn = real + 10 * cv2.GaussianBlur(stain, (0, 0), 3)[None, ..., None]
    matched = ColourMatch()(drawn, real, masks, np.array([0]))
    worst = [np.abs((faces - real)[0][rim & (stain > 0)]).mean() for faces in (drawn, matched)]
    assert worst[1] < 0.35 * worst[0]


def test_the_colour_match_is_steady_within_a_track_and_anew_in_the_next() -> None:
    real = np.full((3, 96, 96, 3), 130, np.float32)
    drawn = real + np.array([0, 10, 10], np.float32)[:, None, None, None]
    masks = np.repeat(lower_face_masks(outline(), 96), 3, axis=0)
    off = (ColourMatch()(drawn, real, masks, np.array([0, 0, 1])) - real)[:, 60, 48, 0]
    assert off == pytest.approx([0, 8, 0], abs=0.5)


# --- the mark -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scene() -> Clip:
    """A scene with edges, texture and movement, 160 x 240."""
    random = np.random.default_rng(1)
    still = cv2.GaussianBlur(random.uniform(0, 255, (160, 240, 3)), (0, 0), 4)
    still = ((still - still.min()) / np.ptp(still) * 200 + 20).astype(np.uint8)
    frames = np.stack([np.roll(still, 2 * i, axis=1) for i in range(12)])
    frames[:, 100:] = still[100:]
    return Clip(frames, np.zeros(12 * 640, np.float32))


def marked(scene: Clip, kind: Any) -> Clip:
    frames = scene.frames.copy()
    mark = Mark(scene.height, scene.width, kind)
    for frame in frames:
        mark.apply(frame)
    return Clip(frames, scene.audio)


def test_the_mark_is_found_after_compression_and_at_another_size_and_only_then(scene: Clip, tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    for kind, there in (("invisible", True), ("both", True), ("visible", False), ("none", False)):
        write_clip(marked(scene, kind), path)
        assert detect_mark(path).marked is there
    write_clip(marked(scene, "invisible"), path, crf=23)
    again = read_clip(path)
    for width, height in ((360, 240), (200, 134)):
        frames = np.stack([cv2.resize(f, (width, height), interpolation=cv2.INTER_AREA) for f in again.frames])
        write_clip(Clip(frames, again.audio), path, crf=23)
        assert detect_mark(path).marked


def test_the_invisible_mark_changes_a_frame_by_two_levels_at_most(scene: Clip) -> None:
    change = marked(scene, "invisible").frames.astype(int) - scene.frames
    assert 1 <= np.abs(change).max() <= 3
    assert np.abs(change).mean() < 2


def test_the_score_of_an_unmarked_picture_is_standard_normal_over_keys(scene: Clip) -> None:
    grey = scene.frames.mean(axis=(0, 3))
    random = np.random.default_rng(3)
    shape = CELLS, round(CELLS * 240 / 160)
    scores = [mark_score(grey, random.choice([-1, 1], shape).astype(np.float32)) for _ in range(500)]
    assert abs(np.mean(scores)) < 0.2
    assert 0.9 < np.std(scores) < 1.1
    assert max(scores) < THRESHOLD - 1


def test_the_visible_mark_stays_in_its_corner(scene: Clip) -> None:
    change = np.abs(marked(scene, "visible").frames.astype(int) - scene.frames).max(axis=(0, 3))
    rows, columns = np.nonzero(change)
    assert rows.min() > 0.85 * 160
    assert columns.min() > 0.5 * 240
    assert change.max() > 60
    with pytest.raises(MediaError, match="loud"):
        Mark(100, 100, "loud")  # type: ignore[arg-type]
