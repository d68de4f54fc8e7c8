"""What an AV-HuBERT computes on its way: the features after every stage, and who attends to whom.

Nothing is computed a second time by other code: hooks read the arrays that the network itself passes on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from tfg.experts.avhubert import AVHubert, SelfAttention

PROJECTED, NORMED = "projected", "final norm"


@torch.no_grad()
def stages(model: AVHubert, audio: Tensor | None = None, video: Tensor | None = None) -> dict[str, Tensor]:
    """The features ``(B, T, D)`` of a clip after every stage, first to last.

    :param audio: ``(B, T, 104)`` or None, as :meth:`AVHubert.features` takes it; so is ``video`` ``(B, T, 88, 88)``.
    :returns: ``"projected"`` (fused, before the transformer), ``"layer 1"``, ..., ``"final norm"``, which equals
        ``model.features(audio, video)``.
    :raises FeatureError: a shape or type is wrong.
    """
    modules: dict[str, nn.Module] = {PROJECTED: model.post_extract_proj}
    modules |= {f"layer {i}": layer for i, layer in enumerate(model.encoder.layers, start=1)}
    modules[NORMED] = model.encoder.layer_norm
    found: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        def hook(_: nn.Module, inputs: Any, output: Tensor) -> None:
            found[name] = output.detach()

        return hook

    with hooked({module: keep(name) for name, module in modules.items()}):
        model.features(audio=audio, video=video)
    return {name: found[name] for name in modules}


@torch.no_grad()
def attention(model: AVHubert, audio: Tensor | None = None, video: Tensor | None = None) -> Tensor:
    """The weights by which every frame of a clip gathers from every frame, in every layer and head.

    ``softmax(Q K^T / sqrt(d))`` of the layers' own projections. The clips of the batch must have no padding.

    :param audio: ``(B, T, 104)`` or None, as :meth:`AVHubert.features` takes it; so is ``video`` ``(B, T, 88, 88)``.
    :returns: ``(B, layers, heads, T, T)``; row t sums to 1: the weights with which frame t reads each frame.
    :raises FeatureError: a shape or type is wrong.
    """
    found: list[Tensor] = []

    def hook(module: nn.Module, inputs: tuple[Tensor, ...], _: Tensor) -> None:
        assert isinstance(module, SelfAttention)
        x = inputs[0]
        batch, time, dim = x.shape
        queries, keys = (
            projection(x).view(batch, time, module.heads, dim // module.heads).transpose(1, 2)
            for projection in (module.q_proj, module.k_proj)
        )
        scores = queries @ keys.transpose(-1, -2) / math.sqrt(dim // module.heads)
        found.append(scores.softmax(dim=-1))

    with hooked({layer.self_attn: hook for layer in model.encoder.layers}):  # type: ignore[misc]
        model.features(audio=audio, video=video)
    return torch.stack(found, dim=1)


@contextmanager
def hooked(hooks: Mapping[nn.Module, Callable[..., None]]) -> Iterator[None]:
    """Forward hooks, one per module, that are there only inside the ``with``."""
    handles = [module.register_forward_hook(hook) for module, hook in hooks.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
