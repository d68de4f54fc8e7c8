"""The clip: pictures at 25 per second and sound at 16 kHz, in step. Everything in this package starts from one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tfg.errors import MediaError

FPS = 25.0
SAMPLE_RATE = 16_000
SAMPLES_PER_FRAME = 640  # SAMPLE_RATE / FPS

Frames = NDArray[np.uint8]
Wave = NDArray[np.float32]


class VideoSource(Protocol):
    """What trackers, crops and writers ask of a video: met by :class:`Clip` (in memory) and by
    :class:`tfg.media.ClipStream` (decoded on demand)."""

    @property
    def n_frames(self) -> int: ...
    @property
    def height(self) -> int: ...
    @property
    def width(self) -> int: ...
    @property
    def audio(self) -> Wave: ...
    @property
    def source(self) -> str | None: ...
    @property
    def notes(self) -> tuple[str, ...]: ...
    def blocks(self, size: int = 64) -> Iterator[Frames]: ...


def check_wave(audio: object, n_frames: int, name: str) -> None:
    """Raise :class:`MediaError` unless ``audio`` is ``float32 (640 * n_frames,)``, finite and within [-1, 1]."""
    if not isinstance(audio, np.ndarray) or audio.dtype != np.float32 or audio.ndim != 1:
        found = f"{audio.dtype} {audio.shape}" if isinstance(audio, np.ndarray) else type(audio).__name__
        raise MediaError(
            f"{name}: audio is {found}; expected a float32 array (N,), mono in [-1, 1]: "
            "average the channels, divide 16-bit integers by 32768, then .astype(np.float32)"
        )
    if len(audio) != SAMPLES_PER_FRAME * n_frames:
        raise MediaError(
            f"{name}: audio has {len(audio)} samples for {n_frames} frames; expected "
            f"{SAMPLES_PER_FRAME * n_frames} (640 a frame): cut or zero-pad it, or use Clip.trim / Clip.delay_audio"
        )
    peak = max(-float(audio.min()), float(audio.max())) if len(audio) else 0.0
    if not peak <= 1.0:  # NaN fails this comparison too
        raise MediaError(f"{name}: audio peaks at {peak:g}; expected finite samples in [-1, 1]: scale or np.clip it")


@dataclass(frozen=True, eq=False, repr=False)
class Clip:
    """A video in memory, in the one format that this package works in.

    ``frames``: ``uint8 (T, H, W, 3)`` RGB, ``T >= 1``; frame ``i`` is shown from ``i / 25`` s on.
    ``audio``: ``float32 (640 T,)`` mono at 16 kHz in [-1, 1]; sample ``640 i`` is heard when frame ``i`` appears.
    ``source``: where it came from (a path); ``notes``: what was done to it on the way, in plain sentences.

    ``dataclasses.replace`` makes a changed copy, which is checked again.

    :raises MediaError: an array has another type or shape, the audio is not exactly 640 samples a frame or leaves
        [-1, 1], or another ``fps`` or ``sample_rate`` than 25 and 16000 is claimed.
    """

    frames: Frames
    audio: Wave
    fps: float = FPS
    sample_rate: int = SAMPLE_RATE
    source: str | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        name = self.source or "clip"
        if self.fps != FPS or self.sample_rate != SAMPLE_RATE:
            raise MediaError(
                f"{name}: {self.fps:g} frames and {self.sample_rate} samples per second; expected 25 and 16000: "
                "write the original to a file and let tfg.read_clip convert it by its timestamps"
            )
        frames: object = self.frames
        if not isinstance(frames, np.ndarray) or frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3:
            found = f"{frames.dtype} {frames.shape}" if isinstance(frames, np.ndarray) else type(frames).__name__
            raise MediaError(f"{name}: frames are {found}; expected a uint8 array (T, H, W, 3), RGB")
        if 0 in frames.shape:
            raise MediaError(f"{name}: frames have shape {frames.shape}; expected at least one frame and one pixel")
        check_wave(self.audio, len(frames), name)

    def __repr__(self) -> str:
        name, size = self.source or "made in memory", f"{self.width}x{self.height}"
        return f"Clip({name!r}, {self.n_frames} frames of {size}, {self.duration:.2f} s)"

    @property
    def n_frames(self) -> int:
        """T."""
        return len(self.frames)

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.n_frames / FPS

    @property
    def height(self) -> int:
        """Pixels."""
        return int(self.frames.shape[1])

    @property
    def width(self) -> int:
        """Pixels."""
        return int(self.frames.shape[2])

    def blocks(self, size: int = 64) -> Iterator[Frames]:
        """The frames in order, as views ``uint8 (n, H, W, 3)`` of at most ``size`` frames."""
        check_block_size(size)
        return (self.frames[i : i + size] for i in range(0, self.n_frames, size))

    def trim(self, start_frame: int, stop_frame: int) -> Clip:
        """Frames ``start_frame <= i < stop_frame`` and their sound (views, no copy).

        :raises MediaError: the range is empty or leaves the clip (negative numbers do not count from the end).
        """
        if not 0 <= start_frame < stop_frame <= self.n_frames:
            raise MediaError(
                f"{self.source or 'clip'}: cannot trim to frames [{start_frame}, {stop_frame}); "
                f"expected 0 <= start < stop <= {self.n_frames}"
            )
        samples = slice(start_frame * SAMPLES_PER_FRAME, stop_frame * SAMPLES_PER_FRAME)
        return replace(self, frames=self.frames[start_frame:stop_frame], audio=self.audio[samples])

    def delay_audio(self, frames: float) -> Clip:
        """The same pictures with the sound moved in time; the length is kept.

        ``frames > 0``: the audio comes *late* (after the lips): it is shifted right and starts with silence.
        ``frames < 0``: the audio comes *early*: it is shifted left and ends with silence.
        One frame is 40 ms = 640 samples; fractions are rounded to whole samples. What is shifted out is lost, so
        delaying back does not restore it. (SyncNet's offset has the other sign: it is positive when the audio is
        early, so ``delay_audio(+3)`` moves it by -3.)

        :raises MediaError: ``frames`` is not finite.
        """
        if not np.isfinite(frames):
            raise MediaError(f"{self.source or 'clip'}: cannot delay the audio by {frames} frames; expected a number")
        shift = round(frames * SAMPLES_PER_FRAME)
        audio = np.zeros_like(self.audio)
        kept = max(0, len(audio) - abs(shift))
        if kept and shift >= 0:
            audio[shift:] = self.audio[:kept]
        elif kept:
            audio[:kept] = self.audio[-shift:]
        note = f"audio moved by {frames:+g} frames (positive: late)"
        return replace(self, audio=audio, notes=(*self.notes, note))


def check_block_size(size: int) -> None:
    """Raise :class:`MediaError` unless ``size >= 1``."""
    if size < 1:
        raise MediaError(f"block size is {size}; expected at least 1 frame")
