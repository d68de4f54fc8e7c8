"""Wav2Lip's released generator: its architecture and names, its colours, and what it refuses to load."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from tfg.errors import CheckpointError, FeatureError
from tfg.experts.registry import find_weights
from tfg.generator import load_generator
from tfg.wav2lip import Wav2LipGenerator


@pytest.fixture(scope="module")
def net() -> Wav2LipGenerator:
    torch.manual_seed(0)
    return Wav2LipGenerator().eval().requires_grad_(False)


@pytest.fixture(scope="module")
def inputs() -> tuple[Tensor, Tensor, Tensor]:
    draw = torch.Generator().manual_seed(0)
    return (
        torch.rand(1, 1, 80, 16, generator=draw) * 8 - 4,
        torch.rand(1, 3, 96, 96, generator=draw),
        torch.rand(1, 3, 96, 96, generator=draw),
    )


def test_architecture_has_the_released_parameters_names_and_shapes() -> None:
    with torch.device("meta"):
        state = Wav2LipGenerator().state_dict()
        assert sum(p.numel() for p in Wav2LipGenerator().parameters()) == 36_298_035
    assert {key.split(".")[0] for key in state} == {
        "face_encoder_blocks", "audio_encoder", "face_decoder_blocks", "output_block"
    }  # fmt: skip
    for key, shape in {
        "face_encoder_blocks.0.0.conv_block.0.weight": (16, 6, 7, 7),
        "face_encoder_blocks.2.3.conv_block.1.running_mean": (64,),
        "face_encoder_blocks.6.1.conv_block.0.weight": (512, 512, 1, 1),
        "audio_encoder.12.conv_block.0.weight": (512, 512, 1, 1),
        "face_decoder_blocks.0.0.conv_block.0.weight": (512, 512, 1, 1),
        "face_decoder_blocks.1.0.conv_block.0.weight": (1024, 512, 3, 3),  # transposed: in, out
        "face_decoder_blocks.3.0.conv_block.0.weight": (768, 384, 3, 3),
        "face_decoder_blocks.6.2.conv_block.0.weight": (64, 64, 3, 3),
        "output_block.0.conv_block.0.weight": (32, 80, 3, 3),
        "output_block.1.weight": (3, 32, 1, 1),
    }.items():
        assert state[key].shape == shape, key


def test_maps_have_the_published_sizes(net: Wav2LipGenerator, inputs: tuple[Tensor, Tensor, Tensor]) -> None:
    sizes: dict[str, list[tuple[int, ...]]] = {"encoder": [], "decoder": []}
    hooks = [
        block.register_forward_hook(lambda _, __, out, where=where: sizes[where].append((out.shape[1], out.shape[2])))
        for where, blocks in (("encoder", net.face_encoder_blocks), ("decoder", net.face_decoder_blocks))
        for block in blocks
    ]
    face = net(*inputs)
    for hook in hooks:
        hook.remove()
    assert sizes["encoder"] == [(16, 96), (32, 48), (64, 24), (128, 12), (256, 6), (512, 3), (512, 1)]
    assert sizes["decoder"] == [(512, 1), (512, 3), (512, 6), (384, 12), (256, 24), (128, 48), (64, 96)]
    assert face.shape == (1, 3, 96, 96)
    assert 0 <= face.min() < face.max() <= 1


def test_lower_half_of_the_pose_reference_has_no_influence(
    net: Wav2LipGenerator, inputs: tuple[Tensor, Tensor, Tensor]
) -> None:
    audio, identity, pose = inputs
    other = pose.clone()
    other[:, :, 48:] = torch.nan
    assert torch.equal(net(audio, identity, pose), net(audio, identity, other))


def test_released_network_sees_masked_target_first_in_blue_green_red(
    net: Wav2LipGenerator, inputs: tuple[Tensor, Tensor, Tensor]
) -> None:
    audio, identity, pose = inputs
    seen: list[Tensor] = []
    drawn: list[Tensor] = []
    hooks = [
        net.face_encoder_blocks[0].register_forward_pre_hook(lambda _, args: seen.append(args[0])),
        net.output_block.register_forward_hook(lambda _, __, out: drawn.append(out)),
    ]
    face = net(audio, identity, pose)
    for hook in hooks:
        hook.remove()
    assert torch.equal(seen[0][:, :3, :48], pose[:, [2, 1, 0], :48])
    assert seen[0][:, :3, 48:].abs().max() == 0
    assert torch.equal(seen[0][:, 3:], identity[:, [2, 1, 0]])
    assert torch.equal(face, drawn[0][:, [2, 1, 0]])


def test_released_file_loads_by_path_with_and_without_module_prefix(
    net: Wav2LipGenerator, inputs: tuple[Tensor, Tensor, Tensor], tmp_path: Path
) -> None:
    path = tmp_path / "wav2lip.pth"
    state = {f"module.{key}": value for key, value in net.state_dict().items()}
    torch.save({"state_dict": state, "optimizer": None, "global_step": 1, "global_epoch": 1}, path)
    loaded = load_generator(path)
    assert isinstance(loaded, Wav2LipGenerator)
    assert not loaded.training
    assert not any(p.requires_grad for p in loaded.parameters())
    assert torch.equal(loaded(*inputs), net(*inputs))
    loaded.load_official(net.state_dict())
    loaded.load_official(state)


def test_other_architectures_are_refused_and_nothing_is_loaded(net: Wav2LipGenerator) -> None:
    before = net.output_block[1].weight.clone()
    larger = {**net.state_dict(), "face_encoder_blocks.7.0.conv_block.0.weight": torch.zeros(1)}  # as 288-pixel forks
    smaller = {key: value for key, value in net.state_dict().items() if not key.startswith("output_block")}
    resized = {**net.state_dict(), "output_block.1.weight": torch.zeros(3, 64, 1, 1)}
    for state, problem in ((larger, "1 unknown"), (smaller, "missing"), (resized, "of another shape")):
        with pytest.raises(CheckpointError, match=f"not those of Wav2Lip's generator.*{problem}"):
            net.load_official(state)
        assert torch.equal(net.output_block[1].weight, before)


def test_registry_says_how_to_get_the_weights() -> None:
    for name in ("wav2lip", "wav2lip-gan"):
        entry = find_weights(name)
        assert entry.kind == "wav2lip"
        assert entry.url is None
        assert "commercial" in entry.licence


def test_wrong_input_shapes_say_what_was_expected(net: Wav2LipGenerator, inputs: tuple[Tensor, Tensor, Tensor]) -> None:
    audio, identity, pose = inputs
    with pytest.raises(FeatureError, match=r"expected \(N, 1, 80, 16\), \(N, 3, 96, 96\)"):
        net(audio, identity[..., :48], pose)
