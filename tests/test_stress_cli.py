"""tfg stress: files written, values read, errors told in one line."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import pytest
import tiny_experts as tiny
from typer.testing import CliRunner

import tfg
from tfg.cli import app
from tfg.cli_stress import parse_values, spread
from tfg.errors import StressError
from tfg.stress import PERTURBATIONS

run = CliRunner().invoke


@pytest.fixture
def arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    experts = tiny.save(tmp_path)
    tfg.write_clip(tiny.clip(30), tmp_path / "talk.mp4")
    monkeypatch.setattr("tfg.faces.track_face", lambda clip: tiny.track(0, clip.n_frames, at=95))
    monkeypatch.setenv("COLUMNS", "200")
    chosen = [part for path in experts for part in ("--expert", str(path))]
    return ["stress", str(tmp_path / "talk.mp4"), "-o", str(tmp_path / "out"), *chosen]


def test_a_run_writes_csv_figure_and_montage_and_tells_what_has_no_score(arguments: list[str], tmp_path: Path) -> None:
    result = run(app, [*arguments, "--what", "shift_x", "--what", "offset", "--range", "-45:45:45"])
    assert result.exit_code == 0, result.output
    out = tmp_path / "out"
    assert {path.name for path in out.iterdir()} == {
        "shift_x.csv", "shift_x.png", "shift_x-montage.png", "offset.csv", "offset.png",
    }  # fmt: skip
    with (out / "shift_x.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["value"]) for row in rows] == [-45, -45, 0, 0, 45, 45]
    assert float(rows[2]["avs_u"]) == pytest.approx(float(rows[2]["cosine"]), abs=0.1)
    assert "leaves the frame" in rows[4]["problem"]
    assert rows[4]["cosine"] == ""
    assert "no score at shift_x 45 % of the face's width: the face leaves the frame" in result.output
    for name in ("shift_x.png", "shift_x-montage.png", "offset.png"):
        picture = cv2.imread(str(out / name))
        assert picture.std() > 10, "not empty"


def test_a_sweep_without_any_score_is_still_written(arguments: list[str], tmp_path: Path) -> None:
    result = run(app, [*arguments, "--what", "shift_x", "--range", "90,95"])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "out" / "shift_x.png").stat().st_size > 5000


def test_the_table_is_listed_without_a_video() -> None:
    for arguments in (["--list"], ["--what", "list"]):
        result = run(app, ["stress", *arguments], env={"COLUMNS": "200"})
        assert result.exit_code == 0
        assert all(name in result.stdout for name in PERTURBATIONS)
        assert "H.264 crf" in result.stdout


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ([], "--what NAME"),
        (["--what", "shift"], "there are shift_x"),
        (["--what", "rotation", "--range", "0:90:10"], "-45 to 45 degrees"),
        (["--what", "rotation", "--range", "0:10"], "FIRST:LAST:STEP"),
    ],
)
def test_a_wrong_request_is_one_line_and_writes_nothing(
    arguments: list[str], tmp_path: Path, more: list[str], message: str
) -> None:
    result = run(app, [*arguments, *more])
    assert result.exit_code == 2
    assert message in result.output
    assert result.output.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_video_that_is_not_there_is_named(tmp_path: Path) -> None:
    result = run(app, ["stress", str(tmp_path / "no.mp4"), "--what", "noise"])
    assert result.exit_code == 2
    assert "no.mp4 does not exist" in result.output


def test_ranges_include_their_end_and_lists_are_taken_as_they_are() -> None:
    assert parse_values("-16:16:8") == [-16, -8, 0, 8, 16]
    assert parse_values("1:0.7:-0.1") == [1, 0.9, 0.8, 0.7]
    assert parse_values("3") == [3]
    assert parse_values("2,0.5") == [2, 0.5]
    for wrong in ("", "a", "1:2:0", "1:2:-1", "0:1:1e-9", "1:2:3:4", "nan", "0:inf:1"):
        with pytest.raises(StressError, match="--range is"):
            parse_values(wrong)


def test_a_montage_keeps_first_and_last() -> None:
    assert spread([1, 2, 3], 7) == [1, 2, 3]
    assert spread(list(range(20)), 4) == [0, 6, 13, 19]
