"""AVS and LSE against independent NumPy, by known cases, with gradients, types, errors and two processes."""

from __future__ import annotations

import os
import socket

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tfg import metrics
from tfg.errors import MetricError

AVS = [metrics.avs_u, metrics.avs_m, metrics.avs_v]


def features(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def numpy_cosine(a: np.ndarray, b: np.ndarray, window: int) -> np.ndarray:
    """By definition: lay the window's features end to end, normalise, multiply."""
    values = []
    for t in range(len(a) - window + 1):
        x, y = a[t : t + window].ravel().astype(np.float64), b[t : t + window].ravel().astype(np.float64)
        values.append(x @ y / np.linalg.norm(x) / np.linalg.norm(y))
    return np.array(values)


@pytest.mark.parametrize("window", [1, 2, 5, 20])
def test_cosine_similarity_equals_the_definition(window: int) -> None:
    a, b = features(20, 8), features(20, 8, seed=1)
    np.testing.assert_allclose(metrics.cosine_similarity(a, b, window), numpy_cosine(a, b, window), atol=1e-6)


@pytest.mark.parametrize("metric", AVS)
@pytest.mark.parametrize("window", [1, 3])
def test_avs_is_the_mean_over_frames_of_the_cosine_per_frame(metric, window: int) -> None:
    a, b = features(12, 6), features(12, 6, seed=1)
    value = metric(a, b, window)
    assert isinstance(value, float)
    assert value == pytest.approx(numpy_cosine(a, b, window).mean(), abs=1e-6)


def test_a_batch_gives_one_value_per_clip_of_its_own_kind() -> None:
    a, b = features(3, 12, 6), features(3, 12, 6, seed=1)
    batch = metrics.avs_u(a, b)
    assert isinstance(batch, np.ndarray)
    np.testing.assert_allclose(batch, [metrics.avs_u(x, y) for x, y in zip(a, b, strict=True)], atol=1e-6)
    tensor = metrics.avs_u(torch.from_numpy(a), torch.from_numpy(b), window=4)
    assert isinstance(tensor, torch.Tensor)
    np.testing.assert_allclose(tensor, [metrics.avs_u(x, y, 4) for x, y in zip(a, b, strict=True)], atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 30), st.integers(1, 9), st.integers(0, 10**6), st.floats(1e-3, 1e3))
def test_cosine_is_bounded_symmetric_and_blind_to_scale(frames: int, width: int, seed: int, scale: float) -> None:
    a, b = features(frames, width, seed=seed), features(frames, width, seed=seed + 1)
    value = metrics.avs_u(a, b)
    assert -1 <= value <= 1
    assert metrics.avs_u(b, a) == pytest.approx(value, abs=1e-5)
    assert metrics.avs_u(a * np.float32(scale), b) == pytest.approx(value, abs=1e-4)
    assert metrics.avs_u(a, a) == pytest.approx(1, abs=1e-5)


def test_gradient_of_the_similarity_matches_finite_differences() -> None:
    a = torch.from_numpy(features(4, 3)).double().requires_grad_()
    b = torch.from_numpy(features(4, 3, seed=1)).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x, y: metrics.cosine_similarity(x, y, 2), (a, b))


def test_a_zero_feature_has_similarity_0_and_a_finite_gradient() -> None:
    a = torch.zeros(3, 4, requires_grad=True)
    similarity = metrics.cosine_similarity(a, torch.ones(3, 4))
    similarity.sum().backward()
    assert similarity.tolist() == [0, 0, 0]
    assert torch.isfinite(a.grad).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_float_types_give_the_same_value(dtype: torch.dtype) -> None:
    a, b = torch.from_numpy(features(20, 32)), torch.from_numpy(features(20, 32, seed=1))
    assert metrics.avs_u(a.to(dtype), b.to(dtype)) == pytest.approx(metrics.avs_u(a, b), abs=5e-3)


@pytest.mark.parametrize(
    ("a", "b", "said"),
    [
        (np.zeros((0, 4), np.float32), np.zeros((0, 4), np.float32), "no frames"),
        (np.ones((3, 4), np.float32), np.ones((4, 4), np.float32), r"\(3, 4\) and \(4, 4\)"),
        (np.full((3, 4), np.nan, np.float32), np.ones((3, 4), np.float32), "NaN"),
        (np.ones((3, 4), np.int64), np.ones((3, 4), np.int64), "int64"),
        (np.ones(4, np.float32), np.ones(4, np.float32), r"\(T, D\)"),
        ([[1.0]], [[1.0]], "list"),
    ],
)
def test_undefined_input_is_refused_with_what_was_found(a, b, said: str) -> None:
    with pytest.raises(MetricError, match=said):
        metrics.avs_u(a, b)


