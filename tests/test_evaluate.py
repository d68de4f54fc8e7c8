"""tfg evaluate: every row on the same clips, by the same code; nothing is measured twice; what fails is in no row."""

from __future__ import annotations

import csv
import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_experts as tiny
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import tfg
from tfg.cli import app
from tfg.crops import face_crops, generator_boxes
from tfg.datasets import studio
from tfg.errors import DataError, MissingFileError, WeightsError
from tfg.evaluation import measure
from tfg.evaluation.corpora import find_corpus
from tfg.evaluation.measure import Settings
from tfg.evaluation.pairs import CHANCE, NO_VIDEO, REAL, Corpus, with_method
from tfg.evaluation.pictures import compare_pictures, fid_pictures
from tfg.evaluation.run import Evaluation, evaluate
from tfg.evaluation.table import Column, table
from tfg.evaluation.write import cautions
from tfg.evaluation.wrong_time import WrongTime
from tfg.metrics.fid import frechet_distance
from tfg.metrics.image import psnr, ssim

FRAMES = 30


def paired(real: Path, methods: dict[str, Path]) -> Corpus:
    """A folder of real videos, and one for each method."""
    corpus = find_corpus(real)
    for name, folder in methods.items():
        corpus = with_method(corpus, name, folder)
    return corpus


