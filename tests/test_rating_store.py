"""The file of votes: nothing is lost, doubled or changed, whoever writes at once, and it holds no person's data."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tfg.errors import DataError
from tfg.rating import Design, Plan, VoteStore

PLAN = Plan(
    Design(("x", "y", "z"), ("anna", "ben"), 5, checks=1, truth="x", seed=3),
    {"lip": "Whose lips?", "head": "Whose head?"},
    "A study", "You agree.", "Dr Lee",
)  # fmt: skip
TIE = {"lip": "tie", "head": "a"}


@pytest.fixture
def store(tmp_path: Path) -> VoteStore:
    return VoteStore.create(tmp_path / "votes.sqlite", PLAN)


def finish(store: VoteStore, code: str) -> None:
    while (at := store.progress(code)) is not None and at.trial is not None:
        assert store.vote(code, at.place, TIE, 1.5)


def test_the_plan_and_a_session_come_back_from_the_file(store: VoteStore) -> None:
    code = store.register()
    assert store.vote(code, 0, TIE, 4.0)
    again = VoteStore(store.path)
    assert again.plan == PLAN
    at = again.progress(f" {code[:3].lower()}-{code[3:]} ")
    assert at is not None
    assert (at.code, at.done, at.total, at.place) == (code, 1, 6, 1)
    assert at.trial == PLAN.design.session(0)[1]
    finish(again, code)
    ended = again.progress(code)
    assert ended is not None
    assert (ended.done, ended.trial) == (6, None)
    assert [v.trial for v in again.votes() if v.dimension == "lip"] == list(PLAN.design.session(0))


def test_the_first_answer_to_a_trial_stays(store: VoteStore) -> None:
    code = store.register()
    assert store.vote(code, 0, TIE, 4.0)
    before = store.votes()
    assert not store.vote(code, 0, {"lip": "b", "head": "b"}, 1.0)
    assert store.votes() == before


@pytest.mark.parametrize(
    ("place", "choices", "seconds", "said"),
    [
        (0, {"lip": "a"}, 1.0, "for each of lip, head"),
        (0, {"lip": "a", "head": "left"}, 1.0, "expected one of a, b, tie"),
        (0, TIE | {"hair": "a"}, 1.0, "for each of lip, head"),
        (9, TIE, 1.0, "no trial 9"),
        (0, TIE, -1.0, "took -1"),
        (0, TIE, float("nan"), "took nan"),
    ],
)
def test_an_answer_that_is_none_leaves_nothing(
    store: VoteStore, place: int, choices: dict[str, str], seconds: float, said: str
) -> None:
    code = store.register()
    with pytest.raises(DataError, match=said):
        store.vote(code, place, choices, seconds)
    with pytest.raises(DataError, match="no such rater"):
        store.vote("NOBODY", 0, TIE, 1.0)
    assert store.votes() == []


def test_raters_at_once_from_many_threads_lose_and_double_nothing(store: VoteStore) -> None:
    def rate(_: int) -> str:
        own = VoteStore(store.path)
        code = own.register()
        finish(own, code)
        return code

    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(rate, range(16)))
    assert sorted(store.raters()) == sorted(codes)
    votes = store.votes()
    assert len(votes) == 16 * 6 * 2
    assert len({(v.rater, v.place, v.dimension) for v in votes}) == len(votes)
    sessions = {tuple(v.trial for v in votes if v.rater == code and v.dimension == "lip") for code in codes}
    assert sessions == {PLAN.design.session(number) for number in range(16)}, "each number was given once"


def test_two_windows_of_one_rater_cannot_answer_twice(store: VoteStore) -> None:
    code = store.register()
    with ThreadPoolExecutor(8) as pool:
        kept = list(pool.map(lambda _: store.vote(code, 0, TIE, 1.0), range(8)))
    assert sum(kept) == 1
    assert len(store.votes()) == 2


def test_a_vote_is_on_the_disk_when_the_process_is_killed(store: VoteStore) -> None:
    code = store.register()
    script = (
        "import os, sys\nfrom tfg.rating.store import VoteStore\n"
        f"VoteStore({str(store.path)!r}).vote({code!r}, 0, {TIE!r}, 2.0)\nos.kill(os.getpid(), 9)"
    )
    root = Path(__file__).resolve().parent.parent
    assert subprocess.run([sys.executable, "-c", script], cwd=root, timeout=60).returncode != 0
    assert [(v.rater, v.choice) for v in store.votes()] == [(code, "tie"), (code, "a")]
    with sqlite3.connect(store.path) as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_who_withdraws_is_gone_from_the_file_and_the_place_is_given_again(store: VoteStore) -> None:
    first, second = store.register(), store.register()
    finish(store, first)
    finish(store, second)
    store.withdraw(first.lower())
    assert store.raters() == [second]
    assert {v.rater for v in store.votes()} == {second}
    assert first.encode() not in b"".join(p.read_bytes() for p in store.path.parent.iterdir())
    third = store.register()
    at = store.progress(third)
    assert at is not None
    assert at.trial == PLAN.design.session(0)[0]
    with pytest.raises(DataError, match="nobody has the code"):
        store.withdraw(first)


def test_there_is_no_column_for_a_person(store: VoteStore) -> None:
    with sqlite3.connect(store.path) as db:
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        columns = {row[1] for table in tables for row in db.execute(f"PRAGMA table_info({table})")}
    assert columns == {
        "plan", "code", "number", "consent", "rater", "place", "kind", "subject", "shown_left", "shown_right",
        "expected", "dimension", "choice", "seconds", "time",
    }  # fmt: skip


def test_other_files_are_refused_and_votes_never_overwritten(store: VoteStore, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not overwritten"):
        VoteStore.create(store.path, PLAN)
    with pytest.raises(DataError, match="no such file"):
        VoteStore(tmp_path / "other.sqlite")
    (tmp_path / "text.sqlite").write_text("these are no votes, and this is no database " * 40)
    with pytest.raises(DataError, match=r"expected the votes\.sqlite"):
        VoteStore(tmp_path / "text.sqlite")
    sqlite3.connect(tmp_path / "empty.sqlite").execute("CREATE TABLE t (x)")
    with pytest.raises(DataError, match=r"expected the votes\.sqlite"):
        VoteStore(tmp_path / "empty.sqlite")