@pytest.mark.parametrize("window", [0, 4])
def test_a_window_that_does_not_fit_is_refused(window: int) -> None:
    with pytest.raises(MetricError, match="1 to 3"):
        metrics.avs_u(features(3, 4), features(3, 4), window)


# chance level


def test_chance_of_one_clip_averages_every_shift_of_at_least_25_frames() -> None:
    a, b = features(60, 8), features(60, 8, seed=1)
    expected = np.mean([metrics.avs_u(a, np.roll(b, s, 0)) for s in range(25, 36)])
    assert metrics.chance_level(metrics.avs_u, a, b) == pytest.approx(expected, abs=1e-6)


def test_chance_is_near_zero_for_pairs_that_agree_only_in_time_and_keeps_a_shared_mean() -> None:
    a = features(100, 64)
    assert metrics.avs_u(a, a) == pytest.approx(1)
    assert abs(metrics.chance_level(metrics.avs_u, a, a)) < 0.05
    floor = a + 3  # a common direction survives every shift: this is why chance must be reported
    assert metrics.chance_level(metrics.avs_u, floor, floor) > 0.8


def test_chance_over_clips_compares_one_clip_with_another() -> None:
    first, second = np.eye(4, dtype=np.float32)[[0] * 10], np.eye(4, dtype=np.float32)[[1] * 7]
    assert metrics.chance_level(metrics.avs_u, [first, second], [first, second], n=5) == 0
    assert metrics.chance_level(metrics.avs_u, [first, second], [second, first], n=5) == 1


def test_chance_is_repeatable_and_depends_on_the_seed() -> None:
    a, b = features(300, 8), features(300, 8, seed=1)
    level = [metrics.chance_level(metrics.avs_u, a, b, seed=s, n=5) for s in (0, 0, 1)]
    assert level[0] == level[1] != level[2]


def test_chance_of_a_clip_too_short_to_pull_apart_is_refused() -> None:
    with pytest.raises(MetricError, match=r"49 frames.*min_shift"):
        metrics.chance_level(metrics.avs_u, features(49, 8), features(49, 8))
    with pytest.raises(MetricError, match="at least 2"):
        metrics.chance_level(metrics.avs_u, [features(9, 8)], [features(9, 8)])


# the delay


@pytest.mark.parametrize("early", [-7, -1, 0, 3, 15])
def test_offset_search_finds_the_delay_positive_when_the_audio_is_early(early: int) -> None:
    speech = features(200, 16)
    video, audio = speech[50:120], speech[50 + early : 120 + early]
    found = metrics.offset_search(audio, video)
    assert found.offset == early
    assert found.peak == pytest.approx(1, abs=1e-5)
    assert found.similarity[found.offsets == 0] == pytest.approx(metrics.avs_u(audio, video), abs=1e-6)


def test_sync_auc_is_the_probability_that_a_window_beats_one_that_is_off() -> None:
    """Against the definition, pair by pair; and 0.5 for features with nothing in common."""
    random = np.random.default_rng(0)
    audio, video = random.standard_normal((2, 60, 4))
    video += audio

    def windows(offset: int) -> np.ndarray:
        found = [
            np.mean([metrics.cosine_similarity(audio[i - offset : i - offset + 1], video[i : i + 1])[0]
                     for i in range(first, first + 5)])
            for first in range(60) if first >= offset and first + 5 <= 60 and first + 5 - offset <= 60
        ]  # fmt: skip
        return np.array(found)

    for offset in (0, 3):
        others = np.concatenate([windows(offset + sign * far) for far in range(5, 16) for sign in (-1, 1)])
        expected = (windows(offset)[:, None] > others).mean()
        assert metrics.sync_auc(audio, video, offset) == pytest.approx(expected)
    assert metrics.sync_auc(*random.standard_normal((2, 2000, 8))) == pytest.approx(0.5, abs=0.05)
    assert metrics.sync_auc(np.ones((40, 3)), np.ones((40, 3))) == 0.5


