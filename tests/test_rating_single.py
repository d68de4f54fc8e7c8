"""Single videos, rated from 1 to 5: who sees which, the page's screens, the csv that the opinion-score code reads."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import tfg
from tfg.errors import DataError
from tfg.rating import RatingPage, SingleDesign, StudyFolder, export_votes, make_study, summarise
from tfg.rating.demo import simulate_class
from tfg.study import ratings

METHODS, SUBJECTS = ("good", "middling", "poor"), ("anna", "ben")


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    random = np.random.default_rng(0)
    for method in METHODS:
        (folder / method).mkdir()
        for subject in SUBJECTS:
            pictures = np.full((4, 32, 32, 3), random.integers(0, 255, 3), np.uint8)
            wave = random.normal(0, 0.1, 4 * 640).astype(np.float32)
            tfg.write_clip(tfg.Clip(pictures, wave), folder / method / f"{subject}.mp4")
    return folder


@pytest.fixture
def study(videos: Path, tmp_path: Path) -> StudyFolder:
    return make_study(videos, tmp_path / "study", contact="Dr Lee", single=True)


# ---- who sees what ------------------------------------------------------------------------------------------------


@st.composite
def designs(draw: st.DrawFn) -> SingleDesign:
    methods, subjects = draw(st.integers(2, 7)), draw(st.integers(1, 8))
    videos = draw(st.integers(1, methods * subjects))
    return SingleDesign(
        tuple(f"m{i}" for i in range(methods)),
        tuple(f"s{i}" for i in range(subjects)),
        videos,
        checks=draw(st.integers(0, min(videos, 3))),
        seed=draw(st.integers(0, 5)),
    )


@settings(max_examples=60, deadline=None)
@given(designs(), st.integers(1, 25))
def test_videos_are_rated_equally_often_after_any_number_of_raters(design: SingleDesign, raters: int) -> None:
    shown = design.visits(trial for number in range(raters) for trial in design.session(number))
    assert shown.shape == (len(design.methods), len(design.subjects))
    assert shown.sum() == raters * design.videos
    assert shown.max() - shown.min() <= 1


@settings(max_examples=60, deadline=None)
@given(designs(), st.integers(0, 30))
def test_a_rater_sees_no_video_twice_and_methods_about_equally_often(design: SingleDesign, number: int) -> None:
    session = design.session(number)
    votes = [trial for trial in session if trial.kind == "single"]
    assert len({(t.subject, t.left) for t in votes}) == len(votes) == design.videos
    methods = Counter(t.left for t in votes)
    assert max(methods.values()) - min(methods[name] for name in design.methods) <= 1
    checks = [trial for trial in session if trial.kind != "single"]
    assert len(checks) == design.checks
    assert all(t.kind == "instructed" and t.expected in design.choices for t in checks)
    assert all(t.shown == (t.left,) for t in session)
    assert session[0].kind == "single"


def test_orders_differ_between_raters_and_keep_a_subject_from_following_itself() -> None:
    design = SingleDesign(METHODS, tuple("abcdef"), 18, checks=0)
    first, second = design.session(0), design.session(1)
    assert set(first) == set(second), "everybody rates all videos"
    assert first != second
    assert all(one.subject != two.subject for one, two in pairwise(first))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"methods": ("x",)}, "methods are x"),
        ({"videos": 7}, r"videos is 7; expected 1 to 6: 2 subjects times 3 methods"),
        ({"checks": 4}, "expected 0 to 3 checks"),
    ],
)
def test_a_design_that_cannot_be_is_refused(change: dict[str, Any], said: str) -> None:
    good: dict[str, Any] = {"methods": METHODS, "subjects": SUBJECTS, "videos": 3}
    with pytest.raises(DataError, match=said):
        SingleDesign(**good | change)


# ---- the study and its page ---------------------------------------------------------------------------------------


def test_raters_are_told_what_they_agree_to_and_asked_about_one_video(study: StudyFolder) -> None:
    assert "There are 8 videos" in study.plan.consent
    assert "pair" not in study.plan.consent
    assert dict(study.plan.questions) == {"lip": "How well do the lips fit the sound?"}
    assert StudyFolder(study.folder).plan == study.plan


def test_each_screen_has_one_video_and_the_five_words_of_the_scale(study: StudyFolder) -> None:
    page = RatingPage(study)
    page.receive({"type": "consent"})
    for trial in study.plan.design.session(0):
        assert page.state["sources"] == [study.video(trial.left, trial.subject).read_bytes()]
        assert page.state["names"] == ["Video"]
        words = dict(page.state["choices"])
        assert list(words.items()) == [("5", "Excellent"), ("4", "Good"), ("3", "Fair"), ("2", "Poor"), ("1", "Bad")]
        said = page.state["instruction"]
        assert bool(said) == (trial.kind == "instructed")
        if said:
            assert f"“{words[trial.expected]}”" in said
        page.receive({"type": "vote", "place": page.state["place"], "choices": {"lip": "4"}, "seconds": 2.0})
    assert page.state["screen"] == "done"


def test_answers_to_pairs_are_none_to_single_videos(study: StudyFolder) -> None:
    code = study.store.register()
    with pytest.raises(DataError, match="expected one of 5, 4, 3, 2, 1 for each of lip"):
        study.store.vote(code, 0, {"lip": "tie"}, 1.0)


def test_a_truth_is_refused_where_no_check_could_use_it(videos: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="truth is 'good', and raters see single videos"):
        make_study(videos, tmp_path / "study", contact="Dr Lee", single=True, truth="good")
    assert not (tmp_path / "study").exists()


# ---- ratings out --------------------------------------------------------------------------------------------------


def test_exported_ratings_come_back_through_the_reader_of_opinion_scores(study: StudyFolder, tmp_path: Path) -> None:
    simulate_class(study.store, {"good": 1.5, "middling": 0, "poor": -1.5}, 20, careless=0, leave=0.3, seed=1)
    assert export_votes(study.store, tmp_path / "ratings.csv", most_failed=0) == []
    found = ratings.read_ratings(tmp_path / "ratings.csv", methods=METHODS)
    kept = [v for v in study.store.votes() if v.trial.kind == "single"]
    assert found == [("lip", v.trial.subject, v.rater, v.trial.left, float(v.choice)) for v in kept]
    _, rated, scores = ratings.table(found, "lip")
    means = ratings.mos(scores).mean
    order = [np.mean([mean for mean, (_, method) in zip(means, rated, strict=True) if method == m]) for m in METHODS]
    assert order[0] > order[1] + 0.7
    assert order[1] > order[2] + 0.7


def test_summary_counts_ratings_of_each_method_and_speaks_of_no_sides(study: StudyFolder) -> None:
    from tfg.cli_study import study_app

    simulate_class(study.store, dict.fromkeys(METHODS, 0.0), 3, careless=0, leave=0)
    found = summarise(study.store)
    assert found.votes == {("good",): 6, ("middling",): 6, ("poor",): 6}
    assert set(found.fewest.values()) == {3}
    assert (found.left, found.ties) == (None, None)
    told = CliRunner().invoke(study_app, ["summary", str(study.folder)], env={"COLUMNS": "120"})
    assert "18 votes" in told.output
    assert "left chosen" not in told.output


def test_the_command_makes_such_a_study_exports_it_and_lets_raters_go(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("voila")
    pytest.importorskip("anywidget")
    from tfg import rating
    from tfg.cli_study import study_app

    def run(*words: str) -> str:
        result = CliRunner().invoke(study_app, list(words), env={"COLUMNS": "120"})
        assert result.exit_code == 0, result.output
        return result.output

    monkeypatch.setattr(rating, "start", lambda *_: subprocess.Popen([sys.executable, "-c", ""]))
    folder, table = str(tmp_path / "study"), tmp_path / "ratings.csv"
    told = run("serve", str(videos), "-o", folder, "--single", "--pairs", "4")
    assert "2 subjects, 6 videos; each rater judges 4 of them and 2 checks" in told
    codes = simulate_class(StudyFolder(folder).store, dict.fromkeys(METHODS, 0.0), 3, careless=0, leave=0)
    run("withdraw", folder, codes[0])
    run("export", folder, "-o", str(table))
    assert {one.rater for one in ratings.read_ratings(table)} == set(codes[1:])
