"""What makes sound and lips meet? Tiny AV-HuBERTs, trained with and without hiding parts of their input.

Two kinds of hiding belong to the method: spans of sound and of video (masks), and whole modalities (modality dropout).
Each can be left out, which makes four settings; all else is the same, weights at the start and order of clips included.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tfg.datasets.prepared import PreparedClip
from tfg.errors import TrainingError
from tfg.experts.avhubert import AVHubert, AVHubertConfig
from tfg.studies.setup import KNOWN, Setup
from tfg.training import avhubert, loop, targets
from tfg.training.recipe import read_recipe

#: Setting -> (spans are masked, modalities are dropped).
SETTINGS = {
    "nothing hidden": (False, False),
    "whole modalities": (False, True),
    "spans": (True, False),
    "both, as published": (True, True),
}
LEARNING_RATE = 2e-3
MODALITIES = ("a", "v", "av")

Labels = Sequence[NDArray[np.int64]]


def tiny(n_classes: int) -> AVHubertConfig:
    """An AV-HuBERT that learns something within half a minute on one processor core: 0.2 M parameters."""
    numbers = dict(width=8, video_pool=4, embed_dim=64, layers=2, heads=4, ffn_dim=128, pos_kernel=16, pos_groups=4)
    return AVHubertConfig(**numbers, final_dim=32, n_classes=n_classes, dropout=0.0, layerdrop=0.0)


def recipe(setting: str, batch_size: int, seed: int) -> avhubert.AVHubertRecipe:
    """The shipped expert's recipe with another batch and the hiding of ``setting``.

    :raises TrainingError: not one of :data:`SETTINGS`.
    """
    if setting not in SETTINGS:
        raise TrainingError(f"setting is {setting!r}; expected one of {', '.join(SETTINGS)}")
    masks, dropout = SETTINGS[setting]
    full = read_recipe("avhubert-mini", avhubert.AVHubertRecipe)
    return replace(
        full,
        batch_size=batch_size,
        clip_frames=50,
        audio_mask_prob=full.audio_mask_prob * masks,
        video_mask_prob=full.video_mask_prob * masks,
        modality_dropout=0.5 * dropout,
        audio_dropout=0.5,
        seed=seed,
    )


def sound_labels(clips: Sequence[PreparedClip], n_clusters: int, seed: int = 0) -> Labels:
    """Labels of the first iteration: clusters of MFCC over all these clips."""
    return targets.cluster([targets.mfcc_features(c.mfcc, c.n_frames) for c in clips], n_clusters, seed)


def train(
    clips: Sequence[PreparedClip],
    labels: Labels,
    held_out: Sequence[PreparedClip],
    how: avhubert.AVHubertRecipe,
    config: AVHubertConfig,
    steps: int,
    every: int,
) -> Iterator[dict[str, float]]:
    """Train from random weights; every ``every`` steps, how well sound and lips of held-out clips agree.

    :param labels: ``int64 (T,)`` per training clip, below ``config.n_classes``.
    :returns: figures with ``step``, ``loss`` (mean since the last one) and those of
        :func:`tfg.training.evaluate.sync_figures`, as training goes; the first is that of the random weights.
    """
    torch.manual_seed(how.seed)
    model = AVHubert(config)
    optimizer = torch.optim.AdamW(loop.decay_groups(model, how.weight_decay), lr=LEARNING_RATE)
    yield {"step": 0.0, "loss": float("nan"), **avhubert.evaluate(model, held_out)}
    model.train()
    losses = []
    for step in range(steps):
        random = loop.step_generator(how.seed, step)
        chosen = loop.batch_indices(len(clips), how.batch_size, how.seed, step)
        batch = avhubert.make_batch([clips[i] for i in chosen], [labels[i] for i in chosen], how, random)
        loop.set_learning_rate(optimizer, loop.one_cycle(step, steps, LEARNING_RATE))
        loss, _ = avhubert.prediction_loss(model, batch, how, random)
        loop.check_loss(loss, step)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), how.clip_norm)
        optimizer.step()
        losses.append(float(loss.detach()))
        if (step + 1) % every == 0:
            yield {"step": step + 1.0, "loss": float(np.mean(losses[-every:])), **avhubert.evaluate(model, held_out)}


def compare(
    clips: Sequence[PreparedClip],
    held_out: Sequence[PreparedClip],
    *,
    settings: Sequence[str] = tuple(SETTINGS),
    n_clusters: int = 30,
    batch_size: int = 8,
    steps: int = 160,
    every: int = 40,
    seed: int = 0,
) -> dict[str, list[dict[str, float]]]:
    """Setting -> the curve of :func:`train`. About 0.1 s a step on one free processor core."""
    labels, config = sound_labels(clips, n_clusters), tiny(n_clusters)
    return {
        setting: list(train(clips, labels, held_out, recipe(setting, batch_size, seed), config, steps, every))
        for setting in settings
    }


def measure(setup: Setup) -> tuple[dict[str, Any], dict[str, int]]:
    """The comparison on a real talker: two and a half times the steps, eighteen times the clips."""
    clips = setup.prepared_clips("grid-s1-train")[::3][:256]
    held_out = setup.prepared_clips(KNOWN)[:24]
    curves = compare(clips, held_out, n_clusters=50, steps=400, every=50, seed=setup.seed)
    return {"curves": curves}, {"grid-s1-train": len(clips), KNOWN: len(held_out)}
