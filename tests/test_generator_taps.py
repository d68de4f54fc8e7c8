"""What is said of a generator's maps is read from its forward pass."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from tfg.errors import FeatureError
from tfg.generator import Generator, GeneratorConfig
from tfg.generator_inputs import GeneratorInputs
from tfg.generator_taps import cost, decoder_maps, flow, kept

TINY = GeneratorConfig(16, (16, 32, 32), (0, 0, 1), (0, 1, 2), 2, (16, 16, 16, 16), 0, 8)


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> None:
    torch.set_num_threads(1)


def inputs(n: int = 2) -> GeneratorInputs:
    generator = torch.Generator().manual_seed(0)
    faces = [torch.rand(n, 3, 16, 16, generator=generator) for _ in range(2)]
    return GeneratorInputs(torch.randn(n, 1, 80, 16, generator=generator), faces[0], faces[1])


def test_flow_has_the_shapes_and_connections_of_the_configuration() -> None:
    found = flow(Generator(TINY), inputs())
    assert found.pose == found.identity == found.decoder == ((16, 16, 16), (32, 8, 8), (32, 4, 4))
    assert found.joined == (("pose", "below"), ("pose", "below", "identity"), ("pose", "identity"))
    assert found.heard == TINY.decoder_blocks
    assert found.embedding == 8
    assert found.sound == ((1, 80, 16), (16, 80, 16), (16, 40, 8), (16, 20, 4), (16, 10, 2))
    everywhere = flow(Generator(dataclasses.replace(TINY, identity_scales=3)), inputs())
    assert "identity" in everywhere.joined[0]


def test_watching_changes_nothing_and_leaves_no_hook() -> None:
    generator, given = Generator(TINY), inputs()
    before = generator(*given)
    maps = decoder_maps(generator, given)
    flow(generator, given)
    torch.testing.assert_close(generator(*given), before, rtol=0, atol=0)
    assert [tuple(x.shape) for x in maps] == [(2, 16, 16, 16), (2, 32, 8, 8), (2, 32, 4, 4)]
    assert not any(module._forward_hooks for module in generator.modules())


def test_the_last_map_is_what_the_head_draws_from() -> None:
    generator, given = Generator(TINY), inputs()
    other = given._replace(audio=-given.audio)
    maps = decoder_maps(generator, given), decoder_maps(generator, other)
    moved = [bool((a != b).any()) for a, b in zip(*maps, strict=True)]
    assert moved == [True, True, True], "what the sound changes at coarse scales reaches the fine ones"


def test_what_is_kept_is_what_the_face_keeps() -> None:
    """Between faces that are all kept and all drawn, the face lies where the shares say."""
    generator, given = Generator(TINY).requires_grad_(False), inputs()
    head = generator.decoder.head
    head.weight *= 50
    shares, face = kept(generator, given), generator(*given)
    assert shares.shape == (2, 16, 16)
    assert (shares[:, :8] == 0).all()
    assert shares[:, 8:].std() > 0.05, "the network says where"
    head.weight[3:], head.bias[3] = 0, 40
    drawn = generator(*given)
    torch.testing.assert_close(face, torch.lerp(drawn, given.identity_reference, shares[:, None]))
    with pytest.raises(FeatureError, match="hidden half is 'grey'"):
        kept(Generator(dataclasses.replace(TINY, hidden="grey")), given)


def test_cost_counts_parameters_and_operations_without_computing() -> None:
    found = cost(lambda: Generator(TINY))
    assert found["pixels"] == 16
    assert found["parameters"] == pytest.approx(sum(p.numel() for p in Generator(TINY).parameters()) / 1e6)
    twice = cost(lambda: Generator(dataclasses.replace(TINY, image_size=32)))
    assert twice["parameters"] == found["parameters"]
    assert 2 < twice["gflops"] / found["gflops"] < 4, "four times the pixels, but the sound costs the same"
