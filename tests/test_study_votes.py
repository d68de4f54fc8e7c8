"""Votes: both forms of the csv read to the same table, malformed rows are refused with their number."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfg.errors import DataError
from tfg.study import votes as v
from tfg.study.votes import Vote

COUNTED = "dimension,subject,method_a,method_b,wins_a,wins_b,ties\n"
SINGLE = "dimension,subject,rater,method_a,method_b,choice\n"
METHODS = ("x", "y", "z")


def _file(folder: Path, text: str) -> Path:
    path = folder / "votes.csv"
    path.write_text(text)
    return path


def test_single_votes_and_their_counts_give_the_same_table(tmp_path: Path) -> None:
    single = v.read_votes(_file(tmp_path, SINGLE + "lip,anna,r1,x,y,a\nlip,anna,r2,y,x,a\nlip,anna,r3,x,y,tie\n"))
    counted = v.read_votes(_file(tmp_path, COUNTED + "lip,anna,x,y,1,1,1\n"))
    for a, b in zip(v.counts(single, METHODS), v.counts(counted, METHODS), strict=True):
        np.testing.assert_array_equal(a, b)
    assert [vote.rater for vote in single] == ["r1", "r2", "r3"]


def test_ties_may_be_left_out_and_foreign_columns_renamed(tmp_path: Path) -> None:
    path = _file(tmp_path, "criterion,subject,method_a,method_b,votes_a,votes_b\nlip,anna,x,y,4,11\n")
    columns = {"criterion": "dimension", "votes_a": "wins_a", "votes_b": "wins_b"}
    assert v.read_votes(path, METHODS, columns) == [Vote("lip", "anna", "x", "y", 4, 11)]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("lip,anna,x,q,1,2,0", "unknown method 'q'"),
        ("lip,anna,x,x,1,2,0", "x against itself"),
        ("lip,anna,x,y,-1,2,0", "'-1' for wins_a"),
        ("lip,anna,x,y,1.5,2,0", "'1.5' for wins_a"),
        ("lip,anna,x,y,1,,0", "wins_b is empty"),
        ("lip,anna,x,y,1", "wins_b is empty"),
        ("lip,,x,y,1,2,0", "subject is empty"),
        ("lip,anna,x,y,0,0,0", "all counts are 0"),
        ("lip,anna,x,y,1,2,0,9", "more fields"),
        ("lip,bert,y,x,1,2,0", "stands in row 2 already"),
    ],
)
def test_malformed_row_of_counts_is_refused_with_its_number(tmp_path: Path, row: str, message: str) -> None:
    path = _file(tmp_path, f"{COUNTED}lip,bert,x,y,7,8,0\n{row}\n")
    with pytest.raises(DataError, match=f"row 3.*{message}"):
        v.read_votes(path, METHODS)


@pytest.mark.parametrize(
    ("row", "message"),
    [("lip,anna,r1,x,y,c", "the choice 'c'"), ("lip,bert,r1,y,x,a", "in row 2 already"), ("lip,a,,x,y,a", "rater is")],
)
def test_malformed_single_vote_is_refused_with_its_number(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(DataError, match=f"row 3.*{message}"):
        v.read_votes(_file(tmp_path, f"{SINGLE}lip,bert,r1,x,y,b\n{row}\n"), METHODS)


def test_another_rater_may_judge_the_same_pair(tmp_path: Path) -> None:
    assert len(v.read_votes(_file(tmp_path, SINGLE + "lip,bert,r1,x,y,b\nlip,bert,r2,x,y,b\n"))) == 2


@pytest.mark.parametrize("header", ["", "dimension,subject,method_a,method_b,wins_a,wins_b,tie", "a,b,c"])
def test_header_of_neither_form_is_refused(tmp_path: Path, header: str) -> None:
    with pytest.raises(DataError, match="expected dimension, subject"):
        v.read_votes(_file(tmp_path, header + "\n"))


def test_missing_empty_and_unreadable_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        v.read_votes(tmp_path / "none.csv")
    with pytest.raises(DataError, match="no vote"):
        v.read_votes(_file(tmp_path, COUNTED))
    (tmp_path / "votes.csv").write_bytes(b"dimension,\xff\xfe")
    with pytest.raises(DataError, match="UTF-8"):
        v.read_votes(tmp_path / "votes.csv")


_PAIRS = st.lists(
    st.tuples(st.sampled_from("st"), st.sampled_from(["xy", "xz", "yz"]), *[st.integers(0, 9)] * 3).filter(
        lambda row: sum(row[2:]) > 0
    ),
    min_size=1,
    unique_by=lambda row: row[:2],
)


@given(_PAIRS)
def test_written_votes_read_back(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple]) -> None:
    written = [Vote("lip", subject, pair[0], pair[1], *counts) for subject, pair, *counts in rows]
    path = v.write_votes(written, tmp_path_factory.mktemp("votes") / "votes.csv")
    assert v.read_votes(path, METHODS) == written
    single = [
        Vote("lip", one.subject, one.method_a, one.method_b, *(1 if i == kind else 0 for i in range(3)), f"r{kind}{n}")
        for one in written
        for kind in range(3)
        for n in range(one[4 + kind])
    ]
    assert v.read_votes(v.write_votes(single, path), METHODS) == single
    np.testing.assert_array_equal(v.counts(single, METHODS), v.counts(written, METHODS))


def test_single_votes_and_counts_do_not_mix_in_a_file(tmp_path: Path) -> None:
    mixed = [Vote("lip", "s", "x", "y", 1, 0), Vote("lip", "s", "x", "z", 1, 0, 0, "r1")]
    with pytest.raises(DataError, match="none of which"):
        v.write_votes(mixed, tmp_path / "votes.csv")


def test_tables_by_subject_and_by_rater_add_up_to_all_votes() -> None:
    some = [
        Vote("lip", "s", "x", "y", 1, 0, 0, "r1"),
        Vote("lip", "t", "y", "x", 1, 0, 0, "r1"),
        Vote("lip", "t", "z", "x", 0, 0, 1, "r2"),
    ]
    wins, ties = v.counts(some, METHODS)
    assert wins[0, 1] == wins[1, 0] == 1
    assert ties[0, 2] == ties[2, 0] == 1
    for by, names in (("subject", ["s", "t"]), ("rater", ["r1", "r2"])):
        found, parts, tied = v.tables(some, METHODS, by)  # type: ignore[arg-type]
        assert found == names
        np.testing.assert_array_equal(parts.sum(axis=0), wins)
        np.testing.assert_array_equal(tied.sum(axis=0), ties)
    np.testing.assert_allclose(v.win_share(wins, ties), [(1 + 0.5) / 3, 0.5, 0.5])


def test_counts_cannot_be_sorted_by_rater_and_unknown_questions_are_named() -> None:
    some = [Vote("lip", "s", "x", "y", 3, 4)]
    with pytest.raises(DataError, match="who voted"):
        v.tables(some, METHODS, "rater")
    with pytest.raises(DataError, match="the votes are on: lip"):
        v.of(some, "head")
    with pytest.raises(DataError, match="expected one of y, z"):
        v.counts(some, ["y", "z"])


def test_a_method_without_votes_has_no_share() -> None:
    share = v.win_share(*v.counts([Vote("lip", "s", "x", "y", 3, 1)], METHODS))
    np.testing.assert_array_equal(share, [0.75, 0.25, np.nan])
