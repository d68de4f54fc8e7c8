"""How much context makes an expert steady: 1, 5, 25 frames, the whole clip."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from tfg import stability
from tfg.crops import mouth_video
from tfg.stability.context import CONTEXTS, Cosines, averaged, restricted
from tfg.stability.prepared import prepared_features
from tfg.studies.setup import AVHUBERT, KNOWN, SYNCNET, UNSEEN, Setup

CLIPS = 20


def measure(setup: Setup) -> tuple[dict[str, Any], dict[str, int]]:
    """Per set of clips and way to use context: one row per ``k``."""
    experts = setup.experts()
    hubert: Any = experts[AVHUBERT]
    figures: dict[str, Any] = {}
    used = {}
    for part in (KNOWN, UNSEEN):
        clips = setup.prepared_clips(part, CLIPS)
        used[part] = len(clips)
        rows: dict[str, dict[str, list[Cosines]]] = {
            "syncnet-averaged": {},
            "avhubert-averaged": {},
            "avhubert-given": {},
        }
        for clip in clips:
            setup.progress(clip.name)
            features = {key: prepared_features(expert, clip) for key, expert in experts.items()}
            lips = torch.from_numpy(mouth_video(clip.mouth))
            for k in CONTEXTS:
                rows["avhubert-averaged"].setdefault(str(k), []).append(averaged(*features[AVHUBERT], 1, k))
                if k is None or k >= 5:
                    rows["syncnet-averaged"].setdefault(str(k), []).append(averaged(*features[SYNCNET], 5, k))
                if k is not None:
                    rows["avhubert-given"].setdefault(str(k), []).append(restricted(hubert, clip.fbank, lips, k))
        rows["avhubert-given"]["None"] = rows["avhubert-averaged"]["None"]  # given the whole clip: the same thing
        figures[part] = {way: [row(k, found) for k, found in ways.items()] for way, ways in rows.items()}
    return figures, used


def row(frames: str, found: list[Cosines]) -> dict[str, Any]:
    """One length of context, all clips together; ``frames`` is "None" for the whole clip."""
    matching = np.concatenate([cosines.matching for cosines in found])
    apart = stability.separation(matching, np.concatenate([cosines.off for cosines in found]))
    return {
        "frames": None if frames == "None" else int(frames),
        "mean": matching.mean(),
        "std": matching.std(),
        "cv": matching.std() / matching.mean(),
        "auc": apart.auc,
        "d_prime": apart.d_prime,
        "off": apart.off,
    }
