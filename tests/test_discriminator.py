"""The discriminator: its sizes, what a logit sees, its bounded slope."""

from __future__ import annotations

import pytest
import torch

from tfg.discriminator import Discriminator, DiscriminatorConfig
from tfg.errors import FeatureError

TINY = DiscriminatorConfig(32, (8, 8))


@pytest.mark.parametrize(
    ("name", "size", "parameters", "logits"),
    [("mini", 96, 692_449, 6), ("size96", 96, 2_761_153, 6), ("size256", 256, 6_955_969, 8)],
)
def test_each_configuration_has_the_size_that_is_documented(name: str, size: int, parameters: int, logits: int) -> None:
    for region, rows in (("face", logits), ("lower", logits // 2)):
        with torch.device("meta"):  # shapes alone
            net = Discriminator(getattr(DiscriminatorConfig, name)(region))
            assert sum(p.numel() for p in net.parameters()) == parameters
            assert net(torch.rand(1, 3, size, size)).shape == (1, 1, rows, logits)


def test_a_logit_sees_a_patch_of_the_stated_size() -> None:
    config = DiscriminatorConfig(96, (4, 4, 4))
    faces = torch.rand(1, 3, 96, 96, requires_grad=True)
    Discriminator(config)(faces)[0, 0, 6, 6].backward()
    assert faces.grad is not None
    seen = faces.grad.abs().amax(dim=(0, 1)) > 0
    for side in (seen.any(dim=0), seen.any(dim=1)):
        places = side.nonzero()
        assert int(places.max() - places.min()) + 1 == config.patch_size == 38


def test_lower_region_does_not_see_the_upper_half_and_the_face_does() -> None:
    for region, upper in (("lower", False), ("face", True)):
        faces = torch.rand(1, 3, 32, 32, requires_grad=True)
        Discriminator(DiscriminatorConfig(32, (8, 8), region))(faces).sum().backward()  # type: ignore[arg-type]
        assert faces.grad is not None
        assert bool(faces.grad[:, :, :16].abs().max() > 0) is upper
        assert faces.grad[:, :, 16:].abs().max() > 0


def test_largest_singular_value_stays_one_while_weights_grow() -> None:
    net = Discriminator(TINY)
    optimiser = torch.optim.SGD(net.parameters(), lr=1.0)
    for _ in range(30):
        loss = -net(torch.rand(4, 3, 32, 32)).abs().sum()  # nothing but growth lowers this
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    for layer in net.eval().layers:
        if hasattr(layer, "weight"):
            assert torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2).item() == pytest.approx(1, abs=0.05)


def test_it_learns_to_tell_two_kinds_apart() -> None:
    net = Discriminator(TINY)
    optimiser = torch.optim.Adam(net.parameters(), lr=3e-3)
    flat = torch.full((8, 3, 32, 32), 0.5)
    for _ in range(30):
        noisy = torch.rand(8, 3, 32, 32)
        logits = net(noisy), net(flat)
        loss = torch.nn.functional.softplus(-logits[0]).mean() + torch.nn.functional.softplus(logits[1]).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert logits[0].mean() > logits[1].mean() + 0.5


def test_gradient_reaches_every_parameter_also_in_bfloat16() -> None:
    net = Discriminator(TINY)
    with torch.autocast("cpu", torch.bfloat16):
        logits = net(torch.rand(2, 3, 32, 32))
    logits.float().square().sum().backward()
    assert [name for name, p in net.named_parameters() if p.grad is None or not p.grad.abs().max() > 0] == []


def test_state_dict_restores_the_very_same_logits_and_next_step() -> None:
    faces = torch.rand(2, 3, 32, 32)
    net, copy = Discriminator(TINY, seed=1), Discriminator(TINY, seed=2)
    net(faces)  # moves the power iteration, which is part of the state
    copy.load_state_dict(net.state_dict())
    assert torch.equal(net(faces), copy(faces))
    assert torch.equal(net(faces), copy(faces))


def test_same_seed_same_weights_and_no_trace_in_the_global_generator() -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first, second = Discriminator(TINY, seed=3), Discriminator(TINY, seed=3)
    assert torch.equal(torch.rand(1), expected)
    for key, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[key])


def test_wrong_sizes_and_shapes_say_what_was_expected() -> None:
    with pytest.raises(FeatureError, match="multiple of 32"):
        DiscriminatorConfig(80, (8, 8, 8, 8))
    with pytest.raises(FeatureError, match="at least one positive"):
        DiscriminatorConfig(96, ())
    with pytest.raises(FeatureError, match="expected 'face' or 'lower'"):
        DiscriminatorConfig(96, (8,), "mouth")  # type: ignore[arg-type]
    with pytest.raises(FeatureError, match=r"expected \(N, 3, 32, 32\)"):
        Discriminator(TINY)(torch.rand(1, 3, 16, 32))
