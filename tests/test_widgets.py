"""The explorer and the film: what they show and say is what the sliders, or the values, ask for."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
import tiny_experts as tiny

from tfg import widgets
from tfg.errors import StressError
from tfg.experts.expert import AVHubertExpert, SyncNetExpert
from tfg.metrics import avs_u
from tfg.stress import perturb

EXPERTS = [AVHubertExpert(tiny.hubert(), "hubert"), SyncNetExpert(tiny.syncnet(), "syncnet")]
CLIP, TRACK = tiny.clip(30), tiny.track(2, 30)


@pytest.fixture
def explorer() -> dict[str, Any]:
    """The controls and outputs of an explorer by name."""
    pytest.importorskip("ipywidgets")
    picture, side = widgets.explore(CLIP, EXPERTS, TRACK).children
    names = ("shift", "rotation", "delay", "frame", "scores", "play", "player")
    return {"picture": picture, **dict(zip(names, side.children, strict=True))}


@pytest.mark.parametrize(("control", "value"), [("shift", 10), ("rotation", -5), ("delay", 3), ("frame", 7)])
def test_a_slider_changes_what_it_should_and_its_zero_brings_it_back(
    explorer: dict[str, Any], control: str, value: float
) -> None:
    before = {name: explorer[name].value for name in ("picture", "scores")}
    start = explorer[control].value
    explorer[control].value = value
    changed = {name for name in before if explorer[name].value != before[name]}
    assert changed == {"delay": {"scores"}, "frame": {"picture"}}.get(control, {"picture", "scores"})
    explorer[control].value = start
    assert {name: explorer[name].value for name in before} == before


def test_play_shows_a_video_with_sound_that_goes_when_a_slider_moves(explorer: dict[str, Any]) -> None:
    assert explorer["player"].value == ""
    explorer["delay"].value = 4
    explorer["play"].click()
    assert "data:video/mp4;base64," in explorer["player"].value
    assert "sound delayed by 4 frames" in explorer["player"].value
    explorer["shift"].value = 5
    assert explorer["player"].value == ""


def test_a_face_out_of_the_frame_is_said_and_still_shown(explorer: dict[str, Any]) -> None:
    state = widgets.Explorer(CLIP, EXPERTS, tiny.track(0, 30, at=95))
    problem, measured = state.scores(shift=40)
    assert "leaves the frame" in problem
    assert measured == {}
    assert "No score: the face leaves the frame" in widgets.score_table(problem, measured)
    assert state.picture(0, shift=40).shape[1] == 232


def test_scores_are_those_of_the_moved_clip_whatever_was_asked_before() -> None:
    state = widgets.Explorer(CLIP, EXPERTS, TRACK)
    state.scores(shift=12, delay=2)
    state.scores(rotation=3)
    problem, measured = state.scores(shift=12)
    moved = perturb(CLIP, "shift_x", 12, TRACK)
    assert problem == ""
    assert (state.moved(shift=12).frames == moved.frames).all()
    expected = avs_u(*EXPERTS[0].clip_features(moved, TRACK))
    assert measured["hubert"].figures["avs_u"] == pytest.approx(expected, abs=1e-5)
    with pytest.raises(StressError, match="-45 to 45 degrees"):
        state.moved(rotation=60)


def test_without_ipywidgets_the_explorer_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(widgets, "import_module", missing)
    with pytest.raises(StressError, match=r"pip install 'tfg\[book\]'"):
        widgets.explore(CLIP, EXPERTS, TRACK)


def test_a_film_shows_each_value_with_its_sound_and_a_cursor_that_moves() -> None:
    film = widgets.film(CLIP, EXPERTS, "offset", [0, 3], TRACK, span=(4, 20))
    assert film.n_frames == 2 * 16
    assert film.height % 2 == 0
    for index, delay in enumerate((0, 3)):
        heard = film.audio[index * 16 * 640 : (index + 1) * 16 * 640]
        assert (heard == CLIP.delay_audio(delay).audio[6 * 640 : 22 * 640]).all()
    small = cv2.resize(CLIP.frames[6], (232, 232), interpolation=cv2.INTER_AREA)
    assert (film.frames[0, :232, :232] == small).all()
    right = film.frames[:, :, 232:].astype(int)
    assert (right[0] != right[16]).mean() > 0.002, "another value, other scores"
    columns = [np.flatnonzero((right[i] != right[i + 1]).any(axis=(0, 2))) for i in range(14)]
    assert all(len(found) == 2 for found in columns), "only the cursor moves"
    assert all(np.diff([found[0] for found in columns]) > 0)


def test_a_film_tells_why_a_value_has_no_score_and_refuses_a_span_outside_the_track() -> None:
    film = widgets.film(CLIP, EXPERTS, "shift_x", [0, 60], tiny.track(0, 30, at=80), span=(0, 1))
    assert (film.frames[0] != film.frames[1]).any()
    with pytest.raises(StressError, match=r"\(0, 40\); expected 0 <= first < stop <= 28"):
        widgets.film(CLIP, EXPERTS, "shift_x", [0], TRACK, span=(0, 40))
