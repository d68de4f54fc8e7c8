"""The audio features equal the peers' numbers, and refuse what they cannot read."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfg import audio as A
from tfg.errors import FeatureError


@pytest.fixture(scope="module")
def tones() -> np.ndarray:
    n = np.arange(16_000)
    wave = np.round(10_000 * np.sin(2 * np.pi * 440 * n / 16_000) + 3_000 * np.sin(2 * np.pi * 1234 * n / 16_000))
    return (wave / 32768).astype(np.float32)


def test_logfbank_equals_the_golden_numbers(tones: np.ndarray) -> None:
    bank = A.logfbank(tones)
    assert bank.shape == (99, 26)
    np.testing.assert_allclose(bank[0, :4], [12.49038, 12.53839, 13.93249, 15.47323], rtol=1e-5)
    np.testing.assert_allclose(bank[50, :4], [12.97573, 12.67944, 14.06876, 15.53595], rtol=1e-5)
    assert bank.mean() == pytest.approx(13.14963, rel=1e-5)


def test_stacked_filterbank_equals_the_golden_numbers(tones: np.ndarray) -> None:
    stacked = A.stacked_filterbank(tones)
    assert stacked.shape == (25, 104)
    np.testing.assert_allclose(stacked[0, :4], [-0.37146, -0.35285, 0.18734, 0.78435], atol=2e-5)
    np.testing.assert_allclose(stacked[24, [0, 1, 2, -1]], [0.58885, 0.52375, 0.71484, -1.62293], atol=2e-5)


def test_mfcc_equals_the_golden_numbers(tones: np.ndarray) -> None:
    cepstra = A.mfcc(tones)
    assert cepstra.shape == (99, 13)
    np.testing.assert_allclose(cepstra[0, :4], [20.01479, 17.2804, -10.88558, -21.14424], rtol=1e-5)
    np.testing.assert_allclose(cepstra[50, :4], [20.02399, 18.69844, -9.99705, -20.68367], rtol=1e-5)


def test_log_mel_equals_the_golden_numbers(tones: np.ndarray) -> None:
    mel = A.log_mel(tones)
    assert mel.shape == (80, 81)
    np.testing.assert_allclose(mel[0, :3], [-1.13747, -1.62073, -4.0], rtol=1e-4)
    assert mel[10, 40] == pytest.approx(1.646691, rel=1e-4)
    assert mel.mean() == pytest.approx(-3.44149, rel=1e-4)


def test_log_mel_padding_mode_touches_only_the_borders(tones: np.ndarray) -> None:
    reflect, constant = A.log_mel(tones), A.log_mel(tones, pad_mode="constant")
    np.testing.assert_allclose(reflect[:, 2:-2], constant[:, 2:-2], atol=1e-4)
    assert np.abs(reflect - constant)[:, [0, 1, -2, -1]].max() > 0.3


def test_features_equal_python_speech_features_on_noise() -> None:
    psf = pytest.importorskip("python_speech_features")
    for n in (400, 401, 640, 12_345):
        wave = (np.random.default_rng(n).normal(0, 3000, n)).round()
        ours, peer = A.logfbank(wave / 32768.0), psf.logfbank(wave, 16_000)
        np.testing.assert_allclose(ours, peer, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(A.mfcc(wave / 32768.0), psf.mfcc(wave, 16_000), rtol=1e-4, atol=1e-4)


def test_silence_is_log_eps_and_normalises_to_zero() -> None:
    silence = np.zeros(6_400, np.float32)
    np.testing.assert_allclose(A.logfbank(silence), -36.0437, rtol=1e-5)
    # the last row mixes log eps with the zero padding of the stack, so only the rows before it are exactly flat
    np.testing.assert_array_equal(A.stacked_filterbank(silence)[:-1], 0)


def test_loudness_leaves_all_rows_but_the_last_unchanged(tones: np.ndarray) -> None:
    a, b = A.stacked_filterbank(tones), A.stacked_filterbank(tones / 8)
    np.testing.assert_allclose(a[:-1], b[:-1], atol=1e-4)


@settings(max_examples=25, deadline=None)
@given(frames=st.integers(1, 60), extra=st.integers(-3, 3))
def test_one_row_per_requested_frame_and_rows_are_normalised(frames: int, extra: int) -> None:
    wave = np.random.default_rng(frames).normal(0, 0.1, 640 * frames).astype(np.float32)
    wanted = max(1, frames + extra)
    rows = A.stacked_filterbank(wave, wanted)
    assert rows.shape == (wanted, 104)
    assert A.stacked_filterbank(wave).shape == (frames, 104)
    filled = rows[: min(frames, wanted)]
    np.testing.assert_allclose(filled.mean(axis=1), 0, atol=1e-4)
    np.testing.assert_allclose(filled.std(axis=1), 1, atol=1e-3)
    np.testing.assert_array_equal(rows[frames:], 0)


@pytest.mark.parametrize(
    ("wave", "says"),
    [
        (np.zeros((2, 10), np.float32), "shape"),
        (np.zeros(10, np.int16), "32768"),
        (np.zeros(0, np.float32), "empty"),
        (np.array([0.0, np.nan], np.float32), "NaN"),
    ],
)
def test_bad_waves_are_refused_with_what_to_do(wave: np.ndarray, says: str) -> None:
    for feature in (A.logfbank, A.mfcc, A.log_mel, A.stacked_filterbank):
        with pytest.raises(FeatureError, match=says):
            feature(wave)


def test_log_mel_refuses_too_short_and_unknown_padding() -> None:
    with pytest.raises(FeatureError, match="400"):
        A.log_mel(np.zeros(400, np.float32))
    with pytest.raises(FeatureError, match="pad_mode"):
        A.log_mel(np.zeros(900, np.float32), pad_mode="wrap")  # type: ignore[arg-type]
