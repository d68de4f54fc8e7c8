"""The sound of any file, with or without pictures, at any rate: as it comes, or whole at 16 kHz.

The first sample of the stream is time 0. A gap in the stream is a silence of the same length.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import av
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

from tfg.clip import SAMPLE_RATE, Wave
from tfg.errors import MediaError, NoAudioError
from tfg.media_scan import demux, open_container

_JUMP = 0.02  # s between a timestamp and the samples so far that counts as a gap and not as jitter
_LONGEST = 3600.0  # s; a longer gap comes from damaged timestamps
_AAC_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 64_000, 88_200, 96_000)


@dataclass(frozen=True)
class SoundFormat:
    """Samples per second, and channels: 1 or 2."""

    rate: int
    channels: int


def sound_format(path: str | os.PathLike[str]) -> SoundFormat:
    """The format in which a file's sound can be written as AAC with as little change as possible.

    :raises NoAudioError, MediaError: see :func:`read_sound`.
    """
    with open_container(path) as container:
        stream = _stream(container, os.fspath(path))
        rate = stream.codec_context.sample_rate
        return SoundFormat(rate if rate in _AAC_RATES else 48_000, 1 if stream.codec_context.channels == 1 else 2)


def read_sound(path: str | os.PathLike[str]) -> Wave:
    """The whole sound, mixed down to 16 kHz mono: ``float32 (N,)`` in [-1, 1].

    :raises MissingFileError: no file there.
    :raises NoAudioError: the file has no sound, or none that decodes.
    :raises MediaError: not a media file.
    """
    parts = [chunk[0] for chunk in sound_chunks(path, SoundFormat(SAMPLE_RATE, 1))]
    if not parts:
        raise NoAudioError(f"{os.fspath(path)}: its audio stream has no sample that decodes; expected sound")
    wave: Wave = np.concatenate(parts)
    return np.clip(wave, -1.0, 1.0, out=wave)


def sound_chunks(path: str | os.PathLike[str], wanted: SoundFormat) -> Iterator[NDArray[np.float32]]:
    """The sound in pieces ``float32 (channels, n)``, one after the other without a gap.

    :raises NoAudioError, MediaError: see :func:`read_sound`.
    """
    with open_container(path) as container:
        stream = _stream(container, os.fspath(path))
        resampler: Any = None
        layout: tuple[Any, ...] = ()
        expected: float | None = None
        for frame in _frames(container, stream):
            time = float(frame.pts * frame.time_base) if frame.pts is not None else expected or 0.0
            missing = 0.0 if expected is None else time - expected
            if (frame.format.name, frame.layout.name, frame.sample_rate) != layout or missing > _JUMP:
                yield from _resample(resampler, None)
                layout = (frame.format.name, frame.layout.name, frame.sample_rate)
                names = {1: "mono", 2: "stereo"}
                resampler = av.AudioResampler(format="fltp", layout=names[wanted.channels], rate=wanted.rate)
                if _JUMP < missing < _LONGEST:
                    yield np.zeros((wanted.channels, round(missing * wanted.rate)), np.float32)
            expected = (time if expected is None or abs(missing) > _JUMP else expected) + (
                frame.samples / frame.sample_rate
            )
            frame.pts = None  # gaps are filled here: the resampler only counts samples
            yield from _resample(resampler, frame)
        yield from _resample(resampler, None)


def _stream(container: Any, name: str) -> Any:
    stream = container.streams.best("audio")
    if stream is None:
        raise NoAudioError(f"{name}: has no audio stream; expected a sound file, or a video with sound")
    if stream.codec_context is None:
        raise MediaError(f"{name}: no decoder for its audio stream; expected a codec that FFmpeg reads")
    return stream


def _frames(container: Any, stream: Any) -> Iterator[Any]:
    """All that decodes; where reading fails, the end."""
    try:
        for packet in demux(container, [stream]):
            try:
                frames = packet.decode()
            except FFmpegError:
                continue
            yield from (frame for frame in frames if frame.samples)
    except FFmpegError:
        return


def _resample(resampler: Any, frame: Any) -> Iterator[NDArray[np.float32]]:
    if resampler is not None:
        # the resampler answers [None] to a flush when it has nothing to change
        yield from (part.to_ndarray() for part in resampler.resample(frame) if part is not None)
