"""The three audio features of the field, from 16 kHz mono sound.

======================  ===================  =====================  ==========================
feature                 who hears with it    shape                  rate
======================  ===================  =====================  ==========================
``stacked_filterbank``  AV-HuBERT            ``(T, 104)``           25 per second (one a frame)
``mfcc``                SyncNet              ``(F, 13)``            100 per second
``log_mel``             Wav2Lip              ``(80, M)``            80 per second
======================  ===================  =====================  ==========================

All take ``float32 (N,)`` in [-1, 1] at 16 kHz, the format of :class:`tfg.Clip`. The first two were defined by
their peers on 16-bit integers, so the wave is multiplied by 32768 inside: the scale is part of the feature.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from tfg.errors import FeatureError

SAMPLE_RATE = 16_000
SAMPLES_PER_FRAME = 640  # one video frame at 25 fps
FILTERS = 26
STACK = 4  # filterbank rows per video frame: 100 per second over 25 frames per second

_WINDOW, _HOP, _FFT = 400, 160, 512  # 25 ms, 10 ms
_PREEMPHASIS = 0.97
_INT16 = 32768.0
_EPS = np.finfo(np.float64).eps

Float = NDArray[np.float32]


def _check_wave(audio: NDArray[np.floating]) -> NDArray[np.float64]:
    audio = np.asarray(audio)
    if audio.ndim != 1:
        raise FeatureError(
            f"audio has shape {audio.shape}; expected (N,), mono at 16 kHz: average the channels, or use tfg.read_clip"
        )
    if audio.dtype.kind != "f":
        raise FeatureError(
            f"audio has dtype {audio.dtype}; expected floating point in [-1, 1]: divide 16-bit integers by 32768"
        )
    if len(audio) == 0:
        raise FeatureError("audio is empty; expected at least one sample at 16 kHz")
    if not np.isfinite(audio).all():
        raise FeatureError("audio contains NaN or infinite samples; expected finite values in [-1, 1]")
    return audio.astype(np.float64)


def _hertz_to_mel(hertz: NDArray[np.float64] | float) -> NDArray[np.float64]:
    return np.asarray(2595 * np.log10(1 + np.asarray(hertz) / 700.0))


def _mel_to_hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(700 * (10 ** (mel / 2595.0) - 1))


@lru_cache(maxsize=1)
def _triangles() -> NDArray[np.float64]:
    """26 triangular filters over 0..8000 Hz on the 257 bins of a 512-point FFT, corners rounded down to bins."""
    corners = _mel_to_hertz(np.linspace(0.0, float(_hertz_to_mel(SAMPLE_RATE / 2)), FILTERS + 2))
    bins = np.floor((_FFT + 1) * corners / SAMPLE_RATE)
    frequency = np.arange(_FFT // 2 + 1)[None]
    left, centre, right = bins[:-2, None], bins[1:-1, None], bins[2:, None]
    rising = (frequency - left) / (centre - left)
    falling = (right - frequency) / (right - centre)
    inside_rise = (frequency >= left) & (frequency < centre)
    inside_fall = (frequency >= centre) & (frequency < right)
    return np.where(inside_rise, rising, 0.0) + np.where(inside_fall, falling, 0.0)


def _power_frames(audio: NDArray[np.floating]) -> NDArray[np.float64]:
    """Power spectra ``(F, 257)`` of 25 ms rectangular windows every 10 ms; the tail is zero-padded."""
    wave = _check_wave(audio) * _INT16
    wave = np.concatenate([wave[:1], wave[1:] - _PREEMPHASIS * wave[:-1]])
    frames = 1 + max(0, -(-(len(wave) - _WINDOW) // _HOP))
    wave = np.pad(wave, (0, max(0, (frames - 1) * _HOP + _WINDOW - len(wave))))
    windows = np.lib.stride_tricks.sliding_window_view(wave, _WINDOW)[::_HOP][:frames]
    return np.abs(scipy.fft.rfft(windows, _FFT)) ** 2 / _FFT


def _log_filterbank(power: NDArray[np.float64]) -> NDArray[np.float64]:
    energies = power @ _triangles().T
    return np.log(np.where(energies == 0, _EPS, energies))


def logfbank(audio: NDArray[np.floating]) -> Float:
    """Natural-log energies of 26 mel filters, 100 rows per second.

    :param audio: ``(N,)`` in [-1, 1], 16 kHz mono.
    :returns: ``float32 (F, 26)`` with ``F = 1 + ceil((N - 400) / 160)``.
    :raises FeatureError: wrong shape, integer dtype, no samples, or non-finite values.

    Source: the features under AV-HuBERT's audio stream (python_speech_features 0.6 ``logfbank`` defaults:
    pre-emphasis 0.97, rectangular window, power spectrum / 512); silence gives log(eps) = -36.04.
    """
    return _log_filterbank(_power_frames(audio)).astype(np.float32)


def stacked_filterbank(audio: NDArray[np.floating], n_frames: int | None = None) -> Float:
    """AV-HuBERT's audio input: four filterbank rows side by side, one row per video frame.

    :param audio: ``(N,)`` in [-1, 1], 16 kHz mono.
    :param n_frames: video frames to align to: rows beyond are dropped, missing rows are zeros.
        The default is ``N // 640`` rounded to the nearest frame, at least 1.
    :returns: ``float32 (T, 104)``, each row layer-normalised (mean 0, variance 1); silence and padding are 0.
    :raises FeatureError: see :func:`logfbank`, or ``n_frames < 1``.

    Source: AV-HuBERT's loader with ``normalize: true``. The last row of a clip of exactly ``640 T`` samples ends in
    26 zeros (the filterbank has ``4T - 1`` rows), *before* normalisation, as there.
    """
    rows = logfbank(audio)
    if n_frames is None:
        n_frames = max(1, round(len(audio) / SAMPLES_PER_FRAME))
    if n_frames < 1:
        raise FeatureError(f"n_frames is {n_frames}; expected at least 1")
    rows = np.pad(rows, ((0, -len(rows) % STACK), (0, 0)))
    stacked = rows.reshape(-1, STACK * FILTERS)[:n_frames].astype(np.float64)
    stacked = np.pad(stacked, ((0, n_frames - len(stacked)), (0, 0)))
    mean = stacked.mean(axis=1, keepdims=True)
    variance = stacked.var(axis=1, keepdims=True)
    return ((stacked - mean) / np.sqrt(variance + 1e-5)).astype(np.float32)


def mfcc(audio: NDArray[np.floating]) -> Float:
    """SyncNet's audio input: 13 mel-frequency cepstra, 100 rows per second.

    :param audio: ``(N,)`` in [-1, 1], 16 kHz mono.
    :returns: ``float32 (F, 13)``, ``F = 1 + ceil((N - 400) / 160)``; column 0 is the log of the frame's energy.
    :raises FeatureError: see :func:`logfbank`.

    Source: python_speech_features 0.6 ``mfcc`` defaults (orthonormal DCT-II, lifter 22, energy replaces c0).
    SyncNet reads windows of 20 rows; row ``4 i`` is where video frame ``i`` begins.
    """
    power = _power_frames(audio)
    energy = power.sum(axis=1)
    cepstra = scipy.fft.dct(_log_filterbank(power), type=2, axis=1, norm="ortho")[:, :13]
    cepstra *= 1 + 11 * np.sin(np.pi * np.arange(13) / 22)
    cepstra[:, 0] = np.log(np.where(energy == 0, _EPS, energy))
    return cepstra.astype(np.float32)


@lru_cache(maxsize=1)
def _slaney_mel() -> Float:
    import librosa  # imported on first use: it takes seconds, and only Wav2Lip's mel needs it

    return np.asarray(librosa.filters.mel(sr=SAMPLE_RATE, n_fft=800, n_mels=80, fmin=55, fmax=7600), dtype=np.float32)


def log_mel(audio: NDArray[np.floating], pad_mode: Literal["reflect", "constant"] = "reflect") -> Float:
    """Wav2Lip's audio input: 80 mel bands in decibels, scaled to [-4, 4], 80 columns per second.

    :param audio: ``(N,)`` in [-1, 1], 16 kHz mono; more than 400 samples with ``pad_mode="reflect"``.
    :param pad_mode: how the ends are padded by half a window. Wav2Lip was trained with librosa 0.7, which reflects;
        librosa >= 0.9 pads with zeros ("constant"), which changes the first and last two columns.
    :returns: ``float32 (80, 1 + N // 200)``; -4 is -120 dB or less, 4 is -20 dB or more.
    :raises FeatureError: see :func:`logfbank`, or too few samples to reflect.

    Source: Wav2Lip audio.py: pre-emphasis 0.97, Hann window 800, hop 200, magnitude, Slaney mel 55..7600 Hz,
    ``20 log10(max(1e-5, .)) - 20``.
    """
    import librosa

    if pad_mode not in ("reflect", "constant"):
        raise FeatureError(f"pad_mode is {pad_mode!r}; expected 'reflect' or 'constant'")
    wave = _check_wave(audio)
    if pad_mode == "reflect" and len(wave) <= 400:
        raise FeatureError(f"audio has {len(wave)} samples; reflecting half a window needs more than 400 (25 ms)")
    wave = np.concatenate([wave[:1], wave[1:] - _PREEMPHASIS * wave[:-1]]).astype(np.float32)
    spectrum = np.abs(librosa.stft(wave, n_fft=800, hop_length=200, win_length=800, pad_mode=pad_mode))
    decibel = 20 * np.log10(np.maximum(1e-5, _slaney_mel() @ spectrum)) - 20
    return np.clip(8 * (decibel + 100) / 100 - 4, -4, 4).astype(np.float32)
