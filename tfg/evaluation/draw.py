"""The videos of a method that is a generator: every real clip, spoken anew from its own sound.

They are made by :func:`tfg.generated.generated_clip`, as the held-out figures of the generators are, and not by
:func:`tfg.dubbing.dub`. A table measures the network: frame ``i`` belongs to the real frame ``i``, the square lies
where the real face is, and nothing is blended, matched in colour or marked in the picture. A film for people to watch
needs all of that, and its numbers would be the film maker's too.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from joblib import Parallel, delayed

from tfg.clip import Clip
from tfg.datasets.face_clips import CRF, FaceClip
from tfg.dubbing.pipeline import synthetic_metadata
from tfg.errors import MetricError, TfgError
from tfg.evaluation.measure import file_identity
from tfg.evaluation.pairs import Corpus
from tfg.experts.checkpoints import file_sha256
from tfg.faces import FaceTrack, track_face
from tfg.generated import generated_clip
from tfg.generator import load_generator
from tfg.generator_inputs import FaceGenerator
from tfg.media import open_clip
from tfg.media_write import write_clip

LARGEST = 4 * 2**30  # bytes of frames that are held at once
PROTOCOL = (
    "drawn by its generator from the sound of the real clip, frame for frame: the square put back with a hard edge, "
    f"no blending, colour matching or mark; the file as face clips are written (H.264, crf {CRF})"
)


def draw_videos(
    corpus: Corpus,
    out: Path,
    device: str = "cpu",
    workers: int = 1,
    on_video: Callable[[str, str], None] = lambda method, name: None,
) -> Corpus:
    """The corpus with the videos of its generators, in ``out/made/METHOD``.

    A video that was drawn with these weights from this real video is not drawn again. A clip that cannot be drawn has
    the reason in its place.

    :param workers: processes, each of which takes whole clips.
    :param on_video: called with method and clip after each, for a progress bar.
    :raises WeightsError, CheckpointError: a generator cannot be loaded.
    """
    digests = {method: file_sha256(weights) for method, weights in corpus.generators.items()}
    for method, weights in corpus.generators.items():
        _loaded(weights, digests[method], device)  # before the first video is drawn
    made = dict(corpus.made)
    for method, weights in corpus.generators.items():
        jobs = (
            delayed(_draw)(
                path, corpus.face_clips, weights, digests[method], out / "made" / method / f"{name}.mp4", device
            )
            for name, path in corpus.real.items()
        )
        videos: dict[str, Path | str] = {}
        for name, video in zip(corpus.real, Parallel(workers, return_as="generator")(jobs), strict=True):
            videos[name] = video
            on_video(method, name)
        made[method] = videos
    return replace(corpus, made=made)


def _draw(path: Path, is_face_clip: bool, weights: Path, sha256: str, target: Path, device: str) -> Path | str:
    made_of, key = target.with_suffix(".json"), {"weights": sha256, "real": file_identity(path)}
    if target.is_file() and _read(made_of) == key:
        return target
    try:
        clip, track = FaceClip(path.parent, path.stem).read() if is_face_clip else _tracked(path)
        spoken = generated_clip(_loaded(weights, sha256, device), clip, track, device=device)
        frames = clip.frames.copy()  # a face that comes and goes: the other frames stay as they are
        frames[track.start : track.stop] = spoken.frames
        target.parent.mkdir(parents=True, exist_ok=True)
        made_of.unlink(missing_ok=True)  # says no more what is about to be replaced
        write_clip(replace(clip, frames=frames), target, CRF, synthetic_metadata(weights.stem))
    except TfgError as error:
        return str(error)
    temporary = made_of.with_name(f".{made_of.name}.{os.getpid()}.tmp")
    temporary.write_text(json.dumps(key), encoding="utf-8")
    temporary.replace(made_of)
    return target


def _tracked(path: Path) -> tuple[Clip, FaceTrack]:
    video = open_clip(path)
    size = video.n_frames * video.height * video.width * 3
    if size > LARGEST:
        raise MetricError(
            f"{path}: {size / 2**30:.1f} GiB of frames, of which {LARGEST / 2**30:.0f} are held at once; cut the video "
            "into pieces, or give the method's videos as a folder ('tfg dub' makes one of any length)"
        )
    clip = video.read()
    return clip, track_face(clip)


@lru_cache(maxsize=2)
def _loaded(weights: Path, sha256: str, device: str) -> FaceGenerator:
    return load_generator(weights, device)


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
