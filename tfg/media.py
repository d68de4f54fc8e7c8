"""Video files in and out: whatever FFmpeg reads becomes a :class:`Clip` at 25 frames and 16 kHz, by timestamps.

The rules of the conversion, the same for :func:`read_clip` and :func:`open_clip`:

* **time**: output frame ``i`` stands for time ``i / 25`` s after the common start. It is the picture nearest to that
  time, except that no picture appears more than 20 ms early: at 25 and more pictures per second this is the nearest
  one, below, or where a picture is held for long, it is the one on display. Nothing is counted, so any
  frame rate, constant or variable, stays in step with the sound.
* **common start and end**: both streams are cut to the time they share, the start on a picture. Sound that is missing
  for up to 0.1 s at either end is filled with silence instead (codecs often lose such a piece).
* **sound**: the channels are mixed down and resampled by FFmpeg; each run of samples is placed by its timestamp, so a
  gap in the stream is a silence of the same length. ``audio`` has exactly 640 samples a frame.
* **pictures**: RGB, turned upright by the display matrix or ``rotate`` tag. Pixels that are not square are not
  stretched (a note says so). A picture whose size changes is scaled to the first one's size.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Generator, Iterable, Iterator
from typing import Any

import numpy as np
from av.error import FFmpegError

from tfg.clip import FPS, SAMPLE_RATE, SAMPLES_PER_FRAME, Clip, Frames, VideoSource, Wave, check_block_size
from tfg.errors import MediaError, TruncatedMediaError
from tfg.media_scan import AudioRule, Scan, demux, has_decode_times, open_container, picture_period, scan, time_of
from tfg.media_write import write_clip

__all__ = [
    "FPS",
    "SAMPLES_PER_FRAME",
    "SAMPLE_RATE",
    "Clip",
    "ClipStream",
    "VideoSource",
    "open_clip",
    "read_clip",
    "write_clip",
]

_EARLY = 0.5 / FPS  # a picture may appear this much before its time
_EPS = 1e-6  # s, below any container's tick
_SEEK = 2.0  # s of pictures to skip from which on seeking is worth it
_MISSING = 0.25  # s of pictures at the end that may fail to decode: the last good one is held


def read_clip(
    path: str | os.PathLike[str],
    *,
    start: float = 0.0,
    duration: float | None = None,
    audio: AudioRule = "require",
) -> Clip:
    """Read a video file into memory, 25 frames per second and 16 kHz mono, in step (rules: :mod:`tfg.media`).

    :param path: any container and codecs that FFmpeg reads.
    :param start: seconds after the common start of pictures and sound, rounded to a frame;
        ``read_clip(path, start=s)`` holds the frames of ``read_clip(path)`` from ``25 s`` on.
    :param duration: seconds to read, rounded to frames; less where the file ends before.
    :param audio: ``"require"`` sound, or accept a file without (``"optional"``): its audio is then zeros.
    :returns: a :class:`Clip`; its ``notes`` say what was cut or filled in.
    :raises MissingFileError: no file there.
    :raises NoVideoError: only sound (a cover picture is no video), or no frame.
    :raises NoAudioError: no sound and ``audio="require"``.
    :raises TruncatedMediaError: the file ends more than 0.25 s before the end that its header declares, and that
        part is asked for: pass ``duration`` to read what is there. (MPEG streams and WMV declare no length that holds,
        so a cut one is just shorter.)
    :raises MediaError: not a media file, no common time, ``start`` beyond the end, or more frames than the computer's
        memory can hold.
    """
    return open_clip(path, start=start, duration=duration, audio=audio).read()


def open_clip(
    path: str | os.PathLike[str],
    *,
    start: float = 0.0,
    duration: float | None = None,
    audio: AudioRule = "require",
) -> ClipStream:
    """Open a video file whose frames are decoded only when asked for; parameters and errors of :func:`read_clip`.

    The sound (64 kB a second) is in memory; of the frames only the block that is being looked at.
    """
    return ClipStream(scan(path, start, duration, audio))


class ClipStream:
    """A video file with the read-only surface of :class:`Clip`, except that :meth:`blocks` decodes its frames anew
    each time. Made by :func:`open_clip`."""

    def __init__(self, scanned: Scan) -> None:
        self._scan = scanned
        self.n_frames: int = scanned.n_frames
        self.audio: Wave = scanned.audio
        self.source: str = scanned.path
        self.notes: tuple[str, ...] = scanned.notes
        with contextlib.closing(self._pictures(scanned.first)) as pictures:
            _, picture = next(pictures)
        self._orientation = _orientation(picture, scanned.rotate)
        self._coded_size = picture.width, picture.height
        swapped = self._orientation[0]
        self.height: int = picture.width if swapped else picture.height
        self.width: int = picture.height if swapped else picture.width

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.n_frames / FPS

    def __repr__(self) -> str:
        return (
            f"ClipStream({self.source!r}, {self.n_frames} frames of {self.width}x{self.height}, {self.duration:.2f} s)"
        )

    def blocks(self, size: int = 64) -> Iterator[Frames]:
        """The frames in order, ``uint8 (n, H, W, 3)`` RGB in new arrays of at most ``size`` frames.

        :raises TruncatedMediaError: the pictures stop decoding more than 0.25 s before the last one.
        """
        check_block_size(size)
        return self._blocks(size)

    def read(self) -> Clip:
        """All frames, in memory.

        :raises MediaError: they would not fit into the computer's memory.
        """
        shape = (self.n_frames, self.height, self.width, 3)
        needed, there = int(np.prod(shape, dtype=np.int64)), _physical_memory()
        if there is not None and needed > there:
            raise MediaError(
                f"{self.source}: its {self.n_frames} frames need {needed / 2**30:.1f} GiB, this computer has "
                f"{there / 2**30:.1f} GiB; use tfg.open_clip and its blocks(), or pass duration"
            )
        frames = np.empty(shape, np.uint8)
        done = 0
        for block in self._blocks(16):
            frames[done : done + len(block)] = block
            done += len(block)
        return Clip(frames=frames, audio=self.audio, source=self.source, notes=self.notes)

    def _blocks(self, size: int) -> Iterator[Frames]:
        times = self._scan.start + np.arange(self.n_frames) / FPS
        with contextlib.closing(self._pictures(self._scan.start)) as pictures:
            shown = _shown(pictures, times.tolist())
            for first in range(0, self.n_frames, size):
                block = np.empty((min(size, self.n_frames - first), self.height, self.width, 3), np.uint8)
                previous, rgb = None, block[0]
                for row in block:
                    _, picture = next(shown)
                    if picture is not previous:  # a held picture is converted once
                        previous, rgb = picture, self._rgb(picture)
                    row[...] = rgb
                yield block

    def _rgb(self, picture: Any) -> Frames:
        width, height = self._coded_size
        return _upright(picture.to_ndarray(format="rgb24", width=width, height=height), self._orientation)

    def _pictures(self, begin: float) -> Generator[tuple[float, Any], None, None]:
        """``(time, decoded picture)`` in order; the first is at or before ``begin`` if there is one."""
        last = -np.inf
        with contextlib.closing(_decode(self._scan, begin)) as pictures:
            for last, picture in pictures:
                yield last, picture
        if last < self._scan.last - _MISSING:
            found = f"stop decoding at {last:.2f} s" if np.isfinite(last) else "do not decode"
            raise TruncatedMediaError(
                f"{self.source}: its pictures {found}, the last one is due at {self._scan.last:.2f} s; expected an "
                "undamaged file: get it again, or read the good part with duration"
            )


def _decode(scanned: Scan, begin: float) -> Generator[tuple[float, Any], None, None]:
    """Decoded pictures with their times (s); pictures long before ``begin`` may be skipped by seeking."""
    with open_container(scanned.path) as container:
        stream = container.streams[scanned.video_index]
        stream.thread_type = "AUTO"
        by_decoding = has_decode_times(container)
        if begin - scanned.first > _SEEK:
            container.seek(int(begin / stream.time_base), stream=stream)
        packets = demux(container, [stream])
        head = next(packets)
        if begin - scanned.first > _SEEK and not _can_start_at(head, begin, by_decoding):
            container.close()
            yield from _decode(scanned, scanned.first)
            return
        yield from _timed(_decoded(itertools.chain([head], packets)), head, picture_period(stream), by_decoding)


def _timed(pictures: Iterator[Any], head: Any, period: float, by_decoding: bool) -> Iterator[tuple[float, Any]]:
    """Pictures with the times (s) at which they are due."""
    delay, previous = 0.0, (time_of(head, by_decoding) or 0.0) - period
    for index, picture in enumerate(pictures):
        time = time_of(picture, by_decoding)
        if by_decoding and index == 0 and time is not None:
            delay = time - previous - period  # pictures leave the decoder in order, but late: by its delay
        previous = previous + period if time is None else time - delay
        yield previous, picture


def _can_start_at(packet: Any, begin: float, by_decoding: bool) -> bool:
    time = time_of(packet, by_decoding)
    return bool(packet.is_keyframe and time is not None and time <= begin)


def _decoded(packets: Iterable[Any]) -> Iterator[Any]:
    """Pictures of all packets that decode; where reading fails, the end."""
    try:
        for packet in packets:
            try:
                pictures = packet.decode()
            except FFmpegError:
                continue
            yield from pictures
    except FFmpegError:
        return


def _shown(pictures: Iterator[tuple[float, Any]], times: Iterable[float]) -> Iterator[tuple[float, Any]]:
    """The picture that stands for each of ``times`` (ascending): the rule "time" at the top of this file."""
    current = next(pictures)
    upcoming = next(pictures, None)
    for time in times:
        while upcoming is not None and (
            upcoming[0] <= time + _EPS
            or (upcoming[0] <= time + _EARLY + _EPS and upcoming[0] - time < time - current[0] - _EPS)
        ):
            current, upcoming = upcoming, next(pictures, None)
        yield current


def _orientation(picture: Any, rotate: float) -> tuple[bool, bool, bool]:
    """(swap the axes, then flip the rows, flip the columns) that turn a picture upright.

    ``rotate``: the clockwise degrees of a ``rotate`` tag, for files without a display matrix. Angles between right
    angles are rounded to one.
    """
    matrix = picture.side_data.get("DISPLAYMATRIX")
    if matrix is not None:
        a, b, _, c, d = np.frombuffer(matrix, dtype=np.int32)[:5].astype(float)
    else:
        turn = np.deg2rad(rotate)
        a, b, c, d = np.cos(turn), np.sin(turn), -np.sin(turn), np.cos(turn)
    # FFmpeg's convention: the point (x, y) is shown at (a x + c y, b x + d y), y downwards
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return False, bool(d < 0), bool(a < 0)
    return True, bool(b < 0), bool(c < 0)


def _upright(rgb: Frames, orientation: tuple[bool, bool, bool]) -> Frames:
    swap, flip_rows, flip_columns = orientation
    if swap:
        rgb = rgb.transpose(1, 0, 2)
    return rgb[:: -1 if flip_rows else 1, :: -1 if flip_columns else 1]


def _physical_memory() -> int | None:
    """Bytes, where the system tells."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None
