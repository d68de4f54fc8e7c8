"""The experts (AV-HuBERT, SyncNet v2, Wav2Lip's colour SyncNet), their weights, and the way from video to features."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tfg.experts.avhubert import AVHubert, AVHubertConfig
    from tfg.experts.checkpoints import Checkpoint, convert, read_checkpoint, save_weights
    from tfg.experts.expert import AVHubertExpert, SyncNetExpert, load_expert
    from tfg.experts.lip_expert import LipExpert
    from tfg.experts.registry import Weights, get_weights, list_weights
    from tfg.experts.syncnet import SyncNet, SyncNetConfig

# name -> module, resolved on first use: submodules import each other, and the command line lists weights without them
_NAMES = {
    "AVHubert": "avhubert",
    "AVHubertConfig": "avhubert",
    "AVHubertExpert": "expert",
    "Checkpoint": "checkpoints",
    "LipExpert": "lip_expert",
    "SyncNet": "syncnet",
    "SyncNetConfig": "syncnet",
    "SyncNetExpert": "expert",
    "Weights": "registry",
    "convert": "checkpoints",
    "get_weights": "registry",
    "list_weights": "registry",
    "load_expert": "expert",
    "read_checkpoint": "checkpoints",
    "save_weights": "checkpoints",
}

__all__ = [
    "AVHubert",
    "AVHubertConfig",
    "AVHubertExpert",
    "Checkpoint",
    "LipExpert",
    "SyncNet",
    "SyncNetConfig",
    "SyncNetExpert",
    "Weights",
    "convert",
    "get_weights",
    "list_weights",
    "load_expert",
    "read_checkpoint",
    "save_weights",
]


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_NAMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
