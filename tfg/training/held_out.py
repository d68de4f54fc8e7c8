"""How good a generator is on clips that it was not trained on: sync by both experts, pictures against the real ones.

The face is tracked in the real clip alone: with one alignment for real and generated frames, differences between two
generators are theirs. Frames are compared over the generator's square.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track as progress

from tfg.clip import Clip
from tfg.crops import face_crops, generator_boxes, mouth_crops
from tfg.datasets.face_clips import FaceClip
from tfg.errors import MetricError
from tfg.experts.expert import AVHubertExpert, SyncNetExpert
from tfg.faces import FaceTrack
from tfg.generated import generated_clip, put_back
from tfg.generator_inputs import FaceGenerator
from tfg.metrics.image import psnr, ssim
from tfg.metrics.report import lse_face
from tfg.metrics.sync import MIN_SHIFT, avs_m, avs_u, avs_v, chance_level, sync_auc

SQUARE = 96  # pixels, at which pictures are compared whatever the generator's size
SHORTEST = 2 * MIN_SHIFT  # frames of a clip that has a chance level
KEYS = ("avs_u", "avs_u_auc", "avs_m", "avs_v", "lse_c", "lse_d", "offset", "ssim", "psnr", "mouth_motion")
Row = dict[str, float]


@dataclass(frozen=True, eq=False)
class RealClip:
    """A held-out clip with all that is compared with it."""

    name: str
    clip: Clip
    track: FaceTrack
    audio: NDArray[np.float32]
    mouth: NDArray[np.uint8]
    seen: NDArray[np.float32]
    both: NDArray[np.float32]
    square: NDArray[np.uint8]

    @classmethod
    def of(cls, face_clip: FaceClip, hubert: AVHubertExpert) -> RealClip:
        """Of a prepared clip.

        :raises MetricError: it is too short for the figures.
        """
        if face_clip.frames < SHORTEST:
            raise MetricError(
                f"{face_clip.path}: {face_clip.frames} frames; expected at least {SHORTEST} of a held-out clip, since "
                f"chance is taken over sounds moved by {MIN_SHIFT} frames or more either way: leave it out"
            )
        return cls.measured(face_clip.name, *face_clip.read(), hubert)

    @classmethod
    def measured(cls, name: str, clip: Clip, track: FaceTrack, hubert: AVHubertExpert) -> RealClip:
        """Of any clip; the track covers all of it."""
        audio, mouth = hubert.inputs(clip, track)
        square = face_crops(clip, track, generator_boxes(track), SQUARE)
        seen, both = hubert.encode(mouth=mouth), hubert.encode(audio=audio, mouth=mouth)
        return cls(name, clip, track, audio, mouth, seen, both, square)


def clip_figures(made: Clip, real: RealClip, hubert: AVHubertExpert, syncnet: SyncNetExpert) -> Row:
    """Of one clip: ``made`` shows the same frames as the real one, with the same sound. Keys: :data:`KEYS`.

    ``mouth_motion``: mean absolute change of the mouth crop from frame to frame, as a share of the real clip's. Lips
    that stand still can look like the average of all lips; this number tells.
    """
    mouth = mouth_crops(made, real.track)
    heard, lips = hubert.encode(audio=real.audio), hubert.encode(mouth=mouth)
    both = hubert.encode(audio=real.audio, mouth=mouth)
    square = face_crops(made, real.track, generator_boxes(real.track), SQUARE)
    found = lse_face(made, syncnet, real.track)
    return {
        "avs_u": float(avs_u(heard, lips)),
        "avs_u_chance": float(chance_level(avs_u, heard, lips)),
        "avs_u_auc": sync_auc(heard, lips),
        "avs_m": float(avs_m(both, real.both)),
        "avs_v": float(avs_v(lips, real.seen)),
        "avs_v_chance": float(chance_level(avs_v, lips, real.seen)),
        "lse_c": found.lse_c,
        "lse_d": found.lse_d,
        "offset": float(found.offset),
        "ssim": float(ssim(square, real.square).mean()),
        "psnr": float(np.minimum(psnr(square, real.square), 100).mean()),
        "mouth_motion": _motion(mouth) / _motion(real.mouth),
    }


def _motion(mouth: NDArray[np.uint8]) -> float:
    return float(np.abs(np.diff(mouth.astype(np.float32), axis=0)).mean())


def generator_figures(
    generator: FaceGenerator,
    clips: Sequence[RealClip],
    hubert: AVHubertExpert,
    syncnet: SyncNetExpert,
    device: torch.device | str = "cpu",
) -> dict[str, Row]:
    """Clip -> figures of the clip as the generator speaks it, from its own sound."""
    return _figures(
        lambda real: generated_clip(generator, real.clip, real.track, device=device), clips, hubert, syncnet
    )


def ceiling_figures(clips: Sequence[RealClip], hubert: AVHubertExpert, syncnet: SyncNetExpert) -> dict[str, Row]:
    """Clip -> figures of the real clip itself: what a perfect generator would get."""
    return _figures(lambda real: real.clip, clips, hubert, syncnet)


def still_clip(real: RealClip) -> Clip:
    """The clip with a mouth that does not move: the face of the frame with the most closed lips in the lower half of
    every frame."""
    best = int(np.argmin(real.track.mouth_opening))
    still = np.repeat(real.square[best : best + 1], len(real.square), 0)
    half = SQUARE // 2
    faces = np.concatenate([real.square[:, :half], still[:, half:]], axis=1)
    return put_back(real.clip, real.track, generator_boxes(real.track), faces)


def still_figures(clips: Sequence[RealClip], hubert: AVHubertExpert, syncnet: SyncNetExpert) -> dict[str, Row]:
    """Clip -> figures of :func:`still_clip`: what a generator gets that ignores the sound."""
    return _figures(still_clip, clips, hubert, syncnet)


def _figures(
    make: Callable[[RealClip], Clip], clips: Iterable[RealClip], hubert: AVHubertExpert, syncnet: SyncNetExpert
) -> dict[str, Row]:
    shown = progress(list(clips), description="held-out clips")
    return {real.name: clip_figures(make(real), real, hubert, syncnet) for real in shown}


def mean_figures(rows: dict[str, Row]) -> Row:
    """Means over clips; ``offset`` becomes the share of clips within one frame of 0."""
    values = list(rows.values())
    found = {key: float(np.mean([row[key] for row in values])) for key in values[0] if key != "offset"}
    return found | {"offset_within_1": float(np.mean([abs(row["offset"]) <= 1 for row in values]))}
