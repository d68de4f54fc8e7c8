"""Result files: complete provenance, finite numbers, no half-written file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tfg import results
from tfg.errors import DataError


def written(path: Path, **figures: object) -> Path:
    return results.write(
        path / "a.json", figures, command="make results", data_used={"studio": 10}, seed=3, weights={"x": "ab12"}
    )


def test_what_was_written_is_read_with_its_provenance(tmp_path: Path) -> None:
    path = written(tmp_path, auc=np.float32(0.25), curve=np.arange(3.0), table=[{"a": 1, "b": float("nan")}], n=7)
    found = results.read(path)
    assert found["figures"] == {"auc": 0.25, "curve": [0.0, 1.0, 2.0], "table": [{"a": 1, "b": None}], "n": 7}
    assert set(found["provenance"]) == set(results.PROVENANCE)
    assert found["provenance"]["weights"] == {"x": "ab12"}
    assert "studio (10 clips)" in results.source(path)


def test_floats_keep_six_digits_and_rows_of_numbers_one_line(tmp_path: Path) -> None:
    text = written(tmp_path, curve=[1 / 3, 1e-9 / 3], n=12345678).read_text()
    assert '"curve": [0.333333, 3.33333e-10]' in text
    assert "12345678" in text


@pytest.mark.parametrize("value", [float("inf"), np.array([-np.inf]), {1, 2}, b"x"])
def test_what_json_cannot_hold_is_refused_and_leaves_no_file(tmp_path: Path, value: object) -> None:
    with pytest.raises(DataError, match=r"a\.json"):
        written(tmp_path, value=value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("part", ["figures", *(f"provenance.{key}" for key in results.PROVENANCE)])
def test_incomplete_file_is_refused_by_the_missing_part(tmp_path: Path, part: str) -> None:
    path = written(tmp_path, a=1)
    content = json.loads(path.read_text())
    *outer, key = part.split(".")
    (content[outer[0]] if outer else content).pop(key)
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=part):
        results.read(path)


def test_missing_or_damaged_file_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="make results"):
        results.read(tmp_path / "none.json")
    path = written(tmp_path, a=1)
    path.write_text(path.read_text()[:-9])
    with pytest.raises(DataError, match="not json"):
        results.read(path)
