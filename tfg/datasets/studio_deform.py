"""How a face moves: jaw, lips, lids and brows of the 468-vertex face mesh, driven by articulation."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from tfg.datasets import studio_mesh as mesh

JAW_PIVOT = np.array([0.0, -1.2, -6.3])
JAW_DEGREES = 9.5

# Articulation channels, in the order of the arrays that drive a head.
CHANNELS = ("jaw", "width", "protrusion", "upper", "lower", "closure", "tuck", "tongue", "tongue_front")


@lru_cache(maxsize=1)
def _fields() -> dict[str, np.ndarray]:
    """Motion fields of the template, shared by all identities."""
    base = mesh.template()
    v, n = base.vertices, mesh.N_FACE
    lips = np.unique(np.concatenate([mesh.UPPER_LIP.ravel(), mesh.LOWER_LIP.ravel()]))
    eyes = [np.unique(np.concatenate(mesh.EYES[e])) for e in (0, 1)]
    all_eyes = np.concatenate(eyes)
    brows = np.concatenate(mesh.BROWS)

    columns = np.abs(np.linspace(-1, 1, 11))
    lower_weight = np.stack([1 - 0.55 * columns**2] * 4)
    upper_weight = np.stack([0.45 * columns**3] * 4)
    lower_weight[:, [0, 10]] = upper_weight[:, [0, 10]] = 0.42
    jaw_line = np.interp(v[mesh.OVAL, 1], [-11.9, -10.5, -8.5, -6, -3, -1], [1, 0.97, 0.75, 0.4, 0.12, 0])
    handles = np.concatenate([mesh.UPPER_LIP.ravel(), mesh.LOWER_LIP[:, 1:-1].ravel(), mesh.OVAL])
    values = np.concatenate([upper_weight.ravel(), lower_weight[:, 1:-1].ravel(), jaw_line])
    handles, first = np.unique(handles, return_index=True)
    still = np.setdiff1d(np.concatenate([all_eyes, brows, mesh.NOSE]), handles)
    jaw = mesh.harmonic_extension(base.triangles, n, handles, still) @ values[first]

    lip_spread = mesh.harmonic_extension(
        base.triangles, n, lips, np.setdiff1d(np.concatenate([mesh.OVAL, all_eyes, mesh.NOSE]), lips)
    )
    lid_spread = mesh.harmonic_extension(
        base.triangles, n, all_eyes, np.setdiff1d(np.concatenate([mesh.OVAL, brows, mesh.NOSE, lips]), all_eyes)
    )
    brow_spread = mesh.harmonic_extension(
        base.triangles, n, brows, np.concatenate([all_eyes, mesh.NOSE[5:], lips, mesh.OVAL])
    ).sum(axis=1)
    return {"lips": lips, "eyes": all_eyes, "jaw": np.clip(jaw, 0, 1), "lip_spread": lip_spread,
            "lid_spread": lid_spread, "brow": brow_spread}  # fmt: skip


def deform(
    rest: np.ndarray, a: np.ndarray, *, blink: float, brow: float, gaze_up: float, gain: float
) -> tuple[np.ndarray, float]:
    """The face (468, 3) of ``rest`` (mouth closed, cm) with articulation ``a`` (9,), and the mouth's opening.

    ``gain`` scales how far the mouth moves. The opening is the distance between the middles of the inner lips over
    the distance between the outer corners of the eyes at rest: 0 is closed, about 0.2 is a wide open vowel.
    """
    jaw, width, protrusion, upper, lower, closure, tuck = (float(x) for x in a[:7])
    f = _fields()
    angle = np.deg2rad(JAW_DEGREES * jaw * gain)
    face = rest.copy()
    opened = rotate_x(face - JAW_PIVOT, angle) + JAW_PIVOT
    face += (opened - face) * f["jaw"][:, None]
    face[:, 1] += f["brow"] * 0.55 * brow

    move = _lip_motion(rest, face, width, protrusion, upper, lower, closure, tuck, gain)
    face += f["lip_spread"] @ move[f["lips"]]
    lids = np.zeros_like(face)
    blink = 0.11 + 0.89 * blink  # at rest the upper lid covers the top of the iris
    for top, bottom in mesh.EYES:
        gap = face[bottom[1:-1]] - face[top[1:-1]]
        lids[top[1:-1]] = gap * (0.92 * blink) + np.array([0, 0, 0.25]) * 4 * blink * (1 - blink)
        lids[bottom[1:-1]] = -gap * 0.08 * blink
        lids[top[1:-1], 1] += np.clip(gaze_up, -8, 8) * 0.012 * (1 - blink)
    face += f["lid_spread"] @ lids[f["eyes"]]
    upper_lip, lower_lip = face[list(mesh.INNER_LIPS_MIDDLE)]
    eyes = np.linalg.norm(np.subtract(*rest[list(mesh.OUTER_EYE_CORNERS)]))
    return face, float(np.linalg.norm(upper_lip - lower_lip) / eyes)


def _lip_motion(
    rest: np.ndarray, face: np.ndarray, width: float, protrusion: float, upper: float, lower: float,
    closure: float, tuck: float, gain: float,
) -> np.ndarray:  # fmt: skip
    """Displacement (468, 3) of the lip vertices beyond the jaw's; ``face`` has the jaw opened."""
    move = np.zeros_like(face)
    u = np.linspace(-1, 1, 11)
    middle = np.cos(u * np.pi / 2)
    half_width = (rest[291, 0] - rest[61, 0]) / 2
    for rings, sign in ((mesh.UPPER_LIP, 1.0), (mesh.LOWER_LIP, -1.0)):
        for r in range(4):
            row = rings[r]
            d = np.zeros((11, 3))
            scale = 0.20 * max(width, 0) - 0.30 * max(-width, 0)
            d[:, 0] += gain * scale * half_width * np.sin(u * np.pi / 2)
            d[:, 1] += gain * 0.18 * max(width, 0) * u**2
            d[:, 2] += gain * (-0.35 * max(width, 0) + 0.55 * max(-width, 0)) * u**2
            roll = (1.0, 0.9, 0.8, 0.7)[r]
            d[:, 2] += gain * protrusion * (0.85 * roll * (0.35 + 0.65 * middle))
            d[:, 1] += gain * protrusion * sign * (0.10 + 0.05 * (3 - r) / 3) * middle
            lift = 0.55 * upper if sign > 0 else -0.60 * lower
            d[:, 1] += gain * lift * (0.25 + 0.75 * middle) * (1 - u**4)
            move[row] += d
    ring_share = (0.62, 0.85, 1.0, 1.0)
    top, bottom = mesh.UPPER_LIP[3], mesh.LOWER_LIP[3]
    if tuck > 0:  # the lower lip goes in under the upper incisors, the upper lip stays a little raised
        target = rest[top] + np.array([0.0, -0.12, -0.50]) * middle[:, None]
        reach = (target - face[bottom] - move[bottom]) * tuck
        for r in range(4):
            move[mesh.LOWER_LIP[r]] += reach * np.array([1, ring_share[r], ring_share[r]]) * (1, 1, 1)
            move[mesh.UPPER_LIP[r], 1] += 0.14 * tuck * middle
    if closure > 0:
        gap = (face[top] + move[top]) - (face[bottom] + move[bottom])
        press = 0.10 * middle * max(0.0, closure - 0.6) / 0.4
        for r in range(4):
            move[mesh.UPPER_LIP[r]] -= 0.25 * closure * gap * ring_share[r]
            move[mesh.LOWER_LIP[r]] += 0.75 * closure * gap * ring_share[r]
            if r in (1, 2):
                move[mesh.UPPER_LIP[r], 1] -= press
                move[mesh.LOWER_LIP[r], 1] += press
                move[mesh.UPPER_LIP[r], 2] -= press
                move[mesh.LOWER_LIP[r], 2] -= press
    return move


def rotate_x(v: np.ndarray, angle: float) -> np.ndarray:
    """Positive angles turn the front (+z) downwards."""
    c, s = np.cos(angle), np.sin(angle)
    return np.stack([v[:, 0], c * v[:, 1] - s * v[:, 2], s * v[:, 1] + c * v[:, 2]], axis=1)


def rotate_y(v: np.ndarray, angle: float) -> np.ndarray:
    """Positive angles turn the front (+z) to the right of the picture."""
    c, s = np.cos(angle), np.sin(angle)
    return np.stack([c * v[:, 0] + s * v[:, 2], v[:, 1], -s * v[:, 0] + c * v[:, 2]], axis=1)