def test_sync_auc_ignores_a_common_direction_that_inflates_the_cosine() -> None:
    audio, video = np.random.default_rng(0).standard_normal((2, 300, 16)) + 5
    assert metrics.avs_u(audio, video) > 0.9
    assert metrics.sync_auc(audio, video) == pytest.approx(0.5, abs=0.1)


def test_sync_auc_refuses_a_clip_too_short_to_pull_apart() -> None:
    with pytest.raises(MetricError, match="9 frames; expected at least 10"):
        metrics.sync_auc(np.ones((9, 3)), np.ones((9, 3)))


def test_offset_search_of_a_short_clip_always_compares_half_of_it() -> None:
    found = metrics.offset_search(features(8, 4), features(8, 4))
    assert found.offsets.tolist() == list(range(-4, 5))
    assert metrics.offset_search(features(1, 4), features(1, 4)).offset == 0


@pytest.mark.parametrize(("offset", "words"), [(3, "audio 120 ms early"), (-2, "audio 80 ms late"), (0, "in sync")])
def test_offsets_are_said_in_words(offset: int, words: str) -> None:
    assert metrics.offset_words(offset) == words


# LSE


def numpy_lse(v: np.ndarray, a: np.ndarray, vshift: int) -> tuple[int, float, float, np.ndarray]:
    """SyncNet's evaluation, one window at a time."""
    padded = np.pad(a.astype(np.float64), ((vshift, vshift), (0, 0)))
    distances = np.array(
        [[np.sqrt(((v[i] - padded[i + j] + 1e-6) ** 2).sum()) for j in range(2 * vshift + 1)] for i in range(len(v))]
    )
    mean = distances.mean(0)
    return vshift - int(mean.argmin()), mean.min(), np.median(mean) - mean.min(), distances


@pytest.mark.parametrize("windows", [1, 10, 70])
@pytest.mark.parametrize("vshift", [3, 15])
def test_lse_equals_the_peer_convention(windows: int, vshift: int) -> None:
    v, a = features(windows, 24), features(windows, 24, seed=1)
    found = metrics.lse(v, a, vshift)
    offset, lse_d, lse_c, distances = numpy_lse(v, a, vshift)
    np.testing.assert_allclose(found.distances, distances, rtol=1e-5)
    assert found.offset == offset
    assert found.lse_d == pytest.approx(lse_d, rel=1e-5)
    assert found.lse_c == pytest.approx(lse_c, abs=1e-5)


def test_audio_three_frames_early_has_offset_plus_3() -> None:
    e = features(120, 1024)
    found = metrics.lse(e[20:80], e[23:83])
    assert found.offset == 3
    assert found.offset_ms == 120
    assert found.words == "audio 120 ms early"
    assert metrics.lse_unbiased(e[20:80], e[23:83]).offset == 3


def test_lse_hides_a_constant_delay_and_avs_u_does_not() -> None:
    e = features(300, 64)
    late = metrics.lse_unbiased(e[50:200], e[42:192])
    assert late.offset == -8
    assert late.lse_d == pytest.approx(metrics.lse_unbiased(e[50:200], e[50:200]).lse_d, abs=1e-3)
    assert metrics.avs_u(e[50:200], e[42:192]) < 0.1


def test_zero_padding_inflates_the_confidence_of_short_clips_and_unbiased_does_not() -> None:
    padded, unbiased = {}, {}
    for windows in (20, 200):
        v, a = features(windows, 1024), features(windows, 1024, seed=1)
        padded[windows], unbiased[windows] = metrics.lse(v, a).lse_c, metrics.lse_unbiased(v, a).lse_c
    assert padded[20] > 4 * padded[200] > 1
    assert unbiased[20] < 1


def test_unbiased_leaves_out_exactly_the_padded_comparisons() -> None:
    v, a = features(6, 8), features(6, 8, seed=1)
    distances = metrics.lse_unbiased(v, a, 8).distances
    _, _, _, full = numpy_lse(v, a, 8)
    for i in range(6):
        for j in range(17):
            if 0 <= i + j - 8 < 6:
                assert distances[i, j] == pytest.approx(full[i, j], rel=1e-5)
            else:
                assert np.isnan(distances[i, j])


def test_frame_confidence_is_the_median_minus_the_distance_at_the_offset() -> None:
    e = features(120, 32)
    found = metrics.lse(e[20:80], e[20:80])
    mean = found.distances.mean(0)
    inner = found.frame_confidence[8:-8]
    np.testing.assert_allclose(inner, np.median(mean) - mean.min(), rtol=1e-3)
    assert found.frame_confidence.shape == (60,)


