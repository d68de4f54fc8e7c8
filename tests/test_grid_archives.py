"""GRID from its published archives: no file is used whose hash is not the published one, and none stops the others."""

from __future__ import annotations

import csv
import hashlib
import zipfile
from pathlib import Path

import pytest
from tiny_experts import clip as noise
from tiny_experts import track
from typer.testing import CliRunner

import tfg
from tfg.cli import app
from tfg.datasets import grid, grid_archives
from tfg.errors import DataError

SENTENCES = {"s1": ["bbaf2n", "bbaf3s", "lgwmzn"], "s5": ["lbax4n", "pwij3p"], "s6": ["sbia1a", "swwp2s"]}
ALIGN = "0 12000 sil\n12000 74500 bin\n"


def pack(path: Path, members: dict[str, bytes]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return hashlib.md5(path.read_bytes()).hexdigest()


@pytest.fixture
def archives(tmp_path: Path) -> Path:
    """Three talkers as published: a Mac's leftovers between the videos, and two folders of alignments swapped."""
    folder = tmp_path / "archives"
    tfg.write_clip(noise(8), tmp_path / "noise.mp4")
    video = (tmp_path / "noise.mp4").read_bytes()
    sums, align = {}, {}
    for talker, codes in SENTENCES.items():
        members = {f"{talker}/{code}.mp4": video for code in codes}
        leftovers = {f"__MACOSX/{talker}/._{codes[0]}.mpg": b"x", f"{talker}/.DS_Store": b"x", "../s1/bbaf2n.txt": b"x"}
        sums[f"{talker}.zip"] = pack(folder / f"{talker}.zip", members | leftovers)
        labelled = {"s5": "s6", "s6": "s5"}.get(talker, talker)
        align |= {f"alignments/{labelled}/{code}.align": f"{ALIGN}{talker}".encode() for code in codes}
    sums["alignments.zip"] = pack(folder / "alignments.zip", align)
    (folder / "md5sums.txt").write_text("".join(f"{md5}  {name}\n" for name, md5 in sums.items()))
    return folder


def test_archives_become_the_corpus_that_the_reader_expects(archives: Path, tmp_path: Path) -> None:
    corpus = tmp_path / "grid"
    assert grid_archives.unpack(SENTENCES, archives, corpus) == {}
    assert grid.speakers(corpus) == ["s1", "s5", "s6"]
    for talker, codes in SENTENCES.items():
        assert [clip.code for clip in grid.clips(talker, corpus)] == codes
        assert sorted(p.name for p in (corpus / talker).iterdir()) == [f"{code}.mp4" for code in codes]
    assert not list(tmp_path.glob("s1"))  # a member that points out of the archive is not followed


def test_alignments_go_to_the_talker_who_says_these_sentences(archives: Path, tmp_path: Path) -> None:
    grid_archives.unpack(SENTENCES, archives, tmp_path / "grid")
    for talker, codes in SENTENCES.items():
        text = (tmp_path / f"grid/align/{talker}/{codes[0]}.align").read_text()
        assert text.endswith(talker), "the folder of another talker"


def test_a_wrong_hash_is_refused_by_name_and_the_others_go_on(archives: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(archives / "s5.zip", "a") as archive:
        archive.writestr("s5/prwq3s.mpg", b"added by somebody")
    refused = grid_archives.unpack(SENTENCES, archives, tmp_path / "grid")
    assert list(refused) == ["s5.zip"]
    assert "published is" in refused["s5.zip"]
    assert grid.speakers(tmp_path / "grid") == ["s1", "s6"]


def test_a_missing_archive_and_an_unknown_hash_are_reasons_too(archives: Path, tmp_path: Path) -> None:
    (archives / "s6.zip").unlink()
    refused = grid_archives.unpack([*SENTENCES, "s7"], archives, tmp_path / "grid")
    assert set(refused) == {"s6.zip", "s7.zip"}
    assert "does not exist" in refused["s6.zip"]
    assert "hash is not known" in refused["s7.zip"]


def test_a_talker_without_alignments_is_named(archives: Path, tmp_path: Path) -> None:
    md5 = pack(archives / "alignments.zip", {"alignments/s1/bbaf2n.align": b"", "alignments/s1/bbaf3s.align": b""})
    sums = (archives / "md5sums.txt").read_text().splitlines()[:-1]
    (archives / "md5sums.txt").write_text("\n".join([*sums, f"{md5} *alignments.zip"]))
    refused = grid_archives.unpack(SENTENCES, archives, tmp_path / "grid")
    assert set(refused) == {"alignments.zip (s5)", "alignments.zip (s6)"}
    assert (tmp_path / "grid/align/s1/bbaf2n.align").is_file()


def test_a_second_run_reads_no_archive_of_videos_again(archives: Path, tmp_path: Path) -> None:
    corpus = tmp_path / "grid"
    grid_archives.unpack(SENTENCES, archives, corpus)
    for talker in SENTENCES:
        (archives / f"{talker}.zip").unlink()
    assert grid_archives.unpack(SENTENCES, archives, corpus) == {}
    (corpus / ".s1.zip.md5").write_text("another archive's")
    assert set(grid_archives.unpack(SENTENCES, archives, corpus)) == {"s1.zip"}


def test_hashes_that_are_not_known_here_are_asked_from_the_record_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def published() -> dict[str, str]:
        asked.append(1)
        return {"s11.zip": "0" * 32}

    monkeypatch.setattr(grid_archives, "published", published)
    assert grid_archives.hashes(["s1.zip", "s10.zip"], tmp_path) == (grid_archives.MD5, "")
    assert asked == []
    for _ in range(2):
        assert grid_archives.hashes(["s11.zip"], tmp_path)[0] == {"s11.zip": "0" * 32}
    assert asked == [1], "the record's answer is kept beside the archives"


def test_without_network_archives_whose_hash_is_known_still_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def published() -> dict[str, str]:
        raise DataError("no network")

    monkeypatch.setattr(grid_archives, "published", published)
    known, why = grid_archives.hashes(["s1.zip", "s11.zip"], tmp_path)
    assert known == grid_archives.MD5
    assert why == "no network"


def test_an_unreachable_record_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    import requests

    def unreachable(*_: object, **__: object) -> None:
        raise requests.exceptions.ConnectionError

    monkeypatch.setattr(requests, "get", unreachable)
    monkeypatch.setattr(requests.Session, "get", unreachable)
    with pytest.raises(DataError, match="pass --md5-file"):
        grid_archives.published()


def test_a_failed_download_is_listed(archives: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import requests

    def unreachable(*_: object, **__: object) -> None:
        raise requests.exceptions.ConnectionError("no route")

    monkeypatch.setattr(requests, "get", unreachable)
    monkeypatch.setattr(requests.Session, "get", unreachable)
    (archives / "s6.zip").unlink()
    refused = grid_archives.unpack(SENTENCES, archives, tmp_path / "grid", download=True)
    assert list(refused) == ["s6.zip"]  # the others are there, with the right hash: nothing to fetch
    assert "not fetched" in refused["s6.zip"]


@pytest.mark.parametrize("text", ["cbd655  s1.zip", "s1.zip cbd6556668f061b5c3681bc722659b39"])
def test_a_damaged_file_of_hashes_is_refused_with_its_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "sums").write_text(f"\n{text}\n")
    with pytest.raises(DataError, match="line 2"):
        grid_archives.read_md5(tmp_path / "sums")


def test_a_talker_who_has_no_archive_is_an_error_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no talker 's21'"):
        grid_archives.unpack(["s1", "s21"], tmp_path, tmp_path)


def test_prepare_grid_unpacks_and_prepares_what_passed(
    archives: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tfg.datasets.prepare.track_face", lambda clip: track(0, clip.n_frames))
    (archives / "s6.zip").write_bytes(b"half of it")
    chosen = [part for talker in SENTENCES for part in ("--talker", talker)]
    folders = ["--corpus", str(tmp_path / "grid"), "--archives", str(archives), "--workers", "1"]
    result = CliRunner().invoke(app, ["prepare", "grid", str(tmp_path / "out"), *folders, *chosen])
    assert result.exit_code == 0, result.output
    assert "left out: s6.zip" in result.stderr
    assert [row["name"] for row in csv.DictReader((archives / "rejected.csv").open())] == ["s6.zip"]
    counts = {path.name: len(list(path.glob("*.npz"))) for path in (tmp_path / "out").iterdir()}
    assert counts == {"grid-s1-val": 1, "grid-s1-train": 2, "grid-unseen": 2}
