"""Any number of further studio clips: new talkers, new sentences, for training only.

The embedded clips are few because they are shipped; the renderer has no such limit. Clip ``i`` of a crowd depends on
``(seed, i)`` alone: a talker (one in three is a training talker of the embedded clips, the others are new and never one
of its test talkers), a sentence from a small grammar, a voice, a light, a pose. Speech needs flite, as
:mod:`tfg.datasets.studio_make` does.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tfg.clip import Clip
from tfg.datasets import studio
from tfg.datasets.studio_identity import StudioIdentity
from tfg.datasets.studio_make import render
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
    light = {
        "azimuth": random.uniform(-55, 55), "elevation": random.uniform(10, 50), "key": random.uniform(0.6, 1.0),
        "fill": random.uniform(0.15, 0.4), "ambient": random.uniform(0.25, 0.4), "warmth": random.uniform(-0.4, 0.4),
    }  # fmt: skip
    tint = random.uniform(60, 170, 3)
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
        "yaw": random.uniform(-10, 10),
        "pitch": random.uniform(-4, 4),
        "liveliness": random.uniform(0.6, 1.1),
        "light": light,
        "light_change": 1.0,
        "scene": {
            "zoom": random.uniform(0.92, 1.12),
            "centre": [0.0, -2.7],
            "backdrop": [tint.tolist(), (0.6 * tint).tolist()],
            "noise": random.uniform(0.6, 2.0),
        },
    }
    return described, identity


def make(number: int, seed: int = 0) -> Clip:
    """Render clip ``number`` of the crowd (about 0.1 s a frame on one core).

    :raises DataError: a negative number, or flite is not installed.
    """
    if number < 0:
        raise DataError(f"clip number is {number}; expected 0, 1, 2, ...")
    described, identity = entry(number, seed)
    return render(described, identity).clip
