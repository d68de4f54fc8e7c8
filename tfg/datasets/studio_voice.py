"""Speech for the studio: flite's voices, with the times of their phones.

Only rendering needs this (``apt install flite``); the committed clips do not. Flite (Carnegie Mellon University) and
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

from tfg.datasets.studio_speech import Phone
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


def speak(text: str, voice: Voice) -> tuple[np.ndarray, list[Phone]]:
    """Audio float32 (N,) at 16 kHz and its phones (gapless from 0 to the end). Raises DataError without flite."""
    if shutil.which("flite") is None:
        raise DataError("flite was not found: rendering studio clips needs it (Debian and Ubuntu: apt install flite)")
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
    if abs(start - len(audio) / rate) > 0.05:
        raise DataError(f"flite's phones end at {start:.3f} s, its audio at {len(audio) / rate:.3f} s: they do not fit")
    if rate != SAMPLE_RATE or voice.size != 1.0:
        audio = librosa.resample(audio, orig_sr=rate * voice.size, target_sr=SAMPLE_RATE)
    return np.asarray(0.7 * audio / np.abs(audio).max(), np.float32), phones
