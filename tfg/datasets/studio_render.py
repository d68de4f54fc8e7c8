"""Frames of a studio talker: a function of (identity, articulation, motion, light).

    head = Renderer(StudioIdentity.random(1))
    frames, opening = head.render(articulation, motion, lights)

Rendered in software at twice the size, z-buffered, shaded per pixel, with a shadow map of the key light.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

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
from tfg.landmarks import MESH_68

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

    @property
    def per_cm(self) -> float:
        """Pixels of the large picture that a centimetre at the eyes covers."""
        return SIZE * SUPER / 30.0 * self.zoom


@dataclass(frozen=True, eq=False)
class View:
    """Where the vertices of a head are in one frame.

    ``local`` (V, 3) cm in the head's own frame; ``place`` (V, 3) cm before the camera; ``screen`` (V, 3) x and y in
    pixels of the picture at :data:`SUPER` times its size, and depth; ``opening`` of the mouth.
    """

    local: np.ndarray
    place: np.ndarray
    screen: np.ndarray
    opening: float


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


def view(head: Head, scene: Scene, articulation: np.ndarray, motion: Motion, t: int) -> View:
    """Where everything is in frame ``t``, of which ``articulation`` (9,) is the mouth; nothing is drawn."""
    blink, brow = float(motion.blink[t]), float(motion.brow[t])
    local, opening = head.pose(articulation, blink=blink, brow=brow, gaze=motion.gaze[t])
    turn = rotation_matrix(*motion.rotation[t])
    moved = (local - NECK_PIVOT) @ turn.T + NECK_PIVOT + [*motion.shift[t], 0.0]
    place = (local + (moved - local) * head.head_weight[:, None]).astype(np.float32)
    size = SIZE * SUPER
    near = CAMERA_DISTANCE / (CAMERA_DISTANCE - place[:, 2]) * scene.per_cm
    cx, cy = scene.centre
    x, y = size / 2 + (place[:, 0] - cx) * near, size / 2 - (place[:, 1] - cy) * near
    return View(local, place, np.stack([x, y, place[:, 2]], axis=1).astype(np.float32), opening)


def landmarks(head: Head, scene: Scene, articulation: np.ndarray, motion: Motion) -> np.ndarray:
    """True places float32 (T, 68, 2) in pixels of the points that a face tracker looks for; nothing is drawn.

    They are vertices of the mesh (:data:`tfg.landmarks.MESH_68`). Those of the jaw line are its rim, which is what a
    tracker sees only while the head faces the camera. ``articulation`` (T, 9).
    """
    points = list(MESH_68)
    screens = [view(head, scene, articulation[t], motion, t).screen[points, :2] for t in range(motion.n_frames)]
    return (np.stack(screens) / SUPER - 0.5).astype(np.float32)


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
        seen = view(self.head, self.scene, articulation, motion, t)
        rows, cols, pixels = self._visible(seen, light)
        image = self._spread(rows, cols, self._shader.colours(pixels, light))
        return self._develop(self._before_backdrop(image, light), t), seen.opening

    def layers(self, articulation: np.ndarray, motion: Motion, t: int, light: Light) -> dict[str, np.ndarray]:
        """One frame step by step: name -> picture uint8 (256, 256, 3), from the surface to what the camera gives."""
        rows, cols, pixels = self._visible(view(self.head, self.scene, articulation, motion, t), light)
        everywhere = np.ones_like(pixels.lit)
        even = replace(pixels, lit=everywhere, open_sky=everywhere)
        dark, only_sky = replace(light, key=0.0, fill=0.0, ambient=0.0), replace(light, key=0.0, fill=0.0)
        facts = {
            "direction of the surface": 0.5 + 0.5 * pixels.normal,
            "paint": self._shader.colours(even, replace(dark, ambient=1.0)),
            "openness": np.repeat(pixels.open_sky[:, None], 3, axis=1),
            "reach of the key light": np.repeat(pixels.lit[:, None], 3, axis=1),
            "light of the room": self._shader.colours(pixels, only_sky),
            "+ fill light": self._shader.colours(pixels, replace(light, key=0.0)),
            "+ key light": self._shader.colours(pixels, light),
        }
        shown_as_numbers = {"direction of the surface", "openness", "reach of the key light"}
        out = {}
        for name, colours in facts.items():
            image = self._spread(rows, cols, colours)[..., :3]
            image = np.clip(image, 0, 1) ** (1.0 if name in shown_as_numbers else 1 / 2.2)
            out[name] = np.round(255 * image).astype(np.uint8)
        whole = self._before_backdrop(self._spread(rows, cols, facts["+ key light"]), light)
        out["through the camera"] = self._develop(whole, t)
        return out

    def _visible(self, seen: View, light: Light) -> tuple[np.ndarray, np.ndarray, Pixels]:
        """Rows and columns of the covered pixels of the large picture, and what is seen there."""
        head, size = self.head, SIZE * SUPER
        normals = vertex_normals(seen.place, head.triangles)
        depth, index, weights = rasterise(seen.screen, head.triangles, head.cut, head.strand, size, size)
        covered = index >= 0
        rows, cols = np.nonzero(covered)
        in_light, shadow_depth = self._shadow_map(seen.place, light)
        values = np.concatenate([normals, head.texture, seen.local.astype(np.float32), in_light], axis=1)
        found = interpolate(rows, cols, index, weights, head.triangles, values)
        material = head.material[index[rows, cols]]
        normal = found[:, :3]
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-6)
        normal = np.where((normal[:, 2:] < 0) & ((material == HAIR) | (material == CAVITY))[:, None], -normal, normal)
        sky = occlusion(depth, covered, self.scene.per_cm)[rows, cols]
        lit = self._lit(found[:, 8:11], shadow_depth)
        return rows, cols, Pixels(normal, found[:, 3:5], found[:, 5:8], lit, sky, material)

    @staticmethod
    def _spread(rows: np.ndarray, cols: np.ndarray, colours: np.ndarray) -> np.ndarray:
        """Colours (P, 3) of pixels of the large picture -> small picture (SIZE, SIZE, 4), the last is coverage."""
        image: np.ndarray = np.zeros((SIZE * SUPER, SIZE * SUPER, 4), np.float32)
        image[rows, cols, :3] = colours
        image[rows, cols, 3] = 1
        return cv2.resize(image, (SIZE, SIZE), interpolation=cv2.INTER_AREA)

    def _before_backdrop(self, image: np.ndarray, light: Light) -> np.ndarray:
        return image[..., :3] + self._backdrop * (1 - image[..., 3:]) * (0.55 + 0.45 * light.key / 0.9)

    def _shadow_map(self, place: np.ndarray, light: Light) -> tuple[np.ndarray, np.ndarray]:
        """Vertices (V, 3) as the light sees them (pixels, pixels, cm) and the depth it sees (S, S)."""
        z = light.direction()
        x = np.cross([0, 1, 0], z)
        x /= np.linalg.norm(x)
        axes = np.stack([x, np.cross(z, x), z]).astype(np.float32)
        seen = (place - np.array([0, -4, -5], np.float32)) @ axes.T
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