def colours(pictures: np.ndarray) -> np.ndarray:
    """Features for FID that need no weights."""
    return pictures.reshape(len(pictures), -1, 3).mean(axis=1)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two real clips; a method that adds a little noise to them, and one that holds the first frame."""
    root = tmp_path_factory.mktemp("corpus")
    for name, place in (("ada-tea", "a.mp4"), ("ben-farm", "sub/b.mp4")):
        clip = studio.read(name)
        clip = clip.trim(20, 20 + FRAMES)
        noise = np.random.default_rng(0).integers(-6, 7, clip.frames.shape)
        noisy = (clip.frames + noise).clip(0, 255).astype(np.uint8)
        held = np.repeat(clip.frames[:1], FRAMES, axis=0)
        for method, frames in (("real", clip.frames), ("noisy", noisy), ("held", held)):
            (root / method / place).parent.mkdir(parents=True, exist_ok=True)
            tfg.write_clip(dataclasses.replace(clip, frames=frames), root / method / place)
    return root


@pytest.fixture(scope="module")
def experts(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    hubert, sync = tiny.save(tmp_path_factory.mktemp("weights"))
    return Settings(expert=str(hubert), syncnet=str(sync))


@pytest.fixture(autouse=True)
def _no_inception(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture(scope="module")
def found(folders: Path, experts: Settings, tmp_path_factory: pytest.TempPathFactory) -> tuple[Evaluation, Path]:
    """The evaluation, with FID by :func:`colours`."""
    out = tmp_path_factory.mktemp("out")
    weights = tmp_path_factory.mktemp("inception") / "weights.pth"
    weights.touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measure, "inception_features", lambda path, device: colours)
        measure._features.cache_clear()
        corpus = paired(folders / "real", {name: folders / name for name in ("noisy", "held")})
        result = evaluate(corpus, out, experts, inception=weights)
    measure._features.cache_clear()
    return result, out


# which video belongs to which


def test_clips_are_named_by_their_place_and_found_in_every_method(folders: Path, tmp_path: Path) -> None:
    shutil.copy(folders / "noisy" / "sub" / "b.mp4", tmp_path / "b.mp4")  # the stem is enough
    shutil.copy(folders / "noisy" / "a.mp4", tmp_path / "other.mp4")
    corpus = paired(folders / "real", {"noisy": folders / "noisy", "flat": tmp_path})
    assert list(corpus.real) == ["a", "sub/b"]
    assert corpus.made["noisy"] == {"a": folders / "noisy/a.mp4", "sub/b": folders / "noisy/sub/b.mp4"}
    assert corpus.made["flat"] == {"a": NO_VIDEO, "sub/b": tmp_path / "b.mp4"}
    assert corpus.ignored == {"noisy": [], "flat": [str(tmp_path / "other.mp4")]}


def test_folders_and_names_that_cannot_be_used_are_refused(folders: Path, tmp_path: Path) -> None:
    with pytest.raises(
        MissingFileError, match=r"no folder with videos, no file .* none of the generators generator-mini,"
    ):
        paired(folders / "real", {"x": folders / "absent"})
    with pytest.raises(DataError, match="holds no video"):
        paired(folders / "real", {"x": tmp_path})
    for name in ("../x", "", CHANCE):
        with pytest.raises(DataError, match="method name"):
            paired(folders / "real", {name: folders / "held"})
    with pytest.raises(DataError, match="there is a row of this name"):
        with_method(paired(folders / "real", {"held": folders / "held"}), "held", folders / "noisy")


# the chance row's video


@given(start=st.integers(0, 9), length=st.integers(2, 20), size=st.integers(1, 9), data=st.data())
@settings(max_examples=40, deadline=None)
def test_pictures_at_the_wrong_time_are_the_same_pictures(start: int, length: int, size: int, data: Any) -> None:
    shift = data.draw(st.integers(1, length - 1))
    frames = np.arange(start + length + 3, dtype=np.uint8)[:, None, None, None].repeat(3, axis=3)
    clip = tfg.Clip(frames, np.zeros(640 * len(frames), np.float32))
    moved = WrongTime(clip, start, start + length, shift)
    blocks = list(moved.blocks(size))
    expected = frames.copy()
    expected[start : start + length] = np.roll(frames[start : start + length], -shift, axis=0)
    np.testing.assert_array_equal(np.concatenate(blocks), expected)
    assert max(map(len, blocks)) <= size
    face = tiny.track(start, start + length)
    landmarks = face.landmarks + np.arange(length, dtype=np.float32)[:, None, None]
    track = moved.moved(dataclasses.replace(face, landmarks=landmarks))
    np.testing.assert_allclose(track.landmarks[0], landmarks[shift])
    assert (track.start, track.stop) == (start, start + length)


# the whole way


def test_the_real_videos_are_the_ceiling_and_the_wrong_time_is_below(found: tuple[Evaluation, Path]) -> None:
    cells = found[0].cells
    assert list(cells) == [REAL, "noisy", "held", CHANCE]
    real = {title: cell.mean for title, cell in cells[REAL].items()}
    assert real["SSIM"] == pytest.approx(1)
    assert real["PSNR"] == np.inf
    assert real["LMD"] == 0
    assert real["AVS_m"] == pytest.approx(1, abs=1e-5)
    assert real["AVS_v"] == pytest.approx(1, abs=1e-5)
    assert real["FID"] == pytest.approx(0, abs=1e-9)
    for row in ("held", CHANCE):
        assert cells["noisy"]["SSIM"].mean > cells[row]["SSIM"].mean
        assert cells["noisy"]["LMD"].mean < cells[row]["LMD"].mean
        assert cells["noisy"]["AVS_v"].mean > cells[row]["AVS_v"].mean
    assert cells[CHANCE]["FID"].mean == pytest.approx(0, abs=1e-9)  # the same pictures, whatever their order
    assert cells["noisy"]["PSNR"].best
    assert not cells["held"]["PSNR"].best
    assert not cells[REAL]["PSNR"].best


def test_numbers_of_a_clip_are_those_of_the_metrics(found: tuple[Evaluation, Path], folders: Path) -> None:
    videos = [tfg.read_clip(folders / method / "a.mp4") for method in ("held", "real")]
    track = tfg.track_face(videos[1])
    crops = [face_crops(video, track, generator_boxes(track), 256) for video in videos]
    numbers = found[0].clips["held"]["a"]["numbers"]
    assert numbers["ssim"] == pytest.approx(ssim(*crops).mean())
    assert numbers["psnr"] == pytest.approx(psnr(*crops).mean())
    scores = tfg.score(*videos, found[0].settings.expert, found[0].settings.syncnet)
    for key in ("avs_u", "avs_m", "avs_v", "lse_d_unbiased", "lse_c_lrs"):
        assert numbers[key] == pytest.approx(scores[key], abs=1e-6)
    assert numbers["identity"] > 0.9


def test_fid_is_of_all_pictures_of_a_row(found: tuple[Evaluation, Path], folders: Path) -> None:
    sets: dict[str, list[np.ndarray]] = {"held": [], "real": []}
    for place in ("a.mp4", "sub/b.mp4"):
        real = tfg.read_clip(folders / "real" / place)
        track = tfg.track_face(real)
        for method, features in sets.items():
            pictures = fid_pictures(tfg.read_clip(folders / method / place), real, track, "face")
            assert pictures.shape == (FRAMES, 256, 256, 3)
            features.append(colours(pictures))
    expected = frechet_distance(*(np.concatenate(features) for features in sets.values()))
    assert found[0].cells["held"]["FID"].mean == pytest.approx(expected)
    assert found[0].cells["held"]["FID"].low is None


def test_every_file_says_the_same_and_where_it_is_from(found: tuple[Evaluation, Path]) -> None:
    evaluation, out = found
    with open(out / "table.csv", newline="") as file:
        rows = {row["method"]: row for row in csv.DictReader(file)}
    assert list(rows) == [REAL, "noisy", "held", CHANCE]
    assert float(rows[REAL]["PSNR"]) == np.inf
    assert float(rows["held"]["AVS_u"]) == evaluation.cells["held"]["AVS_u"].mean
    assert float(rows["held"]["AVS_u low"]) <= float(rows["held"]["AVS_u"]) <= float(rows["held"]["AVS_u high"])
    assert rows["held"]["FID low"] == ""
    with open(out / "clips.csv", newline="") as file:
        clips = [(row["method"], row["clip"]) for row in csv.DictReader(file)]
    assert clips == [(row, name) for row in rows for name in ("a", "sub/b")]
    written = json.loads((out / "evaluation.json").read_text())
    assert written["figures"]["rows"][REAL]["PSNR"]["mean"] == "infinite"
    made = written["provenance"]
    assert made["command"].startswith("tfg evaluate real --method noisy=FOLDER --method held=FOLDER")
    assert made["data"] == {"real": 2}
    assert all(len(digest) == 64 for digest in made["weights"].values())
    for name in ("table.md", "table.tex"):
        text = (out / name).read_text()
        assert made["command"] in text
        assert made["commit"] in text
        assert f"{evaluation.cells['held']['SSIM'].mean:.3f}" in text
        assert str(out) not in text
    markdown = (out / "table.md").read_text()
    assert "| ∞ |" in markdown
    assert "resized to 256 x 256" in markdown
    assert not list(out.glob(".*"))


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What is measured from here on: (row, file)."""
    done: list[tuple[str, str]] = []
    measure_one = measure._Clip.measure

    def record(self: measure._Clip, row: str, path: Path) -> dict[str, Any]:
        done.append((row, path.name))
        return measure_one(self, row, path)

    monkeypatch.setattr(measure._Clip, "measure", record)
    return done


