"""A z-buffer rasteriser for triangle meshes, compiled by numba (which librosa already brings)."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, fastmath=True)
def _hash(i: int) -> float:
    x = np.sin(i * 12.9898) * 43758.5453
    return x - np.floor(x)


@njit(cache=True, fastmath=True)
def rasterise(
    screen: np.ndarray, triangles: np.ndarray, cut: np.ndarray, strand: np.ndarray, height: int, width: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Visible triangle and barycentric coordinates of every pixel.

    ``screen`` float32 (V, 3): x, y in pixels and z (larger is nearer). ``cut`` float32 (V,): a fragment is dropped
    where the interpolated value plus noise per strand is negative (``strand`` float32 (V,) numbers the strands): so
    hair ends in single strands. Returns depth float32 (H, W) (-1e9 where empty), triangle int32 (H, W) (-1 where
    empty), weights float32 (H, W, 2) of the triangle's first two vertices. Affine interpolation: triangles are small.
    """
    depth = np.full((height, width), np.float32(-1e9), np.float32)
    index = np.full((height, width), np.int32(-1), np.int32)
    weights = np.zeros((height, width, 2), np.float32)
    for t in range(triangles.shape[0]):
        i, j, k = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        x0, y0 = screen[i, 0], screen[i, 1]
        x1, y1 = screen[j, 0], screen[j, 1]
        x2, y2 = screen[k, 0], screen[k, 1]
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if abs(area) < 1e-9:
            continue
        left = max(int(np.ceil(min(x0, min(x1, x2)) - 0.5)), 0)
        right = min(int(np.floor(max(x0, max(x1, x2)) - 0.5)), width - 1)
        top = max(int(np.ceil(min(y0, min(y1, y2)) - 0.5)), 0)
        bottom = min(int(np.floor(max(y0, max(y1, y2)) - 0.5)), height - 1)
        for row in range(top, bottom + 1):
            py = row + 0.5
            for col in range(left, right + 1):
                px = col + 0.5
                a = ((x1 - px) * (y2 - py) - (x2 - px) * (y1 - py)) / area
                b = ((x2 - px) * (y0 - py) - (x0 - px) * (y2 - py)) / area
                c = 1 - a - b
                if a < -1e-6 or b < -1e-6 or c < -1e-6:
                    continue
                z = a * screen[i, 2] + b * screen[j, 2] + c * screen[k, 2]
                if z <= depth[row, col]:
                    continue
                keep = a * cut[i] + b * cut[j] + c * cut[k]
                if keep < 1.0:
                    s = a * strand[i] + b * strand[j] + c * strand[k]
                    if keep + 0.9 * (_hash(int(np.floor(s))) - 0.5) < 0:
                        continue
                depth[row, col] = z
                index[row, col] = t
                weights[row, col, 0] = a
                weights[row, col, 1] = b
    return depth, index, weights


@njit(cache=True, fastmath=True)
def interpolate(
    rows: np.ndarray,
    cols: np.ndarray,
    index: np.ndarray,
    weights: np.ndarray,
    triangles: np.ndarray,
    values: np.ndarray,
) -> np.ndarray:
    """Values (P, K) at the pixels (rows, cols) from per-vertex ``values`` float32 (V, K)."""
    out = np.empty((rows.shape[0], values.shape[1]), np.float32)
    for p in range(rows.shape[0]):
        t = index[rows[p], cols[p]]
        a = weights[rows[p], cols[p], 0]
        b = weights[rows[p], cols[p], 1]
        c = 1 - a - b
        i, j, k = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        for q in range(values.shape[1]):
            out[p, q] = a * values[i, q] + b * values[j, q] + c * values[k, q]
    return out


@njit(cache=True, fastmath=True)
def vertex_normals(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Area-weighted unit normals float32 (V, 3)."""
    normals = np.zeros((vertices.shape[0], 3), np.float32)
    for t in range(triangles.shape[0]):
        i, j, k = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        ax, ay, az = (
            vertices[j, 0] - vertices[i, 0],
            vertices[j, 1] - vertices[i, 1],
            vertices[j, 2] - vertices[i, 2],
        )
        bx, by, bz = (
            vertices[k, 0] - vertices[i, 0],
            vertices[k, 1] - vertices[i, 1],
            vertices[k, 2] - vertices[i, 2],
        )
        nx, ny, nz = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
        for q in (i, j, k):
            normals[q, 0] += nx
            normals[q, 1] += ny
            normals[q, 2] += nz
    for v in range(vertices.shape[0]):
        length = np.sqrt(normals[v, 0] ** 2 + normals[v, 1] ** 2 + normals[v, 2] ** 2) + np.float32(1e-12)
        for q in range(3):
            normals[v, q] /= length
    return normals
