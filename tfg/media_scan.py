"""Look through a media file once: find its two streams, their time line, and the sound at 16 kHz.

The pictures are only demuxed here (their timestamps are enough); :mod:`tfg.media` decodes them when asked.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import av
import numpy as np
from av.error import FFmpegError

from tfg.clip import FPS, SAMPLE_RATE, SAMPLES_PER_FRAME, Wave
from tfg.errors import MediaError, MissingFileError, NoAudioError, NoVideoError, TruncatedMediaError

AudioRule = Literal["require", "optional"]

EDGE = 0.1  # s of sound that may be missing at either end: filled with silence instead of dropping pictures
_TRUNCATED = 0.25  # s by which a file may fall short of the length it declares
_JUMP = 0.02  # s between an audio timestamp and the samples so far that counts as a gap and not as jitter
_LONGEST = 24 * 3600.0  # s; a longer time line comes from damaged timestamps
_SLACK = 0.1  # of a frame: timestamps rounded to milliseconds may end a hair before the last frame does
_MARGIN = 0.5  # s read beyond a wanted end, so that resampling and frame choice there see what follows


@dataclass(frozen=True)
class Scan:
    """What is known of a file before a picture is decoded. Times are the container's, in seconds."""

    path: str
    video_index: int
    first: float  # time of the first picture in the file
    last: float  # time of the last picture that was seen
    start: float  # time of output frame 0
    n_frames: int
    rotate: float  # clockwise degrees of a "rotate" tag: counts where no display matrix is given
    audio: Wave
    notes: tuple[str, ...]


@dataclass
class _Pictures:
    """Timestamps of one video stream, from its packets."""

    period: float
    decode_times: bool  # see time_of
    times: list[float] = field(default_factory=list)
    end: float = -np.inf
    packets: int = 0
    begun: bool = False
    _previous: float | None = None

    def add(self, packet: Any) -> None:
        if packet.size == 0 and packet.dts is None:  # the flush at the end of the file
            return
        time = time_of(packet, self.decode_times)
        if time is None:
            time = 0.0 if self._previous is None else self._previous + self.period
        self._previous = time
        duration = float((packet.duration or 0) * packet.time_base) or self.period
        self.packets += 1
        self.begun |= packet.is_keyframe  # nothing before the first key frame can be decoded
        if packet.is_corrupt or packet.is_discard or not self.begun or (self.times and time < self.times[0]):
            return
        self.times.append(time)
        # at least one output frame: the last packet's duration is often missing or a single tick
        self.end = max(self.end, time + max(duration, 1 / FPS))


@dataclass
class _Sound:
    """The sound of one stream at 16 kHz mono: runs of samples, each placed by its timestamp."""

    runs: list[tuple[float, list[Wave]]] = field(default_factory=list)
    begin: float = np.inf
    end: float = -np.inf
    failed: int = 0
    _resampler: Any = None
    _expected: float = -np.inf
    _layout: tuple[Any, ...] = ()

    def add(self, packet: Any) -> None:
        try:
            frames = packet.decode()
        except FFmpegError:
            self.failed += 1
            return
        for frame in frames:
            if frame.samples == 0:
                continue
            time = float(frame.pts * frame.time_base) if frame.pts is not None else max(self._expected, 0.0)
            layout = (frame.format.name, frame.layout.name, frame.sample_rate)
            if abs(time - self._expected) > _JUMP or layout != self._layout:
                self.flush()
                self._resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
                self._layout = layout
                self.runs.append((time, []))
                self._expected = time
            self.begin = min(self.begin, time)
            self._expected += frame.samples / frame.sample_rate
            self.end = max(self.end, self._expected)
            frame.pts = None  # the place is kept here: the resampler only counts samples
            self._collect(self._resampler.resample(frame))

    def flush(self) -> None:
        if self._resampler is not None:
            self._collect(self._resampler.resample(None))
            self._resampler = None

    def _collect(self, frames: list[Any]) -> None:
        # the resampler answers [None] to a flush when it passes 16 kHz mono through
        self.runs[-1][1].extend(frame.to_ndarray().reshape(-1) for frame in frames if frame is not None)

    def cut(self, start: float, n_samples: int) -> Wave:
        """``n_samples`` from ``start`` s on; where the stream has none, zeros."""
        wave = np.zeros(n_samples, dtype=np.float32)
        for time, parts in self.runs:
            at = round((time - start) * SAMPLE_RATE)
            for part in parts:
                lo, hi = max(0, at), min(n_samples, at + len(part))
                if lo < hi:
                    wave[lo:hi] = part[lo - at : hi - at]
                at += len(part)
        return np.clip(wave, -1.0, 1.0, out=wave)


