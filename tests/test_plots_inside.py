"""Figures of the chapter on AV-HuBERT's inside show the data they are given."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from tfg.datasets.examples import Label
from tfg.plots import inside, inside_training
from tfg.studies.hiding import SETTINGS

T = 30
STAGES = ["projected", "layer 1", "final norm"]


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(0)


def lines(ax: Any) -> dict[str, Any]:
    return {line.get_label(): line.get_ydata() for line in ax.lines}


def titles(figure: Figure) -> list[str]:
    return [ax.get_title(loc="left") for ax in figure.axes if ax.get_title(loc="left")]


def test_exact_zeros_of_an_impulse_are_not_drawn() -> None:
    band = np.where(np.abs(np.subtract.outer(np.arange(T), np.arange(T))) <= 2, 0.5, 0.0)
    figure = inside.impulse({"ResNet": band, "network": np.full((T, T), 1e-5)})
    assert titles(figure) == ["ResNet", "network"]
    shown = figure.axes[0].images[0].get_array()
    np.testing.assert_array_equal(np.ma.getmaskarray(shown) | ~np.isfinite(shown.filled(np.nan)), band == 0)


def test_a_row_of_the_first_layer_has_its_filter_and_its_answers(random: np.random.Generator) -> None:
    filters = {"a": random.normal(size=(5, 7, 7)), "b": random.normal(size=(5, 7, 7))}
    maps = {name: random.normal(size=(8, 11, 11)) for name in filters}
    figure = inside.first_layer(random.normal(size=(8, 44, 44)), filters, maps, first=20)
    images = [ax.images[0].get_array() for ax in figure.axes if ax.images]
    assert len(images) == 8 + 2 * (5 + 8)
    np.testing.assert_array_equal(images[8 + 13], filters["b"][0])
    np.testing.assert_array_equal(images[-1], maps["b"][-1])


def test_maps_over_the_mouth_cover_it(random: np.random.Generator) -> None:
    figure = inside.where_it_looks(np.zeros((88, 88)), random.uniform(size=(7, 7)), random.uniform(size=(88, 88)))
    extents = {tuple(image.get_extent()) for ax in figure.axes for image in ax.images if ax.get_title(loc="left")}
    assert extents == {(0, 88, 88, 0)}


def test_sound_patterns_and_fused_vectors_keep_their_axes(random: np.random.Generator) -> None:
    patterns = random.normal(size=(8, 4, 26))
    figure = inside.sound_patterns(random.normal(size=(10, 104)), patterns, np.linspace(0.2, 0.05, 8))
    np.testing.assert_array_equal(figure.axes[3].images[0].get_array(), patterns[2].T)
    values = random.normal(size=(T, 64))
    figure = inside.fused_vectors({"both": values, "sound alone": values})
    np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), values.T)


def test_clouds_have_one_colour_by_modality_and_one_by_opening(random: np.random.Generator) -> None:
    points = random.normal(size=(50, 2)), random.normal(size=(50, 2))
    opening = random.uniform(size=50)
    figure = inside.two_clouds({"before": points, "after": points}, opening)
    np.testing.assert_allclose(figure.axes[2].collections[1].get_array(), opening)
    np.testing.assert_allclose(figure.axes[1].collections[0].get_offsets(), points[0])


def test_alignment_and_probes_draw_every_curve() -> None:
    same, chance = np.array([0.2, 0.5, 0.6]), np.array([0.1, 0.2, 0.3])
    figure = inside.alignment_by_stage(STAGES, {"one": (same, chance), "two": (chance, same)})
    np.testing.assert_array_equal(lines(figure.axes[1])["same frame"], chance)
    scores = {"viseme": {"a": same, "v": chance, "av": same}, "opening": {"a": chance, "v": same, "av": same}}
    figure = inside.probes(STAGES, scores, {"viseme": 0.15, "opening": 0.0})
    np.testing.assert_array_equal(lines(figure.axes[1])["sound alone"], chance)
    assert lines(figure.axes[0])["without features"][0] == 0.15


def test_the_large_map_is_the_head_that_was_asked_for(random: np.random.Generator) -> None:
    maps = random.dirichlet(np.ones(T), size=(2, 3, T))
    figure = inside.attention_maps(maps, 1, 2, (Label("b", 0.2, 0.4), Label("", 0.4, 0.8), Label("aa", 0.8, 1.0)))
    large = next(ax for ax in figure.axes if ax.get_title(loc="left") == "layer 2, head 3")
    np.testing.assert_allclose(large.images[0].get_array(), maps[1, 2] * T)
    assert [label.get_text() for label in large.get_xticklabels()] == ["b", "aa"]
    np.testing.assert_allclose(large.get_xticks(), [0.3 * 25 - 0.5, 0.9 * 25 - 0.5])


def test_reach_centres_the_convolution(random: np.random.Generator) -> None:
    figure = inside.reach(np.arange(-5, 6), {"layer 1": np.ones(11)}, random.uniform(size=8))
    centres = [bar.get_x() + bar.get_width() / 2 for bar in figure.axes[0].patches]
    np.testing.assert_allclose(centres, np.arange(-4, 4))


def test_clusters_are_sorted_by_their_commonest_phone() -> None:
    counts = np.array([[0, 1, 9], [8, 2, 0], [1, 5, 1]])
    image = inside_training.clusters_and_phones(counts, ["a", "b", "c"], "t").axes[0].images[0].get_array()
    assert image.argmax(axis=0).tolist() == [0, 1, 2]
    np.testing.assert_allclose(image.sum(axis=0), 1)


def test_filled_in_says_the_mean_of_each_curve() -> None:
    curves = {"sound": np.array([0.2, 0.4]), "lips": np.array([0.6, 0.8])}
    shown = lines(inside_training.filled_in(curves, 0.05).axes[0])
    assert "sound: 0.30" in shown
    np.testing.assert_array_equal(shown["lips: 0.70"], curves["lips"])


def test_learning_curve_breaks_between_iterations() -> None:
    keys = ("loss", "accuracy", "auc_5", "auc_2", "offset_within_1", "cosine", "cosine_chance")
    steps, iterations = (100, 200, 300, 400, 500), (0, 0, 1, 1, 1)
    curve = [
        {"steps": s, "iteration": i, "step": s, **dict.fromkeys(keys, s / 500)}
        for s, i in zip(steps, iterations, strict=True)
    ]
    figure = inside_training.learning_curve(curve)
    drawn = [line.get_xdata().tolist() for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert drawn == [[100, 200], [300, 400, 500]], "a loss on other labels is another loss"
    assert len(lines(figure.axes[2])["AUC, 5 to 15 frames off"]) == 5


def test_hiding_draws_every_setting_and_no_loss_before_the_first_step() -> None:
    points = [
        {"step": 0.0, "loss": None, "auc_5": 0.5, "cosine": 0.1, "cosine_chance": 0.1},
        {"step": 40.0, "loss": 2.0, "auc_5": 0.7, "cosine": 0.3, "cosine_chance": 0.1},
    ]
    figure = inside_training.hiding(dict.fromkeys(SETTINGS, points), "hidden")
    loss, gap, auc = (lines(ax)["spans"] for ax in figure.axes[:3])
    assert math.isnan(loss[0])
    np.testing.assert_allclose(gap, [0, 0.2])
    np.testing.assert_allclose(auc, [0.5, 0.7])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(SETTINGS)
