"""A video as the metrics see it: its faces tracked, the chosen one's features taken, each once."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from tfg.clip import VideoSource
from tfg.errors import NoFaceError
from tfg.experts.expert import AVHubertExpert
from tfg.faces import FaceTrack, track_faces
from tfg.media import open_clip

IN_MEMORY = 2**30  # bytes of frames up to which a video is read whole, otherwise decoded once per pass

Float = NDArray[np.float32]
Source = str | os.PathLike[str] | VideoSource


class Stopwatch:
    """Seconds per named stage."""

    def __init__(self) -> None:
        self.stages: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self.stages[stage] = self.stages.get(stage, 0.0) + time.perf_counter() - began


class Seen:
    """A video with its faces tracked and AV-HuBERT's features of the most prominent one.

    :param source: a path, a :class:`tfg.Clip`, or a stream.
    :param hubert: the expert; features are those of this one.
    :param watch: is told how long each stage takes.
    :param tracks: the faces, the chosen one first, where they are known already.
    :raises MediaError: the file cannot be read, or has no sound.
    :raises NoFaceError: no face to score.

    :ivar track: of the chosen face; ``tracks``: of all.
    :ivar fbank, mouth: the expert's inputs for its frames.
    :ivar audio_feats, video_feats: ``float32 (T, D)``, F_A and F_V.
    """

    def __init__(
        self,
        source: Source,
        hubert: AVHubertExpert,
        watch: Stopwatch | None = None,
        tracks: Sequence[FaceTrack] | None = None,
    ) -> None:
        watch = watch or Stopwatch()
        with watch("read"):
            self.video = _open(source)
        with watch("track faces"):
            self.tracks = list(tracks) if tracks is not None else track_faces(self.video)
        if not self.tracks:
            raise NoFaceError(
                f"{self.video.source or 'the clip'}: no face in any of its {self.video.n_frames} frames; expected one, "
                "roughly frontal, to score: crop the video to the speaker"
            )
        self.track = self.tracks[0]
        with watch("mouth crops"):
            self.fbank, self.mouth = hubert.inputs(self.video, self.track)
        with watch("AV-HuBERT"):
            self.audio_feats = hubert.encode(audio=self.fbank)
            self.video_feats = hubert.encode(mouth=self.mouth)


def _open(source: Source) -> VideoSource:
    if not isinstance(source, str | os.PathLike):
        return source
    stream = open_clip(source)
    fits = stream.n_frames * stream.height * stream.width * 3 <= IN_MEMORY
    return stream.read() if fits else stream
