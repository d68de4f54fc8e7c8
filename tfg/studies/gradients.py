"""How noisy is the push that a matching pair gives to the mouth?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfg.stability.cosines import Expert
from tfg.stability.gradients import agreement, mouth_gradients, nudged
from tfg.stress import perturb
from tfg.studies.setup import KNOWN, UNSEEN, Setup, Talk

CLIPS = 5
LATE = 8  # frames: pairs that are certainly wrong
NUDGE = 1.0  # percent of the face's width: about one pixel
NOISE = 2.0  # grey levels


def measure(setup: Setup) -> tuple[dict[str, Any], dict[str, int]]:
    """Per set of clips and expert: :func:`noise`."""
    experts = setup.titled()
    figures: dict[str, Any] = {}
    used = {}
    for part in (KNOWN, UNSEEN):
        talks = setup.videos(part, CLIPS)
        used[part] = len(talks)
        figures[part] = {}
        for key, expert in experts.items():
            setup.progress(f"gradients of {key} on {part}")
            figures[part][key] = noise(expert, talks, setup.seed)
    return figures, used


def noise(expert: Expert, talks: Sequence[Talk], seed: int = 0) -> dict[str, Any]:
    """Size and direction of the loss's gradient on the mouth, for pairs in sync.

    :returns: sizes: ``size_cv`` (coefficient of variation over windows), ``worst_tenth`` (share of the total push),
        ``cosine_size_cv`` (the same without the logarithm: of the gradient of the cosine itself), ``wrong_over_right``
        (median size for pairs 8 frames off over that for pairs in sync). Directions, mean cosine between gradients:
        ``neighbours`` (windows one frame apart, on their four common frames), ``nudged`` (the crop 1% of the face's
        width to the right, and down), ``camera_noise`` (2 grey levels), ``clips`` (other clips, same place in the
        mouth).
    """
    sizes, plain, wrong, directions = [], [], [], []
    agree: dict[str, list[float]] = {"neighbours": [], "nudged": [], "camera_noise": []}
    for talk in talks:
        pairs = np.arange(LATE + 2, len(talk.track) - 8, 9)
        starts = np.sort(np.concatenate([pairs, pairs + 1]))
        true = mouth_gradients(expert, talk.clip, talk.track, starts)
        first = slice(0, None, 2)
        sizes.append(true.sizes)
        plain.append(true.sizes * true.cosines)  # d(-log c) = -dc / c
        wrong.append(mouth_gradients(expert, talk.clip, talk.track, pairs, late=LATE).sizes)
        directions.append(true.gradients[first].mean(axis=(0, 1)))
        agree["neighbours"] += list(agreement(true.gradients[first][:, 1:], true.gradients[1::2][:, :4]))
        for move in ((NUDGE, 0.0), (0.0, NUDGE)):
            moved = mouth_gradients(expert, talk.clip, talk.track, pairs, nudged(talk.track, *move))
            agree["nudged"] += list(agreement(true.gradients[first], moved.gradients))
        grainy = perturb(talk.clip, "noise", NOISE, talk.track, seed)
        seen = mouth_gradients(expert, grainy, talk.track, pairs)
        agree["camera_noise"] += list(agreement(true.gradients[first], seen.gradients))
    size, unlogged = np.concatenate(sizes), np.concatenate(plain)
    mean = np.stack(directions)
    between = [float(agreement(mean[i : i + 1], mean[j : j + 1])[0]) for i in range(len(mean)) for j in range(i)]
    return {
        "windows": len(size),
        "size": np.median(size),
        "size_cv": size.std() / size.mean(),
        "worst_tenth": np.sort(size)[-max(1, len(size) // 10) :].sum() / size.sum(),
        "cosine_size_cv": unlogged.std() / unlogged.mean(),
        "wrong_over_right": np.median(np.concatenate(wrong)) / np.median(size),
        **{name: float(np.mean(values)) for name, values in agree.items()},
        **{f"{name}_spread": np.quantile(values, (0.1, 0.5, 0.9)) for name, values in agree.items()},
        "clips": float(np.mean(between)) if between else float("nan"),
    }
