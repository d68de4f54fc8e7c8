"""The head of a studio talker: geometry from an identity, deformed by articulation, blink and brows.

Lengths in centimetres (see :mod:`tfg.datasets.studio_mesh` for the axes). The face is the template, reshaped, with
rings added behind the lips, behind the lids and round the skull, smoothed by two steps of Loop subdivision; jaw and
lips act on the coarse vertices, so that every pose of the mouth is as smooth as the face at rest.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import sparse

from tfg.datasets import studio_mesh as mesh
from tfg.datasets.studio_deform import JAW_DEGREES, JAW_PIVOT, deform, rotate_x, rotate_y
from tfg.datasets.studio_identity import SHAPE_NAMES, StudioIdentity
from tfg.datasets.studio_parts import EYE_RADIUS, SKULL_CENTRE, SKULL_RADII, Part, body_parts, mouth_parts, skull_radius

N_SKIRT = 6
JAW_PARTS = ("lower teeth", "tongue", "cavity floor")


def reshape(face: np.ndarray, identity: StudioIdentity) -> np.ndarray:
    """The template's 468 vertices with the proportions of ``identity``."""
    s = {name: identity.shape.get(name, 0.0) for name in SHAPE_NAMES}
    v = face.copy()
    x, y = v[:, 0].copy(), v[:, 1].copy()
    male = 1.0 if identity.sex == "m" else -1.0
    low = _step(y, -3.0, -10.0)
    v[:, 0] *= 1 + 0.025 * s["width"] + low * (0.04 * s["jaw"] + 0.018 * male)
    v[:, 1] += -_step(y, -8.0, -12.0) * (0.35 * s["chin"] + 0.15 * male)
    cheek = np.exp(-((np.abs(x) - 4.3) ** 2) / 4 - (y + 5) ** 2 / 8)
    v[:, 0] += np.sign(x) * cheek * 0.25 * s["cheeks"]
    v[:, 2] += cheek * 0.2 * s["cheeks"]
    nose = np.exp(-((y + 3.8) ** 2) / 3.0) * np.exp(-(x**2) / 4.5)
    v[:, 0] *= 1 + nose * (0.09 * s["nose_width"] + 0.02 * male)
    v[:, 1] -= nose * 0.18 * s["nose_length"]
    v[:, 2] += np.exp(-((y + 3) ** 2) / 6) * np.exp(-(x**2) / 1.6) * 0.22 * s["nose_depth"]
    for upper, lower in mesh.EYES:
        ring = np.concatenate([upper, lower])
        middle = face[ring].mean(axis=0)
        near = np.exp(-((x - middle[0]) ** 2 + (y - middle[1]) ** 2) / 3.2)
        grow = 0.06 * s["eye_size"] - 0.03 * male
        v[:, 0] += near * ((x - middle[0]) * grow + np.sign(middle[0]) * 0.12 * s["eye_spacing"])
        v[:, 1] += near * (y - middle[1]) * 1.3 * grow
    v[:, 1] += np.exp(-((y - 1.8) ** 2) / 1.2) * (0.15 * s["brow_height"] - 0.08 * male)
    v[:, 2] += np.exp(-((y - 1.6) ** 2) / 1.0) * np.exp(-((np.abs(x) - 2.5) ** 2) / 5) * 0.14 * male
    mouth = np.exp(-((y + 7.3) ** 2) / 2.5) * np.exp(-(x**2) / 16)
    v[:, 0] *= 1 + mouth * 0.05 * s["mouth_width"]
    v[:, 1] += mouth * (y + 7.3) * (0.16 * s["lip_thickness"] - 0.06 * male)
    rng = np.random.default_rng(identity.seed + 101)
    for _ in range(10):  # low-frequency, slightly asymmetric variation that no named number covers
        centre = rng.uniform([-7, -11, 0], [7, 5, 3])
        bump = np.exp(-((face - centre) ** 2).sum(axis=1) / 9)
        both = bump + 0.75 * np.exp(-((face - centre * [-1, 1, 1]) ** 2).sum(axis=1) / 9)
        v[:, 1:] += both[:, None] * rng.normal(0, 0.08, 2)
    v[mesh.LOWER_LIP[3]] = v[mesh.UPPER_LIP[3]]
    return v


def _step(x: np.ndarray, start: float, end: float) -> np.ndarray:
    t = np.clip((x - start) / (end - start), 0, 1)
    return t * t * (3 - 2 * t)


def _lip_loop(row: int) -> np.ndarray:
    return np.concatenate([mesh.UPPER_LIP[row], mesh.LOWER_LIP[row][-2:0:-1]])


def _eye_loop(eye: int) -> np.ndarray:
    upper, lower = mesh.EYES[eye]
    return np.concatenate([upper, lower[-2:0:-1]])


