"""Write a clip as an MP4 that every browser plays: H.264 (yuv420p) and AAC, index first."""

from __future__ import annotations

import os
import uuid
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError

from tfg.clip import FPS, SAMPLE_RATE, SAMPLES_PER_FRAME, Frames, VideoSource, check_wave
from tfg.errors import MediaError, MissingFileError

_BLOCK = 32  # frames encoded at a time; their sound follows, so that the muxer interleaves the two
_AAC_BITS = 96_000  # the most AAC-LC allows for 16 kHz mono


def write_clip(clip: VideoSource, path: str | os.PathLike[str], crf: float = 18) -> None:
    """Write pictures and sound of a clip (or a stream of :func:`tfg.open_clip`) to an ``.mp4``.

    The sound stays in step to the sample (the encoder's delay is declared in the file and taken off by readers). H.264
    in 4:2:0 needs even sizes: an odd width or height grows by one pixel, a copy of the last column or row.
    An existing file is replaced only when the new one is complete; after an error nothing is left behind.

    :param crf: x264's quality, 0 (lossless but for the colour subsampling) to 51; 18 is visually lossless.
    :raises MissingFileError: the folder does not exist.
    :raises MediaError: the name does not end in ``.mp4`` or is a folder, ``crf`` is out of range, the audio is not
        640 samples a frame, or the file cannot be written (no permission, disk full).
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
    if not 0 <= crf <= 51:
        raise MediaError(f"{target}: crf is {crf}; expected 0 (best) to 51")
    check_wave(clip.audio, clip.n_frames, clip.source or "clip")

    # beside the target, so that os.replace only renames
    partial = target.with_name(f".{target.stem[:100]}.{uuid.uuid4().hex[:12]}.partial.mp4")
    try:
        _encode(clip, partial, crf)
        os.replace(partial, target)
    except (FFmpegError, OSError) as error:
        raise MediaError(
            f"{target}: cannot be written ({error.strerror or error}); expected a writable folder with room"
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def _encode(clip: VideoSource, path: Path, crf: float) -> None:
    height, width = clip.height + clip.height % 2, clip.width + clip.width % 2
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        video: Any = container.add_stream("libx264", rate=int(FPS), options={"crf": str(crf)})
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        video.codec_context.colorspace = 6  # BT.601, which the conversion below uses whatever the size
        video.codec_context.color_range = 1  # 16..235
        sound: Any = container.add_stream("aac", rate=SAMPLE_RATE, layout="mono")
        sound.bit_rate = _AAC_BITS
        done = 0
        for block in clip.blocks(_BLOCK):
            for index, rgb in enumerate(block, start=done):
                container.mux(video.encode(_picture(rgb, height, width, index)))
            samples = slice(done * SAMPLES_PER_FRAME, (done + len(block)) * SAMPLES_PER_FRAME)
            frame = av.AudioFrame.from_ndarray(clip.audio[None, samples], format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, samples.start, Fraction(1, SAMPLE_RATE)
            container.mux(sound.encode(frame))
            done += len(block)
        container.mux(video.encode(None))
        container.mux(sound.encode(None))


def _picture(rgb: Frames, height: int, width: int, index: int) -> Any:
    missing = (0, height - rgb.shape[0]), (0, width - rgb.shape[1]), (0, 0)
    if any(after for _, after in missing):
        rgb = np.pad(rgb, missing, mode="edge")
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
    frame = frame.reformat(format="yuv420p", dst_colorspace="ITU601", dst_color_range="MPEG", interpolation="BICUBIC")
    frame.pts = index
    return frame
