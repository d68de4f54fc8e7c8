"""The clip: it checks itself, and its pictures and sound stay together."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from synthetic_media import clip_of, lag

from tfg.errors import MediaError


def test_a_clip_shows_itself_in_one_line() -> None:
    assert repr(clip_of(50, source="a.mp4")) == "Clip('a.mp4', 50 frames of 160x48, 2.00 s)"


def test_a_clip_checks_itself_when_made_and_when_replaced() -> None:
    clip = clip_of(3)
    assert dataclasses.replace(clip, source="x").source == "x"
    bad: list[tuple[dict[str, Any], str]] = [
        ({"frames": clip.frames.astype(np.float32)}, r"float32 \(3, 48, 160, 3\); expected a uint8"),
        ({"frames": clip.frames[..., 0]}, r"expected a uint8 array \(T, H, W, 3\)"),
        ({"frames": clip.frames[:0], "audio": clip.audio[:0]}, "at least one frame"),
        ({"audio": clip.audio.astype(np.float64)}, "float64"),
        ({"audio": clip.audio[:-1]}, "1919 samples for 3 frames; expected 1920"),
        ({"audio": clip.audio * 32768}, r"expected finite samples in \[-1, 1\]"),
        ({"audio": np.full_like(clip.audio, np.nan)}, "peaks at nan"),
        ({"audio": list(clip.audio)}, "list"),
        ({"fps": 30.0}, "expected 25"),
        ({"sample_rate": 44_100}, "16000"),
    ]
    for change, message in bad:
        with pytest.raises(MediaError, match=message):
            dataclasses.replace(clip, **change)


def test_trim_takes_frames_with_their_sound() -> None:
    clip = clip_of(10)
    part = clip.trim(2, 7)
    np.testing.assert_array_equal(part.frames, clip.frames[2:7])
    np.testing.assert_array_equal(part.audio, clip.audio[1280:4480])
    for start, stop in [(3, 3), (-2, 5), (0, 11)]:
        with pytest.raises(MediaError, match=r"expected 0 <= start < stop <= 10"):
            clip.trim(start, stop)


def test_delay_audio_positive_makes_the_sound_late() -> None:
    clip = clip_of(50)
    late, early = clip.delay_audio(3), clip.delay_audio(-3)
    assert lag(late.audio, clip.audio) == 3 * 640
    assert lag(early.audio, clip.audio) == -3 * 640
    assert not late.audio[:1920].any()
    assert not early.audio[-1920:].any()
    assert len(late.audio) == len(clip.audio)
    assert late.frames is clip.frames
    assert not clip.delay_audio(60).audio.any()
    assert not clip.delay_audio(-60).audio.any()
    np.testing.assert_array_equal(clip.delay_audio(0).audio, clip.audio)
    np.testing.assert_array_equal(clip.delay_audio(0.5).audio[320:], clip.audio[:-320])
    with pytest.raises(MediaError, match="expected a number"):
        clip.delay_audio(float("nan"))
