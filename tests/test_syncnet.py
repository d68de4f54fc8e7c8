"""SyncNet: the released architecture, equal embeddings by every route, and a copy that is safe to score with."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from synthetic_weights import hashed
from torch.nn import functional as F

from tfg.errors import CheckpointError, FeatureError
from tfg.experts.syncnet import SyncNet, SyncNetConfig

SIZE = 112


@pytest.fixture(scope="module")
def mini() -> SyncNet:
    net = SyncNet(SyncNetConfig.mini()).eval()
    net.load_official(hashed(net))
    return net


@pytest.fixture(scope="module")
def crops() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (13, SIZE, SIZE, 3), dtype=np.uint8)


def _sine_filled(net: SyncNet) -> SyncNet:
    """Weights s * sin(0.7 i + phase(name)), for which the outputs of the released code are known."""
    state = {}
    for key, value in net.state_dict().items():
        if not value.is_floating_point():
            state[key] = value
            continue
        x = np.sin(0.7 * np.arange(value.numel()) + sum(map(ord, key)) % 97)
        if key.endswith("running_var") or (value.ndim == 1 and key.endswith("weight")):
            x = 1 + 0.1 * x
        else:
            x = (0.1 if key.endswith("running_mean") else 0.01) * x
        state[key] = torch.from_numpy(x.astype(np.float32)).reshape(value.shape)
    net.load_official(state)
    return net


def test_released_architecture_has_its_parameters_and_names() -> None:
    net = SyncNet(SyncNetConfig.v2())
    assert sum(p.numel() for p in net.parameters()) == 13_631_616
    state = net.state_dict()
    assert len(state) == 102
    assert state["netcnnlip.0.weight"].shape == (96, 3, 5, 7, 7)
    assert state["netcnnlip.18.weight"].shape == (512, 256, 1, 6, 6)
    assert state["netcnnaud.18.weight"].shape == (512, 256, 5, 4)
    assert state["netfcaud.3.weight"].shape == state["netfclip.3.weight"].shape == (1024, 512)


def test_released_architecture_gives_the_released_codes_numbers() -> None:
    net = _sine_filled(SyncNet()).eval()
    pixels = 127.5 + 127.5 * np.sin(0.013 * np.arange(3 * 5 * 224 * 224))
    cepstra = 10 * np.sin(0.3 * np.arange(13 * 20))
    with torch.no_grad():
        lip = net.forward_lip(torch.from_numpy(pixels).float().view(1, 3, 5, 224, 224))[0]
        audio = net.forward_audio(torch.from_numpy(cepstra).float().view(1, 1, 13, 20))[0]
    np.testing.assert_allclose(lip[:4], [0.062877, 0.031341, -0.001109, -0.030103], atol=2e-6)
    np.testing.assert_allclose(audio[:4], [0.049675, 0.024733, 0.002020, -0.018606], atol=2e-6)
    np.testing.assert_allclose([lip.std(), audio.std()], [0.075724, 0.075318], atol=2e-6)
    assert F.pairwise_distance(lip[None], audio[None]).item() == pytest.approx(0.319722, abs=5e-6)


def test_mini_fits_into_ten_megabytes() -> None:
    net = SyncNet(SyncNetConfig.mini())
    assert sum(p.numel() for p in net.parameters()) <= 2_400_000
    assert sum(v.numel() * 4 for v in net.state_dict().values()) < 10e6


def test_window_convolution_is_the_three_dimensional_one(mini: SyncNet) -> None:
    conv = mini.netcnnlip[0]
    windows = torch.randn(2, 3, 5, 20, 20)
    expected = F.conv3d(windows, conv.weight, conv.bias, stride=(1, 2, 2))[:, :, 0]
    torch.testing.assert_close(conv(windows.flatten(1, 2)), expected, rtol=1e-5, atol=1e-5)


def test_whole_clip_equals_single_windows_of_bgr_frames(mini: SyncNet, crops: np.ndarray) -> None:
    whole = mini.embed_face(crops, batch=4)
    assert whole.shape == (len(crops) - 4, 256)
    assert whole.dtype == np.float32
    bgr = torch.from_numpy(crops[..., ::-1].copy()).float().permute(3, 0, 1, 2)
    with torch.no_grad():
        for i in (0, 5, 8):
            np.testing.assert_allclose(whole[i], mini.forward_lip(bgr[None, :, i : i + 5])[0], atol=1e-6)
        rgb = mini.forward_lip(bgr.flip(0)[None, :, :5])[0].numpy()
    assert np.abs(whole[0] - rgb).max() > 1e-3  # the order of colours matters, and is handled


def test_batch_size_does_not_change_embeddings(mini: SyncNet, crops: np.ndarray) -> None:
    np.testing.assert_allclose(mini.embed_face(crops, batch=1), mini.embed_face(crops, batch=64), atol=1e-6)


def test_audio_row_i_hears_what_frame_i_begins(mini: SyncNet) -> None:
    cepstra = np.random.default_rng(1).normal(size=(59, 13)).astype(np.float32)
    rows = mini.embed_audio(cepstra)
    assert len(rows) == 10
    for i in (0, 3, 9):
        window = torch.from_numpy(cepstra[4 * i : 4 * i + 20].T.copy())[None, None]
        with torch.no_grad():
            np.testing.assert_allclose(rows[i], mini.forward_audio(window)[0], atol=1e-6)


@pytest.mark.parametrize(("frames", "samples", "pairs"), [(13, 13 * 640, 8), (13, 10 * 640 + 639, 5), (9, 13 * 640, 4)])
def test_pairs_are_counted_as_the_released_code_does(
    mini: SyncNet, crops: np.ndarray, frames: int, samples: int, pairs: int
) -> None:
    audio = np.random.default_rng(2).normal(scale=0.1, size=samples).astype(np.float32)
    lip, sound = mini.embed(crops[:frames], audio)
    assert lip.shape == sound.shape == (pairs, 256)
    np.testing.assert_allclose(lip, mini.embed_face(crops[:frames])[:pairs], atol=1e-6)


@pytest.mark.parametrize("config", [SyncNetConfig.mini(), SyncNetConfig(lip_widths=(4, 8, 8, 8, 8, 16))])
def test_frozen_copy_gives_the_same_embeddings(config: SyncNetConfig) -> None:
    net = SyncNet(config).eval()
    net.load_official(hashed(net))
    frozen = net.freeze()
    size = config.image_size
    crops = np.random.default_rng(3).integers(0, 256, (7, size, size, 3), dtype=np.uint8)
    cepstra = np.random.default_rng(4).normal(scale=5, size=(40, 13))
    lip = net.embed_face(crops)
    np.testing.assert_allclose(frozen.embed_face(crops), lip, rtol=1e-4, atol=1e-5 * np.abs(lip).max())
    np.testing.assert_allclose(frozen.embed_audio(cepstra), net.embed_audio(cepstra), rtol=1e-4, atol=1e-5)
    assert not any(isinstance(m, torch.nn.BatchNorm2d | torch.nn.BatchNorm1d) for m in frozen.modules())


def test_freezing_leaves_the_original_trainable(mini: SyncNet) -> None:
    before = {key: value.clone() for key, value in mini.state_dict().items()}
    frozen = mini.freeze()
    assert not any(p.requires_grad for p in frozen.parameters())
    assert all(p.requires_grad for p in mini.parameters())
    assert all(torch.equal(before[key], value) for key, value in mini.state_dict().items())
    np.testing.assert_array_equal(frozen.freeze().embed_audio(np.ones((20, 13))), frozen.embed_audio(np.ones((20, 13))))


def test_gradient_reaches_the_pixels_through_a_frozen_copy(mini: SyncNet) -> None:
    windows = torch.full((1, 3, 5, SIZE, SIZE), 99.0).add_(torch.rand(1, 3, 5, SIZE, SIZE)).requires_grad_()
    mini.freeze().forward_lip(windows).sum().backward()
    assert windows.grad is not None
    assert torch.isfinite(windows.grad).all()
    assert (windows.grad[0].abs().amax(dim=(0, 2, 3)) > 0).all()  # in each of the five frames


def test_mini_embeddings_are_not_negative(mini: SyncNet, crops: np.ndarray) -> None:
    assert mini.embed_face(crops).min() == 0
    assert mini.embed_audio(np.random.default_rng(5).normal(size=(40, 13))).min() >= 0


def test_training_mode_is_refused_for_scoring(crops: np.ndarray) -> None:
    net = SyncNet(SyncNetConfig.mini()).train()
    with pytest.raises(FeatureError, match="training mode"):
        net.embed_face(crops)
    with pytest.raises(FeatureError, match="training mode"):
        net.embed_audio(np.zeros((20, 13)))


def test_wrong_inputs_say_what_was_expected(mini: SyncNet, crops: np.ndarray) -> None:
    with pytest.raises(FeatureError, match=r"expected uint8 \(T, 112, 112, 3\)"):
        mini.embed_face(crops[:, ::2, ::2])
    with pytest.raises(FeatureError, match="expected uint8"):
        mini.embed_face(crops.astype(np.float32))
    with pytest.raises(FeatureError, match="at least 5 frames"):
        mini.embed_face(crops[:4])
    with pytest.raises(FeatureError, match=r"expected \(F, 13\)"):
        mini.embed_audio(np.zeros((13, 40)))
    with pytest.raises(FeatureError, match="at least 20"):
        mini.embed_audio(np.zeros((19, 13)))
    with pytest.raises(FeatureError, match="at least 6 frames"):
        mini.embed(crops[:5], np.zeros(6400, np.float32))
    with pytest.raises(FeatureError, match=r"expected \(N, 3, 5, 112, 112\)"):
        mini.forward_lip(torch.zeros(1, 3, 5, 224, 224))
    with pytest.raises(FeatureError, match=r"expected \(N, 1, 13, 20\)"):
        mini.forward_audio(torch.zeros(1, 13, 20))


def test_weights_of_a_parallel_run_and_of_an_old_torch_load(mini: SyncNet) -> None:
    old = {f"module.{k}": v for k, v in hashed(mini).items() if not k.endswith("num_batches_tracked")}
    net = SyncNet(SyncNetConfig.mini()).eval()
    net.load_official(old)
    ones = np.ones((20, 13))
    np.testing.assert_array_equal(net.embed_audio(ones), mini.embed_audio(ones))


def test_weights_of_another_network_are_refused_and_nothing_changes(mini: SyncNet) -> None:
    net = SyncNet(SyncNetConfig.mini())
    before = {key: value.clone() for key, value in net.state_dict().items()}
    with pytest.raises(
        CheckpointError, match=r"netcnnlip\.0\.weight is \(8, 3, 5, 7, 7\), expected \(32, 3, 5, 7, 7\)"
    ):
        net.load_official({**hashed(mini), "netcnnlip.0.weight": torch.zeros(8, 3, 5, 7, 7)})
    lacking = hashed(mini)
    del lacking["netfcaud.0.bias"]
    with pytest.raises(CheckpointError, match=r"1 missing \(netfcaud\.0\.bias\); 1 unknown \(extra\)"):
        net.load_official({**lacking, "extra": torch.zeros(1)})
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())
    with pytest.raises(CheckpointError, match="frozen"):
        net.freeze().load_official(hashed(mini))
