"""Image metrics: against scikit-image, torchmetrics, SciPy and by hand; what leaves them as they are, what does not."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
import tiny_experts as tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from tfg.clip import Clip
from tfg.errors import CheckpointError, MetricError, WeightsError
from tfg.experts.checkpoints import save_weights
from tfg.faces import FaceTrack, track_face
from tfg.metrics import identity
from tfg.metrics.fid import fid, frechet_distance, inception_features
from tfg.metrics.identity import identity_similarity
from tfg.metrics.image import SCALE_WEIGHTS, common_frames, ms_ssim, psnr, ssim
from tfg.metrics.inception import Inception
from tfg.metrics.landmarks import landmark_distance

Frames = np.ndarray


def pair(frames: int = 2, height: int = 48, width: int = 40, seed: int = 0, noise: float = 20) -> tuple[Frames, Frames]:
    """Smooth pictures, and the same with noise."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:height, 0:width]
    waves = random.uniform(0.05, 0.4, (frames, 1, 1, 3))
    real = 128 + 100 * np.sin(waves * rows[..., None] + columns[..., None] / 7)
    made = real + random.normal(0, noise, real.shape)
    return made.clip(0, 255).astype(np.uint8), real.clip(0, 255).astype(np.uint8)


# PSNR, SSIM


SCIKIT = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255, "channel_axis": -1}


@pytest.mark.parametrize("noise", [1.0, 20.0, 120.0])
def test_psnr_and_ssim_are_those_of_scikit_image(noise: float) -> None:
    made, real = pair(noise=noise)
    for i, (x, y) in enumerate(zip(made, real, strict=True)):
        assert psnr(made, real)[i] == pytest.approx(peak_signal_noise_ratio(y, x, data_range=255), rel=1e-12)
        assert ssim(made, real)[i] == pytest.approx(structural_similarity(y, x, **SCIKIT), abs=1e-9)


def test_psnr_does_not_wrap_around() -> None:
    """8-bit differences and their squares wrap; then no PSNR is ever below 24 dB."""
    black, white = np.zeros((1, 16, 16, 3), np.uint8), np.full((1, 16, 16, 3), 255, np.uint8)
    assert psnr(black, white)[0] == 0
    assert psnr(black + 10, black)[0] == pytest.approx(20 * np.log10(25.5))


def test_ms_ssim_is_made_of_scikit_images_ssim_at_five_scales() -> None:
    """With K1 so large that the luminance factor is 1, scikit-image's SSIM is contrast and structure alone."""
    made, real = pair(2, 190, 233)  # sides that do not halve evenly
    for i in range(2):
        x, y = (torch.from_numpy(z[i]).permute(2, 0, 1).double() for z in (made, real))
        expected = 1.0
        for scale, weight in enumerate(SCALE_WEIGHTS):
            if scale:
                x, y = (torch.nn.functional.avg_pool2d(z[None], 2)[0] for z in (x, y))
            arrays = [z.permute(1, 2, 0).numpy() for z in (x, y)]
            expected *= structural_similarity(*arrays, K1=0.01 if scale == 4 else 1e9, **SCIKIT) ** weight
        assert ms_ssim(made, real)[i] == pytest.approx(expected, abs=1e-9)


def test_ms_ssim_is_near_torchmetrics() -> None:
    """Which counts reflected borders in the luminance of the coarsest scale; windows inside the frame only do not."""
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure as peer

    made, real = pair(2, 190, 233)
    tensors = [torch.from_numpy(x).permute(0, 3, 1, 2).double() for x in (made, real)]
    expected = [float(peer(x[None], y[None], data_range=255.0)) for x, y in zip(*tensors, strict=True)]
    np.testing.assert_allclose(ms_ssim(made, real), expected, atol=5e-4)


@given(seed=st.integers(0, 2**20), noise=st.floats(0.5, 200))
@settings(max_examples=15, deadline=None)
def test_image_metrics_are_symmetric_bounded_and_best_for_the_same_picture(seed: int, noise: float) -> None:
    made, real = pair(1, 176, 180, seed, noise)
    for metric, best in ((psnr, np.inf), (ssim, 1.0), (ms_ssim, 1.0)):
        there, back, same = metric(made, real), metric(real, made), metric(real, real)
        assert there == pytest.approx(back, rel=1e-12)
        assert same == pytest.approx(best, rel=1e-12)
        assert there < best
        assert there.shape == (1,)
        assert there.dtype == np.float64
    assert ssim(made, real)[0] >= -1
    assert ms_ssim(made, real)[0] >= 0


def test_frames_are_judged_one_by_one() -> None:
    made, real = pair(4, 176, 176)
    made[2] = real[2]
    for metric in (psnr, ssim, ms_ssim):
        whole = metric(made, real)
        np.testing.assert_array_equal(whole, [metric(made[i : i + 1], real[i : i + 1])[0] for i in range(4)])
        assert whole.argmax() == 2


