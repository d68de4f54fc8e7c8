"""Cosines, losses and spreads of matching pairs: both experts on one footing, statistics with known answers."""

from __future__ import annotations

import numpy as np
import pytest
import tiny_experts
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tfg import stability
from tfg.errors import FeatureError, MetricError
from tfg.experts.expert import AVHubertExpert, SyncNetExpert
from tfg.metrics import cosine_similarity


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