def has_decode_times(container: Any) -> bool:
    """AVI stores no presentation times, and what FFmpeg makes up for them is wrong for H.264 with B-frames."""
    return bool(container.format.name == "avi")


def time_of(item: Any, decode_times: bool) -> float | None:
    """Seconds at which a packet or frame is due (with ``decode_times``: to be decoded), if it says so."""
    stamp = item.dts if decode_times else item.pts
    return None if stamp is None else float(stamp * item.time_base)


def picture_period(video: Any) -> float:
    """Seconds between pictures, where their timestamps do not tell."""
    return 1 / float(video.average_rate or video.guessed_rate or FPS)


def open_container(path: str | os.PathLike[str]) -> Any:
    """Open a media file for reading.

    :raises MissingFileError: nothing is there, or a folder is.
    :raises TruncatedMediaError: an MP4 that lost its index (its end).
    :raises MediaError: the file is empty, unreadable, or no media file.
    """
    name = os.fspath(path)
    if not os.path.exists(name):
        raise MissingFileError(f"{name}: no such file; expected a video or sound file: check the path")
    if os.path.isdir(name):
        raise MissingFileError(f"{name}: is a folder; expected a video or sound file: name one of the files in it")
    try:
        with open(name, "rb") as file:
            head = file.read(12)
    except OSError as error:
        raise MediaError(f"{name}: cannot be opened ({error.strerror}); expected a readable file") from error
    if not head:
        raise MediaError(f"{name}: is empty (0 bytes); expected a video or sound file: copy or download it again")
    try:
        return av.open(name, metadata_errors="replace")  # a damaged title is no reason to refuse the pictures
    except FFmpegError as error:
        if head[4:8] == b"ftyp":
            raise TruncatedMediaError(
                f"{name}: an MP4 without a readable index ({error.strerror}); expected a complete file: the copy or "
                "recording was cut off, so get it again"
            ) from error
        raise MediaError(
            f"{name}: is not a media file that FFmpeg reads ({error.strerror}); expected a video such as "
            "MP4, MKV, WebM, AVI or MPEG"
        ) from error


def demux(container: Any, streams: list[Any]) -> Iterator[Any]:
    """Packets of ``streams``, then one empty packet for each."""
    try:
        yield from container.demux(streams)
    except IndexError:
        # A damaged file can bring up new streams on the way; PyAV knows no such stream when it comes to the empty
        # packets at the end. Those of ``streams`` were given out before.
        return


