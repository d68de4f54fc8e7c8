"""Warps and crops equal their definitions: Umeyama, scikit-image, the peer's two-step crop, and the torch twins."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import tfg
from tfg import crops
from tfg.clip import Clip
from tfg.errors import CropError
from tfg.faces import FaceTrack, track_face
from tfg.warps import similarity_transform, warp, warp_frames_torch


@pytest.fixture(scope="module")
def talker(grid_dir: Path) -> Clip:
    return tfg.read_clip(sorted((grid_dir / "s1").glob("*.mp4"))[40])


@pytest.fixture(scope="module")
def track(talker: Clip) -> FaceTrack:
    return track_face(talker)


def test_similarity_transform_equals_the_golden_numbers() -> None:
    source = np.array([(80, 90), (50, 60), (72, 61), (92, 62), (112, 60)], float)
    target = np.array([(128, 150), (80, 100), (112, 101), (145, 102), (178, 100)], float)
    matrix = similarity_transform(source, target)
    assert np.hypot(matrix[0, 0], matrix[1, 0]) == pytest.approx(1.60875955, rel=1e-7)
    assert np.arctan2(matrix[1, 0], matrix[0, 0]) == pytest.approx(-0.01012433, abs=1e-7)
    np.testing.assert_allclose(matrix[:, 2], (-3.109317, 4.784627), atol=1e-5)


@settings(max_examples=60, deadline=None)
@given(
    st.floats(0.2, 5), st.floats(-3.1, 3.1), st.floats(-200, 200), st.floats(-200, 200), st.integers(0, 1000),
    st.integers(2, 9),
)  # fmt: skip
def test_similarity_transform_recovers_any_similarity(
    scale: float, angle: float, dx: float, dy: float, seed: int, count: int
) -> None:
    points = np.random.default_rng(seed).uniform(-50, 50, (count, 2))
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = similarity_transform(points, points @ turn.T + (dx, dy))
    np.testing.assert_allclose(matrix, np.column_stack([turn, (dx, dy)]), atol=1e-6)


def test_similarity_transform_equals_scikit_image_on_noisy_points() -> None:
    transform = pytest.importorskip("skimage.transform")
    random = np.random.default_rng(0)
    source = random.uniform(0, 300, (6, 5, 2))
    target = random.uniform(0, 200, (5, 2))
    ours = similarity_transform(source, target)
    for matrix, points in zip(ours, source, strict=True):
        peer = transform.SimilarityTransform.from_estimate(points, target)
        # where Umeyama allows no reflection but least squares would like one, the two still agree in the plane
        np.testing.assert_allclose(matrix, peer.params[:2], atol=1e-8)


def test_degenerate_points_are_refused() -> None:
    with pytest.raises(CropError, match="coincide"):
        similarity_transform(np.ones((5, 2)), np.zeros((5, 2)))
    with pytest.raises(CropError, match="same K"):
        similarity_transform(np.ones((5, 2)), np.zeros((4, 2)))


def test_mouth_crop_equals_the_peer_path_through_256_pixels(talker: Clip, track: FaceTrack) -> None:
    """Colour warp to 256 x 256 with scikit-image, truncate, cut 96 x 96 around the mouth, then grey."""
    transform = pytest.importorskip("skimage.transform")
    ours = tfg.mouth_crops(talker, track)
    assert ours.shape == (talker.n_frames, 96, 96)
    stable = list(crops.STABLE_POINTS)
    for t in (0, 31, talker.n_frames - 1):
        first = min(t, talker.n_frames - 12)
        smooth = track.landmarks[first : first + 12, stable].astype(float).mean(axis=0)
        peer = transform.SimilarityTransform.from_estimate(smooth, crops.MEAN_FACE)
        canvas = transform.warp(talker.frames[t], peer.inverse, output_shape=(256, 256))
        colour = np.floor(canvas * 255).astype(np.uint8)
        mouth = peer(track.landmarks[t, 48:68].astype(float)).mean(axis=0)
        x, y = np.round(mouth.clip(48, 256 - 48)).astype(int)
        expected = cv2.cvtColor(colour[y - 48 : y + 48, x - 48 : x + 48], cv2.COLOR_RGB2GRAY)
        difference = np.abs(expected.astype(int) - ours[t].astype(int))
        assert difference.max() <= 2
        assert difference.mean() < 0.7


def test_mouth_crop_puts_the_eyes_base_where_the_mean_face_has_it(track: FaceTrack) -> None:
    transforms = crops.mouth_transforms(track)
    scale = np.hypot(transforms[:, 0, 0], transforms[:, 1, 0])
    eyes = np.linalg.norm(track.landmarks[:, 45] - track.landmarks[:, 36], axis=1)
    wanted = np.linalg.norm(crops.MEAN_FACE[4] - crops.MEAN_FACE[1])
    np.testing.assert_allclose((scale * eyes)[:-12].mean(), wanted, rtol=0.05)


def test_mouth_video_is_the_normalised_centre() -> None:
    grey = np.arange(2 * 96 * 96, dtype=np.int64).reshape(2, 96, 96).astype(np.uint8)
    video = crops.mouth_video(grey)
    assert video.shape == (2, 88, 88)
    assert video.dtype == np.float32
    np.testing.assert_allclose(video[1, 3, 5], (grey[1, 7, 9] / 255 - 0.421) / 0.165, rtol=1e-5)
    with pytest.raises(CropError, match="uint8"):
        crops.mouth_video(grey.astype(np.float32))  # type: ignore[arg-type]


def test_torch_warp_equals_the_numpy_warp() -> None:
    random = np.random.default_rng(0)
    image = cv2.GaussianBlur(random.uniform(0, 255, (90, 120)).astype(np.float32), (0, 0), 2)
    matrix = similarity_transform(
        np.array([(30, 30), (80, 35), (55, 70)], float), np.array([(20, 22), (60, 20), (42, 50)], float)
    )
    ours = warp_frames_torch(torch.from_numpy(image)[None, None].double(), torch.from_numpy(matrix)[None], 64)
    transform = pytest.importorskip("skimage.transform")
    exact = transform.warp(
        image.astype(np.float64), transform.SimilarityTransform(matrix=np.vstack([matrix, [0, 0, 1]])).inverse,
        output_shape=(64, 64), preserve_range=True,
    )  # fmt: skip
    assert np.abs(ours[0, 0].numpy() - exact)[1:-1, 1:-1].max() < 3e-3
    # OpenCV interpolates at 1/32 pixel, which costs more than the warp itself
    assert np.abs(warp(image, matrix, 64) - exact)[1:-1, 1:-1].max() < 1.0


@pytest.mark.parametrize("shift", [(-40.0, -30.0), (0.3, 0.7), (70.0, 50.0), (900.0, 0.0)])
def test_warp_that_looks_only_at_its_part_equals_the_warp_of_all(shift: tuple[float, float]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    matrix = np.array([[1.25, -0.25, shift[0]], [0.25, 1.25, shift[1]]])
    whole = cv2.warpAffine(image.astype(np.float32), matrix, (48, 48), borderValue=(110,) * 4)
    np.testing.assert_allclose(warp(image, matrix, 48, outside=110), whole, atol=9)
    assert np.abs(warp(image, matrix, 48, outside=110) - whole).mean() < 0.3


def test_torch_warp_has_the_right_gradient() -> None:
    torch.manual_seed(0)
    frames = torch.rand(2, 1, 9, 11, dtype=torch.float64, requires_grad=True)
    transforms = torch.tensor([[[0.8, -0.2, 1.0], [0.2, 0.8, 0.5]], [[1.1, 0.1, -1.0], [-0.1, 1.1, 0.3]]]).double()
    assert torch.autograd.gradcheck(lambda x: warp_frames_torch(x, transforms, 6), frames)


def test_differentiable_mouth_crop_equals_the_prepared_one(talker: Clip, track: FaceTrack) -> None:
    prepared = crops.mouth_video(tfg.mouth_crops(talker, track))
    frames = torch.from_numpy(talker.frames).permute(0, 3, 1, 2).double() / 255
    twin = crops.mouth_crops_torch(frames, torch.from_numpy(crops.mouth_transforms(track))).numpy()
    one_level = 1 / 255 / 0.165
    assert twin.shape == prepared.shape
    assert np.abs(twin - prepared).mean() < one_level
    assert np.abs(twin - prepared).max() < 3 * one_level


def test_gradients_reach_the_mouth_pixels_and_no_others(talker: Clip, track: FaceTrack) -> None:
    frames = (torch.from_numpy(talker.frames[:2]).permute(0, 3, 1, 2).float() / 255).requires_grad_()
    crops.mouth_crops_torch(frames, torch.from_numpy(crops.mouth_transforms(track)[:2]).float()).sum().backward()
    assert frames.grad is not None
    touched = frames.grad.abs().sum(dim=(0, 1)) > 0
    x, y = track.landmarks[0, 48:68].mean(axis=0).round().astype(int)
    assert bool(touched[y, x])
    assert not bool(touched[:20].any())


def test_syncnet_crop_is_the_published_square(talker: Clip, track: FaceTrack) -> None:
    faces = tfg.crops.face_crops_syncnet(talker, track, size=224)
    assert faces.shape == (talker.n_frames, 224, 224, 3)
    box = np.median(track.boxes[:7], axis=0)  # roughly what the median filter sees at frame 3
    half = max(box[2] - box[0], box[3] - box[1]) / 2
    cx, cy = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    rows = slice(round(cy - half), round(cy + 1.8 * half))
    columns = slice(round(cx - 1.4 * half), round(cx + 1.4 * half))
    padded = np.pad(talker.frames[3], ((0, 200), (0, 200), (0, 0)), constant_values=110)
    expected = cv2.resize(padded[rows, columns], (224, 224))
    assert np.abs(expected.astype(int) - faces[3].astype(int)).mean() < 6  # sub-pixel against whole pixels


def test_outside_of_the_frame_is_grey_110_for_syncnet_and_black_for_wav2lip(talker: Clip, track: FaceTrack) -> None:
    corner = FaceTrack(0, len(track), track.landmarks - track.landmarks.min(axis=(0, 1)), track.observed)
    assert (tfg.crops.face_crops_syncnet(talker, corner, 112)[:, 0, 0] == 110).all()
    assert (tfg.crops.face_crops_wav2lip(talker, corner)[:, 0, 48] == 0).all()


def test_wav2lip_crop_holds_the_face(talker: Clip, track: FaceTrack) -> None:
    faces = tfg.crops.face_crops_wav2lip(talker, track)
    assert faces.shape == (talker.n_frames, 96, 96, 3)
    box = track.boxes[10]
    mouth = track.landmarks[10, 48:68].mean(axis=0)
    relative = (mouth[1] - box[1]) / (1.05 * (box[3] - box[1]))
    assert 0.55 < relative < 0.85  # in the lower half, which the generator fills


def test_a_track_of_another_clip_is_refused(talker: Clip, track: FaceTrack) -> None:
    with pytest.raises(CropError, match="another clip"):
        tfg.mouth_crops(talker.trim(0, 20), track)


def test_a_track_that_starts_late_gets_its_own_frames(talker: Clip, track: FaceTrack) -> None:
    late = FaceTrack(30, 60, track.landmarks[30:60], track.observed[30:60])
    part = talker.trim(30, 60)
    np.testing.assert_array_equal(tfg.mouth_crops(talker, late), tfg.mouth_crops(part, late.trimmed()))
