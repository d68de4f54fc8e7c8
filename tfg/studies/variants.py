"""Architecture, objective or augmentation? Experts that differ in one of them, measured alike.

===================  ====================  ==================  ============================
variant              architecture          objective           augmentation
===================  ====================  ==================  ============================
syncnet-nojitter     SyncNet, 5 frames     pairs               none
syncnet-jitter       SyncNet, 5 frames     pairs               moved and mirrored crops
avhubert-contrastive AV-HuBERT, whole clip pairs               moved and mirrored crops
avhubert-nojitter    AV-HuBERT, whole clip masked prediction   none
avhubert-jitter      AV-HuBERT, whole clip masked prediction   moved and mirrored crops
===================  ====================  ==================  ============================
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tfg import stability
from tfg.errors import DataError
from tfg.experts.expert import load_expert
from tfg.metrics.sync import cosine_similarity
from tfg.stability.prepared import prepared_features
from tfg.studies import fig5, gradients
from tfg.studies.setup import KNOWN, UNSEEN, Expert, Setup

NAMES = ("syncnet-nojitter", "syncnet-jitter", "avhubert-contrastive", "avhubert-nojitter", "avhubert-jitter")
VALUES: Mapping[str, tuple[float, ...]] = {"shift_x": (-16, -8, -4, 0, 4, 8, 16), "rotation": (-20, -10, 0, 10, 20)}
PREPARED, VIDEOS, GRADIENT_VIDEOS = 20, 5, 3


def checkpoints(folder: Path | None) -> dict[str, Path]:
    """The last checkpoint of each variant: ``<folder>/<name>/phase<i>.pt`` or ``iteration<i>.pt``.

    :raises DataError: no folder was given, or it holds none of the variants.
    """
    if folder is None:
        raise DataError("no variants: set TFG_VARIANTS to the folder that holds their runs, or --variants")
    found = {}
    for name in NAMES:
        files = [*(folder / name).glob("phase*.pt"), *(folder / name).glob("iteration*.pt")]
        if files:
            found[name] = max(files, key=lambda path: int("".join(filter(str.isdigit, path.stem))))
    if not found:
        raise DataError(f"{folder} holds none of {', '.join(NAMES)}; expected folders of these names with checkpoints")
    return found


def measure(setup: Setup) -> tuple[dict[str, Any], dict[str, int]]:
    """All variants that are there, finished or not; see :func:`compare` and :func:`training`."""
    files = checkpoints(setup.checkpoints)
    experts: dict[str, Expert] = {}
    for name, path in files.items():
        experts[name] = load_expert(path)
        experts[name].name = name
    figures, used = compare(setup, experts)
    for name, path in files.items():
        figures[name]["training"] = training(path)
    return figures, used


def training(path: Path) -> dict[str, Any]:
    """How far a run has come: ``checkpoint`` (its file), ``step``, and the steps ``planned`` (of each phase)."""
    state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    planned = state["recipe"]["recipe"]["steps"]
    return {"checkpoint": path.name, "step": state["step"], "planned": planned}


def compare(setup: Setup, experts: Mapping[str, Expert]) -> tuple[dict[str, Any], dict[str, int]]:
    """Per expert: separation and spread of pairs in sync on both sets, curves under shift and rotation (frozen
    alignment, the known talker), noise of the gradient."""
    figures: dict[str, Any] = {name: {} for name in experts}
    used = {}
    for part in (KNOWN, UNSEEN):
        clips = setup.prepared_clips(part, PREPARED)
        used[part] = len(clips)
        for name, expert in experts.items():
            setup.progress(f"{name} on {part}")
            seen = stability.frames_seen(expert)
            pairs = [prepared_features(expert, clip) for clip in clips]
            matching = np.concatenate([stability.window_means(cosine_similarity(a, v), seen, 5) for a, v in pairs])
            off = np.concatenate([stability.off_cosines(a, v, seen) for a, v in pairs])
            figures[name][part] = {
                "cosine": stability.describe_cosines(matching),
                "loss": stability.describe_losses(stability.sync_loss(matching)),
                "separation": stability.separation(matching, off)._asdict(),
            }
    talks = setup.videos(KNOWN, VIDEOS)
    used[f"{KNOWN} (videos)"] = len(talks)
    for perturbation, values in VALUES.items():
        for name, found in fig5.run(setup, talks, perturbation, values, experts).items():
            if name != "values":
                figures[name][perturbation] = {"values": list(values)} | found
    for name, expert in experts.items():
        setup.progress(f"gradients of {name}")
        figures[name]["gradients"] = gradients.noise(expert, talks[:GRADIENT_VIDEOS], setup.seed)
    return figures, used
