"""The paper's ablation and more: the same generator trained without, or with another, part of the loss.

One base recipe, a table of changes, some seeds. Each run has a folder of its own and is resumable; a run whose figures
are written is not repeated, so the same command goes on after an interruption.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import torch

from tfg.datasets.face_clips import FaceClip
from tfg.errors import TrainingError
from tfg.experts.expert import AVHubertExpert, SyncNetExpert, load_expert
from tfg.training import generator
from tfg.training.example_files import prepare_examples
from tfg.training.generator_recipe import GeneratorRecipe, LossWeights, SyncTerm
from tfg.training.held_out import RealClip, Row, generator_figures, mean_figures

SAVE_EVERY = 500  # steps

#: Condition -> what it changes in the base recipe, whose sync loss is the paper's: AV-HuBERT on the whole clip.
CONDITIONS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "no sync loss": {"weights": {"sync": 0.0}},
    "SyncNet": {"sync": {"expert": "syncnet-mini", "context": "window"}},
    "AV-HuBERT, window alone": {"sync": {"context": "window"}},
    "AV-HuBERT, whole clip": {},
    "AVS_m": {"sync": {"metric": "avs_m"}},
    "AVS_v": {"sync": {"metric": "avs_v"}},
    "sync weight / 3": {"weights": {"sync": 1 / 3}},
    "sync weight x 3": {"weights": {"sync": 3.0}},
    "no adversarial loss": {"weights": {"adversarial": 0.0}},
    "no perceptual loss": {"weights": {"perceptual": 0.0}},
}


def recipe_of(base: GeneratorRecipe, condition: str, seed: int) -> GeneratorRecipe:
    """The base recipe with a condition's changes; weights are multiplied, other values replaced.

    :raises TrainingError: no such condition.
    """
    if condition not in CONDITIONS:
        raise TrainingError(f"condition is {condition!r}; expected one of {', '.join(CONDITIONS)}")
    change = CONDITIONS[condition]
    factors = change.get("weights", {})
    weights: LossWeights = replace(
        base.weights, **{name: factor * getattr(base.weights, name) for name, factor in factors.items()}
    )
    sync: SyncTerm = replace(base.sync, **change.get("sync", {}))
    return replace(base, weights=weights, sync=sync, seed=seed)


def run(
    base: GeneratorRecipe,
    data: Path,
    out: Path,
    conditions: Sequence[str] = tuple(CONDITIONS),
    seeds: Sequence[int] = (0, 1, 2),
    device: str = "cpu",
    workers: int = 4,
    cache: Path | None = None,
    held_out: int = 0,
) -> dict[str, dict[str, Row]]:
    """Train and measure each condition with each seed: all conditions with one seed, then with the next.

    :param data: face-clip folders; figures are taken on the recipe's ``validate``.
    :param held_out: so many of its clips, evenly spread; 0: all.
    :param out: receives one folder per run, with ``figures.json`` when it is done.
    :param cache: see :func:`prepare`.
    :returns: condition -> seed -> mean figures over the held-out clips.
    :raises TrainingError: an unknown condition, or a run that failed.
    """
    hubert, syncnet = load_expert("avhubert-mini", device), load_expert("syncnet-mini", device)
    assert isinstance(hubert, AVHubertExpert)
    assert isinstance(syncnet, SyncNetExpert)
    clips: list[RealClip] = []
    for seed, condition in product(seeds, conditions):
        recipe, folder = recipe_of(base, condition, seed), folder_of(out, condition, seed)
        done = folder / "figures.json"
        if done.is_file():
            continue
        generator.train(recipe, data, folder, device, workers=workers, save_every=SAVE_EVERY, cache=cache)
        clips = clips or [RealClip.of(clip, hubert) for clip in _spread(data, recipe.validate, held_out)]
        network = recipe.networks()[0]
        network.load_state_dict(torch.load(folder / generator.CHECKPOINT, weights_only=True)["generator"])
        network = network.to(device).eval().requires_grad_(False)
        figures = generator_figures(network, clips, hubert, syncnet, device)
        temporary = done.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_text(json.dumps(figures))
        temporary.replace(done)
    return read(out, conditions, seeds)


def _spread(data: Path, folders: str, count: int) -> list[FaceClip]:
    clips = generator.load_clips(data, folders)
    return [clips[i * len(clips) // count] for i in range(count)] if 0 < count < len(clips) else clips


def prepare(base: GeneratorRecipe, data: Path, cache: Path, conditions: Sequence[str], workers: int) -> None:
    """Prepare the clips of all conditions once, in processes; :func:`run` then only reads them.

    :raises TrainingError: a clip that cannot be prepared.
    """
    for condition in conditions:
        recipe = recipe_of(base, condition, base.seed)
        prepare_examples(recipe, generator.training_clips(recipe, data), cache, workers)


def folder_of(out: Path, condition: str, seed: int) -> Path:
    """Where a run lies."""
    name = "".join(c if c.isalnum() else "-" for c in condition.lower())
    return out / f"{name}-{seed}"


def read(
    out: Path, conditions: Sequence[str] = tuple(CONDITIONS), seeds: Sequence[int] = (0, 1, 2)
) -> dict[str, dict[str, Row]]:
    """Condition -> seed -> mean figures, of the runs that are done."""
    found: dict[str, dict[str, Row]] = {}
    for condition in conditions:
        for seed in seeds:
            path = folder_of(out, condition, seed) / "figures.json"
            if path.is_file():
                found.setdefault(condition, {})[str(seed)] = mean_figures(json.loads(path.read_text()))
    return found
