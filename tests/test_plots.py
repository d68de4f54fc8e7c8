"""The figures of the book: what they are given is what they show, and every axis says what it is."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import numpy as np
import pytest

import tfg
from tfg.clip import Clip

pytest.importorskip("IPython")
from tfg.plots import show


@pytest.fixture
def clip() -> Clip:
    frames = np.random.default_rng(0).integers(0, 256, (10, 48, 64, 3), dtype=np.uint8)
    audio = np.sin(np.arange(6400) * 0.1).astype(np.float32) * 0.5
    return Clip(frames, audio)


def test_player_embeds_a_video_that_can_be_read_back_with_its_sound(clip: Clip, tmp_path: Path) -> None:
    page = show(clip, 'a "quoted" <caption>', width=32).data
    data = re.search(r"base64,([A-Za-z0-9+/=]+)", page)
    assert data is not None
    path = tmp_path / "embedded.mp4"
    path.write_bytes(base64.b64decode(data.group(1)))
    played = tfg.read_clip(path)
    assert (played.n_frames, played.width, played.height) == (10, 32, 24)
    assert np.corrcoef(played.audio[640:5000], clip.audio[640:5000])[0, 1] > 0.9


def test_player_names_its_content_for_those_who_do_not_see_it(clip: Clip) -> None:
    page = show(clip, 'a "quoted" <caption>').data
    assert 'aria-label="a &quot;quoted&quot; &lt;caption&gt;"' in page
    assert "<figcaption>a &quot;quoted&quot; &lt;caption&gt;</figcaption>" in page
    assert "controls" in page
    assert "autoplay" not in page
    assert 'aria-label="Video with sound, 0.4 seconds"' in show(clip).data
