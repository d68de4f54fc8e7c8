"""A photograph made to speak: scikit-image's astronaut portrait (Eileen Collins; NASA, public domain).

The 256 x 256 crop ``assets/studio/portrait.jpg`` is cut from it without resampling; ``portrait_mesh.npz`` holds where
MediaPipe FaceMesh found its 468 points (x right, y down, z away from the camera, pixels). The points are turned into
the template's frame, the smile is closed into a mouth at rest, and from there the face moves as a rendered one does;
the photograph is the texture, teeth, tongue and throat are drawn behind the lips. The head only drifts in the plane.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources

import cv2
import numpy as np

from tfg.datasets import studio_mesh as mesh
from tfg.datasets.studio_deform import deform
from tfg.datasets.studio_head import JAW_PARTS, move_with_jaw
from tfg.datasets.studio_identity import StudioIdentity
from tfg.datasets.studio_parts import mouth_parts
from tfg.datasets.studio_raster import interpolate, rasterise, vertex_normals
from tfg.datasets.studio_render import SIZE, SUPER, Motion
from tfg.datasets.studio_shade import Light, Pixels, Shader
from tfg.datasets.studio_skin import paint_skin
from tfg.errors import DataError

_RIGID = np.array([33, 133, 362, 263, 168, 6, 197, 195, 5, 4, 1, 10, 151, 9, 234, 454, 127, 356, 93, 323])


class Portrait:
    """Draws the photograph speaking; the same interface as :class:`tfg.datasets.studio_render.Renderer`."""

    def __init__(self, seed: int = 0) -> None:
        assets = resources.files("tfg") / "assets/studio"
        raw = np.frombuffer((assets / "portrait.jpg").read_bytes(), np.uint8)
        photo = cv2.imdecode(raw, cv2.IMREAD_COLOR)
        if photo is None:
            raise DataError(f"{assets / 'portrait.jpg'}: is not a picture; reinstall the package")
        self._photo = np.ascontiguousarray(photo[..., ::-1]).astype(np.float32)
        with (assets / "portrait_mesh.npz").open("rb") as file, np.load(file) as data:
            pixels = data["points"].astype(np.float64)
        self._seed = seed
        # Stretched over a closed mouth the lips of the smile are pale: tint them, as lipstick would.
        self._photo *= 1 - _lips(pixels[:, :2])[..., None] * np.array([0.07, 0.22, 0.19], np.float32)
        template = mesh.template()
        seen = pixels * [1, -1, -1]
        source, target = seen[_RIGID], template.vertices[_RIGID]
        self._middle, home = source.mean(axis=0), target.mean(axis=0)
        u, _, vt = np.linalg.svd((target - home).T @ (source - self._middle))
        self._turn = (u @ np.diag([1, 1, np.sign(np.linalg.det(u @ vt))]) @ vt).T  # home frame -> photo
        self._scale = float(np.sqrt(((source - self._middle) ** 2).sum() / ((target - home) ** 2).sum()))
        self._home = home
        face = (seen - self._middle) @ self._turn / self._scale + home
        self._rest = _relax(face, template.vertices)

        triangles = template.triangles
        ring = np.arange(len(mesh.OVAL)) + mesh.N_FACE
        nxt, ring_nxt = np.roll(mesh.OVAL, -1), np.roll(ring, -1)
        triangles = np.concatenate([triangles, np.stack([mesh.OVAL, nxt, ring], 1), np.stack([nxt, ring_nxt, ring], 1)])
        first, triangles = mesh.loop_subdivision(triangles, mesh.N_FACE + len(ring))
        second, self._triangles = mesh.loop_subdivision(triangles, first.shape[0])
        self._matrix = second @ first
        flat = pixels[:, :2]
        self._border = flat[mesh.OVAL].mean(axis=0) + 1.30 * (flat[mesh.OVAL] - flat[mesh.OVAL].mean(axis=0))
        self._source = (self._matrix @ np.concatenate([flat, self._border])).astype(np.float32)
        self._parts = mouth_parts(self._rest - [0.0, 0.22, 0.0])
        brown = (90, 66, 46)
        identity = StudioIdentity("portrait", "f", 38, (224, 172, 150), "bald", brown, brown, (200, 90, 30))
        self._shader = Shader(identity, paint_skin(identity), self._rest[13])

    def _to_photo(self, v: np.ndarray) -> np.ndarray:
        """Template frame (V, 3) -> pixels x, y (down) and depth (larger is nearer)."""
        out = (v - self._home) * self._scale @ self._turn.T + self._middle
        return out * [1, -1, 1]

    def render(
        self, articulation: np.ndarray, motion: Motion, lights: Sequence[Light]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Frames uint8 (T, 256, 256, 3) RGB and the mouth's opening float32 (T,)."""
        drawn = [self._frame(articulation[t], motion, t, lights[t]) for t in range(motion.n_frames)]
        return np.stack([f for f, _ in drawn]), np.array([o for _, o in drawn], np.float32)

    def _frame(self, a: np.ndarray, motion: Motion, t: int, light: Light) -> tuple[np.ndarray, float]:
        blink = float(motion.blink[t]) * 0.9 - 0.10  # deform() lowers the lids a little at rest: the photo has that
        face, opening = deform(self._rest, a, blink=blink, brow=float(motion.brow[t]) * 0.7, gaze_up=0.0, gain=0.9)
        size = SIZE * SUPER
        moved = np.concatenate([self._to_photo(face)[:, :2], self._border])
        place = (self._matrix @ moved) * SUPER
        screen = np.concatenate([place, np.zeros((len(place), 1))], axis=1).astype(np.float32)
        n = len(screen)
        whole, plain = np.full(n, 9, np.float32), np.zeros(n, np.float32)
        _, index, weights = rasterise(screen, self._triangles, whole, plain, size, size)
        rows, cols = np.nonzero(index >= 0)
        where = np.empty((size, size, 2), np.float32)
        where[..., 0], where[..., 1] = np.meshgrid(*[(np.arange(size, dtype=np.float32) + 0.5) / SUPER] * 2)
        where[rows, cols] = interpolate(rows, cols, index, weights, self._triangles, self._source)
        where -= 0.5
        image: np.ndarray = cv2.remap(
            self._photo, where[..., 0], where[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
        image = (np.clip(image, 0, 255) / 255) ** 2.2

        # The hole between the lips shows the inside of the mouth.
        loop = np.concatenate([mesh.UPPER_LIP[3], mesh.LOWER_LIP[3][-2:0:-1]])
        outline = self._to_photo(face[loop])[:, :2] * SUPER
        hole = np.zeros((size, size), np.float32)
        cv2.fillPoly(hole, [np.round(outline * 16).astype(np.int32)], 1.0, cv2.LINE_AA, 4)
        share: np.ndarray = cv2.GaussianBlur(hole, (0, 0), 0.7)[..., None]
        image = image * (1 - share) + self._mouth(a, size, light) * share
        image = cv2.resize(image, (SIZE, SIZE), interpolation=cv2.INTER_AREA)

        yaw, pitch, roll = motion.rotation[t] - motion.rotation.mean(axis=0)
        drift = cv2.getRotationMatrix2D((SIZE / 2, SIZE * 0.8), float(-0.5 * roll), 1.04)
        drift[:, 2] += 0.45 * np.array([yaw, pitch]) + 3 * (motion.shift[t] - motion.shift.mean(axis=0)) * [1, -1]
        image = cv2.warpAffine(image, drift, (SIZE, SIZE), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
        image = np.clip(image * (0.9 + 0.1 * light.key / 0.9), 0, 1) ** (1 / 2.2) * 255
        noise = np.random.default_rng([self._seed, 77, t]).normal(0, 0.8, (SIZE, SIZE, 1))
        return np.clip(np.round(image + noise), 0, 255).astype(np.uint8), opening

    def _mouth(self, a: np.ndarray, size: int, light: Light) -> np.ndarray:
        """Linear RGB (size, size, 3) of teeth, tongue and throat over dark red."""
        image = np.full((size, size, 3), (0.030, 0.008, 0.007), np.float32)
        pieces = []
        for part in self._parts:
            v = move_with_jaw(part.name, part.vertices, a, 0.9) if part.name in JAW_PARTS else part.vertices
            pieces.append(v)
        offsets = np.cumsum([0, *[len(v) for v in pieces]])
        triangles = np.concatenate([p.triangles + o for p, o in zip(self._parts, offsets[:-1], strict=True)])
        material = np.concatenate([np.full(len(p.triangles), p.material, np.uint8) for p in self._parts])
        local = np.concatenate(pieces)
        texture = np.concatenate([p.texture for p in self._parts]).astype(np.float32)
        screen = (self._to_photo(local) * [SUPER, SUPER, 1]).astype(np.float32)
        n = len(local)
        whole, plain = np.full(n, 9, np.float32), np.zeros(n, np.float32)
        _, index, weights = rasterise(screen, triangles, whole, plain, size, size)
        rows, cols = np.nonzero(index >= 0)
        normals = vertex_normals(local.astype(np.float32), triangles)
        values = np.concatenate([normals, texture, local.astype(np.float32)], axis=1)
        found = interpolate(rows, cols, index, weights, triangles, values)
        normal = np.where(found[:, 2:3] < 0, -found[:, :3], found[:, :3])
        shade = np.full(len(rows), 0.95, np.float32)
        pixels = Pixels(normal, found[:, 3:5], found[:, 5:8], shade, shade, material[index[rows, cols]])
        image[rows, cols] = self._shader.colours(pixels, light) * np.array([1.85, 1.65, 1.5], np.float32)
        return image


def _lips(points: np.ndarray) -> np.ndarray:
    """Mask float32 (SIZE, SIZE) of the lips, without the teeth between them; ``points`` (468, 2) pixels."""
    mask = np.zeros((SIZE, SIZE), np.float32)
    for ring, value in ((0, 1.0), (3, 0.0)):
        loop = points[np.concatenate([mesh.UPPER_LIP[ring], mesh.LOWER_LIP[ring][-2:0:-1]])]
        cv2.fillPoly(mask, [np.round(loop * 16).astype(np.int32)], value, cv2.LINE_AA, 4)
    return cv2.GaussianBlur(mask, (0, 0), 0.8)


def _relax(face: np.ndarray, template: np.ndarray) -> np.ndarray:
    """A smiling, open mouth brought to rest: lips closed, half of the way to the template's lip shape."""
    out = face.copy()
    lips = np.unique(np.concatenate([mesh.UPPER_LIP.ravel(), mesh.LOWER_LIP.ravel()]))
    corners = [61, 291]
    size = np.linalg.norm(np.subtract(*face[corners])) / np.linalg.norm(np.subtract(*template[corners]))
    size = 0.5 * size + 0.5
    wanted = (template[lips] - template[lips].mean(axis=0)) * size + face[lips].mean(axis=0)
    move = np.zeros_like(face)
    move[lips] = 0.7 * (wanted - face[lips])
    gap = (face + move)[mesh.UPPER_LIP[3]] - (face + move)[mesh.LOWER_LIP[3]]
    for ring in range(4):
        share = (0.75, 0.9, 1.0, 1.0)[ring]
        move[mesh.UPPER_LIP[ring]] -= 0.35 * share * gap
        move[mesh.LOWER_LIP[ring]] += 0.65 * share * gap
    still = np.concatenate([mesh.OVAL, mesh.NOSE, *mesh.EYES[0], *mesh.EYES[1]])
    spread = mesh.harmonic_extension(mesh.template().triangles, mesh.N_FACE, lips, np.setdiff1d(still, lips))
    return out + spread @ move[lips]
