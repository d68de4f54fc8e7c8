"""From a generator's run to weights with a card: what they are, how to make them again, what they can do."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from tfg.datasets import face_clips
from tfg.errors import TrainingError
from tfg.experts.checkpoints import save_weights
from tfg.experts.expert import AVHubertExpert, SyncNetExpert, load_expert
from tfg.generator import load_generator
from tfg.results import code_commit, device
from tfg.training.held_out import RealClip, Row, ceiling_figures, generator_figures, mean_figures, still_figures

ABOUT = "The generator of Yaman et al. (CVPRW 2024) at mini size, trained by tfg from random weights."
CLIPS = 12  # of each folder, evenly spread, that figures are taken on: tracking apart, a clip costs four seconds
LICENCE = "MIT for the weights. Trained on GRID (Cooke et al., CC BY 4.0) and on talking heads rendered by tfg."
LIMITS = (
    "A teaching model: 96 pixels, one real talker and rendered ones. Mouths are soft and teeth hardly drawn; other "
    "people's are less in sync, and a face whose teeth show in its only reference goes on showing them. "
    "Use it only on people who agreed; films of 'tfg dub' are marked as synthetic."
)


def publish(
    checkpoint: Path, data: Path, evaluate_on: Sequence[str], target: Path, command: str, unfinished: bool = False
) -> dict[str, Any]:
    """Write ``target`` (safetensors, float16) and its card beside it; the figures are of the weights as written.

    :param checkpoint: ``generator.pt`` of a run, or generator weights with a log beside them.
    :param evaluate_on: face-clip folders under ``data``.
    :param command: the command that repeats the training.
    :param unfinished: publish a run that was stopped, too: to go on from elsewhere.
    :returns: the card.
    :raises TrainingError: the checkpoint is missing, or its run is not finished.
    """
    if not checkpoint.is_file():
        raise TrainingError(f"{checkpoint} does not exist; expected generator.pt of a run")
    state = torch.load(checkpoint, weights_only=True, map_location="cpu")
    recipe, config = state["recipe"]["recipe"], state["recipe"]["config"]
    if state["step"] != recipe["steps"] and not unfinished:
        raise TrainingError(
            f"{checkpoint} is at step {state['step']} of {recipe['steps']}: run the training to its end first"
        )
    log = [json.loads(line) for line in (checkpoint.parent / "log.jsonl").read_text().splitlines()]
    half = {key: value.half() for key, value in state["generator"].items()}
    card = {
        "name": target.stem,
        "kind": "generator",
        "about": ABOUT,
        "licence": LICENCE,
        "limits": LIMITS,
        "config": config,
        "parameters": sum(value.numel() for value in half.values()),
        "stored_as": "float16, used as float32",
        "recipe": recipe,
        "steps": state["step"],
        "command": command,
        "commit": code_commit(),
        "date": datetime.date.today().isoformat(),
        "device": device(),
        "training_minutes": round(sum(entry["seconds"] for entry in log) / 60, 1),
        "curve": [{k: round(v, 4) for k, v in entry.items() if k != "seconds"} for entry in log if _held_out(entry)],
    }
    save_weights(half, target, card)
    card["figures"] = figures(target, data, evaluate_on)
    save_weights(half, target, card)
    return card


def _held_out(entry: Mapping[str, float]) -> bool:
    return "held_out/l1" in entry


def figures(weights: Path, data: Path, evaluate_on: Sequence[str]) -> dict[str, dict[str, Row]]:
    """Folder -> row (``generated``, ``real``, ``still``) -> means over its clips, four digits."""
    generator, hubert, syncnet = load_generator(weights), load_expert("avhubert-mini"), load_expert("syncnet-mini")
    assert isinstance(hubert, AVHubertExpert)
    assert isinstance(syncnet, SyncNetExpert)
    found = {}
    for folder in evaluate_on:
        there = face_clips.load(data / folder)
        count = min(CLIPS, len(there))
        clips = [RealClip.of(there[i * len(there) // count], hubert) for i in range(count)]
        rows = {
            "generated": generator_figures(generator, clips, hubert, syncnet),
            "real": ceiling_figures(clips, hubert, syncnet),
            "still": still_figures(clips, hubert, syncnet),
        }
        means = {name: mean_figures(row) for name, row in rows.items()}
        found[folder] = {
            name: {"clips": len(clips)} | {key: round(value, 4) for key, value in row.items()}
            for name, row in means.items()
        }
    return found


def as_table(card: Mapping[str, Any]) -> str:
    """The card's figures as a Markdown table."""
    keys = ["avs_u", "avs_u_chance", "avs_v", "lse_c", "lse_d", "ssim", "psnr", "mouth_motion"]
    rows = ["| data | video | " + " | ".join(keys) + " |", "|---" * (len(keys) + 2) + "|"]
    for folder, videos in card["figures"].items():
        for name, row in videos.items():
            rows.append(f"| {folder} ({row['clips']}) | {name} | " + " | ".join(f"{row[k]:.3f}" for k in keys) + " |")
    return "\n".join(rows)
