"""How alike two videos look, frame by frame: PSNR, SSIM, MS-SSIM.

Every function takes two ``uint8 (T, H, W, 3)`` RGB arrays, generated and real, frame ``i`` against frame ``i``, and
returns one float64 per frame: average them over frames, then over clips. :func:`common_frames` trims two clips to the
time that both have. Against the real frames, a face that does something else at this moment counts as wrong even where
it looks real: for that see :mod:`tfg.metrics.fid`.

Which pixels are compared (whole frames, or the face alone) changes the numbers more than the method does: say it.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from tfg.clip import FPS, Clip, Frames
from tfg.errors import MetricError

WINDOW, SIGMA = 11, 1.5  # pixels, of SSIM's Gaussian
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of MS-SSIM, from the finest scale to the coarsest
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
_KERNEL = cv2.getGaussianKernel(WINDOW, SIGMA, cv2.CV_64F)

PerFrame = NDArray[np.float64]


def common_frames(generated: Clip, reference: Clip) -> tuple[Clip, Clip, tuple[str, ...]]:
    """Two clips trimmed to the time that both have; both start at time 0.

    :returns: both clips, of one length, and what was cut, in plain sentences (empty when nothing was).
    :raises MetricError: frames of different sizes: nothing is resized here, because resizing changes the scores.
    """
    size, expected = (generated.width, generated.height), (reference.width, reference.height)
    if size != expected:
        raise MetricError(
            f"{generated.source or 'the clip'} is {size[0]} x {size[1]}, {reference.source or 'its reference'} "
            f"{expected[0]} x {expected[1]}; expected one size: write the generated video at the size of the "
            "reference, or compare crops of one size (tfg.crops.face_crops)"
        )
    frames = min(generated.n_frames, reference.n_frames)
    cut = tuple(
        f"{name} has {clip.n_frames} frames, {frames} are compared: its last {(clip.n_frames - frames) / FPS:.2f} s "
        "are left out"
        for name, clip in (("the video", generated), ("the reference", reference))
        if clip.n_frames > frames
    )
    return generated.trim(0, frames), reference.trim(0, frames), cut


def psnr(generated: Frames, reference: Frames) -> PerFrame:
    """Peak signal-to-noise ratio of every frame in dB: ``10 log10(255^2 / MSE)``, the error over all three channels.

    :param generated: ``uint8 (T, H, W, 3)``.
    :param reference: the same shape.
    :returns: ``float64 (T,)``, higher is better; infinite where a frame is the same to the last bit. Differences are
        taken in floating point (8-bit subtraction wraps around and never reports less than 24 dB).
    :raises MetricError: another type or shape.
    """
    _check(generated, reference)
    error = np.array([np.square(x.astype(np.float64) - y).mean() for x, y in zip(generated, reference, strict=True)])
    with np.errstate(divide="ignore"):
        return np.asarray(10 * np.log10(255.0**2 / error))


def ssim(generated: Frames, reference: Frames) -> PerFrame:
    """Structural similarity of every frame (Wang, Bovik, Sheikh, Simoncelli 2004), mean of the three colour channels.

    Gaussian window of 11 pixels, sigma 1.5, population covariance, windows inside the frame only: what scikit-image
    calls ``channel_axis=-1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255``. The
    article judges luminance alone; talking-face papers average RGB, and so does this.

    :returns: ``float64 (T,)`` in [-1, 1]; 1 is the same picture.
    :raises MetricError: another type or shape, or frames of less than 11 pixels.
    """
    _check(generated, reference, WINDOW)
    return np.array(
        [_similarities(x.astype(float), y.astype(float))[0] for x, y in zip(generated, reference, strict=True)]
    )


def ms_ssim(generated: Frames, reference: Frames) -> PerFrame:
    """Multi-scale SSIM of every frame (Wang, Simoncelli, Bovik 2003): contrast and structure at five scales, each half
    the one before, luminance at the coarsest, multiplied under the article's exponents.

    RGB, means over channels and over windows inside the frame at each scale; a negative mean counts as 0.

    :returns: ``float64 (T,)`` in [0, 1]; 1 is the same picture.
    :raises MetricError: another type or shape, or frames whose coarsest scale is smaller than the window (less than
        176 pixels).
    """
    _check(generated, reference, WINDOW * 2 ** (len(SCALE_WEIGHTS) - 1))
    return np.array([_multi_scale(x.astype(float), y.astype(float)) for x, y in zip(generated, reference, strict=True)])


def _multi_scale(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    factors = []
    for scale in range(len(SCALE_WEIGHTS)):
        if scale:
            x, y = _halve(x), _halve(y)
        full, structure = _similarities(x, y)
        factors.append(structure)
    factors[-1] = full
    return float(np.prod(np.maximum(factors, 0) ** np.array(SCALE_WEIGHTS)))


def _halve(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means of 2 x 2 pixels; an odd last row or column is left out."""
    height, width = (side // 2 * 2 for side in image.shape[:2])
    even = image[:height, :width]
    return np.asarray((even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]) / 4)


def _similarities(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float]:
    """Means of SSIM and of its contrast-structure factor over pixels and channels."""
    mean_x, mean_y = _blur(x), _blur(y)
    xx, yy, xy = mean_x * mean_x, mean_y * mean_y, mean_x * mean_y
    structure = (2 * (_blur(x * y) - xy) + _C2) / (_blur(x * x) - xx + _blur(y * y) - yy + _C2)
    luminance = (2 * xy + _C1) / (xx + yy + _C1)
    return float((luminance * structure).mean()), float(structure.mean())


def _blur(image: NDArray[np.float64]) -> NDArray[np.float64]:
    edge = WINDOW // 2
    return np.asarray(cv2.sepFilter2D(image, -1, _KERNEL, _KERNEL), np.float64)[edge:-edge, edge:-edge]


def _check(generated: Frames, reference: Frames, side: int = 1) -> None:
    for name, frames in (("generated", generated), ("reference", reference)):
        if not isinstance(frames, np.ndarray) or frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3:
            found = f"{frames.dtype} {frames.shape}" if isinstance(frames, np.ndarray) else type(frames).__name__
            raise MetricError(f"{name} is {found}; expected uint8 frames (T, H, W, 3), RGB")
    if generated.shape != reference.shape:
        raise MetricError(
            f"generated frames are {generated.shape}, reference frames {reference.shape}; expected the same: trim both "
            "to their common frames (tfg.metrics.image.common_frames), and compare pictures of one size"
        )
    if len(generated) == 0 or min(generated.shape[1:3]) < side:
        raise MetricError(
            f"frames are {generated.shape}; expected at least one frame of at least {side} x {side} pixels"
        )
