"""How much context makes an expert steady: 1, 5, 25 frames, the whole clip."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from tfg import stability
from tfg.crops import mouth_video
from tfg.stability.context import CONTEXTS, Cosines, averaged, restricted
from tfg.stability.prepared import prepared_features
from tfg.studies.setup import AVHUBERT, KNOWN, SYNCNET, TITLES, UNSEEN, Setup

CLIPS = 20
SYNC, HUBERT = TITLES[SYNCNET], TITLES[AVHUBERT]
WAYS = (f"{SYNC}, averaged", f"{HUBERT}, averaged", f"{HUBERT}, given no more")


def measure(setup: Setup) -> tuple[dict[str, Any], dict[str, int]]:
    """Per set of clips and way to use context: one :func:`row` per ``k``."""
    experts = setup.titled()
    hubert: Any = experts[HUBERT]
    figures: dict[str, Any] = {}
    used = {}
    for part in (KNOWN, UNSEEN):
        clips = setup.prepared_clips(part, CLIPS)
        used[part] = len(clips)
        found: dict[str, dict[int | None, list[Cosines]]] = {way: {} for way in WAYS}
        for clip in clips:
            setup.progress(clip.name)
            features = {key: prepared_features(expert, clip) for key, expert in experts.items()}
            lips = torch.from_numpy(mouth_video(clip.mouth))
            for k in CONTEXTS:
                whole = averaged(*features[HUBERT], 1, k)
                cosines = [None if k == 1 else averaged(*features[SYNC], 5, k), whole]
                cosines.append(whole if k is None else restricted(hubert, clip.fbank, lips, k))
                for way, one in zip(WAYS, cosines, strict=True):
                    if one is not None:
                        found[way].setdefault(k, []).append(one)
        figures[part] = {way: [row(k, cosines) for k, cosines in lengths.items()] for way, lengths in found.items()}
    return figures, used


def row(frames: int | None, found: list[Cosines]) -> dict[str, Any]:
    """One length of context, all clips together; ``frames`` is None for the whole clip."""
    matching = np.concatenate([cosines.matching for cosines in found])
    apart = stability.separation(matching, np.concatenate([cosines.off for cosines in found]))
    return {
        "frames": frames,
        "mean": matching.mean(),
        "std": matching.std(),
        "cv": matching.std() / matching.mean(),
        "auc": apart.auc,
        "d_prime": apart.d_prime,
        "off": apart.off,
    }
