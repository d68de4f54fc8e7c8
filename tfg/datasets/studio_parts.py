"""The rigid and simple parts of a studio talker: eyes, lashes, teeth, tongue, throat, ears, neck, hair, shoulders."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tfg.datasets.studio_identity import StudioIdentity
from tfg.datasets.studio_mesh import EYES, grid_triangles

SKULL_CENTRE = np.array([0.0, 1.4, -6.0])
SKULL_RADII = np.array([7.5, 9.2, 8.2])
SKULL_POWER = 2.25  # a superellipsoid: rounder temples and crown than an ellipsoid
EYE_RADIUS = 1.42

SKIN, EYE, TEETH, TONGUE, CAVITY, HAIR, CLOTH, LASH = range(8)


def skull_radius(direction: np.ndarray) -> np.ndarray:
    """Distance (V, 1), in units of :data:`SKULL_RADII`, to the skull's surface along unit ``direction`` (V, 3)."""
    return (np.abs(direction) ** SKULL_POWER).sum(axis=1, keepdims=True) ** (-1 / SKULL_POWER)


@dataclass
class Part:
    """A piece of geometry: ``vertices`` (V, 3) cm, ``triangles`` (M, 3), what the shader needs per vertex."""

    name: str
    material: int
    vertices: np.ndarray
    triangles: np.ndarray
    texture: np.ndarray
    cut: np.ndarray
    strand: np.ndarray
    head_weight: np.ndarray

    @classmethod
    def make(
        cls, name: str, material: int, vertices: np.ndarray, triangles: np.ndarray, texture: np.ndarray,
        *, cut: np.ndarray | None = None, strand: np.ndarray | None = None, head_weight: np.ndarray | None = None,
        outside: np.ndarray | None = None,
    ) -> Part:  # fmt: skip
        """A part with nothing cut away that turns with the head, unless said otherwise.

        Triangles are turned to face away from the part's middle, or towards ``outside`` (3,).
        """
        n = len(vertices)
        a, b, c = (vertices[triangles[:, i]] for i in range(3))
        away = (a + b + c) / 3 - vertices.mean(axis=0) if outside is None else outside
        if (np.cross(b - a, c - a) * away).sum() < 0:
            triangles = triangles[:, ::-1]
        return cls(
            name,
            material,
            np.asarray(vertices, np.float64),
            np.asarray(triangles, np.int64),
            texture,
            np.full(n, 9.0) if cut is None else cut,
            np.zeros(n) if strand is None else strand,
            np.ones(n) if head_weight is None else head_weight,
        )

    @classmethod
    def skin(cls, vertices: np.ndarray, triangles: np.ndarray, texture: np.ndarray) -> Part:
        """The face; its texture coordinates are the template's x and y in cm."""
        return cls.make("skin", SKIN, vertices, triangles, texture, outside=np.array([0.0, 0.0, 1.0]))


