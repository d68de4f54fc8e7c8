"""Figures that compare generators show the moments that they say, and films can be taken apart again."""

from __future__ import annotations

import numpy as np
import tiny_experts as tiny

from tfg.datasets.examples import Label
from tfg.evaluation.table import Cell, Column
from tfg.plots import ablation, comparison
from tfg.studies.ablation import Contrast

LABELS = (Label("", 0, 0.1), Label("b", 0.1, 0.2), Label("ih", 0.2, 0.4), Label("n", 0.4, 0.6))


def _panels() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {name: random.integers(0, 256, (12, 64, 64, 3), dtype=np.uint8) for name in ("real", "made")}


def test_a_film_holds_its_panels_side_by_side() -> None:
    panels = _panels()
    film = comparison.side_by_side(panels, tiny.clip(12))
    assert film.frames.shape == (12, 64 + comparison.STRIP, 128, 3)
    for name, frames in comparison.split(film, list(panels)).items():
        assert np.array_equal(frames, panels[name])
    names = film.frames[:, 64:]
    assert (names == names[:1]).all()
    assert (names[0] < 128).any(), "the names are written"


def test_moments_lie_in_what_is_spoken() -> None:
    moments = comparison.spread_moments(LABELS, 3, 12)
    assert [comparison.spoken_at(LABELS, m) for m in moments] == ["b", "ih", "n"]
    assert comparison.spoken_at(LABELS, 0) == "·", "silence"
    assert comparison.spread_moments(LABELS, 3, 5).max() == 4, "a clip that ends earlier"


def test_a_strip_shows_the_frames_of_its_moments() -> None:
    panels = _panels()
    fig = comparison.strip(panels, [3, 7], LABELS)
    shown = [ax.images[0].get_array() for ax in fig.axes]
    assert np.array_equal(shown[0], panels["real"][3])
    assert np.array_equal(shown[3], panels["made"][7])
    assert fig.axes[0].get_title() == "b\n0.12 s"


def test_faces_show_more_than_the_generators_square() -> None:
    clip, track = tiny.clip(10), tiny.track(0, 10)
    found = comparison.faces(clip, track, 64)
    assert found.shape == (10, 64, 64, 3)
    mouths = comparison.mouths(found)
    assert mouths.shape[0] == 10
    assert mouths.shape[1] < 40


def test_lips_that_must_close_are_shaded() -> None:
    fig = comparison.openings({"real": tiny.track(0, 10), "made": tiny.track(0, 10)}, LABELS)
    (ax,) = fig.axes
    assert len(ax.patches) == 1, "one b"
    assert len(ax.lines) == 2


def test_missing_conditions_leave_a_gap() -> None:
    fig = comparison.grouped({"a": {"x": 1.0, "y": 2.0}, "b": {"y": 3.0}}, ["x", "y"], "LSE-C", "")
    assert [len(line.get_xdata()) for line in fig.axes[0].lines] == [2, 1]


def test_a_column_without_a_better_side_has_no_colour() -> None:
    columns = [Column("a", "A", 1, 2), Column("m", "M", 0, 2)]
    found = {row: {"A": Contrast(v, v - 0.1, v + 0.1), "M": Contrast(v, 0, 1)} for row, v in (("x", 0.5), ("y", -0.05))}
    (ax,) = ablation.differences(found, columns, "base").axes
    assert np.array_equal(ax.images[0].get_array(), [[1, 0], [-0.1, 0]])
    assert [text.get_text() for text in ax.texts] == ["+0.50", "(+0.50)", "(-0.05)", "(-0.05)"]


def test_far_bounds_are_not_drawn() -> None:
    columns = [Column("a", "A", 1, 2)]
    cells = {
        "x": {"A": Cell(1.0, 0.9, 1.1, 5)}, "y": {"A": Cell(1.2, 1.1, 1.3, 5)},
        "near": {"A": Cell(1.5, 1.4, 1.6, 5)}, "far": {"A": Cell(9.0, 8.9, 9.1, 5)},
    }  # fmt: skip
    ax = ablation.levels(cells, columns, {"near": "green", "far": "grey"}).axes[0]
    assert [line.get_label() for line in ax.lines if not line.get_label().startswith("_")] == ["near"]


def test_only_runs_that_reached_the_end_are_compared() -> None:
    curves = {
        "base": {"0": {"looks": [5, 9], "held_out/l1": [2.0, 1.0]}, "1": {"looks": [5, 9], "held_out/l1": [2.0, 1.5]}},
        "other": {"0": {"looks": [5], "held_out/l1": [1.9]}},
    }
    (ax,) = ablation.seeds(curves, "base").axes
    assert [label.get_text() for label in ax.get_yticklabels()] == ["base"]
    assert [list(line.get_xdata()) for line in ax.lines] == [[1.0], [1.5]]


def test_an_interval_over_trainings_that_holds_zero_is_grey() -> None:
    columns = [Column("a", "A", 1, 2)]
    means = {
        row: {"A": np.array(values)} for row, values in (("base", [1.0, 2.0]), ("x", [1.5, 2.7]), ("y", [0.9, 2.2]))
    }
    found = {"x": {"A": Contrast(0.6, 0.4, 0.8)}, "y": {"A": Contrast(0.05, -0.1, 0.2)}}
    ax = ablation.trainings(means, found, columns, "base").axes[0]
    zero, *lines = ax.lines
    assert [line.get_color() == zero.get_color() for line in lines] == [False, False, True, True]
    np.testing.assert_allclose(lines[1].get_xdata(), [0.5, 0.7])
