"""What a generator learns from: windows apart, references from elsewhere, and the same from disk as from the video."""

from __future__ import annotations

import errno
import time
from dataclasses import fields, is_dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_training
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tfg.datasets import face_clips
from tfg.datasets.face_clips import FaceClip
from tfg.errors import DataError, TrainingError
from tfg.generator import Generator
from tfg.generator_inputs import IDENTITY_GAP
from tfg.training import example_files, generator_recipe
from tfg.training.example_files import path_of, prepare_examples, read_example, write_example
from tfg.training.examples import Example, Examples, draw_batch, draw_starts, long_enough, prepare_example
from tfg.training.generator_recipe import SyncTerm, sync_loss
from tfg.training.variation import NONE, Variation

K = 5
VARIED = Variation(mirror=True, shift=0.06, scale=0.1, stretch=0.1, gamma=0.5, tint=0.2)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return tiny_training.make_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(generator_recipe.SIZES, "tiny", tiny_training.SIZE["tiny"])


def numbered(frames: int) -> Example:
    """An example whose every face is its own number."""
    return Example(tiny_training.numbered_faces(frames, np.zeros((80, 4 * frames), np.float32)), None)


def shown(faces: torch.Tensor) -> np.ndarray:
    return (faces[..., 0, 0, 0] * 255).round().long().numpy()


# ---- windows and references -----------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 6), st.integers(1, 8), st.integers(0, 60), st.integers(0, 99))
def test_windows_do_not_overlap_and_leave_the_last_frame(windows: int, k: int, spare: int, seed: int) -> None:
    frames = max(windows * k, k + 2 * IDENTITY_GAP) + 1 + spare
    assert long_enough(frames, windows, k)
    starts = draw_starts(frames, windows, k, np.random.default_rng(seed))
    assert starts.shape == (windows,)
    assert starts[0] >= 0
    assert (np.diff(starts) >= k).all()
    assert starts[-1] + k <= frames - 1


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 4), st.integers(26, 90), st.integers(0, 999))
def test_the_identity_reference_is_never_near_its_window(windows: int, frames: int, seed: int) -> None:
    batch = draw_batch([numbered(frames)], windows, K, -2, [np.random.default_rng(seed)], "cpu")
    targets = batch.starts[0][:, None] + np.arange(K)
    np.testing.assert_array_equal(shown(batch.truth)[0], targets)
    np.testing.assert_array_equal(shown(batch.inputs.pose_reference).reshape(windows, K), targets)
    references = shown(batch.inputs.identity_reference).reshape(windows, K)
    assert (references == references[:, :1]).all(), "one reference for a window"
    assert (np.abs(references[:, :1] - targets) > IDENTITY_GAP).all()


def test_every_start_is_drawn() -> None:
    drawn = [draw_starts(32, 2, K, np.random.default_rng(i)) for i in range(400)]
    assert {int(s[0]) for s in drawn} == set(range(0, 22))
    assert {int(s[1]) for s in drawn} == set(range(5, 27))


def test_a_clip_is_drawn_alike_whatever_its_neighbours_and_process() -> None:
    clips = [numbered(40), numbered(50), numbered(60)]

    def drawn(chosen: list[int]) -> np.ndarray:
        randoms = [np.random.default_rng([0, 7, place]) for place in chosen]
        return draw_batch([clips[i] for i in chosen], 2, K, -2, randoms, "cpu").starts

    together = drawn([0, 1, 2])
    np.testing.assert_array_equal(np.concatenate([drawn([0, 2]), drawn([1])]), together[[0, 2, 1]])


def test_a_short_clip_says_what_to_change() -> None:
    with pytest.raises(TrainingError, match="25 frames; expected more than 25: lower windows or window_frames"):
        draw_starts(25, 1, K, np.random.default_rng(0))


# ---- prepared when needed -------------------------------------------------------------------------------------------


def test_clips_are_prepared_once_and_the_oldest_are_forgotten() -> None:
    read: list[int] = []

    def reading(number: int) -> Example:
        read.append(number)
        return numbered(30)

    clips = [FaceClip(Path("."), str(i)) for i in range(4)]
    examples = Examples(clips, Generator(tiny_training.GENERATOR), None, NONE, keep=2, workers=1, read=reading)
    assert len(examples) == 4
    first = examples.take([0, 1])
    assert examples.take([1, 0]) == first[::-1]
    examples.ask([2])
    examples.take([0, 2])
    assert sorted(read) == [0, 1, 2]
    examples.take([1])
    assert sorted(read) == [0, 1, 1, 2], "1 was the least recently used"


def test_the_next_clips_are_prepared_without_waiting() -> None:
    def reading(number: int) -> Example:
        time.sleep(0.5)
        return numbered(30)

    examples = Examples([FaceClip(Path("."), "a")], Generator(tiny_training.GENERATOR), None, NONE, 1, 1, reading)
    began = time.perf_counter()
    examples.ask([0])
    assert time.perf_counter() - began < 0.4


