"""``dub``: a face and a sound in, a film in which the face says it out."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tfg.audio import log_mel
from tfg.clip import FPS, SAMPLE_RATE, Frames, Wave
from tfg.dubbing.faces import FacePlan, cut, faces_in_turn
from tfg.dubbing.mark import Mark, MarkKind
from tfg.dubbing.paste import ColourMatch, lower_face_masks, paste
from tfg.dubbing.timeline import Timeline, spans
from tfg.errors import FaceError, MediaError
from tfg.faces import track_faces
from tfg.generator import load_generator
from tfg.generator_inputs import FaceGenerator, faces_to_tensor, mel_windows, tensor_to_faces
from tfg.landmarks import BackendName
from tfg.media_native import NativeSource, open_native
from tfg.media_sound import SoundFormat, read_sound, sound_chunks, sound_format
from tfg.media_write import Film, check_target, open_film

BATCH = 8  # frames drawn at once; all that is held of the pictures
SHORTEST = 4.0  # s of the video that are looked at even if the sound is shorter: to find a good identity reference
_HOP, _COLUMNS, _AROUND = 200, 4000, 4  # of log-mel: samples a column, columns computed at once, and beside them

Progress = Callable[[str, int, int], None]  # stage, done, of how many


@dataclass(frozen=True, eq=False)
class DubReport:
    """What was made.

    :ivar out: the file.
    :ivar n_frames: pictures in it, at ``fps`` (about, where the input's times are uneven), ``width`` x ``height``.
    :ivar seconds: of sound, and so of film.
    :ivar passed_through: runs (first, behind the last) of output frames that no face was drawn in.
    :ivar passed_through_seconds: the same in seconds.
    :ivar generator: its name.
    :ivar mark: which mark it carries.
    :ivar notes: what a user should know, in plain sentences.
    :ivar stages: seconds that each stage took.
    :ivar pictures: ``int64 (n_frames,)``, which picture of the input each one shows.
    """

    out: Path
    n_frames: int
    fps: float
    width: int
    height: int
    seconds: float
    passed_through: list[tuple[int, int]]
    passed_through_seconds: list[tuple[float, float]]
    generator: str
    mark: MarkKind
    notes: tuple[str, ...]
    stages: dict[str, float] = field(repr=False)
    pictures: NDArray[np.int64] = field(repr=False)


def dub(
    face: str | os.PathLike[str],
    audio: str | os.PathLike[str],
    out: str | os.PathLike[str],
    generator: str | os.PathLike[str] | FaceGenerator = "generator-mini",
    *,
    face_number: int = 1,
    mark: MarkKind = "both",
    crf: float = 18,
    device: str = "cpu",
    backend: BackendName = "dlib",
    progress: Progress | None = None,
) -> DubReport:
    """Make a face say what is heard.

    Every picture of the input keeps its time and resolution, and its lower face is drawn anew from the sound around
    the middle of its own time. The film lasts as long as the sound: a shorter video goes on backwards and forwards, a
    still picture stays. Frames in which no face is seen keep their picture (and get the mark like all others).
    The identity reference comes from another moment than the frame, moved to where the head is now; of a still picture
    it is the picture itself.
    Memory: a few frames whatever the length, and about 0.2 MB per second of film.

    :param face: a video of any frame rate and size, or a still picture.
    :param audio: a sound file, or a video whose sound is taken.
    :param out: the ``.mp4`` to write; an existing one is replaced when the new one is complete.
    :param generator: what :func:`tfg.generator.load_generator` takes, or a generator.
    :param face_number: of several faces: 1 is the most prominent.
    :param mark: ``"both"``, ``"visible"``, ``"invisible"`` or ``"none"``; the file's metadata say that it is
        synthetic in any case.
    :param crf: x264's quality, see :func:`tfg.write_clip`.
    :param device: of torch, where the generator runs.
    :param backend: that finds faces, see :func:`tfg.track_faces`.
    :param progress: called with the stage, how much of it is done, and of how much.
    :raises MissingFileError: an input or the folder of ``out`` does not exist.
    :raises NoFaceError: no face at all.
    :raises FaceError: not so many faces, or an unknown backend.
    :raises NoAudioError: no sound.
    :raises MediaError: an input that cannot be read; ``out`` that cannot be written or is an input.
    :raises WeightsError, CheckpointError: see :func:`tfg.generator.load_generator`.
    """
    target = check_target(out)
    for given in (face, audio):
        if target.exists() and os.path.exists(given) and os.path.samefile(given, target):
            raise MediaError(f"{target}: is an input as well; expected another name for the output")
    if face_number < 1:
        raise FaceError(f"face_number is {face_number}; expected 1 (the most prominent) or more")
    if isinstance(generator, str | os.PathLike):
        name = Path(generator).stem
        generator = load_generator(os.fspath(generator), device)
    else:
        name = type(generator).__name__
    clock = _Clock()
    with clock("sound"):
        wave = read_sound(audio)
        seconds, mel = len(wave) / SAMPLE_RATE, mel_in_pieces(wave)
        del wave
    with clock("decode"):
        video = open_native(face, max(seconds, SHORTEST))
    marker = Mark(video.height, video.width, mark)
    with clock("track"):
        tracks = track_faces(_Watched(video, clock, progress), backend)
    timeline = Timeline.of(video, seconds)
    rate = float(timeline.rate)
    chosen = faces_in_turn(tracks, face_number, os.fspath(face))
    plan = FacePlan.of(chosen, video.n_frames, rate, generator)
    wanted = sound_format(audio)
    with clock("encode"), open_film(
        target, video.width, video.height, rate=timeline.rate, tick=timeline.tick, sound_rate=wanted.rate,
        channels=wanted.channels, crf=crf, metadata=synthetic_metadata(name),
    ) as film:  # fmt: skip
        artist = _Artist(generator, mel, video, plan, clock, device)
        sound = _Sound(audio, wanted, seconds)
        pictures = (frame for run in timeline.runs for frame in video.run(*run))
        places = FPS * timeline.middles() - 0.5
        for first in range(0, len(timeline.index), BATCH):
            batch = slice(first, first + BATCH)
            with clock("decode"):
                frames = [np.array(frame) for frame in islice(pictures, BATCH)]
            artist.draw(frames, timeline.index[batch], places[batch])
            with clock("mark"):
                for frame in frames:
                    marker.apply(frame)
            for frame, tick in zip(frames, timeline.ticks[batch], strict=True):
                film.picture(frame, int(tick))
            sound.write(film, timeline.times[min(first + BATCH, len(timeline.times)) - 1])
            if progress is not None:
                progress("draw", first + len(frames), len(timeline.index))
        sound.write(film, seconds)
    passed = spans(plan.track[timeline.index] < 0)
    ends = np.append(timeline.times, seconds)
    return DubReport(
        out=target,
        n_frames=len(timeline.index),
        fps=rate,
        width=video.width,
        height=video.height,
        seconds=seconds,
        passed_through=passed,
        passed_through_seconds=[(float(ends[a]), float(ends[b])) for a, b in passed],
        generator=name,
        mark=mark,
        notes=(*video.notes, *plan.notes),
        stages=clock.stages,
        pictures=timeline.index,
    )


def mel_in_pieces(wave: Wave) -> NDArray[np.float32]:
    """:func:`tfg.audio.log_mel` of a long sound without its spectrogram in memory: ``float32 (80, M)``."""
    columns = 1 + len(wave) // _HOP
    if columns <= _COLUMNS:
        return log_mel(wave)
    mel = np.empty((80, columns), np.float32)
    for first in range(0, columns, _COLUMNS):
        last = min(first + _COLUMNS, columns)
        low = max(0, first - _AROUND)
        high = len(wave) if columns - last <= _AROUND else (last + _AROUND) * _HOP
        mel[:, first:last] = log_mel(wave[low * _HOP : high])[:, first - low : last - low]
    return mel


class _Artist:
    """Draws faces into frames, a batch at a time."""

    def __init__(
        self, generator: FaceGenerator, mel: NDArray[np.float32], video: NativeSource, plan: FacePlan, clock: _Clock,
        device: str,
    ) -> None:  # fmt: skip
        self._generator, self._mel, self._plan, self._clock, self._device = generator, mel, plan, clock, device
        self._match = ColourMatch()
        with clock("decode"):
            needed = np.unique(plan.reference[plan.track >= 0])
            self._kept = {int(i): plan.kept(next(video.run(i, i)), i) for i in needed}

    def draw(self, frames: list[Frames], index: NDArray[np.int64], places: NDArray[np.float64]) -> None:
        """Draw into ``frames``, in place: frames ``index`` of the input, shown at ``places`` (25 to the second)."""
        plan, size = self._plan, self._generator.image_size
        here = [i for i, number in enumerate(index) if plan.track[number] >= 0]
        if not here:
            return
        chosen = index[here]
        with self._clock("generate"), torch.inference_mode():
            real = np.stack([cut(frames[i], plan.boxes[index[i]], size) for i in here])
            reference = np.stack([plan.moved(self._kept[int(plan.reference[i])], i) for i in chosen])
            heard = mel_windows(self._mel, places[here], self._generator.audio_start)
            inputs = (heard, faces_to_tensor(reference), faces_to_tensor(real))
            faces = self._generator(*(part.to(self._device) for part in inputs))
            drawn = tensor_to_faces(faces).astype(np.float32)
        with self._clock("paste"):
            masks = lower_face_masks(plan.outline[chosen], size)
            drawn = self._match(drawn, real.astype(np.float32), masks, plan.track[chosen])
            for i, picture, mask in zip(here, drawn, masks, strict=True):
                paste(frames[i], picture, mask, plan.boxes[index[i]])


class _Sound:
    """The sound of the film, written as its pictures go on."""

    def __init__(self, path: str | os.PathLike[str], wanted: SoundFormat, seconds: float) -> None:
        self._chunks = sound_chunks(path, wanted)
        self._wanted, self._length = wanted, round(seconds * wanted.rate)
        self._ready = np.zeros((wanted.channels, 0), np.float32)
        self._done = 0

    def write(self, film: Film, until: float) -> None:
        """All up to ``until`` s; silence where the file has no more."""
        count = min(round(until * self._wanted.rate), self._length) - self._done
        if count <= 0:
            return
        parts = [self._ready]
        there = self._ready.shape[1]
        while there < count:
            part = next(self._chunks, np.zeros((self._wanted.channels, count - there), np.float32))
            parts.append(part)
            there += part.shape[1]
        joined = np.concatenate(parts, axis=1)
        film.sound(joined[:, :count].clip(-1, 1))
        self._ready = joined[:, count:]
        self._done += count


class _Clock:
    """Seconds by stage. Stages may be nested: the inner one's time is not the outer one's."""

    def __init__(self) -> None:
        self.stages: dict[str, float] = defaultdict(float)
        self._running: list[str] = []
        self._since = 0.0

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        self._turn()
        self._running.append(stage)
        try:
            yield
        finally:
            self._turn()
            self._running.pop()

    def _turn(self) -> None:
        now = time.perf_counter()
        if self._running:
            self.stages[self._running[-1]] += now - self._since
        self._since = now


class _Watched:
    """A video source whose reading is timed and told."""

    def __init__(self, video: NativeSource, clock: _Clock, progress: Progress | None) -> None:
        self._video, self._clock, self._progress = video, clock, progress

    def __getattr__(self, name: str) -> Any:
        return getattr(self._video, name)

    def blocks(self, size: int = 64) -> Iterator[Frames]:
        """Those of the video, a few at a time."""
        blocks, done = self._video.blocks(min(size, BATCH)), 0
        while True:
            with self._clock("decode"):
                block = next(blocks, None)
            if block is None:
                return
            yield block
            done += len(block)
            if self._progress is not None:
                self._progress("track", done, max(done, self._video.n_frames))


def synthetic_metadata(generator: str) -> dict[str, str]:
    """What a file's metadata say of a video whose lips this generator drew."""
    import tfg

    when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return {
        "title": "Synthetic video: the lips are AI-generated",
        "comment": (
            f"Synthetic (AI-generated): the lower face was drawn by the generator {generator} of tfg {tfg.__version__} "
            f"on {when} to fit the sound. This is no recording of what the person shown said."
        ),
        "date": when[:10],
    }
