"""AV-HuBERT's network under SyncNet's objective: cuts know their lag, the loss is what it says, it can be learnt."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from tfg.datasets import prepared
from tfg.errors import TrainingError
from tfg.experts.avhubert import AVHubertConfig
from tfg.training import contrastive
from tfg.training.recipe import packaged, read_recipe
from tfg.training.syncnet import cosine_loss

FRAMES = 40


@pytest.fixture(scope="module")
def recipe() -> contrastive.ContrastiveRecipe:
    recipe = read_recipe("avhubert-contrastive", contrastive.ContrastiveRecipe)
    plain = dataclasses.replace(recipe.augmentation, shift=0.0, flip=False, brightness=0.0, contrast=0.0)
    return dataclasses.replace(
        recipe, train="train", validate="train", watch=(), steps=6, batch_size=3, cut_frames=20, max_lag=6,
        precision="32-true", augmentation=plain,
    )  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips whose mouth shows the frame's number as a grey level, and whose sound is a pattern of that frame alone."""
    root = tmp_path_factory.mktemp("prepared")
    (root / "train").mkdir()
    (root / "train" / prepared.HEADER).write_text(json.dumps(prepared.LAYOUT))
    random = np.random.default_rng(0)
    for i in range(4):
        mouth = np.broadcast_to(np.arange(0, 5 * FRAMES, 5, dtype=np.uint8)[:, None, None], (FRAMES, 96, 96))
        fbank = random.normal(0, 1, (FRAMES, 104)).astype(np.float32)
        fbank -= fbank.mean(axis=1, keepdims=True)
        fbank /= fbank.std(axis=1, keepdims=True)
        np.savez(root / "train" / f"clip{i}.npz", mouth=mouth, fbank=fbank)
    return root


def test_lips_begin_lag_frames_after_the_sound(data: Path, recipe: contrastive.ContrastiveRecipe) -> None:
    clips = prepared.load(data / "train", prepared.names(data / "train"))
    seen = set()
    for seed in range(10):
        cuts = contrastive.make_cuts(clips, recipe, np.random.default_rng(seed))
        for i, clip in enumerate(clips):
            shown = ((cuts.video[i, :, 0, 0].numpy() * 0.165 + 0.421) * 255 / 5).round().astype(int)
            heard = [int(np.abs(clip.fbank - row).sum(axis=1).argmin()) for row in cuts.audio[i].numpy()]
            assert (shown - heard == int(cuts.lag[i])).all()
            assert (np.diff(shown) == 1).all()
            seen.add(int(cuts.lag[i]))
    assert min(seen) < -3
    assert max(seen) > 3


def test_the_loss_is_cross_entropy_over_pairs_and_over_partners() -> None:
    """Against NumPy, for lips and sound cut two frames apart: some windows have no partner."""
    random = np.random.default_rng(0)
    cosine = random.uniform(-0.5, 0.99, (2, 6, 6))
    place = np.arange(6)
    apart = np.abs(place[:, None] - place[None] + np.array([2, -1])[:, None, None])
    likely = cosine.clip(1e-6, 1 - 1e-6)
    expected = -0.5 * (np.log(likely[apart == 0]).mean() + np.log(1 - likely[apart >= 2]).mean())
    logits = np.where(apart == 1, -np.inf, cosine / 0.1)
    for table, same in ((logits, apart == 0), (logits.swapaxes(1, 2), (apart == 0).swapaxes(1, 2))):
        expected += 0.7 * 0.5 * -log_softmax(table, axis=2)[same].mean()
    loss, _ = cosine_loss(torch.from_numpy(cosine), torch.from_numpy(apart), min_offset=2, matching=0.7)
    assert float(loss) == pytest.approx(expected, rel=1e-6)


def test_a_run_learns_and_resumes_where_it_stopped(
    data: Path, recipe: contrastive.ContrastiveRecipe, tmp_path: Path
) -> None:
    tiny = dataclasses.replace(
        AVHubertConfig.mini(), width=4, embed_dim=16, layers=1, heads=2, ffn_dim=16, pos_kernel=8, pos_groups=2,
        final_dim=8, n_classes=4,
    )  # fmt: skip
    longer = dataclasses.replace(recipe, steps=24)
    model = contrastive.train(longer, tiny, data, tmp_path / "once", save_every=24)
    losses = [json.loads(line)["loss"] for line in (tmp_path / "once" / "log.jsonl").read_text().splitlines()]
    assert np.mean(losses[-4:]) < 0.9 * np.mean(losses[:4])
    again = contrastive.train(longer, tiny, data, tmp_path / "once")
    for key, value in model.state_dict().items():
        assert torch.equal(value, again.state_dict()[key])
    with pytest.raises(TrainingError, match="another recipe"):
        contrastive.train(dataclasses.replace(longer, seed=1), tiny, data, tmp_path / "once")


@pytest.mark.parametrize("name", ["syncnet", "avhubert"])
def test_the_ablation_recipes_differ_in_jitter_and_mirroring_alone(name: str) -> None:
    with_jitter = packaged()[f"{name}-jitter"].read_text().splitlines()
    without = packaged()[f"{name}-nojitter"].read_text().splitlines()
    changed = {a.split(" = ")[0] for a, b in zip(with_jitter, without, strict=True) if a != b and not a.startswith("#")}
    assert changed - {"augmentation", "[augmentations.jitter]"} == {"shift", "flip"}
