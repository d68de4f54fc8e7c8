"""Figures of a study show the numbers they are given."""

from __future__ import annotations

import matplotlib.colors as colors
import numpy as np

from tfg.plots import rating
from tfg.plots.style import LIPS, SOUND


def test_every_count_is_written_in_its_cell() -> None:
    tables = {"planned": np.array([[2, 2], [2, 3]]), "drawn": np.array([[0, 4], [1, 4]])}
    fig = rating.visits(tables, ["a / b", "a / c"], ["anna", "ben"])
    for ax, (title, table) in zip(fig.axes, tables.items(), strict=True):
        assert ax.get_title(loc="left") == title
        assert [int(text.get_text()) for text in ax.texts] == table.ravel().tolist()
        assert ax.images[0].get_clim() == (0, 4), "one scale, or panels could not be compared"


def test_raters_stand_in_the_order_of_their_medians_and_failures_in_another_colour() -> None:
    fig = rating.trial_times({"SLOW": [30.0, 40.0, 50.0], "FAST": [3.0, 4.0, 5.0]}, failed={"FAST"})
    dots = [line for line in fig.axes[0].lines if line.get_marker() == "o"]
    assert [list(line.get_xdata()) for line in dots] == [[3, 4, 5], [30, 40, 50]]
    assert [line.get_ydata()[0] for line in dots] == [0, 1]
    assert [colors.to_hex(line.get_color()).upper() for line in dots] == [LIPS.upper(), SOUND.upper()]
