"""Every figure of the book: functions that take measured data and return a matplotlib figure, and a video player."""

from __future__ import annotations

from tfg.plots.avs import (
    ClipScore,
    architecture,
    chance_by_clip,
    compare_methods,
    context_curve,
    cosine_and_loss,
    delay_curves,
    masked_input,
    missing_modality,
    pseudo_labels,
    similarity_matrices,
    steadiness,
)
from tfg.plots.media import (
    alignment,
    audio_features,
    correlation_by_delay,
    drift,
    frames_and_samples,
    image_grid,
    landmarks,
    lips_and_sound,
    pixel_gradient,
)
from tfg.plots.player import show
from tfg.plots.sync import (
    by_delay,
    distance_matrix,
    lse_curve,
    padding_bias,
    sync_loss,
    syncnet_window,
)

__all__ = [
    "ClipScore",
    "alignment",
    "architecture",
    "audio_features",
    "by_delay",
    "chance_by_clip",
    "compare_methods",
    "context_curve",
    "correlation_by_delay",
    "cosine_and_loss",
    "delay_curves",
    "distance_matrix",
    "drift",
    "frames_and_samples",
    "image_grid",
    "landmarks",
    "lips_and_sound",
    "lse_curve",
    "masked_input",
    "missing_modality",
    "padding_bias",
    "pixel_gradient",
    "pseudo_labels",
    "show",
    "similarity_matrices",
    "steadiness",
    "sync_loss",
    "syncnet_window",
]
