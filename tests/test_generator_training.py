"""Training the generator: killed and resumed equals uninterrupted, several processes equal one, errors lose nothing."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_training
import torch

from tfg.datasets import face_clips
from tfg.errors import CheckpointError, TrainingError, WeightsError
from tfg.experts.checkpoints import save_weights
from tfg.generator import Generator, GeneratorConfig, load_generator
from tfg.training import generator, generator_recipe, loop
from tfg.training.board import Board
from tfg.training.example_files import prepare_examples
from tfg.training.generator_recipe import GeneratorLosses, GeneratorRecipe, LossWeights, SyncTerm
from tfg.training.recipe import packaged, read_recipe


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return tiny_training.make_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(generator_recipe.SIZES, "tiny", tiny_training.SIZE["tiny"])


@pytest.fixture(scope="module")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole run, not interrupted: its folder."""
    out = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(generator_recipe.SIZES, "tiny", tiny_training.SIZE["tiny"])
        generator.train(tiny_training.make_recipe(data), data, out, workers=1, save_every=2)
    return out


def run(recipe: GeneratorRecipe, data: Path, out: Path, **options: Any) -> dict[str, Any]:
    """Train to the end; the last checkpoint."""
    return read(generator.train(recipe, data, out, workers=1, **{"save_every": 100, **options}))


