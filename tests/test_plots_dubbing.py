"""Figures of dubbing show the numbers they are given."""

from __future__ import annotations

import matplotlib.colors as colors
import numpy as np

from tfg.plots import dubbing as drawn
from tfg.plots.style import LIPS, TRUTH


def test_a_window_is_as_long_as_it_is_and_begins_where_it_begins() -> None:
    middles, starts = np.array([0.02, 0.06]), np.array([-0.08, -0.04])
    (ax,) = drawn.hearing({"25 a second": (middles, starts)}, 0.2).axes
    ends = [segment[:, 0].tolist() for segment in ax.collections[0].get_segments()]
    np.testing.assert_allclose(ends, [[-0.08, 0.12], [-0.04, 0.16]])
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), middles)


def test_pictures_stand_at_their_times() -> None:
    (ax,) = drawn.order(np.array([0, 0.04, 0.08]), np.array([0, 1, 0])).axes
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), [[0, 0], [0.04, 1], [0.08, 0]])


def test_silence_is_shaded_over_mouth_and_sound() -> None:
    fig = drawn.openings({"before": np.ones(50), "dubbed": np.zeros(50)}, np.full(50, -60.0), 25, [(0.5, 1.0)])
    for ax in fig.axes:
        (shade,) = ax.patches
        assert (shade.get_x(), shade.get_width()) == (0.5, 0.5)
    assert fig.axes[0].lines[1].get_xdata()[-1] == 49 / 25


def test_stages_add_up_to_the_whole_in_lengths_of_the_film() -> None:
    (ax,) = drawn.stage_times({"track": 3.0, "generate": 6.0}, 2.0, 4).axes
    bars = [(bar.get_x(), bar.get_width()) for bar in ax.patches]
    assert bars == [(0, 1.5), (1.5, 3.0)]
    assert ax.get_xlim()[1] > 4.5


def test_each_film_is_a_dot_of_its_kind() -> None:
    fig = drawn.real_and_dubbed({"a": {"real": [1, 2, 3], "dubbed": [4, 5]}, "b": {"real": [0], "dubbed": [1]}})
    first = fig.axes[0]
    assert [line.get_ydata().tolist() for line in first.lines] == [[1, 2, 3], [4, 5]]
    assert [label.get_text() for label in first.get_xticklabels()] == ["real", "dubbed"]


def test_a_mark_that_was_missed_once_has_another_colour() -> None:
    (ax,) = drawn.mark_scores({"kept": [9.0, 7.0], "cropped": [9.0, 1.0]}, 6).axes
    dots = [line for line in ax.lines if line.get_marker() == "o"]
    assert [colors.to_hex(line.get_color()).upper() for line in dots] == [TRUTH.upper(), LIPS.upper()]
    assert dots[1].get_ydata().tolist() == [1, 1]
