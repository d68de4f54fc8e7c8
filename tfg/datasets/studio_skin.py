"""Procedural skin: colour, height and gloss maps painted once per identity.

Maps cover x in [-11, 11] cm and y in [-24, 14] cm of the template face seen from the front, so landmarks of the
template are where brows, lips, nostrils and wrinkles are painted.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from tfg.datasets.studio_identity import StudioIdentity
from tfg.datasets.studio_mesh import BROWS, EYES, LOWER_LIP, UPPER_LIP, template

PER_CM = 24
X0, X1, Y0, Y1 = -11.0, 11.0, -24.0, 14.0
WIDTH, HEIGHT = int((X1 - X0) * PER_CM), int((Y1 - Y0) * PER_CM)


@dataclass(frozen=True)
class SkinMaps:
    """``colour`` float32 (H, W, 3) linear RGB, ``slope`` float32 (H, W, 2) of the height, ``gloss`` float32 (H, W)."""

    colour: np.ndarray
    slope: np.ndarray
    gloss: np.ndarray


def linear(srgb: object) -> np.ndarray:
    """sRGB 0-255 -> linear 0-1 float32 (a plain power of 2.2)."""
    return (np.asarray(srgb, np.float32) / 255) ** 2.2


def to_pixels(xy: np.ndarray) -> np.ndarray:
    """Template centimetres (..., 2) -> pixels of the maps."""
    return np.stack([(xy[..., 0] - X0) * PER_CM, (Y1 - xy[..., 1]) * PER_CM], axis=-1)


def noise(rng: np.random.Generator, sigma: float) -> np.ndarray:
    """Smooth unit-variance noise (H, W), ``sigma`` in pixels."""
    field = cv2.GaussianBlur(rng.standard_normal((HEIGHT, WIDTH)).astype(np.float32), (0, 0), sigma)
    return (field / field.std()).astype(np.float32)


class _Canvas:
    """Masks drawn in template coordinates."""

    def __init__(self) -> None:
        y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
        self.x = X0 + x / PER_CM
        self.y = Y1 - y / PER_CM

    def blob(self, cx: float, cy: float, rx: float, ry: float) -> np.ndarray:
        return np.exp(-(((self.x - cx) / rx) ** 2) - ((self.y - cy) / ry) ** 2)

    def pair(self, cx: float, cy: float, rx: float, ry: float) -> np.ndarray:
        return self.blob(cx, cy, rx, ry) + self.blob(-cx, cy, rx, ry)

    def polygon(self, points: np.ndarray, soft: float) -> np.ndarray:
        mask = np.zeros((HEIGHT, WIDTH), np.float32)
        cv2.fillPoly(mask, [np.round(to_pixels(points) * 16).astype(np.int32)], 1.0, cv2.LINE_AA, 4)
        return cv2.GaussianBlur(mask, (0, 0), soft) if soft else mask

    def strokes(self, lines: list[np.ndarray], thickness: int, soft: float) -> np.ndarray:
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        for line in lines:
            points = np.round(to_pixels(line) * 16).astype(np.int32)
            cv2.polylines(mask, [points], False, 255, thickness, cv2.LINE_AA, 4)
        out = mask.astype(np.float32) / 255
        return cv2.GaussianBlur(out, (0, 0), soft) if soft else out


def _curve(points: list[tuple[float, float]], side: int = 1, jitter: np.ndarray | None = None) -> np.ndarray:
    """A smooth line through three or more points, mirrored for ``side`` -1."""
    p = np.array(points, float)
    if jitter is not None:
        p = p + jitter
    t, s = np.linspace(0, 1, len(p)), np.linspace(0, 1, 24)
    degree = min(2, len(p) - 1)
    xy = np.stack([np.polyval(np.polyfit(t, p[:, i], degree), s) for i in (0, 1)], axis=1)
    return xy * [side, 1]


def _mix(base: np.ndarray, colour: object, amount: np.ndarray) -> np.ndarray:
    a = np.clip(amount, 0, 1)[..., None]
    return base * (1 - a) + np.asarray(colour, np.float32) * a


def _brow_hairs(rng: np.random.Generator, side: int, male: bool, count: int) -> list[np.ndarray]:
    v = template().vertices
    ring = v[BROWS[0 if side < 0 else 1], :2]
    top, bottom = ring[:5], ring[5:][::-1]
    hairs = []
    for _ in range(count):
        s = rng.random() ** 0.9
        h = np.clip(rng.normal(0.5, 0.21 if male else 0.15), 0.05, 0.95)
        i = min(int(s * 4), 3)
        f = s * 4 - i
        up, low = top[i] * (1 - f) + top[i + 1] * f, bottom[i] * (1 - f) + bottom[i + 1] * f
        root = low * (1 - h) + up * h
        if rng.random() < 0.75 * np.clip(1 - s / 0.22, 0, 1) * abs(h - 0.4) * 2:
            continue  # the outer end is thin
        lean = np.array([np.sign(root[0]) * (0.25 + 0.75 * (1 - s)), 0.75 * s - 0.25 * (1 - s) + 0.25 * (0.5 - h)])
        length = rng.uniform(0.22, 0.5)
        hairs.append(np.stack([root, root + lean * length * 0.6, root + lean * length + [0, -0.06]]))
    return hairs


def paint_skin(identity: StudioIdentity) -> SkinMaps:
    """The maps of ``identity``; the same identity gives the same maps."""
    rng = np.random.default_rng(identity.seed + 31)
    c, v = _Canvas(), template().vertices
    skin = linear(identity.skin)
    dark = float(1 - np.clip(skin.mean() / 0.45, 0, 1))
    old = float(np.clip((identity.age - 30) / 40, 0, 1))
    male = identity.sex == "m"
    colour = np.broadcast_to(skin, (HEIGHT, WIDTH, 3)).copy()

    tint = np.array([1.0, 0.55, 0.45], np.float32)
    for sigma, amount in ((38, 0.035), (11, 0.03), (3, 0.03), (1.0, 0.025)):
        field = noise(rng, sigma)[..., None] * amount * (1 + 0.7 * old)
        colour *= 1 + field * np.array([0.6, 1.0, 1.1], np.float32)
    red = 0.30 * c.pair(4.2, -4.0, 2.0, 1.7) + 0.28 * c.blob(0, -3.7, 1.3, 1.0) + 0.14 * c.blob(0, -10.6, 1.5, 1.0)
    red = red + 0.10 * c.pair(1.6, -4.3, 0.6, 0.6)
    red = red * (1 + 0.3 * noise(rng, 16)) * (1 - 0.5 * dark)
    colour *= 1 - np.clip(red, 0, 0.8)[..., None] * (1 - tint) * 0.62
    shade = 0.20 * c.pair(3.1, -1.15, 1.5, 0.5) + 0.14 * c.pair(3.2, 0.75, 1.6, 0.6) + 0.08 * c.blob(0, 6.2, 6, 1.5)
    colour *= 1 - (shade * (0.75 + 0.6 * old))[..., None] * np.array([0.8, 1.0, 0.95], np.float32)

    height = 0.004 * noise(rng, 0.8) + 0.006 * noise(rng, 1.6) + 0.008 * noise(rng, 5)

    # Lips: colour inside the outer ring, vertical creases, a lighter rim above the upper lip.
    outer = np.concatenate([UPPER_LIP[0], LOWER_LIP[0][-2:0:-1]])
    lips = c.polygon(v[outer, :2] * [0.985, 1], 1.6)
    tone = skin * np.array([0.86, 0.55, 0.55]) * (1 - 0.15 * dark) + np.array([0.02, 0.0, 0.004])
    tone = tone * (1 - identity.makeup) + np.array([0.40, 0.055, 0.075]) * (0.55 + 0.45 * skin[0]) * identity.makeup
    creases: np.ndarray = rng.standard_normal((HEIGHT, WIDTH)).astype(np.float32)
    creases = cv2.GaussianBlur(creases, (0, 0), sigmaX=1.1, sigmaY=9)
    creases = creases / creases.std()
    colour = colour * (1 - lips[..., None]) + lips[..., None] * (tone * (1 + 0.03 * creases[..., None]))
    rim = c.polygon(v[outer, :2] * [1.02, 1] + [0, 0.12], 2.0) - lips
    colour *= 1 + 0.10 * np.clip(rim, 0, 1)[..., None]
    height += lips * 0.008 * creases
    height += 0.10 * (c.pair(0.48, -5.6, 0.20, 0.6) - 0.8 * c.blob(0, -5.6, 0.25, 0.6))

    # Nostrils, eye rims, brows.
    hole = np.clip(1.5 * c.pair(0.86, -4.62, 0.34, 0.13), 0, 1)
    colour = _mix(colour, skin * np.array([0.10, 0.05, 0.04]), 0.9 * hole)
    for upper, lower in EYES:
        up, low = v[upper, :2], v[lower, :2]
        line = c.strokes([up], 2, 1.3)
        colour = _mix(colour, skin * 0.12, line * (0.55 + 0.6 * identity.makeup) * (1.0 if not male else 0.7))
        colour = _mix(colour, skin * np.array([0.80, 0.5, 0.45]), c.strokes([low], 2, 1.5) * 0.5)
        crease = up[1:-1] + np.array([0, 0.42])
        mask = c.strokes([crease], 2, 2.2)
        colour *= 1 - 0.45 * np.clip(mask * 2, 0, 1)[..., None] * np.array([0.8, 1.0, 1.0], np.float32)
        height -= mask * 0.20
    hair = linear(identity.hair_colour)
    brow_colour = hair * min(0.8, 0.22 * float(skin.mean() / hair.mean())) + skin * 0.03
    for side in (-1, 1):
        hairs = _brow_hairs(rng, side, male, 420 if male else 300)
        patch = c.strokes(hairs, 1, 0.9)
        colour = _mix(colour, brow_colour, 0.75 * cv2.GaussianBlur(patch, (0, 0), 4))
        colour = _mix(colour, brow_colour, patch * (0.85 if male else 0.75))

    # Beard shadow or stubble.
    if identity.stubble > 0:
        chin, jaws, moustache = c.blob(0, -10.2, 5.2, 2.8), c.pair(5.4, -7.2, 1.5, 3.0), c.blob(0, -5.9, 2.4, 0.6)
        area = np.clip(1.5 * chin + 1.2 * jaws + 1.4 * moustache, 0, 1)
        area *= 1 - lips
        area *= 1 - np.clip(1.6 * c.pair(1.8, -9.1, 0.9, 0.8), 0, 1) * 0.5
        dots = np.clip(noise(rng, 0.7) - 0.35, 0, 1)
        beard = area * identity.stubble
        colour = _mix(colour, skin * np.array([0.42, 0.44, 0.46]), 0.42 * beard)
        colour = _mix(colour, brow_colour * 0.8 + 0.15 * hair, beard * dots * 0.8)
    if identity.freckles > 0:
        spots = np.clip(noise(rng, 1.7) - 1.35, 0, 1) * (c.pair(3.2, -2.9, 2.6, 1.6) + c.blob(0, -2.2, 2.2, 1.6) + 0.25)
        colour = _mix(colour, skin * np.array([0.55, 0.36, 0.26]), spots * identity.freckles * 1.8)
    for _ in range(int(rng.integers(1, 4))):
        x, y = rng.uniform(-6, 6), rng.uniform(-10, 4)
        colour = _mix(colour, skin * np.array([0.35, 0.25, 0.22]), 1.2 * c.blob(x, y, 0.09, 0.08) * (1 - lips))

    # Wrinkles by age.
    lines: list[tuple[list[np.ndarray], float]] = []
    for side in (-1, 1):
        lines.append(([_curve([(1.95, -4.1), (2.9, -5.6), (3.35, -7.6)], side)], 0.25 + 0.75 * old))
        lines.append(([_curve([(2.0, -0.9), (2.9, -1.45), (4.2, -1.05)], side)], 0.25 + 0.75 * old))
        fans = [[(4.9, 0.25 - 0.35 * k), (5.6, 0.35 - 0.55 * k), (6.2, 0.45 - 0.75 * k)] for k in range(3)]
        crow = [_curve(fan, side) for fan in fans]
        lines.append((crow, 0.85 * old))
        lines.append(([_curve([(2.75, -7.6), (3.05, -8.5), (3.0, -9.3)], side)], 0.7 * old))
        lines.append(([_curve([(0.5, 1.2), (0.62, 1.9), (0.5, 2.7)], side)], 0.6 * old))
    for k in range(3):
        shift = rng.normal(0, 0.12, (5, 2)) * [0, 1]
        heights = (3.0 + 0.75 * k, 3.25 + 0.8 * k, 3.15 + 0.8 * k, 3.25 + 0.8 * k, 3.0 + 0.75 * k)
        base = list(zip((-4.2, -2.0, 0.0, 2.0, 4.2), heights, strict=True))
        lines.append(([_curve(base, 1, shift)], 0.8 * old))
    for curves, deep in lines:
        if deep > 0.02:
            groove = 1.6 * c.strokes(curves, 2, 4.0) + 0.4 * c.strokes(curves, 1, 1.6)
            height -= groove * 0.15 * deep
            colour *= 1 - 0.13 * deep * np.clip(groove, 0, 1)[..., None]
    colour = _mix(colour, skin * np.array([1.0, 0.50, 0.45]), identity.makeup * 0.22 * c.pair(4.7, -3.7, 1.7, 1.2))
    # The scalp takes the hair's colour towards the hairline, so that the hair does not start at a hard edge.
    scalp = np.clip((c.y - 6.6 - 0.25 * noise(rng, 6) + 0.09 * c.x**2) / 1.6, 0, 1)
    colour = _mix(colour, hair * 0.7 + skin * 0.15, scalp * (0.10 if identity.hair == "bald" else 0.75))

    gloss = 0.55 + 0.35 * c.blob(0, -2.5, 1.3, 3.0) + 0.25 * c.blob(0, 3.5, 4, 1.8) + 0.2 * c.pair(4.0, -2.8, 1.6, 1.0)
    gloss = gloss * (1 + 0.12 * noise(rng, 2)) * (1 - 0.25 * old)
    gloss = gloss * (1 - lips) + lips * (0.9 + 0.9 * identity.makeup)
    gloss *= 1 - hole
    dx = cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=3) / 8 * PER_CM
    dy = -cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=3) / 8 * PER_CM
    return SkinMaps(
        np.clip(colour, 0.002, 1).astype(np.float32),
        np.stack([dx, dy], axis=-1).astype(np.float32),
        np.clip(gloss, 0, 2).astype(np.float32),
    )
