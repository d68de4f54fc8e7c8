"""AV-HuBERT by itself: shapes, traps that change results, loading, the frozen form, input errors. No peer needed."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tfg.errors import CheckpointError, FeatureError
from tfg.experts import resnet
from tfg.experts.avhubert import AVHubert, AVHubertConfig, PositionConv
from tfg.experts.folding import FrozenLinear, FrozenPositionConv
from tfg.experts.resnet import ChannelPReLU, StackedFrameConv, VisualFrontEnd, stack_neighbours

TINY = replace(
    AVHubertConfig.mini(), width=8, embed_dim=32, layers=2, ffn_dim=48, pos_kernel=8, final_dim=6, n_classes=9
)


def randomise(model: nn.Module, seed: int = 0) -> nn.Module:
    """Give every entry, batch-norm statistics included, a value that no initialisation would."""
    generator = torch.Generator().manual_seed(seed)
    for name, x in model.state_dict().items():
        if name.endswith("running_var"):
            x.uniform_(0.5, 2, generator=generator)
        elif x.is_floating_point() and x.ndim < 2:
            x.add_(torch.randn(x.shape, generator=generator), alpha=0.1)
    return model


@pytest.fixture
def tiny() -> AVHubert:
    torch.manual_seed(0)
    model = AVHubert(TINY)
    randomise(model)
    return model.eval()


@pytest.fixture
def clip() -> tuple[Tensor, Tensor]:
    """Audio (2, 7, 104) and video (2, 7, 88, 88)."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, 7, 104, generator=generator), torch.randn(2, 7, 88, 88, generator=generator)


# ---- the published numbers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "parameters", "entries"), [("base", 103_330_280, 346), ("large", 325_398_504, 538)])
def test_size_of_the_released_models(name: str, parameters: int, entries: int) -> None:
    with torch.device("meta"):
        model = AVHubert(getattr(AVHubertConfig, name)())
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert len(model.state_dict()) == entries


def test_mini_fits_ten_megabytes_as_float16() -> None:
    with torch.device("meta"):
        model = AVHubert(AVHubertConfig.mini())
    assert 2 * sum(x.numel() for x in model.state_dict().values()) < 10e6


@pytest.mark.parametrize("name", ["mini", "base", "large"])
def test_configuration_is_read_off_a_state_dict(name: str) -> None:
    config = replace(getattr(AVHubertConfig, name)(), n_classes=504)
    with torch.device("meta"):
        state = AVHubert(config).state_dict()
    assert AVHubertConfig.from_state_dict(state) == config
    assert config.name == name


# ---- what features mean ----------------------------------------------------------------------------------------------


def test_missing_modality_is_zeros_after_its_projection(tiny: AVHubert, clip: tuple[Tensor, Tensor]) -> None:
    audio, video = clip
    heard = tiny.audio_front(audio)
    torch.testing.assert_close(tiny.features(audio=audio), tiny.fuse_and_encode(heard, torch.zeros_like(heard)))
    black = tiny.features(audio=audio, video=torch.zeros_like(video))
    assert (black - tiny.features(audio=audio)).abs().max() > 0.1, "a black video is not a missing one"


def test_audio_comes_first_in_the_fusion(tiny: AVHubert) -> None:
    with torch.no_grad():
        tiny.post_extract_proj.weight[:, TINY.embed_dim :] = 0  # deaf to the second half ...
        tiny.layer_norm.weight.fill_(1)
    seen, heard = torch.randn(1, 5, TINY.embed_dim), torch.randn(1, 5, TINY.embed_dim)
    heard, seen = F.layer_norm(heard, (TINY.embed_dim,)), F.layer_norm(seen, (TINY.embed_dim,))
    same = tiny.fuse_and_encode(heard, seen), tiny.fuse_and_encode(heard, seen.flip(1))
    torch.testing.assert_close(*same)  # ... which must be the video
    assert (same[0] - tiny.fuse_and_encode(heard.flip(1), seen)).abs().max() > 0.1


def test_last_layer_has_two_meanings(tiny: AVHubert, clip: tuple[Tensor, Tensor]) -> None:
    audio, _ = clip
    last = tiny.features(audio=audio, layer=TINY.layers)
    torch.testing.assert_close(tiny.encoder.layer_norm(last), tiny.features(audio=audio))
    assert (last - tiny.features(audio=audio)).abs().max() > 0.1
    assert (last - tiny.features(audio=audio, layer=1)).abs().max() > 0.01


