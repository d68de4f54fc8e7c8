"""Figures of windows in the whole video show the data they are given."""

from __future__ import annotations

import numpy as np
import pytest

from tfg.plots import insertion as drawn
from tfg.plots.style import LIPS


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(0)


def test_generated_frames_are_framed_in_every_row(random: np.random.Generator) -> None:
    frames = random.integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
    figure = drawn.inserted_window({"frames": frames, "mouths": frames[..., 0]}, [7, 8, 9, 10], [8, 9])
    framed = [bool(ax.patches) for ax in figure.axes]
    assert framed == [False, True, True, False] * 2
    titles = {ax.get_title(loc="center"): ax.title.get_color() for ax in figure.axes[:4]}
    assert list(titles) == ["7", "8", "9", "10"]
    assert [colour == LIPS for colour in titles.values()] == [False, True, True, False]


def test_exact_zeros_are_marks_and_changes_are_lines() -> None:
    front = np.zeros(20)
    front[6:15] = 0.5
    figure = drawn.what_changes({"front": front, "features": np.full(20, 1e-3)}, [8], 5)
    above, below = figure.axes
    assert above.get_title(loc="left") == "front: 9 of 20 frames"
    assert len(above.collections[0].get_segments()) == 9
    np.testing.assert_array_equal(above.lines[0].get_xdata(), np.flatnonzero(front == 0))
    assert below.get_title(loc="left") == "features: 20 of 20 frames"
    assert len(below.lines[0].get_xdata()) == 0


def test_every_way_of_asking_has_a_bar_per_mouth() -> None:
    figure = drawn.filled_in({"alone": {"real": 0.5, "grey": 0.4}, "together": {"real": 0.6, "grey": 2.0}}, "loss")
    (ax,) = figure.axes
    assert [bar.get_height() for bar in ax.patches] == [0.5, 0.4, 0.6, 2.0]
    assert {"0.50", "2.00"} <= {text.get_text() for text in ax.texts}


def test_histograms_are_shares_and_means_are_marked(random: np.random.Generator) -> None:
    matching, off = random.uniform(0.3, 0.9, 50), random.uniform(-0.2, 0.3, 500)
    figure = drawn.window_alone({"whole clip": (matching, off)})
    (ax,) = figure.axes
    assert [patch.get_data().values.sum() for patch in ax.patches] == pytest.approx([100, 100])
    assert [line.get_xdata()[0] for line in ax.lines] == pytest.approx([off.mean(), matching.mean()])
