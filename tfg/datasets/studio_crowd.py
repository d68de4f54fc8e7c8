"""Any number of further studio clips: new talkers, new sentences, for training only.

The embedded clips are few because they are shipped; the renderer has no such limit. Clip ``i`` of a crowd depends on
``(seed, i)`` alone: a talker (one in three is a training talker of the embedded clips, the others are new and never one
of its test talkers), a sentence from a small grammar, a voice, a light, a pose. Speech needs flite
(:mod:`tfg.datasets.studio_voice`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tfg.clip import Clip
from tfg.datasets import studio
from tfg.datasets.studio_film import film, light_and_backdrop, pose_and_camera
from tfg.datasets.studio_identity import StudioIdentity
from tfg.datasets.studio_voice import Voice, say
from tfg.errors import DataError

_WORDS = {
    "who": "Bob|my mother|the farmer|a young woman|our teacher|the baker|five people|Paul|the girl|a fat puppy|Mary|he",
    "did": "saw|bought|moved|washed|painted|found|brought|chose|threw away|opened|left|sold|fed|followed|phoned about",
    "which": "the big|a small|my old|the brown|this warm|the smooth|your new|a cheap|the purple|the wet|that long|no",
    "what": "boat|lamp|apple|house|fish|shoe|window|bottle|zebra|map|watch|mushroom|coffee pot|river|thumb|juice|voice",
    "where": "above the shop|by the sea|near the farm|under the bridge|in the room|over the road|at home|from far away",
    "when": "today|before lunch|every morning|on Tuesday|last week|after five|too early|while it rained|for a month",
}
_VOICES = {"f": ("slt",), "m": ("rms", "awb")}


def sentence(random: np.random.Generator) -> str:
    """A sentence of 2 to 3 seconds that has not to make sense: ``who did which what (where | when)``."""
    ending = "where" if random.random() < 0.5 else "when"
    words = [str(random.choice(_WORDS[part].split("|"))) for part in ("who", "did", "which", "what", ending)]
    text = " ".join(words)
    return text[0].upper() + text[1:] + "."


def entry(number: int, seed: int) -> tuple[dict[str, Any], StudioIdentity]:
    """Clip ``number`` of the crowd: an entry as in the studio's recipe, and its talker."""
    random = np.random.default_rng([seed, number])
    if number % 3 == 0:
        train = sorted({c["identity"] for c in studio.recipe()["clips"] if c["split"] == "train"})
        identity = StudioIdentity.from_json(studio.recipe()["identities"][str(random.choice(train))])
    else:
        identity = StudioIdentity.random(10_000 + 1_000_000 * seed + number)
    look = light_and_backdrop(random)
    described = {
        "name": f"crowd{seed}-{number:04d}",
        "identity": identity.name,
        "text": sentence(random),
        "voice": {
            "voice": str(random.choice(_VOICES[identity.sex])),
            "stretch": float(np.round(random.uniform(0.9, 1.2), 2)),
            "size": float(np.round(random.uniform(0.92, 1.08), 2)),
        },
        "seed": int(random.integers(1_000, 1_000_000)),
    }
    pose = pose_and_camera(random)
    return {**described, **look, **pose, "scene": {**look["scene"], **pose["scene"]}}, identity


def make(number: int, seed: int = 0) -> Clip:
    """Render clip ``number`` of the crowd (about 0.1 s a frame on one core).

    :raises DataError: a negative number, or flite is not installed.
    """
    if number < 0:
        raise DataError(f"clip number is {number}; expected 0, 1, 2, ...")
    described, identity = entry(number, seed)
    speech = say(described["text"], Voice(**described["voice"]), described["seed"])
    return film(described, identity, speech).clip
