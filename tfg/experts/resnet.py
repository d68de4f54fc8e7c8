"""The visual front end of AV-HuBERT: one spatio-temporal convolution, then a ResNet-18 on every frame.

Only the first convolution looks at neighbouring frames (five of them). Its single input channel lets it be computed
as a *2-D* convolution whose five input channels are the five frames, so everything here is 2-D over ``B*T`` images,
which CPUs and GPUs run fastest. Module names and weight shapes are those of the released checkpoints
(``frontend3D.0.weight`` stays ``(width, 1, 5, 7, 7)``).

Source: Shi et al. 2022 (arXiv 2201.02184) section 3.1; He et al. 2016 for the residual trunk.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

#: The temporal convolution's reach: the features of frame t depend on frames t-2 .. t+2 and on no other.
TEMPORAL_CONTEXT = 2


#: Images that evaluation takes through the network at once: on a CPU (False), on a GPU (True).
IMAGES_AT_ONCE = {False: 40, True: 640}


def stack_neighbours(video: Tensor) -> Tensor:
    """``(B, T, H, W)`` -> ``(B, T, H, W, 5)``, a view: frames t-2 .. t+2 beside each other, zeros beyond the clip."""
    padded = F.pad(video, (0, 0, 0, 0, TEMPORAL_CONTEXT, TEMPORAL_CONTEXT))
    return padded.unfold(1, 2 * TEMPORAL_CONTEXT + 1, 1)


class StackedFrameConv(nn.Conv3d):
    """A one-channel 3-D convolution over video, computed as a 2-D convolution over stacks of neighbouring frames.

    ``(B, T, H, W, 5)`` of `stack_neighbours` -> ``(B*T, width, H/2, W/2)``: kernel (5, 7, 7), stride (1, 2, 2).
    """

    def __init__(self, width: int) -> None:
        frames = 2 * TEMPORAL_CONTEXT + 1
        super().__init__(1, width, (frames, 7, 7), stride=(1, 2, 2), padding=(TEMPORAL_CONTEXT, 3, 3), bias=False)

    def forward(self, stacks: Tensor) -> Tensor:
        images = stacks.flatten(0, 1).permute(0, 3, 1, 2)  # the five frames become channels
        images = images.contiguous(memory_format=torch.channels_last)  # the layout that every later stage inherits
        return F.conv2d(images, self.weight.squeeze(1), self.bias, stride=2, padding=3)


class ChannelPReLU(nn.PReLU):
    """PReLU with one slope per channel: ``x`` where positive, ``slope * x`` elsewhere.

    The gradient in PyTorch costs a CPU more than the convolutions around it. ``relu(x) + slope * (x - relu(x))`` is
    the same function made of operations that are fast, on rows that hold whole image lines with their channels.
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu" or not (torch.is_grad_enabled() and x.requires_grad):
            return super().forward(x)
        images, channels, height, width = x.shape
        rows = x.permute(0, 2, 3, 1).reshape(images * height, width * channels)
        positive = F.relu(rows)
        y = torch.addcmul(positive, rows - positive, self.weight.to(x.dtype).repeat(width))
        return y.view(images, height, width, channels).permute(0, 3, 1, 2)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with a shortcut around them; each channel has its own PReLU slope."""

    def __init__(self, width_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width_in, width, 3, stride=stride, padding=1, bias=False)
        self.bn1: nn.Module = nn.BatchNorm2d(width)
        self.relu1 = ChannelPReLU(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2: nn.Module = nn.BatchNorm2d(width)
        self.relu2 = ChannelPReLU(width)
        self.downsample: nn.Module | None = None
        if stride != 1 or width_in != width:
            self.downsample = nn.Sequential(
                nn.Conv2d(width_in, width, 1, stride=stride, bias=False), nn.BatchNorm2d(width)
            )

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.relu1(self.bn1(self.conv1(x)))
        x = self.bn2(self.conv2(x))
        return self.relu2(x + shortcut)


class ResNet18Trunk(nn.Module):
    """ResNet-18 without its stem and classifier: ``(N, width, h, w)`` -> ``(N, 8*width)`` by average pooling."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layer1 = _stage(width, width, stride=1)
        self.layer2 = _stage(width, 2 * width, stride=2)
        self.layer3 = _stage(2 * width, 4 * width, stride=2)
        self.layer4 = _stage(4 * width, 8 * width, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return x.mean(dim=(2, 3))


def _stage(width_in: int, width: int, stride: int) -> nn.Sequential:
    return nn.Sequential(ResidualBlock(width_in, width, stride), ResidualBlock(width, width, 1))


class VisualFrontEnd(nn.Module):
    """Mouth video ``(B, T, H, W)`` -> one vector per frame ``(B, T, 8*width)``.

    Sizes at 88 pixels and ``video_pool=1`` (the released models): 88 -> 44 (convolution) -> 22 (max pooling) -> 22,
    11, 6, 3 (trunk). ``video_pool=2`` averages 2x2 pixels first, a quarter of the work.
    """

    def __init__(self, width: int = 64, video_pool: int = 1) -> None:
        super().__init__()
        self.video_pool = video_pool
        self.frontend3D = nn.Sequential(
            StackedFrameConv(width), nn.BatchNorm2d(width), ChannelPReLU(width), nn.MaxPool2d(3, stride=2, padding=1)
        )
        self.trunk = ResNet18Trunk(width)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Conv3d)):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def forward(self, video: Tensor) -> Tensor:
        return self.of_stacks(stack_neighbours(self.pool(video)))

    def pool(self, video: Tensor) -> Tensor:
        """``(B, T, H, W)`` averaged over squares of ``video_pool`` pixels: each frame by itself."""
        return F.avg_pool2d(video, self.video_pool) if self.video_pool > 1 else video

    def of_stacks(self, stacks: Tensor) -> Tensor:
        """Pooled frames with their neighbours, ``(B, T, h, w, 5)`` of `stack_neighbours` -> ``(B, T, 8*width)``."""
        # Training needs all frames together for batch norm's statistics. In evaluation frames do not depend on each
        # other: a few at a time keep the activations inside the processor's cache, and memory small for long clips. On
        # a GPU, small kernels would cost more.
        batch, time = stacks.shape[:2]
        at_once = time if self.training else max(1, IMAGES_AT_ONCE[stacks.is_cuda] // batch)
        parts = stacks.split(at_once, dim=1)
        return torch.cat([self.trunk(self.frontend3D(part)).view(batch, part.shape[1], -1) for part in parts], dim=1)
