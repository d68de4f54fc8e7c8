"""The perceptual loss: two faces should give the same features in a network that knows pictures, not the same pixels.

Two networks to choose from, never one in silence for the other: VGG-19, the field's usual choice, whose weights must
be downloaded; and the visual front end of the AV-HuBERT that is at hand, which knows mouths only.

Source: Johnson, Alahi, Fei-Fei 2016 (feature reconstruction); Simonyan and Zisserman 2015 (VGG-19).
"""

from __future__ import annotations

import os
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tfg.crops import GREY_MEAN, GREY_STD, MOUTH_INPUT
from tfg.errors import LossError, WeightsError
from tfg.experts.checkpoints import load_strict, read_checkpoint
from tfg.experts.expert import AVHubertExpert
from tfg.experts.resnet import stack_neighbours
from tfg.losses.insertion import to_grey

#: Channels of VGG-19's convolutions up to relu5_1, stage by stage; the stages are separated by max pooling.
VGG_STAGES = ((64, 64), (128, 128), (256,) * 4, (512,) * 4, (512,))
#: Where the weights are published (BSD-3-Clause), as torchvision names them.
VGG_FILE = "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth"
#: The part of the generator's square that AV-HuBERT's mouth crop covers on average: x0, y0, x1, y1 in [0, 1].
MOUTH_REGION = (0.1, 0.46, 0.9, 0.98)

Maps = Callable[[Tensor], list[Tensor]]


class PerceptualLoss:
    """How far the feature maps of generated and real faces lie apart, in a frozen network.

    Made by :meth:`vgg19` or :meth:`expert`. At each of its layers: the sum of absolute differences over the sum of the
    real face's absolute features, image by image; then the mean over images and layers. 0: the same; about 1:
    nothing in common. So neither weights per layer nor the network's own scale are left to choose.

    :ivar name: the network and where its weights came from, for the log.
    """

    def __init__(self, maps: Maps, name: str) -> None:
        self._maps, self.name = maps, name

    @classmethod
    def vgg19(cls, path: str | os.PathLike[str], device: torch.device | str = "cpu") -> PerceptualLoss:
        """With VGG-19 trained on ImageNet: relu1_1, relu2_1, relu3_1, relu4_1 and relu5_1.

        :param path: the released weights, under torchvision's names (``features.0.weight`` ...).
        :raises WeightsError: the file is not there.
        :raises CheckpointError: it holds something else.
        """
        if not os.path.isfile(path):
            raise WeightsError(
                f"{os.fspath(path)}: no such file; expected the weights of VGG-19 for the perceptual loss. Download "
                f"{VGG_FILE}, or choose PerceptualLoss.expert(avhubert)"
            )
        network = VGG19()
        state = read_checkpoint(path, expect="vgg19").state_dict
        own = network.state_dict()
        # the classifier and the convolutions after relu5_1 are not looked at
        load_strict(network, {name: x.float() for name, x in state.items() if name in own}, "VGG-19")
        network.to(device).requires_grad_(False)
        return cls(lambda faces: network(faces.flatten(0, 1)), f"VGG-19 ({os.path.basename(path)})")

    @classmethod
    def expert(cls, expert: AVHubertExpert) -> PerceptualLoss:
        """With the visual front end of AV-HuBERT: its first convolution and the four stages of its ResNet.

        It sees the lower middle of the face in grey, about what its mouth crop shows but not aligned; colour and the
        upper face are left to the reconstruction loss. The frames of a window are seen together.
        """
        front_end = expert.model.feature_extractor_video.resnet

        def maps(faces: Tensor) -> list[Tensor]:
            size = faces.shape[-1]
            x0, y0, x1, y1 = (round(size * edge) for edge in MOUTH_REGION)
            mouths = to_grey(faces.flatten(0, 1)[..., y0:y1, x0:x1])
            mouths = F.interpolate(mouths, (MOUTH_INPUT, MOUTH_INPUT), mode="bilinear", antialias=True)
            video = ((mouths[:, 0] - GREY_MEAN) / GREY_STD).unflatten(0, faces.shape[:2])
            found = [front_end.frontend3D(stack_neighbours(front_end.pool(video)))]
            for stage in front_end.trunk.children():
                found.append(stage(found[-1]))
            return found

        return cls(maps, f"the visual front end of {expert.name}")

    def __call__(self, generated: Tensor, truth: Tensor) -> Tensor:
        """``L_perc``, a scalar.

        :param generated: ``(N, k, 3, S, S)`` RGB in [0, 1], windows of k frames.
        :param truth: the real faces, same shape.
        :raises LossError: another shape.
        """
        if generated.shape != truth.shape or generated.ndim != 5 or generated.shape[2] != 3:
            raise LossError(
                f"generated faces are {tuple(generated.shape)}, real ones {tuple(truth.shape)}; expected both "
                "(N, k, 3, S, S)"
            )
        with torch.no_grad():
            real = self._maps(truth)
        distances = []
        for x, y in zip(self._maps(generated), real, strict=True):
            scale = y.abs().mean(dim=(1, 2, 3)).clamp_min(torch.finfo(y.dtype).tiny)
            distances.append(((x - y).abs().mean(dim=(1, 2, 3)) / scale).mean())
        return torch.stack(distances).mean()


class VGG19(nn.Module):
    """VGG-19 up to relu5_1, with torchvision's names: RGB in [0, 1] ``(M, 3, H, W)`` -> five feature maps."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        self.ends: list[int] = []
        channels = 3
        for stage in VGG_STAGES:
            if layers:
                layers.append(nn.MaxPool2d(2))
            self.ends.append(len(layers) + 1)  # the first ReLU of the stage
            for width in stage:
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
                channels = width
        self.features = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> list[Tensor]:
        mean, std = images.new_tensor([0.485, 0.456, 0.406]), images.new_tensor([0.229, 0.224, 0.225])  # of ImageNet
        x = (images - mean[:, None, None]) / std[:, None, None]
        maps = []
        for i, layer in enumerate(self.features):
            x = layer(x)
            if i in self.ends:
                maps.append(x)
        return maps
