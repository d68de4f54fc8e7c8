"""Write an MP4 that every browser plays: H.264 (yuv420p) and AAC, index first.

:func:`write_clip` writes a clip; :func:`open_film` takes pictures at any times and sound at any rate as they come.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

from tfg.clip import FPS, SAMPLE_RATE, SAMPLES_PER_FRAME, Frames, VideoSource, check_wave
from tfg.errors import MediaError, MissingFileError

_BLOCK = 32  # frames encoded at a time; their sound follows, so that the muxer interleaves the two
_AAC_BITS = 6  # a sample: the most that AAC-LC allows
_AAC_MOST = 96_000  # a channel: more is not heard


def write_clip(
    clip: VideoSource, path: str | os.PathLike[str], crf: float = 18, metadata: Mapping[str, str] | None = None
) -> None:
    """Write pictures and sound of a clip (or a stream of :func:`tfg.open_clip`) to an ``.mp4``.

    The sound stays in step to the sample (the encoder's delay is declared in the file and taken off by readers). H.264
    in 4:2:0 needs even sizes: an odd width or height grows by one pixel, a copy of the last column or row.
    An existing file is replaced only when the new one is complete; after an error nothing is left behind.

    :param crf: x264's quality, 0 (lossless but for the colour subsampling) to 51; 18 is visually lossless.
    :param metadata: of the container, such as ``title`` and ``comment``.
    :raises MissingFileError: the folder does not exist.
    :raises MediaError: the name does not end in ``.mp4`` or is a folder, ``crf`` is out of range, the audio is not
        640 samples a frame, or the file cannot be written (no permission, disk full).
    """
    check_target(path)
    check_wave(clip.audio, clip.n_frames, clip.source or "clip")
    with open_film(path, clip.width, clip.height, crf=crf, metadata=metadata) as film:
        done = 0
        for block in clip.blocks(_BLOCK):
            for index, rgb in enumerate(block, start=done):
                film.picture(rgb, index)
            film.sound(clip.audio[None, done * SAMPLES_PER_FRAME : (done + len(block)) * SAMPLES_PER_FRAME])
            done += len(block)


def check_target(path: str | os.PathLike[str]) -> Path:
    """The path, if an ``.mp4`` can be written there.

    :raises MissingFileError: the folder does not exist.
    :raises MediaError: the name does not end in ``.mp4``, or is a folder.
    """
    target = Path(path)
    if target.suffix.lower() != ".mp4":
        raise MediaError(
            f"{target}: ends in {target.suffix!r}; expected a name ending in .mp4, the format written here"
        )
    if target.is_dir():
        raise MediaError(f"{target}: is a folder; expected the name of a file: add one")
    if not target.parent.is_dir():
        raise MissingFileError(f"{target.parent}: no such folder; expected one to write {target.name} into: create it")
    return target


class Film:
    """An ``.mp4`` that is being written: see :func:`open_film`."""

    def __init__(self, video: Any, sound: Any) -> None:
        self._video, self._sound = video, sound
        self._size = video.height, video.width
        self._samples = 0

    def picture(self, rgb: Frames, time: int) -> None:
        """The next picture, ``uint8 (H, W, 3)``, shown from ``time`` ticks on."""
        frame = _picture(rgb, *self._size, time)
        self._video.container.mux(self._video.encode(frame))

    def sound(self, samples: NDArray[np.float32]) -> None:
        """The next samples, ``float32 (channels, N)`` in [-1, 1]."""
        if not samples.shape[1]:
            return
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout=self._sound.layout.name)
        rate = self._sound.rate
        frame.sample_rate, frame.pts, frame.time_base = rate, self._samples, Fraction(1, rate)
        self._samples += samples.shape[1]
        self._sound.container.mux(self._sound.encode(frame))


@contextmanager
def open_film(
    path: str | os.PathLike[str],
    width: int,
    height: int,
    *,
    rate: Fraction = Fraction(int(FPS)),
    tick: Fraction | None = None,
    sound_rate: int = SAMPLE_RATE,
    channels: int = 1,
    crf: float = 18,
    metadata: Mapping[str, str] | None = None,
) -> Iterator[Film]:
    """Open an ``.mp4`` for writing; give it pictures and the sound of the same time in turns.

    It is written under another name beside ``path`` and renamed when the block ends; after an error nothing is left.

    :param rate: pictures per second, about.
    :param tick: seconds in which the times of pictures are counted; by default ``1 / rate``.
    :param sound_rate: samples per second, one that AAC knows.
    :param channels: 1 or 2.
    :param metadata: of the container, such as ``title`` and ``comment``.
    :raises MissingFileError: the folder does not exist.
    :raises MediaError: see :func:`write_clip`.
    """
    target = check_target(path)
    if not 0 <= crf <= 51:
        raise MediaError(f"{target}: crf is {crf}; expected 0 (best) to 51")
    # beside the target, so that os.replace only renames
    partial = target.with_name(f".{target.stem[:100]}.{uuid.uuid4().hex[:12]}.partial.mp4")
    try:
        with av.open(str(partial), "w", format="mp4", options={"movflags": "+faststart"}) as container:
            container.metadata.update(metadata or {})
            video: Any = container.add_stream("libx264", rate=rate, options={"crf": str(crf)})
            video.width, video.height, video.pix_fmt = width + width % 2, height + height % 2, "yuv420p"
            if tick is not None:
                video.codec_context.time_base = tick
            video.codec_context.colorspace = 6  # BT.601, which the conversion below uses whatever the size
            video.codec_context.color_range = 1  # 16..235
            sound: Any = container.add_stream("aac", rate=sound_rate, layout="stereo" if channels == 2 else "mono")
            sound.bit_rate = channels * min(_AAC_MOST, _AAC_BITS * sound_rate)
            yield Film(video, sound)
            container.mux(video.encode(None))
            container.mux(sound.encode(None))
        os.replace(partial, target)
    except (FFmpegError, OSError) as error:
        raise MediaError(
            f"{target}: cannot be written ({error.strerror or error}); expected a writable folder with room"
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def _picture(rgb: Frames, height: int, width: int, time: int) -> Any:
    missing = (0, height - rgb.shape[0]), (0, width - rgb.shape[1]), (0, 0)
    if any(after for _, after in missing):
        rgb = np.pad(rgb, missing, mode="edge")
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
    frame = frame.reformat(format="yuv420p", dst_colorspace="ITU601", dst_color_range="MPEG", interpolation="BICUBIC")
    frame.pts = time
    return frame