@pytest.mark.parametrize("metric", [psnr, ssim, ms_ssim])
def test_frames_that_do_not_fit_are_refused(metric: object) -> None:
    made, real = pair(2, 176, 176)
    for wrong, message in (
        (made[:1], r"\(1, 176, 176, 3\), reference frames \(2, 176, 176, 3\)"),
        (made[:, :170], "the same"),
        (made.astype(np.float32), "float32"),
        (made[..., 0], r"expected uint8 frames \(T, H, W, 3\)"),
        ("frames", "generated is str"),
    ):
        with pytest.raises(MetricError, match=message):
            metric(wrong, real)  # type: ignore[operator]
    with pytest.raises(MetricError, match="at least one frame"):
        metric(made[:0], real[:0])  # type: ignore[operator]


def test_pictures_too_small_for_the_window_are_refused() -> None:
    with pytest.raises(MetricError, match="at least 11 x 11"):
        ssim(*pair(1, 10, 40))
    with pytest.raises(MetricError, match="at least 176 x 176"):
        ms_ssim(*pair(1, 175, 200))


# two clips


def test_two_clips_are_cut_to_their_common_time_and_it_is_said() -> None:
    long, short = tiny.clip(40), dataclasses.replace(tiny.clip(30, seed=1), source="short.mp4")
    a, b, said = common_frames(long, short)
    assert a.n_frames == b.n_frames == 30
    assert len(a.audio) == 30 * 640
    np.testing.assert_array_equal(a.frames, long.frames[:30])
    assert said == ("the video has 40 frames, 30 are compared: its last 0.40 s are left out",)
    assert common_frames(short, long)[2][0].startswith("the reference has 40 frames")
    assert common_frames(long, long)[2] == ()


def test_clips_of_different_sizes_are_refused() -> None:
    small = Clip(np.zeros((3, 16, 20, 3), np.uint8), np.zeros(3 * 640, np.float32), source="small.mp4")
    with pytest.raises(MetricError, match=r"small.mp4 is 20 x 16, noise 128 x 128.*size of the reference"):
        common_frames(small, tiny.clip(3))


# landmarks


def moved(track: FaceTrack, **changes: object) -> FaceTrack:
    return dataclasses.replace(track, **changes)  # type: ignore[arg-type]


def test_landmark_distance_by_hand() -> None:
    real = tiny.track(0, 3)
    points = real.landmarks.copy()
    points[1, 48:58] += (0, 3)  # half of the mouth's points 3 pixels lower: 1.5 from the common mean, either way
    found = landmark_distance(moved(real, landmarks=points), real)
    assert found.eyes == pytest.approx([36, 36, 36])
    assert found.mouth * found.eyes == pytest.approx([0, 1.5, 0], abs=1e-6)
    down = 10 * 3 / 68
    assert found.face * found.eyes == pytest.approx([0, (10 * (3 - down) + 58 * down) / 68, 0], abs=1e-6)


@given(x=st.floats(-50, 50), y=st.floats(-50, 50), scale=st.floats(0.3, 4), seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_landmark_distance_ignores_place_and_resolution_and_is_zero_for_the_same(
    x: float, y: float, scale: float, seed: int
) -> None:
    real = tiny.track(0, 4)
    shaken = real.landmarks + np.random.default_rng(seed).normal(0, 2, real.landmarks.shape).astype(np.float32)
    made = moved(real, landmarks=shaken)
    found = landmark_distance(made, real)
    elsewhere = moved(made, landmarks=made.landmarks + np.array((x, y), np.float32))
    larger = [moved(track, landmarks=track.landmarks * np.float32(scale)) for track in (made, real)]
    for other in (landmark_distance(elsewhere, real), landmark_distance(*larger)):
        np.testing.assert_allclose(other.mouth, found.mouth, rtol=1e-3)
        np.testing.assert_allclose(other.face, found.face, rtol=1e-3)
    still = landmark_distance(moved(real, landmarks=real.landmarks + np.array((x, y), np.float32)), real)
    np.testing.assert_allclose(still.place * still.eyes, np.hypot(x, y), atol=1e-3)
    assert (found.mouth > 0).all()
    same = landmark_distance(real, real)
    assert not same.mouth.any()
    assert not same.face.any()


def test_landmark_distance_compares_the_same_moments() -> None:
    real = tiny.track(0, 30)
    opening = np.linspace(0, 20, 30, dtype=np.float32)
    points = real.landmarks.copy()
    points[:, 57] += np.stack([0 * opening, opening], axis=1)
    real = moved(real, landmarks=points)
    later = FaceTrack(10, 30, points[10:], np.ones(20, bool))
    found = landmark_distance(later, real)
    assert (found.start, found.stop) == (10, 30)
    assert not found.mouth.any()
    with pytest.raises(MetricError, match="frames 0 to 29 and 30 to 49"):
        landmark_distance(real, moved(later, start=30, stop=50))


# identity


def colour_embedder(frame: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """The colour at the mean landmark: enough to tell who is who, and that each frame meets its own landmarks."""
    x, y = landmarks.mean(axis=0).round().astype(int)
    return frame[y, x].astype(np.float64)


def test_identity_similarity_is_the_cosine_of_the_embeddings_of_corresponding_faces() -> None:
    made, real = np.zeros((2, 20, 20, 3), np.uint8), np.zeros((2, 30, 30, 3), np.uint8)
    here, there = np.full((2, 68, 2), 5, np.float32), np.full((2, 68, 2), 25, np.float32)
    made[:, 5, 5], real[0, 25, 25], real[1, 25, 25] = (3, 4, 0), (6, 8, 0), (0, 0, 9)
    found = identity_similarity(made, here, real, there, colour_embedder)
    assert found == pytest.approx([1, 0])
    with pytest.raises(MetricError, match="zero or not finite"):
        identity_similarity(made, there[:, :] * 0, real, there, colour_embedder)
    with pytest.raises(MetricError, match="2 generated frames with 1 sets"):
        identity_similarity(made, here[:1], real, there, colour_embedder)


def test_missing_embedding_weights_are_said_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "WEIGHTS_FILE", "absent.dat")
    with pytest.raises(WeightsError, match=r"absent.dat is missing.*pip install face_recognition_models"):
        identity.DlibEmbedder()


def test_dlib_tells_persons_apart(grid_dir: Path) -> None:
    import tfg

    clips = [tfg.read_clip(sorted((grid_dir / who).glob("*.mp4"))[i]) for who, i in (("s1", 0), ("s1", 1), ("s4", 0))]
    clips = [clip.trim(0, 12) for clip in clips]
    sides = [(clip.frames[10:11], track_face(clip).landmarks[10:11]) for clip in clips]
    (same,), (other,) = (identity_similarity(*sides[0], *sides[i]) for i in (1, 2))
    assert same > 0.95
    assert other < same - 0.05


# FID


@pytest.mark.parametrize(("n", "m", "d"), [(200, 150, 12), (6, 9, 20), (300, 5, 8)])
def test_frechet_distance_is_that_of_scipy(n: int, m: int, d: int) -> None:
    random = np.random.default_rng(0)
    mix = random.normal(size=(d, d))
    a, b = random.normal(size=(n, d)) @ mix, random.normal(size=(m, d)) + 0.5
    s1, s2 = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = scipy.linalg.sqrtm(s1 @ s2).real
    expected = np.square(a.mean(0) - b.mean(0)).sum() + np.trace(s1 + s2 - 2 * root)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-5)


