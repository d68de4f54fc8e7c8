"""LSE-D and LSE-C: the lip-sync errors of SyncNet, with the delay that they search over and hide.

Source: Chung and Zisserman, *Out of time* (2016), the evaluation of syncnet_python, and Wav2Lip's scripts that made
its two outputs into metrics: LSE-D is the smallest mean distance over all delays, LSE-C how far it lies below the
median. Because of the search, a clip whose audio is late by a constant delay scores as well as a clip in sync:
always report the offset beside them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.signal
import torch
from numpy.typing import NDArray

from tfg.errors import MetricError
from tfg.metrics.sync import FPS, Features, offset_words

VSHIFT = 15
_EPS = 1e-6  # torch's pairwise_distance, used by the peer, adds it to every difference


class LSEResult(NamedTuple):
    """What :func:`lse` finds in one clip."""

    offset: int  #: frames at 25 per second; positive: the audio is early
    lse_d: float  #: smallest mean distance over the delays, lower is better
    lse_c: float  #: median minus smallest mean distance, higher is better
    distances: NDArray[np.floating]  #: ``(W, 2 * vshift + 1)``; [i, j] is lip window i to audio i + j - vshift

    @property
    def offset_ms(self) -> float:
        """The offset in milliseconds, positive: the audio is early."""
        return self.offset * 1000 / FPS

    @property
    def words(self) -> str:
        """The offset in words, such as ``"audio 80 ms late"``."""
        return offset_words(self.offset)

    @property
    def frame_confidence(self) -> NDArray[np.floating]:
        """``(W,)`` the confidence of each window at the clip's offset, median-filtered over 9 windows."""
        column = self.distances[:, self.distances.shape[1] // 2 - self.offset]
        return np.asarray(scipy.signal.medfilt(self.lse_d + self.lse_c - column, 9))  # LSE-D + LSE-C is the median


def _as_array(features: Features, name: str) -> NDArray[np.floating]:
    array = features.detach().cpu().float().numpy() if isinstance(features, torch.Tensor) else np.asarray(features)
    if array.ndim != 2 or array.size == 0:
        raise MetricError(f"{name} has shape {array.shape}; expected (W, E), one row per window, at least one window")
    if array.dtype.kind != "f":
        raise MetricError(f"{name} has dtype {array.dtype}; expected floating point embeddings")
    if not np.isfinite(array).all():
        raise MetricError(f"{name} contains NaN or infinite values; a distance to them means nothing")
    return array.astype(np.result_type(array.dtype, np.float32), copy=False)


def _band(lip: Features, audio: Features, vshift: int) -> NDArray[np.floating]:
    """Distances ``(W, 2 * vshift + 1)`` of each lip window to the audio windows around it, zeros beyond the ends."""
    v, a = _as_array(lip, "lip"), _as_array(audio, "audio")
    if v.shape != a.shape:
        raise MetricError(f"lip has shape {v.shape} and audio {a.shape}; expected the same windows and width")
    if vshift < 1:
        raise MetricError(f"vshift is {vshift}; expected at least one frame to search either way")
    windows = len(v)
    padded = np.pad(a, ((vshift, vshift), (0, 0)))
    lifted = v + v.dtype.type(_EPS)
    distances = np.empty((windows, 2 * vshift + 1), v.dtype)
    difference = np.empty_like(lifted)
    for column in range(2 * vshift + 1):
        np.subtract(lifted, padded[column : column + windows], out=difference)
        distances[:, column] = np.sqrt(np.einsum("we,we->w", difference, difference))
    return distances


def _result(distances: NDArray[np.floating], vshift: int) -> LSEResult:
    present = ~np.isnan(distances).all(axis=0)
    means = np.full(distances.shape[1], np.nan)
    means[present] = np.nanmean(distances[:, present], axis=0, dtype=np.float64)
    best = int(np.nanargmin(means))
    return LSEResult(vshift - best, float(means[best]), float(np.nanmedian(means) - means[best]), distances)


def lse(lip: Features, audio: Features, vshift: int = VSHIFT) -> LSEResult:
    """SyncNet's offset, LSE-D and LSE-C of one clip, by the peers' convention.

    ``D[i, j] = || lip_i - audio_{i+j-vshift} + 1e-6 ||``; audio windows beyond the ends are **zero vectors**, which
    enter the means; offset = ``vshift - argmin_j mean_i D``, LSE-D = the minimum, LSE-C = median - minimum.

    :param lip: SyncNet lip embeddings ``(W, E)``, window i begins at frame i.
    :param audio: SyncNet audio embeddings ``(W, E)``.
    :param vshift: delays searched, in frames either way; 15 (0.6 s) in the literature.
    :returns: :class:`LSEResult`.
    :raises MetricError: other shapes, integer dtype, no windows, NaN.

    The zero vectors lie nearer or farther than any real embedding and so move the median: LSE-C of short clips is
    inflated (random embeddings: about 8 at 20 windows, 0.8 at 200). :func:`lse_unbiased` leaves them out.
    """
    return _result(_band(lip, audio, vshift), vshift)


def lse_unbiased(lip: Features, audio: Features, vshift: int = VSHIFT) -> LSEResult:
    """As :func:`lse`, but a mean is taken over the windows that do have an audio window at that delay.

    The rest of ``distances`` is NaN. A delay for which no window is left (``W <= vshift``) is not considered.
    The parameters, the result and the errors are those of :func:`lse`.
    """
    distances = _band(lip, audio, vshift)
    windows = len(distances)
    other = np.arange(windows)[:, None] + np.arange(-vshift, vshift + 1)[None]
    distances[(other < 0) | (other >= windows)] = np.nan
    return _result(distances, vshift)
