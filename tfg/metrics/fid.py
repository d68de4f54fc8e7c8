"""FID: do generated pictures, as a set, look like real ones?

The Fréchet distance between two Gaussians fitted to the Inception features of two sets of pictures. It compares no
frame with any other: a real face at the wrong moment costs nothing.

It is biased upwards by small sets (the covariance of 2048 features needs many thousand pictures, and neighbouring
frames of a video are almost the same picture): compare only FIDs of sets of about the same size, and give that size.

Source: Heusel, Ramsauer, Unterthiner, Nessler, Hochreiter 2017.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy.linalg
import torch
from numpy.typing import NDArray

from tfg.clip import Frames
from tfg.errors import MetricError
from tfg.experts.checkpoints import load_strict, read_checkpoint
from tfg.experts.registry import get_weights
from tfg.metrics.inception import Inception

WEIGHTS = "inception-fid"
_BATCH = 16  # pictures that the network sees at once

Features = Callable[[Frames], NDArray[np.floating]]


def frechet_distance(generated: NDArray[np.floating], reference: NDArray[np.floating]) -> float:
    """``|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2))`` of the means and covariances (``n - 1``) of two feature sets.

    No square root of a matrix is taken: with centred features ``S1 = A^T A`` and ``S2 = B^T B``, the last trace is the
    sum of the singular values of ``A B^T``, which is exact however few samples there are.

    :param generated: ``(N, D)``, N at least 2.
    :param reference: ``(M, D)``.
    :returns: 0 for equal means and covariances; in units of the features, squared.
    :raises MetricError: other shapes, fewer than 2 samples, NaN.
    """
    sets = []
    for name, features in (("generated", generated), ("reference", reference)):
        if features.ndim != 2 or len(features) < 2 or features.shape[1] != reference.shape[-1]:
            raise MetricError(
                f"{name} features are {features.shape}; expected (N, {reference.shape[-1]}) with N of at least 2"
            )
        if not np.isfinite(features).all():
            raise MetricError(f"{name} features contain NaN or infinite values: no distance can be computed")
        sets.append(features.astype(np.float64))
    means = [features.mean(axis=0) for features in sets]
    a, b = (_root(features - mean) for features, mean in zip(sets, means, strict=True))
    shared = float(scipy.linalg.svdvals(a @ b.T).sum())
    distance = float(np.square(means[0] - means[1]).sum()) + float(np.square(a).sum() + np.square(b).sum()) - 2 * shared
    return max(distance, 0.0)  # rounding can leave -1e-12


def _root(centred: NDArray[np.float64]) -> NDArray[np.float64]:
    """``(min(N, D), D)`` whose Gram matrix is the covariance of centred features."""
    scaled = centred / np.sqrt(len(centred) - 1)
    rows, columns = scaled.shape
    return np.asarray(scipy.linalg.qr(scaled, mode="r")[0][:columns]) if rows > columns else scaled


def fid(generated: Frames, reference: Frames, features: Features) -> float:
    """FID of two sets of pictures.

    :param generated: ``uint8 (N, H, W, 3)`` RGB.
    :param reference: ``uint8 (M, H, W, 3)``; the sets need not have the same size, but see the module's warning.
    :param features: pictures -> ``(N, D)``: :func:`inception_features`, loaded once for many sets.
    :returns: at least 0, lower is better.
    :raises MetricError: see :func:`frechet_distance`.
    """
    return frechet_distance(features(generated), features(reference))


def inception_features(weights: str | Path = WEIGHTS, device: str = "cpu") -> Features:
    """The feature function of published FIDs: pictures resized to 299 x 299 (bilinear), the 2048 features of the last
    average pooling of the Inception v3 of 2015.

    :param weights: a path, or a name of ``tfg weights list``; the file is not part of this package
        (``tfg weights get inception-fid``).
    :returns: ``uint8 (N, H, W, 3)`` -> ``float32 (N, 2048)``; about a third of a second per picture on a CPU core.
    :raises WeightsError: the weights are not here, and how to get them.
    :raises CheckpointError: the file holds something else.
    """
    network = Inception()
    state = read_checkpoint(get_weights(weights), expect="inception").state_dict
    # the classifier on top is not looked at
    load_strict(network, {k: x.float() for k, x in state.items() if not k.startswith("fc.")}, "Inception v3 for FID")
    network.eval().requires_grad_(False).to(device)

    def features(pictures: Frames) -> NDArray[np.float32]:
        if pictures.ndim != 4 or pictures.shape[3] != 3 or pictures.dtype != np.uint8:
            raise MetricError(f"pictures are {pictures.dtype} {pictures.shape}; expected uint8 (N, H, W, 3), RGB")
        found = [np.empty((0, 2048), np.float32)]
        with torch.inference_mode():
            for first in range(0, len(pictures), _BATCH):
                batch = torch.from_numpy(pictures[first : first + _BATCH]).to(device)
                found.append(network(batch.permute(0, 3, 1, 2).float() / 255).cpu().numpy())
        return np.concatenate(found)

    return features
