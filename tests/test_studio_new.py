"""New talkers and sentences: what is asked for is what is rendered, and its truth is the truth."""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import tfg
from tfg.cli import app
from tfg.clip import SAMPLES_PER_FRAME
from tfg.datasets import studio, studio_film, studio_voice
from tfg.datasets.studio_check import PARTS, check_tracker
from tfg.datasets.studio_deform import CHANNELS
from tfg.datasets.studio_render import Renderer
from tfg.datasets.studio_speech import BLENDED, Phone, Speech, articulate, dominance, frame_times, label_frames
from tfg.datasets.studio_truth import StudioClip, StudioTruth
from tfg.errors import DataError


@pytest.fixture(scope="module")
def speech() -> Speech:
    """ "Bob": /b/, a wide vowel, /b/."""
    return studio.speech("ada-boat").cut(4, 14)


@pytest.fixture(scope="module")
def made(speech: Speech) -> StudioClip:
    return studio.make(3, speech, seed=1)


def test_a_new_talker_says_an_embedded_recording_without_a_synthesiser(
    speech: Speech, made: StudioClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    again = studio.make(3, speech, seed=1)
    np.testing.assert_array_equal(again.clip.frames, made.clip.frames)
    np.testing.assert_array_equal(made.clip.audio, speech.audio)
    assert made.clip.frames.shape == (10, 256, 256, 3)
    assert (made.truth.identity, made.truth.split, made.truth.av_offset) == ("random-3", "new", 0)
    assert list(made.truth.phoneme) == label_frames(speech.phones, speech.times)
    closed = np.isin(made.truth.phoneme, ["b", "m"])
    assert made.truth.opening[closed].max() < 0.012
    assert made.truth.opening.max() > 0.12
    with pytest.raises(DataError, match=r"flite was not found.*apt install flite.*studio\.speech"):
        studio.make(3, "A new sentence.")


def test_a_given_articulation_moves_the_mouth_and_must_fit(speech: Speech, made: StudioClip) -> None:
    mouth = articulate(speech.phones, speech.times)
    mouth[:, CHANNELS.index("closure")] = 0
    open_lips = studio.make(3, speech, seed=1, articulation=mouth)
    closed = np.isin(made.truth.phoneme, ["b"])
    assert open_lips.truth.opening[closed].min() > 0.02
    np.testing.assert_array_equal(open_lips.truth.rotation, made.truth.rotation)  # nothing else changed
    with pytest.raises(DataError, match=r"shape \(9, 9\); expected \(10, 9\)"):
        studio.make(3, speech, articulation=mouth[1:])


def test_another_seed_changes_pose_and_backdrop_another_talker_the_face(speech: Speech, made: StudioClip) -> None:
    one = speech.cut(4, 5)
    frames = [studio.make(who, one, seed=seed).clip.frames[0].astype(float) for who, seed in ((3, 1), (3, 2), (6, 1))]
    corner = np.s_[:40, :40]
    assert np.abs(frames[0][corner] - frames[1][corner]).mean() > 8
    assert np.abs(frames[0][corner] - frames[2][corner]).mean() < 3
    assert np.abs(frames[0] - frames[2]).mean() > 8


def test_unknown_talkers_and_a_voice_for_a_recording_are_refused(speech: Speech) -> None:
    with pytest.raises(DataError, match=r"talker is 'bob'.*ada.*portrait"):
        studio.make("bob", speech)
    with pytest.raises(DataError, match="talker is -1"):
        studio.identity(-1)
    with pytest.raises(DataError, match="voice is given together with recorded speech"):
        studio.make(3, speech, voice=studio_voice.Voice("slt"))


@pytest.mark.skipif(shutil.which("flite") is None, reason="flite speaks the sentences; it is not installed")
def test_flite_speaks_a_sentence_with_its_phones() -> None:
    spoken = studio_voice.say("Hello.", studio_voice.Voice("rms"))
    assert [p.label for p in spoken.phones if p.label != "pau"][-2:] == ["l", "ow"]
    assert len(spoken.audio) == SAMPLES_PER_FRAME * spoken.n_frames
    with pytest.raises(DataError, match="nothing to speak"):
        studio_voice.say("...", studio_voice.Voice("rms"))


@given(st.integers(0, 61), st.integers(1, 62))
@settings(max_examples=30, deadline=None)
def test_a_cut_keeps_sound_and_phones_in_step(start: int, length: int) -> None:
    whole = _whole()
    stop = start + length
    if stop > whole.n_frames:
        with pytest.raises(DataError, match="expected 0 <= start < stop"):
            whole.cut(start, stop)
        return
    part = whole.cut(start, stop)
    np.testing.assert_array_equal(part.audio, whole.audio[start * 640 : stop * 640])
    labels = label_frames(whole.phones, whole.times)[start:stop]
    assert label_frames(part.phones, part.times) == labels
    assert all(0 <= p.start < p.end <= length / 25 + 1e-9 for p in part.phones)


def _whole() -> Speech:
    truth = studio.truth("ada-boat")
    n = truth.n_frames
    return Speech(np.arange(n * 640, dtype=np.float32), truth.phones, truth.text, truth.voice)


@given(st.floats(0.05, 20), st.sampled_from(BLENDED))
@settings(max_examples=30, deadline=None)
def test_the_blend_lies_between_the_targets(reach: float, channel: str) -> None:
    phones, times = studio.truth("ada-boat").phones, frame_times(60)
    shared = dominance(phones, times, channel, reach=reach)
    assert shared.dominance.shape == (60, len(shared.labels))
    assert shared.blend.min() >= shared.target.min() - 1e-9
    assert shared.blend.max() <= shared.target.max() + 1e-9
    np.testing.assert_array_equal(articulate(phones, times, reach=reach)[:, CHANNELS.index(channel)], shared.blend)


def test_a_short_reach_leaves_each_phone_alone_and_a_long_one_mixes_all() -> None:
    phones, times = [Phone("iy", 0, 0.2), Phone("uw", 0.2, 0.4)], np.array([0.1, 0.3])
    alone = dominance(phones, times, "protrusion", reach=0.01)
    np.testing.assert_allclose(alone.blend, alone.target, atol=1e-3)
    mixed = dominance(phones, times, "protrusion", reach=1000).blend
    assert abs(mixed[0] - mixed[1]) < 0.01
    with pytest.raises(DataError, match=r"channel 'closure'.*jaw"):
        dominance(phones, times, "closure")
    with pytest.raises(DataError, match="reach is 0"):
        dominance(phones, times, "jaw", reach=0)


def test_layers_add_up_to_the_frame(speech: Speech) -> None:
    entry = studio_film.staging(1)
    mouth, motion, lights = studio_film.animate(entry, speech.phones, speech.times)
    draw = studio_film.renderer(entry, studio.identity(3))
    assert isinstance(draw, Renderer)
    steps = draw.layers(mouth[5], motion, 5, lights[5])
    frame, _ = draw.frame(mouth[5], motion, 5, lights[5])
    assert len(steps) == 8
    np.testing.assert_array_equal(steps["through the camera"], frame)
    lit = [steps[name].astype(int) for name in ("light of the room", "+ fill light", "+ key light")]
    assert all((b - a).min() >= -1 and (b - a).max() > 20 for a, b in itertools.pairwise(lit))


def test_true_landmarks_agree_with_the_tracker_and_with_the_opening() -> None:
    check = check_tracker("ada-tea")
    assert check.coverage >= 0.99
    assert check.error("mouth") < 4
    assert check.error("eyes") < 4
    assert check.landmarks is not None
    lips = np.linalg.norm(check.landmarks[:, 62] - check.landmarks[:, 66], axis=1)
    assert np.corrcoef(lips, check.truth.opening)[0, 1] > 0.98
    assert check.correlation() > max(check.correlation(-1), check.correlation(1))
    with pytest.raises(DataError, match=f"expected one of {', '.join(PARTS)}"):
        check.error("chin")
    with pytest.raises(DataError, match="landmarks of the portrait are not known"):
        check_tracker("portrait-space").error("mouth")


def test_written_clip_and_truth_are_read_back(made: StudioClip, tmp_path: Path) -> None:
    path = made.write(tmp_path / "talk.mp4")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["talk.json", "talk.mp4"]
    truth = StudioTruth.from_json(json.loads((tmp_path / "talk.json").read_text()))
    assert (truth.name, truth.text, truth.phoneme) == ("talk", made.truth.text, made.truth.phoneme)
    np.testing.assert_allclose(truth.opening, made.truth.opening, atol=6e-5)
    assert tfg.read_clip(path).n_frames == truth.n_frames


def test_command_line_hands_on_what_was_asked(
    made: StudioClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[Any, ...]] = []

    def make(who: object, what: object, **options: object) -> StudioClip:
        asked.append((who, what, options))
        return made

    monkeypatch.setattr(studio, "make", make)
    out = str(tmp_path / "talk.mp4")
    run = CliRunner().invoke
    result = run(app, ["studio", "render", "Hello.", "--talker", "7", "--seed", "2", "-o", out])
    assert result.exit_code == 0
    assert "10 frames; truth in talk.json" in result.output
    assert asked[-1] == (7, "Hello.", {"voice": None, "seed": 2})
    words = ["--voice", "rms", "--stretch", "1.2"]
    assert run(app, ["studio", "render", "Hi.", "--talker", "kofi", *words, "-o", out]).exit_code == 0
    assert asked[-1] == ("kofi", "Hi.", {"voice": studio_voice.Voice("rms", 1.2), "seed": 0})
    assert run(app, ["studio", "render", "--speech", "ada-boat", "-o", out]).exit_code == 0
    assert asked[-1][1].phones == studio.truth("ada-boat").phones
    for wrong in ([], ["Hi.", "--speech", "ada-boat"], ["Hi.", "--stretch", "2"], ["Hi.", "-o", "talk.txt"]):
        count = len(asked)
        assert run(app, ["studio", "render", *wrong]).exit_code == 2
        assert len(asked) == count, "refused before anything is rendered"
    listed = run(app, ["studio", "list"])
    assert all(name in listed.output for name in studio.names())
