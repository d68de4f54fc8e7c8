"""Wav2Lip's lip expert: the released architecture and numbers, and a copy that is safe to use in a loss."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from synthetic_weights import hashed

from tfg.errors import CheckpointError, FeatureError
from tfg.experts.lip_expert import LipExpert


@pytest.fixture(scope="module")
def expert() -> LipExpert:
    net = LipExpert().eval()
    net.load_official(hashed(net))
    return net


@pytest.fixture(scope="module")
def crops() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (8, 96, 96, 3), dtype=np.uint8)


def test_architecture_has_the_released_parameters_and_names() -> None:
    net = LipExpert()
    assert sum(p.numel() for p in net.parameters()) == 16_435_072
    state = net.state_dict()
    assert state["face_encoder.0.conv_block.0.weight"].shape == (32, 15, 7, 7)
    assert state["face_encoder.16.conv_block.0.weight"].shape == (512, 512, 1, 1)
    assert state["audio_encoder.13.conv_block.0.weight"].shape == (512, 512, 1, 1)


def test_numbers_of_the_original_code(expert: LipExpert, golden: dict[str, np.ndarray]) -> None:
    face = 0.5 + 0.5 * np.cos(0.019 * np.arange(15 * 48 * 96))
    mel = 2 * np.cos(0.29 * np.arange(80 * 16))
    with torch.no_grad():
        f = expert.forward_face(torch.from_numpy(face).float().view(1, 15, 48, 96))[0].numpy()
        a = expert.forward_audio(torch.from_numpy(mel).float().view(1, 1, 80, 16))[0].numpy()
    np.testing.assert_allclose(f[:16], golden["x6_face16"], atol=1e-6)
    np.testing.assert_allclose(a[:16], golden["x6_audio16"], atol=1e-6)
    assert f @ a == pytest.approx(float(golden["x6_cos"]), rel=1e-4)


def test_embeddings_have_unit_length_and_cosines_between_zero_and_one(expert: LipExpert, crops: np.ndarray) -> None:
    face = expert.embed_face(crops)
    sound = expert.embed_audio(np.random.default_rng(1).uniform(-4, 4, (80, 40)))
    np.testing.assert_allclose(np.linalg.norm(face, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(sound, axis=1), 1, atol=1e-5)
    cosine = face[:4] @ sound[:4].T
    assert cosine.min() >= 0
    assert cosine.max() <= 1 + 1e-5


def test_face_windows_are_five_lower_halves_in_bgr_frame_by_frame(expert: LipExpert, crops: np.ndarray) -> None:
    rows = expert.embed_face(crops, batch=3)
    assert rows.shape == (4, 512)
    stacked = np.concatenate([frame[48:, :, ::-1].transpose(2, 0, 1) for frame in crops[2:7]]).astype(np.float32) / 255
    with torch.no_grad():
        np.testing.assert_allclose(rows[2], expert.forward_face(torch.from_numpy(stacked)[None])[0], atol=1e-6)


def test_audio_window_of_frame_i_begins_at_its_mel_column(expert: LipExpert) -> None:
    mel = np.random.default_rng(2).uniform(-4, 4, (80, 81)).astype(np.float32)  # one second
    rows = expert.embed_audio(mel)
    assert len(rows) == 21  # starts 0, 3, 6, 9, 12, 16 ... 64; the last must leave 16 columns
    for frame, start in ((1, 3), (4, 12), (5, 16), (20, 64)):
        with torch.no_grad():
            alone = expert.forward_audio(torch.from_numpy(mel[:, start : start + 16].copy())[None, None])[0]
        np.testing.assert_allclose(rows[frame], alone, atol=1e-6)


def test_frozen_copy_agrees_and_passes_gradient_to_the_face_only(expert: LipExpert, crops: np.ndarray) -> None:
    frozen = expert.freeze()
    np.testing.assert_allclose(frozen.embed_face(crops), expert.embed_face(crops), atol=1e-5)
    assert not any(p.requires_grad for p in frozen.parameters())
    assert all(p.requires_grad for p in expert.parameters())
    face = torch.rand(1, 15, 48, 96, requires_grad=True)
    (frozen.forward_face(face) * torch.linspace(0, 1, 512)).sum().backward()
    assert face.grad is not None
    assert face.grad.abs().max() > 0


def test_weights_with_a_module_prefix_load_and_others_are_refused(expert: LipExpert) -> None:
    net = LipExpert().eval()
    net.load_official({f"module.{key}": value for key, value in hashed(expert).items()})
    ones = np.ones((80, 16))
    np.testing.assert_array_equal(net.embed_audio(ones), expert.embed_audio(ones))
    with pytest.raises(CheckpointError, match="not those of Wav2Lip's lip expert"):
        net.load_official({"netcnnlip.0.weight": torch.zeros(1)})
    with pytest.raises(CheckpointError, match="frozen"):
        net.freeze().load_official(hashed(expert))


def test_wrong_inputs_say_what_was_expected(expert: LipExpert, crops: np.ndarray) -> None:
    with pytest.raises(FeatureError, match=r"expected \(B, 15, 48, 96\)"):
        expert.forward_face(torch.zeros(1, 15, 96, 96))
    with pytest.raises(FeatureError, match=r"expected \(B, 1, 80, 16\)"):
        expert.forward_audio(torch.zeros(1, 80, 16))
    with pytest.raises(FeatureError, match=r"expected uint8 \(T, 96, 96, 3\)"):
        expert.embed_face(crops[:, :48])
    with pytest.raises(FeatureError, match="at least 5 frames"):
        expert.embed_face(crops[:4])
    with pytest.raises(FeatureError, match=r"expected \(80, M >= 16\)"):
        expert.embed_audio(np.zeros((80, 15)))
    with pytest.raises(FeatureError, match="training mode"):
        LipExpert().train().embed_face(crops)