def _grid(rows: np.ndarray, cols: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    r, c = np.meshgrid(rows, cols, indexing="ij")
    return r.ravel(), c.ravel()


def mouth_parts(face: np.ndarray) -> list[Part]:
    """Upper and lower teeth, tongue, roof and floor of the mouth, placed behind the lips of ``face``."""
    lip = face[13]  # middle of the closed lips
    parts = []
    s, h = _grid(np.linspace(-1, 1, 49), np.linspace(0, 1, 9))
    for name, y_gum, y_edge, z_front, half in (
        ("upper teeth", 1.35, -0.20, -0.72, 2.35),
        ("lower teeth", -1.60, -0.30, -0.98, 2.15),
    ):
        x = half * np.sin(s * 1.25) / np.sin(1.25)
        z = z_front - 2.5 * np.abs(s) ** 2.2
        bulge = 0.22 * np.sin(np.pi * np.clip(h * 0.9 + 0.1, 0, 1))
        edge_curve = 0.10 * s**2 * np.sign(-y_edge + y_gum)
        y = y_gum + (y_edge + edge_curve - y_gum) * h
        v = np.stack([x, y, z + bulge], 1) + lip
        tri = grid_triangles(49, 9)
        parts.append(Part.make(name, TEETH, v, tri, np.stack([s, h + (2 if name[0] == "l" else 0)], 1)))
    u, w = _grid(np.linspace(0, 1, 15), np.linspace(-1, 1, 15))
    z = -5.0 + 3.75 * np.sin(u * np.pi / 2)
    half = 1.95 * np.sqrt(np.clip(1 - u**4, 0.02, 1))
    y = -0.80 - 0.50 * np.abs(w) ** 2 - 0.60 * u**3 + 0.6 * np.sin(np.pi * u) * (1 - w**2)
    y = y - 0.10 * np.exp(-(w**2) / 0.01)  # the groove along its middle
    tongue = np.stack([w * half, y, z], 1) + lip
    parts.append(Part.make("tongue", TONGUE, tongue, grid_triangles(15, 15), np.stack([w, u], 1)))
    for name, sign in (("cavity roof", 1.0), ("cavity floor", -1.0)):
        a, b = _grid(np.linspace(0, np.pi / 2, 9), np.linspace(0, np.pi, 17))
        v = np.stack([2.5 * np.cos(b), sign * 2.2 * np.sin(b) * np.cos(a), -1.9 - 4.0 * np.sin(b) * np.sin(a)], 1)
        tri = grid_triangles(9, 17)
        parts.append(Part.make(name, CAVITY, v + lip, tri, np.stack([b, a], 1)))
    return parts


def body_parts(identity: StudioIdentity, face: np.ndarray, eye_centres: np.ndarray) -> list[Part]:
    """Eyes, lashes, ears, neck, hair and shoulders."""
    parts = []
    for name, centre in zip(("left eye", "right eye"), eye_centres, strict=True):
        polar, turn = _grid(np.linspace(0, 1.45, 22), np.linspace(0, 2 * np.pi, 32, endpoint=False))
        cornea = 0.07 * np.exp(-((polar / 0.30) ** 2))
        r = EYE_RADIUS + cornea - 0.02
        ball = np.stack([r * np.sin(polar) * np.cos(turn), r * np.sin(polar) * np.sin(turn), r * np.cos(polar)], 1)
        tri = grid_triangles(22, 32, wrap=True)
        flat = np.stack([polar * np.cos(turn), polar * np.sin(turn)], 1)
        parts.append(Part.make(name, EYE, ball + centre, tri, flat))
    for i, name in enumerate(("left lashes", "right lashes")):
        line = face[EYES[i][0]]
        strand = np.tile(np.linspace(0, 26, 9), 2)
        cut = np.repeat([0.75, -0.15], 9)
        front, flat = np.array([0.0, 1.0, 1.0]), np.zeros((18, 2))
        parts.append(
            Part.make(
                name, LASH, np.tile(line, (2, 1)), grid_triangles(2, 9), flat, cut=cut, strand=strand, outside=front
            )
        )
    if identity.hair not in ("bob", "fringe", "long"):  # those cover the ears
        parts += [_ear(face, side) for side in (-1, 1)]
    parts.append(_neck(identity))
    if identity.hair != "bald":
        parts += _hair(identity, face)
    parts.append(_shoulders(identity))
    return parts


def _ear(face: np.ndarray, side: int) -> Part:
    r, turn = _grid(np.linspace(0, 1, 13), np.linspace(0, 2 * np.pi, 28, endpoint=False))
    up, fore = np.sin(turn), np.cos(turn)
    height = np.where(up > 0, 2.9, 3.0)
    depth = np.where(fore > 0, 1.15, 1.75 - 0.55 * np.clip(-up, 0, 1))
    b, a = r * up * height, r * fore * depth
    rim = np.exp(-((r - 0.90) ** 2) / 0.008) * np.clip(0.35 - fore, 0, 1)
    fold = np.exp(-((r - 0.58) ** 2) / 0.02) * np.clip(-fore, 0, 1) * 0.8
    concha = -np.exp(-(((a + 0.0) / 0.7) ** 2) - ((b + 0.3) / 1.1) ** 2)
    out = 0.50 * rim + 0.42 * fold + 0.7 * concha - 0.6 * np.clip(r - 0.93, 0, 1) * 8
    flare = np.deg2rad(32)
    normal = np.array([side * np.cos(flare), 0.0, np.sin(flare)])
    forward = np.array([side * -np.sin(flare), -0.12, np.cos(flare)])
    middle = np.array([side * (abs(face[454, 0]) + 0.55), -1.3, -6.4])
    a, b, out = 0.88 * a, 0.88 * b, 0.88 * out
    v = middle + a[:, None] * forward + b[:, None] * np.array([0.0, 0.98, -0.17]) + out[:, None] * normal
    tri = grid_triangles(13, 28, wrap=True)
    return Part.make(f"ear {side}", SKIN, v, tri, np.stack([side * 6.2 + a * 0.3, b - 2.0], 1), outside=normal)


def _neck(identity: StudioIdentity) -> Part:
    t, turn = _grid(np.linspace(0, 1, 24), np.linspace(0, 2 * np.pi, 48, endpoint=False))
    y = -6.5 - 13.5 * t
    wide = 5.9 if identity.sex == "m" else 4.9
    flare = np.clip((t - 0.45) / 0.55, 0, 1) ** 2
    rx = wide * (1.0 - 0.05 * np.sin(np.pi * t)) + 6.5 * flare
    rz = (wide - 0.5) * (1.0 - 0.05 * np.sin(np.pi * t)) + 1.5 * flare
    cz = -6.4 - 1.0 * t
    front = np.clip(np.cos(turn), 0, 1)
    tendon = 0.35 * np.exp(-((np.abs(np.sin(turn)) - 0.45 + 0.35 * t) ** 2) / 0.012) * front * t
    signed = turn - 2 * np.pi * (turn > np.pi)
    apple = (0.55 if identity.sex == "m" else 0.12) * np.exp(-((y + 15) ** 2) / 1.2 - signed**2 / 0.04)
    r = 1 + (tendon + apple) / wide
    v = np.stack([rx * r * np.sin(turn), y, cz + rz * r * np.cos(turn)], 1)
    weight = 1 - np.clip((-y - 9) / 9.0, 0, 1)
    weight = weight * weight * (3 - 2 * weight)
    tri = grid_triangles(24, 48, wrap=True)
    inside = (np.cos(turn) > 0.8) & (y > -9.6)  # would stand in the open mouth
    cut = np.where(inside, -3.0, 9.0)
    return Part.make("neck", SKIN, v, tri, np.stack([v[:, 0], y - 2.0], 1), cut=cut, head_weight=weight)


def _shoulders(identity: StudioIdentity) -> Part:
    t, turn = _grid(np.linspace(0, 1, 30), np.linspace(0, 2 * np.pi, 64, endpoint=False))
    male = 1.0 if identity.sex == "m" else 0.0
    neck = 5.2 + 1.0 * male
    half = 18.5 + 3.0 * male
    slope = np.clip(t / 0.55, 0, 1)
    rx = neck + (half - neck) * np.sin(slope * np.pi / 2) ** 1.1
    rz = neck - 0.35 + 3.2 * np.sin(slope * np.pi / 2)
    y = -14.9 + male * 0.1 - 5.4 * slope**1.6 - 16 * np.clip((t - 0.5) / 0.5, 0, 1) ** 1.3
    dip = 2.6 * np.clip(np.cos(turn), 0, 1) ** 2 * np.clip(1 - slope * 1.3, 0, 1)  # a neckline lower in front
    v = np.stack([rx * np.sin(turn), y - dip, -7.6 + rz * np.cos(turn)], 1)
    tri = grid_triangles(30, 64, wrap=True)
    return Part.make("shoulders", CLOTH, v, tri, np.stack([turn, t], 1), head_weight=np.zeros(len(v)))


def _hair(identity: StudioIdentity, face: np.ndarray) -> list[Part]:
    """A shell round the skull, cut to the hairline; ``t`` runs from the crown down, ``az`` round the head (0 front)."""
    rng = np.random.default_rng(identity.seed + 7)
    fringe = identity.hair == "fringe"
    style = "bob" if fringe else identity.hair
    n_t, n_az = 60, 120
    t, az = _grid(np.linspace(0, 1, n_t), np.linspace(-np.pi, np.pi, n_az, endpoint=False))
    wide = 1 + 0.02 * identity.shape.get("width", 0.0)
    polar = np.clip(t / 0.6, 0, 1) * np.deg2rad(100)
    hang = np.clip((t - 0.6) / 0.4, 0, 1)
    direction = np.stack([np.sin(polar) * np.sin(az), np.cos(polar), np.sin(polar) * np.cos(az)], 1)
    length = {"long": 19.0, "bob": 11.0}.get(style, 7.0)
    thick = {"buzz": 0.12, "short": 0.45, "side": 0.7, "afro": 3.2, "bob": 1.1, "long": 1.0, "bun": 0.45}[style]
    top = {"short": 0.9, "side": 1.3, "bob": 0.5, "long": 0.5, "bun": 0.2}.get(style, 0.0)
    front = np.abs(az)
    # height of the hairline (cm, face coordinates) by angle: forehead, temple, sideburn, behind the ear
    down = {"long": -30.0, "bob": -30.0, "afro": -2.0}.get(style, -3.2)
    ear = {"long": -30.0, "bob": -30.0, "afro": -4.0}.get(style, -2.6 if identity.sex == "m" else -1.0)
    recede = 0.5 if identity.sex == "m" and identity.age > 45 else 0.0
    knots = np.deg2rad([0, 28, 50, 66, 76, 88, 102, 120, 180])
    brow = [8.0 + recede, 7.6 + 2.2 * recede, 5.4 + 2 * recede, 2.2]
    line = np.interp(front, knots, [*brow, ear * 0.5, ear, ear, down, down])
    if style == "long":  # parted, drawn to both sides of the face
        line = np.interp(front, np.deg2rad([0, 12, 32, 50, 62, 70, 180]), [8.4, 8.0, 6.0, 2.6, -4.0, -30, -30])
    if style == "side":
        line = line - 1.9 * np.exp(-((az - 0.30) ** 2) / 0.10) - 0.9 * np.exp(-((az - 0.75) ** 2) / 0.06)
    if fringe:
        line = line - 3.6 * np.clip(1 - front / 0.85, 0, 1) ** 0.5
    base = SKULL_CENTRE + direction * skull_radius(direction) * SKULL_RADII * [wide, 1, 1]
    base[:, 1] -= hang * length
    edge = np.clip((base[:, 1] - line) / 4.6, 0, 1)
    if style in ("long", "bob"):
        edge = np.maximum(edge * 0.9 + 0.1, np.clip((front - 1.1) / 0.4, 0, 1) * 0.8)
    line = line + 0.22 * np.sin(7 * az + 5 * rng.random()) + 0.12 * np.sin(21 * az + 2)
    wave = 0.14 * np.sin(6 * az + 3 * rng.random()) + 0.10 * np.sin(17 * az + 7 * t) + 0.09 * np.sin(37 * az + 11 * t)
    side_part = 0.35 * np.exp(-((az + 0.6) ** 2) / 0.2) * (style in ("side", "bob", "long"))
    crown = np.clip(direction[:, 1] * 1.6 - 0.45, 0, 1)
    lift = ((thick + top * crown) * (1 + wave) - side_part) * (0.06 + 0.94 * edge**0.8)
    outward = direction / np.linalg.norm(direction, axis=1, keepdims=True)
    if style in ("long", "bob"):
        curl = np.sin(hang * 7 + 2 * np.sin(3 * az)) * 0.35 * hang
        outward = outward * (1 + 0.3 * hang[:, None])
        lift = lift + curl + (0.5 - 1.6 * (hang > 0.75) * (hang - 0.75) * 4 * (style == "bob")) * hang
    if style == "afro":
        lift = lift + 0.25 * np.sin(az * 17 + 3 * np.sin(t * 31)) * np.sin(t * 43 + 2 * np.sin(az * 5)) * edge
    v = base + outward * lift[:, None]
    v[:, 0] *= 1 - 0.10 * np.clip(hang - 0.5, 0, 1) * (style == "long")
    cut = (base[:, 1] - line) / 0.9 + 0.25
    if style in ("long", "bob"):
        end = (1 - hang) * length * 0.5 + 0.1
        cut = np.minimum(cut, end)
    slant = {"side": 1.3, "short": 0.5}.get(style, 0.0) * (t - 0.3)  # combed across, not straight down
    strand = (az + slant) * 95 + 3 * np.sin(t * 9)
    if style == "afro":
        strand = np.floor(az * 40) * 7 + t * 130
        cut = cut * 0.7
    weight = 1 - 0.75 * np.clip((hang - 0.4) / 0.6, 0, 1) * (style == "long")
    around = np.stack([az + slant, t], 1)
    tri = grid_triangles(n_t, n_az, wrap=True)
    parts = [Part.make("hair", HAIR, v, tri, around, cut=cut, strand=strand, head_weight=weight)]
    if style == "bun":
        polar, turn = _grid(np.linspace(0, np.pi, 16), np.linspace(0, 2 * np.pi, 28, endpoint=False))
        r = 3.0 + 0.15 * np.sin(5 * turn + 3 * polar)
        ball = np.stack([np.sin(polar) * np.cos(turn), np.cos(polar), np.sin(polar) * np.sin(turn)], 1) * r[:, None]
        ball = ball * [1.1, 0.9, 1] + [0, 10.6, -9.5]
        tri = grid_triangles(16, 28, wrap=True)
        parts.append(Part.make("bun", HAIR, ball, tri, np.stack([turn, polar], 1), strand=turn * 20))
    return parts
