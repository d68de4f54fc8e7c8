"""Frames of a studio talker: a function of (identity, articulation, motion, light).

    head = Renderer(StudioIdentity.random(1))
    frames, opening = head.render(articulation, motion, lights)

Rendered in software at twice the size, z-buffered, shaded per pixel, with a shadow map of the key light.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from tfg.datasets.studio_deform import CHANNELS
from tfg.datasets.studio_head import Head
from tfg.datasets.studio_identity import StudioIdentity
from tfg.datasets.studio_parts import CAVITY, HAIR
from tfg.datasets.studio_raster import interpolate, rasterise, vertex_normals
from tfg.datasets.studio_shade import Light, Pixels, Shader, occlusion
from tfg.datasets.studio_skin import linear, paint_skin
from tfg.errors import DataError

SIZE = 256
SUPER = 2
CAMERA_DISTANCE = 75.0
NECK_PIVOT = np.array([0.0, -10.0, -6.5])
SHADOW_SIZE = 420
SHADOW_TAPS = (
    (0.0, 0.0), (2.2, 0.6), (-2.0, 1.2), (0.7, -2.3), (-0.9, 2.6), (3.4, -1.6), (-3.2, -2.0), (1.6, 3.4), (-1.5, -3.6),
)  # fmt: skip


@dataclass(frozen=True)
class Motion:
    """How the head moves, one row per frame.

    ``rotation`` (T, 3) degrees: yaw (positive turns the face to the right of the picture), pitch (positive looks
    down), roll (positive tilts clockwise); ``shift`` (T, 2) cm; ``blink`` (T,) and ``brow`` (T,) 0..1;
    ``gaze`` (T, 2) degrees right and up, relative to the head.
    """

    rotation: np.ndarray
    shift: np.ndarray
    blink: np.ndarray
    brow: np.ndarray
    gaze: np.ndarray

    @property
    def n_frames(self) -> int:
        """T."""
        return len(self.rotation)


@dataclass(frozen=True)
class Scene:
    """What does not move.

    ``zoom`` (1 shows 30 cm), ``centre`` (2,) cm of the head shown in the middle, ``backdrop`` two sRGB colours,
    ``noise`` standard deviation of the camera noise in grey levels, ``seed`` of backdrop and noise.
    """

    zoom: float = 1.0
    centre: tuple[float, float] = (0.0, -2.7)
    backdrop: tuple[tuple[int, int, int], tuple[int, int, int]] = ((120, 128, 136), (70, 76, 84))
    noise: float = 1.2
    seed: int = 0


def rotation_matrix(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """(3, 3) matrix of :class:`Motion`'s angles (degrees)."""
    a, b, c = np.deg2rad([yaw, pitch, roll])
    ry = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    rx = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    rz = np.array([[np.cos(c), np.sin(c), 0], [-np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return rz @ ry @ rx


def backdrop(scene: Scene) -> np.ndarray:
    """Out-of-focus room behind the talker: linear RGB float32 (SIZE, SIZE, 3)."""
    rng = np.random.default_rng(scene.seed + 900)
    top, bottom = linear(scene.backdrop[0]), linear(scene.backdrop[1])
    ramp = np.linspace(0, 1, SIZE, dtype=np.float32)[:, None, None]
    image: np.ndarray = np.broadcast_to(top * (1 - ramp) + bottom * ramp, (SIZE, SIZE, 3)).copy()
    for _ in range(int(rng.integers(3, 9))):
        x, y = rng.integers(-30, SIZE, 2)
        w, h = rng.integers(20, 120, 2)
        tone = (image.mean(axis=(0, 1)) * rng.uniform(0.45, 1.7) * rng.uniform(0.85, 1.15, 3)).astype(np.float32)
        layer = image.copy()
        cv2.rectangle(layer, (int(x), int(y)), (int(x + w), int(y + h)), tone.tolist(), -1)
        image = image * 0.35 + layer * 0.65
    image = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(7, 13)))
    yy, xx = np.mgrid[0:SIZE, 0:SIZE] / SIZE - 0.5
    return (image * (1 - 0.5 * (xx**2 + yy**2))[..., None]).astype(np.float32)


class Renderer:
    """Draws one identity. Building takes about half a second, a frame about 0.1 s on one core."""

    def __init__(self, identity: StudioIdentity, scene: Scene | None = None) -> None:
        self.identity = identity
        self.scene = scene or Scene()
        self.head = Head(identity)
        self._shader = Shader(identity, paint_skin(identity), self.head.rest[13])
        self._backdrop = backdrop(self.scene)

    def render(
        self, articulation: np.ndarray, motion: Motion, lights: Sequence[Light]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Frames uint8 (T, 256, 256, 3) RGB and the mouth's opening float32 (T,) (see :meth:`Head.pose`).

        ``articulation`` float (T, 9) in the order of :data:`CHANNELS`; one light per frame.
        """
        n = motion.n_frames
        if articulation.shape != (n, len(CHANNELS)) or len(lights) != n:
            raise DataError(
                f"a render of {n} motion frames needs articulation of shape ({n}, {len(CHANNELS)}) and {n} lights, "
                f"found {articulation.shape} and {len(lights)}: sample all three at the same frame times"
            )
        frames = np.empty((n, SIZE, SIZE, 3), np.uint8)
        opening = np.empty(n, np.float32)
        for t in range(n):
            frames[t], opening[t] = self.frame(articulation[t], motion, t, lights[t])
        return frames, opening

    def frame(self, articulation: np.ndarray, motion: Motion, t: int, light: Light) -> tuple[np.ndarray, float]:
        """One frame uint8 (256, 256, 3) RGB, and the mouth's opening."""
        head = self.head
        blink, brow = float(motion.blink[t]), float(motion.brow[t])
        local, opening = head.pose(articulation, blink=blink, brow=brow, gaze=motion.gaze[t])
        turn = rotation_matrix(*motion.rotation[t])
        moved = (local - NECK_PIVOT) @ turn.T + NECK_PIVOT + [*motion.shift[t], 0.0]
        w = head.head_weight[:, None]
        view = (local + (moved - local) * w).astype(np.float32)
        normals = vertex_normals(view, head.triangles)

        size = SIZE * SUPER
        per_cm = size / 30.0 * self.scene.zoom
        depth_scale = CAMERA_DISTANCE / (CAMERA_DISTANCE - view[:, 2])
        cx, cy = self.scene.centre
        near = depth_scale * per_cm
        x, y = size / 2 + (view[:, 0] - cx) * near, size / 2 - (view[:, 1] - cy) * near
        screen = np.stack([x, y, view[:, 2]], axis=1).astype(np.float32)
        depth, index, weights = rasterise(screen, head.triangles, head.cut, head.strand, size, size)
        covered = index >= 0
        rows, cols = np.nonzero(covered)
        in_light, shadow_depth = self._shadow_map(view, light)
        values = np.concatenate([normals, head.texture, local.astype(np.float32), in_light], axis=1)
        found = interpolate(rows, cols, index, weights, head.triangles, values)
        material = head.material[index[rows, cols]]
        normal = found[:, :3]
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-6)
        normal = np.where((normal[:, 2:] < 0) & ((material == HAIR) | (material == CAVITY))[:, None], -normal, normal)
        sky = occlusion(depth, covered, per_cm)[rows, cols]
        lit = self._lit(found[:, 8:11], shadow_depth)
        pixels = Pixels(normal, found[:, 3:5], found[:, 5:8], lit, sky, material)
        image: np.ndarray = np.zeros((size, size, 4), np.float32)
        image[rows, cols, :3] = self._shader.colours(pixels, light)
        image[rows, cols, 3] = 1
        image = cv2.resize(image, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
        out = image[..., :3] + self._backdrop * (1 - image[..., 3:]) * (0.55 + 0.45 * light.key / 0.9)
        return self._develop(out, t), opening

    def _shadow_map(self, view: np.ndarray, light: Light) -> tuple[np.ndarray, np.ndarray]:
        """Vertices (V, 3) as the light sees them (pixels, pixels, cm) and the depth it sees (S, S)."""
        z = light.direction()
        x = np.cross([0, 1, 0], z)
        x /= np.linalg.norm(x)
        axes = np.stack([x, np.cross(z, x), z]).astype(np.float32)
        seen = (view - np.array([0, -4, -5], np.float32)) @ axes.T
        scale = SHADOW_SIZE / 44.0
        seen = np.stack([SHADOW_SIZE / 2 + seen[:, 0] * scale, SHADOW_SIZE / 2 - seen[:, 1] * scale, seen[:, 2]], 1)
        seen = seen.astype(np.float32)
        depth, _, _ = rasterise(seen, self.head.triangles, self.head.cut, self.head.strand, SHADOW_SIZE, SHADOW_SIZE)
        return seen, depth

    @staticmethod
    def _lit(place: np.ndarray, depth: np.ndarray) -> np.ndarray:
        """Share (P,) of the key light that arrives, averaged over a small area for soft edges."""
        lit = np.zeros(len(place), np.float32)
        for dx, dy in SHADOW_TAPS:
            x = np.clip(place[:, 0] + dx, 0, SHADOW_SIZE - 1).astype(np.intp)
            y = np.clip(place[:, 1] + dy, 0, SHADOW_SIZE - 1).astype(np.intp)
            lit += np.clip((place[:, 2] - depth[y, x] + 0.55) / 0.30, 0, 1)
        return lit / len(SHADOW_TAPS)

    def _develop(self, image: np.ndarray, t: int) -> np.ndarray:
        """Linear light -> camera: soft shoulder, gamma, a touch of lens blur, noise."""
        rng = np.random.default_rng([self.scene.seed, 77, t])
        image = np.where(image < 0.65, image, 0.65 + 0.35 * np.tanh((image - 0.65) / 0.35))
        image = np.clip(image, 0, 1) ** (1 / 2.2) * 255
        image = cv2.GaussianBlur(image, (0, 0), 0.45)
        sigma = self.scene.noise
        grain = rng.normal(0, sigma, (SIZE, SIZE, 1)) + rng.normal(0, 0.4 * sigma, (SIZE, SIZE, 3))
        return np.clip(np.round(image + grain), 0, 255).astype(np.uint8)
