"""A study from videos to csv: the folder, the page's answers, the export that the study code reads, the commands."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import tfg
from tfg.errors import DataError
from tfg.rating import RatingPage, StudyFolder, export_votes, find_videos, make_study, start, summarise
from tfg.rating.demo import simulate_class
from tfg.rating.design import LATE
from tfg.study.votes import of, read_votes

METHODS, SUBJECTS = ("good", "middling", "poor"), ("anna", "ben")
QUESTIONS = {"lip": "Whose lips?", "head": "Whose head?"}


def clip(seed: int, frames: int = 8) -> tfg.Clip:
    random = np.random.default_rng(seed)
    pictures = np.repeat(random.integers(0, 255, (frames, 4, 4, 3), np.uint8), 8, axis=1).repeat(8, axis=2)
    return tfg.Clip(pictures, random.normal(0, 0.1, frames * 640).astype(np.float32))


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for m, method in enumerate(METHODS):
        (folder / method).mkdir()
        for s, subject in enumerate(SUBJECTS):
            tfg.write_clip(clip(10 * m + s), folder / method / f"{subject}.mp4")
    (folder / ".hidden").mkdir()
    (folder / "notes.txt").write_text("not a video")
    return folder


@pytest.fixture
def study(videos: Path, tmp_path: Path) -> StudyFolder:
    return make_study(videos, tmp_path / "study", contact="Dr Lee", questions=QUESTIONS, pairs=4, truth="good")


# ---- the folder ---------------------------------------------------------------------------------------------------


def test_videos_are_those_of_the_methods_under_names_that_do_not_tell(study: StudyFolder, videos: Path) -> None:
    for method in METHODS:
        for subject in SUBJECTS:
            shown = study.video(method, subject)
            assert shown.read_bytes() == (videos / method / f"{subject}.mp4").read_bytes()
            assert not {method, subject} & set(shown.stem.split("-"))
    files = list((study.folder / "videos").iterdir())
    assert len(files) == len(METHODS) * len(SUBJECTS) + len(SUBJECTS)
    late, true = (tfg.read_clip(study.video(method, "anna")).audio for method in (LATE, "good"))
    assert not late.any(), "eight frames, all of them before the sound begins"
    assert true.any()


def test_a_video_that_browsers_do_not_play_makes_all_of_them_anew(videos: Path, tmp_path: Path) -> None:
    import shutil

    import av

    source = tmp_path / "videos"
    shutil.copytree(videos, source)
    odd = source / "poor" / "anna.avi"
    with av.open(str(source / "poor" / "anna.mp4")) as old, av.open(str(odd), "w") as new:
        picture = new.add_stream("mpeg4", rate=25)
        picture.width = picture.height = 32
        sound = new.add_stream("mp3", rate=16000)
        for frame in old.decode(video=0):
            new.mux(picture.encode(frame))
        new.mux(picture.encode(None))
        old.seek(0)
        for wave in old.decode(audio=0):
            wave.pts = None
            new.mux(sound.encode(wave))
        new.mux(sound.encode(None))
    (source / "poor" / "anna.mp4").unlink()
    made = make_study(source, tmp_path / "study", contact="Dr Lee")
    for method in METHODS:
        with av.open(str(made.video(method, "anna"))) as file:
            assert (file.streams.video[0].codec_context.name, file.streams.audio[0].codec_context.name) == (
                "h264",
                "aac",
            )
    again = made.video("good", "anna").read_bytes()
    assert again != (videos / "good" / "anna.mp4").read_bytes(), "encoded alike, or the file would tell the method"


def test_raters_are_told_what_they_agree_to(study: StudyFolder) -> None:
    for words in ("There are 6 pairs", "about 2 minutes", "give the code to Dr Lee.", "random code", "voluntary"):
        assert words in study.plan.consent
    assert "{" not in study.plan.consent


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda f: (f / "poor" / "ben.mp4").unlink(), "poor/ben missing"),
        (lambda f: (f / "poor" / "ben.mkv").touch(), "a second video of 'ben'"),
        (lambda f: (f / "poor" / "ben.mp4").write_bytes(b"no video"), "cannot be read as a video"),
        (lambda f: [(f / m).rename(f / f".{m}") for m in METHODS[1:]], "videos in good; expected two subfolders"),
        (lambda f: (f / "good").rename(f / "late"), "call it otherwise"),
    ],
)
def test_folders_that_are_no_study_are_refused_and_leave_nothing(
    videos: Path, tmp_path: Path, spoil: Callable[[Path], Any], said: str
) -> None:
    import shutil

    source = tmp_path / "videos"
    shutil.copytree(videos, source)
    spoil(source)
    with pytest.raises(DataError, match=said):
        make_study(source, tmp_path / "study", contact="Dr Lee")
    assert [p.name for p in tmp_path.iterdir()] == ["videos"]


def test_a_study_is_not_made_twice_and_needs_questions(study: StudyFolder, videos: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="exists already"):
        make_study(videos, study.folder, contact="Dr Lee")
    with pytest.raises(DataError, match="expected a sentence"):
        make_study(videos, tmp_path / "other", contact="Dr Lee", questions={"lip": " "})
    with pytest.raises(DataError, match="no such folder"):
        find_videos(tmp_path / "nowhere")


# ---- the page -----------------------------------------------------------------------------------------------------


def answer(page: RatingPage, choice: str = "a") -> None:
    page.receive(
        {"type": "vote", "place": page.state["place"], "choices": dict.fromkeys(QUESTIONS, choice), "seconds": 3.5}
    )


def test_a_session_closed_midway_goes_on_where_it_was(study: StudyFolder) -> None:
    page = RatingPage(study, videos="voila/files/videos")
    assert page.state["screen"] == "welcome"
    page.receive({"type": "consent"})
    code, seen = page.state["code"], []
    for _ in range(3):
        seen.append(page.state["sources"])
        answer(page)
    del page
    page = RatingPage(StudyFolder(study.folder), videos="voila/files/videos")
    page.receive({"type": "resume", "code": code.lower()})
    assert (page.state["screen"], page.state["code"], page.state["done"]) == ("trial", code, 3)
    while page.state["screen"] == "trial":
        seen.append(page.state["sources"])
        answer(page)
    assert page.state["screen"] == "done"
    session = study.plan.design.session(0)
    names = [[f"voila/files/videos/{study.video(m, t.subject).name}" for m in (t.left, t.right)] for t in session]
    assert seen == names
    assert [v.trial for v in study.store.votes() if v.dimension == "lip"] == list(session)


def test_checks_say_what_to_answer_and_pairs_never_do(study: StudyFolder) -> None:
    page = RatingPage(study)
    page.receive({"type": "consent"})
    for trial in study.plan.design.session(0):
        said = page.state["instruction"]
        assert bool(said) == (trial.kind == "instructed")
        if said:
            assert {"a": "“Left”", "b": "“Right”"}[trial.expected] in said
        assert page.state["sources"][0] == study.video(trial.left, trial.subject).read_bytes()
        answer(page)


def test_what_is_refused_is_said_and_keeps_the_screen(study: StudyFolder) -> None:
    page = RatingPage(study)
    page.receive({"type": "resume", "code": "NOBODY"})
    assert (page.state["screen"], "Nobody has the code" in page.state["problem"]) == ("welcome", True)
    turn = page.state["turn"]
    page.receive({"type": "resume", "code": "NOBODY"})
    assert page.state["turn"] > turn, "the page hears of each answer, or it would wait for ever"
    page.receive({"type": "consent"})
    page.receive({"type": "vote", "place": 0, "choices": {"lip": "a"}, "seconds": 1.0})
    assert (page.state["place"], "for each of lip, head" in page.state["problem"]) == (0, True)
    answer(page)
    assert (page.state["place"], page.state["problem"]) == (1, "")


def test_a_second_click_is_no_second_vote(study: StudyFolder) -> None:
    page = RatingPage(study)
    page.receive({"type": "consent"})
    message = {"type": "vote", "place": 0, "choices": dict.fromkeys(QUESTIONS, "a"), "seconds": 3.5}
    page.receive(message)
    page.receive(message)
    assert page.state["place"] == 1
    assert len(study.store.votes()) == 2


def test_the_widget_shows_the_page_and_passes_messages_on(study: StudyFolder) -> None:
    pytest.importorskip("anywidget")
    page = RatingPage(study)
    widget = page.widget()
    assert widget.state == page.state
    widget._handle_custom_msg({"type": "consent"}, [])
    assert widget.state == page.state
    assert widget.state["screen"] == "trial"


# ---- votes out ----------------------------------------------------------------------------------------------------


def test_exported_votes_come_back_through_the_reader_of_the_study(study: StudyFolder, tmp_path: Path) -> None:
    simulate_class(study.store, {"good": 2, "middling": 0.5, "poor": -1}, 9, leave=0.4, careless=0.2, seed=1)
    assert export_votes(study.store, tmp_path / "votes.csv") == []
    found = read_votes(tmp_path / "votes.csv", methods=METHODS)
    kept = [v for v in study.store.votes() if v.trial.kind == "pair"]
    assert {v.trial.kind for v in study.store.votes()} == {"pair", "late", "instructed"}
    assert len(found) == len(kept)
    for read, vote in zip(found, kept, strict=True):
        counts = {"a": (1, 0, 0), "b": (0, 1, 0), "tie": (0, 0, 1)}[vote.choice]
        assert read == (vote.dimension, vote.trial.subject, vote.trial.left, vote.trial.right, *counts, vote.rater)
    assert len(of(found, "head")) == len(found) / 2


def test_raters_who_fail_checks_are_left_out_only_when_asked(study: StudyFolder, tmp_path: Path) -> None:
    good, bad = (simulate_class(study.store, dict.fromkeys(METHODS, 0), 1, careless=0, leave=0)[0] for _ in "ab")
    study.store.withdraw(bad)
    page = RatingPage(study)
    page.receive({"type": "consent"})
    bad = page.state["code"]
    while page.state["screen"] == "trial":
        answer(page, "tie")  # which no check expects
    assert export_votes(study.store, tmp_path / "all.csv", most_failed=2) == []
    assert export_votes(study.store, tmp_path / "some.csv", most_failed=1) == [bad]
    assert {v.rater for v in read_votes(tmp_path / "all.csv")} == {good, bad}
    assert {v.rater for v in read_votes(tmp_path / "some.csv")} == {good}
    with pytest.raises(DataError, match="no such folder"):
        export_votes(study.store, tmp_path / "nowhere" / "votes.csv")


def test_summary_counts_raters_votes_and_failures(study: StudyFolder, tmp_path: Path) -> None:
    empty = summarise(study.store)
    assert (empty.raters, empty.finished, empty.left, empty.ties) == ((), 0, None, None)
    with pytest.raises(DataError, match="no votes"):
        export_votes(study.store, tmp_path / "votes.csv")
    done, idle = RatingPage(study), RatingPage(study)
    done.receive({"type": "consent"})
    idle.receive({"type": "consent"})
    while done.state["screen"] == "trial":
        answer(done, "a")
    found = summarise(study.store)
    passed = sum(t.expected == "a" for t in study.plan.design.session(0) if t.expected)
    assert [(r.done, r.total, r.checks, r.failed, r.seconds) for r in found.raters] == [
        (6, 6, 2, 2 - passed, 3.5), (0, 6, 0, 0, None),
    ]  # fmt: skip
    assert (found.finished, found.left, found.ties) == (1, 1.0, 0.0)
    assert list(found.votes) == [("good", "middling"), ("good", "poor"), ("middling", "poor")]
    assert sorted(found.votes.values()) == [1, 1, 2]
    assert sorted(found.fewest.values()) == [0, 0, 1]


def test_simulated_raters_follow_the_strengths_they_are_given(study: StudyFolder) -> None:
    simulate_class(study.store, {"good": 3, "middling": 0, "poor": -3}, 30, careless=0, leave=0, seed=0)
    votes = [v for v in study.store.votes() if v.trial.kind == "pair" and v.choice != "tie"]
    better = [(v.trial.left if v.choice == "a" else v.trial.right) < max(v.trial.left, v.trial.right) for v in votes]
    assert np.mean(better) > 0.85
    assert not any(rater.failed for rater in summarise(study.store).raters)
    with pytest.raises(DataError, match="no strength: poor"):
        simulate_class(study.store, {"good": 3, "middling": 0}, 1)


# ---- the commands -------------------------------------------------------------------------------------------------


def test_commands_export_summarise_and_withdraw(study: StudyFolder, tmp_path: Path) -> None:
    from tfg.cli_study import study_app

    codes = simulate_class(study.store, dict.fromkeys(METHODS, 0), 3, careless=0, leave=0)

    def run(*words: str) -> str:
        result = CliRunner().invoke(study_app, list(words), env={"COLUMNS": "120"})
        assert result.exit_code == 0, result.output
        return result.output

    told = run("summary", str(study.folder))
    assert "3 raters, 3 finished" in told
    assert "12 votes" in told
    assert all(code in told for code in codes)
    assert "left out for failed checks: none" in run("export", str(study.folder), "-o", str(tmp_path / "v.csv"))
    assert len(read_votes(tmp_path / "v.csv")) == 24
    run("withdraw", str(study.folder), codes[0])
    assert codes[0] not in run("summary", str(study.folder))


def test_the_page_of_a_study_is_one_cell_that_finds_it(study: StudyFolder) -> None:
    (cell,) = json.loads((study.folder / "rate.ipynb").read_text())["cells"]
    assert 'StudyFolder(".")' in cell["source"]
    assert 'videos="voila/files/videos"' in cell["source"]


def test_serve_makes_a_study_once_and_then_goes_on_with_its_votes(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("voila")
    pytest.importorskip("anywidget")
    from tfg import rating
    from tfg.cli_study import study_app

    monkeypatch.setattr(rating, "start", lambda *_: subprocess.Popen([sys.executable, "-c", ""]))
    words = ["serve", str(videos), "-o", str(tmp_path / "study"), "--pairs", "2", "--question", "head=Whose head?"]
    first = CliRunner().invoke(study_app, words)
    assert first.exit_code == 0, first.output
    assert "3 methods (good, middling, poor), 2 subjects, 6 pairs" in first.output
    assert "Raters open http://127.0.0.1:8866/" in first.output
    store = StudyFolder(tmp_path / "study").store
    assert dict(store.plan.questions) == {"head": "Whose head?"}
    code = store.register()
    assert "goes on" in CliRunner().invoke(study_app, words).output
    assert store.raters() == [code]


def test_a_port_in_use_is_said_before_anything_starts(study: StudyFolder) -> None:
    pytest.importorskip("voila")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(DataError, match="in use by another program"):
            start(study, other.getsockname()[1])