@pytest.mark.parametrize("modality", ["audio", "video"])
def test_padding_changes_nothing_whatever_it_holds(tiny: AVHubert, clip: tuple[Tensor, Tensor], modality: str) -> None:
    x = dict(zip(("audio", "video"), clip, strict=True))[modality].clone()
    mask = torch.zeros(2, 7, dtype=torch.bool)
    mask[1, 4:] = True
    x[1, 4:] = 1e3
    batch = tiny.features(**{modality: x}, padding_mask=mask)
    torch.testing.assert_close(batch[1, :4], tiny.features(**{modality: x[1:, :4]})[0], rtol=0, atol=2e-5)
    torch.testing.assert_close(batch[0], tiny.features(**{modality: x[:1]})[0], rtol=0, atol=2e-5)


def test_gradient_reaches_the_pixels_at_full_strength(tiny: AVHubert, clip: tuple[Tensor, Tensor]) -> None:
    """The authors' pre-training code passes a tenth; a finite difference tells."""
    video = clip[1][:1, :3].clone().requires_grad_()
    weights = torch.randn(1, 3, TINY.embed_dim)
    (gradient,) = torch.autograd.grad((tiny.features(video=video) * weights).sum(), video)
    step = 1e-3 * gradient / gradient.norm()
    with torch.no_grad():
        ends = [(tiny.features(video=video + sign * step).double() * weights).sum() for sign in (1, -1)]
    assert float(ends[0] - ends[1]) / 2e-3 == pytest.approx(float(gradient.norm()), rel=0.03)


def test_video_front_looks_two_frames_around(tiny: AVHubert, clip: tuple[Tensor, Tensor]) -> None:
    video = clip[1][:1]
    changed = video.clone()
    changed[:, 3] += 1
    differs = (tiny.video_front(video) - tiny.video_front(changed)).abs().amax(-1)[0] > 1e-4
    assert differs.tolist() == [False, True, True, True, True, True, False]


def test_logits_are_cosines_over_a_tenth(tiny: AVHubert) -> None:
    features = torch.randn(2, 3, TINY.embed_dim)
    assert tiny.final_proj is not None
    projected = tiny.final_proj(features)[:, :, None]
    expected = F.cosine_similarity(projected, tiny.label_embs_concat[None, None], dim=-1) / 0.1
    torch.testing.assert_close(tiny.logits(features), expected)


# ---- parts against PyTorch's own -------------------------------------------------------------------------------------