@lru_cache(maxsize=1)
def _topology() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Triangles of the extended coarse face, parent of each vertex, and how much of the parent's motion it takes."""
    triangles = mesh.template().triangles
    v = mesh.template().vertices
    a, b, c = (v[triangles[:, i]] for i in range(3))
    if np.cross(b - a, c - a)[:, 2].mean() < 0:
        triangles = triangles[:, ::-1]
    directed = {(int(t[i]), int(t[(i + 1) % 3])) for t in triangles for i in range(3)}
    parents = list(range(mesh.N_FACE))
    follow = [1.0] * mesh.N_FACE
    strips = [triangles]

    def ring(loop: np.ndarray, parent: np.ndarray, share: float) -> np.ndarray:
        new = np.arange(len(parents), len(parents) + len(loop))
        parents.extend(int(p) for p in parent)
        follow.extend([share] * len(loop))
        nxt, new_nxt = np.roll(loop, -1), np.roll(new, -1)
        quad = [np.stack([nxt, loop, new], 1), np.stack([nxt, new, new_nxt], 1)]
        if (int(parent[0]), int(parent[1])) not in directed:
            quad = [q[:, ::-1] for q in quad]
        strips.extend(quad)
        return new

    loop = mesh.OVAL
    for k in range(N_SKIRT):
        loop = ring(loop, mesh.OVAL, max(0.0, 1 - 0.35 * (k + 1)))
    inner = _lip_loop(3)
    loop = inner
    for _ in range(3):
        loop = ring(loop, inner, 1.0)
    for eye in (0, 1):
        ring(_eye_loop(eye), _eye_loop(eye), 1.0)
    return np.concatenate(strips), np.array(parents), np.array(follow)


def extend(face: np.ndarray) -> np.ndarray:
    """Coarse face with rings: skull skirt, insides of the lips, inner rims of the lids."""
    out = [face]
    border = face[mesh.OVAL]
    unit = (border - SKULL_CENTRE) / SKULL_RADII
    size = np.linalg.norm(unit, axis=1, keepdims=True)
    unit = unit / size
    size = size / skull_radius(unit)
    back = np.array([0.0, -0.25, -1.0]) / np.linalg.norm([0.0, -0.25, -1.0])
    tangent = back - unit * (unit @ back)[:, None]
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    total = np.arccos(np.clip(unit @ back, -1, 1))[:, None]
    under = _step(border[:, 1], -0.5, -6.0)[:, None]
    for k in range(1, N_SKIRT + 1):
        turn = total * 0.95 * k / N_SKIRT
        settle = 1 + (size - 1) * (1 - k / N_SKIRT)
        direction = unit * np.cos(turn) + tangent * np.sin(turn)
        skull = SKULL_CENTRE + direction * skull_radius(direction) * settle * SKULL_RADII
        depth = 1.15 * k
        jaw = border + np.stack(
            [-border[:, 0] * 0.05 * k, 0.06 * k**1.5 * np.ones(len(border)), -depth * np.ones(len(border))], 1
        )
        jaw[:, 1] = np.minimum(jaw[:, 1], border[:, 1] + 1.5)
        out.append(skull * (1 - under) + jaw * under)
    inner = face[_lip_loop(3)]
    side = np.concatenate([np.ones(11), -np.ones(9)])
    side[[0, 10]] = 0
    taper = np.concatenate([np.sin(np.linspace(0, np.pi, 11)), np.sin(np.linspace(np.pi, 0, 11))[1:-1]])
    for dz, dy in ((0.28, 0.03), (0.6, 0.16), (1.3, 0.75)):
        out.append(inner + np.stack([-0.04 * dz * inner[:, 0], side * dy * (0.3 + 0.7 * taper), -dz * np.ones(20)], 1))
    for eye in (0, 1):
        rim = face[_eye_loop(eye)]
        centre = rim.mean(axis=0)
        inward = (centre - rim) * np.array([0.10, 0.10, 0.0])
        out.append(rim + inward + np.array([0, 0, -0.40]))
    return np.concatenate(out)


@lru_cache(maxsize=1)
def _subdivision() -> tuple[sparse.csr_matrix, np.ndarray]:
    triangles, parents, _ = _topology()
    first, triangles = mesh.loop_subdivision(triangles, len(parents))
    second, triangles = mesh.loop_subdivision(triangles, first.shape[0])
    return second @ first, triangles


