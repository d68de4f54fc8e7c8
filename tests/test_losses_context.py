"""The sync loss on windows alone: the comparison to the paper's whole clip."""

from __future__ import annotations

import pytest
import tiny_experts
import torch

from tfg.crops import generator_boxes, mouth_crops_torch, mouth_transforms
from tfg.errors import LossError
from tfg.experts.expert import AVHubertExpert
from tfg.losses import AVHubertSyncLoss, paste_faces
from tfg.metrics.sync import avs_u


def test_a_window_alone_is_a_clip_of_its_own() -> None:
    """Each window's cosine equals AVS_u of the composed clip cut to the window, with nothing around it."""
    clip, track = tiny_experts.clip(40), tiny_experts.track(0, 40)
    expert = AVHubertExpert(tiny_experts.hubert(), "tiny")
    loss = AVHubertSyncLoss(expert, context="window")
    faces = torch.rand(2, 2, 5, 3, 24, 24, generator=torch.Generator().manual_seed(0))
    starts = [[0, 20], [11, 35]]
    value = loss(faces, loss.prepare(clip, track), starts)
    frames = torch.from_numpy(clip.frames).permute(0, 3, 1, 2) / 255
    boxes, transforms = torch.from_numpy(generator_boxes(track)), torch.from_numpy(mouth_transforms(track))
    sound = expert.encode  # features of sound alone
    from tfg.audio import stacked_filterbank

    heard = stacked_filterbank(clip.audio, 40)
    for copy in range(2):
        for place, start in enumerate(starts[copy]):
            here = slice(start, start + 5)
            pasted = paste_faces(frames[here], faces[copy, place], boxes[here])
            mouths = mouth_crops_torch(pasted, transforms[here].float())
            seen = expert.model.features(video=mouths[None])[0].numpy()
            expected = avs_u(sound(audio=heard[here]), seen)
            assert abs(float(value.cosine[copy, place]) - expected) < 1e-5


def test_the_whole_clip_is_the_default_and_other_contexts_are_refused() -> None:
    expert = AVHubertExpert(tiny_experts.hubert(), "tiny")
    assert AVHubertSyncLoss(expert).context == "clip"
    with pytest.raises(LossError, match="expected one of clip, window"):
        AVHubertSyncLoss(expert, context="all")  # type: ignore[arg-type]