@pytest.mark.parametrize("frames", [1, 7, 8, 9, 30])
@pytest.mark.parametrize("kernel", [8, 5])
def test_position_conv_equals_a_weight_normed_convolution(frames: int, kernel: int) -> None:
    own = PositionConv(12, kernel, groups=3)
    nn.init.uniform_(own.weight_g, 0.5, 2)
    nn.init.normal_(own.bias)
    conv = nn.Conv1d(12, 12, kernel, padding=kernel // 2, groups=3)
    conv.weight.data = own.weight_v / own.weight_v.norm(dim=(0, 1), keepdim=True) * own.weight_g
    conv.bias = own.bias
    x = torch.randn(2, frames, 12)
    torch.testing.assert_close(own(x), conv(x.mT)[..., :frames].mT, rtol=0, atol=2e-6)


def test_stacked_frames_equal_a_3d_convolution() -> None:
    conv = StackedFrameConv(4)
    video = torch.randn(2, 6, 20, 20)
    expected = nn.Conv3d.forward(conv, video[:, None]).transpose(1, 2).flatten(0, 1)
    torch.testing.assert_close(conv(stack_neighbours(video)), expected, rtol=0, atol=1e-5)


def test_prelu_and_its_gradient_are_pytorchs() -> None:
    prelu = ChannelPReLU(5)
    prelu.weight.data = torch.tensor([-0.5, 0, 0.3, 1, 2])
    x = torch.randn(3, 5, 4, 6, requires_grad=True)
    upstream = torch.randn(3, 5, 4, 6)
    expected = F.prelu(x, prelu.weight)
    torch.testing.assert_close(prelu(x), expected)
    with torch.no_grad():
        torch.testing.assert_close(prelu(x), expected)
    inputs = (x, prelu.weight)
    torch.testing.assert_close(
        torch.autograd.grad(prelu(x), inputs, upstream), torch.autograd.grad(expected, inputs, upstream)
    )


def test_frames_in_parts_equal_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    front = randomise(VisualFrontEnd(width=4, video_pool=2)).eval()
    video = torch.randn(2, 9, 88, 88)
    whole = front(video)
    monkeypatch.setattr(resnet, "IMAGES_AT_ONCE", {False: 4})
    torch.testing.assert_close(front(video), whole, rtol=0, atol=1e-5)


# ---- the frozen form -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slope", [0.25, -0.25])
def test_frozen_features_and_gradients_are_the_same(tiny: AVHubert, clip: tuple[Tensor, Tensor], slope: float) -> None:
    tiny.feature_extractor_video.resnet.frontend3D[2].weight.data.fill_(slope)  # type: ignore[union-attr]
    frozen = tiny.freeze()
    for audio, video in ((clip[0], None), (None, clip[1]), clip):
        expected = tiny.features(audio, video)
        torch.testing.assert_close(frozen.features(audio, video), expected, rtol=0, atol=1e-5)
        torch.testing.assert_close(frozen.logits(expected), tiny.logits(expected), rtol=0, atol=1e-5)
    pixels = clip[1].clone().requires_grad_()
    upstream = torch.randn(2, 7, TINY.embed_dim)
    gradients = [torch.autograd.grad(m.features(video=pixels), pixels, upstream)[0] for m in (frozen, tiny)]
    torch.testing.assert_close(*gradients, rtol=0, atol=1e-5 * float(gradients[1].abs().max()))


def test_frozen_model_has_nothing_to_train_and_ignores_train_mode(tiny: AVHubert, clip: tuple[Tensor, Tensor]) -> None:
    frozen = tiny.freeze()
    before = frozen.features(*clip)
    frozen.train()  # as a training loop does with everything that it holds
    torch.testing.assert_close(frozen.features(*clip), before)
    assert not before.requires_grad
    assert not any(p.requires_grad for p in frozen.parameters())
    assert all(p.requires_grad for p in tiny.parameters()), "the original must stay as it was"
    assert not any(isinstance(m, (nn.Linear, nn.BatchNorm2d)) for m in frozen.modules())
    assert isinstance(frozen.encoder.pos_conv[0], FrozenPositionConv)


def test_frozen_model_can_be_copied_and_frozen_again(tiny: AVHubert, clip: tuple[Tensor, Tensor]) -> None:
    frozen = tiny.freeze()
    before = frozen.features(*clip)  # packs the weights
    torch.testing.assert_close(copy.deepcopy(frozen).features(*clip), before)
    assert frozen.freeze() is frozen
    assert isinstance(frozen.post_extract_proj, FrozenLinear)


# ---- loading ---------------------------------------------------------------------------------------------------------


def fine_tuned(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    kept = {prefix + name: x for name, x in state.items() if not name.startswith("final_proj")}
    return kept | {
        "decoder.embed_tokens.weight": torch.zeros(5, 4),
        "decoder.embed_positions._float_tensor": torch.zeros(1),
        "decoder.layers.0.self_attn.k_proj.weight": torch.zeros(4, 4),
        "decoder.layers.0.encoder_attn.out_proj.bias": torch.zeros(4),
        "decoder.layers.0.encoder_attn_layer_norm.weight": torch.zeros(4),
        "decoder.layers.0.fc2.bias": torch.zeros(4),
        "decoder.layer_norm.bias": torch.zeros(4),
        "w2v_encoder.proj.weight": torch.zeros(4, 4),
    }


@pytest.mark.parametrize("prefix", ["", "encoder.w2v_model.", "w2v_encoder.w2v_model."])
def test_released_names_load(tiny: AVHubert, clip: tuple[Tensor, Tensor], prefix: str) -> None:
    state = fine_tuned(tiny.state_dict(), prefix) if prefix else tiny.state_dict()
    loaded = AVHubert(TINY).eval()
    loaded.load_official(state)
    torch.testing.assert_close(loaded.features(*clip), tiny.features(*clip))
    if prefix:
        with pytest.raises(FeatureError, match="fine-tuned"):
            loaded.logits(loaded.features(*clip))
    else:
        torch.testing.assert_close(loaded.logits(loaded.features(*clip)), tiny.logits(tiny.features(*clip)))


def test_mask_embedding_of_either_size_loads(tiny: AVHubert) -> None:
    state = tiny.state_dict() | {"mask_emb": torch.full((TINY.embed_dim,), 0.5)}
    tiny.load_official(state)
    assert tiny.mask_emb.tolist() == [0.5] * TINY.embed_dim
    assert tiny.config.mask_emb_dim == TINY.embed_dim


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("layer_norm.bias"), r"1 missing \(layer_norm.bias"),
        (lambda s: s.pop("final_proj.bias"), r"1 missing \(final_proj.bias"),
        (lambda s: s.update({"decoder.extra": torch.zeros(1)}), r"1 unknown \(decoder.extra"),
        (lambda s: s.update(mask_emb=torch.zeros(7)), r"mask_emb is \(7,\), expected \(104,\)"),
        (lambda s: s.update(cfg={"lr": 1}), "'cfg' is a dict.*under 'model'"),
    ],
)
def test_entries_that_do_not_fit_are_named_and_nothing_is_loaded(tiny: AVHubert, change, message: str) -> None:  # type: ignore[no-untyped-def]
    state = {name: x + 1 for name, x in tiny.state_dict().items()}
    before = tiny.post_extract_proj.bias.clone()
    change(state)
    with pytest.raises(CheckpointError, match=message):
        tiny.load_official(state)
    torch.testing.assert_close(tiny.post_extract_proj.bias, before)