class Head:
    """Everything that is drawn of one identity; :meth:`pose` gives its vertices for one frame.

    ``triangles`` int64 (M, 3), ``material`` uint8 (M,), ``texture`` float32 (V, 2), ``cut`` and ``strand`` float32
    (V,) for :func:`tfg.datasets.studio_raster.rasterise`, ``head_weight`` float32 (V,) is 1 where a vertex turns with
    the head.
    """

    def __init__(self, identity: StudioIdentity) -> None:
        self.identity = identity
        self.rest = reshape(mesh.template().vertices, identity)
        self._matrix, skin_triangles = _subdivision()
        _, self._parents, self._follow = _topology()
        self._coarse = extend(self.rest)
        flat = self._matrix @ extend(mesh.template().vertices)
        self.n_skin = flat.shape[0]
        fine = self._matrix @ self._coarse
        self.eye_centres = np.stack([self._eye_centre(eye) for eye in (0, 1)])
        reach = [np.linalg.norm(fine - c, axis=1) < EYE_RADIUS + 0.7 for c in self.eye_centres]
        self._near_eye = [np.flatnonzero(r & (fine[:, 2] > c[2])) for r, c in zip(reach, self.eye_centres, strict=True)]
        skin = Part.skin(fine, skin_triangles, flat[:, :2])
        self.parts = [skin, *mouth_parts(self.rest), *body_parts(identity, self.rest, self.eye_centres)]
        offsets = np.cumsum([0, *[len(p.vertices) for p in self.parts]])
        self.slices = {p.name: slice(offsets[i], offsets[i + 1]) for i, p in enumerate(self.parts)}
        self.vertices = np.concatenate([p.vertices for p in self.parts])
        self.triangles = np.concatenate([p.triangles + offsets[i] for i, p in enumerate(self.parts)])
        self.material = np.concatenate([np.full(len(p.triangles), p.material, np.uint8) for p in self.parts])
        self.texture = np.concatenate([p.texture for p in self.parts]).astype(np.float32)
        self.cut = np.concatenate([p.cut for p in self.parts]).astype(np.float32)
        self.strand = np.concatenate([p.strand for p in self.parts]).astype(np.float32)
        self.head_weight = np.concatenate([p.head_weight for p in self.parts]).astype(np.float32)

    def _eye_centre(self, eye: int) -> np.ndarray:
        upper, lower = mesh.EYES[eye]
        ring = self.rest[np.concatenate([upper, lower])]
        centre = ring.mean(axis=0)
        lids = (self.rest[upper[4]] + self.rest[lower[4]]) / 2
        half = np.abs(self.rest[upper[4], 1] - self.rest[lower[4], 1]) / 2
        centre[2] = lids[2] - np.sqrt(max(EYE_RADIUS**2 - half**2, 0.1)) + 0.02
        return centre

    def pose(self, a: np.ndarray, *, blink: float, brow: float, gaze: np.ndarray) -> tuple[np.ndarray, float]:
        """Vertices float64 (V, 3) in the head's own frame, and the mouth's opening.

        ``a`` float (9,) in the order of :data:`tfg.datasets.studio_deform.CHANNELS`; ``blink`` and ``brow`` 0..1;
        ``gaze`` degrees (right, up). The opening is that of :func:`tfg.datasets.studio_deform.deform`.
        """
        face, opening = deform(
            self.rest, a, blink=blink, brow=brow, gaze_up=float(gaze[1]), gain=self.identity.strength
        )
        delta = face - self.rest
        coarse = self._coarse + delta[self._parents] * self._follow[:, None]
        skin = self._matrix @ coarse
        for near, centre in zip(self._near_eye, self.eye_centres, strict=True):
            away = skin[near] - centre
            length = np.linalg.norm(away, axis=1, keepdims=True)
            lift = np.maximum(EYE_RADIUS + 0.07 - length, 0) * (skin[near, 2:] > centre[2] + 0.55 * EYE_RADIUS)
            skin[near] += away / length * lift

        out = self.vertices.copy()
        out[self.slices["skin"]] = skin
        for name in JAW_PARTS:
            out[self.slices[name]] = move_with_jaw(name, out[self.slices[name]], a, self.identity.strength)
        for i, side in enumerate(("left", "right")):
            ball = out[self.slices[f"{side} eye"]] - self.eye_centres[i]
            ball = rotate_y(rotate_x(ball, np.deg2rad(-gaze[1])), np.deg2rad(gaze[0]))
            out[self.slices[f"{side} eye"]] = ball + self.eye_centres[i]
            out[self.slices[f"{side} lashes"]] = lash_strip(face[mesh.EYES[i][0]], blink)
        return out, opening


def lash_strip(line: np.ndarray, blink: float) -> np.ndarray:
    """Two rows of vertices (18, 3): the lid's edge and the tips of the lashes."""
    tips = line + np.array([0.0, 0.16 - 0.34 * blink, 0.26]) * np.sin(np.linspace(0.25, 2.9, 9))[:, None]
    tips[:, 0] += np.sign(line[0, 0]) * np.linspace(0.16, 0.0, 9)
    return np.concatenate([line + np.array([0, 0.02, 0.05]), tips])


def move_with_jaw(name: str, v: np.ndarray, a: np.ndarray, gain: float) -> np.ndarray:
    """Vertices of a part of the mouth that hangs on the jaw, for articulation ``a`` (9,)."""
    if name == "tongue":
        v = _raise_tongue(v, float(a[7]), float(a[8]))
    return rotate_x(v - JAW_PIVOT, np.deg2rad(JAW_DEGREES * float(a[0]) * gain * 0.97)) + JAW_PIVOT


def _raise_tongue(v: np.ndarray, height: float, front: float) -> np.ndarray:
    v = v.copy()
    tip = _step(v[:, 2], -1.8, 1.2)
    v[:, 1] += 1.15 * height * tip
    v[:, 2] += (0.15 * height + 0.75 * front) * tip
    return v
