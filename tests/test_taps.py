"""Taps report what the network computes, in every size, and leave it as it was."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tfg.errors import FeatureError
from tfg.experts import taps
from tfg.experts.avhubert import AVHubert, AVHubertConfig

FRAMES = 12


@pytest.fixture(scope="module", params=["trained", "frozen"])
def model(request: pytest.FixtureRequest) -> AVHubert:
    config = replace(AVHubertConfig.mini(), width=4, embed_dim=32, layers=3, heads=4, ffn_dim=64, pos_kernel=8)
    torch.manual_seed(0)
    network = AVHubert(config).eval()
    for parameter in network.encoder.layers.parameters():
        torch.nn.init.normal_(parameter, std=0.3)  # attention that picks
    return network.freeze() if request.param == "frozen" else network


@pytest.fixture(scope="module")
def clip() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    return torch.randn(2, FRAMES, 104), torch.randn(2, FRAMES, 88, 88)


@torch.inference_mode()
def test_stages_are_the_features_of_each_layer(model: AVHubert, clip: tuple[torch.Tensor, torch.Tensor]) -> None:
    audio, video = clip
    for given in ({"audio": audio}, {"video": video}, {"audio": audio, "video": video}):
        found = taps.stages(model, **given)
        assert list(found) == ["projected", "layer 1", "layer 2", "layer 3", "final norm"]
        for i in (1, 2, 3):
            torch.testing.assert_close(found[f"layer {i}"], model.features(**given, layer=i))
        torch.testing.assert_close(found["final norm"], model.features(**given))
        assert found["projected"].shape == (2, FRAMES, 32)


@torch.inference_mode()
def test_attention_weighs_the_values_into_the_layers_output(
    model: AVHubert, clip: tuple[torch.Tensor, torch.Tensor]
) -> None:
    audio, video = clip
    weights = taps.attention(model, audio, video)
    assert weights.shape == (2, 3, 4, FRAMES, FRAMES)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 3, 4, FRAMES))
    x = taps.stages(model, audio, video)["layer 1"]  # goes into the second layer
    layer = model.encoder.layers[1]
    x = layer.self_attn_layer_norm(x)
    values = layer.self_attn.v_proj(x).view(2, FRAMES, 4, 8).transpose(1, 2)
    collected = (weights[:, 1] @ values).transpose(1, 2).reshape(2, FRAMES, 32)
    torch.testing.assert_close(layer.self_attn.out_proj(collected), layer.self_attn(x, None), rtol=1e-4, atol=1e-4)
    assert weights.std() > 0.01, "even weights would prove nothing"


def test_nothing_stays_behind(model: AVHubert, clip: tuple[torch.Tensor, torch.Tensor]) -> None:
    taps.stages(model, audio=clip[0])
    taps.attention(model, audio=clip[0])
    with pytest.raises(FeatureError):
        taps.stages(model)
    assert not any(module._forward_hooks for module in model.modules())
