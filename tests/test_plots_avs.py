"""Figures of features and scores show the data they are given: curves, masks, bands, chance levels, same colours."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from tfg import plots
from tfg.datasets.examples import Label
from tfg.plots.avs import _runs
from tfg.plots.style import LIPS, SOUND, TRUTH

T = 40
LABELS = (Label("", 0.0, 0.4), Label("b", 0.4, 0.8), Label("aa", 0.8, 1.2), Label("b", 1.2, 1.6))


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(0)


def rectangles(ax: Any, colour: str, *, edge: bool = False) -> list[Rectangle]:
    patches = [patch for patch in ax.patches if isinstance(patch, Rectangle)]
    return [p for p in patches if (p.get_edgecolor() if edge else p.get_facecolor())[:3] == to_rgba(colour)[:3]]


def assert_complete(figure: Figure) -> None:
    """A title, and units on the axes that have a scale."""
    assert figure.axes
    assert any(ax.get_title(loc="left") for ax in figure.axes)
    scaled = [ax for ax in figure.axes if len(ax.get_yticks()) or ax.get_xlabel()]
    assert not scaled or any(ax.get_xlabel() for ax in scaled)


def test_runs_of_equal_values_and_of_true() -> None:
    assert _runs(np.array([3, 3, 1, 1, 1, 3])) == [(0, 2), (2, 5), (5, 6)]
    assert _runs(np.array([True, False, True, True])) == [(0, 1), (2, 4)]
    assert _runs(np.zeros(5, bool)) == []


def test_architecture_carries_every_measured_shape() -> None:
    names = ("sound", "lips", "resnet", "audio_front", "video_front", "fused", "projected", "encoder")
    shapes = {name: (70, 100 + i) for i, name in enumerate(names)}
    shown = {text.get_text() for text in plots.architecture(shapes).axes[0].texts}
    assert {f"70×{100 + i}" for i in range(len(names))} <= shown


def test_missing_modality_draws_one_curve_per_stand_in(random: np.random.Generator) -> None:
    curves = {
        "sound": {"zeros": random.uniform(0, 1, T), "black": random.uniform(0, 1, T)},
        "lips": {"silence": np.ones(T)},
    }
    figure = plots.missing_modality(curves)
    assert_complete(figure)
    assert [len(ax.lines) - 1 for ax in figure.axes] == [2, 1]  # and the line at 1
    np.testing.assert_array_equal(figure.axes[0].lines[1].get_ydata(), curves["sound"]["black"])


def test_labels_with_one_name_have_one_colour() -> None:
    names = [""] * 10 + ["b"] * 10 + ["aa"] * 10 + ["b"] * 10
    figure = plots.pseudo_labels(LABELS, {"sound alone": names, "lips alone": ["aa"] * T})
    assert_complete(figure)
    said = [patch.get_facecolor() for patch in figure.axes[0].patches]
    assert said[1] == said[3] != said[2] != said[0]
    image = figure.axes[1].images[0]
    for frame, colour in ((15, said[1]), (25, said[2]), (5, said[0])):
        np.testing.assert_allclose(image.cmap(image.get_array()[0, frame]), colour)


def test_swapped_frames_are_framed_and_hidden_sound_is_hatched(random: np.random.Generator) -> None:
    mouth = random.integers(0, 256, (T, 8, 8), dtype=np.uint8)
    hidden = np.zeros(T, bool)
    hidden[5:12] = True
    source = np.where(np.arange(T) < 20, (np.arange(T) + 20) % T, np.arange(T))
    figure = plots.masked_input(
        mouth, source, random.normal(size=(T, 104)).astype(np.float32), hidden, {"answer": np.arange(T) // 4}
    )
    assert_complete(figure)
    assert not rectangles(figure.axes[0], LIPS, edge=True)
    assert len(rectangles(figure.axes[1], LIPS, edge=True)) == 7  # pictures: frames 0, 3, 6, 8, 11, 14, 17 of 20
    (hatch,) = rectangles(figure.axes[2], SOUND, edge=True)
    assert (hatch.get_x(), hatch.get_width()) == (4.5, 7)


def test_similarity_matrix_puts_lips_across_and_sound_up(random: np.random.Generator) -> None:
    matrix = random.uniform(0, 1, (T, T))
    figure = plots.similarity_matrices({"a": matrix, "b": matrix.T})
    assert_complete(figure)
    assert "lips" in figure.axes[0].get_xlabel()
    assert "sound" in figure.axes[0].get_ylabel()
    np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), matrix)


def test_cosine_and_loss_are_drawn_as_measured(random: np.random.Generator) -> None:
    cosine = random.uniform(0.1, 1, T)
    figure = plots.cosine_and_loss(LABELS, cosine, random.uniform(-0.2, 0.2, T), -np.log(cosine))
    assert_complete(figure)
    np.testing.assert_array_equal(figure.axes[1].lines[1].get_ydata(), cosine)
    np.testing.assert_array_equal(figure.axes[2].lines[0].get_ydata(), -np.log(cosine))


def test_context_curve_shows_the_median(random: np.random.Generator) -> None:
    values = {"sound": random.uniform(0, 1, (3, 9)), "lips": random.uniform(0, 1, (3, 9))}
    figure = plots.context_curve([5, 11, 21], values)
    assert_complete(figure)
    np.testing.assert_allclose(figure.axes[0].lines[1].get_ydata(), np.median(values["lips"], axis=1))


def test_chance_bars_cover_both_kinds_of_mismatched_pairs() -> None:
    rotated, others = np.array([0.1, 0.3]), np.array([0.2, 0.5])
    rows = [plots.ClipScore("a", "known", 0.6, rotated, others), plots.ClipScore("b", "new", 0.2, rotated, others[:0])]
    (ax,) = plots.chance_by_clip(rows).axes
    spans = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in ax.patches]
    assert spans == [pytest.approx((0.1, 0.3)), pytest.approx((0.2, 0.5)), pytest.approx((0.1, 0.3))]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["a", "b"]
    assert {"known", "new"} <= {text.get_text() for text in ax.get_legend().get_texts()}


def test_delay_curves_show_both_scores_and_the_band(random: np.random.Generator) -> None:
    delays = np.arange(-15, 16)
    avs = random.uniform(0, 1, 31)
    figure = plots.delay_curves(delays, avs, np.array([0.1, 0.2]), {-15: 0.5, 0: 0.4, 15: 0.45}, 0.9)
    assert_complete(figure)
    top, bottom = figure.axes
    np.testing.assert_array_equal(top.lines[0].get_ydata(), avs)
    band = top.patches[0]
    assert (band.get_y(), band.get_y() + band.get_height()) == (0.1, pytest.approx(0.2))
    np.testing.assert_array_equal(bottom.lines[1].get_xdata(), [-15, 0, 15])


def test_steadiness_has_a_row_per_expert(random: np.random.Generator) -> None:
    course, true, wrong = random.uniform(0, 1, T), random.uniform(0, 1, 400), random.uniform(-1, 1, 4000)
    figure = plots.steadiness({"A": (course, true, wrong), "S": (course / 2, true, wrong)})
    assert_complete(figure)
    np.testing.assert_array_equal(figure.axes[2].lines[0].get_ydata(), course / 2)


def test_methods_are_compared_with_chance_and_ceiling() -> None:
    def clip(value: float) -> dict[str, Any]:
        return {
            "avs_u": value, "avs_u_chance": 0.1, "avs_u_reference": 0.6, "avs_v": value, "avs_v_chance": 0.2,
            "lse_d_unbiased": 1 - value, "avs_m": None,
        }  # fmt: skip

    figure = plots.compare_methods(
        {"frozen": [clip(0.1), clip(0.3)], "smeared": [clip(0.4), clip(0.5)]}, other_clips=0.25
    )
    assert_complete(figure)
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["AVS_u", "AVS_v", "LSE-D"], "None is left out"
    avs_u, avs_v, lse_d = figure.axes
    assert [bar.get_width() for bar in avs_u.patches] == pytest.approx([0.2, 0.45])
    colours = {ax: [line.get_color() for line in ax.lines] for ax in figure.axes}
    assert colours[avs_u].count(LIPS) == 3, "a chance level per method, and that of other clips"
    assert 0.25 in [line.get_xdata()[0] for line in avs_u.lines]
    assert TRUTH in colours[avs_u]
    assert TRUTH not in colours[avs_v], "only AVS_u has the real video's score"
    assert LIPS not in colours[lse_d], "LSE has no chance level"
