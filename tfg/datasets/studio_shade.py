"""Colours of the visible pixels of a studio talker: lights, skin, eyes, mouth, hair, cloth.

Skin is wrapped diffuse whose red channel wraps furthest and sees the smoothest normal (the cheap stand-in for light
that scatters under skin), with two specular lobes; creases darken by ambient occlusion taken from the depth buffer.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from tfg.datasets import studio_parts as parts
from tfg.datasets.studio_identity import StudioIdentity
from tfg.datasets.studio_skin import HEIGHT, PER_CM, WIDTH, X0, Y1, SkinMaps, linear


@dataclass(frozen=True)
class Light:
    """Lighting of one frame. Angles in degrees: ``azimuth`` to the right of the picture, ``elevation`` up.

    ``key``, ``fill`` and ``ambient`` are strengths (about 0.9, 0.3, 0.35), ``warmth`` -1 (blue) .. 1 (orange).
    """

    azimuth: float = -30.0
    elevation: float = 35.0
    key: float = 0.9
    fill: float = 0.25
    ambient: float = 0.35
    warmth: float = 0.2

    def direction(self) -> np.ndarray:
        """Unit vector (3,) from the head to the key light."""
        a, e = np.deg2rad(self.azimuth), np.deg2rad(self.elevation)
        return np.array([np.sin(a) * np.cos(e), np.sin(e), np.cos(a) * np.cos(e)], np.float32)


@dataclass(frozen=True)
class Pixels:
    """Visible pixels: unit ``normal`` (P, 3) in view axes, ``texture`` (P, 2), ``place`` (P, 3) head frame in cm,
    ``lit`` (P,) share of the key light that arrives, ``open_sky`` (P,) ambient occlusion, ``material`` (P,)."""

    normal: np.ndarray
    texture: np.ndarray
    place: np.ndarray
    lit: np.ndarray
    open_sky: np.ndarray
    material: np.ndarray


def occlusion(depth: np.ndarray, covered: np.ndarray, scale: float) -> np.ndarray:
    """Ambient occlusion (H, W) in 0..1 from the depth buffer: pixels deeper than their surroundings are darker."""
    mask = covered.astype(np.float32)
    z = np.where(covered, depth, 0).astype(np.float32)
    out = np.ones_like(z)
    for sigma, gain in ((0.22, 1.1), (0.75, 0.42)):
        s = sigma * scale
        around = cv2.GaussianBlur(z, (0, 0), s) / np.maximum(cv2.GaussianBlur(mask, (0, 0), s), 1e-3)
        out *= np.exp(-gain * np.clip(around - z - 0.03, 0, 1.6))
    return out


def _unit(v: np.ndarray) -> np.ndarray:
    return v / np.maximum(np.sqrt((v * v).sum(axis=1, keepdims=True)), 1e-6)


def _sample(image: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Bilinear samples (P, ...) of ``image`` at pixel coordinates."""
    n, width = len(x), 1024  # cv2.remap refuses rows of more than 32766 samples, so the list becomes a rectangle
    where = np.zeros((2, -(-n // width) * width), np.float32)
    where[0, :n], where[1, :n] = x, y
    mx, my = where.reshape(2, -1, width)
    out = cv2.remap(image, mx, my, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    return out.reshape(-1, *image.shape[2:])[:n]


class Shader:
    """Colours for one identity: holds its skin maps and strand noise."""

    def __init__(self, identity: StudioIdentity, skin: SkinMaps, lip: np.ndarray) -> None:
        rng = np.random.default_rng(identity.seed + 55)
        self.identity, self.skin, self.lip = identity, skin, lip
        strands = rng.standard_normal((64, 2048)).astype(np.float32)
        fine = cv2.GaussianBlur(strands, (0, 0), sigmaX=0.8, sigmaY=14)
        coarse = cv2.GaussianBlur(strands, (0, 0), sigmaX=7, sigmaY=20)
        self.strands = 0.65 * fine / fine.std() + 0.45 * coarse / coarse.std()
        weave = rng.standard_normal((256, 256)).astype(np.float32)
        self.weave = cv2.GaussianBlur(weave, (0, 0), 0.8) * 1.2

    def colours(self, p: Pixels, light: Light) -> np.ndarray:
        """Linear RGB float32 (P, 3)."""
        warm = light.warmth
        key = light.key * np.array([1 + 0.16 * warm, 1.0, 1 - 0.20 * warm], np.float32) * 2.2
        fill = light.fill * np.array([1 - 0.08 * warm, 1.0, 1 + 0.14 * warm], np.float32) * 1.6
        to_key = light.direction()
        to_fill = np.array([-np.sign(to_key[0] + 1e-6) * 0.75, 0.15, 0.65], np.float32)
        sky = light.ambient * (0.62 + 0.38 * p.normal[:, 1:2]) * np.array([1.0, 1.0, 1.04], np.float32)
        lights = (key, to_key, fill, to_fill / np.linalg.norm(to_fill), sky)
        out = np.zeros((len(p.material), 3), np.float32)
        for material, shade in (
            (parts.SKIN, self._skin),
            (parts.EYE, self._eye),
            (parts.TEETH, self._teeth),
            (parts.TONGUE, self._tongue),
            (parts.CAVITY, self._tongue),
            (parts.HAIR, self._hair),
            (parts.CLOTH, self._cloth),
        ):
            at = np.flatnonzero(p.material == material)
            if len(at):
                some = Pixels(p.normal[at], p.texture[at], p.place[at], p.lit[at], p.open_sky[at], p.material[at])
                out[at] = shade(some, (*lights[:4], sky[at]))
        out[p.material == parts.LASH] = 0.008
        return out

    def _skin(self, p: Pixels, lights: tuple[np.ndarray, ...]) -> np.ndarray:
        key, to_key, fill, to_fill, sky = lights
        x, y = (p.texture[:, 0] - X0) * PER_CM, (Y1 - p.texture[:, 1]) * PER_CM
        x, y = np.clip(x, 1, WIDTH - 2), np.clip(y, 1, HEIGHT - 2)
        albedo = _sample(self.skin.colour, x, y)
        slope = _sample(self.skin.slope, x, y)
        gloss = _sample(self.skin.gloss, x, y)
        facing = np.clip(p.normal[:, 2:], 0, 1)
        bump = p.normal.copy()
        bump[:, :2] -= slope * 0.42 * facing
        bump = _unit(bump)
        ao = p.open_sky[:, None] ** np.array([0.75, 1.0, 1.05], np.float32)
        light = sky * ao
        for colour, direction, lit in ((key, to_key, p.lit), (fill, to_fill, np.ones_like(p.lit))):
            smooth, sharp = p.normal @ direction, bump @ direction
            wrapped = np.stack(
                [
                    np.clip((0.6 * smooth + 0.4 * sharp + 0.30) / 1.30, 0, 1),
                    np.clip((0.25 * smooth + 0.75 * sharp + 0.14) / 1.14, 0, 1),
                    np.clip((sharp + 0.10) / 1.10, 0, 1),
                ],
                axis=1,
            )
            through = np.stack([lit**0.7, lit, lit], axis=1)
            light = light + colour * wrapped * through * (0.45 + 0.55 * ao) / 2.0
        half = _unit((to_key + np.array([0, 0, 1], np.float32))[None])[0]
        cos = np.clip(bump @ half, 0, 1)
        fresnel = 0.04 + 0.5 * (1 - np.clip(p.normal[:, 2], 0, 1)) ** 4
        shine = (0.10 * cos**10 + 0.16 * cos**38) * gloss * p.lit * p.open_sky
        shine = shine + 0.10 * fresnel * p.open_sky * np.clip(0.4 + 0.6 * p.normal[:, 1], 0, 1)
        return albedo * light + shine[:, None] * key * 0.42

    def _eye(self, p: Pixels, lights: tuple[np.ndarray, ...]) -> np.ndarray:
        key, to_key, _, _, sky = lights
        r = np.hypot(p.texture[:, 0], p.texture[:, 1])
        turn = np.arctan2(p.texture[:, 1], p.texture[:, 0])
        iris, pupil = 0.435, 0.17
        spokes = 0.75 + 0.25 * np.sin(turn * 23 + 4 * np.sin(turn * 7)) * np.clip((r - pupil) / 0.2, 0, 1)
        ring = np.clip((r - pupil) / (iris - pupil), 0, 1)
        colour = linear(self.identity.eye_colour) * 1.15
        limbus = 1 - 0.75 * np.clip((ring - 0.72) / 0.28, 0, 1)
        eye = colour * (spokes * (0.75 + ring * (1 - ring)) * limbus)[:, None]
        white = np.array([0.66, 0.60, 0.57], np.float32) * (1 - 0.30 * np.clip((r - 0.7) / 0.5, 0, 1))[:, None]
        white = white * np.array([1, 0.96, 0.94], np.float32)
        edge = np.clip((r - iris) / 0.04, 0, 1)[:, None]
        out = eye * (1 - edge) + white * edge
        out = out * np.clip((r - pupil) / 0.03, 0.04, 1)[:, None]
        lid = np.clip(0.55 + 0.9 * p.open_sky - 0.45, 0, 1)
        light = sky * 1.2 + key * (np.clip(p.normal @ to_key * 0.6 + 0.4, 0, 1) * (0.4 + 0.6 * p.lit))[:, None] * 0.42
        out = out * light * (lid**1.5)[:, None]
        half = _unit((to_key * [0.8, 0.8, 1] + np.array([0, 0, 1.1], np.float32))[None])[0]
        glint = np.clip(p.normal @ half.astype(np.float32), 0, 1) ** 420
        return out + (glint * 1.3)[:, None] + 0.004

    def _inside(self, p: Pixels) -> np.ndarray:
        """How much light reaches a place behind the lips."""
        deep = self.lip[2] - p.place[:, 2]
        return np.exp(-np.clip(deep - 0.45, 0, 9) * 0.55) * np.clip(0.30 + 0.85 * p.open_sky, 0, 1)

    def _teeth(self, p: Pixels, lights: tuple[np.ndarray, ...]) -> np.ndarray:
        key, to_key, _, _, sky = lights
        s, h = p.texture[:, 0], p.texture[:, 1]
        lower = h > 1.5
        h = np.where(lower, h - 2, h)
        upper_edges = np.array([0.0, 0.235, 0.42, 0.60, 0.76, 0.90, 1.0])
        lower_edges = np.array([0.0, 0.16, 0.33, 0.51, 0.69, 0.86, 1.0])
        at = np.abs(s)
        gap = np.where(
            lower,
            np.abs(at[:, None] - lower_edges).min(axis=1),
            np.abs(at[:, None] - upper_edges).min(axis=1),
        )
        seam = np.clip(gap / 0.016, 0, 1)
        scallop = 0.52 - 0.10 * np.clip(gap / 0.09, 0, 1) ** 0.5
        gum = np.clip((scallop - h) / 0.04, 0, 1)[:, None]
        ivory = np.array([0.70, 0.63, 0.50], np.float32) * (1 - 0.003 * max(self.identity.age - 25, 0))
        tooth = ivory * (0.60 + 0.40 * seam)[:, None] * (0.9 + 0.1 * np.clip((1 - h) * 4, 0, 1))[:, None]
        pink = np.array([0.42, 0.13, 0.12], np.float32)
        colour = tooth * (1 - gum) + pink * gum
        reach = self._inside(p) * np.clip(p.open_sky * 1.25, 0, 1) * (1 - 0.8 * at**2)
        light = sky * 0.9 + key * (np.clip(p.normal @ to_key * 0.5 + 0.5, 0, 1))[:, None] * 0.36
        half = _unit((to_key + np.array([0, 0, 1], np.float32))[None])[0]
        shine = 0.22 * np.clip(p.normal @ half, 0, 1) ** 40 * seam
        return (colour * light + shine[:, None]) * reach[:, None]

    def _tongue(self, p: Pixels, lights: tuple[np.ndarray, ...]) -> np.ndarray:
        key, to_key, _, _, sky = lights
        cavity = (p.material == parts.CAVITY)[:, None]
        colour = np.where(cavity, np.array([0.16, 0.035, 0.03], np.float32), np.array([0.50, 0.17, 0.16], np.float32))
        light = sky + key * np.clip(p.normal @ to_key * 0.6 + 0.4, 0, 1)[:, None] * 0.40
        half = _unit((to_key + np.array([0, 0, 1], np.float32))[None])[0]
        shine = 0.12 * np.clip(p.normal @ half, 0, 1) ** 24 * ~cavity[:, 0]
        return (colour * light + shine[:, None]) * self._inside(p)[:, None] * np.where(cavity, 0.6, 1.0)

    def _hair(self, p: Pixels, lights: tuple[np.ndarray, ...]) -> np.ndarray:
        key, to_key, fill, to_fill, sky = lights
        az, t = p.texture[:, 0], p.texture[:, 1]
        n = _sample(self.strands, (az / (2 * np.pi) + 0.5) * 2040, t * 60)
        colour = linear(self.identity.hair_colour) * (1 + 0.30 * np.clip(n, -2.2, 2.2))[:, None]
        down = np.array([0, -1, 0], np.float32)
        tangent = _unit(down - p.normal * (p.normal @ down)[:, None])
        normal = _unit(p.normal + 0.18 * n[:, None] * np.cross(tangent, p.normal))
        light = sky * p.open_sky[:, None] * 0.9
        shine = np.zeros(len(n), np.float32)
        for colour_l, direction, lit in ((key, to_key, p.lit), (fill, to_fill, np.ones_like(p.lit))):
            wrapped = np.clip((normal @ direction + 0.25) / 1.25, 0, 1) * (0.25 + 0.75 * lit)
            light = light + colour_l * wrapped[:, None] * 0.42
            half = _unit((direction + np.array([0, 0, 1], np.float32))[None])[0]
            along = (tangent + normal * (0.12 + 0.05 * n[:, None])) @ half
            lobe = np.sqrt(np.clip(1 - along**2, 0, 1))
            shine = shine + (0.035 * lobe**60 + 0.05 * lobe**160) * lit * np.clip(1 + 0.6 * n, 0.1, 2) * colour_l.mean()
        curly = 0.3 if self.identity.hair in ("afro", "buzz") else 1.0
        tint = 0.35 + 0.65 * linear(self.identity.hair_colour) / linear(self.identity.hair_colour).max()
        return np.maximum(colour, 0.004) * light + (shine * curly * p.open_sky)[:, None] * tint

    def _cloth(self, p: Pixels, lights: tuple[np.ndarray, ...]) -> np.ndarray:
        key, to_key, fill, to_fill, sky = lights
        n = _sample(self.weave, (p.place[:, 0] * 11) % 250, (p.place[:, 1] * 11) % 250)
        fold = np.sin(p.place[:, 0] * 0.55 + 1.4 * np.sin(p.place[:, 1] * 0.4)) * 0.06
        collar = np.where(p.texture[:, 1] < 0.055, 0.78, 1.0)
        colour = linear(self.identity.clothes) * ((1 + 0.10 * n + fold) * collar)[:, None]
        light = sky * p.open_sky[:, None]
        light = light + key * (np.clip(p.normal @ to_key * 0.85 + 0.15, 0, 1) * p.lit)[:, None] * 0.5
        light = light + fill * np.clip(p.normal @ to_fill, 0, 1)[:, None] * 0.5
        return np.clip(colour, 0.004, 1) * light
