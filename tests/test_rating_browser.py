"""A rater in a real browser: answers, closes the page midway while the server is killed, comes back, loses nothing."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfg
from tfg.rating import StudyFolder, export_votes, make_study, start
from tfg.study import ratings

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
TELEPHONE: Any = {"width": 360, "height": 400}  # a small one: the page has to be scrolled

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (Debian: apt-get install chromium)"),
    pytest.mark.skipif(find_spec("playwright") is None, reason="playwright is not installed (the extra 'test' has it)"),
    pytest.mark.skipif(find_spec("voila") is None, reason="Voila is not installed (the extra 'rating' has it)"),
    pytest.mark.skipif(find_spec("anywidget") is None, reason="anywidget is not installed (the extra 'rating' has it)"),
]


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """Three methods of two subjects, a third of a second each."""
    random = np.random.default_rng(0)
    for method in ("one", "two", "three"):
        (tmp_path / "videos" / method).mkdir(parents=True)
        for subject in ("anna", "ben"):
            pictures = np.full((8, 64, 64, 3), random.integers(0, 255, 3), np.uint8)
            wave = random.normal(0, 0.01, 8 * 640).astype(np.float32)
            tfg.write_clip(tfg.Clip(pictures, wave), tmp_path / "videos" / method / f"{subject}.mp4")
    return tmp_path / "videos"


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[StudyFolder], tuple[Any, str]]]:
    """Starts the server and waits until it answers; all that were started are ended."""
    monkeypatch.setenv("PYTHONPATH", str(Path(tfg.__file__).parent.parent))  # for the page's kernel
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started: list[subprocess.Popen[bytes]] = []

    def begin(study: StudyFolder) -> tuple[Any, str]:
        started.append(start(study, port))
        for _ in range(300):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return started[-1], f"http://127.0.0.1:{port}/"
            time.sleep(0.1)
        raise AssertionError("the server does not answer")

    yield begin
    for process in started:
        process.terminate()
        process.wait(20)


def play(page: Any, side: str) -> None:
    page.get_by_role("button", name=f"Play {side}").click()
    page.locator(".tfg-video", has=page.get_by_role("heading", name=side.title())).locator("button").filter(
        has_text="again"
    ).wait_for()


def vote(page: Any, choice: str, videos: Sequence[str] = ("left", "right")) -> None:
    """Watch what is shown and answer; the page has to go on."""
    for name in videos:
        play(page, name)
    answer(page, choice)


def answer(page: Any, choice: str) -> None:
    before = page.locator("header").inner_text()
    page.get_by_role("radio", name=choice).check()
    page.get_by_role("button", name="Next").click()
    page.wait_for_function("before => document.querySelector('header')?.innerText !== before", arg=before)


def assert_it_fits(page: Any) -> None:
    """A new screen is shown from its top, and nothing reaches out of the window or of the page's column."""
    top = page.locator("header").bounding_box()["y"]
    assert 0 <= top < 100, "whoever scrolled down to 'Next' must see what the next screen asks for"
    end = page.locator("header").evaluate("e => e.getBoundingClientRect().right")
    wide = "(e, end) => e.getBoundingClientRect().right > end + 1 || e.scrollWidth > e.clientWidth"
    parts = page.locator(".tfg-rating :is(video, fieldset, label, .tfg-foot)").all()
    assert [part.inner_text() for part in parts if part.evaluate(wide, end)] == []


def begin(page: Any, address: str, first: str = "Pair 1 of 6") -> str:
    page.goto(address)
    assert page.get_by_role("button", name="Start").is_disabled(), "nobody starts without consent"
    page.get_by_label("I agree").check()
    page.get_by_role("button", name="Start").click()
    page.get_by_text(first).wait_for()
    code: str = page.locator("header strong").inner_text()
    return code


