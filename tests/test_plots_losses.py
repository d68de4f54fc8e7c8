"""Figures of the losses show the data they are given."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tfg.plots import losses as drawn


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(0)


def titles(figure: Any) -> list[str]:
    return [ax.get_title(loc="left") for ax in figure.axes if ax.get_title(loc="left")]


def test_each_loss_has_its_map_over_the_face(random: np.random.Generator) -> None:
    face = random.integers(0, 256, (16, 16, 3), dtype=np.uint8)
    maps = {name: random.uniform(0, scale, (16, 16)) for name, scale in (("a", 1e-3), ("b", 10.0))}
    figure = drawn.where_it_looks(face, maps, columns=2)
    assert titles(figure) == ["the face", "a", "b"]
    shown = figure.axes[2].images[-1]
    np.testing.assert_array_equal(shown.get_array(), maps["b"])
    assert shown.get_clim()[1] == pytest.approx(np.quantile(maps["b"], 0.995))
    assert not figure.axes[3].images, "a place that no loss needs stays empty"


def test_answers_share_one_scale(random: np.random.Generator) -> None:
    faces = dict.fromkeys(("real", "generated"), random.integers(0, 256, (16, 16, 3), dtype=np.uint8))
    logits = {"real": np.full((2, 2), 1.0), "generated": np.full((2, 2), -3.0)}
    figure = drawn.answers(faces, logits)
    maps = [ax.images[0] for ax in figure.axes[1:4:2]]
    assert [image.get_clim() for image in maps] == [(-3, 3), (-3, 3)]
    np.testing.assert_array_equal(maps[1].get_array(), logits["generated"])


def test_clamped_windows_are_counted_and_crossed_out() -> None:
    values = np.array([-0.2, 0.005, 0.5, 0.9])
    left, right = drawn.clamp({"wrong": values}, 0.01).axes
    crosses = next(line for line in right.lines if line.get_marker() == "x")
    np.testing.assert_array_equal(crosses.get_xdata(), values[:2])
    assert "50%" in {text.get_text() for text in right.texts}
    loss = left.lines[0]
    assert loss.get_ydata()[0] == pytest.approx(-np.log(0.01))


def test_damage_prints_every_value_and_shades_within_a_row() -> None:
    values = {"sync": {"real": 0.5, "blurred": 2.0}, "L1": {"real": 0.0, "blurred": 0.012}}
    (ax,) = drawn.damage(values).axes
    assert [text.get_text() for text in ax.texts] == ["0.50", "2.00", "0.000", "0.012"]
    np.testing.assert_allclose(ax.images[0].get_array(), [[0, 1], [0, 1]])


def test_pulls_are_on_a_logarithmic_axis_with_medians() -> None:
    (ax,) = drawn.pulls({"a": [1.0, 2.0, 30.0], "b": [0.1, 0.1, 0.2]}).axes
    assert ax.get_xscale() == "log"
    medians = [line.get_xdata()[0] for line in ax.lines if line.get_marker() == "|"]
    assert medians == [2.0, 0.1]


def test_fooled_draws_both_experts_from_the_untouched_faces() -> None:
    figure = drawn.fooled({"attacked": [0.3, 0.5, 0.6], "other": [0.2, 0.2, 0.2]}, {"true sound": 0.6})
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    assert lines["attacked"].get_xdata().tolist() == [0, 1, 2]
    assert lines["other"].get_ydata().tolist() == [0.2, 0.2, 0.2]
    assert set(lines["true sound"].get_ydata()) == {0.6}
