"""How steady is an expert where it should be: on pairs of lips and sound that belong together?"""

from __future__ import annotations

from tfg.stability.cosines import FLOOR, frames_seen, matching_cosines, off_cosines, sync_loss, window_means
from tfg.stability.statistics import Separation, describe_cosines, describe_losses, separation, tail_index

__all__ = [
    "FLOOR",
    "Separation",
    "describe_cosines",
    "describe_losses",
    "frames_seen",
    "matching_cosines",
    "off_cosines",
    "separation",
    "sync_loss",
    "tail_index",
    "window_means",
]
