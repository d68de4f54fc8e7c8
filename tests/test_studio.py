"""The embedded studio clips, their truth, and the renderer behind them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import tfg
from tfg.clip import SAMPLES_PER_FRAME
from tfg.datasets import studio
from tfg.datasets.studio_deform import CHANNELS, deform
from tfg.datasets.studio_film import animate, renderer
from tfg.datasets.studio_identity import StudioIdentity
from tfg.datasets.studio_mesh import template
from tfg.datasets.studio_motion import move
from tfg.datasets.studio_render import Renderer, rotation_matrix
from tfg.datasets.studio_shade import Light
from tfg.datasets.studio_speech import VISEMES, Phone, articulate, frame_times, is_bilabial, label_frames, viseme_of
from tfg.errors import DataError

SAMPLE = ("ada-boat", "kofi-lamb", "portrait-space")


def test_the_set_is_complete_small_and_split() -> None:
    names = studio.names()
    assert len(names) == 24
    sizes = [studio.path(name).stat().st_size for name in names]
    assert max(sizes) <= 250_000
    assert sum(f.stat().st_size for f in studio.folder().iterdir() if f.is_file()) <= 6_000_000
    assert 4 <= len(studio.names("val")) <= 6
    trained = {studio.truth(n).identity for n in studio.names("train")}
    assert len(trained) >= 8
    assert {studio.truth(n).identity for n in studio.names("val")} <= trained
    unseen = {studio.truth(n).identity for n in studio.names("test")}
    assert len(unseen) >= 2
    assert not unseen & trained
    assert sorted(studio.names("train") + studio.names("val") + studio.names("test")) == sorted(names)


def test_truth_has_one_entry_per_frame_and_fits_the_recipe() -> None:
    entries = {c["name"]: c for c in studio.recipe()["clips"]}
    for name in studio.names():
        truth = studio.truth(name)
        n = truth.n_frames
        assert 50 <= n <= 100, "clips last 2 to 4 s"
        assert len(truth.phoneme) == len(truth.viseme) == n
        assert truth.articulation.shape == (n, len(CHANNELS))
        assert truth.rotation.shape == (n, 3)
        assert truth.blink.shape == (n,)
        assert truth.text == entries[name]["text"]
        assert truth.av_offset == 0
        assert list(truth.phoneme) == label_frames(truth.phones, frame_times(n))
        assert set(truth.viseme) <= set(VISEMES)
        gaps = [b.start - a.end for a, b in zip(truth.phones, truth.phones[1:], strict=False)]
        assert max(np.abs(gaps)) < 1e-3


@pytest.mark.parametrize("name", SAMPLE)
def test_clip_and_truth_have_equal_length(name: str) -> None:
    clip = studio.read(name)
    assert clip.frames.shape == (studio.truth(name).n_frames, 256, 256, 3)
    assert clip.audio.shape == (SAMPLES_PER_FRAME * clip.n_frames,)
    assert np.abs(clip.audio).max() > 0.3


def test_lips_are_closed_in_bilabials_and_open_in_open_vowels() -> None:
    closed, wide = [], []
    for name in studio.names():
        truth = studio.truth(name)
        bilabial = np.array([is_bilabial(p) for p in truth.phoneme])
        closed.append(truth.opening[bilabial])
        wide.append(truth.opening[np.isin(truth.phoneme, ["aa", "ae"])])
    assert np.concatenate(closed).max() < 0.012  # about one pixel in a frame of 256
    assert np.median(np.concatenate(wide)) > 0.12


@pytest.mark.parametrize("name", SAMPLE)
def test_face_tracker_finds_every_frame_and_sees_the_mouth_move(name: str) -> None:
    clip, truth = studio.read(name), studio.truth(name)
    track = tfg.track_face(clip)
    assert track.stop - track.start == clip.n_frames
    assert track.observed.mean() >= 0.99
    points = track.landmarks
    gap = np.linalg.norm(points[:, 62] - points[:, 66], axis=1) / np.linalg.norm(points[:, 36] - points[:, 45], axis=1)

    def agreement(shift: int) -> float:
        n = len(gap) - 2
        return float(np.corrcoef(gap[1 : 1 + n], truth.opening[1 + shift : 1 + shift + n])[0, 1])

    assert agreement(0) > 0.8
    assert agreement(0) > max(agreement(-1), agreement(1)), "picture and truth are in step to the frame"


def test_speech_is_loud_where_the_truth_has_vowels_and_quiet_in_its_pauses() -> None:
    for name in SAMPLE:
        audio, truth = studio.read(name).audio, studio.truth(name)
        level = {kind: [] for kind in ("pau", "vowel")}
        for phone in truth.phones:
            start, stop = (round(t * 16_000) for t in (phone.start + 0.02, phone.end - 0.02))
            kind = "pau" if phone.label == "pau" else "vowel" if phone.label[0] in "aeiou" else ""
            if kind and stop - start > 320:
                level[kind].append(float(np.sqrt(np.mean(audio[start:stop] ** 2))))
        assert np.median(level["vowel"]) > 20 * np.median(level["pau"])


def test_the_recipe_gives_the_committed_frames_again() -> None:
    name = "emil-cheese"
    entry = next(c for c in studio.recipe()["clips"] if c["name"] == name)
    truth, clip = studio.truth(name), studio.read(name)
    articulation, motion, lights = animate(entry, truth.phones, frame_times(truth.n_frames))
    assert np.abs(articulation - truth.articulation).max() <= 6e-4  # three digits in the truth file
    assert np.abs(motion.rotation - truth.rotation).max() < 1e-2
    draw = renderer(entry, studio.identity(entry["identity"]))
    assert isinstance(draw, Renderer)
    for t in (10, 30):
        first, opening = draw.frame(articulation[t], motion, t, lights[t])
        again, _ = draw.frame(articulation[t], motion, t, lights[t])
        assert np.array_equal(first, again)
        assert opening == pytest.approx(truth.opening[t], abs=1e-4)
        difference = np.abs(first.astype(float) - clip.frames[t])
        assert difference.mean() < 3.0  # what H.264 changed
    if shutil.which("flite"):
        from tfg.datasets.studio_voice import Voice, say

        speech = say(entry["text"], Voice(**entry["voice"]), entry["seed"])
        assert len(speech.audio) == len(clip.audio)
        assert speech.phones == truth.phones
        assert np.corrcoef(speech.audio, clip.audio)[0, 1] > 0.98


def test_random_identities_differ_and_repeat_by_seed() -> None:
    assert StudioIdentity.random(4) == StudioIdentity.random(4)
    assert len({json.dumps(StudioIdentity.random(i).to_json()) for i in range(20)}) == 20
    back = StudioIdentity.from_json(json.loads(json.dumps(StudioIdentity.random(4).to_json())))
    assert back == StudioIdentity.random(4)
    times = frame_times(2)
    motion = move(np.random.default_rng(0), [], times, yaw=0, pitch=0, liveliness=1)
    still = np.zeros((2, len(CHANNELS)))
    frames = [Renderer(StudioIdentity.random(i)).render(still, motion, [Light()] * 2)[0] for i in (1, 2)]
    assert np.abs(frames[0].astype(float) - frames[1]).mean() > 8


def test_bilabial_closes_over_an_open_jaw_and_rounding_starts_early() -> None:
    phones = [Phone("aa", 0.0, 0.2), Phone("b", 0.2, 0.26), Phone("aa", 0.26, 0.46)]
    a = articulate(phones, np.array([0.1, 0.23, 0.36]))
    jaw, closure = CHANNELS.index("jaw"), CHANNELS.index("closure")
    assert a[1, jaw] > 0.1
    assert a[1, closure] == pytest.approx(1)
    assert a[0, closure] == pytest.approx(0, abs=1e-6)
    rest = template().vertices
    assert deform(rest, a[0], blink=0, brow=0, gaze_up=0, gain=1)[1] > 0.12
    assert deform(rest, a[1], blink=0, brow=0, gaze_up=0, gain=1)[1] < 1e-6
    rounding = CHANNELS.index("protrusion")
    early = articulate([Phone("t", 0, 0.1), Phone("uw", 0.1, 0.3)], np.array([0.08]))
    late = articulate([Phone("t", 0, 0.1), Phone("iy", 0.1, 0.3)], np.array([0.08]))
    assert early[0, rounding] > late[0, rounding] + 0.3


def test_rotation_turns_the_face_as_documented() -> None:
    front, up = np.array([0, 0, 1.0]), np.array([0, 1.0, 0])
    assert (rotation_matrix(10, 0, 0) @ front)[0] > 0
    assert (rotation_matrix(0, 10, 0) @ front)[1] < 0
    assert (rotation_matrix(0, 0, 10) @ up)[0] > 0


def test_errors_name_what_was_asked_and_what_exists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=r"no clip 'nobody-here'.*ada-boat"):
        studio.path("nobody-here")
    with pytest.raises(DataError, match=r"no split 'dev'.*train, val, test"):
        studio.names("dev")
    with pytest.raises(DataError, match="no identity 'eve'"):
        studio.names(identity="eve")
    with pytest.raises(DataError, match="phone 'xx'"):
        viseme_of("xx")
    motion = move(np.random.default_rng(0), [], frame_times(2), yaw=0, pitch=0, liveliness=1)
    renderer = Renderer(StudioIdentity.random(0))
    with pytest.raises(DataError, match=r"articulation of shape \(2, 9\).*found \(3, 9\)"):
        renderer.render(np.zeros((3, 9)), motion, [Light()] * 2)
    (tmp_path / "ada-boat.mp4").write_bytes(b"x")
    (tmp_path / "ada-boat.json").write_text("{")
    monkeypatch.setattr(studio, "folder", lambda: tmp_path)
    with pytest.raises(DataError, match=r"ada-boat\.json.*studio_make ada-boat"):
        studio.truth("ada-boat")