def _streams(container: Any, name: str, audio: AudioRule) -> tuple[Any, Any | None]:
    pictures = [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
    sound = container.streams.best("audio")
    if not pictures:
        found = "only sound" if sound is not None else "no video and no sound"
        raise NoVideoError(f"{name}: has {found}; expected a video stream: give the file that holds the pictures")
    best = container.streams.best("video")
    video = next((s for s in pictures if best is not None and s.index == best.index), pictures[0])
    if sound is None and audio == "require":
        raise NoAudioError(
            f"{name}: has no audio stream; expected sound: add it to the file, or pass audio='optional' to get silence"
        )
    for stream in (video, sound):
        if stream is not None and stream.codec_context is None:
            raise MediaError(f"{name}: no decoder for its {stream.type} stream; expected a codec that FFmpeg reads")
    return video, sound


def _shortfall(container: Any, video: Any, sound: Any | None, pictures: _Pictures, wave: _Sound) -> float:
    """Seconds by which what was read falls short of what the file's header declares (<= 0: complete)."""
    total = container.duration / av.time_base if container.duration else 0.0
    begin, end = pictures.times[0], pictures.end
    short = total - (max(end, wave.end) - min(begin, wave.begin))
    if has_decode_times(container):  # FFmpeg fits an AVI's durations to what is there, but not its frame count
        short = max(short, (video.frames - pictures.packets) * pictures.period)
    extents = [(video, begin, end), (sound, wave.begin, wave.end)]
    for stream, first, last in extents[: 1 if sound is None or not wave.runs else 2]:
        declared = float(stream.duration * stream.time_base) if stream.duration else 0.0
        short = max(short, min(declared, total) - (last - first))
    return short


def scan(path: str | os.PathLike[str], start: float, duration: float | None, audio: AudioRule) -> Scan:
    """Read the time line and the sound of a file; see :func:`tfg.media.read_clip` for the rules and errors."""
    name = os.fspath(path)
    if audio not in ("require", "optional"):
        raise MediaError(f"audio is {audio!r}; expected 'require' or 'optional'")
    if not start >= 0 or not (duration is None or duration > 0) or not np.isfinite(start):
        raise MediaError(f"{name}: start={start}, duration={duration}; expected start >= 0 and duration > 0, seconds")
    with open_container(path) as container:
        return _scan(container, name, start, duration, audio)


def _scan(container: Any, name: str, start: float, duration: float | None, audio: AudioRule) -> Scan:
    video, sound = _streams(container, name, audio)
    pictures, wave = _Pictures(picture_period(video), has_decode_times(container)), _Sound()
    whole, problem = True, ""
    try:
        for packet in demux(container, [s for s in (video, sound) if s is not None]):
            (pictures if packet.stream_index == video.index else wave).add(packet)
            if duration is not None and _reaches(start + duration + _MARGIN, pictures, wave, sound is not None):
                whole = False
                break
    except FFmpegError as error:
        problem = f", then reading failed ({error.strerror})"
    wave.flush()
    if not pictures.times:
        raise NoVideoError(f"{name}: its video stream has no frame{problem}; expected pictures: record it again")
    if sound is not None and not wave.runs and audio == "require":
        raise NoAudioError(
            f"{name}: its audio stream has no sample that decodes{problem}; expected sound: replace it, or pass "
            "audio='optional' to get silence"
        )

    t0, end, notes = _common(pictures, wave)
    total = int(np.floor((end - t0) * FPS + _SLACK))
    begin = round(start * FPS)
    wanted = total - begin if duration is None else max(1, round(duration * FPS))
    n_frames = min(wanted, total - begin)
    if whole and (duration is None or n_frames < wanted):
        short = _shortfall(container, video, sound, pictures, wave)
        if short > _TRUNCATED or problem:
            raise TruncatedMediaError(
                f"{name}: is cut off: {max(0, total) / FPS:.2f} s can be read{problem}, "
                f"{max(0.0, short):.2f} s less than it declares; get the whole file, or read what is there with "
                f"duration={max(0, total) / FPS:.2f}"
            )
    if n_frames > _LONGEST * FPS:
        raise MediaError(
            f"{name}: its timestamps span {n_frames / FPS / 3600:.0f} hours; expected at most 24: they are damaged "
            "(copy the streams into a new file), or pass duration"
        )
    if total < 1:
        raise MediaError(
            f"{name}: pictures ({pictures.times[0]:.2f} to {pictures.end:.2f} s) and sound "
            f"({wave.begin:.2f} to {wave.end:.2f} s) share less than one frame of 40 ms; expected them to overlap"
        )
    if n_frames < 1:
        raise MediaError(f"{name}: start={start:g} s is beyond its end at {total / FPS:.2f} s; choose an earlier start")
    if sound is None or not wave.runs:
        notes.append("the file has no sound: the audio is silence")
    if wave.failed:
        notes.append(f"{wave.failed} audio packets could not be decoded and are silent")
    ratio = video.sample_aspect_ratio
    if ratio and ratio != 1:
        notes.append(f"pixels are not square ({ratio.numerator}:{ratio.denominator}); the frames were not stretched")
    t0 += begin / FPS
    return Scan(
        path=name,
        video_index=video.index,
        first=pictures.times[0],
        last=max(pictures.times),
        start=t0,
        n_frames=n_frames,
        rotate=_rotate_tag(video),
        audio=wave.cut(t0, n_frames * SAMPLES_PER_FRAME),
        notes=tuple(notes),
    )


def _reaches(seconds: float, pictures: _Pictures, wave: _Sound, has_sound: bool) -> bool:
    """Whether both streams were read for ``seconds`` after their common start."""
    if not pictures.times or (has_sound and not wave.runs):
        return False
    until = max(pictures.times[0], wave.begin if has_sound else -np.inf) + seconds
    return pictures.end > until and (not has_sound or wave.end > until)


def _common(pictures: _Pictures, wave: _Sound) -> tuple[float, float, list[str]]:
    """The common start (on a picture wherever there is one) and end of both streams, and what that cuts off."""
    first, end, notes = pictures.times[0], pictures.end, []
    start = first
    if wave.runs and wave.begin - first > EDGE:
        start = min((t for t in pictures.times if wave.begin - 1e-6 <= t <= wave.begin + 1 / FPS), default=wave.begin)
        notes.append(f"{start - first:.2f} s of pictures before the sound starts were cut")
    elif wave.runs and first - wave.begin > EDGE:
        notes.append(f"{first - wave.begin:.2f} s of sound before the pictures start were cut")
    if wave.runs and end - wave.end > EDGE:
        notes.append(f"{end - wave.end:.2f} s of pictures after the sound ends were cut")
        end = wave.end
    elif wave.runs and wave.end - end > EDGE:
        notes.append(f"{wave.end - end:.2f} s of sound after the pictures end were cut")
    return start, end, notes


def _rotate_tag(video: Any) -> float:
    tags = {key.lower(): value for key, value in video.metadata.items()}
    try:
        return float(tags.get("rotate", 0))
    except ValueError:
        return 0.0
