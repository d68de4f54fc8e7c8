"""A frozen AV-HuBERT: the same function as the trained network, in a form that a processor evaluates fast.

Nothing is approximated: every step is an identity of real numbers, so features differ by float32 rounding alone
(about 1e-5). Gradients to the *inputs* still flow, which the sync loss needs; the weights take none.

1. Batch norm in evaluation is a fixed scale and shift per channel: both go into the convolution before it.
2. PReLU with slopes >= 0 keeps order, so it commutes with max pooling: pool first, a quarter of the values remain.
3. The spectrum of the positional convolution is computed once.
4. Linear maps on a CPU go through oneDNN with weights packed once. PyTorch sends float32 products to its BLAS instead,
   which on AMD processors takes more than twice as long. It costs a second copy of these weights in memory, and a
   third once a gradient has been asked for.
5. Dropout and layer drop are gone, so that a training loop that calls ``train()`` on all it holds changes nothing.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tfg.experts.avhubert import AVHubert, PositionConv, SelfAttention, at_least_float32
from tfg.experts.batch_norm import fold_batch_norm
from tfg.experts.resnet import ResidualBlock


class FrozenPositionConv(PositionConv):
    """`PositionConv` whose spectrum is a constant."""

    spectrum: Tensor

    def __init__(self, trained: PositionConv) -> None:
        nn.Module.__init__(self)
        self.kernel, self.groups = trained.kernel, trained.groups
        # as pairs of real numbers, which a change of type (half, double) does not tear apart
        self.register_buffer("spectrum", torch.view_as_real(trained.weight_spectrum().detach()))
        self.register_buffer("bias", trained.bias.detach().clone())

    def weight_spectrum(self) -> Tensor:
        return torch.view_as_complex(at_least_float32(self.spectrum))


class FrozenLinear(nn.Module):
    """A `torch.nn.Linear` with gradients to its input only; on a CPU its weight is packed for oneDNN."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.weight, self.bias = linear.weight, linear.bias
        self._packed: tuple[Tensor, Tensor] | None = None
        self._transposed: Tensor | None = None

    def packed(self) -> tuple[Tensor, Tensor]:
        """Weight and bias in oneDNN's own layout, made at the first use."""
        if self._packed is None:
            self._packed = self.weight.detach().to_mkldnn(), self.bias.detach().to_mkldnn()
        return self._packed

    def transposed(self) -> Tensor:
        """The weight for the gradient's way back, in the same layout."""
        if self._transposed is None:
            self._transposed = self.weight.detach().T.contiguous().to_mkldnn()
        return self._transposed

    def __getstate__(self) -> dict[str, object]:
        # packed tensors can be neither copied nor pickled: pack again
        return {**self.__dict__, "_packed": None, "_transposed": None}

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu" or self.weight.dtype != torch.float32 or not torch.backends.mkldnn.is_available():
            return F.linear(x, self.weight, self.bias)
        return _PackedProduct.apply(x, self)


class _PackedProduct(torch.autograd.Function):
    """``x @ weight.T + bias`` with packed weights, for which PyTorch itself has no gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, linear: FrozenLinear) -> Tensor:
        ctx.linear = linear
        return F.linear(x.float().to_mkldnn(), *linear.packed()).to_dense()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return F.linear(grad.float().contiguous().to_mkldnn(), ctx.linear.transposed()).to_dense(), None


def freeze(model: AVHubert) -> AVHubert:
    """An inference-only copy of ``model`` with the same features; the original is left as it is.

    The copy's state-dict names differ: keep the original for saving. A frozen model is returned as it is.
    """
    position = model.encoder.pos_conv[0]
    assert isinstance(position, PositionConv)
    if isinstance(position, FrozenPositionConv):
        return model
    frozen = copy.deepcopy(model).eval()
    frozen.config = replace(model.config, dropout=0.0, layerdrop=0.0)
    frozen.encoder.layerdrop = 0.0
    for module in list(frozen.modules()):
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        elif isinstance(module, SelfAttention):
            module.dropout = 0.0
        elif isinstance(module, ResidualBlock):
            _fold_block(module)
        for name, child in module.named_children():
            if isinstance(child, nn.Linear):
                setattr(module, name, FrozenLinear(child))
    resnet = frozen.feature_extractor_video.resnet
    resnet.frontend3D = _fold_frontend3d(resnet.frontend3D)
    resnet.trunk.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    frozen.encoder.pos_conv[0] = FrozenPositionConv(position)
    return frozen.requires_grad_(False)


def _fold_block(block: ResidualBlock) -> None:
    fold_batch_norm(block.conv1, block.bn1)
    fold_batch_norm(block.conv2, block.bn2)
    block.bn1, block.bn2 = nn.Identity(), nn.Identity()
    if isinstance(block.downsample, nn.Sequential):
        conv, norm = block.downsample
        fold_batch_norm(conv, norm)
        block.downsample = conv


def _fold_frontend3d(stages: nn.Sequential) -> nn.Sequential:
    conv, norm, prelu, pool = stages
    fold_batch_norm(conv, norm)
    assert isinstance(prelu, nn.PReLU)
    return nn.Sequential(conv, pool, prelu) if bool((prelu.weight >= 0).all()) else nn.Sequential(conv, prelu, pool)
