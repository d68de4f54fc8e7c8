"""Every figure of the book: functions that take measured data and return a matplotlib figure, and a video player."""

from __future__ import annotations

from tfg.plots.player import show

__all__ = [
    "show",
]
