"""ADTH-QA: its folder, its votes as csv and as MATLAB tables, and what is said where something is missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from tfg.datasets import adthqa
from tfg.errors import DataError
from tfg.study.votes import Vote, counts, of, subjects_of

TABLE = np.array([[0, 8, 4, 8], [7, 0, 2, 13], [11, 13, 0, 15], [7, 2, 0, 0]])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for place in ("source_videos", *adthqa.METHODS):
        (tmp_path / place).mkdir()
        for subject in ("May", "Obama"):
            name = f"{subject}_slice.mp4" if place == "source_videos" else f"{subject}_{subject}.mp4"
            (tmp_path / place / name).touch()
    return tmp_path


def test_videos_are_found_where_the_repository_has_them(folder: Path) -> None:
    assert adthqa.subjects(folder) == ["May", "Obama"]
    assert adthqa.source("May", folder).name == "May_slice.mp4"
    assert adthqa.generated("adnerf", "Obama", folder) == folder / "adnerf" / "Obama_Obama.mp4"
    with pytest.raises(DataError, match="unknown method 'sadtalker'"):
        adthqa.generated("sadtalker", "May", folder)
    with pytest.raises(DataError, match="does not exist"):
        adthqa.source("French", folder)
    with pytest.raises(DataError, match="no source video"):
        adthqa.subjects(folder / "adnerf")


def test_the_folder_is_looked_for_under_tfg_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TFG_DATA", raising=False)
    with pytest.raises(DataError, match="TFG_DATA is not set"):
        adthqa.root()
    monkeypatch.setenv("TFG_DATA", str(tmp_path))
    with pytest.raises(DataError, match="adthqa is not a folder"):
        adthqa.subjects()
    (tmp_path / "adthqa").mkdir()
    assert adthqa.root() == tmp_path / "adthqa"


def test_votes_of_the_csv_are_checked(folder: Path) -> None:
    path = folder / "votes.csv"
    path.write_text("criterion,subject,method_a,method_b,votes_a,votes_b\nlip,May,wav2lip,adnerf,7,8\n")
    assert adthqa.votes(folder) == [Vote("lip", "May", "wav2lip", "adnerf", 7, 8)]
    path.write_text(path.read_text() + "lip,May,wav2lip,sadtalker,7,8\n")
    with pytest.raises(DataError, match="row 3: unknown method 'sadtalker'"):
        adthqa.votes(folder)


def test_matlab_tables_are_found_as_pages_cells_and_fields(tmp_path: Path) -> None:
    with_nan = np.where(np.eye(4, dtype=bool), np.nan, TABLE)
    cells = np.empty((1, 2), object)
    cells[0, 0], cells[0, 1] = TABLE, TABLE.T
    contents = {
        "pages": {"lip": np.stack([TABLE, TABLE.T], axis=2)},
        "cells": {"lip": cells, "note": "votes"},
        "fields": {"lip": {"May": with_nan, "Obama": TABLE.T.astype(float)}, "viewers": 15},
        "names": {"May": TABLE, "Obama": TABLE.T, "mos": np.zeros((6, 4))},
    }
    for name, content in contents.items():
        path = tmp_path / f"{name}.mat"
        savemat(path, content)
        first, second = adthqa.summary_counts(path).values()
        np.testing.assert_array_equal(first, TABLE, err_msg=name)
        np.testing.assert_array_equal(second, TABLE.T, err_msg=name)


def test_matlab_votes_are_those_of_the_tables_in_the_order_that_is_given(folder: Path) -> None:
    for file in adthqa.DIMENSIONS.values():
        savemat(folder / file, {"May": TABLE, "Obama": TABLE.T})
    votes = adthqa.summary_votes(["May", "Obama"], folder=folder)
    wins, ties = counts(of(votes, "rendering", "May"), adthqa.METHODS)
    np.testing.assert_array_equal(wins, TABLE)
    assert not ties.any()
    lost = adthqa.summary_votes(["May", "Obama"], folder=folder, rows_win=False)
    np.testing.assert_array_equal(counts(of(lost, "rendering", "Obama"), adthqa.METHODS)[0], TABLE)
    with pytest.raises(DataError, match=r"2 tables.*expected 1 subjects"):
        adthqa.summary_votes(["May"], folder=folder)


@pytest.mark.parametrize("table", [TABLE / 15, -TABLE, np.eye(4), np.zeros((5, 5))])
def test_what_is_no_table_of_counts_is_described_instead(tmp_path: Path, table: np.ndarray) -> None:
    savemat(tmp_path / "lip_summary.mat", {"scores": table})
    with pytest.raises(DataError, match=r"no table of 4 by 4 counts among scores \("):
        adthqa.summary_counts(tmp_path / "lip_summary.mat")


def test_a_file_that_is_not_matlabs_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "lip_summary.mat"
    path.write_bytes(b"dimension,subject\n" * 20)
    with pytest.raises(DataError, match="cannot be read as a MATLAB file"):
        adthqa.summary_counts(path)
    with pytest.raises(DataError, match="does not exist"):
        adthqa.summary_counts(tmp_path / "none.mat")


def test_the_real_votes_are_fifteen_on_every_pair(adthqa_dir: Path) -> None:
    votes = adthqa.votes(adthqa_dir)
    assert set(subjects_of(votes)) <= set(adthqa.subjects(adthqa_dir))
    assert {vote.total for vote in votes} == {15}
    for dimension in adthqa.DIMENSIONS:
        assert len(of(votes, dimension)) == 6 * len(subjects_of(votes))
