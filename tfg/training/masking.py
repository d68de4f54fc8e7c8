"""Which frames the learner must not see: spans of sound, spans of video, whole modalities.

The published recipe's fifth iteration (AV-HuBERT, Shi et al. 2022, input masking): sound spans are replaced by a
learned vector, video spans by other frames of the same clip, and now and then one modality is dropped altogether.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Bool = NDArray[np.bool_]
Int = NDArray[np.int64]


def span_mask(batch: int, frames: int, prob: float, length: int, random: np.random.Generator) -> Bool:
    """Spans of ``length`` frames that start anywhere and may overlap, about ``prob * frames / length`` per clip.

    :returns: ``bool (batch, frames)``, True where masked; at least two spans a clip when ``prob > 0``.
    """
    mask = np.zeros((batch, frames), bool)
    if prob == 0:
        return mask
    spans = max(2, int(prob * frames / length + random.random()))
    for row in mask:
        starts = random.choice(frames - length + 1, size=min(spans, frames - length + 1), replace=False)
        row[(starts[:, None] + np.arange(length)).ravel()] = True
    return mask


def replacement_frames(mask: Bool, random: np.random.Generator) -> Int:
    """Where each frame is read from when masked video is replaced by other frames of the same clip.

    :returns: ``int64 (batch, frames)``: ``t`` itself where not masked, a frame rotated by a random half-clip or so
        elsewhere, so that a masked span shows a moving mouth that says something else.
    """
    batch, frames = mask.shape
    own = np.broadcast_to(np.arange(frames), mask.shape)
    rotation = random.integers(frames // 4, frames - frames // 4, size=(batch, 1))
    return np.where(mask, (own + rotation) % frames, own).astype(np.int64)


def dropped_modality(random: np.random.Generator, modality_dropout: float, audio_dropout: float) -> str | None:
    """``"audio"``, ``"video"`` or None: with ``modality_dropout`` one is dropped, and then sound with
    ``audio_dropout``. Published values 0.5 and 0.5: both streams in half of the steps, one in a quarter each."""
    if random.random() >= modality_dropout:
        return None
    return "audio" if random.random() < audio_dropout else "video"
