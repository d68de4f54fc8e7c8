"""Which network a state dict belongs to, told by its names and shapes alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

_AVHUBERT_PREFIXES = {
    "": "pretrain",
    "encoder.w2v_model.": "seq2seq",  # fine-tuned for lip reading, with a decoder
    "w2v_encoder.w2v_model.": "ctc",
}
_AVHUBERT_SIZES = {(4, 192): "mini", (12, 768): "base", (24, 1024): "large"}  # (layers, embedding)
_SYNCNET_SIZES = {256: "mini", 1024: "v2"}  # embedding


@dataclass(frozen=True)
class Architecture:
    """A network's kind (see :class:`tfg.experts.checkpoints.Checkpoint`), variant and size; "" where not known."""

    kind: str
    variant: str = ""
    size: str = ""


def recognise(state_dict: Mapping[str, Tensor]) -> Architecture | None:
    """The architecture that ``state_dict`` belongs to, or None when its names are none of those known here."""
    for prefix, variant in _AVHUBERT_PREFIXES.items():
        norm = state_dict.get(f"{prefix}post_extract_proj.weight")
        if norm is not None and f"{prefix}feature_extractor_video.resnet.frontend3D.0.weight" in state_dict:
            ends = ".self_attn.k_proj.weight"
            layers = sum(key.startswith(f"{prefix}encoder.layers.") and key.endswith(ends) for key in state_dict)
            return Architecture("avhubert", variant, _AVHUBERT_SIZES.get((layers, norm.shape[0]), ""))
    if "netcnnlip.0.weight" in state_dict and "netfclip.3.weight" in state_dict:
        return Architecture("syncnet", size=_SYNCNET_SIZES.get(state_dict["netfclip.3.weight"].shape[0], ""))
    if "face_encoder.0.conv_block.0.weight" in state_dict and "audio_encoder.0.conv_block.0.weight" in state_dict:
        return Architecture("lip_expert")
    if "face_decoder_blocks.0.0.conv_block.0.weight" in state_dict:
        return Architecture("wav2lip")
    if "features.28.weight" in state_dict and "features.0.weight" in state_dict:
        return Architecture("vgg19")  # for the perceptual loss
    if "Mixed_7c.branch3x3dbl_3b.conv.weight" in state_dict:
        return Architecture("inception")  # for FID
    return None
