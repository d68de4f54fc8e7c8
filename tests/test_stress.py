"""Perturbations: each does what its row in the table says, by as much as its value says, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tiny_experts as tiny
from hypothesis import given, settings
from hypothesis import strategies as st

import tfg
from tfg.clip import Clip
from tfg.datasets import studio
from tfg.errors import StressError
from tfg.stress import PERTURBATIONS, perturb, perturb_crops
from tfg.stress.frames import Face, dropped
from tfg.stress.sound import add_noise, reverberate

ROWS = list(PERTURBATIONS.values())
FRAMES = [row.name for row in ROWS if row.acts_on == "frames"]
TRACK = tiny.track(0, 6)


def blank(level: int = 128, frames: int = 6) -> Clip:
    """Grey pictures and a quiet tone."""
    tone = 0.1 * np.sin(np.arange(640 * frames) * 0.2)
    return Clip(np.full((frames, 128, 128, 3), level, np.uint8), tone.astype(np.float32))


def dot(x: int, y: int) -> Clip:
    clip = blank(0)
    clip.frames[:, y, x] = 255
    return clip


def place(clip: Clip) -> np.ndarray:
    """Centre of brightness, x and y."""
    picture = clip.frames[0].mean(axis=2)
    y, x = np.indices(picture.shape)
    return np.array([(picture * x).sum(), (picture * y).sum()]) / picture.sum()


# ---- the table ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_row_is_sound_and_its_neutral_value_changes_nothing(row: tfg.stress.Perturbation) -> None:
    assert PERTURBATIONS[row.name] is row
    assert all(row.low <= value <= row.high for value in (*row.sweep, row.neutral))
    assert list(row.sweep) == sorted(set(row.sweep))
    clip = tiny.clip(6)
    same = perturb(clip, row.name, row.neutral)  # needs no face, so no track
    assert (same.frames == clip.frames).all()
    assert (same.audio == clip.audio).all()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_value_outside_the_range_is_refused_with_range_and_unit(row: tfg.stress.Perturbation) -> None:
    for value in (row.low - 0.01, row.high + 0.01, float("nan")):
        with pytest.raises(StressError, match=f"{row.name} is .*{row.low:g} to {row.high:g}") as error:
            perturb(blank(), row.name, value, TRACK)
        assert row.unit in str(error.value)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(StressError, match=r"'shift'; there are shift_x, shift_y"):
        perturb(blank(), "shift", 1)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(ROWS), st.floats(0, 1), st.integers(0, 3))
def test_any_value_in_range_gives_a_valid_clip_of_the_same_shape_and_repeats_with_its_seed(
    row: tfg.stress.Perturbation, share: float, seed: int
) -> None:
    value = row.low + share * (row.high - row.low)
    clip = replace(tiny.clip(6), frames=tiny.clip(6).frames[:, :61, :63])  # odd sizes
    changed = perturb(clip, row.name, value, tiny.track(0, 6, at=30), seed)
    assert changed.frames.shape == clip.frames.shape
    again = perturb(clip, row.name, value, tiny.track(0, 6, at=30), seed)
    assert (changed.frames == again.frames).all()
    assert (changed.audio == again.audio).all()
    untouched = "audio" if row.acts_on == "frames" else "frames"
    assert getattr(changed, untouched) is getattr(clip, untouched)


# ---- pictures -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "axis"), [("shift_x", 2), ("shift_y", 1)])
def test_a_shift_moves_right_and_down_by_percent_of_the_face(name: str, axis: int) -> None:
    clip = tiny.clip(6)
    value = 100 * 5 / Face.of(TRACK, 6).width  # five pixels
    moved = perturb(clip, name, value, TRACK).frames
    difference = moved.take(range(5, 128), axis).astype(int) - clip.frames.take(range(123), axis)
    assert np.abs(difference).max() <= 1
    assert (moved.take([0], axis) == moved.take([4], axis)).all(), "the border is repeated"


def test_rotation_is_clockwise_and_scale_grows_about_the_face() -> None:
    centre = Face.of(TRACK, 6).centre
    x, y = np.round(centre).astype(int)
    arm = np.array([x + 20, y]) - centre
    turned = place(perturb(dot(x + 20, y), "rotation", 30, TRACK)) - centre
    np.testing.assert_allclose(np.rad2deg(np.angle(complex(*turned) / complex(*arm))), 30, atol=1)
    np.testing.assert_allclose(np.linalg.norm(turned), np.linalg.norm(arm), atol=0.3)
    grown = place(perturb(dot(x + 20, y), "scale", 1.5, TRACK)) - centre
    np.testing.assert_allclose(grown, 1.5 * arm, atol=0.3)


def test_brightness_adds_contrast_spreads_and_both_saturate() -> None:
    assert (perturb(blank(100), "brightness", 30).frames == 130).all()
    assert (perturb(blank(250), "brightness", 30).frames == 255).all()
    assert (perturb(blank(100), "contrast", 2).frames == 72).all()  # 127.5 - 2 * 27.5, to even
    assert (perturb(blank(100), "contrast", 0.1).frames == 125).all()


def test_blur_and_noise_have_the_standard_deviation_asked_for() -> None:
    width = Face.of(TRACK, 6).width
    edge = blank(0)
    edge.frames[:, :, 64:] = 255
    rise = np.diff(perturb(edge, "blur", 100 * 3 / width, TRACK).frames[0, 64, :, 0].astype(float)) / 255
    np.testing.assert_allclose(np.sqrt((rise * (np.arange(127) - 63) ** 2).sum()), 3, rtol=0.05)
    noisy = perturb(blank(), "noise", 20).frames
    np.testing.assert_allclose(noisy.std(), 20, rtol=0.01)
    assert (noisy[0] != noisy[1]).mean() > 0.9, "new in every frame"
    assert (perturb(blank(), "noise", 20, seed=1).frames != noisy).mean() > 0.9


def test_occlusion_covers_the_mouth_wherever_it_is() -> None:
    landmarks = TRACK.landmarks + np.arange(6, dtype=np.float32)[:, None, None] * [3, 1]
    track = replace(TRACK, landmarks=landmarks.astype(np.float32))
    frames = perturb(blank(200), "occlusion", 30, track).frames
    face = Face.of(track, 6)
    for picture, mouth in zip(frames, face.mouth, strict=True):
        rows, columns = np.nonzero(picture[:, :, 0] != 200)
        np.testing.assert_allclose([columns.mean(), rows.mean()], mouth, atol=1)
        np.testing.assert_allclose(len(rows), (0.3 * face.width) ** 2, rtol=0.1)


def test_recompression_keeps_order_and_loses_more_at_a_higher_crf() -> None:
    clip = studio.read("ada-tea").trim(0, 12)
    clip = replace(
        clip, frames=clip.frames[:, :101, :103] // 2 + 10 * np.arange(12, dtype=np.uint8)[:, None, None, None]
    )
    losses = [
        np.abs(perturb(clip, "recompression", crf).frames.astype(int) - clip.frames).mean() for crf in (1, 30, 51)
    ]
    assert losses[0] < losses[1] < losses[2]
    assert losses[1] < 5, "a frame too early or late would differ by 10"


def test_dropped_frames_show_the_one_before_and_are_as_many_as_asked_for() -> None:
    shown = dropped(101, 30, seed=3)
    late = shown != np.arange(101)
    assert late.sum() == 30
    assert (shown[late] == shown[np.flatnonzero(late) - 1]).all()
    clip = tiny.clip(101)
    assert (perturb(clip, "frame_drop", 30, seed=3).frames == clip.frames[shown]).all()


# ---- sound --------------------------------------------------------------------------------------------------------


def test_noise_has_the_ratio_asked_for_and_falls_by_3_db_an_octave() -> None:
    speech = studio.read("ada-tea").audio * np.float32(0.05)
    noise = (add_noise(speech, 5) - speech).astype(np.float64)
    ratio = 10 * np.log10(np.mean(speech.astype(np.float64) ** 2) / np.mean(noise**2))
    np.testing.assert_allclose(ratio, 5, atol=0.01)
    power = np.abs(np.fft.rfft(noise)) ** 2
    frequency = np.fft.rfftfreq(len(noise), 1 / 16000)
    octaves = [power[(frequency >= f) & (frequency < 2 * f)].sum() for f in (250, 500, 1000, 2000, 4000)]
    np.testing.assert_allclose(octaves, np.mean(octaves), rtol=0.2)
    assert not add_noise(np.zeros(6400, np.float32), -20).any()


def test_a_loud_mix_stays_within_full_scale() -> None:
    loud = tiny.clip(20).audio
    for wave in (add_noise(loud, -20), reverberate(loud, 2)):
        assert np.abs(wave).max() <= 1
        assert wave.dtype == np.float32


@pytest.mark.parametrize("seconds", [0.2, 0.5, 1.0])
def test_echoes_decay_by_60_db_in_the_time_asked_for_after_an_undelayed_sound_of_the_same_level(seconds: float) -> None:
    click = np.zeros(32000, np.float32)
    click[100] = 0.5
    room = reverberate(click, seconds).astype(np.float64)
    assert room[:100] == pytest.approx(0)
    assert np.argmax(np.abs(room)) == 100
    np.testing.assert_allclose(np.sum(room**2), 0.25, rtol=1e-3)
    left = 10 * np.log10(np.cumsum(room[:100:-1] ** 2)[::-1])  # Schroeder's backward integral, echoes alone
    times = [int(np.argmax(left < left[0] - fall)) for fall in (5, 35)]
    np.testing.assert_allclose((times[1] - times[0]) / 16000 * 2, seconds, rtol=0.15)


def test_offset_delays_the_sound() -> None:
    clip = tiny.clip(10)
    late = perturb(clip, "offset", 2.5).audio
    assert (late[1600:] == clip.audio[:-1600]).all()
    assert not late[:1600].any()
    assert (perturb(clip, "offset", -3).audio[:-1920] == clip.audio[1920:]).all()


def test_a_tail_shorter_than_one_sample_leaves_the_sound_alone() -> None:
    audio = tiny.clip(5).audio
    np.testing.assert_allclose(reverberate(audio, 1e-5), audio, atol=1e-6)


# ---- crops --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FRAMES)
@pytest.mark.parametrize("shape", [(7, 96, 96), (7, 112, 112, 3)])
def test_crops_of_both_kinds_keep_shape_and_change(name: str, shape: tuple[int, ...]) -> None:
    crops = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    row = PERTURBATIONS[name]
    changed = perturb_crops(crops, name, row.sweep[-1])
    assert changed.shape == crops.shape
    assert changed.dtype == np.uint8
    assert (changed != crops).any()
    assert (perturb_crops(crops, name, row.neutral) == crops).all()


def test_a_shift_of_crops_is_that_of_the_frames_they_are_from() -> None:
    clip = studio.read("ada-tea").trim(0, 20)
    track = tfg.track_face(clip)
    crops = {
        "mouth": lambda c: tfg.mouth_crops(c, track)[:, 20:-20, 20:-20],
        "face": lambda c: tfg.crops.face_crops_syncnet(c, track, 112)[:, 20:-40, 20:-20],
    }
    whole = {"mouth": tfg.mouth_crops(clip, track), "face": tfg.crops.face_crops_syncnet(clip, track, 112)}
    moved = perturb(clip, "shift_x", 8, track)
    for kind, crop in crops.items():
        after = perturb_crops(whole[kind], "shift_x", 8)[:, 20:][:, : crop(clip).shape[1], 20:-20]
        error = np.abs(after.astype(int) - crop(moved)).mean()
        assert error < 0.25 * np.abs(crop(clip).astype(int) - crop(moved)).mean()


def test_crops_of_another_shape_or_kind_and_sound_are_refused() -> None:
    with pytest.raises(StressError, match=r"float64 \(3, 8, 8\)"):
        perturb_crops(np.zeros((3, 8, 8)), "noise", 5)  # type: ignore[arg-type]
    with pytest.raises(StressError, match=r"uint8 \(3, 8, 8, 4\)"):
        perturb_crops(np.zeros((3, 8, 8, 4), np.uint8), "noise", 5)
    with pytest.raises(StressError, match="offset acts on timing"):
        perturb_crops(np.zeros((3, 8, 8), np.uint8), "offset", 5)
