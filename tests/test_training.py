"""Training: masks and batches obey their definition, runs resume exactly, losses go down, bad recipes are refused."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tfg.datasets import prepared
from tfg.errors import DataError, TrainingError
from tfg.experts.avhubert import AVHubert, AVHubertConfig
from tfg.experts.syncnet import SyncNet, SyncNetConfig
from tfg.training import avhubert, evaluate, loop, masking, syncnet, targets
from tfg.training.augment import Augmentation
from tfg.training.recipe import packaged, read_recipe

TINY_AVHUBERT = dataclasses.replace(
    AVHubertConfig.mini(), width=4, embed_dim=16, layers=1, heads=2, ffn_dim=16, pos_kernel=8, pos_groups=2,
    final_dim=8, n_classes=6,
)  # fmt: skip
TINY_SYNCNET = dataclasses.replace(
    SyncNetConfig.mini(), lip_widths=(4, 4, 4, 4, 4, 8), audio_widths=(4, 4, 4, 4, 4, 8), embed_dim=8
)
PLAIN = Augmentation(
    shift=0, flip=True, rotation=0, scale=0, stretch=0, brightness=0, contrast=0, gamma=0, blur=0, vocal_tract=0
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prepared clips in which lips and sound follow one hidden signal, so that there is something to learn."""
    root = tmp_path_factory.mktemp("prepared")
    random = np.random.default_rng(0)
    for part, count in (("train", 6), ("val", 3)):
        folder = root / part
        folder.mkdir()
        (folder / prepared.HEADER).write_text(json.dumps(prepared.LAYOUT))
        for i in range(count):
            frames = 24 if i else 20  # one clip is shorter than an example
            opening = np.repeat(random.integers(0, 2, frames // 4), 4).astype(np.float32)
            mouth = np.full((frames, 96, 96), 100, np.uint8)
            mouth[:, 40:60, 30:66] -= (80 * opening).astype(np.uint8)[:, None, None]
            face = np.full((frames, 112, 112, 3), 120, np.uint8)
            face[:, 60:80, 40:72] -= (90 * opening).astype(np.uint8)[:, None, None, None]
            loud = np.repeat(opening, 4)[: 4 * frames - 1, None]
            np.savez(
                folder / f"{part}{i}.npz", mouth=mouth, face=face,
                fbank=np.tile(opening[:, None], (1, 104)) * np.linspace(-1, 1, 104, dtype=np.float32),
                mfcc=(loud * np.linspace(1, 3, 13) + random.normal(0, 0.1, (4 * frames - 1, 13))).astype(np.float32),
            )  # fmt: skip
    return root


@pytest.fixture(scope="module")
def avhubert_recipe() -> avhubert.AVHubertRecipe:
    recipe = read_recipe("avhubert-mini", avhubert.AVHubertRecipe)
    return dataclasses.replace(
        recipe, train=("train", "train+val"), validate="val", watch=("train",), steps=(4, 4), clusters=(4, 6),
        feature_layer=1,
        batch_size=3, clip_frames=22, audio_mask_length=4, video_mask_length=3, precision="32-true",
    )  # fmt: skip


@pytest.fixture(scope="module")
def syncnet_recipe() -> syncnet.SyncNetRecipe:
    recipe = read_recipe("syncnet-mini", syncnet.SyncNetRecipe)
    return dataclasses.replace(
        recipe,
        train=("train", "train+val"),
        validate="val",
        watch=("train",),
        steps=(4, 4),
        matching=(0.0, 1.0),
        augmentation=("mild", "strong"),
        batch_size=3,
        windows=4,
        span=15,
        precision="32-true",
    )


# ---- masks ----------------------------------------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 4), st.integers(20, 120), st.sampled_from([0.1, 0.3, 0.8]), st.integers(2, 10), st.integers(0, 9))
def test_masks_are_spans_of_the_given_length(batch: int, frames: int, prob: float, length: int, seed: int) -> None:
    mask = masking.span_mask(batch, frames, prob, length, np.random.default_rng(seed))
    assert mask.shape == (batch, frames)
    edges = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(int), axis=1)
    for row in edges:
        runs = np.flatnonzero(row == -1) - np.flatnonzero(row == 1)
        assert (runs >= length).all()
        assert len(runs) >= 1


def test_masked_share_is_that_of_the_published_recipe() -> None:
    random = np.random.default_rng(0)
    audio = masking.span_mask(400, 200, 0.8, 10, random)
    video = masking.span_mask(400, 200, 0.3, 5, random)
    # measured on the original code at T = 200: 0.50, 0.26, union 0.64
    assert audio.mean() == pytest.approx(0.55, abs=0.06)
    assert video.mean() == pytest.approx(0.26, abs=0.03)
    assert (audio | video).mean() == pytest.approx(0.66, abs=0.06)


@settings(max_examples=30, deadline=None)
@given(st.integers(8, 100), st.integers(0, 99))
def test_masked_video_shows_other_frames_of_the_same_clip(frames: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    mask = random.random((2, frames)) < 0.3
    source = masking.replacement_frames(mask, random)
    own = np.broadcast_to(np.arange(frames), mask.shape)
    assert (source[~mask] == own[~mask]).all()
    assert (source[mask] != own[mask]).all()
    assert ((source >= 0) & (source < frames)).all()


def test_modalities_are_dropped_as_often_as_published() -> None:
    random = np.random.default_rng(0)
    drawn = [masking.dropped_modality(random, 0.5, 0.5) for _ in range(4000)]
    assert drawn.count(None) / 4000 == pytest.approx(0.5, abs=0.03)
    assert drawn.count("audio") / 4000 == pytest.approx(0.25, abs=0.03)


# ---- targets and figures --------------------------------------------------------------------------------------------


def test_clusters_are_one_label_per_frame_and_repeatable() -> None:
    random = np.random.default_rng(0)
    features = [targets.mfcc_features(random.normal(size=(4 * n - 1, 13)).astype(np.float32), n) for n in (30, 50)]
    first, second = targets.cluster(features, 5, seed=1), targets.cluster(features, 5, seed=1)
    assert [len(labels) for labels in first] == [30, 50]
    assert set(np.concatenate(first)) == set(range(5))
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(TrainingError, match="clusters"):
        targets.cluster(features, 81, seed=1)


def test_sync_figures_of_perfect_and_of_unrelated_features() -> None:
    random = np.random.default_rng(0)
    video = [random.normal(size=(75, 32)).astype(np.float32) for _ in range(8)]
    perfect = evaluate.sync_figures([(v, v) for v in video])
    assert perfect["auc_5"] == pytest.approx(1.0)
    assert perfect["offset_within_1"] == 1.0
    assert perfect["cosine"] == pytest.approx(1.0)
    unrelated = evaluate.sync_figures([(random.normal(size=v.shape).astype(np.float32), v) for v in video])
    assert unrelated["auc_5"] == pytest.approx(0.5, abs=0.08)
    late = evaluate.sync_figures([(np.roll(v, 3, axis=0), v) for v in video])
    assert late["offset_within_1"] == 0.0


def test_cosine_by_shift_against_a_plain_loop() -> None:
    random = np.random.default_rng(1)
    audio, video = random.normal(size=(2, 12, 4)).astype(np.float32)
    table = evaluate.cosine_by_shift(audio, video, window=3, max_shift=4)
    assert table.shape == (10, 9)
    for t in range(10):
        for d in range(-4, 5):
            rows = [(audio[s + d], video[s]) for s in range(t, t + 3) if 0 <= s + d < 12]
            if len(rows) < 3:
                assert np.isnan(table[t, d + 4])
            else:
                expected = np.mean([a @ v / np.linalg.norm(a) / np.linalg.norm(v) for a, v in rows])
                assert table[t, d + 4] == pytest.approx(expected, abs=1e-5)


# ---- runs -----------------------------------------------------------------------------------------------------------


def _equal(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def test_an_interrupted_avhubert_run_resumes_bit_for_bit(
    data: Path, avhubert_recipe: avhubert.AVHubertRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = avhubert.train(avhubert_recipe, TINY_AVHUBERT, data, tmp_path / "whole", save_every=2)
    plain = avhubert.make_batch
    calls = 0

    def interrupted(*args: object) -> avhubert.Batch:
        nonlocal calls
        calls += 1
        if calls == 8:
            raise KeyboardInterrupt
        return plain(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(avhubert, "make_batch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        avhubert.train(avhubert_recipe, TINY_AVHUBERT, data, tmp_path / "cut", save_every=2)
    resumed = avhubert.train(avhubert_recipe, TINY_AVHUBERT, data, tmp_path / "cut", save_every=2)
    assert _equal(whole, resumed)


def test_an_interrupted_syncnet_run_resumes_bit_for_bit(
    data: Path, syncnet_recipe: syncnet.SyncNetRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = syncnet.train(syncnet_recipe, TINY_SYNCNET, data, tmp_path / "whole", save_every=2)
    plain = syncnet.make_windows
    calls = 0

    def interrupted(*args: object) -> syncnet.Windows:
        nonlocal calls
        calls += 1
        if calls == 7:
            raise KeyboardInterrupt
        return plain(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(syncnet, "make_windows", interrupted)
    with pytest.raises(KeyboardInterrupt):
        syncnet.train(syncnet_recipe, TINY_SYNCNET, data, tmp_path / "cut", save_every=2)
    assert _equal(whole, syncnet.train(syncnet_recipe, TINY_SYNCNET, data, tmp_path / "cut", save_every=2))


def test_the_log_holds_the_learning_curve_of_watched_folders(
    data: Path, syncnet_recipe: syncnet.SyncNetRecipe, tmp_path: Path
) -> None:
    model = syncnet.train(syncnet_recipe, TINY_SYNCNET, data, tmp_path, save_every=2)
    entries = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    measured = [entry for entry in entries if "auc_5" in entry]
    assert [(entry["phase"], entry["step"]) for entry in measured] == [(0, 2), (0, 4), (1, 2), (1, 4)]
    last = syncnet.evaluate(model, prepared.load(data / "train", prepared.names(data / "train")))
    assert measured[-1]["train/auc_5"] == pytest.approx(last["auc_5"])
    assert measured[-1]["train/clips"] == 6


def test_masked_prediction_learns_what_can_be_learnt(data: Path, avhubert_recipe: avhubert.AVHubertRecipe) -> None:
    clips = prepared.load(data / "train", prepared.names(data / "train"))
    torch.manual_seed(0)
    model = AVHubert(TINY_AVHUBERT)
    labels = [(clip.fbank[:, -1] > 0).astype(np.int64) for clip in clips]
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for step in range(40):
        random = loop.step_generator(0, step)
        loss, _ = avhubert.prediction_loss(
            model, avhubert.make_batch(clips, labels, avhubert_recipe, random), avhubert_recipe, random
        )
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss))
    assert np.mean(losses[-8:]) < 0.7 * np.mean(losses[:4])


def test_padding_changes_neither_loss_nor_labels(data: Path, avhubert_recipe: avhubert.AVHubertRecipe) -> None:
    clip = prepared.load(data / "train", ["train0"])  # 20 frames, examples have 22
    recipe = dataclasses.replace(avhubert_recipe, augmentation=PLAIN)
    batch = avhubert.make_batch(clip, [np.ones(20, np.int64)], recipe, np.random.default_rng(0))
    assert batch.padding[0].tolist() == [False] * 20 + [True] * 2
    assert batch.labels[0].tolist() == [1] * 20 + [-100] * 2
    assert bool((batch.video[0, 20:] == 0).all())


def test_syncnet_windows_hold_the_sound_of_their_frames(data: Path, syncnet_recipe: syncnet.SyncNetRecipe) -> None:
    clips = prepared.load(data / "train", ["train1", "train2", "train3"])
    recipe = dataclasses.replace(syncnet_recipe, augmentations={"mild": dataclasses.replace(PLAIN, flip=False)})
    windows = syncnet.make_windows(clips, recipe, np.random.default_rng(0))
    assert windows.lips.shape == (12, 3, 5, 112, 112)
    assert windows.sound.shape == (12, 1, 13, 20)
    for i, (clip, starts) in enumerate(zip(clips, windows.starts.tolist(), strict=True)):
        assert len(set(starts)) == 4
        assert max(starts) - min(starts) < recipe.span
        assert max(starts) + 5 < clip.n_frames
        for j, start in enumerate(starts):
            np.testing.assert_allclose(windows.sound[4 * i + j, 0], clip.mfcc[4 * start : 4 * start + 20].T, atol=1e-4)
            darkness = windows.lips[4 * i + j, :, :, 60:80, 40:72].mean(dim=(0, 2, 3)).numpy()
            shown = clip.face[start : start + 5, 60:80, 40:72].mean(axis=(1, 2, 3))
            np.testing.assert_allclose(darkness, shown, atol=0.01)


def test_syncnet_sees_blue_first(data: Path, syncnet_recipe: syncnet.SyncNetRecipe) -> None:
    clip = prepared.load(data / "train", ["train1"])[0]
    clip.face[..., 0] = 200  # red
    recipe = dataclasses.replace(syncnet_recipe, augmentations={"mild": PLAIN})
    lips = syncnet.make_windows([clip], recipe, np.random.default_rng(0)).lips
    assert float((lips[:, 2] - 200).abs().max()) < 1e-3
    assert bool((lips[:, 0] < 200).all())


def test_pair_loss_is_the_binary_cross_entropy_of_fitting_and_unfitting_pairs() -> None:
    torch.manual_seed(0)
    model = SyncNet(TINY_SYNCNET).eval()
    starts = torch.tensor([[3, 4, 9], [0, 5, 2]])
    windows = syncnet.Windows(torch.rand(6, 3, 5, 112, 112) * 255, torch.randn(6, 1, 13, 20), starts)
    loss, _ = syncnet.pair_loss(model, windows, min_offset=2)
    lips = model.forward_lip(windows.lips).detach().double().numpy()
    sound = model.forward_audio(windows.sound).detach().double().numpy()
    fits, differs = [], []
    for clip in range(2):
        for i in range(3):
            for j in range(3):
                a, b = lips[3 * clip + i], sound[3 * clip + j]
                cosine = a @ b / max(np.linalg.norm(a), 1e-6) / max(np.linalg.norm(b), 1e-6)
                cosine = np.clip(cosine, 1e-6, 1 - 1e-6)
                distance = abs(int(starts[clip, i] - starts[clip, j]))
                if distance == 0:
                    fits.append(-np.log(cosine))
                elif distance >= 2:
                    differs.append(-np.log(1 - cosine))
    assert len(fits) == 6
    assert len(differs) == 10  # (3, 4) are one frame apart: neither fitting nor unfitting
    pairs = 0.5 * (np.mean(fits) + np.mean(differs))
    assert float(loss.detach()) == pytest.approx(pairs, rel=1e-3)
    with_matching, _ = syncnet.pair_loss(model, windows, min_offset=2, matching=0.5)
    chances = []
    for clip in range(2):
        unit = [x[3 * clip : 3 * clip + 3] for x in (lips, sound)]
        v, a = (x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-6) for x in unit)
        logits = np.clip(v @ a.T, 1e-6, 1 - 1e-6) / 0.1
        distance = np.abs(starts[clip].numpy()[:, None] - starts[clip].numpy()[None])
        weights = np.where((distance > 0) & (distance < 2), 0.0, np.exp(logits))
        chances += [*(np.diag(weights) / weights.sum(1)), *(np.diag(weights) / weights.sum(0))]
    assert float(with_matching.detach()) == pytest.approx(pairs - 0.5 * np.log(chances).mean(), rel=1e-3)


# ---- refusals -------------------------------------------------------------------------------------------------------


def test_a_checkpoint_of_another_recipe_is_refused(
    data: Path, syncnet_recipe: syncnet.SyncNetRecipe, tmp_path: Path
) -> None:
    syncnet.train(dataclasses.replace(syncnet_recipe, steps=(2, 2)), TINY_SYNCNET, data, tmp_path, save_every=2)
    with pytest.raises(TrainingError, match="another recipe"):
        syncnet.train(dataclasses.replace(syncnet_recipe, seed=5), TINY_SYNCNET, data, tmp_path)


def test_a_recipe_that_names_an_augmentation_it_lacks_is_refused(
    data: Path, syncnet_recipe: syncnet.SyncNetRecipe, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match=r"no augmentation \['wild'\]; it defines \['mild', 'strong'\]"):
        syncnet.train(dataclasses.replace(syncnet_recipe, augmentation=("mild", "wild")), TINY_SYNCNET, data, tmp_path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("seed = 0", "sead = 0"), r"unknown keys \['sead'\], missing keys \['seed'\]"),
        (("seed = 0", 'seed = "many"'), "seed = 'many'"),
        (("seed = 0", "seed = = 3"), "not TOML"),
        (("flip = true", "flop = true"), r"augmentations.mild: unknown keys \['flop'\], missing keys \['flip'\]"),
        (("[augmentations.mild]", "[other]"), "unknown keys"),
        (("flip = true", "flip = 1"), "augmentations.mild: flip = 1, expected bool"),
    ],
)
def test_recipes_with_wrong_keys_or_types_are_refused(change: tuple[str, str], says: str, tmp_path: Path) -> None:
    text = packaged()["syncnet-mini"].read_text()
    assert change[0] in text
    path = tmp_path / "recipe.toml"
    path.write_text(text.replace(*change))
    with pytest.raises(TrainingError, match=says):
        read_recipe(path, syncnet.SyncNetRecipe)
    with pytest.raises(TrainingError, match="avhubert-mini"):
        read_recipe("no-such-recipe", syncnet.SyncNetRecipe)


def test_a_folder_that_was_not_prepared_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="tfg prepare"):
        prepared.names(tmp_path)
    (tmp_path / prepared.HEADER).write_text("{}")
    with pytest.raises(DataError, match=r"rejected\.csv"):
        prepared.names(tmp_path)
    with pytest.raises(DataError, match=r"gone\.npz"):
        prepared.load(tmp_path, ["gone"])
