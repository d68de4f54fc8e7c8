"""The face mesh under every studio talker: template, smoothing subdivision, harmonic fields.

The template (``assets/studio/head_template.npz``) has the 468-vertex layout of MediaPipe FaceMesh (Apache-2.0), in
centimetres: x to the right of the picture, y up, z towards the camera, origin between the eyes, outer eye corners
9 cm apart. Its geometry is a mean: FaceMesh was run on closed-mouth frames of eight GRID talkers (CC BY 4.0,
Cooke et al.), the shapes were Procrustes-aligned, averaged and made symmetric. No single person is in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import spsolve

N_FACE = 468

# Lip rings from the skin (0) to the inner edge (3); eleven columns from the right to the left corner of the mouth.
UPPER_LIP = np.array(
    [
        [61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291],
        [76, 184, 74, 73, 72, 11, 302, 303, 304, 408, 306],
        [62, 183, 42, 41, 38, 12, 268, 271, 272, 407, 292],
        [78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308],
    ]
)
LOWER_LIP = np.array(
    [
        [61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291],
        [76, 77, 90, 180, 85, 16, 315, 404, 320, 307, 306],
        [62, 96, 89, 179, 86, 15, 316, 403, 319, 325, 292],
        [78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308],
    ]
)
# Eye contours, corner to corner: (upper lid, lower lid) of the eye at the left and at the right of the picture.
EYES = (
    (
        np.array([33, 246, 161, 160, 159, 158, 157, 173, 133]),
        np.array([33, 7, 163, 144, 145, 153, 154, 155, 133]),
    ),
    (
        np.array([263, 466, 388, 387, 386, 385, 384, 398, 362]),
        np.array([263, 249, 390, 373, 374, 380, 381, 382, 362]),
    ),
)
BROWS = (
    np.array([70, 63, 105, 66, 107, 55, 65, 52, 53, 46]),
    np.array([300, 293, 334, 296, 336, 285, 295, 282, 283, 276]),
)
OVAL = np.array([
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
])  # fmt: skip
NOSE = np.array([168, 6, 197, 195, 5, 4, 1, 19, 94, 2, 98, 97, 326, 327, 129, 358, 48, 278, 115, 344, 220, 440])
OUTER_EYE_CORNERS = (33, 263)
INNER_LIPS_MIDDLE = (13, 14)


@dataclass(frozen=True)
class FaceTemplate:
    """The mean face: ``vertices`` float64 (468, 3) in cm, ``triangles`` int64 (852, 3)."""

    vertices: np.ndarray
    triangles: np.ndarray


@lru_cache(maxsize=1)
def template() -> FaceTemplate:
    """The committed mean face, mouth exactly closed."""
    with (resources.files("tfg") / "assets/studio/head_template.npz").open("rb") as file, np.load(file) as data:
        vertices = data["vertices"].astype(np.float64)
        triangles = data["triangles"].astype(np.int64)
    middle = (vertices[UPPER_LIP[3]] + vertices[LOWER_LIP[3]]) / 2
    vertices[UPPER_LIP[3]] = middle
    vertices[LOWER_LIP[3]] = middle
    return FaceTemplate(vertices, triangles)


def loop_subdivision(triangles: np.ndarray, n: int) -> tuple[sparse.csr_matrix, np.ndarray]:
    """One step of Loop's subdivision (Loop 1987, with Warren's weights) as a linear map.

    ``triangles`` (M, 3) over ``n`` vertices -> sparse (n', n) matrix that maps positions, and triangles (4M, 3).
    """
    directed = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    opposite = np.concatenate([triangles[:, 2], triangles[:, 0], triangles[:, 1]])
    edges, edge_of = np.unique(np.sort(directed, axis=1), axis=0, return_inverse=True)
    edge_of = edge_of.ravel()
    faces_per_edge = np.bincount(edge_of, minlength=len(edges))
    border = faces_per_edge == 1

    rows, cols, vals = [], [], []

    def put(r: np.ndarray, c: np.ndarray, v: np.ndarray) -> None:
        rows.append(r)
        cols.append(c)
        vals.append(v)

    index = np.arange(len(edges)) + n
    weight = np.where(border, 0.5, 3 / 8)
    put(index, edges[:, 0], weight)
    put(index, edges[:, 1], weight)
    inner = ~border[edge_of]
    put(edge_of[inner] + n, opposite[inner], np.full(inner.sum(), 1 / 8))

    on_border = np.zeros(n, bool)
    on_border[edges[border]] = True
    valence = np.bincount(edges.ravel(), minlength=n)
    beta = np.where(valence == 3, 3 / 16, 3 / (8 * np.maximum(valence, 1)))
    own = np.where(on_border, 0.75, 1 - valence * beta)
    put(np.arange(n), np.arange(n), own)
    for a, b in ((0, 1), (1, 0)):
        start, end = edges[:, a], edges[:, b]
        use = ~on_border[start]
        put(start[use], end[use], beta[start[use]])
        put(start[border], end[border], np.full(border.sum(), 1 / 8))

    matrix = sparse.csr_matrix(
        (np.concatenate(vals), (np.concatenate(rows), np.concatenate(cols))), shape=(n + len(edges), n)
    )
    m = len(triangles)
    ab, bc, ca = edge_of[:m] + n, edge_of[m : 2 * m] + n, edge_of[2 * m :] + n
    a, b, c = triangles.T
    finer = np.concatenate([np.stack(t, axis=1) for t in ((a, ab, ca), (b, bc, ab), (c, ca, bc), (ab, bc, ca))])
    return matrix, finer


def harmonic_extension(triangles: np.ndarray, n: int, handles: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """Matrix (n, len(handles)) that spreads values at ``handles`` smoothly over the mesh, zero at ``anchors``.

    Minimises the bilaplacian energy of the uniform graph Laplacian, so that the spread has no crease at the handles.
    """
    pairs = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    ones = np.ones(len(pairs))
    adjacency = sparse.coo_matrix((ones, (pairs[:, 0], pairs[:, 1])), shape=(n, n)).tocsr()
    adjacency = ((adjacency + adjacency.T) > 0).astype(np.float64)
    degree = np.asarray(adjacency.sum(axis=1)).ravel()
    laplacian = sparse.diags(np.ones(n)) - sparse.diags(1 / np.maximum(degree, 1)) @ adjacency
    energy = (0.7 * laplacian.T @ laplacian + 0.3 * laplacian).tocsr()

    fixed = np.zeros(n, bool)
    fixed[handles] = True
    fixed[anchors] = True
    free = np.flatnonzero(~fixed & (degree > 0))
    solution = spsolve(energy[free][:, free].tocsc(), -energy[free][:, handles].tocsc())
    out = np.zeros((n, len(handles)))
    out[free] = solution.toarray() if sparse.issparse(solution) else solution
    out[handles] = np.eye(len(handles))
    return out


def grid_triangles(rows: int, cols: int, *, wrap: bool = False) -> np.ndarray:
    """Triangles (M, 3) of a rows x cols vertex grid (row-major); ``wrap`` joins the last column to the first."""
    r, c = np.meshgrid(np.arange(rows - 1), np.arange(cols if wrap else cols - 1), indexing="ij")
    right = (c + 1) % cols
    a, b = r * cols + c, r * cols + right
    d, e = (r + 1) * cols + c, (r + 1) * cols + right
    return np.concatenate([np.stack([a, d, b], -1).reshape(-1, 3), np.stack([b, d, e], -1).reshape(-1, 3)])
