"""Publishing: the written weights are the measured ones, the card says how they were made, half a run is refused."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

import tfg
from tfg.datasets import prepared
from tfg.errors import TrainingError
from tfg.experts.expert import SyncNetExpert
from tfg.experts.syncnet import SyncNetConfig
from tfg.training import publish, syncnet
from tfg.training.recipe import read_recipe

TINY = dataclasses.replace(
    SyncNetConfig.mini(), lip_widths=(4, 4, 4, 4, 4, 8), audio_widths=(4, 4, 4, 4, 4, 8), embed_dim=8
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared") / "clips"
    folder.mkdir()
    (folder / prepared.HEADER).write_text(json.dumps(prepared.LAYOUT))
    random = np.random.default_rng(0)
    for i in range(4):
        face = random.integers(0, 256, (30, 112, 112, 3), dtype=np.uint8)
        mouth = np.zeros((30, 96, 96), np.uint8)
        np.savez(
            folder / f"clip{i}.npz", mouth=mouth, face=face, mfcc=random.normal(0, 1, (119, 13)).astype(np.float32)
        )
    return folder.parent


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    recipe = dataclasses.replace(
        read_recipe("syncnet-mini", syncnet.SyncNetRecipe),
        train=("clips", "clips"), validate="clips", watch=("clips",),
        steps=(3, 4), matching=(0.0, 1.0), augmentation=("mild", "strong"),
        batch_size=2, windows=3, span=10, precision="32-true",
    )  # fmt: skip
    out = tmp_path_factory.mktemp("run")
    syncnet.train(recipe, TINY, data, out, save_every=2)
    return out


def test_the_card_describes_the_weights_that_were_written(run: Path, data: Path, tmp_path: Path) -> None:
    target = tmp_path / "tiny.safetensors"
    card = publish.publish("syncnet", run / "phase1.pt", data, ["clips"], target, "the command")
    assert json.loads(target.with_suffix(".json").read_text())["figures"] == card["figures"]
    expert = tfg.load_expert(target)
    assert isinstance(expert, SyncNetExpert)
    measured = syncnet.evaluate(expert.model, prepared.load(data / "clips", prepared.names(data / "clips")))
    for key, value in card["figures"]["clips"].items():
        assert measured[key] == pytest.approx(value, abs=2e-3), key
    assert card["recipe"]["steps"] == [3, 4]
    assert card["data"] == {"clips": 4}


def test_the_card_keeps_the_learning_curve(run: Path, data: Path, tmp_path: Path) -> None:
    card = publish.publish("syncnet", run / "phase1.pt", data, ["clips"], tmp_path / "tiny.safetensors", "the command")
    assert [(p["phase"], p["step"], p["steps"]) for p in card["curve"]] == [(0, 2, 2), (0, 3, 3), (1, 2, 5), (1, 4, 7)]
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert card["curve"][2]["loss"] == pytest.approx((log[3]["loss"] + log[4]["loss"]) / 2, abs=1e-4)
    assert all(0 <= point["clips/auc_5"] <= 1 for point in card["curve"])


def test_unfinished_and_missing_runs_are_refused(run: Path, data: Path, tmp_path: Path) -> None:
    target = tmp_path / "tiny.safetensors"
    with pytest.raises(TrainingError, match="does not exist"):
        publish.publish("syncnet", tmp_path / "phase9.pt", data, ["clips"], target, "")
    state = torch.load(run / "phase1.pt", weights_only=True)
    torch.save({**state, "step": 2}, tmp_path / "phase1.pt")
    with pytest.raises(TrainingError, match="step 2 of 4"):
        publish.publish("syncnet", tmp_path / "phase1.pt", data, ["clips"], target, "")
    assert not target.exists()
