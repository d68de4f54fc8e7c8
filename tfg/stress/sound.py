"""Perturbations of sound: ``float32 (N,)`` in [-1, 1] at 16 kHz in and out, of the same length."""

from __future__ import annotations

import numpy as np
import scipy.signal

from tfg.clip import SAMPLE_RATE, Wave
from tfg.errors import StressError


def perturb_sound(audio: Wave, name: str, value: float, seed: int) -> Wave:
    """Apply one perturbation that acts on audio; ``value`` has been checked and is not neutral."""
    if name == "audio_noise":
        return add_noise(audio, value, seed)
    if name == "reverberation":
        return reverberate(audio, value, seed)
    raise StressError(f"{name} does not act on audio")


def add_noise(audio: Wave, decibel: float, seed: int = 0) -> Wave:
    """The sound with pink noise (equal power in every octave) at a speech-to-noise ratio.

    :param decibel: ratio of the mean powers of the whole clip. Silence stays silent.
    :returns: the mix, made quieter as a whole where its peak would leave [-1, 1].
    """
    noise = _pink(len(audio), np.random.default_rng(seed))
    power = float(np.mean(audio.astype(np.float64) ** 2))
    level = np.sqrt(power / np.mean(noise**2) / 10 ** (decibel / 10))
    return _limited(audio + level * noise)


def _pink(count: int, random: np.random.Generator) -> np.ndarray:
    """White noise whose spectrum falls by 3 dB an octave, above 20 Hz."""
    frequency = np.fft.rfftfreq(count, 1 / SAMPLE_RATE)
    spectrum = np.fft.rfft(random.standard_normal(count))
    return np.fft.irfft(np.where(frequency >= 20, spectrum / np.sqrt(np.maximum(frequency, 20)), 0), count)


def reverberate(audio: Wave, seconds: float, seed: int = 0) -> Wave:
    """The sound in a room: convolved with exponentially decaying noise, at the same mean power as before.

    The direct sound arrives undelayed; the echoes carry its energy times ``seconds / 0.5``, as the reverberant energy
    of a room grows with its reverberation time.

    :param seconds: RT60, the time in which the echoes fall by 60 dB.
    """
    time = np.arange(1, round(seconds * SAMPLE_RATE) + 1) / SAMPLE_RATE
    tail = np.random.default_rng(seed).standard_normal(len(time)) * 10 ** (-3 * time / seconds)
    tail *= np.sqrt(seconds / 0.5 / max(float(np.sum(tail**2)), 1e-12))
    wet = scipy.signal.fftconvolve(audio.astype(np.float64), np.concatenate([[1.0], tail]))[: len(audio)]
    before, after = np.sum(audio.astype(np.float64) ** 2), np.sum(wet**2)
    return _limited(wet * np.sqrt(before / max(float(after), 1e-12)))


def _limited(wave: np.ndarray) -> Wave:
    return (wave / max(1.0, float(np.abs(wave).max()))).astype(np.float32)
