"""Who a studio talker is: shape, skin, hair, age and clothes, as plain numbers that a json recipe can hold."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

HAIR_STYLES = ("bald", "buzz", "short", "side", "afro", "bob", "fringe", "long", "bun")

# sRGB skin tones from light to dark; random identities mix neighbours.
SKIN_TONES = (
    (246, 213, 191),
    (236, 193, 165),
    (222, 172, 138),
    (198, 142, 104),
    (164, 110, 78),
    (128, 82, 58),
    (98, 64, 48),
)
HAIR_COLOURS = ((28, 22, 20), (58, 38, 26), (98, 64, 38), (150, 110, 66), (200, 164, 104), (120, 52, 28))
EYE_COLOURS = ((70, 42, 24), (96, 64, 34), (92, 104, 62), (92, 110, 124), (108, 116, 116))
SHAPE_NAMES = (
    "width",
    "jaw",
    "chin",
    "nose_width",
    "nose_length",
    "nose_depth",
    "eye_size",
    "eye_spacing",
    "lip_thickness",
    "mouth_width",
    "cheeks",
    "brow_height",
)


@dataclass(frozen=True)
class StudioIdentity:
    """One talker. ``shape`` holds standard deviations (about -2..2) for :data:`SHAPE_NAMES`; colours are sRGB 0-255.

    ``sex`` is 'f' or 'm' (neck, brows, stubble), ``age`` in years (wrinkles, grey hair), ``stubble``, ``freckles``
    and ``makeup`` in 0..1, ``strength`` scales how far the mouth moves, ``seed`` fixes everything else.
    """

    name: str
    sex: str
    age: int
    skin: tuple[int, int, int]
    hair: str
    hair_colour: tuple[int, int, int]
    eye_colour: tuple[int, int, int]
    clothes: tuple[int, int, int]
    shape: dict[str, float] = field(default_factory=dict)
    stubble: float = 0.0
    freckles: float = 0.0
    makeup: float = 0.0
    strength: float = 1.0
    seed: int = 0

    @classmethod
    def random(cls, seed: int) -> StudioIdentity:
        """A new talker; the same ``seed`` gives the same talker."""
        rng = np.random.default_rng(seed)
        sex = "fm"[rng.integers(2)]
        age = int(rng.integers(20, 72))
        tone = rng.uniform(0, len(SKIN_TONES) - 1)
        low, mix = int(tone), tone - int(tone)
        high = min(low + 1, len(SKIN_TONES) - 1)
        skin = np.array(SKIN_TONES[low]) * (1 - mix) + np.array(SKIN_TONES[high]) * mix
        skin = skin + rng.normal(0, 3, 3)
        dark = tone > 3.5
        afro = 1.5 if dark else 0.1
        if sex == "m":
            chances = {"bald": 0.8, "buzz": 1.0, "short": 2.0, "side": 2.0, "afro": afro}
        else:
            chances = {"side": 0.6, "bob": 1.0, "fringe": 1.0, "long": 2.0, "bun": 1.6, "afro": afro}
        weights = np.array(list(chances.values()))
        hair = np.array(HAIR_COLOURS[rng.integers(2 if dark else len(HAIR_COLOURS))], float)
        hair = hair + (np.array([176, 174, 172]) - hair) * np.clip((age - 42) / 26, 0, 0.9) * rng.uniform(0.2, 1)
        return cls(
            name=f"random-{seed}",
            sex=sex,
            age=age,
            skin=_rgb(skin),
            hair=str(rng.choice(list(chances), p=weights / weights.sum())),
            hair_colour=_rgb(hair),
            eye_colour=EYE_COLOURS[rng.integers(2 if dark else len(EYE_COLOURS))],
            clothes=_rgb(rng.uniform(30, 170) + rng.normal(0, 28, 3)),
            shape={name: float(np.clip(rng.normal(), -1.8, 1.8)) for name in SHAPE_NAMES},
            stubble=float(rng.uniform(0.1, 0.8)) if sex == "m" else 0.0,
            freckles=float(rng.uniform(0, 0.6)) if tone < 2 and rng.random() < 0.4 else 0.0,
            makeup=float(rng.uniform(0, 0.8)) if sex == "f" else 0.0,
            strength=float(rng.uniform(0.85, 1.15)),
            seed=int(seed),
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values; :meth:`from_json` reads them back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> StudioIdentity:
        """Inverse of :meth:`to_json`."""
        colours = {key: _rgb(np.array(data[key])) for key in ("skin", "hair_colour", "eye_colour", "clothes")}
        return cls(**{**data, **colours})


def _rgb(values: np.ndarray) -> tuple[int, int, int]:
    r, g, b = (int(v) for v in np.clip(np.round(values), 0, 255))
    return r, g, b
