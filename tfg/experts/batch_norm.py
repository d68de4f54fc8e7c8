"""Batch norm in evaluation is a fixed scale and shift per channel: it can go into the layer before it."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights, fuse_linear_bn_weights

Layer = nn.Conv2d | nn.Conv3d | nn.Linear
Norm = nn.BatchNorm1d | nn.BatchNorm2d


@torch.no_grad()
def fold_batch_norm(layer: nn.Module, norm: nn.Module) -> None:
    """Put ``norm``, as it acts in evaluation, into the weight and bias of the layer before it, in place.

    The caller takes the norm away. Equal but for float32 rounding.
    """
    assert isinstance(layer, Layer)
    assert isinstance(norm, Norm)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    fuse = fuse_linear_bn_weights if isinstance(layer, nn.Linear) else fuse_conv_bn_weights
    statistics = (norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias)
    layer.weight, layer.bias = fuse(layer.weight, layer.bias, *statistics)
