"""HDTF: clips cut and cropped from videos by the published lists, with the flaws that these lists have."""

from __future__ import annotations

import csv
import tempfile
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from tiny_experts import track
from typer.testing import CliRunner

import tfg
from tfg.cli import app
from tfg.clip import Clip
from tfg.datasets import hdtf, prepared
from tfg.errors import DataError, TfgError

SECONDS, HEIGHT, WIDTH = 4, 90, 160
LISTS = {
    # as published: the video's name without suffix; times out of order, trailing blanks, clips without a box, a
    # height of 0, a box larger than its video, an address without times, a last line without line end
    "video_url": "A https://example.org/a\nB https://example.org/b\nC https://example.org/c\nD https://example.org/d\n",
    "annotion_time": "A.mp4 00:01-00:03 00:03-00:04 \nB.mp4 00:00-00:02 00:02\nC.mp4 00:00-00:02\nE.mp4 00:00-00:09",
    "crop_wh": "A_0.mp4 60 80 20 80\nB_0.mp4 10 1134 0 1134\nB_1.mp4 0 9 0 9\nC_0.mp4 60 80 20 80\nE_0.mp4 0 50 0 50\n",
    "resolution": "A.mp4 180\nB.mp4 90\nC.mp4 0\nE.mp4 90\n",
}


def film() -> Clip:
    """Four seconds in which every second has its own grey and the box (left 30, width 40, top 10) is lighter."""
    frames = np.zeros((25 * SECONDS, HEIGHT, WIDTH, 3), np.uint8)
    for second in range(SECONDS):
        frames[25 * second : 25 * (second + 1)] = 20 + 40 * second
    frames[:, 10:50, 30:70] += 60
    sound = np.repeat(np.array([0.1, 0.2, 0.3, 0.4], np.float32), 16_000)
    return Clip(frames, sound)


@cache
def encoded() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        tfg.write_clip(film(), Path(folder) / "film.mp4", crf=1)
        return (Path(folder) / "film.mp4").read_bytes()


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    (tmp_path / "HDTF_dataset").mkdir()
    (tmp_path / "videos").mkdir()
    for kind, text in LISTS.items():
        (tmp_path / f"HDTF_dataset/RD_{kind}.txt").write_text(text)
    for video in "ABE":
        (tmp_path / f"videos/RD_{video}.mp4").write_bytes(encoded())
    return tmp_path


def by_code(corpus: Path) -> dict[str, hdtf.HdtfClip]:
    return {clip.code: clip for clip in hdtf.clips("RD", corpus)}


def test_a_clip_is_cut_by_its_times_cropped_by_its_box_and_scaled_with_the_download(corpus: Path) -> None:
    clip = by_code(corpus)["A_0"]
    assert (clip.start, clip.stop, clip.box, clip.height) == (1, 3, (60, 80, 20, 80), 180)
    assert clip.url == "https://example.org/a"
    found = hdtf.read(clip)  # the download is half as high as the video that the box was drawn on
    assert found.frames.shape == (50, 512, 512, 3)
    assert abs(int(found.frames[5].min()) - 120) <= 4  # second 1: 60, in the box 120, and nothing darker
    assert abs(int(found.frames[30].max()) - 160) <= 4  # second 2
    assert abs(float(np.median(found.audio[:15_000])) - 0.2) < 0.05


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("A_1", "RD_crop_wh.txt has no box"),
        ("B_0", "leaves the 160 x 90 picture"),
        ("B_1", "says '00:02', expected '00:30-01:00'"),
        ("C_0", "RD_resolution.txt says '0'"),
        ("D", "RD_annotion_time.txt has no times"),
        ("E_0", "ends at 4.00 s"),
    ],
)
def test_what_the_lists_or_the_download_leave_in_doubt_is_listed_and_refused(
    corpus: Path, code: str, said: str
) -> None:
    with pytest.raises(DataError, match=code) as error:
        hdtf.read(by_code(corpus)[code])
    assert said in str(error.value)


def test_a_video_that_was_not_downloaded_says_from_where_to_where(corpus: Path) -> None:
    (corpus / "videos/RD_A.mp4").unlink()
    with pytest.raises(DataError, match=r"RD_A\.mp4 does not exist: download https://example.org/a to that name"):
        hdtf.read(by_code(corpus)["A_0"])


def test_other_containers_are_found(corpus: Path) -> None:
    (corpus / "videos/RD_A.mp4").rename(corpus / "videos/RD_A.mkv")
    assert hdtf.read(by_code(corpus)["A_0"]).n_frames == 50


def test_a_missing_list_names_the_repository(corpus: Path) -> None:
    with pytest.raises(DataError, match=r"WDA_annotion_time.txt does not exist.*MRzzm/HDTF"):
        hdtf.clips("WDA", corpus)


@pytest.mark.parametrize(("length", "expected"), [(2, [2]), (40, [20, 20]), (40.5, [20, 20.5]), (50, [20, 20, 10])])
def test_pieces_cover_a_clip_without_gap_or_overlap(length: float, expected: list[float]) -> None:
    clip = hdtf.HdtfClip("A_0", "RD", Path("RD_A.mp4"), start=5, stop=5 + length)
    found = hdtf.pieces(clip)
    assert [piece.stop - piece.start for piece in found] == expected
    assert (found[0].start, found[-1].stop) == (clip.start, clip.stop)
    assert all(a.stop == b.start for a, b in pairwise(found))
    assert len({piece.name for piece in found}) == len(found)


def test_prepare_goes_on_and_lists_every_clip_that_it_left_out(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tfg.datasets.prepare.track_face", lambda clip: track(0, clip.n_frames))
    (corpus / "videos/RD_E.mp4").write_bytes(b"damaged")
    out = tmp_path / "out"
    arguments = ["prepare", "hdtf", str(out), "--corpus", str(corpus), "--part", "RD", "--workers", "1"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert prepared.names(out / "hdtf-RD") == ["hdtf-RD-A_0-000"]
    rows = list(csv.DictReader((out / "hdtf-RD/rejected.csv").open()))
    assert len(rows) == 6
    assert all(row["reason"] for row in rows)


def test_a_damaged_download_is_an_error_of_this_package(corpus: Path) -> None:
    (corpus / "videos/RD_A.mp4").write_bytes(b"damaged")
    with pytest.raises(TfgError, match="RD_A"):
        hdtf.read(by_code(corpus)["A_0"])
