"""Augmentation changes how a clip looks and sounds, within its ranges, alike for all its frames, never its time."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import scipy.fft
from hypothesis import given, settings
from hypothesis import strategies as st

import tfg
from tfg.training.augment import Augmentation, augment_crops, draw_vocal_tract, warp_cepstra, warp_filterbank

NONE = Augmentation(
    shift=0, flip=False, rotation=0, scale=0, stretch=0, brightness=0, contrast=0, gamma=0, blur=0, vocal_tract=0
)
STRONG = Augmentation(
    shift=0.06, flip=True, rotation=10, scale=0.15, stretch=0.1, brightness=0.1, contrast=0.4, gamma=0.5, blur=1,
    vocal_tract=0.2,
)  # fmt: skip


@pytest.fixture(scope="module")
def crops() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (3, 96, 96), dtype=np.uint8)


def test_no_augmentation_is_the_centre_crop(crops: np.ndarray) -> None:
    result = augment_crops(crops, 88, NONE, np.random.default_rng(1))
    np.testing.assert_allclose(result, crops[:, 4:92, 4:92], atol=1e-4)


def test_shift_and_mirror_move_whole_pixels(crops: np.ndarray) -> None:
    how = dataclasses.replace(NONE, shift=4 / 96, flip=True)
    windows = {
        (top, left, step): crops[:, top : top + 88, left : left + 88][:, :, ::step].astype(np.float32)
        for top in range(9) for left in range(9) for step in (1, -1)
    }  # fmt: skip
    seen = set()
    for seed in range(40):
        result = augment_crops(crops, 88, how, np.random.default_rng(seed))
        match = [place for place, window in windows.items() if np.abs(window - result).max() < 1e-3]
        assert len(match) == 1
        seen.add(match[0])
    assert len(seen) > 25
    assert {step for _, _, step in seen} == {1, -1}


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31))
def test_every_frame_of_a_clip_is_changed_alike(seed: int) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (48, 48, 3), dtype=np.uint8)
    result = augment_crops(np.stack([frame] * 3), 48, STRONG, np.random.default_rng(seed))
    assert result.shape == (3, 48, 48, 3)
    assert result.dtype == np.float32
    assert result.min() >= 0
    assert result.max() <= 255
    np.testing.assert_array_equal(result[0], result[1])
    np.testing.assert_array_equal(result[0], result[2])


def test_rotation_turns_about_the_middle() -> None:
    crop = np.zeros((1, 61, 61), np.uint8)
    crop[0, 28:33, 5:56] = 255  # a horizontal bar
    how = dataclasses.replace(NONE, rotation=30)
    result = augment_crops(crop, 61, how, np.random.default_rng(2))[0]
    rows, columns = np.nonzero(result > 128)
    slope = np.rad2deg(np.arctan(np.polyfit(columns, rows, 1)[0]))
    assert 3 < abs(slope) <= 30
    assert result[30, 30] > 200


def test_the_same_seed_gives_the_same_clip(crops: np.ndarray) -> None:
    first, second, other = (augment_crops(crops, 88, STRONG, np.random.default_rng(seed)) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, second)
    assert np.abs(first - other).mean() > 1


def test_a_shorter_vocal_tract_moves_the_formants_up() -> None:
    """A tone at 1000 Hz, its features warped by 1.2, is nearest to those of a tone at 1200 Hz."""
    time = np.arange(16_000) / 16_000
    tone = {hz: np.sin(2 * np.pi * hz * time).astype(np.float32) for hz in (800, 1000, 1200, 1400)}
    bank = {hz: tfg.audio.stacked_filterbank(sound)[5] for hz, sound in tone.items()}
    warped = warp_filterbank(bank[1000][None], 1.2)[0]
    assert max(bank, key=lambda hz: float(warped @ bank[hz])) == 1200
    cepstra = {hz: tfg.audio.mfcc(sound)[5] for hz, sound in tone.items()}
    moved = warp_cepstra(cepstra[1000][None], 1.2)[0]
    assert min(cepstra, key=lambda hz: float(np.abs(moved - cepstra[hz])[1:].sum())) == 1200
    assert moved[0] == pytest.approx(cepstra[1000][0])  # the energy


def test_a_factor_of_one_changes_nothing() -> None:
    sound = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
    bank, cepstra = tfg.audio.stacked_filterbank(sound)[:-1], tfg.audio.mfcc(sound)
    np.testing.assert_allclose(warp_filterbank(bank, 1.0), bank, atol=1e-4)
    np.testing.assert_allclose(warp_cepstra(cepstra, 1.0), cepstra, atol=1e-4)
    assert draw_vocal_tract(NONE, np.random.default_rng(0)) == 1.0


def test_cepstra_are_warped_as_their_bands_would_be() -> None:
    """For a spectrum that 13 cepstra describe exactly, both ways of warping agree."""
    random = np.random.default_rng(0)
    lifter = 1 + 11 * np.sin(np.pi * np.arange(13) / 22)
    plain = random.normal(0, 1, (4, 13)) * np.array([0.0] + [1.0] * 12)
    bands = scipy.fft.idct(np.pad(plain, ((0, 0), (0, 13))), type=2, axis=1, norm="ortho")
    top = 2595 * np.log10(1 + 8000 / 700)
    mel = np.linspace(0, top, 28)[1:-1]
    asked = 2595 * np.log10(1 + 700 * (10 ** (mel / 2595) - 1) / 0.9 / 700)
    warped = np.stack([np.interp(asked, mel, row) for row in bands])
    expected = scipy.fft.dct(warped, type=2, axis=1, norm="ortho")[:, 1:13] * lifter[1:]
    np.testing.assert_allclose(warp_cepstra((plain * lifter).astype(np.float32), 0.9)[:, 1:], expected, atol=1e-4)
