"""The chance row: the real video with its pictures at the wrong time.

Same talker, same light, same lips, wrong moment. It goes through the same code as every method, so each metric says
what it gives when nothing but the timing is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from tfg.clip import Frames, VideoSource, Wave, check_block_size
from tfg.faces import FaceTrack


def frames_between(video: VideoSource, first: int, stop: int, size: int = 64) -> Iterator[Frames]:
    """Blocks of at most ``size`` of the frames ``first .. stop - 1``."""
    begin = 0
    for block in video.blocks(size):
        part = block[max(first - begin, 0) : max(stop - begin, 0)]
        if len(part):
            yield part
        begin += len(block)
        if begin >= stop:
            return


@dataclass(frozen=True)
class WrongTime:
    """A video (:class:`tfg.clip.VideoSource`) whose frames ``start .. stop - 1`` are rotated by ``shift``.

    Frame ``start`` shows what ``start + shift`` showed; the first ``shift`` of them come last. The sound stays.
    """

    video: VideoSource
    start: int
    stop: int
    shift: int

    @property
    def n_frames(self) -> int:
        return self.video.n_frames

    @property
    def height(self) -> int:
        return self.video.height

    @property
    def width(self) -> int:
        return self.video.width

    @property
    def audio(self) -> Wave:
        return self.video.audio

    @property
    def source(self) -> str | None:
        return self.video.source

    @property
    def notes(self) -> tuple[str, ...]:
        return (*self.video.notes, f"pictures of frames {self.start} to {self.stop - 1} moved by {self.shift} frames")

    def blocks(self, size: int = 64) -> Iterator[Frames]:
        check_block_size(size)
        turn = self.start + self.shift
        for first, stop in ((0, self.start), (turn, self.stop), (self.start, turn), (self.stop, self.n_frames)):
            yield from frames_between(self.video, first, stop, size)

    def moved(self, track: FaceTrack) -> FaceTrack:
        """The track of the face that covers exactly the moved frames."""
        return replace(
            track,
            landmarks=np.roll(track.landmarks, -self.shift, axis=0),
            observed=np.roll(track.observed, -self.shift),
        )
