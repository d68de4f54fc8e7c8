"""Figures as small PNGs: what they show is kept, and a notebook gets them without being asked."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

pytest.importorskip("IPython")
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.pylabtools import print_figure

from tfg.plots.png import png, with_palette
from tfg.plots.style import figure


def read(picture: Any) -> tuple[str, np.ndarray]:
    with Image.open(io.BytesIO(picture)) as opened:
        return opened.mode, np.asarray(opened.convert("RGB"), int)


@pytest.fixture
def drawn() -> Figure:
    """Lines, letters, and two pale areas that overlap."""
    with figure(size=(5, 3)) as (fig, ax):
        ax.plot(np.sin(np.arange(50)), label="sine")
        ax.fill_between(range(50), 0.5, color="#E69F00", alpha=0.12)
        ax.fill_between(range(25), 0.9, color="#CC79A7", alpha=0.12)
        ax.set_title("A title")
        ax.legend()
    return fig


def test_picture_of_lines_is_a_third_of_matplotlibs_and_looks_the_same(drawn: Figure) -> None:
    full, small = print_figure(drawn), png(drawn)
    assert small is not None
    assert len(small) < 0.4 * len(full)
    mode, pixels = read(small)
    assert mode == "P"
    error = np.abs(pixels - read(full)[1]).max(axis=2)
    assert np.percentile(error, 99.9) <= 12
    assert (pixels[0, 0] == 255).all()


def test_pale_areas_keep_their_colour_where_thousands_of_colours_compete() -> None:
    random = np.random.default_rng(0)
    pixels = np.full((200, 300, 3), 255, np.uint8)
    pixels[:100, :100], pixels[:100, 100:200] = (251, 241, 224), (250, 236, 228)
    pixels[150:] = random.integers(0, 256, (50, 300, 3))
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG")
    mode, small = read(with_palette(file.getvalue()))
    assert mode == "P"
    assert np.abs(small[:150] - pixels[:150]).max() <= 6


def test_grey_levels_and_the_resolution_are_kept() -> None:
    pixels = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, axis=2).repeat(4, axis=0)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG", dpi=(80, 80))
    picture = with_palette(file.getvalue())
    assert np.abs(read(picture)[1] - pixels).max() <= 4
    with Image.open(io.BytesIO(picture)) as opened:
        assert opened.info["dpi"] == pytest.approx((80, 80), abs=0.1)


def test_notebook_embeds_figures_so() -> None:
    shell = InteractiveShell.instance()
    try:
        with figure(size=(2, 2)) as (fig, ax):
            ax.plot([1, 2])
        data, _ = shell.display_formatter.format(fig)
    finally:
        InteractiveShell.clear_instance()
    assert read(data["image/png"])[0] == "P"
    assert data["text/plain"] == "<Figure size 160x160 with 1 Axes>"
