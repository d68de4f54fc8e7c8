"""Talking-face generation with an audio-visual speech expert, and its scores.

    import tfg
    clip = tfg.read_clip("talk.mp4")
    expert = tfg.load_expert("avhubert-mini")
    audio_feats, video_feats = expert.clip_features(clip)
    tfg.metrics.avs_u(audio_feats, video_feats)

    tfg.score("talk.mp4")          # all of it, or on the command line: tfg score talk.mp4
    tfg.dubbing.dub("face.mp4", "speech.wav", "dubbed.mp4")     # or: tfg dub face.mp4 speech.wav -o dubbed.mp4

The method is that of Yaman et al., *Audio-Visual Speech Representation Expert for Enhanced Talking Face Video
Generation and Evaluation* (CVPR Workshops 2024, arXiv 2405.04327).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tfg import (
        audio,
        crops,
        datasets,
        dubbing,
        errors,
        evaluation,
        experts,
        faces,
        losses,
        media,
        metrics,
        plots,
        rating,
        stress,
        study,
        training,
        widgets,
    )
    from tfg.clip import Clip
    from tfg.crops import mouth_crops, mouth_video
    from tfg.errors import TfgError
    from tfg.experts.expert import load_expert
    from tfg.faces import FaceTrack, track_face, track_faces
    from tfg.generator import Generator, GeneratorConfig, load_generator
    from tfg.media import ClipStream, open_clip, read_clip, write_clip
    from tfg.metrics.report import score

# name -> module: resolved on first use (PEP 562), so that `import tfg` and `tfg --help` do not wait for PyTorch
_NAMES = {
    "Clip": "tfg.clip",
    "ClipStream": "tfg.media",
    "FaceTrack": "tfg.faces",
    "Generator": "tfg.generator",
    "GeneratorConfig": "tfg.generator",
    "TfgError": "tfg.errors",
    "load_expert": "tfg.experts.expert",
    "load_generator": "tfg.generator",
    "mouth_crops": "tfg.crops",
    "mouth_video": "tfg.crops",
    "open_clip": "tfg.media",
    "read_clip": "tfg.media",
    "score": "tfg.metrics.report",
    "track_face": "tfg.faces",
    "track_faces": "tfg.faces",
    "write_clip": "tfg.media",
}
_MODULES = (
    "audio", "crops", "datasets", "dubbing", "errors", "evaluation", "experts", "faces", "losses", "media", "metrics",
    "plots", "rating", "stress", "study", "training", "widgets",
)  # fmt: skip

__all__ = [
    "Clip",
    "ClipStream",
    "FaceTrack",
    "Generator",
    "GeneratorConfig",
    "TfgError",
    "__version__",
    "audio",
    "crops",
    "datasets",
    "dubbing",
    "errors",
    "evaluation",
    "experts",
    "faces",
    "load_expert",
    "load_generator",
    "losses",
    "media",
    "metrics",
    "mouth_crops",
    "mouth_video",
    "open_clip",
    "plots",
    "rating",
    "read_clip",
    "score",
    "stress",
    "study",
    "track_face",
    "track_faces",
    "training",
    "widgets",
    "write_clip",
]


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        value = getattr(import_module(_NAMES[name]), name)
    elif name in _MODULES:
        value = import_module(f"tfg.{name}")
    elif name == "__version__":
        from importlib.metadata import version

        value = version("tfg")
    else:
        raise AttributeError(f"module 'tfg' has no attribute {name!r}")
    globals()[name] = value  # the next access does not come through here
    return value


def __dir__() -> list[str]:
    return __all__
