"""The metrics as ``torchmetrics`` classes: update per clip, mean over clips, sums over processes.

    metric = AVSu()
    for clip in clips:
        metric.update(*expert.clip_features(clip))
    metric.compute()

A clip counts once, whatever its length, as in the paper's tables. States are sums, so the mean over all processes is
exact even when they saw different numbers of clips.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric

from tfg.errors import MetricError
from tfg.metrics.lse import VSHIFT, lse, lse_unbiased
from tfg.metrics.sync import Features, cosine_similarity


class _MeanOverClips(Metric):
    """Mean over clips of the frame-averaged cosine similarity of two feature sequences."""

    is_differentiable = True
    higher_is_better = True
    full_state_update = False
    plot_lower_bound = -1.0
    plot_upper_bound = 1.0
    total: Tensor
    clips: Tensor

    def __init__(self, window: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if window < 1:
            raise MetricError(f"window is {window}; expected at least 1 frame")
        self.window = window
        self.add_state("total", default=torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("clips", default=torch.tensor(0), dist_reduce_fx="sum")

    def _add(self, a: Features, b: Features) -> None:
        x, y = (torch.from_numpy(f) if isinstance(f, np.ndarray) else f for f in (a, b))
        values = cosine_similarity(x, y, self.window).mean(-1).reshape(-1)
        self.total = self.total + values.sum().to(self.total)
        self.clips = self.clips + len(values)

    def compute(self) -> Tensor:
        """The mean over all clips seen, a scalar tensor in [-1, 1]."""
        if self.clips == 0:
            raise MetricError(f"{type(self).__name__}.compute() was called before any clip was given to update()")
        return self.total / self.clips


class AVSu(_MeanOverClips):
    """AVS_u over many clips (see :func:`tfg.metrics.avs_u`)."""

    def update(self, audio_feats: Features, video_feats: Features) -> None:
        """Add one clip ``(T, D)`` or a batch ``(B, T, D)``: audio-only and video-only features."""
        self._add(audio_feats, video_feats)


class AVSm(_MeanOverClips):
    """AVS_m over many clips (see :func:`tfg.metrics.avs_m`)."""

    def update(self, av_gen_feats: Features, av_gt_feats: Features) -> None:
        """Add one clip ``(T, D)`` or a batch ``(B, T, D)``: audio-visual features, generated and ground truth."""
        self._add(av_gen_feats, av_gt_feats)


class AVSv(_MeanOverClips):
    """AVS_v over many clips (see :func:`tfg.metrics.avs_v`)."""

    def update(self, gen_video_feats: Features, gt_video_feats: Features) -> None:
        """Add one clip ``(T, D)`` or a batch ``(B, T, D)``: video-only features, generated and ground truth."""
        self._add(gen_video_feats, gt_video_feats)


class LSE(Metric):
    """LSE-D, LSE-C and the mean absolute offset over many clips (see :func:`tfg.metrics.lse`).

    :param vshift: delays searched, in frames either way.
    :param unbiased: leave comparisons with the zero padding out (:func:`tfg.metrics.lse_unbiased`).
    """

    is_differentiable = False
    higher_is_better = None  # LSE-D falls and LSE-C rises
    full_state_update = False
    sums: Tensor
    clips: Tensor

    def __init__(self, vshift: int = VSHIFT, unbiased: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if vshift < 1:
            raise MetricError(f"vshift is {vshift}; expected at least one frame to search either way")
        self.vshift = vshift
        self.unbiased = unbiased
        self.add_state("sums", default=torch.zeros(3), dist_reduce_fx="sum")
        self.add_state("clips", default=torch.tensor(0), dist_reduce_fx="sum")

    def update(self, lip: Features, audio: Features) -> None:
        """Add one clip: SyncNet lip and audio embeddings ``(W, E)``."""
        found = (lse_unbiased if self.unbiased else lse)(lip, audio, self.vshift)
        self.sums = self.sums + self.sums.new_tensor([found.lse_d, found.lse_c, abs(found.offset)])
        self.clips = self.clips + 1

    def compute(self) -> dict[str, Tensor]:
        """``lse_d``, ``lse_c`` and ``abs_offset`` (frames): scalar tensors, means over all clips seen."""
        if self.clips == 0:
            raise MetricError("LSE.compute() was called before any clip was given to update()")
        return dict(zip(("lse_d", "lse_c", "abs_offset"), self.sums / self.clips, strict=True))