def command(recipe: GeneratorRecipe, data: Path, out: Path, *options: str, **environment: str) -> Any:
    """The same in processes of their own, by the command line."""
    file = out.parent / f"{out.name}.toml"
    file.write_text(tiny_training.as_toml(recipe))
    arguments = ["train", "generator", str(file), "--data", str(data), "--out", str(out), "--workers", "1", *options]
    tests = str(Path(tiny_training.__file__).parent)
    return subprocess.run(
        [sys.executable, tiny_training.__file__, *arguments],
        env=os.environ | {"PYTHONPATH": tests, "OMP_NUM_THREADS": "1"} | environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


def read(checkpoint: Path) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(checkpoint, weights_only=True)
    return state


def log(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def same(a: Any, b: Any) -> bool:
    """Equal in every tensor and number, bit for bit."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return torch.equal(a, b) if isinstance(a, torch.Tensor) else bool(a == b)


def gradients(state: dict[str, Any], network: int) -> torch.Tensor:
    """Adam's mean of the gradients: unlike the weights, in proportion to them."""
    moments = state["optimizers"][network]["state"]
    return torch.cat([moments[i]["exp_avg"].flatten() for i in sorted(moments)])


def assert_close_gradients(a: dict[str, Any], b: dict[str, Any], within: float) -> None:
    for network in (0, 1):
        mine, other = gradients(a, network), gradients(b, network)
        assert mine.norm() > 0
        assert (mine - other).norm() <= within * mine.norm()


# ---- a whole run ----------------------------------------------------------------------------------------------------


def test_a_run_logs_every_step_and_every_term(finished: Path) -> None:
    entries = log(finished)
    assert [entry["step"] for entry in entries] == [1, 2, 3, 4]
    terms = {"loss", "reconstruction", "perceptual", "sync", "cosine", "clamped", "seconds"}
    assert terms <= entries[0].keys()
    assert "discriminator" not in entries[0], "before adversarial_start"
    assert terms | {"adversarial", "discriminator"} <= entries[1].keys()
    assert {"held_out/l1", "held_out/cosine"} <= entries[-1].keys()
    assert not list(finished.glob("*.tmp"))


def test_the_loss_is_the_weighted_sum_of_its_terms(finished: Path) -> None:
    for step, entry in enumerate(log(finished)):
        sync = 0.1 * min((step + 1) / 2, 1)
        adversarial = entry.get("adversarial", 0.0)
        total = entry["reconstruction"] + 0.1 * entry["perceptual"] + 0.1 * adversarial + sync * entry["sync"]
        assert entry["loss"] == pytest.approx(total, rel=1e-5)


def test_both_networks_learn_and_the_experts_do_not(data: Path, finished: Path) -> None:
    state, recipe = read(finished / generator.CHECKPOINT), tiny_training.make_recipe(data)
    for key, network in zip(("generator", "discriminator"), recipe.networks(), strict=True):
        moved = [name for name, x in network.named_parameters() if not torch.equal(x, state[key][name])]
        assert len(moved) == len(list(network.parameters()))
    assert len(state["optimizers"][0]["state"]) == len(list(recipe.networks()[0].parameters()))


def test_training_lowers_the_reconstruction_error(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grey = replace(tiny_training.GENERATOR, hidden="grey")  # from which the clips are far: they are dark
    monkeypatch.setitem(generator_recipe.SIZES, "grey", (lambda: grey, lambda: tiny_training.DISCRIMINATOR))
    changes = {"size": "grey", "steps": 40, "learning_rate": 5e-3, "train": "val", "batch_size": 2}
    recipe = tiny_training.make_recipe(data, weights=LossWeights(1.0, 0.0, 0.0, 0.0), **changes)
    run(recipe, data, tmp_path)
    errors = [entry["reconstruction"] for entry in log(tmp_path)]
    assert np.mean(errors[-5:]) < 0.8 * np.mean(errors[:3])


def test_clips_that_are_too_short_are_named_and_left_out(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clips = generator.training_clips(tiny_training.make_recipe(data), data)
    assert [clip.name for clip in clips] == ["train0", "train1", "train2", "train3"]
    assert "left out: train4.mp4: 20 frames are too few" in capsys.readouterr().err
    with pytest.raises(TrainingError, match="none of 2 clips is long enough for 7 windows"):
        generator.training_clips(tiny_training.make_recipe(data, train="val", windows=7), data)


def test_clips_are_spread_over_all_folders(data: Path) -> None:
    recipe = tiny_training.make_recipe(data, train="train+val", clips=3)
    assert [clip.name for clip in generator.training_clips(recipe, data)] == ["train0", "train2"], "train4 is too short"
    assert [clip.name for clip in generator.load_clips(data, "val*2")] == ["val0", "val1"] * 2
    with pytest.raises(TrainingError, match=r"'val\*two' .*folder\*times"):
        generator.load_clips(data, "val*two")
    with pytest.raises(TrainingError, match=r"asks for 8 clips, train\+val holds 7: prepare more"):
        generator.training_clips(replace(recipe, clips=8), data)


# ---- interrupted ----------------------------------------------------------------------------------------------------


def test_killed_and_resumed_equals_uninterrupted(data: Path, finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    recipe = tiny_training.make_recipe(data)
    killed = command(recipe, data, out, "--save-every", "2", TINY_KILL="4")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert list(out.glob("*.tmp")), "it was killed with half a checkpoint on the disk"
    assert read(out / generator.CHECKPOINT)["step"] == 2
    state = run(recipe, data, out, save_every=2)
    assert same(state, read(finished / generator.CHECKPOINT))
    assert [entry["step"] for entry in log(out)] == [1, 2, 3, 3, 4]


def test_a_finished_run_is_not_repeated(data: Path, finished: Path) -> None:
    before = (finished / generator.CHECKPOINT).read_bytes()
    run(tiny_training.make_recipe(data), data, finished)
    assert (finished / generator.CHECKPOINT).read_bytes() == before
    assert len(log(finished)) == 4


@pytest.mark.parametrize(
    ("changes", "named"),
    [({"learning_rate": 2e-3}, r"recipe\.learning_rate"), ({"size": "other"}, r"config\.audio_dim, recipe\.size")],
)
def test_a_checkpoint_of_another_recipe_or_architecture_is_refused(
    changes: dict[str, Any], named: str, data: Path, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = (lambda: replace(tiny_training.GENERATOR, audio_dim=12), lambda: tiny_training.DISCRIMINATOR)
    monkeypatch.setitem(generator_recipe.SIZES, "other", other)
    before = (finished / generator.CHECKPOINT).read_bytes()
    with pytest.raises(TrainingError, match=rf"generator\.pt was made by another recipe \(different: {named}\)"):
        run(tiny_training.make_recipe(data, **changes), data, finished)
    assert (finished / generator.CHECKPOINT).read_bytes() == before


def test_a_file_that_is_no_checkpoint_is_named(data: Path, tmp_path: Path) -> None:
    (tmp_path / generator.CHECKPOINT).write_bytes(b"something else")
    with pytest.raises(TrainingError, match=r"generator\.pt is no checkpoint of a training"):
        run(tiny_training.make_recipe(data), data, tmp_path)


# ---- what goes wrong ------------------------------------------------------------------------------------------------


def test_a_loss_that_is_not_finite_stops_before_it_does_harm(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tiny_training.make_recipe(data)
    real, calls = generator_recipe.reconstruction_loss, []

    def spoiled(faces: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return real(faces, truth) * (float("nan") if len(calls) == 4 else 1.0)

    with monkeypatch.context() as patch:
        patch.setattr(generator_recipe, "reconstruction_loss", spoiled)
        with pytest.raises(TrainingError, match="loss is nan at step 3: lower the learning rate"):
            run(recipe, data, tmp_path, save_every=2)
    state = read(tmp_path / generator.CHECKPOINT)
    assert state["step"] == 2
    assert all(x.isfinite().all() for x in state["generator"].values())


@pytest.mark.parametrize("sync", [0.0, 0.1])
def test_weights_that_have_run_away_are_told_by_the_loss(sync: float, data: Path, tmp_path: Path) -> None:
    recipe = tiny_training.make_recipe(data, learning_rate=1e30, weights=LossWeights(1.0, 0.0, 0.0, sync))
    with pytest.raises(TrainingError, match=r"is (nan|inf) at step [01]: lower the learning rate"):
        run(recipe, data, tmp_path)


def test_a_gradient_that_is_not_finite_stops_too(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A finite loss can have such a gradient; of another process's batch this is all that is seen."""

    class Steep(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
            return x.clone()

        @staticmethod
        def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
            return gradient * float("inf")

    real = generator_recipe.reconstruction_loss
    monkeypatch.setattr(generator_recipe, "reconstruction_loss", lambda faces, truth: real(Steep.apply(faces), truth))
    with pytest.raises(TrainingError, match="the gradient's length is nan at step 0"):
        run(tiny_training.make_recipe(data), data, tmp_path)
    assert not (tmp_path / generator.CHECKPOINT).exists()


def test_a_full_disk_stops_with_the_last_checkpoint_intact(
    data: Path, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, save = tiny_training.make_recipe(data), torch.save

    def filling(state: Any, path: Path) -> None:
        if state["step"] == 4:
            Path(path).write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
        save(state, path)

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", filling)
        with pytest.raises(TrainingError, match=r"step 4 cannot be written .*No space left.*make room"):
            run(recipe, data, tmp_path, save_every=2)
    assert not list(tmp_path.glob("*.tmp"))
    assert read(tmp_path / generator.CHECKPOINT)["step"] == 2
    assert same(run(recipe, data, tmp_path, save_every=2), read(finished / generator.CHECKPOINT))


# ---- the same gradients in other ways -------------------------------------------------------------------------------


def test_two_processes_give_the_gradients_of_one(data: Path, tmp_path: Path) -> None:
    recipe = tiny_training.make_recipe(data, steps=2, adversarial_start=0)
    alone = run(recipe, data, tmp_path / "one")
    ended = command(recipe, data, tmp_path / "two", "--devices", "2")
    assert ended.returncode == 0, ended.stderr
    together = read(tmp_path / "two" / generator.CHECKPOINT)
    assert together["step"] == 2
    assert_close_gradients(alone, together, within=1e-3)
    for name, weight in alone["generator"].items():
        torch.testing.assert_close(together["generator"][name], weight, rtol=0, atol=1e-4)
    first = [entry["reconstruction"] for entry in (log(tmp_path / "one")[0], log(tmp_path / "two")[0])]
    assert first[0] != first[1], "each process saw its share"


def test_processes_must_share_the_batch_evenly(data: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="batch_size = 4 cannot be shared by 1 processes in 3 parts"):
        run(tiny_training.make_recipe(data, accumulate=3), data, tmp_path)


def test_accumulation_in_two_parts_equals_one(data: Path, tmp_path: Path) -> None:
    recipe = tiny_training.make_recipe(data, steps=2, adversarial_start=0)
    one = run(recipe, data, tmp_path / "one")
    two = run(replace(recipe, accumulate=2), data, tmp_path / "two")
    # the spectral norms are estimated once more with each further part
    assert_close_gradients(one, two, within=0.02)
    plain = replace(recipe, weights=LossWeights(1.0, 0.1, 0.0, 0.1))
    one, two = (
        run(replace(plain, accumulate=n), data, tmp_path / f"plain{n}")["optimizers"][0]["state"] for n in (1, 2)
    )
    for i in one:
        torch.testing.assert_close(two[i]["exp_avg"], one[i]["exp_avg"], rtol=1e-3, atol=1e-6)


def test_examples_from_disk_give_the_same_run(data: Path, finished: Path, tmp_path: Path) -> None:
    recipe, cache = tiny_training.make_recipe(data), tmp_path / "cache"
    prepare_examples(recipe, generator.training_clips(recipe, data), cache, workers=1)
    state = run(recipe, data, tmp_path / "run", cache=cache)
    assert same(state, read(finished / generator.CHECKPOINT))


def test_mixed_precision_trains(data: Path, tmp_path: Path) -> None:
    state = run(tiny_training.make_recipe(data, precision="bf16-mixed", steps=2), data, tmp_path)
    assert all(x.dtype == torch.float32 and x.isfinite().all() for x in state["generator"].values())


# ---- recipes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in packaged() if name.startswith("generator-")])
def test_packaged_recipes_fit_the_loss_that_they_name(name: str) -> None:
    recipe = read_recipe(name, GeneratorRecipe)
    assert recipe.size in generator_recipe.SIZES
    assert recipe.batch_size % recipe.accumulate == 0
    if recipe.weights.sync:
        assert generator_recipe.sync_loss(recipe.sync, "cpu").prepares.startswith(recipe.sync.expert)


def test_a_recipe_is_read_as_it_was_written(data: Path, tmp_path: Path) -> None:
    recipe = tiny_training.make_recipe(data)
    (tmp_path / "a.toml").write_text(tiny_training.as_toml(recipe))
    assert read_recipe(tmp_path / "a.toml", GeneratorRecipe) == recipe


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("windows = 2", "windos = 2", r"unknown keys \['windos'\], missing keys \['windows'\]"),
        ("ramp = 2", "", r"sync: unknown keys \[\], missing keys \['ramp'\]"),
        ("windows = 2", 'windows = "2"', "windows = '2', expected int"),
        ("[sync]", "[sink]", r"unknown keys \['sink'\], missing keys \['sync'\]"),
    ],
)
def test_a_recipe_with_a_wrong_key_names_it(old: str, new: str, match: str, data: Path, tmp_path: Path) -> None:
    text = tiny_training.as_toml(tiny_training.make_recipe(data))
    assert text.count(old) == 1
    (tmp_path / "a.toml").write_text(text.replace(old, new))
    with pytest.raises(TrainingError, match=match):
        read_recipe(tmp_path / "a.toml", GeneratorRecipe)


def test_init_starts_from_other_weights(data: Path, tmp_path: Path) -> None:
    other = Generator(tiny_training.GENERATOR, seed=7)
    card = {"kind": "generator", "config": asdict(tiny_training.GENERATOR)}
    path = save_weights(other.state_dict(), tmp_path / "start.safetensors", card)
    recipe = tiny_training.make_recipe(data, init=str(path))
    begun, _ = recipe.networks()
    for name, x in load_generator(path).state_dict().items():
        torch.testing.assert_close(begun.state_dict()[name], x, rtol=0, atol=0)
        assert begun.state_dict()[name].dtype == torch.float32
    # as near as weights are published: float16
    torch.testing.assert_close(begun.decoder.head.weight, other.decoder.head.weight, rtol=1e-3, atol=1e-6)
    assert not torch.equal(begun.decoder.head.weight, replace(recipe, init="").networks()[0].decoder.head.weight)


def test_init_of_another_size_or_nowhere_is_refused(data: Path, tmp_path: Path) -> None:
    wide: GeneratorConfig = replace(tiny_training.GENERATOR, widths=(16, 32, 32))
    card = {"kind": "generator", "config": asdict(wide)}
    path = save_weights(Generator(wide).state_dict(), tmp_path / "wide.safetensors", card)
    with pytest.raises(CheckpointError, match="a generator of size tiny"):
        tiny_training.make_recipe(data, init=str(path)).networks()
    with pytest.raises(WeightsError, match="nowhere"):
        tiny_training.make_recipe(data, init=str(tmp_path / "nowhere.safetensors")).networks()
    with pytest.raises(TrainingError, match="size = 'huge'; expected one of mini"):
        tiny_training.make_recipe(data, size="huge").networks()


# ---- losses of a recipe ---------------------------------------------------------------------------------------------


def test_the_sync_weight_waits_then_grows(data: Path) -> None:
    recipe = tiny_training.make_recipe(data)
    losses = GeneratorLosses(replace(recipe, sync=replace(recipe.sync, start=3, ramp=4)), "cpu")
    weights = [losses.sync_weight(step) for step in range(10)]
    np.testing.assert_allclose(weights, [0, 0, 0, 0.025, 0.05, 0.075, 0.1, 0.1, 0.1, 0.1], atol=1e-12)
    at_once = GeneratorLosses(replace(recipe, sync=replace(recipe.sync, start=0, ramp=0)), "cpu")
    assert at_once.sync_weight(0) == pytest.approx(0.1)


def test_a_term_without_weight_needs_no_expert(data: Path) -> None:
    recipe = tiny_training.make_recipe(data, perceptual="nowhere", weights=LossWeights(1.0, 0.0, 0.0, 0.0))
    losses = GeneratorLosses(replace(recipe, sync=replace(recipe.sync, expert="nowhere")), "cpu")
    assert losses.sync is None
    assert losses.perceptual is None
    assert losses.sync_weight(5) == 0
    assert not losses.has_adversary(100)


def test_a_loss_that_does_not_fit_its_expert_is_refused(data: Path) -> None:
    hubert, syncnet = (str(data / f"{name}-tiny.safetensors") for name in ("avhubert", "syncnet"))
    for term in (SyncTerm(syncnet, "avs_v", "window", 0, 1), SyncTerm(syncnet, "avs_u", "clip", 0, 1)):
        with pytest.raises(TrainingError, match="expected 'avs_u' and 'window'"):
            generator_recipe.sync_loss(term, "cpu")
    assert generator_recipe.sync_loss(SyncTerm(syncnet, "avs_u", "window", 0, 1), "cpu").prepares == "syncnet-tiny"
    with pytest.raises(TrainingError, match=r"expected an AV-HuBERT, or the path of VGG-19's weights"):
        GeneratorLosses(tiny_training.make_recipe(data, perceptual=syncnet), "cpu")
    assert GeneratorLosses(tiny_training.make_recipe(data, perceptual=hubert), "cpu").perceptual is not None


# ---- TensorBoard ----------------------------------------------------------------------------------------------------


def events(folder: Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder / "board"))
    found.Reload()
    return found


def test_the_board_shows_curves_pictures_and_films(finished: Path) -> None:
    found = events(finished)
    points = {point.step: point.value for point in found.Scalars("reconstruction")}
    assert points == pytest.approx({entry["step"]: entry["reconstruction"] for entry in log(finished)}, rel=1e-5)
    assert [image.step for image in found.Images("real above, generated below")] == [2, 4]
    film = found.Images("real above, generated below (film)")[0].encoded_image_string
    assert film[:4] == b"GIF8"


def test_what_was_shown_after_the_last_checkpoint_is_hidden_when_a_run_goes_on(tmp_path: Path) -> None:
    first = Board(tmp_path, 0)
    for step in (1, 2, 3):
        first.scalars({"x": step}, step)
    first.close()
    again = Board(tmp_path, 2)
    again.scalars({"x": 30.0}, 3)
    again.close()
    assert [(point.step, point.value) for point in events(tmp_path).Scalars("x")] == [(1, 1.0), (2, 2.0), (3, 30.0)]


def test_held_out_clips_are_drawn_from_end_to_end(data: Path) -> None:
    from tfg.training.examples import prepare_example
    from tfg.training.variation import NONE

    recipe = tiny_training.make_recipe(data)
    losses, network = GeneratorLosses(recipe, "cpu"), recipe.networks()[0]
    clips = face_clips.load(data / "val")
    examples = [prepare_example(clip, network, losses.sync, NONE, 0) for clip in clips]
    found, film = generator.show(network, losses, examples)
    assert film.shape == (clips[0].frames, 64, 32, 3)
    np.testing.assert_array_equal(film[:, :32], examples[0].inputs.faces)
    half = slice(16, 32)
    first = np.abs(film[:, 32:][:, half].astype(float) - film[:, :32][:, half]).mean() / 255
    alone, _ = generator.show(network, losses, examples[:1])
    assert alone["held_out/l1"] == pytest.approx(first, rel=1e-3)
    assert -1 <= found["held_out/cosine"] <= 1
    assert loop.read_state(Path("nowhere.pt"), {}) is None
