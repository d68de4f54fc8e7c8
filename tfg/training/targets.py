"""Pseudo-labels for masked prediction: k-means clusters of sound (iteration 1), then of the model's own features.

HuBERT (Hsu et al. 2021) and AV-HuBERT (Shi et al. 2022): the first clusters come from 39-dimensional MFCC features,
later ones from an inner layer of the model trained so far. One label per video frame.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import MiniBatchKMeans

from tfg.errors import TrainingError

Labels = list[NDArray[np.int64]]


def mfcc_features(cepstra: NDArray[np.float32], n_frames: int) -> NDArray[np.float32]:
    """MFCC, their slope and its slope, averaged over the four rows of each video frame.

    :param cepstra: ``(F, 13)``, 100 rows per second (:func:`tfg.audio.mfcc`).
    :returns: ``float32 (n_frames, 39)``, mean 0 and variance 1 per coefficient over the clip, so that clusters
        say what was spoken, not how loud the recording is.
    """
    slope = np.gradient(cepstra, axis=0)
    rows = np.concatenate([cepstra, slope, np.gradient(slope, axis=0)], axis=1)
    rows = np.pad(rows, ((0, max(0, 4 * n_frames - len(rows))), (0, 0)), mode="edge")[: 4 * n_frames]
    frames = rows.reshape(n_frames, 4, 39).mean(axis=1)
    return ((frames - frames.mean(axis=0)) / (frames.std(axis=0) + 1e-5)).astype(np.float32)


def cluster(features: Sequence[NDArray[np.float32]], n_clusters: int, seed: int) -> Labels:
    """Cluster the rows of all clips together (mini-batch k-means, k-means++, best of 3 starts).

    :param features: one ``(T, D)`` per clip.
    :returns: one ``int64 (T,)`` of cluster numbers per clip.
    :raises TrainingError: fewer rows than clusters.
    """
    rows = np.concatenate(features)
    if len(rows) < n_clusters:
        raise TrainingError(f"{len(rows)} frames cannot fill {n_clusters} clusters: prepare more clips")
    means = MiniBatchKMeans(n_clusters, batch_size=10_000, n_init=3, max_iter=100, random_state=seed)
    means.fit(rows)
    return [means.predict(f).astype(np.int64) for f in features]
