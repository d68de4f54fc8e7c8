"""The ablation: conditions differ by what their name says and nothing else; what is done is not done again."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import tiny_experts as tiny
import tiny_training
import torch

from tfg.datasets import face_clips
from tfg.errors import TrainingError
from tfg.experts.expert import AVHubertExpert, SyncNetExpert
from tfg.training import ablation, generator, generator_recipe
from tfg.training.generator_recipe import GeneratorRecipe, LossWeights
from tfg.training.recipe import read_recipe

BASE = read_recipe("generator-ablation", GeneratorRecipe)
CHANGED = {
    "no sync loss": {"weights.sync"},
    "SyncNet": {"sync.expert", "sync.context"},
    "AV-HuBERT, window alone": {"sync.context"},
    "AV-HuBERT, whole clip": set(),
    "AVS_m": {"sync.metric"},
    "AVS_v": {"sync.metric"},
    "sync weight / 3": {"weights.sync"},
    "sync weight x 3": {"weights.sync"},
    "no adversarial loss": {"weights.adversarial"},
    "no perceptual loss": {"weights.perceptual"},
}


def flat(recipe: GeneratorRecipe) -> dict[str, Any]:
    found = asdict(recipe)
    for table in ("weights", "sync"):
        found |= {f"{table}.{key}": value for key, value in found.pop(table).items()}
    return found


def test_each_condition_changes_only_what_its_name_says() -> None:
    assert set(ablation.CONDITIONS) == set(CHANGED)
    base = flat(BASE)
    for condition, expected in CHANGED.items():
        for seed in (0, 3):
            found = flat(ablation.recipe_of(BASE, condition, seed))
            assert {key for key in base if found[key] != base[key]} == expected | ({"seed"} if seed else set())


def test_weights_are_multiplied() -> None:
    weights = {name: ablation.recipe_of(BASE, name, 0).weights for name in ablation.CONDITIONS}
    assert weights["sync weight x 3"].sync == pytest.approx(9 * weights["sync weight / 3"].sync)
    assert weights["no sync loss"].sync == weights["no adversarial loss"].adversarial == 0
    assert weights["no perceptual loss"].perceptual == 0


def test_every_recipe_has_a_loss_that_its_expert_can_give() -> None:
    terms = {ablation.recipe_of(BASE, condition, 0).sync for condition in ablation.CONDITIONS}
    found = {generator_recipe.sync_loss(term, "cpu").name for term in terms}
    assert len(found) == len(terms) == 5


def test_an_unknown_condition_lists_the_known_ones() -> None:
    with pytest.raises(TrainingError, match=r"'no sync'; expected one of no sync loss, SyncNet"):
        ablation.recipe_of(BASE, "no sync", 0)


def test_every_run_has_a_folder_of_its_own(tmp_path: Path) -> None:
    folders = {ablation.folder_of(tmp_path, name, seed) for name in ablation.CONDITIONS for seed in range(3)}
    assert len(folders) == 3 * len(ablation.CONDITIONS)
    assert all(folder.parent == tmp_path for folder in folders)


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GeneratorRecipe:
    """A tiny base whose clips are in ``tmp_path``, measured by tiny experts."""
    torch.set_num_threads(1)
    monkeypatch.setitem(generator_recipe.SIZES, "tiny", tiny_training.SIZE["tiny"])
    data = tiny_training.make_data(tmp_path, held_out=(50, 52))
    experts = {
        "avhubert-mini": AVHubertExpert(tiny.hubert(), "tiny"),
        "syncnet-mini": SyncNetExpert(tiny.syncnet(), "tiny"),
    }
    monkeypatch.setattr(ablation, "load_expert", lambda name, device: experts[name])
    return tiny_training.make_recipe(data, steps=2, weights=LossWeights(1.0, 0.1, 0.1, 0.1))


def test_conditions_are_trained_measured_and_then_left_alone(
    base: GeneratorRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, names = tmp_path / "out", ["no sync loss", "AVS_v"]
    ablation.prepare(base, tmp_path, out / "examples", names, workers=1)
    found = ablation.run(base, tmp_path, out, names, [0], workers=1, cache=out / "examples")
    assert {condition: list(runs) for condition, runs in found.items()} == {name: ["0"] for name in names}
    assert {"avs_u", "lse_c", "ssim", "mouth_motion", "offset_within_1"} <= found["AVS_v"]["0"].keys()
    states = [torch.load(ablation.folder_of(out, name, 0) / generator.CHECKPOINT, weights_only=True) for name in names]
    assert any(not torch.equal(x, states[1]["generator"][key]) for key, x in states[0]["generator"].items())
    clips = json.loads((ablation.folder_of(out, "AVS_v", 0) / "figures.json").read_text())
    assert list(clips) == ["val0", "val1"]

    trained: list[Path] = []

    def train(recipe: GeneratorRecipe, data: Path, folder: Path, *_: Any, **__: Any) -> None:
        trained.append(folder)
        raise TrainingError("interrupted")

    monkeypatch.setattr(generator, "train", train)
    assert ablation.run(base, tmp_path, out, names, [0], workers=1) == found
    assert not trained, "figures of both runs are there"
    with pytest.raises(TrainingError, match="interrupted"):
        ablation.run(base, tmp_path, out, names, [0, 1], workers=1)
    assert trained == [ablation.folder_of(out, "no sync loss", 1)], "only what is missing"
    assert ablation.read(out, names, [0, 1]) == found


def test_held_out_clips_may_lie_in_several_folders(base: GeneratorRecipe, tmp_path: Path) -> None:
    more = tmp_path / "more"
    more.mkdir()
    (more / face_clips.HEADER).write_text(json.dumps(face_clips.LAYOUT))
    tiny_training.write_clip(more, "more0", frames=50, seed=5)
    recipe = replace(base, validate="val+more", train="val", batch_size=2)
    out = tmp_path / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ablation, "generator_figures", lambda network, clips, *_: {c.name: {"offset": 0} for c in clips})
        ablation.run(recipe, tmp_path, out, ["no sync loss"], [0], workers=1)
    figures = json.loads((ablation.folder_of(out, "no sync loss", 0) / "figures.json").read_text())
    assert list(figures) == ["val0", "val1", "more0"]


def test_so_many_held_out_clips_are_evenly_spread(base: GeneratorRecipe, tmp_path: Path) -> None:
    every = [clip.name for clip in ablation._spread(tmp_path, "train", 0)]
    assert every == [f"train{i}" for i in range(5)]
    assert [clip.name for clip in ablation._spread(tmp_path, "train", 2)] == ["train0", "train2"]
    assert [clip.name for clip in ablation._spread(tmp_path, "train", 9)] == every
