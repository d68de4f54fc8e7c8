"""Media files made for tests: pictures that carry their number, sound that carries its time."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from tfg.clip import Clip

TICKS = 90_000
NTSC = 30000 / 1001
FILM = 24000 / 1001


def numbered(number: int, height: int = 48, width: int = 160) -> np.ndarray:
    """A picture whose ten vertical bars are the bits of its number."""
    bits = (number >> np.arange(10)) & 1
    row = np.repeat(40 + 170 * bits, width // 10).astype(np.uint8)
    return np.broadcast_to(row[None, :, None], (height, width, 3)).copy()


def number_of(picture: np.ndarray) -> int:
    """Reads :func:`numbered` back, whatever the codec did to the edges."""
    centres = (np.arange(10) * 2 + 1) * picture.shape[1] // 20
    middle = picture.shape[0] // 2
    bits = picture[middle - 4 : middle + 4, :, :].mean(axis=(0, 2))[centres] > 125
    return int((bits << np.arange(10)).sum())


def wave(seconds: np.ndarray, at: float) -> np.ndarray:
    """A short chirp centred on ``at`` s: 300 to 1500 Hz, so that every rate carries it."""
    t = seconds - at
    return 0.6 * np.exp(-((t / 0.05) ** 2)) * np.sin(2 * np.pi * (900 * t + 3000 * t**2))


def make_media(
    path: Path,
    times: np.ndarray | None,
    *,
    pictures: list[np.ndarray] | None = None,
    rate: int | None = 16_000,
    sound: tuple[float, float] = (0.0, 2.0),
    chirp: float = 1.0,
    channels: str = "mono",
    codecs: tuple[str, str] = ("libx264", "aac"),
    rotation: int = 0,
    gap: tuple[float, float] | None = None,
    options: dict[str, str] | None = None,
    title: str = "",
    aspect: Fraction = Fraction(1),
) -> Path:
    """A media file with pictures at ``times`` (s) and sound from ``sound[0]`` to ``sound[1]`` s."""
    with av.open(str(path), "w", options=options or {}) as container:
        container.metadata["title"] = title
        video: Any = None
        audio: Any = None
        if times is not None:
            pictures = pictures or [numbered(i) for i in range(len(times))]
            constant = codecs[0] == "mpeg4" or path.suffix == ".avi"
            base = Fraction(1, round(1 / float(np.diff(times).mean()))) if constant else Fraction(1, TICKS)
            video = container.add_stream(codecs[0], rate=1 / base if constant else 30)
            video.height, video.width = pictures[0].shape[:2]
            video.pix_fmt = "yuv420p"
            video.codec_context.time_base = base
            video.bit_rate = 2_000_000
            video.codec_context.sample_aspect_ratio = aspect
            if rotation:
                video.set_display_rotation(rotation)
        if rate is not None:
            audio = container.add_stream(codecs[1], rate=rate, layout=channels)
        if video is not None:
            for time, rgb in zip(times, pictures, strict=True):
                frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuv420p")
                frame.pts, frame.time_base = round(time / base), base
                container.mux(video.encode(frame))
            container.mux(video.encode(None))
        if audio is not None:
            samples = np.arange(round(sound[0] * rate), round(sound[1] * rate))
            signal = wave(samples / rate, chirp)
            for i in range(0, len(samples), 960):
                if gap and gap[0] <= samples[i] / rate < gap[1]:
                    continue
                part = np.repeat(signal[None, i : i + 960], 1 if channels == "mono" else 2, axis=0)
                frame = av.AudioFrame.from_ndarray(part.astype(np.float32), format="fltp", layout=channels)
                frame.sample_rate, frame.pts, frame.time_base = rate, int(samples[i]), Fraction(1, rate)
                fitted = av.AudioResampler(format=audio.format.name, layout=channels, rate=rate).resample(frame)
                for ready in fitted:
                    container.mux(audio.encode(ready))
            container.mux(audio.encode(None))
    return path


def constant_rate(fps: float, seconds: float = 2.0, start: float = 0.0) -> np.ndarray:
    return start + np.arange(round(seconds * fps)) / fps


def lag(found: np.ndarray, expected: np.ndarray) -> int:
    """Samples by which ``found`` is late, from the peak of the cross-correlation."""
    n = 2 * len(expected)
    peak = int(np.fft.irfft(np.fft.rfft(found, n) * np.conj(np.fft.rfft(expected, n))).argmax())
    return peak if peak < n // 2 else peak - n


def expected_wave(clip: Any, at: float) -> np.ndarray:
    return wave(np.arange(len(clip.audio)) / 16_000, at)


def clip_of(n_frames: int = 12, height: int = 48, width: int = 160, **more: Any) -> Clip:
    frames = np.stack([numbered(i, height, width) for i in range(n_frames)])
    audio = wave(np.arange(640 * n_frames) / 16_000, n_frames / 50).astype(np.float32)
    return Clip(frames=frames, audio=audio, **more)
