"""The study of the recorded trainings: each part of a run with its recipe's faces, the first cut where it was left."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tfg.datasets.face_clips import FaceClip
from tfg.errors import DataError
from tfg.studies import Setup, training_curves

FOLDERS = sorted({folder for parts in training_curves.RUNS.values() for folder, _ in parts})


def write_logs(root: Path, steps: int) -> None:
    for folder in FOLDERS:
        (root / folder).mkdir()
        entries = [{"step": i + 1, "reconstruction": 1 / 3, "seconds": 0.5} for i in range(steps)]
        entries[-1]["held_out/l1"] = 0.25
        (root / folder / "log.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))


def test_parts_are_counted_by_their_recipes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clips = [FaceClip(tmp_path / folder, str(i)) for i, folder in enumerate(("a", "a", "b"))]
    monkeypatch.setattr(training_curves, "training_clips", lambda recipe, data: clips)
    write_logs(tmp_path, steps=720)
    figures, data = training_curves.measure(Setup(faces=tmp_path, generators=tmp_path))
    assert data == {"a": 2, "b": 1}
    mini, twin = figures["runs"]["generator-mini"], figures["runs"]["generator-mini-syncnet"]
    names = ["generator-mini-nosync-start", "generator-mini-nosync", "generator-mini"]
    assert [part["part"] for part in mini] == names
    assert [part["steps"] for part in mini] == [500, 720, 720], "the first part was left after 500 steps"
    assert [part["faces_a_step"] for part in twin] == [320, 80]
    assert mini[1]["seconds"] == pytest.approx(360)
    assert mini[1]["curves"]["reconstruction"] == [0.3333] * 72
    assert mini[1]["curves"]["sync"] == [None] * 72
    assert mini[1]["held_out"] == {"step": [720], "held_out/l1": [0.25], "held_out/cosine": [None]}


def test_a_missing_part_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="set TFG_GENERATORS"):
        training_curves.measure(Setup())
    with pytest.raises(DataError, match=r"generator-mini-nosync-start/log\.jsonl: No such file"):
        training_curves.measure(Setup(faces=tmp_path, generators=tmp_path))
