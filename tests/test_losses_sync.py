"""The sync losses: exact halo cache, frozen experts, an honest clamp, errors that say what to do."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tiny_experts import clip, hubert, syncnet
from tiny_losses import composed, faces, moving
from torch import Tensor, nn

import tfg
from tfg.audio import stacked_filterbank
from tfg.clip import Clip
from tfg.crops import face_crops, generator_boxes, mouth_crops_torch, mouth_transforms
from tfg.datasets import studio
from tfg.errors import LossError
from tfg.experts import LipExpert
from tfg.experts.expert import AVHubertExpert, SyncNetExpert
from tfg.faces import FaceTrack
from tfg.losses import AVHubertSyncLoss, SyncNetLoss
from tfg.metrics import avs_u


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> None:
    torch.set_num_threads(1)


def expert(dtype: torch.dtype = torch.float64, layer: int | None = None) -> AVHubertExpert:
    model = hubert()
    generator = torch.Generator().manual_seed(0)
    for name, x in model.state_dict().items():  # batch norm and biases such as training leaves them
        if name.endswith("running_var"):
            x.uniform_(0.5, 2, generator=generator)
        elif x.is_floating_point() and x.ndim < 2:
            x.add_(torch.randn(x.shape, generator=generator), alpha=0.1)
    made = AVHubertExpert(model, "tiny", layer)
    made.model.to(dtype)
    return made


def full_features(maker: AVHubertExpert, video: Clip, face: FaceTrack, frames: Tensor, heard: bool) -> Tensor:
    mouths = mouth_crops_torch(frames, torch.from_numpy(mouth_transforms(face)))[None]
    sound = stacked_filterbank(video.audio[640 * face.start : 640 * face.stop], len(face))
    audio = torch.from_numpy(sound).to(frames.dtype)[None] if heard else None
    return maker.model.features(audio=audio, video=mouths, layer=maker.layer)[0]


def full_loss(
    maker: AVHubertExpert, metric: str, video: Clip, face: FaceTrack, windows: Tensor, starts: Sequence[int]
) -> Tensor:
    """The loss without any cache."""
    heard = metric == "avs_m"
    features = full_features(maker, video, face, composed(video, face, windows, starts), heard)
    if metric == "avs_u":
        sound = stacked_filterbank(video.audio[640 * face.start : 640 * face.stop], len(face))
        reference = maker.model.features(audio=torch.from_numpy(sound).to(features.dtype)[None], layer=maker.layer)[0]
    else:
        reference = full_features(maker, video, face, composed(video, face, windows[:0], []), heard)
    cosine = F.cosine_similarity(features, reference, dim=-1)
    return -torch.stack([cosine[s : s + windows.shape[1]].mean() for s in starts]).clamp_min(0.01).log().mean()


# ---- the halo cache -------------------------------------------------------------------------------------------------

CASES = [
    ("avs_u", 5, [0]),  # the clip's start: zeros before it
    ("avs_u", 5, [9]),
    ("avs_u", 5, [17]),  # its end
    ("avs_u", 1, [1]),
    ("avs_u", 5, [15, 1]),  # apart, in any order
    ("avs_u", 5, [3, 8]),  # side by side: each lies in the other's halo
    ("avs_u", 5, [3, 11]),  # halos that share a frame
    ("avs_u", 22, [0]),  # all of it: nothing is left to cache
    ("avs_m", 5, [0, 17]),
    ("avs_v", 5, [2, 9]),
]


@pytest.mark.parametrize(("metric", "k", "starts"), CASES)
def test_value_and_gradient_equal_the_full_pass(metric, k: int, starts: list[int]) -> None:  # type: ignore[no-untyped-def]
    video, face = clip(26), moving(2, 24)
    for dtype, tolerance in ((torch.float64, 1e-8), (torch.float32, 1e-4)):
        maker = expert(dtype)
        loss = AVHubertSyncLoss(maker, metric)
        windows = faces(len(starts), k, dtype=dtype)
        value = loss(windows[None], loss.prepare(video, face), [starts])
        assert float(value.clamped) == 0, "a clamped window would compare no gradient"
        (gradient,) = torch.autograd.grad(value.loss, windows)
        expected = full_loss(maker, metric, video, face, windows, starts)
        (expected_gradient,) = torch.autograd.grad(expected, windows)
        rounding = 4 * torch.finfo(dtype).eps  # of the cosine: a loss near 0 is a difference of nearly equal numbers
        assert abs(float((value.loss - expected).detach())) <= tolerance * float(expected.detach()) + rounding
        assert float((gradient - expected_gradient).norm()) <= tolerance * float(expected_gradient.norm())
        assert float(expected_gradient.norm()) > 1e-4


def test_chosen_layer_is_respected() -> None:
    video, face, windows = clip(12), moving(0, 12), faces(1, 3)
    maker = expert(layer=1)
    loss = AVHubertSyncLoss(maker)
    value = loss(windows, loss.prepare(video, face), [4]).loss
    torch.testing.assert_close(value, full_loss(maker, "avs_u", video, face, windows, [4]), rtol=1e-8, atol=0)


def test_gradient_is_that_of_finite_differences() -> None:
    loss = AVHubertSyncLoss(expert())
    target = loss.prepare(clip(10), moving(0, 10))
    small = torch.rand(1, 3, 3, 6, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: loss(x, target, [0]).loss, small, fast_mode=True)


def test_clips_of_a_batch_do_not_see_each_other() -> None:
    """Copies of different lengths and frame sizes, two windows each, against one clip at a time."""
    loss = AVHubertSyncLoss(expert())
    wide = clip(14)
    wide = Clip(np.pad(wide.frames, ((0, 0), (0, 9), (0, 30), (0, 0))), wide.audio)
    targets = [loss.prepare(clip(20, seed=3), moving(0, 20)), loss.prepare(wide, moving(1, 14))]
    targets.append(targets[0])  # the same clip once more, with other windows
    starts = [[0, 15], [8, 2], [6, 11]]
    windows = faces(3, 2, 5)
    together = loss(windows, targets, torch.tensor(starts))
    alone = [loss(windows[i : i + 1], targets[i], [starts[i]]) for i in range(3)]
    torch.testing.assert_close(together.cosine, torch.cat([v.cosine for v in alone]), rtol=1e-9, atol=1e-12)
    mean = torch.stack([v.loss for v in alone]).mean()
    torch.testing.assert_close(
        torch.autograd.grad(together.loss, windows), torch.autograd.grad(mean, windows), rtol=1e-8, atol=1e-14
    )


def test_one_target_serves_many_copies() -> None:
    loss = AVHubertSyncLoss(expert())
    target, windows = loss.prepare(clip(12), moving(0, 12)), faces(2, 5)
    both = loss(windows, target, [0, 3]).cosine
    one = [loss(windows[i : i + 1], target, [s]).cosine for i, s in enumerate((0, 3))]
    torch.testing.assert_close(both, torch.cat(one), rtol=1e-9, atol=1e-12)


def test_loss_of_a_whole_generated_clip_is_minus_log_avs_u() -> None:
    video, face, maker = clip(12), moving(0, 12), expert()
    loss, windows = AVHubertSyncLoss(maker, floor=1e-6), faces(1, 12)
    target = loss.prepare(video, face)
    features = full_features(maker, video, face, composed(video, face, windows, [0]), heard=False)
    expected = avs_u(target.reference, features.detach())
    assert float(loss(windows, target, [0]).cosine) == pytest.approx(float(expected), rel=1e-9)


@pytest.mark.parametrize("metric", ["avs_m", "avs_v"])
def test_a_perfect_copy_has_no_loss_against_the_truth(metric) -> None:  # type: ignore[no-untyped-def]
    video, face = clip(12), moving(0, 12)
    boxes = np.tile([30.0, 20.0, 110.0, 100.0], (12, 1))  # whole pixels, and a face of that size: a copy to the bit
    loss = AVHubertSyncLoss(expert(), metric)
    target = loss.prepare(video, face, boxes)
    real = torch.from_numpy(video.frames[4:9, 20:100, 30:110]).permute(0, 3, 1, 2)[None].double() / 255
    assert loss(real, target, [4]).loss.item() == pytest.approx(0, abs=1e-12)
    assert loss(real.flip(1), target, [4]).loss.item() > 1e-6


def test_trained_expert_prefers_the_right_faces() -> None:
    video = studio.read("ada-boat").trim(0, 60)
    face = tfg.track_face(video)
    loss = AVHubertSyncLoss(tfg.load_expert("avhubert-mini"))  # type: ignore[arg-type]
    target = loss.prepare(video, face)
    own = torch.from_numpy(face_crops(video, face, generator_boxes(face))).permute(0, 3, 1, 2).float() / 255
    starts = [10, 25, 40]
    right = loss(torch.stack([own[s : s + 5] for s in starts]), target, starts)
    wrong = loss(torch.stack([own[s + 12 : s + 17] for s in starts]), target, starts)
    assert right.loss.item() < wrong.loss.item()
    # faces that went through the generator's square and back are seen as the clip's own mouths are
    audio, lips = loss.expert.clip_features(video, face)
    cosine = (audio * lips).sum(1) / np.linalg.norm(audio, axis=1) / np.linalg.norm(lips, axis=1)
    np.testing.assert_allclose(right.cosine[:, 0], [cosine[s : s + 5].mean() for s in starts], atol=0.05)


# ---- frozen experts and the clamp -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["avhubert", "syncnet", "lip_expert"])
def test_experts_stay_frozen_whatever_the_trainer_does(kind: str) -> None:
    torch.manual_seed(0)
    network: nn.Module = {"avhubert": hubert, "syncnet": syncnet, "lip_expert": LipExpert}[kind]()
    before = copy.deepcopy(network.state_dict())
    network.train()
    if kind == "avhubert":
        held = AVHubertExpert(network, "tiny")  # type: ignore[arg-type]
        loss = AVHubertSyncLoss(held)
    else:
        held = SyncNetExpert(network, "tiny") if kind == "syncnet" else network  # type: ignore[assignment,arg-type]
        loss = SyncNetLoss(held)  # type: ignore[arg-type,assignment]

    class Trainer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.generator, self.loss = nn.Linear(1, 1), loss

    trainer = Trainer()
    target = loss.prepare(clip(14), moving(0, 14))
    windows = faces(1, 5, dtype=torch.float32)
    first = loss(windows, target, [3])
    trainer.train()
    (held if isinstance(held, nn.Module) else held.model).train()
    second = loss(windows, target, [3])
    second.loss.backward()
    torch.testing.assert_close(second.loss, first.loss, rtol=0, atol=0)
    assert sum(1 for _ in trainer.parameters()) == 2, "the expert is not the trainer's to optimise or to save"
    assert all(p.grad is None for p in network.parameters())
    for name, x in network.state_dict().items():
        assert torch.equal(x, before[name]), f"{name} changed"


def test_clamped_windows_are_counted_and_give_no_gradient() -> None:
    loss = AVHubertSyncLoss(expert(), floor=0.999)
    target, windows = loss.prepare(clip(14), moving(0, 14)), faces(2, 5)
    value = loss(windows, target, [0, 7])
    assert float(value.clamped) == 1
    assert value.loss.item() == pytest.approx(-np.log(0.999))
    assert not torch.autograd.grad(value.loss, windows)[0].any()
    between = float(value.cosine.mean())  # half of the windows below
    loss = AVHubertSyncLoss(expert(), floor=between)
    value = loss(windows, target, [0, 7])
    assert float(value.clamped) == 0.5
    gradient = torch.autograd.grad(value.loss, windows)[0].flatten(1).norm(dim=1)
    below = (value.cosine[:, 0] < between).tolist()
    assert [bool(g == 0) for g in gradient] == below
    expected = -torch.log(value.cosine.clamp_min(between)).mean()
    torch.testing.assert_close(value.loss.detach(), expected)


def test_reduced_precision_of_the_trainer_is_borne() -> None:
    loss = AVHubertSyncLoss(expert(torch.float32))
    target, windows = loss.prepare(clip(14), moving(0, 14)), faces(1, 5, dtype=torch.float32)
    exact = loss(windows, target, [4])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = loss(windows.to(torch.bfloat16), target, [4])
    assert float(rough.cosine) == pytest.approx(float(exact.cosine), abs=0.05)
    assert rough.loss.dtype == torch.float32
    assert bool(torch.autograd.grad(rough.loss, windows)[0].any())


# ---- what cannot be computed ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "starts", "message"),
    [
        ((1, 5, 3, 8, 9), [0], r"expected \(N, k, 3, S, S\)"),
        ((5, 3, 8, 8), [0], r"expected \(N, k, 3, S, S\)"),
        ((1, 5, 3, 8, 8), [8], "expected starts from 0 to 7"),
        ((1, 5, 3, 8, 8), [-1], "expected starts from 0 to 7"),
        ((1, 5, 3, 8, 8), [0, 1], r"expected integers \(1,\)"),
        ((1, 5, 3, 8, 8), [0.5], "torch.float32"),
        ((1, 2, 5, 3, 8, 8), [[0, 4]], "overlap"),
        ((1, 2, 5, 3, 8, 8), [0], r"expected integers \(1,\) or \(1, 2\)"),
    ],
)
def test_windows_that_do_not_fit_say_what_is_expected(shape, starts, message: str) -> None:  # type: ignore[no-untyped-def]
    loss = AVHubertSyncLoss(expert(torch.float32))
    target = loss.prepare(clip(12), moving(0, 12))
    with pytest.raises(LossError, match=message):
        loss(torch.rand(shape), target, starts)


def test_values_beside_the_range_are_refused() -> None:
    loss = AVHubertSyncLoss(expert(torch.float32))
    target = loss.prepare(clip(12), moving(0, 12))
    for wrong in (
        torch.full((1, 5, 3, 8, 8), -1.0),
        torch.full((1, 5, 3, 8, 8), 255.0),
        torch.full((1, 5, 3, 8, 8), torch.nan),
    ):
        with pytest.raises(LossError, match=r"RGB in \[0, 1\]"):
            loss(wrong, target, [0])
    with pytest.raises(LossError, match=r"torch.uint8"):
        loss(torch.zeros(1, 5, 3, 8, 8, dtype=torch.uint8), target, [0])
    with pytest.raises(LossError, match="1 targets for 2"):
        loss(torch.rand(2, 5, 3, 8, 8), [target], [0, 0])
    with pytest.raises(LossError, match="prepared for avs_u, this loss compares avs_v"):
        AVHubertSyncLoss(expert(torch.float32), "avs_v")(torch.rand(1, 5, 3, 8, 8), target, [0])


def test_clips_and_experts_that_do_not_fit_are_refused() -> None:
    loss = AVHubertSyncLoss(expert(torch.float32))
    with pytest.raises(LossError, match=r"boxes are \(3, 4\) for a track of 12 frames"):
        loss.prepare(clip(12), moving(0, 12), np.ones((3, 4)))
    with pytest.raises(LossError, match="the box of frame 0"):
        loss.prepare(clip(12), moving(0, 12), np.ones((12, 4)))
    with pytest.raises(LossError, match="expected AV-HuBERT"):
        AVHubertSyncLoss(SyncNetExpert(syncnet(), "s"))  # type: ignore[arg-type]
    with pytest.raises(LossError, match="expected one of avs_u, avs_m, avs_v"):
        AVHubertSyncLoss(expert(), "lse")  # type: ignore[arg-type]
    with pytest.raises(LossError, match="floor is 0"):
        AVHubertSyncLoss(expert(), floor=0)
    sync = SyncNetLoss(SyncNetExpert(syncnet(), "s"))
    with pytest.raises(LossError, match="5 frames; expected at least 6"):
        sync.prepare(clip(5), moving(0, 5))
    target = sync.prepare(clip(12), moving(0, 12))
    with pytest.raises(LossError, match="expected at least 5"):
        sync(torch.rand(1, 4, 3, 8, 8), target, [0])
    with pytest.raises(LossError, match="expected starts up to 6"):
        sync(torch.rand(1, 5, 3, 8, 8), target, [7])
    assert sync(torch.rand(1, 5, 3, 8, 8), target, [6]).loss.isfinite()
    with pytest.raises(LossError, match="expert is a AVHubertExpert"):
        SyncNetLoss(expert())  # type: ignore[arg-type]