def test_a_rater_who_closes_the_page_midway_comes_back_and_loses_nothing(
    videos: Path, tmp_path: Path, serve: Callable[[StudyFolder], tuple[Any, str]]
) -> None:
    from playwright.sync_api import sync_playwright

    study = make_study(videos, tmp_path / "study", contact="Dr Lee", pairs=4, truth="one")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        server, address = serve(study)
        first, second = browser.new_context(), browser.new_context(viewport=TELEPHONE)
        page, other = first.new_page(), second.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        code = begin(page, address)
        assert page.url == f"{address}?rater={code}"

        # an answer needs both videos, to the end
        answers, next_pair = page.get_by_role("radio"), page.get_by_role("button", name="Next")
        play(page, "left")
        assert not any(answers.nth(i).is_enabled() for i in range(3))
        play(page, "right")
        assert all(answers.nth(i).is_enabled() for i in range(3))
        assert next_pair.is_disabled()
        # one sound at a time
        paused = "() => [...document.querySelectorAll('video')].map(v => v.paused)"
        page.evaluate("() => document.querySelectorAll('video').forEach(v => { v.playbackRate = 0.07; })")
        page.get_by_role("button", name="again").first.click()
        page.wait_for_function(f"() => String(({paused})()) === 'false,true'")
        page.get_by_role("button", name="again").last.click()
        page.wait_for_function(f"() => String(({paused})()) === 'true,false'")
        page.get_by_role("radio", name="Left").check()
        next_pair.click()
        page.get_by_text("Pair 2 of 6").wait_for()
        vote(page, "No difference")

        # somebody else rates at the same time
        assert begin(other, address) != code
        vote(other, "Right")
        assert_it_fits(other)
        assert [v.choice for v in study.store.votes() if v.rater == code] == ["a", "tie"]
        assert len(study.store.votes()) == 3

        # the browser goes away, and the server is killed
        assert page.request.get(f"{address}voila/files/votes.sqlite").status == 403
        play(page, "left")
        first.close()
        server.kill()
        server.wait()
        serve(study)
        page = browser.new_context().new_page()
        page.goto(f"{address}?rater={code}")
        page.get_by_text("Pair 3 of 6").wait_for()
        for _ in range(4):
            vote(page, "Right")
        page.get_by_role("heading", name="Thank you!").wait_for()
        assert page.url == address, "the next rater at this computer does not enter this session"

        # the other one, whose page lost its server, reloads
        other.reload()
        other.get_by_text("Pair 2 of 6").wait_for()
        browser.close()
    assert all(url.startswith((address, "blob:", "data:", "ws:")) for url in asked), "raters are shown to nobody else"
    mine = [v for v in study.store.votes() if v.rater == code]
    assert [v.trial for v in mine] == list(study.plan.design.session(0))
    assert [v.choice for v in mine] == ["a", "tie", "b", "b", "b", "b"]
    assert all(0 < v.seconds < 60 for v in mine)


def test_who_rates_single_videos_hears_them_comes_back_and_the_means_can_be_taken(
    videos: Path, tmp_path: Path, serve: Callable[[StudyFolder], tuple[Any, str]]
) -> None:
    from playwright.sync_api import sync_playwright

    study = make_study(videos, tmp_path / "study", contact="Dr Lee", single=True, checks=1)
    said = ["Excellent", "Good", "Fair", "Poor", "Bad", "Excellent", "Poor"]
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        server, address = serve(study)
        first, second = browser.new_context(), browser.new_context(viewport=TELEPHONE)
        page, other = first.new_page(), second.new_page()
        code = begin(page, address, "Video 1 of 7")
        assert page.locator("video").count() == 1
        answers = page.get_by_role("radio")
        assert not any(answers.nth(i).is_enabled() for i in range(answers.count()))
        assert [label.inner_text().strip() for label in page.locator("fieldset label").all()] == said[:5]
        play(page, "video")
        heard = page.locator("video").evaluate("v => [v.muted, v.volume, v.webkitAudioDecodedByteCount]")
        assert heard[:2] == [False, 1]
        assert heard[2] > 0, "the sound is played, not the pictures alone"
        answer(page, said[0])
        for choice in said[1:3]:
            vote(page, choice, ["video"])

        # the browser goes away in the middle of a video, and the server is killed
        page.get_by_role("button", name="Play video").click()
        first.close()
        server.kill()
        server.wait()
        serve(study)
        page = browser.new_context().new_page()
        page.goto(f"{address}?rater={code}")
        page.get_by_text("Video 4 of 7").wait_for()
        for choice in said[3:]:
            vote(page, choice, ["video"])
        page.get_by_role("heading", name="Thank you!").wait_for()

        begin(other, address, "Video 1 of 7")
        vote(other, "Fair", ["video"])
        assert_it_fits(other)
        for _ in range(6):
            vote(other, "Fair", ["video"])
        other.get_by_role("heading", name="Thank you!").wait_for()
        browser.close()
    mine = [v for v in study.store.votes() if v.rater == code]
    assert [v.trial for v in mine] == list(study.plan.design.session(0))
    scores = ["5", "4", "3", "2", "1", "5", "2"]
    assert [v.choice for v in mine] == scores
    export_votes(study.store, tmp_path / "ratings.csv")
    raters, rated, table = ratings.table(ratings.read_ratings(tmp_path / "ratings.csv"), "lip")
    assert raters[0] == code
    assert sorted(rated) == [(s, m) for s in ("anna", "ben") for m in ("one", "three", "two")]
    kept = [float(v.choice) for v in mine if v.trial.kind == "single"]
    assert table[0].tolist() == kept
    assert ratings.mos(table).mean.tolist() == [(score + 3) / 2 for score in kept]