def test_what_is_wrong_with_a_clip_names_its_file(data: Path, tmp_path: Path) -> None:
    tiny_training.write_clip(tmp_path, "a", frames=30)
    (tmp_path / "a.npz").write_bytes(b"no zip")
    examples = Examples([FaceClip(tmp_path, "a")], Generator(tiny_training.GENERATOR), None, NONE, 1, 1)
    with pytest.raises(DataError, match=r"a\.npz"):
        examples.take([0])


def test_a_clip_that_is_listed_twice_is_varied_twice_and_always_alike(data: Path) -> None:
    clip = face_clips.load(data / "train")[0]
    twice, again = (
        Examples([clip, clip], Generator(tiny_training.GENERATOR), None, VARIED, 2, 1).take([0, 1]) for _ in range(2)
    )
    assert not same(twice[0], twice[1])
    assert same(twice, again)


# ---- on disk --------------------------------------------------------------------------------------------------------


def same(a: Any, b: Any) -> bool:
    """Equal in every tensor, array and number, bit for bit."""
    if is_dataclass(a):
        return type(a) is type(b) and all(same(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))
    if isinstance(a, list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b)
    return bool(a == b)


@pytest.mark.parametrize("expert", ["avhubert-tiny", "syncnet-tiny", None])
def test_an_example_from_disk_is_the_one_that_was_prepared(expert: str | None, data: Path, tmp_path: Path) -> None:
    loss = None
    if expert:
        context = "clip" if "hubert" in expert else "window"
        loss = sync_loss(SyncTerm(str(data / f"{expert}.safetensors"), "avs_u", context, 0, 1), "cpu")
    made = prepare_example(face_clips.load(data / "train")[0], Generator(tiny_training.GENERATOR), loss, VARIED, 3)
    assert (made.target is None) == (expert is None)
    write_example(made, tmp_path / "a.pt")
    assert same(read_example(tmp_path / "a.pt", "cpu"), made)
    assert [path.name for path in tmp_path.iterdir()] == ["a.pt"]


def test_clips_of_the_same_name_in_two_folders_have_two_files(tmp_path: Path) -> None:
    assert path_of(tmp_path, FaceClip(Path("x/s1"), "a"), 0) != path_of(tmp_path, FaceClip(Path("x/s2"), "a"), 0)


def test_kinds_of_examples_lie_apart(data: Path, tmp_path: Path) -> None:
    hubert, syncnet = (str(data / f"{name}-tiny.safetensors") for name in ("avhubert", "syncnet"))
    losses = [
        None,
        sync_loss(SyncTerm(hubert, "avs_u", "clip", 0, 1), "cpu"),
        sync_loss(SyncTerm(hubert, "avs_v", "clip", 0, 1), "cpu"),
        sync_loss(SyncTerm(syncnet, "avs_u", "window", 0, 1), "cpu"),
    ]
    kinds = product((32, 96), losses, (NONE, VARIED))
    assert len({example_files.example_folder(tmp_path, *kind) for kind in kinds}) == 16
    window = sync_loss(SyncTerm(hubert, "avs_u", "window", 0, 1), "cpu")
    shared = example_files.example_folder(tmp_path, 32, losses[1], NONE)
    assert example_files.example_folder(tmp_path, 32, window, NONE) == shared, (
        "the context changes nothing that is prepared"
    )


def test_a_full_disk_leaves_no_half_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(state: Any, path: Path) -> None:
        Path(path).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="No space left"):
        write_example(numbered(30), tmp_path / "a.pt")
    assert not list(tmp_path.iterdir())


class _Dangerous:
    def __reduce__(self) -> Any:
        return exec, ("raise SystemExit('code of the file was executed')",)


@pytest.mark.parametrize("damage", ["cut", "empty", "gone", "code"])
def test_a_damaged_example_names_its_file_and_runs_no_code(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    write_example(numbered(30), path)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:1000])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "code":
        torch.save({"faces": _Dangerous()}, path)
    else:
        path.unlink()
    with pytest.raises(DataError, match=r"a\.pt.*prepare it again"):
        read_example(path, "cpu")


def test_prepared_examples_are_kept_and_only_missing_ones_are_made(data: Path, tmp_path: Path) -> None:
    recipe = tiny_training.make_recipe(data)
    clips = face_clips.load(data / "val")
    folder = prepare_examples(recipe, clips, tmp_path, workers=1)
    paths = [path_of(folder, clip, number) for number, clip in enumerate(clips)]
    paths[0].unlink()
    paths[1].write_bytes(b"kept as it is")
    assert prepare_examples(recipe, clips, tmp_path, workers=1) == folder
    assert len(read_example(paths[0], "cpu")) == clips[0].frames
    assert paths[1].read_bytes() == b"kept as it is"


def test_a_clip_that_cannot_be_prepared_is_named(data: Path, tmp_path: Path) -> None:
    tiny_training.write_clip(tmp_path, "bad", frames=30)
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    recipe = replace(tiny_training.make_recipe(data), weights=generator_recipe.LossWeights(1.0, 0.0, 0.0, 0.0))
    with pytest.raises(TrainingError, match=r"bad\.mp4.*leave the clip out"):
        prepare_examples(recipe, [FaceClip(tmp_path, "bad")], tmp_path / "cache", workers=1)
