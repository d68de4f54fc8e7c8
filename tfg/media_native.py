"""Every picture of a video file with its own time, or a still picture as a video of one frame.

:class:`tfg.media.ClipStream` gives 25 pictures a second, whatever the file has; here nothing is dropped or repeated.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from itertools import repeat
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from tfg.clip import FPS, Frames, VideoSource, Wave, check_block_size
from tfg.errors import MediaError, MissingFileError
from tfg.media import ClipStream
from tfg.media_scan import open_container, scan

STILL = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
STILL_SIDE = 1920  # pixels: a larger photograph is scaled down, since H.264 players stop at about twice that
_HELD = 96 * 2**20  # bytes of pictures that going backwards keeps decoded
_EPS = 1e-6  # s
_NO_SOUND = np.zeros(0, np.float32)


class NativeSource(VideoSource, Protocol):
    """A video source that can be read forwards and backwards. Its sound is left out (``audio`` is empty).

    ``rate``: pictures per second, about. ``times``: ``float64 (n_frames,)``, when each picture is due, in seconds
    after the first; known once :meth:`blocks` was read to its end, as is the exact ``n_frames``.
    """

    @property
    def rate(self) -> Fraction: ...
    @property
    def times(self) -> NDArray[np.float64]: ...
    def run(self, first: int, last: int) -> Iterator[Frames]: ...


def open_native(path: str | os.PathLike[str], seconds: float) -> NativeSource:
    """Open a video, or a picture (by the ending of its name).

    :param seconds: of a longer video only the pictures of so many first seconds are read.
    :raises MissingFileError: no file there.
    :raises MediaError: what is there cannot be read as one or the other; see :func:`tfg.read_clip`.
    """
    return StillPicture(path) if Path(path).suffix.lower() in STILL else NativeVideo(path, seconds)


class NativeVideo(ClipStream):
    """The pictures of a video file, upright, RGB, decoded only when asked for."""

    def __init__(self, path: str | os.PathLike[str], seconds: float) -> None:
        super().__init__(replace(scan(path, 0.0, seconds, "optional"), audio=_NO_SOUND))
        self._seconds = seconds
        with open_container(path) as container:
            stream = container.streams[self._scan.video_index]
            self.rate: Fraction = stream.average_rate or stream.guessed_rate or Fraction(int(FPS))
        self.notes = tuple(note for note in self.notes if "pixels" in note)  # the others are about the sound
        there = min(self._scan.last - self._scan.first, seconds)
        self.n_frames = round(there * float(self.rate)) + 1
        self.times: NDArray[np.float64] = np.zeros(0)

    def _blocks(self, size: int) -> Iterator[Frames]:
        times: list[float] = []
        block: list[Frames] = []
        with closing(self._pictures(self._scan.first)) as pictures:
            for time, picture in pictures:
                if times and time <= times[-1]:  # a time that does not go on cannot be written
                    continue
                if times and time - times[0] >= self._seconds:
                    break
                times.append(time)
                block.append(self._rgb(picture))
                if len(block) == size:
                    yield np.stack(block)
                    block = []
        if block:
            yield np.stack(block)
        self.times = np.array(times) - times[0]
        self.n_frames = len(times)
        self._scan = replace(self._scan, first=times[0])

    def run(self, first: int, last: int) -> Iterator[Frames]:
        """Pictures ``first`` to ``last`` (both included), ``uint8 (H, W, 3)``; backwards where ``last < first``.

        Backwards, a stretch of at most 96 MiB is decoded at a time.
        """
        if first <= last:
            yield from (self._rgb(picture) for picture in self._between(first, last))
            return
        step = max(2, _HELD // (self.width * self.height * 3 // 2))
        for high in range(first, last - 1, -step):
            stretch = list(self._between(max(last, high - step + 1), high))
            while stretch:
                yield self._rgb(stretch.pop())

    def _between(self, first: int, last: int) -> Iterator[Any]:
        due, begin = first, self._scan.first
        picture = None
        with closing(self._pictures(begin + self.times[first])) as pictures:
            for time, picture in pictures:
                # more than one is due where a picture that decoded before does not after seeking
                while due <= last and begin + self.times[due] < time + _EPS:
                    yield picture
                    due += 1
                if due > last:
                    return
        if picture is None:
            raise MediaError(f"{self.source}: its pictures do not decode a second time; copy it into a new file")
        yield from repeat(picture, last + 1 - due)


class StillPicture:
    """A photograph as a video of one frame, at 25 pictures per second."""

    audio: Wave = _NO_SOUND

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.source = os.fspath(path)
        if not os.path.isfile(path):
            raise MissingFileError(f"{self.source}: no such file; expected a picture or a video: check the path")
        try:
            image = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)  # upright by its EXIF tag
        except (cv2.error, OSError):
            image = None
        if image is None:
            raise MediaError(f"{self.source}: is not a picture that can be read; expected {', '.join(STILL)}")
        scale = STILL_SIDE / max(image.shape[:2])
        if scale < 1:
            image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        self._frame: Frames = np.ascontiguousarray(image[..., ::-1])
        self.height, self.width = self._frame.shape[:2]
        self.notes = (f"the picture was scaled to {self.width}x{self.height}",) if scale < 1 else ()
        self.n_frames = 1
        self.rate = Fraction(int(FPS))
        self.times: NDArray[np.float64] = np.zeros(1)

    def blocks(self, size: int = 64) -> Iterator[Frames]:
        """One block of the one frame."""
        check_block_size(size)
        yield self._frame[None]

    def run(self, first: int, last: int) -> Iterator[Frames]:
        """The picture, as often as a video would have frames there."""
        for _ in range(abs(last - first) + 1):
            yield self._frame
