"""Training clips, varied: another framing, another light, mirrored. Few talkers then serve for more faces than they
have, and the generator learns not to count on lips that always lie in the same rows of its square.

One draw serves a whole clip: what changes is who seems to speak, not how. Sound, lips and their synchrony stay.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from tfg.clip import Clip
from tfg.faces import FaceTrack
from tfg.generator_inputs import FaceGenerator
from tfg.warps import Float64


@dataclass(frozen=True)
class Variation:
    """Ranges; a draw is uniform in ``[-range, range]`` around "no change". All zeros: the clip as it is."""

    mirror: bool  # every other clip
    shift: float  # of the square, share of its side; so much that the upper lip stays hidden
    scale: float  # of the square, share
    stretch: float  # share by which its width changes against its height: narrower and wider faces
    gamma: float  # exponent 2 ** draw: darker or lighter mid-tones
    tint: float  # share by which each of red, green and blue is made weaker or stronger

    def __bool__(self) -> bool:
        return any(asdict(self).values())


NONE = Variation(mirror=False, shift=0.0, scale=0.0, stretch=0.0, gamma=0.0, tint=0.0)


def varied(
    clip: Clip, track: FaceTrack, generator: FaceGenerator, how: Variation, random: np.random.Generator
) -> tuple[Clip, FaceTrack, Float64]:
    """A clip, its track, and where the generator's square lies in it, ``(T, 4)``, after one draw."""
    if random.random() < 0.5 and how.mirror:
        clip, track = mirrored(clip, track)
    if how.gamma or how.tint:
        levels = _levels(how, random)
        clip = replace(clip, frames=np.stack([cv2.LUT(frame, levels) for frame in clip.frames]))
    boxes = generator.boxes(track)
    side = boxes[:, 2:] - boxes[:, :2]
    centre = (boxes[:, 2:] + boxes[:, :2]) / 2 + side * how.shift * random.uniform(-1, 1, 2)
    grow = (1 + how.scale * random.uniform(-1, 1)) * np.array([1 + how.stretch * random.uniform(-1, 1), 1])
    return clip, track, np.concatenate([centre - side * grow / 2, centre + side * grow / 2], axis=1)


def mirrored(clip: Clip, track: FaceTrack) -> tuple[Clip, FaceTrack]:
    """Left and right exchanged, in the pictures and in the numbering of the 68 landmarks."""
    landmarks = track.landmarks[:, _MIRROR_IMAGE].copy()
    landmarks[..., 0] = clip.width - 1 - landmarks[..., 0]
    frames = np.ascontiguousarray(clip.frames[:, :, ::-1])
    return replace(clip, frames=frames), replace(track, landmarks=landmarks)


#: Of each of the 68 points, the one that lies in its place in a mirror.
_MIRROR_IMAGE = [
    *range(16, -1, -1),  # jaw
    *range(26, 16, -1),  # brows
    *range(27, 31), *range(35, 30, -1),  # nose
    45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40,  # eyes
    *range(54, 47, -1), *range(59, 54, -1),  # outer lips
    *range(64, 59, -1), *range(67, 64, -1),  # inner lips
]  # fmt: skip


def _levels(how: Variation, random: np.random.Generator) -> NDArray[np.uint8]:
    """``uint8 (256, 1, 3)``: what each level of red, green and blue becomes."""
    level = (np.arange(256)[:, None] / 255) ** 2.0 ** (how.gamma * random.uniform(-1, 1))
    level = level * (1 + how.tint * random.uniform(-1, 1, 3))
    return np.asarray((255 * level).round().clip(0, 255), np.uint8)[:, None]
