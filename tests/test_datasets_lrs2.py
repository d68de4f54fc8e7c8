"""LRS2 in the layout in which it is distributed: lists, transcripts, and what an incomplete copy leads to."""

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
from tfg.datasets import lrs2, prepared
from tfg.errors import DataError

VIDEO = "5535415699068794046"
PRETRAIN = """Text:  SO WE BOUGHT IT
Conf:  3

WORD START END ASDSCORE
SO 0.00 0.14 8.3
WE 0.14 0.25 7.9
BOUGHT 0.25 0.61 7.1
IT 0.61 0.70 8.8
"""


@cache
def video() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        tfg.write_clip(noise(8), Path(folder) / "noise.mp4")
        return (Path(folder) / "noise.mp4").read_bytes()


def put(
    folder: Path, code: str, text: str | None = "Text:  WHEN YOU'RE COOKING\nConf:  4\n", with_video: bool = True
) -> None:
    path = folder / f"{code}.mp4"
    path.parent.mkdir(parents=True, exist_ok=True)
    if with_video:
        path.write_bytes(video())
    if text is not None:
        path.with_suffix(".txt").write_text(text)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """As unpacked: the lists beside the archive's folder; one clip each without transcript, without video, damaged."""
    main, pretrain = tmp_path / "mvlrs_v1/main", tmp_path / "mvlrs_v1/pretrain"
    put(main, f"{VIDEO}/00001")
    put(main, f"{VIDEO}/00002")
    put(main, f"{VIDEO}/00003", text=None)
    put(main, f"{VIDEO}/00004", with_video=False)
    put(main, f"{VIDEO}/00005")
    (main / f"{VIDEO}/00005.mp4").write_bytes(b"damaged")
    put(pretrain, f"{VIDEO}/00001", PRETRAIN)
    lists = {
        "train": [f"{VIDEO}/00001"],
        "val": [f"{VIDEO}/00002"],
        "test": [f"{VIDEO}/{i:05} {tag}" for i, tag in ((2, "NF"), (3, "MV"), (4, "NF"), (5, "NF MV"))],
        "pretrain": [f"{VIDEO}/00001"],
    }
    for split, lines in lists.items():
        (tmp_path / f"{split}.txt").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_splits_are_the_official_lists_and_tags_of_the_test_list_are_kept_apart(corpus: Path) -> None:
    assert [clip.code for clip in lrs2.clips("train", corpus)] == [f"{VIDEO}/00001"]
    test = lrs2.clips("test", corpus)
    assert [clip.tags for clip in test] == [("NF",), ("MV",), ("NF",), ("NF", "MV")]
    assert test[0].path == corpus / f"mvlrs_v1/main/{VIDEO}/00002.mp4"


def test_lists_inside_the_archive_and_the_archive_as_root_are_found_too(corpus: Path) -> None:
    (corpus / "train.txt").rename(corpus / "mvlrs_v1/train.txt")
    assert lrs2.clips("train", corpus / "mvlrs_v1") == lrs2.clips("train", corpus)
    assert lrs2.clips("val", corpus / "mvlrs_v1") == lrs2.clips("val", corpus)


def test_the_same_code_in_main_and_pretrain_are_two_clips(corpus: Path) -> None:
    main, pretrain = lrs2.clips("train", corpus)[0], lrs2.clips("pretrain", corpus)[0]
    assert main.code == pretrain.code
    assert main.name != pretrain.name
    assert main.path != pretrain.path


def test_transcripts(corpus: Path) -> None:
    main, pretrain = lrs2.clips("train", corpus)[0], lrs2.clips("pretrain", corpus)[0]
    assert lrs2.sentence(main) == "WHEN YOU'RE COOKING"
    assert lrs2.words(main) == []
    assert lrs2.sentence(pretrain) == "SO WE BOUGHT IT"
    assert lrs2.words(pretrain)[2] == lrs2.Word("BOUGHT", 0.25, 0.61)
    assert lrs2.read(main).n_frames == 8


@pytest.mark.parametrize(("text", "said"), [("", "line 1"), ("Conf:  4\n", "Conf"), ("Text:\n", "Text:")])
def test_a_damaged_transcript_is_named(corpus: Path, text: str, said: str) -> None:
    clip = lrs2.clips("train", corpus)[0]
    clip.transcript.write_text(text)
    with pytest.raises(DataError, match=said) as error:
        lrs2.read(clip)
    assert str(clip.transcript) in str(error.value)


def test_a_damaged_word_time_is_named_with_its_line(corpus: Path) -> None:
    clip = lrs2.clips("pretrain", corpus)[0]
    clip.transcript.write_text(PRETRAIN.replace("0.25 0.61", "soon"))
    with pytest.raises(DataError, match="line 7"):
        lrs2.words(clip)


def test_a_missing_corpus_list_or_a_damaged_line_says_what_to_do(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected LRS2 there"):
        lrs2.clips("train", tmp_path / "nowhere")
    (corpus / "val.txt").write_text(f"{VIDEO}/00002\n{VIDEO}\n")
    with pytest.raises(DataError, match=r"val\.txt, line 2"):
        lrs2.clips("val", corpus)
    (corpus / "val.txt").unlink()
    with pytest.raises(DataError, match=r"official file list val\.txt"):
        lrs2.clips("val", corpus)


def test_prepare_goes_on_past_what_an_incomplete_copy_lacks_and_lists_it(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tfg.datasets.prepare.track_face", lambda clip: track(0, clip.n_frames))
    out = tmp_path / "out"
    arguments = ["prepare", "lrs2", str(out), "--corpus", str(corpus), "--workers", "1"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    for part in ("train", "val", "test"):
        assert len(prepared.names(out / f"lrs2-{part}")) == 1
    assert f"{out}/lrs2-test: 1 of 4 clips prepared" in result.stdout
    rows = list(csv.DictReader((out / "lrs2-test/rejected.csv").open()))
    assert [row["name"][-5:] for row in rows] == ["00003", "00004", "00005"]
    assert "00003.txt" in rows[0]["reason"]
    assert "00004.mp4" in rows[1]["reason"]
    assert "00005.mp4" in rows[2]["reason"]
    assert "left out: lrs2-" in result.stderr

    put(corpus / "mvlrs_v1/main", f"{VIDEO}/00003")  # completed: the next run adds it and keeps the rest
    kept = next((out / "lrs2-test").glob("*.npz")).stat().st_mtime_ns
    assert CliRunner().invoke(app, [*arguments, "--part", "test"]).exit_code == 0
    assert len(prepared.names(out / "lrs2-test")) == 2
    assert min(path.stat().st_mtime_ns for path in (out / "lrs2-test").glob("*.npz")) == kept
    assert len(list(csv.DictReader((out / "lrs2-test/rejected.csv").open()))) == 2


def test_an_unknown_part_is_refused(corpus: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(
        app, ["prepare", "lrs2", str(tmp_path / "out"), "--corpus", str(corpus), "--part", "dev"]
    )
    assert result.exit_code == 2
    assert "expected one of train" in result.output
