"""Figure 5 (a, b): cosine and loss under shift and rotation, with the crop frozen and with the face found again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfg.stability.cosines import sync_loss
from tfg.stress import SweepResult, sweep
from tfg.studies.setup import KNOWN, UNSEEN, Expert, Setup, Talk

FROZEN: Mapping[str, tuple[float, ...]] = {
    "shift_x": (-16, -12, -8, -4, 0, 4, 8, 12, 16),
    "rotation": (-20, -15, -10, -5, 0, 5, 10, 15, 20),
}
ESTIMATED: Mapping[str, tuple[float, ...]] = {"shift_x": (-16, -8, 0, 8, 16), "rotation": (-20, -10, 0, 10, 20)}
CLIPS, CLIPS_ESTIMATED = 8, 4
CURVES = ("cosine", "cosine_low", "cosine_high", "chance", "loss", "kept")


def measure(setup: Setup) -> tuple[dict[str, Any], dict[str, int]]:
    """Per set, alignment and perturbation: the values tried, and :func:`curves` of each expert."""
    experts = setup.titled()
    figures: dict[str, Any] = {}
    used = {}
    for part in (KNOWN, UNSEEN):
        talks = setup.videos(part, CLIPS)
        used[part] = len(talks)
        figures[part] = {
            "frozen": {name: run(setup, talks, name, values, experts) for name, values in FROZEN.items()},
            "estimated": {
                name: run(setup, talks[:CLIPS_ESTIMATED], name, values, experts, "estimated")
                for name, values in ESTIMATED.items()
            },
        }
    return figures, used


def run(
    setup: Setup, talks: Sequence[Talk], name: str, values: Sequence[float], experts: Mapping[str, Expert],
    alignment: Any = "frozen",
) -> dict[str, Any]:  # fmt: skip
    """Sweep every clip, then put the clips together."""
    results = []
    for talk in talks:
        setup.progress(f"{name}, {alignment}: {talk.name}")
        results.append(sweep(talk.clip, name, values, list(experts.values()), alignment, setup.seed, talk.track))
    return {"values": list(values)} | {key: curves(results, expert.name) for key, expert in experts.items()}


def curves(results: Sequence[SweepResult], expert: str) -> dict[str, Any]:
    """One expert under one perturbation, over clips.

    A clip that lacks a score at any value (its face leaves the frame, or is not found again) is left out of all of
    them: means over changing sets of clips would draw a curve of their own.

    :returns: how many ``clips`` count and how many are ``left_out``; per value: mean ``cosine`` with its quartiles over
        clips, ``chance``, ``loss`` (mean over windows, then clips), and ``kept``: mean ``cosine - chance`` over the
        same at 0, which is 1 while nothing is lost and 0 at chance.
    """
    complete = [result for result in results if not result.problems]
    counts = {"clips": len(complete), "left_out": len(results) - len(complete)}
    if not complete:
        return counts | {key: [None] * len(results[0].points) for key in CURVES}
    cosine = np.stack([result.figure(expert, "cosine") for result in complete])
    chance = np.stack([result.figure(expert, "chance") for result in complete])
    loss = np.stack([_losses(result.cosines(expert)) for result in complete])
    above = (cosine - chance).mean(axis=0)
    low, high = np.quantile(cosine, (0.25, 0.75), axis=0)
    neutral = int(np.flatnonzero(complete[0].values == 0)[0])
    per_value = (cosine.mean(axis=0), low, high, chance.mean(axis=0), loss.mean(axis=0), above / above[neutral])
    return counts | dict(zip(CURVES, per_value, strict=True))


def _losses(cosines: np.ndarray) -> np.ndarray:
    """Mean loss ``(N,)`` of cosines ``(N, W)``, of which some windows may be NaN: those that were not seen again."""
    there = ~np.isnan(cosines)
    return np.array([sync_loss(row[valid]).mean() for row, valid in zip(cosines, there, strict=True)])
