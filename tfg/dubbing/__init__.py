"""A face made to say what is heard: a video or a picture and a sound in, a marked film out."""

from __future__ import annotations

from tfg.dubbing.mark import MarkFound, detect_mark
from tfg.dubbing.pipeline import DubReport, dub

__all__ = ["DubReport", "MarkFound", "detect_mark", "dub"]
