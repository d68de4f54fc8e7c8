"""The names in released AV-HuBERT checkpoints: which entries are the encoder's, under which prefix."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from tfg.errors import CheckpointError

#: Where fine-tuned models keep the encoder: sequence-to-sequence, and CTC.
FINE_TUNED_PREFIXES = ("encoder.w2v_model.", "w2v_encoder.w2v_model.")
#: What fine-tuned models hold besides the encoder: the text decoder, or the CTC output layer.
_DECODER_ENTRY = re.compile(
    r"decoder\.(embed_tokens\.weight|embed_positions\.(_float_tensor|weight)|embed_out|output_projection\.weight"
    r"|layer_norm\.(weight|bias)|layers\.\d+\.("
    r"(self_attn|encoder_attn)\.[kqv]_proj\.(weight|bias)|(self_attn|encoder_attn)\.out_proj\.(weight|bias)"
    r"|(self_attn|encoder_attn|final)_layer_norm\.(weight|bias)|fc[12]\.(weight|bias)))"
    r"|w2v_encoder\.proj\.(weight|bias)"
)


def encoder_entries(state_dict: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], bool]:
    """The encoder's entries under their pre-training names, and whether the checkpoint is a fine-tuned one.

    :raises CheckpointError: a value is not a tensor (a whole checkpoint rather than its state dict).
    """
    for name, value in state_dict.items():
        if not isinstance(value, Tensor):
            raise CheckpointError(
                f"entry {name!r} is a {type(value).__name__}, not a tensor: pass the checkpoint's state dict, "
                "which released files keep under 'model'"
            )
    for prefix in FINE_TUNED_PREFIXES:
        if any(name.startswith(prefix) for name in state_dict):
            kept = (name for name in state_dict if not _DECODER_ENTRY.fullmatch(name))
            return {name.removeprefix(prefix): state_dict[name] for name in kept}, True
    return dict(state_dict), False
