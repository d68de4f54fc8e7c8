"""How a studio talker's head, lids, brows and eyes move while it speaks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import gaussian_filter1d

from tfg.datasets.studio_render import Motion
from tfg.datasets.studio_shade import Light
from tfg.datasets.studio_speech import Phone

_STRESSED = ("aa", "ao", "ae", "ay", "aw", "ow", "oy", "ey", "iy", "er", "eh")


def _wander(rng: np.random.Generator, n: int, sigma: float) -> np.ndarray:
    """Smooth noise (n,) of unit deviation; ``sigma`` in frames."""
    pad = int(4 * sigma)
    long = gaussian_filter1d(rng.standard_normal(n + 2 * pad), sigma)
    return long[pad : pad + n] * np.sqrt(2 * sigma * np.sqrt(np.pi))


def move(
    rng: np.random.Generator, phones: Sequence[Phone], times: np.ndarray, *, yaw: float, pitch: float, liveliness: float
) -> Motion:
    """Motion at ``times`` (T,) seconds about a mean ``yaw`` and ``pitch`` (degrees); ``liveliness`` about 0.5..1.5.

    The head drifts, dips a little on stressed vowels and lifts the brows on some of them; lids close every one to four
    seconds; the eyes hold the camera with small jumps and turn against the head.
    """
    n = len(times)
    beats = np.zeros(n)
    brow = np.zeros(n)
    for phone in phones:
        if phone.label in _STRESSED and phone.end - phone.start > 0.085 and rng.random() < 0.6:
            at = (phone.start + phone.end) / 2
            beats += rng.uniform(0.5, 1.3) * np.exp(-(((times - at) / 0.11) ** 2))
            if rng.random() < 0.35:
                brow += rng.uniform(0.4, 0.9) * np.exp(-(((times - at) / 0.20) ** 2))
    rotation = np.stack(
        [
            yaw + liveliness * (3.2 * _wander(rng, n, 16) + 0.8 * _wander(rng, n, 5)),
            pitch + liveliness * (1.7 * _wander(rng, n, 14) + 0.4 * _wander(rng, n, 4) + 1.5 * beats),
            liveliness * (1.5 * _wander(rng, n, 18) + 0.3 * _wander(rng, n, 5)),
        ],
        axis=1,
    )
    rotation[:, 0] = np.clip(rotation[:, 0], -20, 20)
    rotation[:, 1] = np.clip(rotation[:, 1], -9, 11)
    shift = 0.35 * liveliness * np.stack([_wander(rng, n, 22), _wander(rng, n, 22)], axis=1)

    blink = np.zeros(n)
    at = rng.uniform(0.2, 1.4)
    while at < times[-1]:
        away = times - at
        blink = np.maximum(blink, np.clip(np.where(away < 0, 1 + away / 0.10, 1.25 - away / 0.16), 0, 1))
        at += rng.uniform(1.2, 3.8)
    gaze = np.zeros((n, 2))
    at, look = 0.0, rng.normal(0, 1.2, 2)
    while at < times[-1]:
        gaze[times >= at] = look
        at += rng.uniform(0.4, 1.6)
        look = rng.normal(0, 2.0, 2)
    gaze = gaze + np.stack([-0.75 * rotation[:, 0], 0.6 * rotation[:, 1]], axis=1)
    return Motion(rotation, shift, blink, np.clip(brow + 0.12 * _wander(rng, n, 20), -0.3, 1.2), gaze)


def light_course(rng: np.random.Generator, base: Light, n: int, change: float) -> list[Light]:
    """``n`` lights that drift from ``base``: ``change`` 0 holds it, 1 swings the key by some 25 degrees."""
    ramp = np.linspace(-0.5, 0.5, n)
    swing, rise, fade = rng.normal(0, 1, 3)
    return [
        Light(
            azimuth=float(base.azimuth + change * 26 * np.sign(swing) * r),
            elevation=float(np.clip(base.elevation + change * 8 * rise * r, 5, 70)),
            key=float(base.key * (1 + change * 0.25 * np.clip(fade, -1.5, 1.5) * r)),
            fill=base.fill,
            ambient=base.ambient,
            warmth=base.warmth,
        )
        for r in ramp
    ]