@pytest.fixture
def out(found: tuple[Evaluation, Path], tmp_path: Path) -> Path:
    """A folder in which everything is measured already."""
    shutil.copytree(found[1] / "clips", tmp_path / "out" / "clips")
    return tmp_path / "out"


def test_what_is_measured_is_not_measured_again(
    found: tuple[Evaluation, Path], folders: Path, experts: Settings, out: Path, tmp_path: Path, measured: list
) -> None:
    shutil.copytree(folders / "held", tmp_path / "held")
    made = {"noisy": folders / "noisy", "held": tmp_path / "held"}
    again = evaluate(paired(folders / "real", made), out, experts)
    assert measured == []
    assert again.cells["held"]["SSIM"] == found[0].cells["held"]["SSIM"]
    shutil.copy(folders / "noisy" / "a.mp4", tmp_path / "held" / "a.mp4")  # another video of the same name
    changed = evaluate(paired(folders / "real", made), out, experts)
    assert measured == [("held", "a.mp4")]
    assert changed.cells["held"]["SSIM"].mean > again.cells["held"]["SSIM"].mean


def test_other_settings_are_measured_anew(
    folders: Path, experts: Settings, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = []
    numbers = {"ssim": 1.0, "place": 0.0}
    monkeypatch.setattr(
        measure._Clip,
        "measure",
        lambda self, row, path: done.append(row) or {"numbers": numbers, "warnings": [], "seconds": {}},
    )
    corpus = paired(folders / "real", {"held": folders / "held"})
    for changes in ({"seed": 1}, {"region": "frame"}):
        evaluate(corpus, out, dataclasses.replace(experts, **changes))  # type: ignore[arg-type]
        assert done == 2 * [REAL, CHANCE, "held"]
        done.clear()


def test_a_run_that_is_cut_off_goes_on(folders: Path, experts: Settings, out: Path, measured: list) -> None:
    shutil.rmtree(out / "clips" / "held")
    corpus = paired(folders / "real", {"held": folders / "held"})

    def stop(name: str, rows: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(corpus, out, experts, on_clip=stop)
    assert measured == [("held", "a.mp4")]
    assert len(evaluate(corpus, out, experts).clips["held"]) == 2
    assert measured == [("held", "a.mp4"), ("held", "b.mp4")]


def test_a_clip_that_fails_in_one_row_is_in_none(folders: Path, experts: Settings, out: Path, tmp_path: Path) -> None:
    shutil.copytree(folders / "noisy", tmp_path / "broken")
    (tmp_path / "broken" / "a.mp4").write_bytes(b"no video")
    corpus = paired(folders / "real", {"noisy": tmp_path / "broken", "held": folders / "held"})
    result = evaluate(corpus, out, experts)
    assert all(list(clips) == ["sub/b"] for clips in result.clips.values())
    assert list(result.failed) == ["a"]
    assert list(result.failed["a"]) == ["noisy"]
    assert "a.mp4" in result.failed["a"]["noisy"]
    assert all(cell.clips == 1 and cell.low is None for cells in result.cells.values() for cell in cells.values())
    assert "left out, a, noisy" in (out / "table.md").read_text()


def test_a_real_video_that_fails_is_said_once(folders: Path, experts: Settings, out: Path, tmp_path: Path) -> None:
    shutil.copytree(folders / "real", tmp_path / "real")
    (tmp_path / "real" / "a.mp4").write_bytes(b"no video")
    result = evaluate(paired(tmp_path / "real", {"held": folders / "held"}), out, experts)
    assert list(result.failed["a"]) == [REAL]


def test_a_clip_that_a_method_lacks_is_in_no_row(folders: Path, experts: Settings, out: Path) -> None:
    corpus = paired(folders / "real", {"noisy": folders / "noisy", "held": folders / "held" / "sub"})
    result = evaluate(corpus, out, experts)
    assert result.failed == {"a": {"held": "no video of this clip"}}
    assert list(result.clips[REAL]) == ["sub/b"]


def test_no_clip_at_all_is_an_error_with_a_reason(folders: Path, experts: Settings, out: Path, tmp_path: Path) -> None:
    small = tfg.read_clip(folders / "real" / "a.mp4")
    small = dataclasses.replace(small, frames=np.ascontiguousarray(small.frames[:, :-16, :-16]))
    (tmp_path / "small").mkdir()
    tfg.write_clip(small, tmp_path / "small" / "a.mp4")
    corpus = paired(folders / "real", {"small": tmp_path / "small"})
    with pytest.raises(DataError, match=r"no clip has numbers.*'small': .*expected one size"):
        evaluate(corpus, out, experts)


def test_fid_without_weights_is_an_empty_column_that_says_why(folders: Path, experts: Settings, out: Path) -> None:
    corpus = paired(folders / "real", {})
    result = evaluate(corpus, out, experts)
    assert "FID" not in result.cells[REAL]
    assert "tfg weights get inception-fid" in result.not_computed["FID"]
    assert "FID is empty: " in (out / "table.md").read_text()
    with pytest.raises(WeightsError, match="absent"):
        evaluate(corpus, out, experts, inception="absent.pth")


def test_whole_frames_are_compared_at_their_own_size(folders: Path) -> None:
    made, real = (tfg.read_clip(folders / method / "a.mp4") for method in ("noisy", "real"))
    tracks = tiny.track(5, FRAMES), tiny.track(0, FRAMES)
    numbers = compare_pictures(made.trim(0, FRAMES - 2), tracks[0], real, tracks[1], "frame")
    assert numbers["psnr"] == pytest.approx(psnr(made.frames[:-2], real.frames[:-2]).mean())
    assert numbers["place"] == numbers["lmd_mouth"] == 0


# the table


def rows(**values: list[float]) -> dict[str, dict[str, dict[str, float]]]:
    return {row: {f"clip{i}": {"x": value} for i, value in enumerate(of_row)} for row, of_row in values.items()}


COLUMN = Column("x", "X", 1, 3)


def test_methods_are_compared_clip_by_clip() -> None:
    """A difference that every clip shows counts, however much the clips differ; one that half of them show does not."""
    random = np.random.default_rng(0)
    hard = random.uniform(0, 10, 30)
    cells, differences = table(
        rows(a=list(hard), b=list(hard - 0.1), c=list(hard + random.normal(0, 0.3, 30) - 0.02)), [COLUMN]
    )
    assert [(d.a, d.b) for d in differences] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert differences[0].low == pytest.approx(0.1)
    assert cells["a"]["X"].low < cells["b"]["X"].mean < cells["a"]["X"].high  # type: ignore[operator]
    assert [cells[row]["X"].best for row in "abc"] == [True, False, True]
    lower = table(rows(a=[1, 2, 3], b=[2, 3, 4]), [COLUMN._replace(sign=-1)])[0]
    assert [lower[row]["X"].best for row in "ab"] == [True, False]


def test_a_metric_that_does_not_tell_the_real_videos_from_chance_is_said_to(found: tuple[Evaluation, Path]) -> None:
    evaluation = found[0]
    span = {"SSIM": (0.1, 0.2), "AVS_u": (-0.1, 0.1)}
    changed = [
        d._replace(low=span[d.column][0], high=span[d.column][1])
        for d in evaluation.differences
        if (d.a, d.b) == (REAL, CHANCE) and d.column in span
    ]
    assert len(changed) == 2
    (told,) = cautions(dataclasses.replace(evaluation, differences=changed))
    assert told.startswith("AVS_u: on these clips the real videos are not told from")


def test_heads_that_are_elsewhere_are_said_to_be(found: tuple[Evaluation, Path]) -> None:
    evaluation = dataclasses.replace(found[0], differences=[])
    moved = {name: {"numbers": kept["numbers"] | {"place": 0.3}} for name, kept in evaluation.clips["held"].items()}
    (told,) = cautions(dataclasses.replace(evaluation, clips={**evaluation.clips, "held": moved}))
    assert told.startswith("held: the head lies 0.30 eye distances from the real one")


def test_a_clip_without_a_number_counts_in_no_row() -> None:
    numbers = rows(a=[1, 2, 3], b=[4, 5, 6])
    del numbers["b"]["clip1"]["x"]
    cells = table(numbers, [COLUMN, Column("y", "Y", 1, 3)])[0]
    assert cells["a"]["X"].mean == 2
    assert cells["a"]["X"].clips == cells["b"]["X"].clips == 2
    assert "Y" not in cells["a"]


def test_intervals_cover_the_mean_of_the_population() -> None:
    random = np.random.default_rng(0)
    hits = 0
    for seed in range(60):
        cell = table(rows(a=list(random.normal(3, 1, 40))), [COLUMN], seed)[0]["a"]["X"]
        hits += cell.low <= 3 <= cell.high  # type: ignore[operator]
    assert 50 <= hits <= 60


# the command


def options(folders: Path, experts: Settings, out: Path) -> list[str]:
    return ["evaluate", str(folders / "real"), "-o", str(out), "--expert", experts.expert, "--syncnet", experts.syncnet]


def test_the_command_prints_and_writes_the_table(folders: Path, experts: Settings, out: Path) -> None:
    result = CliRunner().invoke(app, [*options(folders, experts, out), "--method", f"held={folders / 'held'}"])
    assert result.exit_code == 0, result.output
    for text in ("real: 2 clips", "SSIM↑", "LSE-D↓", "held", "chance", "FID is empty"):
        assert text in result.output
    assert (out / "table.tex").is_file()


def test_the_command_refuses_what_it_cannot_do(folders: Path, experts: Settings, tmp_path: Path) -> None:
    base = options(folders, experts, tmp_path)
    for more, message in (
        (["--method", "held"], "expected NAME=FOLDER or NAME=GENERATOR"),
        (["--region", "mouth"], "expected one of face, frame"),
        (["--lse", "best"], "expected one of unbiased, tracks, lrs"),
        (["--method", f"x={tmp_path / 'absent'}"], "no folder"),
    ):
        result = CliRunner().invoke(app, [*base, *more])
        assert result.exit_code == 2
        assert message in result.output
