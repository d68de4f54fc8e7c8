"""Generated faces put into the frames: the lower face only, without a seam.

The mask follows the jaw of the frame, with some room below the chin for a mouth that opens, and fades out over a few
pixels of the generator's square; above, it fades in at the row from which on the generator draws (up to there it was
shown the picture). Along this fading rim both the real and the generated colours are known: a plane in x and y per
colour channel, fitted to their difference, is added to the generated face, and then what is left of the difference,
smoothed and carried from the rim inwards, where it fades out.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from tfg.clip import Frames

ROOM = 0.06  # of the square: how far the mask reaches below the chin
CHEEKS = 0.72  # of the jaw's width is drawn: speech hardly moves the outline there, and the real one is sharper
LIPS = 1.4  # times the size of the lips is drawn in any case
FADE = 0.03  # of the square: standard deviation of the blur that makes the mask's edge
_ADAPT = 0.2  # share of a new frame in the colour match: a light changes over several frames, noise does not
_OUTLIER = 12.0  # grey levels: larger differences on the rim are edges that moved, and hardly count
_MOST = 40.0  # grey levels that the match may add
_REACH = 0.06  # of the square: how far what is left at the rim is carried
_TRUST = 0.05  # weight that the rim must have around a pixel for half of it to be added there

Masks = NDArray[np.float32]


def lower_face_masks(outline: NDArray[np.float64], size: int) -> Masks:
    """Where the generated face counts.

    :param outline: ``(N, 29, 2)``, the jaw's contour from ear to ear and the outer lips, in pixels of the square.
    :param size: side ``S`` of the square.
    :returns: ``float32 (N, S, S)`` in [0, 1]: 1 around the mouth, 0 at the square's border and in its upper half.
    """
    shift = 4
    edge = _ramp(np.arange(size), 1, 1 + 0.05 * size)
    border = edge * edge[::-1]
    window = (edge[::-1][:, None] * border[None]).astype(np.float32)
    masks = np.zeros((len(outline), size, size), np.float32)
    for mask, points in zip(masks, outline, strict=True):
        contour, lips = points[:17], points[17:]
        centre = contour[[0, 16]].mean(axis=0)
        shape = centre + (contour - centre) * (CHEEKS, 1 - 2 * FADE)
        shape[:, 1] += ROOM * size * np.sin(np.linspace(0, np.pi, 17)) ** 2
        closed = np.concatenate([[[shape[0, 0], 0.0]], shape, [[shape[-1, 0], 0.0]]])
        around = lips.mean(axis=0) + LIPS * (lips - lips.mean(axis=0))  # of a turned head they come near the outline
        for polygon in (closed, cv2.convexHull(around.astype(np.float32))[:, 0]):
            cv2.fillPoly(mask, [np.round(polygon * 2**shift).astype(np.int32)], 1.0, cv2.LINE_8, shift)
        cv2.GaussianBlur(mask, (0, 0), FADE * size, dst=mask, borderType=cv2.BORDER_REPLICATE)
        # below the nose, where the generator's first drawn rows meet the copied ones, unless old lips reach there
        top = min(0.59 * size, max(0.53 * size, lips[:, 1].min() - 0.04 * size))
        mask *= window * _ramp(np.arange(size), top - 0.09 * size, top).astype(np.float32)[:, None]
    return masks


def _ramp(x: NDArray[np.int64], first: float, last: float) -> NDArray[np.float64]:
    """From 0 at ``first`` to 1 at ``last``, smooth at both ends."""
    part = ((x - first) / (last - first)).clip(0, 1)
    return np.asarray(part * part * (3 - 2 * part))


class ColourMatch:
    """Brings generated faces to the colours of the frames they are put into, steadily from frame to frame."""

    def __init__(self) -> None:
        self._track = -1
        self._planes = np.zeros((3, 3))
        self._rest: NDArray[np.float32] | None = None

    def __call__(
        self, drawn: NDArray[np.float32], real: NDArray[np.float32], masks: Masks, tracks: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """The generated faces, matched.

        :param drawn: ``(N, S, S, 3)`` in grey levels, the generated faces.
        :param real: ``(N, S, S, 3)``, the same squares of the frames. Only the rim of the mask is looked at.
        :param masks: ``(N, S, S)``.
        :param tracks: ``(N,)``; where the number changes the match begins anew.
        """
        size = drawn.shape[1]
        axis = np.linspace(-1, 1, size)
        y, x = np.meshgrid(axis, axis, indexing="ij")
        basis = np.stack([np.ones_like(x), x, y], axis=-1)
        matched = np.empty_like(drawn)
        for i, track in enumerate(tracks):
            edge = masks[i] * (1 - masks[i])
            rim = edge > 0.04
            planes = _fit(basis[rim], (real[i] - drawn[i])[rim].astype(np.float64))
            share = _ADAPT if track == self._track else 1.0
            self._planes = (1 - share) * self._planes + share * planes
            matched[i] = drawn[i] + (basis @ self._planes).clip(-_MOST, _MOST)
            rest = _carried(real[i] - drawn[i] - (basis @ planes).astype(np.float32), edge)
            self._rest = rest if self._rest is None or share == 1.0 else (1 - share) * self._rest + share * rest
            matched[i] += self._rest
            self._track = int(track)
        return matched


def _carried(off: NDArray[np.float32], edge: Masks) -> NDArray[np.float32]:
    """The difference ``(S, S, 3)`` along the rim, where ``edge`` ``(S, S)`` has weight, spread over the square."""
    weight = 4 * edge / (1 + (np.abs(off).max(axis=2) / _OUTLIER) ** 2) ** 2
    reach = _REACH * len(edge)
    known = cv2.GaussianBlur(weight, (0, 0), reach)[..., None]
    return np.asarray(cv2.GaussianBlur(off * weight[..., None], (0, 0), reach) / (known + _TRUST))


def _fit(basis: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """``(K, 3)`` and ``(K, 3)`` -> the plane ``(3, 3)`` of each channel, in least squares but for outliers."""
    planes = np.zeros((3, 3))
    if len(basis) < 16:
        return planes
    planes[0] = np.median(values, axis=0)
    for _ in range(3):
        off = np.abs(values - basis @ planes).max(axis=1)
        weight = 1 / (1 + (off / _OUTLIER) ** 2) ** 2
        weighted = basis * weight[:, None]
        # a slight pull of the slopes towards none: a rim that is mostly outliers has no say about them
        planes = np.linalg.solve(weighted.T @ basis + np.diag([0, 1, 1]) * 0.02 * len(basis), weighted.T @ values)
    return planes


def paste(frame: Frames, face: NDArray[np.float32], mask: Masks, box: NDArray[np.float64]) -> None:
    """Put one face into a frame, in place.

    :param frame: ``uint8 (H, W, 3)``, writeable.
    :param face: ``(S, S, 3)`` in grey levels.
    :param mask: ``(S, S)``.
    :param box: x0, y0, x1, y1 of the square in pixel areas; it may leave the frame.
    """
    size = len(mask)
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return
    scale = (box[2:] - box[:2]) / size
    low = np.floor(box[:2] + scale * (columns[0] - 1, rows[0] - 1)).astype(int)
    high = np.ceil(box[:2] + scale * (columns[-1] + 2, rows[-1] + 2)).astype(int)
    x0, y0 = low.clip(0)
    x1, y1 = high.clip(None, (frame.shape[1], frame.shape[0]))
    if x0 >= x1 or y0 >= y1:
        return
    inverse = np.array([[1 / scale[0], 0, 0], [0, 1 / scale[1], 0]])  # region pixels -> pixels of the square
    inverse[:, 2] = (np.array([x0, y0]) + 0.5 - box[:2]) / scale - 0.5
    how = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    shown = cv2.warpAffine(face, inverse, (x1 - x0, y1 - y0), flags=how, borderMode=cv2.BORDER_REPLICATE)
    alpha = cv2.warpAffine(mask, inverse, (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)[..., None]
    part = frame[y0:y1, x0:x1]
    part[...] = np.rint(part + alpha * (shown.clip(0, 255) - part))
