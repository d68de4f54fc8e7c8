"""``--cluster``: the same job on a Ray cluster that is already there."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from joblib import delayed
from typer.testing import CliRunner

import tfg
from tfg.cli import app
from tfg.datasets import cluster, lrs2, prepared, studio
from tfg.errors import DataError


@pytest.fixture(scope="module")
def two_workers() -> Iterator[None]:
    ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'tfg[cluster]'")
    patch = pytest.MonkeyPatch()
    patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    patch.setenv("RAY_AUTH_MODE", "disabled")
    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()
    patch.undo()


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(DataError, match=r"pip install 'tfg\[cluster\]'"):
        list(cluster.run([delayed(abs)(1)]))


def test_without_a_cluster_the_way_to_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'tfg[cluster]'")

    def init(**_: object) -> None:
        raise ConnectionError("Could not find any running Ray instance.")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", init)
    with pytest.raises(DataError, match="start one with 'ray start --head'"):
        list(cluster.run([delayed(abs)(1)]))


@pytest.mark.slow
def test_results_come_in_order_from_more_than_one_worker(two_workers: None) -> None:
    import os

    calls = [delayed(lambda i: (i, os.getpid()))(i) for i in range(20)]
    found = list(cluster.run(calls))
    assert [i for i, _ in found] == list(range(20))
    assert len({pid for _, pid in found} - {os.getpid()}) == 2


@pytest.mark.slow
def test_prepare_on_two_workers_gives_the_same_files_and_the_same_list_of_rejected(
    two_workers: None, tmp_path: Path
) -> None:
    talker = studio.read(studio.names()[0])
    for number in (1, 2, 3):
        path = tmp_path / f"lrs2/mvlrs_v1/main/123/{number:05}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        tfg.write_clip(talker.trim(10 * number, 10 * number + 8), path)
        path.with_suffix(".txt").write_text("Text:  TEA\n")
    path.write_bytes(b"damaged")
    (tmp_path / "lrs2/val.txt").write_text("123/00001\n123/00002\n123/00003\n123/00004\n")
    common = ["--corpus", str(tmp_path / "lrs2"), "--part", "val"]
    for out, how in (("here", ["--workers", "1"]), ("there", ["--cluster"])):
        result = CliRunner().invoke(app, ["prepare", "lrs2", str(tmp_path / out), *common, *how])
        assert result.exit_code == 0, result.output
        assert "2 of 4 clips prepared" in result.stdout
    here, there = (tmp_path / out / "lrs2-val" for out in ("here", "there"))
    assert (here / "rejected.csv").read_text() == (there / "rejected.csv").read_text()
    assert len(list(csv.DictReader((there / "rejected.csv").open()))) == 2
    names = [clip.name for clip in lrs2.clips("val", tmp_path / "lrs2")][:2]
    for a, b in zip(prepared.load(here, names), prepared.load(there, names), strict=True):
        np.testing.assert_array_equal(a.mouth, b.mouth)
        np.testing.assert_array_equal(a.face, b.face)
        np.testing.assert_array_equal(a.fbank, b.fbank)
        np.testing.assert_array_equal(a.mfcc, b.mfcc)
