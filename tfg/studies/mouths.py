"""Do rendered mouths move as real ones do? The same tracker looks at studio clips and at GRID."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfg.clip import FPS, SAMPLES_PER_FRAME, Clip
from tfg.datasets import studio
from tfg.faces import FaceTrack, track_face
from tfg.studies.setup import KNOWN, UNSEEN, Setup, Talk

CLIPS = 24
STUDIO = "studio"


def measure(setup: Setup) -> tuple[dict[str, Any], dict[str, int]]:
    """Per set of clips: a list of :func:`motion`, one per clip."""
    rendered = [name for name in studio.names() if studio.entry(name)["identity"] != "portrait"]
    talks = {STUDIO: [_talk(name) for name in rendered]}
    for part in (KNOWN, UNSEEN):
        talks[part] = setup.videos(part, CLIPS)
    figures = {part: [motion(talk.clip, talk.track) for talk in some] for part, some in talks.items()}
    return figures, {part: len(some) for part, some in talks.items()}


def motion(clip: Clip, track: FaceTrack) -> dict[str, float]:
    """How a mouth and a head move, by the tracked landmarks. Lengths are in distances of the outer eye corners.

    ``widest``: 95th percentile of the opening; ``speed``: mean change of the opening per second, over ``widest``;
    ``loudness``: correlation of the opening with the level of the sound (dB) in the same frames;
    ``head``: mean speed of the point between the eyes per second.
    """
    opening = track.mouth_opening.astype(np.float64)
    frames = clip.audio.reshape(-1, SAMPLES_PER_FRAME)[track.start : track.stop].astype(np.float64)
    level = 10 * np.log10((frames**2).mean(axis=1) + 1e-7)
    eyes = track.landmarks[:, [36, 45]].astype(np.float64)
    middle, distance = eyes.mean(axis=1), np.linalg.norm(eyes[:, 0] - eyes[:, 1], axis=1).mean()
    widest = float(np.percentile(opening, 95))
    return {
        "widest": widest,
        "speed": float(np.abs(np.diff(opening)).mean() * FPS / widest),
        "loudness": float(np.corrcoef(opening, level)[0, 1]),
        "head": float(np.linalg.norm(np.diff(middle, axis=0), axis=1).mean() * FPS / distance),
    }


def _talk(name: str) -> Talk:
    clip = studio.read(name)
    return Talk(name, clip, track_face(clip))
