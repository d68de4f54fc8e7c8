"""Committed result files are whole, made with the shipped weights, and are what the pages show."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tfg import results
from tfg.errors import DataError
from tfg.experts.checkpoints import file_sha256
from tfg.experts.registry import get_weights
from tfg.stress import PERTURBATIONS, Measured, Point, SweepResult
from tfg.studies import STUDIES, Setup, fig5, variants
from tfg.studies.setup import AVHUBERT, SYNCNET

BOOK = Path(__file__).resolve().parent.parent / "book"
FILES = sorted((BOOK / "results").glob("*.json"))
MINIS = {name: file_sha256(get_weights(name)) for name in (SYNCNET, AVHUBERT)}


def _shown(notebook: str) -> str:
    """All text that a notebook's cells put out."""
    cells = json.loads((BOOK / notebook).read_text())["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    text = ["".join(output.get("text", "")) for output in outputs]
    return "\n".join(text + ["".join(o["data"].get("text/plain", "")) for o in outputs if "data" in o])


def _without_device(line: str) -> str:
    return re.sub(r"\s+", " ", line)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_result_file_is_whole_and_of_the_shipped_weights(path: Path) -> None:
    found = results.read(path)
    made = found["provenance"]
    assert path.stem in STUDIES, "a file that 'make results' does not make"
    assert found["figures"]
    assert re.fullmatch(rf"python book/make_results\.py {path.stem}( --clips \d+)?", made["command"])
    assert made["data"]
    assert all(clips > 0 for clips in made["data"].values())
    assert re.fullmatch(r"[0-9a-f]{12}(-dirty)?", made["commit"])
    for name, digest in made["weights"].items():
        if name in MINIS:
            assert digest == MINIS[name], f"{path.name} was made with other weights of {name}: run 'make results'"


def test_page_shows_what_the_files_hold() -> None:
    shown = _without_device(_shown("why_syncnet_is_shaky.ipynb"))
    for name in ("fig1", "fig5", "context", "gradients"):
        line = _without_device(results.source(BOOK / "results" / f"{name}.json"))
        assert line in shown, f"the page was executed with another {name}.json: execute it again"
    figures = results.read(BOOK / "results" / "fig1.json")["figures"]
    for part in ("grid-s1-val", "grid-unseen"):
        for expert, one in figures[part].items():
            row = rf"{expert}\s+{one['separation']['matching']:.3f}\s+{one['separation']['off']:.3f}"
            assert re.search(row, shown), f"the table lacks {expert} on {part} as measured"


# ---- making them --------------------------------------------------------------------------------------------------


@pytest.fixture
def make_results() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_results", BOOK / "make_results.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def counted(make_results: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replaces the studies by one that only counts its runs."""
    runs: list[str] = []

    def measure(setup: Setup) -> tuple[dict[str, Any], dict[str, int]]:
        runs.append("fig1")
        return {"n": len(runs)}, {"studio": 1}

    monkeypatch.setattr(make_results, "STUDIES", {"fig1": measure})
    return runs


def test_finished_result_is_kept_until_weights_change_or_it_is_forced(
    make_results: ModuleType, counted: list[str], tmp_path: Path
) -> None:
    arguments = ["fig1", "--out", str(tmp_path)]
    assert make_results.main(arguments) == 0
    assert make_results.main(arguments) == 0
    assert counted == ["fig1"]
    path = tmp_path / "fig1.json"
    assert results.read(path)["provenance"]["weights"] == MINIS
    path.write_text(path.read_text().replace(MINIS[SYNCNET], "0" * 64))
    make_results.main(arguments)
    assert len(counted) == 2, "made with other weights"
    make_results.main([*arguments, "--force"])
    assert results.read(path)["figures"]["n"] == 3


def test_result_without_its_data_is_left_out_and_reported(
    make_results: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("TFG_DATA", "TFG_PREPARED", "TFG_VARIANTS"):
        monkeypatch.delenv(name, raising=False)
    assert make_results.main(["fig1", "variants", "--out", str(tmp_path)]) == 1
    told = capsys.readouterr().err
    assert "TFG_PREPARED" in told
    assert "TFG_VARIANTS" in told
    assert not list(tmp_path.iterdir())


def test_last_checkpoint_of_each_variant_is_taken(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds none of"):
        variants.checkpoints(tmp_path)
    for file in ("syncnet-jitter/phase0.pt", "avhubert-jitter/iteration0.pt", "avhubert-jitter/iteration10.pt"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
    found = variants.checkpoints(tmp_path)
    assert {name: path.name for name, path in found.items()} == {
        "syncnet-jitter": "phase0.pt", "avhubert-jitter": "iteration10.pt"
    }  # fmt: skip


def test_clip_without_a_score_somewhere_is_left_out_everywhere() -> None:

    def swept(cosine: float, lost: bool) -> SweepResult:
        points = []
        for value, factor in ((-8.0, 0.5), (0.0, 1.0), (8.0, 0.75)):
            gone = lost and value > 0
            figures = {} if gone else {"cosine": cosine * factor, "chance": 0.1}
            measured = Measured(np.full(3, np.nan if gone else cosine * factor, np.float32), figures)
            points.append(Point(value, "the face leaves the frame" if gone else "", {"x": measured}))
        return SweepResult("clip", PERTURBATIONS["shift_x"], "frozen", 0, tuple(points))

    found = fig5.curves([swept(0.9, False), swept(0.5, False), swept(0.1, True)], "x")
    assert (found["clips"], found["left_out"]) == (2, 1)
    np.testing.assert_allclose(found["cosine"], [0.35, 0.7, 0.525], rtol=1e-6)
    np.testing.assert_allclose(found["kept"], [0.25 / 0.6, 1, 0.425 / 0.6], rtol=1e-6)
    assert found["loss"][0] > found["loss"][2] > found["loss"][1]
    alone = fig5.curves([swept(0.1, True)], "x")
    assert alone["clips"] == 0
    assert alone["kept"] == [None] * 3
