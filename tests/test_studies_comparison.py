"""The comparison tables that the book shows: their files hold every row, and are read back as they were written."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from tfg import results
from tfg.datasets import adthqa
from tfg.errors import DataError
from tfg.evaluation import write
from tfg.evaluation.pairs import CHANCE, REAL, Corpus
from tfg.evaluation.table import Cell, Difference, columns
from tfg.experts.checkpoints import file_sha256
from tfg.experts.registry import get_weights
from tfg.studies import Setup, comparison
from tfg.studies.generators import PACKAGED

RESULTS = Path(__file__).resolve().parent.parent / "book" / "results"


def test_a_table_is_read_back_as_it_was(tmp_path: Path) -> None:
    cells = {
        REAL: {"PSNR": Cell(math.inf, math.inf, math.inf, 2), "AVS_u": Cell(0.5, 0.25, 0.75, 2)},
        "ours": {"PSNR": Cell(30.0, None, None, 1), "AVS_u": Cell(0.375, 0.25, 0.5, 2, best=True)},
    }
    differences = [Difference("PSNR", "ours", REAL, -math.inf, -math.inf, -math.inf)]
    written = {
        "rows": {row: {title: cell._asdict() for title, cell in of_row.items()} for row, of_row in cells.items()},
        "differences": [difference._asdict() for difference in differences],
    }
    path = results.write(
        tmp_path / "a.json", write._finite(written), command="x", data_used={"a": 2}, seed=0, weights={}
    )
    table = write.read_back(results.read(path)["figures"])
    assert table.cells == cells
    assert table.differences == differences
    assert [column.title for column in table.columns] == ["PSNR", "AVS_u"]
    assert table.means() == {
        REAL: {"PSNR ↑": "∞", "AVS_u ↑": "0.500"},
        "ours": {"PSNR ↑": "30.00", "AVS_u ↑": "0.375 *"},
    }


def test_sets_are_thinned_and_drawn_by_the_packaged_generator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="TFG_FACES"):
        comparison.generator_tables(Setup())
    asked: list[tuple[Corpus, Path]] = []

    def find(path: Path) -> Corpus:
        return Corpus(path.name, path, {f"c{i:02}": path / f"c{i:02}.mp4" for i in range(30)}, arguments=(path.name,))

    def evaluate(corpus: Corpus, out: Path, **_: Any) -> Corpus:
        asked.append((corpus, out))
        return corpus

    monkeypatch.setattr(comparison, "find_corpus", find)
    monkeypatch.setattr(comparison, "evaluate", evaluate)
    monkeypatch.setattr(write, "figures", lambda corpus: {"clips": list(corpus.real)})
    figures, used = comparison.generator_tables(Setup(faces=tmp_path / "faces", evaluations=tmp_path / "kept"))
    assert used == dict.fromkeys(comparison.SETS, comparison.CLIPS)
    assert list(figures) == list(comparison.SETS)
    for part, (corpus, out) in zip(comparison.SETS, asked, strict=True):
        assert corpus.root == tmp_path / "faces" / part
        assert corpus.generators == {PACKAGED: get_weights(PACKAGED)}
        assert out == tmp_path / "kept" / part
    assert comparison.generator_tables(Setup(faces=tmp_path, most=2))[1] == dict.fromkeys(comparison.SETS, 2)


def test_adthqas_table_has_its_methods_on_all_subjects() -> None:
    figures = results.read(RESULTS / "adthqa_table.json")["figures"]["adthqa"]
    assert list(figures["rows"]) == [REAL, *adthqa.TITLES.values(), CHANCE]
    assert len(figures["clips"]) == 6
    assert figures["failed"] == {}
    titles = {column.title for column in columns("unbiased")} - set(figures["not_computed"])
    assert all(set(cells) == titles for cells in figures["rows"].values())


def test_the_generators_tables_are_of_the_packaged_weights() -> None:
    found = results.read(RESULTS / "generator_tables.json")
    assert set(found["figures"]) == set(comparison.SETS)
    for figures in found["figures"].values():
        assert list(figures["rows"]) == [REAL, PACKAGED, CHANCE]
    assert found["provenance"]["weights"][PACKAGED] == file_sha256(get_weights(PACKAGED)), (
        "made with other weights of the packaged generator: run 'python book/make_results.py generator_tables'"
    )
