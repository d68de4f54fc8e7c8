"""The figures of a generator's training show the numbers that they are given; logs are read as they were meant."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tfg.errors import DataError
from tfg.plots import generator_training as drawn
from tfg.training.curves import columns, read_log


def test_a_sample_shows_each_window_its_zone_and_its_reference() -> None:
    faces = np.arange(60, dtype=np.uint8)[:, None, None, None] * np.ones((1, 8, 8, 3), np.uint8)
    fig = drawn.sample(faces, np.array([12, 30]), np.array([45, 3]), 5)
    time = next(ax for ax in fig.axes if ax.patches)
    spans = sorted((bar.get_x(), bar.get_width()) for bar in time.patches)
    assert spans == [(2, 25), (12, 5), (20, 25), (30, 5)]
    assert time.lines[0].get_xdata().tolist() == [45.5, 3.5]
    pictures = [int(ax.images[0].get_array()[0, 0, 0]) for ax in fig.axes if ax.images]
    assert pictures == [45, 12, 14, 16, 3, 30, 32, 34]


def test_parts_of_a_step_follow_each_other() -> None:
    ax = drawn.step_time({"a": 0.5, "b": 0.25}).axes[0]
    assert [(bar.get_x(), bar.get_width()) for bar in ax.patches] == [(0, 0.5), (0.5, 0.25)]
    assert [text.get_text() for text in ax.texts] == ["0.50 s", "0.25 s"]


def test_schedules_are_drawn_from_the_first_step() -> None:
    left, right = drawn.schedules({"p": {"x": [1.0, 2.0], "y": [3.0]}, "q": {"x": [0.0, 4.0]}}).axes
    assert [line.get_ydata().tolist() for line in left.lines] == [[1, 2], [3]]
    assert right.lines[0].get_xdata().tolist() == [1, 2]
    assert (left.get_title(loc="left"), right.get_title(loc="left")) == ("p", "q")


def test_terms_leave_out_what_a_run_does_not_have() -> None:
    runs = {
        "with": {"step": [10, 20, 30], "loss": [3, 2, 1], "reconstruction": [3.0, 2.0, 1.0], "sync": [None, 0.4, 0.2]},
        "without": {"step": [10, 20, 30], "reconstruction": [3.0, 3.0, 3.0], "sync": [None, None, None]},
    }
    fig = drawn.terms(runs, ("reconstruction", "sync"), edges={"here": 20.0}, smooth=3)
    first, second = fig.axes
    solid = [line for line in first.lines if line.get_linestyle() == "-" and line.get_alpha() is None]
    assert [line.get_ydata().tolist() for line in solid] == [[2.5, 2.5], [1.0], [3, 3], [3]], "parts are smoothed alone"
    assert [line.get_xdata().tolist() for line in second.lines if line.get_alpha() is None] == [[20], [30]]
    assert [line.get_xdata()[0] for line in first.lines if line.get_linestyle() == "--"] == [20]
    assert [text.get_text() for text in fig.legends[0].get_texts()] == ["with", "without"]


def write(path: Path, steps: list[dict[str, float]], tail: str = "") -> Path:
    path.write_text("".join(json.dumps(step) + "\n" for step in steps) + tail)
    return path


def test_a_step_that_was_done_twice_counts_once_and_a_cut_line_not_at_all(tmp_path: Path) -> None:
    steps = [{"step": s, "loss": x} for s, x in ((1, 5.0), (2, 4.0), (3, 9.0), (3, 3.0), (4, 2.0))]
    found = read_log(write(tmp_path / "log.jsonl", steps, '{"step": 5, "lo'))
    assert [(entry["step"], entry["loss"]) for entry in found] == [(1, 5.0), (2, 4.0), (3, 3.0), (4, 2.0)]


def test_a_damaged_log_names_file_and_line(tmp_path: Path) -> None:
    path = write(tmp_path / "log.jsonl", [{"step": 1}], '{"loss": 3}\n{"step": 3}\n')
    with pytest.raises(DataError, match=r"log\.jsonl, line 2"):
        read_log(path)
    with pytest.raises(DataError, match=r"gone\.jsonl: No such file"):
        read_log(tmp_path / "gone.jsonl")


def test_columns_are_means_and_say_where_a_term_was_missing() -> None:
    entries = [{"step": 1, "a": 1.0}, {"step": 2, "a": 3.0}, {"step": 3, "a": 5.0, "b": 7.0}]
    assert columns(entries, ("a", "b"), every=2) == {"step": [2, 3], "a": [2.0, 5.0], "b": [None, 7.0]}
