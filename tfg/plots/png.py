"""A figure in a notebook, as a PNG with a palette: a third of the size of matplotlib's, and nobody sees the difference.

Lines and letters need few colours: their own and the shades at their edges. A colour map needs more, up to the 256 of a
palette. Photographs need thousands: they go through :func:`tfg.plots.photo.photo`.
"""

from __future__ import annotations

import io

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

PALETTES = 32, 48, 64, 96, 128, 192, 256  # numbers of colours, tried in turn
#: Colours suffice if they are off by no more than this, in levels of 255: root mean square over all pixels; all but a
#: thousandth of them (edges of letters); and all but a thousandth of those with a neighbourhood of one colour (areas).
MEAN_ERROR, EDGE_ERROR, AREA_ERROR = 1.3, 12, 4


def use_in_notebook() -> None:
    """Let the running notebook, if there is one, embed every figure as :func:`png` has it."""
    try:
        from IPython import get_ipython
    except ImportError:
        return
    if (shell := get_ipython()) is not None and shell.display_formatter is not None:
        shell.display_formatter.formatters["image/png"].for_type(Figure, png)


def png(figure: Figure) -> bytes | None:
    """The figure as a small PNG file, cut to what is drawn; none of a figure without axes."""
    from IPython.core.pylabtools import print_figure

    drawn = print_figure(figure)
    return None if drawn is None else with_palette(drawn)


def with_palette(picture: bytes) -> bytes:
    """A PNG file of the same look, with as few colours as that takes.

    :param picture: an opaque picture, as a file that Pillow reads. 256 colours are used where even they are too few.
    """
    with Image.open(io.BytesIO(picture)) as opened:
        dpi, full = opened.info.get("dpi"), opened.convert("RGB")
    pixels = np.asarray(full, np.int16)
    areas = _areas(pixels)
    for colours in PALETTES:
        small = _reduced(full, colours, Image.Quantize.MAXCOVERAGE)
        if _alike(_error(pixels, small), areas):
            break
    else:  # the other method keeps large areas better, and small coloured things worse
        other = _reduced(full, PALETTES[-1], Image.Quantize.MEDIANCUT)
        small = min(small, other, key=lambda each: float(np.square(_error(pixels, each), dtype=float).mean()))
    data = io.BytesIO()
    small.save(data, format="PNG", optimize=True, **({} if dpi is None else {"dpi": dpi}))
    return data.getvalue()


def _reduced(full: Image.Image, colours: int, method: Image.Quantize) -> Image.Image:
    return full.quantize(colours, method, kmeans=1, dither=Image.Dither.NONE)


def _error(pixels: NDArray[np.int16], small: Image.Image) -> NDArray[np.int16]:
    error: NDArray[np.int16] = np.abs(pixels - np.asarray(small.convert("RGB"), np.int16)).max(axis=2)
    return error


def _alike(error: NDArray[np.int16], areas: NDArray[np.bool_]) -> bool:
    mean = np.sqrt(np.square(error, dtype=float).mean())
    shifted = (error > AREA_ERROR) & areas
    return bool(mean <= MEAN_ERROR and (error > EDGE_ERROR).mean() <= 0.001 and shifted.sum() <= 0.001 * areas.sum())


def _areas(pixels: NDArray[np.int16]) -> NDArray[np.bool_]:
    """Which pixels have the colour of all their four neighbours."""
    same = np.ones(pixels.shape[:2], bool)
    for axis in (0, 1):
        equal = (np.diff(pixels, axis=axis) == 0).all(axis=2)
        for side in (slice(1, None), slice(None, -1)):
            same[(side, slice(None)) if axis == 0 else (slice(None), side)] &= equal
    return same
