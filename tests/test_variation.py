"""Varied training clips: who seems to speak changes, what is said does not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tiny_experts as tiny

from tfg.crops import STABLE_POINTS
from tfg.generator import Generator
from tfg.training.variation import NONE, Variation, mirrored, varied

ALL = Variation(mirror=True, shift=0.06, scale=0.1, stretch=0.1, gamma=0.5, tint=0.2)


def test_no_variation_changes_nothing() -> None:
    clip, track = tiny.clip(12), tiny.track(0, 12)
    same, follows, boxes = varied(clip, track, Generator(), NONE, np.random.default_rng(3))
    assert same is clip
    assert follows is track
    np.testing.assert_allclose(boxes, Generator.boxes(track), atol=1e-9)
    assert not NONE
    assert ALL


def test_a_mirror_image_is_tracked_as_one() -> None:
    """Pictures and landmarks are turned together: a mark under each point is under the point that took its place."""
    track = tiny.track(0, 1)
    points = np.arange(68)[None, :, None] * np.array([1, 0]) + np.array([3, 5])  # 68 places side by side
    track = replace(track, landmarks=points.astype(np.float32))
    frames = np.zeros((1, 20, 90, 3), np.uint8)
    frames[0, 5, 3:71, 0] = np.arange(68) + 1
    clip = replace(tiny.clip(1), frames=frames)
    turned, follows = mirrored(clip, track)
    x, y = follows.landmarks[0].astype(int).T
    under = turned.frames[0, y, x, 0].astype(int) - 1
    assert sorted(under) == list(range(68))
    assert under[[0, 8, 36, 39, 48, 60, 62]].tolist() == [16, 8, 45, 42, 54, 64, 62]
    there, back = mirrored(turned, follows)
    np.testing.assert_array_equal(there.frames, clip.frames)
    np.testing.assert_array_equal(back.landmarks, track.landmarks)


def test_the_eyes_keep_their_sides_in_a_mirror() -> None:
    """Point 36 is the corner of the eye that is on the left of the picture, before and after."""
    clip, track = tiny.clip(4), tiny.track(0, 4)
    left, right = STABLE_POINTS[1], STABLE_POINTS[4]
    for landmarks in (track.landmarks, mirrored(clip, track)[1].landmarks):
        assert (landmarks[:, left, 0] < landmarks[:, right, 0]).all()


@pytest.mark.parametrize("seed", range(6))
def test_one_draw_serves_the_whole_clip(seed: int) -> None:
    clip, track = tiny.clip(12), tiny.track(0, 12)
    still = replace(clip, frames=np.repeat(clip.frames[:1], 12, axis=0))
    track = replace(track, landmarks=np.repeat(track.landmarks[:1], 12, axis=0))
    made, follows, boxes = varied(still, track, Generator(), ALL, np.random.default_rng(seed))
    assert (made.frames == made.frames[:1]).all()
    assert (made.frames != still.frames).any()
    np.testing.assert_allclose(boxes - boxes[:1], 0, atol=1e-9)
    np.testing.assert_array_equal(made.audio, clip.audio)
    drawn = Generator.boxes(follows)
    side = drawn[0, 3] - drawn[0, 1]
    moved = np.abs((boxes[0, :2] + boxes[0, 2:]) / 2 - (drawn[0, :2] + drawn[0, 2:]) / 2)
    assert (moved <= ALL.shift * side + 1e-9).all()
    assert 0.9 <= (boxes[0, 3] - boxes[0, 1]) / side <= 1.1
