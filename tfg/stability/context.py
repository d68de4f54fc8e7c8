"""How much of an expert's steadiness is context? Cosines over 1, 5, 25 frames and the whole clip.

There are two ways to use ``k`` frames: *averaging* the cosines of ``k`` frames whose features have seen the whole clip,
or *giving the network* no more than these ``k`` frames of lips and sound. SyncNet knows only the first, since it never
sees more than five frames.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from tfg.errors import FeatureError
from tfg.experts.expert import AVHubertExpert
from tfg.metrics.sync import cosine_similarity
from tfg.stability.cosines import FARTHEST, NEAREST, Float, off_cosines, window_means

CONTEXTS: tuple[int | None, ...] = (1, 5, 25, None)  # frames; None is the whole clip
_BATCH = 1500  # frames at once


class Cosines(NamedTuple):
    """Cosines of windows in sync, and of windows that are 5 to 15 frames off."""

    matching: Float
    off: Float


def averaged(audio: Float, video: Float, frames_per_value: int, window: int | None) -> Cosines:
    """Cosines averaged over windows of features that were made with all the context their network takes.

    :param audio: F_A ``(N, D)``; ``video``: F_V ``(N, D)``.
    :param frames_per_value: :func:`tfg.stability.frames_seen`.
    :raises FeatureError: see :func:`tfg.stability.window_means`.
    """
    matching = window_means(cosine_similarity(audio, video), frames_per_value, window)
    return Cosines(matching, off_cosines(audio, video, frames_per_value, window))


def restricted(expert: AVHubertExpert, fbank: Float, mouth: Tensor, window: int) -> Cosines:
    """Mean cosines of windows when the network is given nothing but the window, in sound and in lips.

    Windows begin ``max(1, window // 5)`` frames apart. An "off" pair is the lips of one window and the sound of another
    that begins 5 to 15 frames before or after.

    :param fbank: ``(T, 104)``.
    :param mouth: ``(T, 88, 88)`` as the network reads it (:func:`tfg.crops.mouth_video`).
    :raises FeatureError: the clip is shorter than ``window + 5`` frames.
    """
    step = max(1, window // 5)
    starts = np.arange(0, len(fbank) - window + 1, step)
    if len(fbank) < window + NEAREST:
        raise FeatureError(f"{len(fbank)} frames; windows of {window} need at least {window + NEAREST} to be compared")
    sound = _encode(expert, torch.from_numpy(fbank), starts, window, "audio")
    lips = _encode(expert, mouth, starts, window, "video")
    cosines: Float = (torch.einsum("vkd,akd->va", lips, sound) / window).numpy()
    apart = np.abs(starts[:, None] - starts[None])
    return Cosines(np.diagonal(cosines).copy(), cosines[(apart >= NEAREST) & (apart <= FARTHEST)])


@torch.inference_mode()
def _encode(expert: AVHubertExpert, clip: Tensor, starts: np.ndarray, window: int, modality: str) -> Tensor:
    """Features of length 1 of each window by itself: ``(W, window, D)``."""
    windows = torch.stack([clip[start : start + window] for start in starts])
    parts = windows.split(max(1, _BATCH // window))
    found = [expert.model.features(**{modality: part.to(expert.device)}, layer=expert.layer) for part in parts]
    return torch.nn.functional.normalize(torch.cat(found).float().cpu(), dim=-1)
