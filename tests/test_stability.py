"""Cosines, losses and spreads of matching pairs: both experts on one footing, statistics with known answers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tiny_experts
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tfg import stability
from tfg.crops import mouth_transforms, mouth_video
from tfg.datasets import studio
from tfg.errors import FeatureError, MetricError
from tfg.experts.expert import AVHubertExpert, SyncNetExpert, load_expert
from tfg.faces import track_face
from tfg.metrics import cosine_similarity
from tfg.stability import context, gradients
from tfg.warps import warp


def test_window_of_both_experts_covers_the_same_frames() -> None:
    clip, track = tiny_experts.clip(30), tiny_experts.track(0, 30)
    hubert = AVHubertExpert(tiny_experts.hubert(), "a")
    syncnet = SyncNetExpert(tiny_experts.syncnet(), "s")
    audio, video = hubert.clip_features(clip, track)
    found = stability.matching_cosines(hubert, clip, track)
    assert found.shape == (26,)
    np.testing.assert_allclose(found[3], cosine_similarity(audio, video)[3:8].mean(), atol=1e-6)
    audio, video = syncnet.clip_features(clip, track)
    np.testing.assert_allclose(
        stability.matching_cosines(syncnet, clip, track), cosine_similarity(audio, video), atol=1e-6
    )
    assert len(stability.matching_cosines(hubert, clip, track, window=25)) == 6
    assert len(stability.matching_cosines(syncnet, clip, track, window=25)) == 5  # SyncNet has one window fewer
    assert len(stability.matching_cosines(syncnet, clip, track, window=None)) == 1


@pytest.mark.parametrize(("seen", "window"), [(5, 4), (1, 0), (1, 11), (5, 15)])
def test_window_that_an_expert_cannot_give_is_refused(seen: int, window: int) -> None:
    with pytest.raises(FeatureError, match=f"window is {window}"):
        stability.window_means(np.zeros(10, np.float32), seen, window)


@given(arrays(np.float32, st.integers(1, 40), elements=st.floats(-1, 1, width=32)), st.integers(1, 40))
def test_longer_windows_never_spread_more_than_their_values(values: np.ndarray, window: int) -> None:
    window = min(window, len(values))
    means = stability.window_means(values, 1, window)
    assert len(means) == len(values) - window + 1
    assert values.min() - 1e-6 <= means.min() <= means.max() <= values.max() + 1e-6


def test_off_pairs_are_5_to_15_frames_apart() -> None:
    frames = 40
    identity = np.eye(frames, dtype=np.float32)
    for apart in (0, 4, 5, 15, 16):
        lips = np.roll(identity, apart, axis=1)  # row t of the lips is like row t + apart of the sound
        assert (stability.off_cosines(identity, lips, 1, 1).max() == 1) == (5 <= apart <= 15)
    with pytest.raises(FeatureError, match="longer clip"):
        stability.off_cosines(identity[:8], identity[:8], 1, 5)


def test_loss_of_negative_and_zero_cosines_is_the_floors() -> None:
    found = stability.sync_loss(np.array([1.0, np.exp(-1), 0.0, -0.5]), floor=1e-3)
    np.testing.assert_allclose(found, [0, 1, -np.log(1e-3), -np.log(1e-3)], atol=1e-6)


def test_statistics_of_known_distributions() -> None:
    random = np.random.default_rng(0)
    exponential = stability.describe_losses(random.exponential(1, 200_000))
    assert exponential["cv"] == pytest.approx(1, abs=0.02)
    assert exponential["excess_kurtosis"] == pytest.approx(6, abs=0.6)
    assert exponential["worst_tenth"] == pytest.approx(0.1 * (1 + np.log(10)), abs=0.01)
    assert stability.tail_index(random.pareto(1.5, 200_000) + 1) == pytest.approx(1.5, abs=0.1)
    cosines = stability.describe_cosines(np.array([-0.2, 0.0, 0.05, 0.15] * 5))
    assert cosines["share_nonpositive"] == 0.5
    assert cosines["share_near_zero"] == 0.75
    assert np.isnan(cosines["pull_index"])  # ten positive cosines are too few for a tail


def test_uniform_cosines_make_a_pull_of_infinite_mean() -> None:
    uniform = np.random.default_rng(0).uniform(0, 1, 100_000)
    assert stability.describe_cosines(uniform)["pull_index"] == pytest.approx(1, abs=0.1)
    assert stability.describe_cosines(0.5 + uniform / 2)["pull_index"] > 10


@settings(max_examples=10, deadline=None)
@given(scale=st.floats(0.1, 10), shift=st.floats(-1, 1))
def test_separation_does_not_depend_on_the_scale_of_the_cosine(scale: float, shift: float) -> None:
    random = np.random.default_rng(1)
    matching, off = random.normal(1, 1, 500), random.normal(0, 1, 700)
    first = stability.separation(matching, off)
    second = stability.separation(scale * matching + shift, scale * off + shift)
    assert first.d_prime == pytest.approx(1, abs=0.2)
    assert second.d_prime == pytest.approx(first.d_prime, rel=1e-6)
    assert second.auc == pytest.approx(first.auc, abs=1e-9)


def test_values_that_are_not_there_are_refused() -> None:
    with pytest.raises(MetricError, match="1 of them not finite"):
        stability.describe_losses(np.array([1.0, np.nan]))


def test_network_given_the_whole_clip_agrees_with_averaging() -> None:
    """A window as long as the clip is the whole clip: both ways to use context must give one number."""
    clip, track = tiny_experts.clip(40), tiny_experts.track(0, 40)
    expert = AVHubertExpert(tiny_experts.hubert(), "a")
    fbank, mouth = expert.inputs(clip, track)
    audio, video = expert.encode(audio=fbank), expert.encode(mouth=mouth)
    lips = torch.from_numpy(mouth_video(mouth))
    given = context.restricted(expert, fbank, lips, 25)
    assert given.matching.shape == (4,)  # windows begin 5 frames apart
    by_hand = cosine_similarity(expert.encode(audio=fbank[5:30]), expert.encode(mouth=mouth[5:30])).mean()
    np.testing.assert_allclose(given.matching[1], by_hand, atol=1e-5)
    mean = context.averaged(audio, video, 1, 25)
    assert mean.matching.shape == (16,)
    assert not np.allclose(mean.matching[::5], given.matching, atol=1e-6), "context changes features"
    with pytest.raises(FeatureError, match="at least 41"):
        context.restricted(expert, fbank, lips, 36)


def test_sound_off_by_five_frames_is_what_restricted_pairs_see() -> None:
    expert = AVHubertExpert(tiny_experts.hubert(), "a")
    clip, track = tiny_experts.clip(16), tiny_experts.track(0, 16)
    fbank, mouth = expert.inputs(clip, track)
    found = context.restricted(expert, fbank, torch.from_numpy(mouth_video(mouth)), 1)
    assert len(found.matching) == 16
    assert len(found.off) == sum(5 <= abs(i - j) <= 15 for i in range(16) for j in range(16))


# ---- gradients ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["syncnet", "avhubert"])
def expert(request: pytest.FixtureRequest) -> AVHubertExpert | SyncNetExpert:
    if request.param == "syncnet":
        return SyncNetExpert(tiny_experts.syncnet(rectified=False), "s")
    return AVHubertExpert(tiny_experts.hubert(), "a")


@pytest.mark.parametrize("name", ["syncnet-mini", "avhubert-mini"])
def test_gradient_foretells_what_a_change_of_the_video_does_to_the_loss(name: str) -> None:
    """The mouth is painted lighter and darker in the frames themselves, which are then cropped and scored as ever."""
    expert, clip = load_expert(name), studio.read("ben-map").trim(10, 35)
    track = track_face(clip)
    found = gradients.mouth_gradients(expert, clip, track, [8])
    np.testing.assert_allclose(found.cosines, stability.matching_cosines(expert, clip, track)[[8]], atol=2e-6)
    change = 6 * found.gradients[0, 2] / np.abs(found.gradients[0, 2]).max()  # at most 6 grey levels, one frame
    foretold = 2 * (found.gradients[0, 2] * change).sum() / 255
    to_patch = np.vstack([mouth_transforms(track)[10], (0, 0, 1)])
    to_patch[:2, 2] -= 4
    paint = warp(gradients.bumps(torch.from_numpy(change)[None])[0, 0].numpy(), np.linalg.inv(to_patch)[:2], clip.width)
    losses = []
    for sign in (1, -1):
        frames = clip.frames.astype(int)
        frames[10] += np.round(sign * paint).astype(int)[..., None]
        changed = replace(clip, frames=frames.clip(0, 255).astype(np.uint8))
        losses.append(stability.sync_loss(stability.matching_cosines(expert, changed, track)[8]))
    assert abs(losses[0] - losses[1]) > 1e-3, "the change must be seen"
    assert foretold == pytest.approx(losses[0] - losses[1], rel=0.25)


def test_windows_do_not_disturb_each_others_gradients(expert: AVHubertExpert | SyncNetExpert) -> None:
    clip, track = tiny_experts.clip(40), tiny_experts.track(0, 40)
    starts = [3, 4, 12, 13, 30]
    together = gradients.mouth_gradients(expert, clip, track, starts)
    for i, start in enumerate(starts):
        alone = gradients.mouth_gradients(expert, clip, track, [start])
        np.testing.assert_allclose(together.gradients[i], alone.gradients[0], rtol=1e-3, atol=1e-7)
        np.testing.assert_allclose(together.cosines[i], alone.cosines[0], atol=1e-6)


def test_late_sound_is_compared_with_later_lips(expert: AVHubertExpert | SyncNetExpert) -> None:
    clip, track = tiny_experts.clip(40), tiny_experts.track(0, 40)
    audio, video = expert.clip_features(clip, track)
    expected = stability.window_means(cosine_similarity(audio[:-7], video[7:]), stability.frames_seen(expert), 5)[
        10 - 7
    ]
    found = gradients.mouth_gradients(expert, clip, track, [10], late=7)
    np.testing.assert_allclose(found.cosines, [expected], atol=1e-6)
    with pytest.raises(FeatureError, match="7 earlier"):
        gradients.mouth_gradients(expert, clip, track, [6], late=7)


def test_nudge_is_undone_in_the_patch_and_agreement_measures_direction() -> None:
    track = tiny_experts.track(0, 20)
    moved = gradients.nudged(track, 10, 0)
    width = np.diff(track.boxes[0, [0, 2]])[0]
    np.testing.assert_allclose((moved.landmarks - track.landmarks)[..., 0], 0.1 * width, rtol=1e-4)
    patch = np.random.default_rng(0).normal(size=(3, 5, 8, 8)).astype(np.float32)
    patch[2] = 0
    np.testing.assert_allclose(gradients.agreement(patch, -3 * patch), [-1, -1], rtol=1e-6)
