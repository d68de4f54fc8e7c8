"""LRW in the layout in which it is distributed."""

from __future__ import annotations

import csv
import tempfile
from functools import cache
from pathlib import Path

import pytest
from tiny_experts import clip as noise
from tiny_experts import track
from typer.testing import CliRunner

import tfg
from tfg.cli import app
from tfg.datasets import face_clips, lrw
from tfg.errors import DataError

METADATA = """Disk reference: 6091520354164962310
Channel: BBC News
Program start: 2016-02-09 04:00:00 +0000
Clip start: 3241.65 seconds
Duration: 0.40 seconds
"""


@cache
def video() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        tfg.write_clip(noise(lrw.FRAMES), Path(folder) / "noise.mp4")
        return (Path(folder) / "noise.mp4").read_bytes()


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Two words; of the test clips one lacks its metadata, one its video."""
    for word, split, number in (
        ("ABOUT", "train", 1),
        ("ABOUT", "test", 1),
        ("WORLD", "test", 1),
        ("WORLD", "test", 2),
    ):
        path = tmp_path / "lipread_mp4" / word / split / f"{word}_{number:05}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(video())
        path.with_suffix(".txt").write_text(METADATA)
    world = tmp_path / "lipread_mp4/WORLD/test"
    (world / "WORLD_00001.txt").unlink()
    (world / "WORLD_00002.mp4").unlink()
    return tmp_path


def test_folders_are_the_split_and_a_clip_with_one_file_only_is_still_listed(corpus: Path) -> None:
    assert lrw.words(corpus) == ["ABOUT", "WORLD"]
    assert [clip.name for clip in lrw.clips("train", corpus)] == ["lrw-ABOUT_00001"]
    assert [clip.name for clip in lrw.clips("test", corpus)] == [
        "lrw-ABOUT_00001",
        "lrw-WORLD_00001",
        "lrw-WORLD_00002",
    ]
    assert lrw.clips("train", corpus / "lipread_mp4") == lrw.clips("train", corpus)


def test_the_word_stands_in_the_middle_of_the_29_frames(corpus: Path) -> None:
    clip = lrw.clips("train", corpus)[0]
    assert lrw.duration(clip) == 0.4
    assert lrw.word_frames(clip) == (9.5, 19.5)  # 0.4 s are 10 frames around frame 14.5
    assert lrw.read(clip).n_frames == lrw.FRAMES
    clip.metadata.write_text(METADATA.replace("0.40", "9"))
    assert lrw.word_frames(clip) == (0, lrw.FRAMES)


def test_missing_or_damaged_files_are_named(corpus: Path) -> None:
    _, unlabelled, silent = lrw.clips("test", corpus)
    with pytest.raises(DataError, match=r"WORLD_00001\.txt"):
        lrw.read(unlabelled)
    with pytest.raises(tfg.errors.MissingFileError, match=r"WORLD_00002\.mp4"):
        lrw.read(silent)
    silent.metadata.write_text("Channel: BBC News\n")
    with pytest.raises(DataError, match="no line 'Duration"):
        lrw.duration(silent)


def test_no_corpus_or_an_empty_split_says_what_is_expected(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no clip of split val"):
        lrw.clips("val", corpus)
    with pytest.raises(DataError, match="is not a folder"):
        lrw.clips("val", tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no word's folder"):
        lrw.words(tmp_path / "empty")


def test_prepare_for_generators_goes_on_and_lists_what_it_left_out(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tfg.datasets.prepare.track_face", lambda clip: track(0, clip.n_frames))
    monkeypatch.setenv("TFG_DATA", str(corpus.parent))
    corpus.rename(corpus.parent / "lrw")
    out = corpus.parent / "out"
    arguments = ["prepare", "lrw", str(out), "--part", "test", "--workers", "1", "--for", "generator"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert [clip.name for clip in face_clips.load(out / "lrw-test")] == ["lrw-ABOUT_00001"]
    rows = list(csv.DictReader((out / "lrw-test/rejected.csv").open()))
    assert [row["name"] for row in rows] == ["lrw-WORLD_00001", "lrw-WORLD_00002"]