def test_unknown_entry_beside_a_fine_tuned_model_is_refused(tiny: AVHubert) -> None:
    state = fine_tuned(tiny.state_dict(), "encoder.w2v_model.") | {"decoder.adapter.weight": torch.zeros(1)}
    with pytest.raises(CheckpointError, match=r"1 unknown \(decoder.adapter.weight"):
        tiny.load_official(state)


def test_wrong_size_is_recognised() -> None:
    with torch.device("meta"):
        large, base = AVHubert(AVHubertConfig.large()), AVHubert(AVHubertConfig.base())
    with pytest.raises(CheckpointError, match="These are the shapes of large; you built base"):
        base.load_official(large.state_dict())
    with pytest.raises(CheckpointError, match="no AV-HuBERT that is known here"):
        base.load_official({"weight": torch.zeros(1)})


# ---- inputs ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "audio, video or both"),
        ({"audio": torch.zeros(5, 104)}, r"audio\[None\]"),
        ({"audio": torch.zeros(1, 104, 5)}, r"audio.transpose\(1, 2\)"),
        ({"audio": torch.zeros(1, 20, 26)}, "four consecutive rows"),
        ({"audio": torch.zeros(1, 5, 104, dtype=torch.int16)}, "torch.int16"),
        ({"audio": torch.zeros(1, 0, 104)}, "nothing to encode"),
        ({"video": torch.zeros(5, 88, 88)}, r"video\[None\]"),
        ({"video": torch.zeros(1, 1, 5, 88, 88)}, r"video\[:, 0\]"),
        ({"video": torch.zeros(1, 5, 96, 96)}, "mouth_video"),
        ({"video": torch.zeros(1, 5, 88, 88, dtype=torch.uint8)}, r"\(x/255 - 0.421\) / 0.165"),
        ({"audio": torch.zeros(1, 5, 104), "video": torch.zeros(1, 6, 88, 88)}, r"different \(B, T\)"),
        ({"audio": torch.zeros(1, 5, 104), "padding_mask": torch.zeros(1, 5)}, "torch.bool"),
        ({"audio": torch.zeros(1, 5, 104), "padding_mask": torch.ones(1, 5, dtype=torch.bool)}, "every frame"),
        ({"audio": torch.zeros(1, 5, 104), "layer": 0}, r"1\.\.2"),
        ({"audio": torch.zeros(1, 5, 104), "layer": 3}, r"1\.\.2"),
    ],
)
def test_inputs_that_do_not_fit_say_what_to_do(tiny: AVHubert, given: dict, message: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(FeatureError, match=message):
        tiny.features(**given)


def test_dropout_and_layer_drop_act_in_training_only(tiny: AVHubert, clip: tuple[Tensor, Tensor]) -> None:
    audio = clip[0]
    torch.testing.assert_close(tiny.features(audio=audio), tiny.features(audio=audio))
    tiny.train()
    assert (tiny.features(audio=audio) - tiny.features(audio=audio)).abs().max() > 1e-3
    skipping = AVHubert(replace(TINY, dropout=0.0, layerdrop=1.0)).train()
    torch.testing.assert_close(  # every layer skipped: the position convolution and the final norm are left
        skipping.features(audio=audio), skipping.encoder.layer_norm(_before_layers(skipping, audio))
    )


def _before_layers(model: AVHubert, audio: Tensor) -> Tensor:
    heard = model.audio_front(audio)
    x = model.post_extract_proj(model.layer_norm(torch.cat([heard, torch.zeros_like(heard)], -1)))
    return x + model.encoder.pos_conv(x)
