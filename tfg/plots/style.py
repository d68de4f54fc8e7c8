"""How the book's figures look: one palette that colour-blind readers can tell apart, one way to make a figure."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from tfg.plots.png import use_in_notebook

DPI = 80  # of every figure: sharp enough in a page column, small enough for a repository

#: Okabe and Ito's palette; SOUND and LIPS keep their colour through the book.
SOUND, LIPS, TRUTH, ACCENT, MUTED = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#777777"
COLOURS = (SOUND, LIPS, TRUTH, ACCENT, "#E69F00", "#56B4E9")

_STYLE: Any = {
    "axes.grid": True,
    "axes.prop_cycle": plt.cycler(color=COLOURS),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "font.size": 10,
    "grid.alpha": 0.3,
    "image.interpolation": "nearest",
    "legend.frameon": False,
}


@contextmanager
def figure(
    rows: int = 1, columns: int = 1, *, size: tuple[float, float], **layout: Any
) -> Iterator[tuple[Figure, Any]]:
    """A figure in the book's style, with its axes as :func:`matplotlib.pyplot.subplots` gives them.

        with figure(size=(7, 3)) as (fig, axes):
            axes.plot(...)
        return fig

    The figure is closed for pyplot on leaving, so that a notebook shows it once: as the cell's value, a small PNG.

    :param size: width and height in inches.
    :param layout: further parameters of ``subplots``, such as ``sharex``.
    """
    with plt.rc_context(_STYLE):
        fig, axes = plt.subplots(rows, columns, figsize=size, dpi=DPI, layout="constrained", **layout)
        use_in_notebook()  # after pyplot has set up the notebook's backend, which says how figures are embedded
        try:
            yield fig, axes
            fig.canvas.draw()  # ticks are made when drawn: make them in this style
        finally:
            plt.close(fig)


def image_axes(ax: Any, title: str) -> None:
    """Axes that hold a picture: no grid, no frame, no ticks."""
    ax.set_title(title)
    ax.grid(False)
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(False)
