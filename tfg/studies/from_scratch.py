"""Which loss and which wrong pairs let a tiny SyncNet learn? Several short runs each.

The convolutions of a step cost the same in every setting (28 windows); the settings differ in what is then compared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch

from tfg.datasets import studio
from tfg.datasets.prepared import PreparedClip
from tfg.experts.syncnet import SyncNet
from tfg.studies.setup import Setup
from tfg.training import live
from tfg.training.syncnet import SyncNetRecipe

#: Setting -> windows from each clip, and the loss made for a recipe.
SETTINGS: dict[str, tuple[int, Callable[[SyncNetRecipe], live.Loss]]] = {
    "one wrong sound each, BCE": (2, lambda recipe: live.within_clips(recipe, matching=0)),
    "all pairs, contrastive": (7, live.contrastive),
    "all pairs, BCE": (7, lambda recipe: live.within_clips(recipe, matching=0)),
    "all pairs, BCE + matching": (7, live.within_clips),
    "wrong pairs from other clips": (7, live.across_clips),
}
WINDOWS = 28  # a step
STEPS, LOOK_EVERY, SEEDS = 120, 20, 2


def run(
    setting: str,
    train: Sequence[PreparedClip],
    held_out: Sequence[PreparedClip],
    steps: int,
    look_every: int,
    seed: int,
) -> list[dict[str, float]]:
    """One short training; the sync figures on ``held_out`` at every look, with ``step``.

    :raises TrainingError: fewer than 14 training clips.
    """
    windows, make_loss = SETTINGS[setting]
    recipe = replace(live.tiny_recipe(), batch_size=WINDOWS // windows, windows=windows, seed=seed)
    torch.manual_seed(seed)
    model = SyncNet(live.tiny_config())
    moments = live.watch(model, train, held_out, recipe, loss=make_loss(recipe), steps=steps, look_every=look_every)
    names = [clip.name for clip in held_out]
    return [{"step": m.step, **m.figures(names)} for m in moments if m.embeddings]


def measure(setup: Setup) -> tuple[dict[str, Any], dict[str, int]]:
    """AUC of every setting on the studio's rendered test talkers, from its training clips alone, for two seeds.

    :returns: ``steps`` of the looks, and ``auc``: setting -> for each seed, the AUC at them (5 to 15 frames off).
    """
    held_out = [name for name in studio.names("test") if not name.startswith("portrait")]
    train, test = live.studio_clips(studio.names("train")), live.studio_clips(held_out)
    auc: dict[str, list[list[float]]] = {}
    for setting in SETTINGS:
        setup.progress(setting)
        runs = [run(setting, train, test, STEPS, LOOK_EVERY, setup.seed + i) for i in range(SEEDS)]
        auc[setting] = [[look["auc_5"] for look in one] for one in runs]
    steps = [look["step"] for look in runs[0]]
    return {"steps": steps, "auc": auc}, {"studio-train": len(train), "studio-test": len(test)}
