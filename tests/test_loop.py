"""What every training loop shares: batches, learning rate, the check of the loss, files of checkpoints."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tfg.errors import TrainingError
from tfg.training import loop


def test_a_run_deletes_what_a_killed_one_left_of_its_checkpoint_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "run[1].pt"
    others = [
        tmp_path / name for name in ("run[1].old.tmp", "run[1].2.7.tmp", "run[1]b.7.tmp", "labels.tmp", "run1.12.tmp")
    ]
    for file in (tmp_path / "run[1].4711.tmp", *others):
        file.write_bytes(b"half")
    assert loop.read_state(path, "recipe") is None
    assert sorted(tmp_path.iterdir()) == sorted(others)
    loop.write_state(path, {"step": 3, "recipe": "recipe"})
    (tmp_path / "run[1].4712.tmp").write_bytes(b"half")
    assert loop.read_state(path, "recipe") == {"step": 3, "recipe": "recipe"}
    assert sorted(tmp_path.iterdir()) == sorted([*others, path])


def test_learning_rate_rises_to_its_peak_and_falls_to_zero_and_one_step_is_not_none() -> None:
    rates = [loop.one_cycle(step, 100, 2.0) for step in range(100)]
    assert rates[0] == pytest.approx(0.2)
    assert max(rates) == rates[9] == 2.0
    assert rates[-1] == pytest.approx(0)
    assert loop.one_cycle(0, 1, 2.0) == 2.0


def test_a_loss_that_is_not_finite_stops_the_run() -> None:
    with pytest.raises(TrainingError, match="step 7"):
        loop.check_loss(torch.tensor(float("nan")), 7)


def test_batches_visit_every_clip_once_per_pass() -> None:
    seen = np.concatenate([loop.batch_indices(12, 4, seed=3, step=s) for s in range(3)])
    assert sorted(seen) == list(range(12))
    with pytest.raises(TrainingError, match="batch_size"):
        loop.batch_indices(3, 4, 0, 0)
