"""The study of mouth motion measures what its docstring says, and the page's file is what it writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tfg import results
from tfg.clip import Clip
from tfg.datasets import studio
from tfg.faces import FaceTrack
from tfg.studies.mouths import STUDIO, motion
from tfg.studies.setup import KNOWN, UNSEEN

FILE = Path(__file__).resolve().parent.parent / "book" / "results" / "mouths.json"


def test_motion_of_a_mouth_that_opens_with_the_sound() -> None:
    n = 50
    opening = 10 * (1 + np.sin(np.arange(n)))  # pixels
    points = np.zeros((n, 68, 2), np.float32)
    points[:, 45, 0] = 100  # outer eye corners 100 pixels apart
    points[:, 66, 1] = opening
    points[..., 0] += 2 * np.arange(n)[:, None]  # the head moves 2 pixels a frame: half a distance a second
    level = np.repeat(0.01 + 0.02 * opening, 640)
    audio = (level * np.sign(np.sin(np.arange(640 * n)))).astype(np.float32)
    found = motion(Clip(np.zeros((n, 8, 8, 3), np.uint8), audio), FaceTrack(0, n, points, np.ones(n, bool)))
    assert found["head"] == pytest.approx(0.5, rel=1e-3)
    assert found["widest"] == pytest.approx(np.percentile(opening, 95) / 100, rel=1e-3)
    assert found["speed"] == pytest.approx(np.abs(np.diff(opening)).mean() * 25 / np.percentile(opening, 95), rel=1e-3)
    assert found["loudness"] > 0.9


def test_the_file_holds_a_row_for_each_clip() -> None:
    found = results.read(FILE)
    figures, used = found["figures"], found["provenance"]["data"]
    assert {part: len(rows) for part, rows in figures.items()} == used
    assert set(figures) == {STUDIO, KNOWN, UNSEEN}
    assert len(figures[STUDIO]) == len([n for n in studio.names() if not n.startswith("portrait")])
