"""Training that can be watched: repeatable, honest about its pairs, and measured by what it is meant to measure."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from tfg.datasets import prepared
from tfg.errors import TrainingError
from tfg.experts.syncnet import SyncNet, SyncNetConfig
from tfg.training import live
from tfg.training.evaluate import sync_figures
from tfg.training.syncnet import SyncNetRecipe, Windows, make_windows

FRAMES = 26


@pytest.fixture(scope="module")
def clips() -> list[prepared.PreparedClip]:
    """Four clips whose mouth and sound are noise."""
    random = np.random.default_rng(0)
    return [
        live.MouthClip(
            f"c{i}",
            random.integers(0, 256, (FRAMES, 96, 96), dtype=np.uint8),
            random.normal(size=(4 * FRAMES - 1, 13)).astype(np.float32),
        )
        for i in range(4)
    ]


@pytest.fixture
def recipe() -> SyncNetRecipe:
    return dataclasses.replace(live.tiny_recipe(), batch_size=3, windows=3, span=12)


@pytest.fixture
def model() -> SyncNet:
    torch.manual_seed(0)
    widths = (2, 4, 4, 4, 4, 8)
    return SyncNet(dataclasses.replace(live.tiny_config(), lip_widths=widths, audio_widths=widths, embed_dim=8))


def test_lips_are_the_mouth_crop_unchanged(clips: list[prepared.PreparedClip]) -> None:
    face = clips[0].face
    assert face.shape == (FRAMES, live.SIDE, live.SIDE, 3)
    for channel in range(3):
        np.testing.assert_array_equal(face[:, 1:97, 1:97, channel], clips[0].mouth)
    np.testing.assert_array_equal(face[:, 0, 1:97, 0], clips[0].mouth[:, 0])  # the edge is repeated


def test_the_picture_is_the_smallest_that_the_network_takes() -> None:
    torch.manual_seed(0)
    narrow = dataclasses.replace(live.tiny_config(), lip_widths=(1, 1, 1, 1, 1, 4))
    fits = SyncNet(narrow).eval()
    fits.forward_lip(torch.zeros(1, 3, 5, live.SIDE, live.SIDE))
    smaller = SyncNet(dataclasses.replace(narrow, image_size=live.SIDE - 1)).eval()
    with pytest.raises(RuntimeError, match=r"[Kk]ernel"):
        smaller.forward_lip(torch.zeros(1, 3, 5, live.SIDE - 1, live.SIDE - 1))


def test_a_run_repeats_itself(clips: list[prepared.PreparedClip], recipe: SyncNetRecipe, model: SyncNet) -> None:
    start = {k: v.clone() for k, v in model.state_dict().items()}
    runs = []
    for _ in range(2):
        model.load_state_dict(start)
        runs.append(list(live.watch(model, clips, [], recipe, loss=live.within_clips(recipe), steps=3)))
    assert [m.loss for m in runs[0][1:]] == [m.loss for m in runs[1][1:]]
    assert len({m.loss for m in runs[0][1:]}) == 3  # and every step differs from the last


def test_clips_are_looked_at_when_asked_and_at_the_end(
    clips: list[prepared.PreparedClip], recipe: SyncNetRecipe, model: SyncNet
) -> None:
    loss = live.within_clips(recipe)
    moments = list(live.watch(model, clips, clips[:1], recipe, loss=loss, steps=3, look_every=2))
    assert [m.step for m in moments] == [0, 1, 2, 3]
    assert [m.step for m in moments if m.embeddings] == [0, 2, 3]
    sound, lips = moments[-1].embeddings["c0"]
    assert sound.shape == lips.shape == (FRAMES - 5, 8)
    assert moments[-1].cosines("c0").shape == (FRAMES - 5, FRAMES - 5)
    assert model.training, "looking must not end the training"


def test_too_few_clips_are_refused(clips: list[prepared.PreparedClip], recipe: SyncNetRecipe, model: SyncNet) -> None:
    with pytest.raises(TrainingError, match="2 training clips"):
        list(live.watch(model, clips[:2], [], recipe, loss=live.within_clips(recipe), steps=1))


def test_wrong_pairs_across_clips_never_share_a_clip(clips: list[prepared.PreparedClip], recipe: SyncNetRecipe) -> None:
    windows = make_windows(clips[:3], recipe, np.random.default_rng(0))
    owner = torch.arange(3).repeat_interleave(recipe.windows).reshape(-1, 1, 1, 1)
    marked = Windows(
        torch.zeros_like(windows.lips) + owner[..., None], torch.zeros_like(windows.sound) + owner, windows.starts
    )
    grouped = live.regroup(marked, recipe.min_offset)
    assert grouped.starts.shape == (recipe.windows, 3)
    for rows in (grouped.lips, grouped.sound):
        owners = rows.flatten(1)[:, 0].reshape(recipe.windows, 3)
        assert (owners == torch.arange(3)).all(), "each group holds one window of every clip"
    apart = (grouped.starts[:, :, None] - grouped.starts[:, None]).abs()
    assert ((apart >= recipe.min_offset) | (apart == 0)).all(), "no pair is left out"
    kept = live.regroup(windows, recipe.min_offset)
    assert torch.equal(kept.sound.sum(), windows.sound.sum())


class Fixed(SyncNet):
    """Returns the vectors that it is told."""

    def __init__(self, lips: torch.Tensor, sound: torch.Tensor) -> None:
        super().__init__(SyncNetConfig.mini())
        self.vectors = lips, sound

    def forward_lip(self, windows: torch.Tensor) -> torch.Tensor:
        return self.vectors[0]

    def forward_audio(self, windows: torch.Tensor) -> torch.Tensor:
        return self.vectors[1]


def test_contrastive_loss_is_the_published_formula(recipe: SyncNetRecipe) -> None:
    lips = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
    sound = torch.tensor([[0.6, 0.8], [0.8, 0.6]])
    windows = Windows(torch.zeros(0), torch.zeros(0), torch.tensor([[0, 7]]))
    fits, differs = 2 - 2 * 0.6, (2 - 2 * 0.8) ** 0.5  # squared distance of fitting pairs, distance of the others
    loss, accuracy = live.contrastive(recipe, margin=1.0)(Fixed(lips, sound), windows)
    assert float(loss) == pytest.approx(0.5 * (fits + (1 - differs) ** 2), rel=1e-5)
    assert float(accuracy) == pytest.approx(0.5)  # fitting pairs within the margin, the others within it too
    near = dataclasses.replace(windows, starts=torch.tensor([[0, 1]]))
    assert not torch.isfinite(live.contrastive(recipe)(Fixed(lips, sound), near)[0]), "too near: nothing to compare"


def test_a_network_that_knows_clips_but_no_moments_is_found_out() -> None:
    random = np.random.default_rng(0)
    who = np.eye(3, dtype=np.float32)
    clip_only = [(np.repeat(w[None], 40, 0), np.repeat(w[None], 40, 0) + random.normal(0, 0.01, (40, 3))) for w in who]
    assert live.auc_other_clips(clip_only) == 1
    assert sync_figures(clip_only, window=1)["auc_5"] == pytest.approx(0.5, abs=0.1)
    moments = [(v, v) for v in random.normal(size=(3, 40, 64)).astype(np.float32)]
    assert live.auc_other_clips(moments) > 0.99
    assert live.auc_by_distance(moments).min() > 0.99


def test_auc_by_distance_sees_overlap() -> None:
    signal = np.random.default_rng(1).normal(size=(60, 32))
    smooth = np.stack([signal[i : i + 5].sum(0) for i in range(50)]).astype(np.float32)  # as windows of five frames
    noisy = smooth + np.random.default_rng(2).normal(0, 2.5, smooth.shape).astype(np.float32)
    values = live.auc_by_distance([(smooth, noisy)], farthest=8)
    assert values.shape == (8,)
    assert values[0] < values[2] < values[5]
