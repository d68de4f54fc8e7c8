"""tfg evaluate: which corpus a name means, and methods that are generators: drawn once, before they are measured."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import av
import numpy as np
import pytest
import tiny_experts as tiny
import tiny_training
from typer.testing import CliRunner

import tfg
from tfg.cli import app
from tfg.datasets import adthqa, face_clips, studio
from tfg.errors import CheckpointError, DataError, MissingFileError
from tfg.evaluation import draw, measure
from tfg.evaluation.corpora import find_corpus
from tfg.evaluation.draw import draw_videos
from tfg.evaluation.measure import Settings
from tfg.evaluation.pairs import CHANCE, REAL, Corpus, thinned, with_method
from tfg.evaluation.run import Evaluation, evaluate
from tfg.experts.checkpoints import file_sha256, save_weights
from tfg.experts.registry import get_weights
from tfg.generator import Generator

FRAMES = 30


def save_generator(path: Path, seed: int) -> Path:
    generator = Generator(tiny_training.GENERATOR, seed)
    card = {"kind": "generator", "config": dataclasses.asdict(generator.config)}
    return save_weights(generator.state_dict(), path, card)


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two face clips, as ``tfg prepare ... --for generator`` leaves it."""
    folder = tmp_path_factory.mktemp("prepared") / "corpus-test"
    folder.mkdir()
    (folder / face_clips.HEADER).write_text(json.dumps(face_clips.LAYOUT))
    for name in ("ada-tea", "ben-farm"):
        clip = studio.read(name).trim(20, 20 + FRAMES)
        face_clips.write_face_clip(clip, tfg.track_face(clip), folder, name)
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_generator(tmp_path_factory.mktemp("weights") / "tiny.safetensors", 0)


