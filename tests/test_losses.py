"""Reconstruction, adversarial and perceptual losses against their definitions."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from tiny_experts import hubert
from torch import Tensor, nn

from tfg.errors import CheckpointError, LossError, WeightsError
from tfg.experts.expert import AVHubertExpert
from tfg.losses import PerceptualLoss, discriminator_loss, generator_loss, reconstruction_loss


def test_reconstruction_is_the_mean_absolute_difference() -> None:
    truth = torch.rand(2, 5, 3, 4, 4) * 0.5
    assert float(reconstruction_loss(truth + 0.25, truth)) == pytest.approx(0.25)
    with pytest.raises(LossError, match="expected equal"):
        reconstruction_loss(truth[:1], truth)  # would broadcast


def test_adversarial_losses_are_cross_entropy_without_its_overflow() -> None:
    real, generated = torch.randn(7, 1, dtype=torch.float64), torch.randn(9, 1, dtype=torch.float64)
    ones, zeros = torch.ones_like, torch.zeros_like
    entropy = F.binary_cross_entropy
    torch.testing.assert_close(generator_loss(generated), entropy(generated.sigmoid(), ones(generated)))
    torch.testing.assert_close(
        discriminator_loss(real, generated),
        entropy(real.sigmoid(), ones(real)) + entropy(generated.sigmoid(), zeros(generated)),
    )
    found_out = torch.tensor([-500.0], requires_grad=True)  # D is sure: BCE on the sigmoid stops at 100, gradient 0
    assert float(generator_loss(found_out).detach()) == 500
    assert torch.autograd.grad(generator_loss(found_out), found_out)[0].tolist() == [-1]


# ---- perceptual ----------------------------------------------------------------------------------------------------

WIDTHS = (64, 64, "M", 128, 128, "M", 256, 256, 256, 256, "M", 512, 512, 512, 512, "M", 512, 512, 512, 512, "M")


def released_vgg19() -> tuple[dict[str, Tensor], nn.Sequential]:
    """VGG-19 as its authors' table lists it, under the names of the released file, with random weights."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    channels = 3
    for width in WIDTHS:
        if isinstance(width, str):
            layers.append(nn.MaxPool2d(2))
        else:
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
            channels = width
    network = nn.Sequential(*layers).requires_grad_(False)
    state = {f"features.{name}": x for name, x in network.state_dict().items()}
    return state | {"classifier.6.weight": torch.zeros(2, 2)}, network


@pytest.fixture(scope="module")
def vgg_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("vgg") / "vgg19.pth"
    torch.save(released_vgg19()[0], path)
    return path


def test_vgg_loss_compares_the_first_map_of_each_stage(vgg_file: Path) -> None:
    torch.set_num_threads(1)
    loss = PerceptualLoss.vgg19(vgg_file)
    assert loss.name == "VGG-19 (vgg19.pth)"
    generated, truth = torch.rand(1, 2, 3, 32, 32, requires_grad=True), torch.rand(1, 2, 3, 32, 32)
    network = released_vgg19()[1]
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    x, y = ((z[0] - mean) / std for z in (generated, truth))
    terms = []
    for i, layer in enumerate(network):
        x, y = layer(x), layer(y)
        if i in (1, 6, 11, 20, 29):  # relu1_1, relu2_1, relu3_1, relu4_1, relu5_1
            terms.append(((x - y).abs().sum((1, 2, 3)) / y.abs().sum((1, 2, 3))).mean())
    expected = torch.stack(terms).mean()
    value = loss(generated, truth)
    torch.testing.assert_close(value, expected, rtol=1e-4, atol=0)
    (gradient,), (expected_gradient,) = (torch.autograd.grad(v, generated) for v in (value, expected))
    assert float((gradient - expected_gradient).norm()) < 1e-3 * float(expected_gradient.norm())
    assert float(loss(truth, truth)) == 0


def test_missing_or_wrong_vgg_weights_are_named_not_replaced(tmp_path: Path) -> None:
    missing = tmp_path / "vgg19-dcbb9e9d.pth"
    with pytest.raises(WeightsError, match=r"vgg19-dcbb9e9d\.pth: no such file.*PerceptualLoss\.expert"):
        PerceptualLoss.vgg19(missing)
    torch.save({"features.0.weight": torch.zeros(1), "features.28.weight": torch.zeros(1)}, missing)
    with pytest.raises(CheckpointError, match="VGG-19"):
        PerceptualLoss.vgg19(missing)


def test_expert_loss_sees_the_mouth_and_leaves_the_expert_alone() -> None:
    expert = AVHubertExpert(hubert(), "tiny")
    expert.model.double()
    loss = PerceptualLoss.expert(expert)
    assert loss.name == "the visual front end of tiny"
    truth = torch.rand(2, 5, 3, 50, 50, dtype=torch.float64)
    generated = torch.rand(2, 5, 3, 50, 50, dtype=torch.float64, requires_grad=True)
    value = loss(generated, truth)
    (gradient,) = torch.autograd.grad(value, generated)
    rows, columns = gradient.abs().sum((0, 1, 2)).sum(1) > 0, gradient.abs().sum((0, 1, 2)).sum(0) > 0
    assert (rows.nonzero()[[0, -1], 0].tolist(), columns.nonzero()[[0, -1], 0].tolist()) == ([23, 48], [5, 44])
    assert float(loss(truth, truth)) == 0
    assert not any(p.requires_grad for p in expert.model.parameters())
    with torch.no_grad():
        near = loss(truth + 0.1 * (generated - truth), truth)
    assert 0 < float(near) < float(value.detach())
    expert.model.train()
    torch.testing.assert_close(loss(generated, truth), value, rtol=1e-12, atol=0)


def test_last_map_of_the_expert_is_what_its_front_end_averages() -> None:
    """The maps are those of the network's own path from pixels to features."""
    expert = AVHubertExpert(hubert(), "tiny")
    truth = torch.rand(1, 4, 3, 40, 40)
    maps = PerceptualLoss.expert(expert)._maps(truth)
    assert len(maps) == 5
    region = truth[0, :, :, 18:39, 4:36]  # MOUTH_REGION of 40 pixels
    grey = (region * torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(1, keepdim=True)
    mouths = F.interpolate(grey, (88, 88), mode="bilinear", antialias=True)[:, 0]
    features = expert.model.feature_extractor_video.resnet(((mouths - 0.421) / 0.165)[None])
    torch.testing.assert_close(maps[-1].mean((2, 3)), features[0], rtol=1e-4, atol=1e-5)


def test_perceptual_loss_refuses_other_shapes() -> None:
    loss = PerceptualLoss.expert(AVHubertExpert(hubert(), "tiny"))
    with pytest.raises(LossError, match=r"expected both \(N, k, 3, S, S\)"):
        loss(torch.rand(5, 3, 8, 8), torch.rand(5, 3, 8, 8))
