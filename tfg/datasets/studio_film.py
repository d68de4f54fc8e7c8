"""From speech to a clip: articulation, motion and light over time, then the pictures.

Every random choice comes from the entry's seed, so the same entry, speech and identity give the same frames.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfg.clip import Clip
from tfg.datasets.studio_deform import CHANNELS
from tfg.datasets.studio_identity import StudioIdentity
from tfg.datasets.studio_motion import light_course, move
from tfg.datasets.studio_portrait import Portrait
from tfg.datasets.studio_render import Motion, Renderer, Scene
from tfg.datasets.studio_shade import Light
from tfg.datasets.studio_speech import Phone, Speech, articulate, label_frames, viseme_of
from tfg.datasets.studio_truth import StudioClip, StudioTruth
from tfg.errors import DataError

PORTRAIT = "portrait"


def light_and_backdrop(random: np.random.Generator) -> dict[str, Any]:
    """A light and two colours to stand before, as in an entry of the recipe."""
    light = {
        "azimuth": random.uniform(-55, 55), "elevation": random.uniform(10, 50), "key": random.uniform(0.6, 1.0),
        "fill": random.uniform(0.15, 0.4), "ambient": random.uniform(0.25, 0.4), "warmth": random.uniform(-0.4, 0.4),
    }  # fmt: skip
    tint = random.uniform(60, 170, 3)
    return {"light": light, "light_change": 1.0, "scene": {"backdrop": [tint.tolist(), (0.6 * tint).tolist()]}}


def pose_and_camera(random: np.random.Generator) -> dict[str, Any]:
    """A pose, how lively the head is, and a camera, as in an entry of the recipe."""
    return {
        "yaw": random.uniform(-10, 10),
        "pitch": random.uniform(-4, 4),
        "liveliness": random.uniform(0.6, 1.1),
        "scene": {
            "zoom": random.uniform(0.92, 1.12),
            "centre": [0.0, -2.7],
            "noise": random.uniform(0.6, 2.0),
        },
    }


def staging(seed: int) -> dict[str, Any]:
    """Where and how a new clip is filmed: what an entry of the recipe says apart from talker, sentence and voice."""
    random = np.random.default_rng([seed, 9])
    first, second = light_and_backdrop(random), pose_and_camera(random)
    return {"seed": seed, **first, **second, "scene": {**first["scene"], **second["scene"]}}


def animate(
    entry: Mapping[str, Any], phones: Sequence[Phone], times: np.ndarray
) -> tuple[np.ndarray, Motion, list[Light]]:
    """Articulation (T, 9), motion and T lights of an entry of the recipe at ``times`` (T,) seconds."""
    rng = np.random.default_rng(entry["seed"])
    motion = move(rng, phones, times, yaw=entry["yaw"], pitch=entry["pitch"], liveliness=entry["liveliness"])
    lights = light_course(rng, Light(**entry["light"]), len(times), entry["light_change"])
    return articulate(phones, times), motion, lights


def scene(entry: Mapping[str, Any]) -> Scene:
    """What does not move in an entry of the recipe."""
    return Scene(**{**entry["scene"], "seed": entry["seed"]})


def renderer(entry: Mapping[str, Any], identity: StudioIdentity | None) -> Renderer | Portrait:
    """Who draws the frames of an entry; without an identity the portrait speaks."""
    if identity is None:
        return Portrait(seed=entry["seed"])
    return Renderer(identity, scene(entry))


def film(
    entry: Mapping[str, Any],
    identity: StudioIdentity | None,
    speech: Speech,
    articulation: np.ndarray | None = None,
) -> StudioClip:
    """Render ``speech`` as an entry of the recipe stages it; without an identity the portrait speaks.

    :param articulation: ``(T, 9)`` what the mouth does, in place of what the phones ask for.
    :raises DataError: the articulation has another shape than the speech asks for.
    """
    spoken, motion, lights = animate(entry, speech.phones, speech.times)
    mouth = spoken if articulation is None else np.asarray(articulation, np.float64)
    if mouth.shape != spoken.shape:
        raise DataError(
            f"articulation has shape {mouth.shape}; expected {spoken.shape}: a row for each frame of the speech, "
            f"a column for each of {', '.join(CHANNELS)}"
        )
    frames, opening = renderer(entry, identity).render(mouth, motion, lights)
    labels = label_frames(speech.phones, speech.times)
    truth = StudioTruth(
        name=entry.get("name", "new"),
        identity=PORTRAIT if identity is None else identity.name,
        voice=speech.voice,
        text=speech.text,
        split=entry.get("split", "new"),
        phones=speech.phones,
        phoneme=tuple(labels),
        viseme=tuple(viseme_of(label) for label in labels),
        opening=opening,
        articulation=mouth.astype(np.float32),
        rotation=motion.rotation.astype(np.float32),
        blink=motion.blink.astype(np.float32),
    )
    return StudioClip(Clip(frames, speech.audio), truth)