@given(seed=st.integers(0, 999), shift=st.floats(0.01, 5))
@settings(max_examples=25, deadline=None)
def test_frechet_distance_is_a_distance_of_sets(seed: int, shift: float) -> None:
    random = np.random.default_rng(seed)
    a, b = random.normal(size=(30, 5)), random.normal(size=(40, 5)) * random.uniform(0.2, 3, 5)
    turn = np.linalg.qr(random.normal(size=(5, 5)))[0]
    there = frechet_distance(a, b)
    assert there == pytest.approx(frechet_distance(b, a), rel=1e-9)
    assert there == pytest.approx(frechet_distance(a @ turn, b @ turn), rel=1e-9)
    assert there > 0
    assert frechet_distance(a, a[::-1]) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(a + shift, a) == pytest.approx(5 * shift**2, rel=1e-6)


def test_features_without_a_covariance_are_refused() -> None:
    good = np.random.default_rng(0).normal(size=(5, 3))
    for wrong in (good[:1], good[:, :2], good[0], np.where(good > 9, good, np.nan)):
        with pytest.raises(MetricError, match=r"expected \(N, 3\)|NaN"):
            frechet_distance(wrong, good)


def test_fid_takes_any_feature_function() -> None:
    made, real = pair(6)

    def colours(pictures: np.ndarray) -> np.ndarray:
        return pictures.reshape(len(pictures), -1, 3).mean(axis=1)

    assert fid(made, real, colours) == frechet_distance(colours(made), colours(real))
    assert fid(real, real[::-1], colours) == pytest.approx(0, abs=1e-9)


def test_missing_inception_weights_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFG_CACHE", str(tmp_path))
    with pytest.raises(WeightsError, match=r"tfg weights get inception-fid(.|\n)*pytorch-fid"):
        inception_features()


def test_inception_has_the_published_size_and_loads_a_release(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = Inception().eval()
    assert sum(p.numel() for p in network.parameters()) == 21_785_568  # Szegedy et al. without the classifiers
    path = tmp_path / "released.pth"
    torch.save({**network.state_dict(), "fc.weight": torch.zeros(1008, 2048), "fc.bias": torch.zeros(1008)}, path)
    pictures = pair(2, 60, 50)[0]
    found = inception_features(path)(pictures)
    assert found.shape == (2, 2048)
    with torch.inference_mode():
        expected = network(torch.from_numpy(pictures).permute(0, 3, 1, 2) / 255).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)
    with pytest.raises(MetricError, match="expected uint8"):
        inception_features(path)(pictures.astype(np.float32))


def test_other_weights_are_not_taken_for_inception(tmp_path: Path) -> None:
    path = save_weights(tiny.syncnet().state_dict(), tmp_path / "x.safetensors", {"kind": "syncnet"})
    with pytest.raises(CheckpointError, match="expected inception"):
        inception_features(path)
