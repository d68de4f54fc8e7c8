"""How well do an expert's features tell sound that fits from sound that does not?

Everything here starts from ``pairs``: one ``(F_A, F_V)`` per clip, ``(T, D)`` each, row ``t`` of both belonging to the
same moment. Shifting one against the other by ``d`` frames makes pairs that are known to be ``d`` frames off.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

Float = NDArray[np.float32]
Pairs = Sequence[tuple[Float, Float]]

WINDOW = 5  # frames of a window, as SyncNet sees them
MAX_SHIFT = 15


def cosine_by_shift(audio: Float, video: Float, window: int = WINDOW, max_shift: int = MAX_SHIFT) -> Float:
    """Cosine similarity of every video window with the sound ``d`` frames later, for each shift ``d``.

    :param audio: F_A ``(T, D)``.
    :param video: F_V ``(T, D)``.
    :param window: frames over which the per-frame cosine is averaged (1 for experts whose row is a window already).
    :returns: ``float32 (T - window + 1, 2 * max_shift + 1)``; column ``max_shift + d`` compares video row ``t`` with
        audio row ``t + d``; NaN where that row does not exist.
    """
    unit_a = audio / np.maximum(np.linalg.norm(audio, axis=1, keepdims=True), 1e-8)
    unit_v = video / np.maximum(np.linalg.norm(video, axis=1, keepdims=True), 1e-8)
    every_pair = unit_v @ unit_a.T
    frames = len(video)
    columns = np.arange(frames)[:, None] + np.arange(-max_shift, max_shift + 1)[None]
    exists = (columns >= 0) & (columns < frames)
    banded = np.where(exists, every_pair[np.arange(frames)[:, None], columns.clip(0, frames - 1)], np.nan)
    return np.lib.stride_tricks.sliding_window_view(banded, window, axis=0).mean(axis=-1).astype(np.float32)


def sync_figures(pairs: Pairs, window: int = WINDOW) -> dict[str, float]:
    """The figures on an expert's card.

    * ``auc_5``: area under the ROC curve, windows in sync against windows 5 to 15 frames off;
    * ``auc_2``: the same against 2 frames off, hard even for people;
    * ``offset_within_1``: share of clips whose best shift of the whole clip lies within one frame of the truth;
    * ``cosine``: mean over matching windows; ``cosine_chance``: over windows 5 to 15 frames off;
    * ``cosine_std``: spread over matching windows.
    """
    tables = [cosine_by_shift(a, v, window) for a, v in pairs]
    shifts = np.abs(np.arange(-MAX_SHIFT, MAX_SHIFT + 1))
    matching = np.concatenate([t[:, MAX_SHIFT] for t in tables])
    far = np.concatenate([t[:, shifts >= 5].ravel() for t in tables])
    near = np.concatenate([t[:, shifts == 2].ravel() for t in tables])
    far, near = far[~np.isnan(far)], near[~np.isnan(near)]

    def auc(negative: Float) -> float:
        truth = np.concatenate([np.ones(len(matching)), np.zeros(len(negative))])
        return float(roc_auc_score(truth, np.concatenate([matching, negative])))

    best = [_best_shift(t) for t in tables]
    return {
        "clips": float(len(tables)),
        "auc_5": auc(far),
        "auc_2": auc(near),
        "offset_within_1": float(np.mean(np.abs(best) <= 1)),
        "cosine": float(matching.mean()),
        "cosine_std": float(matching.std()),
        "cosine_chance": float(far.mean()),
    }


def _best_shift(table: Float) -> int:
    """The shift at which the whole clip fits best, over the shifts that a clip of this length allows."""
    possible = np.flatnonzero(~np.isnan(table).all(axis=0))
    return int(possible[np.nanmean(table[:, possible], axis=0).argmax()]) - MAX_SHIFT
