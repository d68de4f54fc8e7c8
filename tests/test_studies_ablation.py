"""The study of the ablation: what runs left is collected as it is; intervals are paired; a page's file is whole."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tfg import results
from tfg.errors import DataError
from tfg.studies import ablation
from tfg.studies.ablation import COLUMNS, REAL, STILL, WITHOUT, against, between_seeds, collect, per_clip, seed_means
from tfg.training.ablation import CONDITIONS, folder_of
from tfg.training.held_out import Row

FILE = Path(__file__).resolve().parent.parent / "book" / "results" / "ablation.json"


def _row(seed: int, **shift: float) -> dict[str, Row]:
    random = np.random.default_rng(seed)
    hard = np.random.default_rng(0).normal(0, 0.1, 20)  # the same clips are hard in every row
    return {
        f"c{i}": {
            c.key: 0.5 + hard[i] + shift.get(c.key, 0.0) + 0.001 * random.standard_normal() for c in COLUMNS
        }
        for i in range(20)
    }  # fmt: skip


def _run(out: Path, condition: str, seed: int, steps: int, figures: dict[str, Row] | None) -> None:
    folder = folder_of(out, condition, seed)
    folder.mkdir(parents=True)
    log = [{"step": n, "reconstruction": 1 / n, "cosine": 0.5} for n in range(1, steps + 1)]
    log[-1]["held_out/l1"] = 0.03
    (folder / "log.jsonl").write_text("\n".join(map(json.dumps, log)))
    if figures is not None:
        (folder / "figures.json").write_text(json.dumps(figures))


def test_runs_are_collected_with_how_far_they_got(tmp_path: Path) -> None:
    _run(tmp_path, WITHOUT, 0, 60, _row(1))
    _run(tmp_path, WITHOUT, 1, 60, None)
    _run(tmp_path, "SyncNet", 0, 45, None)
    rows, curves, steps = collect(tmp_path)
    assert rows == {WITHOUT: {"0": _row(1)}}
    assert steps == {WITHOUT: {"0": 60, "1": 60}, "SyncNet": {"0": 45}}
    curve = curves[WITHOUT]["0"]
    assert curve["step"] == [20, 40, 60]
    assert curve["reconstruction"][0] == pytest.approx(np.mean(1 / np.arange(1, 21)))
    assert curve["looks"] == [60]
    assert curve["held_out/l1"] == [0.03]


def test_a_folder_without_a_finished_run_is_refused(tmp_path: Path) -> None:
    _run(tmp_path, WITHOUT, 0, 20, None)
    with pytest.raises(DataError, match="no finished run"):
        collect(tmp_path)


def test_differences_are_paired_and_have_the_sign_of_the_row() -> None:
    rows = {REAL: _row(9), STILL: _row(8), WITHOUT: _row(1), "SyncNet": _row(2, lse_c=0.05), "AVS_v": _row(3)}
    found = against(rows, WITHOUT)
    assert set(found) == {"SyncNet", "AVS_v"}, "neither bounds nor the base itself"
    assert found["SyncNet"]["LSE-C"].mean == pytest.approx(0.05, abs=0.002)
    assert 0.04 < found["SyncNet"]["LSE-C"].low < found["SyncNet"]["LSE-C"].high < 0.06, "as narrow as pairs are"
    assert against(rows, "SyncNet")[WITHOUT]["LSE-C"].mean == pytest.approx(-0.05, abs=0.002)


def test_the_file_has_a_row_for_each_finished_condition() -> None:
    found = results.read(FILE)["figures"]
    rows = per_clip(found)
    finished = [c for c, runs in found["steps"].items() if runs["0"] == found["training"]["steps"]]
    assert set(rows) == {REAL, STILL, *finished}
    assert set(finished) <= set(CONDITIONS)
    assert all(list(row) == found["clips"] for row in rows.values())
    assert all(row["ssim"] == 1 for row in rows[REAL].values())
    assert "h100" in found["training"]["device"].lower(), "says where the runs were trained, not where they were read"


def test_runs_on_other_clips_are_refused() -> None:
    with pytest.raises(DataError, match="no figures of d"):
        ablation._columns(_row(1), ["c0", "d"], WITHOUT)


# ---- intervals over trainings ---------------------------------------------------------------------------------------


def _trained(**rows: Sequence[float]) -> dict[str, dict[str, np.ndarray]]:
    return {row: {"AVS_u": np.array(values)} for row, values in rows.items()}


def test_means_are_taken_over_clips_seed_by_seed() -> None:
    figures = {"rows": {"a": {"1": {"avs_u": [3.0, 5.0]}, "0": {"avs_u": [1.0, 2.0]}}}}
    columns = [c for c in COLUMNS if c.title == "AVS_u"]
    assert seed_means(figures, columns)["a"]["AVS_u"].tolist() == [1.5, 4.0]


@given(st.lists(st.floats(-1, 1), min_size=3, max_size=3), st.lists(st.floats(-1, 1), min_size=3, max_size=3))
def test_with_one_row_the_interval_is_that_of_the_paired_t_test(base: list[float], other: list[float]) -> None:
    gap = np.array(other) - base
    found = between_seeds(_trained(base=base, other=other), "base")["other"]["AVS_u"]
    reach = stats.t.ppf(0.975, 2) * gap.std(ddof=1) / np.sqrt(3)
    assert found == pytest.approx((gap.mean(), gap.mean() - reach, gap.mean() + reach), abs=1e-9)


def test_what_a_seed_does_to_all_rows_alike_does_not_count() -> None:
    easy = np.array([0.0, 0.3, -0.2])
    means = _trained(base=easy, a=easy + np.array([0.10, 0.11, 0.12]), b=easy + np.array([-0.01, 0.0, 0.01]))
    found = between_seeds({**means, REAL: {}, STILL: {}}, "base")
    assert set(found) == {"a", "b"}
    assert found["a"]["AVS_u"].low > 0.09
    assert found["b"]["AVS_u"].low < 0 < found["b"]["AVS_u"].high
    widths = [of["AVS_u"].high - of["AVS_u"].low for of in found.values()]
    assert widths[0] == pytest.approx(widths[1]), "one spread for all rows"


def test_intervals_over_trainings_need_the_same_seeds_in_all_rows() -> None:
    for rows in ({"base": [1.0], "a": [1.0]}, {"base": [1.0, 2.0], "a": [1.0, 2.0, 3.0]}):
        with pytest.raises(DataError, match="expected the same number in all, at least 2"):
            between_seeds(_trained(**rows), "base")
