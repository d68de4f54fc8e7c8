"""The discriminator: which parts of a face look real?

    discriminator = Discriminator(DiscriminatorConfig.mini())
    logits = discriminator(faces)                    # (N, 1, h, w): one answer per place; positive: real

Used with :func:`tfg.losses.discriminator_loss` and :func:`tfg.losses.generator_loss`.

Answers per place
    Each logit sees a patch of the face (``patch_size``), larger than a mouth. Blurred teeth or a seam are faults of a
    place, and the gradient goes there (Isola et al., pix2pix, CVPR 2017).
Spectral norm
    Each convolution's weight is divided by its largest singular value, so the logits cannot change faster than the
    picture (Miyato et al., ICLR 2018): a discriminator that is ahead still gives a usable gradient. The alternatives
    cost more here: a gradient penalty doubles each step, batch norm mixes real and generated faces, and
    Wav2Lip's discriminator, which has neither, is five times as large.
Kernels of four
    with a stride of two: every pixel is seen by the same number of taps, so the gradient has no checkerboard.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from tfg.errors import FeatureError

SLOPE = 0.2  # of the leaky ReLU below zero


@dataclass(frozen=True)
class DiscriminatorConfig:
    """Sizes of the discriminator.

    :ivar image_size: side ``S`` of the face in pixels.
    :ivar widths: channels of the strided convolutions; each halves the map.
    :ivar region: ``"face"`` judges the whole; ``"lower"`` only rows ``S // 2`` and below, as Wav2Lip's does: the upper
        half is nearly a copy of the pose reference, so there is little to learn from it, but the border between the
        halves, and whether chin and cheeks suit the eyes, are seen by ``"face"`` alone.
    :raises FeatureError: sizes that do not fit together.
    """

    image_size: int
    widths: tuple[int, ...]
    region: Literal["face", "lower"] = "face"

    def __post_init__(self) -> None:
        if not self.widths or min(self.widths) < 1:
            raise FeatureError(f"widths are {self.widths}; expected at least one positive number")
        if self.region not in ("face", "lower"):
            raise FeatureError(f"region is {self.region!r}; expected 'face' or 'lower'")
        smallest = 2 ** (len(self.widths) + 1)  # so that the lower half still has one row of logits
        if self.image_size < smallest or self.image_size % smallest:
            raise FeatureError(
                f"image_size is {self.image_size}; {len(self.widths)} widths halve it as often: expected a multiple of "
                f"{smallest}"
            )

    @classmethod
    def mini(cls, region: Literal["face", "lower"] = "face") -> DiscriminatorConfig:
        """96 pixels, for a laptop's CPU."""
        return cls(96, (32, 64, 128, 256), region)

    @classmethod
    def size96(cls, region: Literal["face", "lower"] = "face") -> DiscriminatorConfig:
        """96 pixels, beside :meth:`tfg.generator.GeneratorConfig.size96`."""
        return cls(96, (64, 128, 256, 512), region)

    @classmethod
    def size256(cls, region: Literal["face", "lower"] = "face") -> DiscriminatorConfig:
        """256 pixels."""
        return cls(256, (64, 128, 256, 512, 512), region)

    @property
    def patch_size(self) -> int:
        """Side of the patch that one logit sees, in pixels (less at the border): each 4 x 4 convolution of stride 2
        adds three times the stride so far, the last one (3 x 3) two."""
        count = len(self.widths)
        return 1 + 3 * (2**count - 1) + 2 * 2**count


class Discriminator(nn.Module):
    """Real or generated, place by place.

    :param config: by default :meth:`DiscriminatorConfig.mini`.
    :param seed: of the random weights; the same seed gives the same weights and leaves PyTorch's own state alone.
    """

    def __init__(self, config: DiscriminatorConfig | None = None, seed: int = 0) -> None:
        super().__init__()
        self.config = config or DiscriminatorConfig.mini()
        layers: list[nn.Module] = []
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            n_in = 3
            for width in self.config.widths:
                layers += [_normed(nn.Conv2d(n_in, width, 4, 2, 1)), nn.LeakyReLU(SLOPE, inplace=True)]
                n_in = width
            layers.append(_normed(nn.Conv2d(n_in, 1, 3, padding=1)))
        self.layers = nn.Sequential(*layers)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it

    def forward(self, faces: Tensor) -> Tensor:
        """Judge faces.

        :param faces: ``(N, 3, S, S)`` RGB in [0, 1]: whole faces, whatever the region.
        :returns: logits ``(N, 1, h, w)``, without a sigmoid; positive says real.
        :raises FeatureError: wrong shape.
        """
        size = self.config.image_size
        if faces.ndim != 4 or tuple(faces.shape[1:]) != (3, size, size):
            raise FeatureError(f"faces are {tuple(faces.shape)}; expected (N, 3, {size}, {size}), RGB in [0, 1]")
        region = faces[:, :, size // 2 :] if self.config.region == "lower" else faces
        centred = 2 * region.to(next(self.parameters())) - 1
        logits: Tensor = self.layers(centred.contiguous(memory_format=torch.channels_last))
        return logits


def _normed(conv: nn.Conv2d) -> nn.Module:
    nn.init.orthogonal_(conv.weight)
    assert conv.bias is not None
    nn.init.zeros_(conv.bias)
    return spectral_norm(conv)