@pytest.fixture(scope="module")
def experts(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    hubert, sync = tiny.save(tmp_path_factory.mktemp("experts"))
    return Settings(expert=str(hubert), syncnet=str(sync))


@pytest.fixture(autouse=True)
def _no_inception(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that are drawn from here on."""
    done: list[str] = []
    write = draw.write_clip

    def record(clip: tfg.Clip, path: Path, *options: object) -> None:
        done.append(path.name)
        write(clip, path, *options)  # type: ignore[arg-type]

    monkeypatch.setattr(draw, "write_clip", record)
    return done


# which corpus


def test_a_prepared_folder_gives_its_face_clips(faces: Path) -> None:
    corpus = find_corpus(faces)
    assert corpus.name == "corpus-test"
    assert corpus.real == {name: faces / f"{name}.mp4" for name in ("ada-tea", "ben-farm")}
    assert corpus.face_clips
    with pytest.raises(DataError, match=r"holds 1 folders of face clips; expected one of them: corpus-test"):
        find_corpus(faces.parent)


def make_adthqa(folder: Path) -> Path:
    for method in (None, *adthqa.METHODS):
        for subject in ("May", "Ann"):
            place = f"source_videos/{subject}_slice.mp4" if method is None else f"{method}/{subject}_{subject}.mp4"
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            (folder / place).touch()
    return folder


def test_adthqa_brings_its_methods(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_adthqa(tmp_path / "adthqa")
    (folder / "adnerf" / "May_May.mp4").unlink()
    corpus = find_corpus("adthqa", folder)
    assert corpus.real == {name: folder / "source_videos" / f"{name}_slice.mp4" for name in ("Ann", "May")}
    assert list(corpus.made) == ["Wav2Lip", "MakeItTalk", "AD-NeRF", "DFA-NeRF"]
    assert corpus.made["Wav2Lip"]["May"] == folder / "wav2lip" / "May_May.mp4"
    assert "May_May.mp4 does not exist" in str(corpus.made["AD-NeRF"]["May"])
    monkeypatch.setenv("TFG_DATA", str(tmp_path))
    assert find_corpus("adthqa") == corpus
    monkeypatch.delenv("TFG_DATA")
    with pytest.raises(DataError, match=r"TFG_DATA is not set.*--data"):
        find_corpus("adthqa")
    with pytest.raises(DataError, match="there is a row of this name"):
        with_method(corpus, "Wav2Lip", folder / "dfanerf")


def test_another_method_on_adthqa_is_matched_by_the_real_file(tmp_path: Path) -> None:
    corpus = find_corpus("adthqa", make_adthqa(tmp_path / "adthqa"))
    shutil.copytree(tmp_path / "adthqa" / "source_videos", tmp_path / "ours")
    made = with_method(corpus, "ours", tmp_path / "ours").made["ours"]
    assert made == {name: tmp_path / "ours" / f"{name}_slice.mp4" for name in ("Ann", "May")}


def test_the_studio_is_its_test_talkers() -> None:
    corpus = find_corpus("studio")
    assert list(corpus.real) == studio.names("test")
    assert all(path.is_file() for path in corpus.real.values())


def test_what_is_no_corpus_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, faces: Path) -> None:
    with pytest.raises(MissingFileError, match=r"known by name \(adthqa, studio\); .*lrs2.* tfg prepare NAME PREPARED"):
        find_corpus("lrs2")
    with pytest.raises(DataError, match="--data is given for"):
        find_corpus(faces, tmp_path)
    monkeypatch.chdir(tmp_path)
    shutil.copytree(faces, "studio")
    with pytest.raises(DataError, match=r"known by name and a folder here; write \./studio for the folder"):
        find_corpus("studio")
    assert len(find_corpus("./studio").real) == 2


def test_some_clips_are_spread_over_all(faces: Path) -> None:
    names = [f"c{i}" for i in range(10)]
    corpus = Corpus(
        "x",
        faces,
        {name: faces / name for name in names},
        made={"ours": {name: faces / "made" / name for name in names}},
        arguments=("x",),
    )
    few = thinned(corpus, 4)
    assert list(few.real) == list(few.made["ours"]) == ["c0", "c2", "c5", "c7"]
    assert few.arguments == ("x", "--clips 4")
    assert thinned(corpus, 10) == corpus


# what a method is


def test_a_method_is_a_folder_or_a_generator(
    faces: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = find_corpus(faces)
    for what, path in ((weights, weights), ("generator-mini", get_weights("generator-mini"))):
        assert with_method(corpus, "ours", what).generators == {"ours": path}
    assert with_method(corpus, "ours", faces).generators == {}
    monkeypatch.chdir(tmp_path)
    shutil.copytree(faces, "generator-mini")
    with pytest.raises(DataError, match=r"a generator's name and a file or folder here; write \./generator-mini"):
        with_method(corpus, "ours", "generator-mini")
    assert with_method(corpus, "ours", "./generator-mini").generators == {}


def test_weights_of_no_generator_are_refused_before_anything_is_drawn(
    faces: Path, weights: Path, experts: Settings, tmp_path: Path, drawn: list[str]
) -> None:
    corpus = with_method(with_method(find_corpus(faces), "ours", weights), "judge", experts.syncnet)
    with pytest.raises(CheckpointError, match="draws no faces"):
        draw_videos(corpus, tmp_path)
    assert drawn == []


# drawn, then measured


@pytest.fixture(scope="module")
def found(
    faces: Path, weights: Path, experts: Settings, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Evaluation, Path]:
    out = tmp_path_factory.mktemp("out")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TFG_CACHE", str(out / "cache"))
        corpus = with_method(with_method(find_corpus(faces), "the same", faces), "ours", weights)
        return evaluate(corpus, out, experts), out


def test_a_generator_speaks_the_real_clips_frame_for_frame(found: tuple[Evaluation, Path], faces: Path) -> None:
    for name in ("ada-tea", "ben-farm"):
        real, track = face_clips.FaceClip(faces, name).read()
        path = found[1] / "made" / "ours" / f"{name}.mp4"
        made = tfg.read_clip(path)
        assert made.n_frames == real.n_frames == FRAMES
        assert np.corrcoef(made.audio, real.audio)[0, 1] > 0.9
        x0, y0, x1, y1 = Generator.boxes(track).mean(axis=0).round().astype(int)
        error = np.abs(made.frames.astype(float) - real.frames).mean(axis=(0, 3))
        lower = error[(y0 + y1) // 2 : y1, x0:x1].mean()
        outside = error[: y0 - 2].mean()
        assert lower > 4 * outside, "the lower half of the square is drawn, what is outside of it is real"
        with av.open(str(path)) as container:
            assert "Synthetic" in container.metadata["title"]


def test_a_drawn_row_stands_in_the_table_with_its_weights(found: tuple[Evaluation, Path], weights: Path) -> None:
    evaluation, out = found
    assert list(evaluation.cells) == [REAL, "the same", "ours", CHANCE]
    assert evaluation.cells["the same"]["SSIM"].mean == pytest.approx(1)
    assert evaluation.cells["ours"]["SSIM"].mean < 0.99
    made = json.loads((out / "evaluation.json").read_text())["provenance"]
    assert made["weights"]["ours"] == file_sha256(weights)
    assert made["command"].startswith(
        "tfg evaluate corpus-test --method 'the same'=FOLDER --method ours=tiny.safetensors"
    )
    assert "- ours: drawn by its generator" in (out / "table.md").read_text()


def test_what_is_drawn_is_drawn_again_for_other_weights_only(
    found: tuple[Evaluation, Path], faces: Path, weights: Path, tmp_path: Path, drawn: list[str]
) -> None:
    shutil.copytree(found[1] / "made", tmp_path / "made")
    corpus = with_method(find_corpus(faces), "ours", weights)
    videos = draw_videos(corpus, tmp_path).made["ours"]
    assert drawn == []
    assert videos == {name: tmp_path / "made" / "ours" / f"{name}.mp4" for name in corpus.real}
    (tmp_path / "made" / "ours" / "ben-farm.json").unlink()  # cut off before the second was complete
    draw_videos(corpus, tmp_path)
    assert drawn == ["ben-farm.mp4"]
    other = with_method(find_corpus(faces), "ours", save_generator(tmp_path / "tiny.safetensors", 1))
    draw_videos(other, tmp_path)
    assert drawn[1:] == ["ada-tea.mp4", "ben-farm.mp4"]


def test_a_clip_that_cannot_be_drawn_is_in_no_row(faces: Path, weights: Path, tmp_path: Path) -> None:
    folder = tmp_path / "short"
    shutil.copytree(faces, folder)
    tiny_training.write_clip(folder, "short", frames=8)
    corpus = draw_videos(with_method(find_corpus(folder), "ours", weights), tmp_path / "out")
    assert "8 frames leave no room" in str(corpus.made["ours"]["short"])
    rows = measure.measure_clip("short", corpus.real["short"], {"ours": "why"}, Settings(), tmp_path)
    assert rows == {"ours": "why"}


def test_frames_without_a_face_are_kept(tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = tiny.clip(34)
    (tmp_path / "real").mkdir()
    tfg.write_clip(dataclasses.replace(clip, frames=clip.frames // 32 * 8 + 100), tmp_path / "real" / "a.mp4", crf=0)
    monkeypatch.setattr(draw, "track_face", lambda clip: tiny.track(3, 33))
    corpus = draw_videos(with_method(find_corpus(tmp_path / "real"), "ours", weights), tmp_path)
    real, made = (tfg.read_clip(path).frames.astype(float) for path in (corpus.real["a"], corpus.made["ours"]["a"]))
    change = np.abs(made - real).mean(axis=(1, 2, 3))
    assert len(change) == 34
    assert change[3:33].min() > change[[0, 1, 2, 33]].max() + 0.5


def test_a_video_too_large_to_be_held_is_refused(
    tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "real").mkdir()
    tfg.write_clip(tiny.clip(20), tmp_path / "real" / "a.mp4")
    monkeypatch.setattr(draw, "LARGEST", 2**16)
    corpus = draw_videos(with_method(find_corpus(tmp_path / "real"), "ours", weights), tmp_path)
    assert "cut the video into pieces" in str(corpus.made["ours"]["a"])


# the command


def test_the_command_takes_prepared_folders_and_generators(
    found: tuple[Evaluation, Path], faces: Path, weights: Path, experts: Settings, tmp_path: Path
) -> None:
    shutil.copytree(found[1], tmp_path / "out")
    arguments = ["evaluate", str(faces), "--method", f"ours={weights}", "--clips", "1", "-o", str(tmp_path / "out")]
    result = CliRunner().invoke(app, [*arguments, "--expert", experts.expert, "--syncnet", experts.syncnet])
    assert result.exit_code == 0, result.output
    assert "corpus-test: 1 clips" in result.output
    assert "made/ (what the generators drew)" in result.output
    refused = CliRunner().invoke(app, ["evaluate", "lrw", "-o", str(tmp_path)])
    assert refused.exit_code == 2
    assert "adthqa, studio" in refused.output


# on the real corpus


def test_adthqa_as_distributed_fills_every_row(
    adthqa_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With made-up numbers: what they mean is tested elsewhere, here which video is measured in which row."""
    measured: dict[tuple[str, str], Path] = {}

    def record(self: measure._Clip, row: str, path: Path) -> dict[str, object]:
        measured[row, self.name] = path
        return {"numbers": {"avs_u": float(len(row)), "place": 0.0}, "warnings": [], "seconds": {}}

    monkeypatch.setattr(measure._Clip, "measure", record)
    corpus = thinned(find_corpus("adthqa", adthqa_dir), 3)
    result = evaluate(corpus, tmp_path)
    assert list(result.cells) == [REAL, "Wav2Lip", "MakeItTalk", "AD-NeRF", "DFA-NeRF", CHANCE]
    assert len(measured) == 18
    assert {path.parent.name for (row, _), path in measured.items() if row == "DFA-NeRF"} == {"dfanerf"}
    lengths = [tfg.open_clip(measured[row, "May"]).n_frames for row in (REAL, "Wav2Lip", "AD-NeRF")]
    assert max(lengths) - min(lengths) <= 13, "up to half a second shorter than the source"
