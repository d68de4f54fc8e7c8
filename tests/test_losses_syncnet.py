"""SyncNet's loss, and the lip expert's: cross-entropy on what the network sees of the composed frames."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tiny_experts import clip, syncnet
from tiny_losses import composed, faces, moving

from tfg.audio import log_mel, mfcc
from tfg.crops import face_crops_syncnet, face_transforms_syncnet
from tfg.experts import LipExpert
from tfg.experts.expert import SyncNetExpert
from tfg.losses import SyncNetLoss
from tfg.warps import warp_frames_torch


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> None:
    torch.set_num_threads(1)


def test_syncnet_loss_is_cross_entropy_on_the_crop_of_the_composed_frames() -> None:
    video, face = clip(20), moving(1, 19)
    network = syncnet().double()
    loss = SyncNetLoss(SyncNetExpert(network, "tiny"), floor=1e-6)
    windows, starts = faces(2, 6), [0, 9]
    value = loss(windows, loss.prepare(video, face), starts)

    frames = composed(video, face, windows, starts)
    crops = warp_frames_torch(frames - 110 / 255, torch.from_numpy(face_transforms_syncnet(face, 112)), 112) + 110 / 255
    own = face_crops_syncnet(video, face, 112)[7]  # a frame that no window touches
    torch.testing.assert_close(
        crops[7], torch.from_numpy(own).permute(2, 0, 1) / 255, rtol=0, atol=0.03, check_dtype=False
    )
    heard = torch.from_numpy(network.embed_audio(mfcc(video.audio[640:-640]))).double()
    cosines = []
    for start in (0, 1, 9, 10):
        lips = network.forward_lip(255 * crops[start : start + 5].flip(1).transpose(0, 1)[None])
        cosines.append(F.cosine_similarity(lips[0], heard[start], dim=0))
    cosine = torch.stack(cosines).view(2, 2).mean(1)
    torch.testing.assert_close(value.cosine[:, 0], cosine.detach(), rtol=1e-7, atol=0)
    expected = F.binary_cross_entropy(cosine, torch.ones_like(cosine))
    torch.testing.assert_close(value.loss, expected, rtol=1e-7, atol=0)
    torch.testing.assert_close(
        torch.autograd.grad(value.loss, windows), torch.autograd.grad(expected, windows), rtol=1e-6, atol=1e-12
    )


@pytest.mark.parametrize("size", [96, 48])
def test_lip_expert_sees_the_lower_half_of_the_generated_faces(size: int) -> None:
    torch.manual_seed(0)
    video, face, network = clip(14), moving(0, 14), LipExpert().eval()
    loss = SyncNetLoss(network)
    windows = torch.rand(1, 5, 3, size, size, requires_grad=True)
    value = loss(windows, loss.prepare(video, face), [3])
    seen = F.interpolate(windows[0], (96, 96), mode="bilinear", antialias=True) if size != 96 else windows[0]
    lips = network.forward_face(seen[:, [2, 1, 0], 48:].reshape(1, 15, 48, 96))
    heard = torch.from_numpy(network.embed_audio(log_mel(video.audio))[3:4])
    expected = F.binary_cross_entropy((lips * heard).sum(1), torch.ones(1))
    torch.testing.assert_close(value.loss, expected, rtol=1e-4, atol=0)
    gradient = torch.autograd.grad(value.loss, windows)[0]
    assert not gradient[..., : size // 2 - 1, :].any()
    assert gradient[..., size // 2 :, :].any()


def test_signed_cosines_are_clamped_and_counted() -> None:
    torch.manual_seed(0)
    signed = syncnet(rectified=False)
    with torch.no_grad():
        for head, sign in ((signed.netfclip, 1.0), (signed.netfcaud, -1.0)):
            head[-1].bias.copy_(sign * torch.full_like(head[-1].bias, 9.0))  # type: ignore[union-attr,operator]
    loss = SyncNetLoss(SyncNetExpert(signed, "signed"))
    windows = faces(1, 5, dtype=torch.float32)
    value = loss(windows, loss.prepare(clip(14), moving(0, 14)), [0])
    assert float(value.cosine) < 0
    assert value.loss.item() == pytest.approx(-np.log(0.01))
    assert float(value.clamped) == 1
    assert not torch.autograd.grad(value.loss, windows)[0].any()
