"""How well a talking face is in sync: AVS_u, AVS_m, AVS_v (AV-HuBERT) and LSE-D, LSE-C (SyncNet).

Functions take feature arrays; the classes ``AVSu``, ``AVSm``, ``AVSv`` and ``LSE`` collect them over clips and
processes; :func:`score` goes all the way from a video file to named numbers.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tfg.metrics.lse import LSEResult, lse, lse_unbiased
from tfg.metrics.sync import (
    OffsetSearch,
    avs_m,
    avs_u,
    avs_v,
    chance_level,
    chance_values,
    cosine_similarity,
    offset_search,
    offset_words,
    sync_auc,
)

if TYPE_CHECKING:
    from tfg.metrics.classes import LSE, AVSm, AVSu, AVSv
    from tfg.metrics.report import score

__all__ = [
    "LSE",
    "AVSm",
    "AVSu",
    "AVSv",
    "LSEResult",
    "OffsetSearch",
    "avs_m",
    "avs_u",
    "avs_v",
    "chance_level",
    "chance_values",
    "cosine_similarity",
    "lse",
    "lse_unbiased",
    "offset_search",
    "offset_words",
    "score",
    "sync_auc",
]

# torchmetrics takes seconds to import: only those who use the classes wait for it
_LATE = {
    "AVSu": "tfg.metrics.classes",
    "AVSm": "tfg.metrics.classes",
    "AVSv": "tfg.metrics.classes",
    "LSE": "tfg.metrics.classes",
    "score": "tfg.metrics.report",
}


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LATE[name]), name)


def __dir__() -> list[str]:
    return __all__