@pytest.mark.parametrize(
    ("lip", "audio", "said"),
    [
        (np.zeros((0, 4), np.float32), np.zeros((0, 4), np.float32), "at least one window"),
        (np.ones((3, 4), np.float32), np.ones((2, 4), np.float32), r"\(3, 4\).*\(2, 4\)"),
        (np.ones((3, 4), np.float32), np.full((3, 4), np.inf, np.float32), "audio contains NaN or infinite"),
        (np.ones((1, 3, 4), np.float32), np.ones((1, 3, 4), np.float32), r"\(W, E\)"),
        (np.ones((3, 4), np.uint8), np.ones((3, 4), np.uint8), "uint8"),
    ],
)
def test_lse_refuses_undefined_input(lip, audio, said: str) -> None:
    with pytest.raises(MetricError, match=said):
        metrics.lse(lip, audio)


# classes


@pytest.mark.parametrize(
    ("cls", "function"), [("AVSu", metrics.avs_u), ("AVSm", metrics.avs_m), ("AVSv", metrics.avs_v)]
)
def test_classes_average_over_clips_of_any_length(cls: str, function) -> None:
    metric = getattr(metrics, cls)(window=2)
    clips = [(features(t, 6, seed=t), features(t, 6, seed=t + 1)) for t in (5, 9, 40)]
    for a, b in clips:
        metric.update(a, b)
    metric.update(torch.from_numpy(features(2, 7, 6)), torch.from_numpy(features(2, 7, 6)))
    expected = np.mean([function(a, b, 2) for a, b in clips] + [1.0, 1.0])
    assert float(metric.compute()) == pytest.approx(expected, abs=1e-5)
    assert metric.higher_is_better


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
@pytest.mark.parametrize("cls", ["AVSu", "LSE"])
def test_compute_before_any_clip_is_refused(cls: str) -> None:
    with pytest.raises(MetricError, match="before any clip"):
        getattr(metrics, cls)().compute()


def test_class_forward_keeps_the_gradient() -> None:
    a = torch.from_numpy(features(5, 4)).requires_grad_()
    metrics.AVSu()(a, torch.from_numpy(features(5, 4, seed=1))).backward()
    assert a.grad.abs().sum() > 0


@pytest.mark.parametrize("unbiased", [False, True])
def test_lse_class_averages_over_clips(unbiased: bool) -> None:
    metric = metrics.LSE(unbiased=unbiased)
    function = metrics.lse_unbiased if unbiased else metrics.lse
    clips = [(features(w, 8, seed=w), features(w, 8, seed=w + 1)) for w in (30, 50)]
    found = [function(*clip) for clip in clips]
    for clip in clips:
        metric.update(*clip)
    values = metric.compute()
    assert float(values["lse_d"]) == pytest.approx(np.mean([f.lse_d for f in found]), rel=1e-5)
    assert float(values["lse_c"]) == pytest.approx(np.mean([f.lse_c for f in found]), rel=1e-5)
    assert float(values["abs_offset"]) == pytest.approx(np.mean([abs(f.offset) for f in found]))


def _one_process(rank: int, port: int, results) -> None:
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.distributed.init_process_group("gloo", rank=rank, world_size=2)
    avs, lse = metrics.AVSu(), metrics.LSE()
    for seed in range(3) if rank == 0 else range(3, 4):  # uneven: three clips here, one there
        avs.update(features(9, 4, seed=seed), features(9, 4, seed=seed + 10))
        lse.update(features(9, 4, seed=seed), features(9, 4, seed=seed + 10))
    results[rank] = (float(avs.compute()), float(lse.compute()["lse_d"]))
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_with_uneven_clips_agree_on_the_mean_over_all() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with torch.multiprocessing.Manager() as manager:
        results = manager.dict()
        torch.multiprocessing.spawn(_one_process, (port, results), nprocs=2)
        found = dict(results)
    clips = [(features(9, 4, seed=s), features(9, 4, seed=s + 10)) for s in range(4)]
    avs = np.mean([metrics.avs_u(a, b) for a, b in clips])
    lse_d = np.mean([metrics.lse(a, b).lse_d for a, b in clips])
    assert found[0] == found[1] == pytest.approx((avs, lse_d), abs=1e-5)
