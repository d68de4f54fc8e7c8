"""From a finished run to weights with a card: what they are, how to make them again, what they can do."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from tfg.datasets import prepared
from tfg.errors import TrainingError
from tfg.experts.avhubert import AVHubert, AVHubertConfig
from tfg.experts.checkpoints import save_weights
from tfg.experts.syncnet import SyncNet, SyncNetConfig
from tfg.results import code_commit, device
from tfg.training import avhubert, syncnet

ABOUT = {
    "avhubert": "AV-HuBERT's architecture, trained by tfg from random weights; not derived from Meta's.",
    "syncnet": "SyncNet's topology, trained by tfg from random weights; not derived from the released ones.",
}
LICENCE = "MIT for the weights. Trained on GRID (Cooke et al., CC BY 4.0) and on talking heads rendered by tfg."
LIMITS = (
    "A teaching model: one real talker and a few rendered ones. Judge other faces by it only beside the chance level, "
    "and see 'figures' for talkers it has never seen. Not a means to identify people."
)


def figures(
    evaluate: Callable[[Any, Sequence[prepared.PreparedClip]], dict[str, float]],
    model: nn.Module,
    data: Path,
    folders: Sequence[str],
) -> dict[str, dict[str, float]]:
    """Sync figures on each prepared folder, rounded to four digits."""
    result = {}
    for folder in folders:
        clips = prepared.load(data / folder, prepared.names(data / folder))
        result[folder] = {key: round(value, 4) for key, value in evaluate(model, clips).items()}
    return result


def learning_curve(log: Sequence[Mapping[str, float]]) -> list[dict[str, float]]:
    """The steps of a log at which the network was evaluated, four digits each.

    ``loss`` and ``accuracy`` are means over the steps since the entry before; ``steps`` counts through all phases.
    """
    curve: list[dict[str, float]] = []
    since: list[Mapping[str, float]] = []
    for number, entry in enumerate(log, start=1):
        since.append(entry)
        if "auc_5" not in entry:
            continue
        mean = {key: float(np.nanmean([e[key] for e in since])) for key in ("loss", "accuracy")}
        point = {**entry, **mean, "steps": number}
        curve.append({k: round(v, 4) for k, v in point.items() if k != "seconds"})
        since = []
    return curve


def publish(
    kind: str, checkpoint: Path, data: Path, evaluate_on: Sequence[str], target: Path, command: str
) -> dict[str, Any]:
    """Write ``target`` (safetensors, float16) and its card beside it.

    The figures are measured on the very weights that are written: the network is loaded from them first.

    :param kind: ``"avhubert"`` or ``"syncnet"``.
    :param checkpoint: the run's last checkpoint; its folder holds the log.
    :param evaluate_on: prepared folders under ``data``.
    :param command: the command that repeats the training.
    :returns: the card.
    :raises TrainingError: the checkpoint is missing or of another kind, or its run is not finished.
    """
    if not checkpoint.is_file():
        raise TrainingError(f"{checkpoint} does not exist; expected the checkpoint of a finished run")
    state = torch.load(checkpoint, weights_only=True)
    recipe, config = state["recipe"]["recipe"], state["recipe"]["config"]
    planned = recipe["steps"][-1] if isinstance(recipe["steps"], list) else recipe["steps"]
    if state["step"] != planned:
        raise TrainingError(f"{checkpoint} is at step {state['step']} of {planned}: run the training to its end first")
    log = [json.loads(line) for line in (checkpoint.parent / "log.jsonl").read_text().splitlines()]
    half = {k: v.half() if v.is_floating_point() else v for k, v in state["model"].items()}
    evaluate: Callable[[Any, Sequence[prepared.PreparedClip]], dict[str, float]]
    if kind == "avhubert":
        model: nn.Module = AVHubert(AVHubertConfig(**config))
        evaluate = avhubert.evaluate
    elif kind == "syncnet":
        sizes: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in config.items()}
        model = SyncNet(SyncNetConfig(**sizes))
        evaluate = syncnet.evaluate
    else:
        raise TrainingError(f"kind is {kind!r}; expected 'avhubert' or 'syncnet'")
    model.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in half.items()})
    model.eval()
    card = {
        "name": target.stem,
        "kind": kind,
        "about": ABOUT[kind],
        "licence": LICENCE,
        "limits": LIMITS,
        "config": config,
        "parameters": sum(p.numel() for p in model.parameters()),
        "stored_as": "float16, used as float32",
        "data": {folder: len(prepared.names(data / folder)) for folder in _folders(recipe["train"])},
        "recipe": recipe,
        "command": command,
        "commit": code_commit(),
        "date": datetime.date.today().isoformat(),
        "device": device(),
        "training_minutes": round(sum(entry["seconds"] for entry in log) / 60, 1),
        "figures": figures(evaluate, model, data, evaluate_on),
        "curve": learning_curve(log),
    }
    save_weights(half, target, card)
    return card


def _folders(train: Sequence[str]) -> list[str]:
    return sorted({folder for entry in train for folder in entry.split("+")})


def as_table(card: Mapping[str, Any]) -> str:
    """The card's figures as a Markdown table."""
    keys = ["clips", "auc_5", "auc_2", "offset_within_1", "cosine", "cosine_chance"]
    rows = ["| data | " + " | ".join(keys) + " |", "|---" * (len(keys) + 1) + "|"]
    for folder, measured in card["figures"].items():
        rows.append(f"| {folder} | " + " | ".join(f"{measured[k]:g}" for k in keys) + " |")
    return "\n".join(rows)
