"""Speech for the studio: flite's voices, with the times of their phones.

Only new sentences need this (``apt install flite``); the embedded clips do not. Flite (Carnegie Mellon University) and
its voices slt, rms and awb (built from the CMU ARCTIC recordings) are free for any use under a BSD-like licence that
asks for its notice to be kept. (Its diphone voice kal16 is left out: the phone times that it reports drift from its
audio by up to 0.1 s.)
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import librosa
import numpy as np
from scipy.io import wavfile

from tfg.clip import SAMPLES_PER_FRAME
from tfg.datasets.studio_speech import Phone, Speech
from tfg.errors import DataError

SAMPLE_RATE = 16_000
FLITE_VOICES = ("slt", "rms", "awb")


@dataclass(frozen=True)
class Voice:
    """A flite ``voice``; ``stretch`` > 1 speaks slower; ``size`` > 1 raises pitch and formants together (a smaller
    vocal tract: the sound is resampled by that factor, which also shortens it)."""

    voice: str
    stretch: float = 1.0
    size: float = 1.0

    def __str__(self) -> str:
        return f"flite {self.voice}, stretch {self.stretch:g}, size {self.size:g}"


def say(text: str, voice: Voice, seed: int = 0) -> Speech:
    """``text`` spoken, over the faint noise of a room that ``seed`` fixes.

    :raises DataError: flite is not installed, or cannot speak this text.
    """
    audio, phones = speak(text, voice)
    return Speech(pad_speech(audio, seed), tuple(phones), text, str(voice))


def pad_speech(audio: np.ndarray, seed: int) -> np.ndarray:
    """Audio of whole frames: silence after the speech, and a room's faint noise (-66 dB) under all of it."""
    n = int(np.ceil(len(audio) / SAMPLES_PER_FRAME)) + 1
    out = np.random.default_rng([seed, 5]).normal(0, 5e-4, n * SAMPLES_PER_FRAME)
    out[: len(audio)] += audio
    return out.astype(np.float32)


def speak(text: str, voice: Voice) -> tuple[np.ndarray, list[Phone]]:
    """Audio float32 (N,) at 16 kHz and its phones (gapless from 0 to the end).

    :raises DataError: flite is not installed, has no such voice, or cannot speak this text.
    """
    if shutil.which("flite") is None:
        raise DataError(
            "flite was not found, and new sentences need it to be spoken (Debian, Ubuntu: apt install flite; Fedora: "
            "dnf install flite; else build https://github.com/festvox/flite). Without it a talker can speak the sound "
            "of an embedded clip: studio.speech(NAME), or on the command line --speech NAME"
        )
    if voice.voice not in FLITE_VOICES:
        raise DataError(f"flite voice {voice.voice!r} is unknown: use one of {', '.join(FLITE_VOICES)}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        stretch = voice.stretch * voice.size
        command = ["flite", "-voice", voice.voice, "--setf", f"duration_stretch={stretch:.4f}", "-psdur"]
        done = subprocess.run([*command, "-t", text, "-o", str(path)], capture_output=True, text=True, check=False)
        if done.returncode or not path.is_file():
            raise DataError(f"flite could not speak {text!r} with voice {voice.voice!r}: {done.stderr.strip()}")
        rate, samples = wavfile.read(path)
    audio = samples.astype(np.float32) / 32768
    ends = re.findall(r"(\S+?):([\d.]+)", done.stdout)
    phones, start = [], 0.0
    for label, end in ends:  # rounded, so that a truth file holds exactly what was rendered
        phones.append(Phone(label, round(start / voice.size, 4), round(float(end) / voice.size, 4)))
        start = float(end)
    if all(phone.label == "pau" for phone in phones):
        raise DataError(f"flite found nothing to speak in {text!r}: expected a sentence in English")
    if abs(start - len(audio) / rate) > 0.05:
        raise DataError(f"flite's phones end at {start:.3f} s, its audio at {len(audio) / rate:.3f} s: they do not fit")
    if rate != SAMPLE_RATE or voice.size != 1.0:
        audio = librosa.resample(audio, orig_sr=rate * voice.size, target_sr=SAMPLE_RATE)
    return np.asarray(0.7 * audio / np.abs(audio).max(), np.float32), phones
