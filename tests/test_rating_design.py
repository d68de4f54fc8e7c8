"""Who sees what: any stretch of the sequence of blocks is balanced, over raters and within each of them."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfg.errors import DataError
from tfg.rating.design import LATE, Design, Trial


@st.composite
def designs(draw: st.DrawFn, subjects: int = 1) -> Design:
    methods = draw(st.integers(2, 7))
    n_subjects = draw(st.integers(subjects, 8))
    cells = n_subjects * methods * (methods - 1) // 2
    pairs = draw(st.integers(1, min(cells, 30)))
    return Design(
        tuple(f"m{i}" for i in range(methods)),
        tuple(f"s{i}" for i in range(n_subjects)),
        pairs,
        checks=draw(st.integers(0, min(pairs, 3))),
        truth=draw(st.sampled_from([None, "m1"])),
        seed=draw(st.integers(0, 5)),
    )


def cell(trial: Trial) -> tuple[str, frozenset[str]]:
    return trial.subject, frozenset((trial.left, trial.right))


@settings(max_examples=60, deadline=None)
@given(designs(), st.integers(1, 25))
def test_cells_and_their_sides_are_balanced_after_any_number_of_raters(design: Design, raters: int) -> None:
    shown = design.visits(trial for number in range(raters) for trial in design.session(number))
    assert shown.shape == (len(design.method_pairs), len(design.subjects))
    assert shown.sum() == raters * design.pairs
    assert shown.max() - shown.min() <= 1
    sides: Counter[Any] = Counter()
    for number in range(raters):
        for trial in design.block(number):
            sides[cell(trial)] += 1 if trial.left < trial.right else -1
    assert all(abs(n) <= 1 for n in sides.values())


@settings(max_examples=60, deadline=None)
@given(designs(subjects=3), st.integers(0, 30))
def test_a_rater_sees_no_pair_twice_and_methods_and_sides_about_equally_often(design: Design, number: int) -> None:
    block = design.block(number)
    assert len({cell(trial) for trial in block}) == design.pairs
    pairs = Counter(frozenset((t.left, t.right)) for t in block)
    subjects = Counter(t.subject for t in block)
    shown = Counter(name for t in block for name in (t.left, t.right))
    lefts = Counter(t.left for t in block)
    every_pair = len(pairs) == design.cells // len(design.subjects)
    assert max(pairs.values()) - (min(pairs.values()) if every_pair else 0) <= 1
    assert max(subjects.values()) - (min(subjects.values()) if len(subjects) == len(design.subjects) else 0) <= 2
    assert all(abs(2 * lefts[name] - n) <= 4 for name, n in shown.items())


@settings(max_examples=40, deadline=None)
@given(designs(), st.integers(0, 30))
def test_a_session_is_its_block_with_checks_and_can_be_made_again(design: Design, number: int) -> None:
    session = design.session(number)
    assert session == design.session(number)
    assert sorted(map(repr, (t for t in session if t.kind == "pair"))) == sorted(map(repr, design.block(number)))
    checks = [t for t in session if t.kind != "pair"]
    assert len(checks) == design.checks
    assert session[0].kind == "pair", "a check on the first page finds who is new, not who does not look"
    for t in checks:
        if t.kind == "late":
            assert {t.left, t.right} == {design.truth, LATE}
            assert (t.left if t.expected == "a" else t.right) == design.truth
        else:
            assert t.left == t.right
    assert any(t.kind == "late" for t in checks) == (design.truth is not None and design.checks > 0)


def test_orders_differ_between_raters_and_seeds_and_keep_a_subject_from_following_itself() -> None:
    def design(seed: int) -> Design:
        return Design(("x", "y", "z"), tuple("abcdefgh"), 12, checks=0, seed=seed)

    first = design(0).session(0)
    assert first != design(0).session(8), "two cycles later the block is the same, its order is not"
    assert set(first) != set(design(1).session(0))
    assert all(one.subject != two.subject for one, two in pairwise(first))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"methods": ("x",)}, "methods are x"),
        ({"methods": ("x", "x")}, "each once"),
        ({"methods": ("x", "late")}, "call it otherwise"),
        ({"subjects": ()}, "subjects are none"),
        ({"pairs": 7}, "expected 1 to 6"),
        ({"pairs": 0}, "expected 1 to 6"),
        ({"checks": 4}, "expected 0 to 3 checks"),
        ({"truth": "w"}, "expected one of the methods"),
        ({"seed": -1}, "a seed >= 0"),
    ],
)
def test_a_design_that_cannot_be_is_refused(change: dict[str, Any], said: str) -> None:
    good: dict[str, Any] = {"methods": ("x", "y", "z"), "subjects": ("a", "b"), "pairs": 3}
    with pytest.raises(DataError, match=said):
        Design(**good | change)
