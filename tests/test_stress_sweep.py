"""Sweeps: the same numbers as scoring each perturbed clip by itself, computed once where nothing changes, and no
score where there is no face."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import tiny_experts as tiny

import tfg
from tfg.clip import Clip
from tfg.crops import face_crops_syncnet, mouth_crops
from tfg.datasets import studio
from tfg.errors import FeatureError, NoFaceError, StressError
from tfg.experts.expert import AVHubertExpert, SyncNetExpert
from tfg.faces import FaceTrack
from tfg.metrics import avs_u, lse_unbiased
from tfg.stress import PERTURBATIONS, perturb, sweep
from tfg.stress.frames import GEOMETRY, Face, move
from tfg.stress.place import shows_border

EXPERTS = [AVHubertExpert(tiny.hubert(), "hubert"), SyncNetExpert(tiny.syncnet(), "syncnet")]


def naive(clip: Clip, track: FaceTrack) -> dict[str, float]:
    """One clip scored by itself."""
    hubert, sync = EXPERTS
    lip, audio = sync.clip_embeddings(clip, track)
    result = lse_unbiased(lip, audio)
    return {
        "avs_u": avs_u(*hubert.clip_features(clip, track)),
        "lse_d": result.lse_d,
        "lse_c": result.lse_c,
        "cosine": avs_u(audio, lip),
    }


@pytest.mark.parametrize("name", ["blur", "noise", "frame_drop", "audio_noise", "reverberation"])
def test_a_sweep_gives_what_scoring_each_perturbed_clip_gives(name: str) -> None:
    clip, track = tiny.clip(60), tiny.track(0, 60)
    values = [PERTURBATIONS[name].neutral, PERTURBATIONS[name].sweep[1]]
    result = sweep(clip, name, values, EXPERTS, seed=3, track=track)
    assert result.values.tolist() == values
    assert not result.problems
    for index, value in enumerate(values):
        alone = naive(perturb(clip, name, value, track, seed=3), track)
        for expert, figure in (("hubert", "avs_u"), ("syncnet", "lse_d"), ("syncnet", "lse_c"), ("syncnet", "cosine")):
            np.testing.assert_allclose(result.figure(expert, figure)[index], alone[figure], atol=1e-5)
    assert result.cosines("hubert").shape == (2, 56)
    assert result.cosines("syncnet").shape == (2, 55)
    assert np.isfinite(result.cosines("syncnet")).all()


@pytest.mark.parametrize("name", GEOMETRY)
def test_moving_and_cropping_in_one_go_is_moving_then_cropping(name: str) -> None:
    clip = studio.read("ada-tea").trim(0, 20)
    clip = replace(clip, frames=np.pad(clip.frames, ((0, 0), (40, 40), (40, 40), (0, 0)), mode="reflect"))
    track = tfg.track_face(clip)
    face = Face.of(track, clip.n_frames)
    for value in (PERTURBATIONS[name].sweep[2], PERTURBATIONS[name].sweep[-3]):
        moved, frames = move(name, value, face), perturb(clip, name, value, track)
        for cut in (mouth_crops, face_crops_syncnet):
            inside = (slice(None), slice(8, -8), slice(8, -8))
            difference = cut(clip, track, moved=moved)[inside].astype(int) - cut(frames, track)[inside]
            assert np.abs(difference).mean() < 1, "grey levels, of one interpolation instead of two"


def test_a_border_is_seen_before_and_after_it_moves() -> None:
    clip = tiny.clip(1)
    at = np.array([[[1.0, 0, -10], [0, 1, -10]]])  # a crop of 50 pixels, 10 from the frame's corner
    face = Face(100.0, np.array([64.0, 64]), np.zeros((1, 2)))
    assert not shows_border(at, 50, move("shift_x", 9, face), clip)
    assert shows_border(at, 50, move("shift_x", 12, face), clip)
    assert not shows_border(at, 50, move("shift_x", -30, face), clip)
    assert shows_border(at, 50, move("rotation", 45, face), clip)
    assert shows_border(at + np.array([[[0, 0, 20], [0, 0, 0]]]), 50, move("shift_x", -30, face), clip)


def test_what_does_not_change_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    hubert, sync = AVHubertExpert(tiny.hubert(), "hubert"), SyncNetExpert(tiny.syncnet(), "syncnet")
    for expert, method in ((hubert, "encode"), (sync, "encode_lips"), (sync, "encode_sound")):
        original = getattr(expert, method)

        def counted(*args: object, original: object = original, method: str = method, **kwargs: object) -> object:
            calls.append(f"{method} {' '.join(kwargs)}".strip())
            return original(*args, **kwargs)  # type: ignore[operator]

        monkeypatch.setattr(expert, method, counted)
    clip, track = tiny.clip(30), tiny.track(0, 30)
    sweep(clip, "brightness", [10, 20, 30], [hubert, sync], track=track)
    assert calls.count("encode audio") == calls.count("encode_sound") == 1
    assert calls.count("encode mouth") == calls.count("encode_lips") == 3
    calls.clear()
    sweep(clip, "offset", [-2, 0, 2], [hubert, sync], track=track)
    assert calls.count("encode mouth") == calls.count("encode_lips") == 1
    assert calls.count("encode audio") == calls.count("encode_sound") == 3


def test_a_face_that_leaves_the_frame_is_reported_and_has_no_score() -> None:
    clip = tiny.clip(30)
    result = sweep(clip, "shift_x", [0, 40, 90, -90], EXPERTS, track=tiny.track(0, 30, at=80))
    assert list(result.problems) == [90]
    assert "leaves the frame in 30 of 30 frames, by up to" in result.problems[90]
    for expert in result.experts:
        assert np.isnan(result.cosines(expert)[2]).all()
        assert np.isnan(result.figure(expert, "cosine")[2])
        assert np.isfinite(result.cosines(expert)[[0, 1, 3]]).all()
    blank = [row for row in result.table() if row["value"] == 90]
    assert [(row["windows"], row["cosine"], row["lse_d"]) for row in blank] == [(0, None, None)] * 2


def test_a_face_cut_off_from_the_start_is_not_held_against_a_perturbation_that_brings_it_in() -> None:
    clip, track = tiny.clip(30), tiny.track(0, 30, at=120)
    assert list(sweep(clip, "shift_x", [-30, 0, 10], EXPERTS[1:], track=track).problems) == [10]


@pytest.mark.parametrize("found", [[], [tiny.track(0, 30, at=10)]], ids=["none", "another"])
def test_a_face_that_is_not_found_again_is_reported(monkeypatch: pytest.MonkeyPatch, found: list[FaceTrack]) -> None:
    monkeypatch.setattr("tfg.stress.sweeps.track_faces", lambda clip: found)
    clip, track = tiny.clip(30), tiny.track(0, 30)
    result = sweep(clip, "noise", [0, 50], EXPERTS, "estimated", track=track)
    assert result.problems == {50: "the face was not found again"}
    assert np.isfinite(result.figure("hubert", "avs_u")[0])
    assert np.isnan(result.figure("hubert", "avs_u")[1])


def test_estimated_alignment_follows_the_face_that_was_moved_and_its_part_of_the_clip(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clip, track = tiny.clip(60), tiny.track(0, 60)
    right = replace(tiny.track(10, 50), landmarks=tiny.track(10, 50).landmarks + np.float32([20, 0]))
    monkeypatch.setattr("tfg.stress.sweeps.track_faces", lambda clip: [tiny.track(0, 60, at=10), right])
    value = 100 * 20 / Face.of(track, 60).width
    result = sweep(clip, "shift_x", [value], EXPERTS, "estimated", track=track)
    alone = naive(perturb(clip, "shift_x", value, track), right)
    np.testing.assert_allclose(result.figure("hubert", "avs_u")[0], alone["avs_u"], atol=1e-5)
    np.testing.assert_allclose(result.figure("syncnet", "lse_d")[0], alone["lse_d"], atol=1e-5)
    known = np.flatnonzero(np.isfinite(result.cosines("syncnet")[0]))
    assert (known[0], known[-1]) == (10, 50 - 5 - 1)


def test_estimated_alignment_undoes_a_shift_that_frozen_alignment_shows() -> None:
    clip = studio.read("ada-tea").trim(0, 12)
    experts = [tfg.load_expert("avhubert-mini")]
    track = tfg.track_face(clip)
    frozen, estimated = (sweep(clip, "shift_x", [0, 14], experts, way, track=track) for way in ("frozen", "estimated"))
    error = [np.nanmean(np.abs(np.diff(result.cosines("avhubert-mini"), axis=0))) for result in (frozen, estimated)]
    assert error[1] < 0.5 * error[0]


@pytest.mark.parametrize("value", [3, -3, 2.5])
def test_windows_that_hear_the_silence_of_a_delay_are_not_counted(value: float) -> None:
    clip, track = tiny.clip(60), tiny.track(0, 60)
    oracle = tiny.Oracle(clip)
    result = sweep(clip, "offset", [0, value], [oracle, EXPERTS[1]], track=track)
    assert result.figure("oracle", "avs_u")[0] == pytest.approx(1, abs=1e-4)
    assert result.figure("oracle", "avs_u")[1] < 0.98
    assert result.figure("oracle", "offset").tolist()[0] == 0
    assert abs(result.figure("oracle", "offset")[1] + value) <= 0.5
    lost = int(np.ceil(abs(value)))
    for expert, windows in (("oracle", 56), ("syncnet", 55)):
        silent = np.flatnonzero(np.isnan(result.cosines(expert)[1]))
        expected = range(lost) if value > 0 else range(60 - lost - 4, windows)
        assert silent.tolist() == list(expected)
    inside = slice(lost, 55) if value > 0 else slice(0, 56 - lost)
    moved = clip.delay_audio(value)
    lip, audio = (features[inside] for features in EXPERTS[1].clip_embeddings(moved, track))
    assert result.figure("syncnet", "lse_d")[1] == pytest.approx(lse_unbiased(lip, audio).lse_d, abs=1e-5)


def test_too_little_sound_is_reported() -> None:
    result = sweep(tiny.clip(30), "offset", [0, 26], EXPERTS, track=tiny.track(0, 30))
    assert result.problems == {26: "only 4 frames have both a face and sound"}


def test_the_table_has_a_row_per_value_and_expert_and_progress_is_told() -> None:
    told = []
    result = sweep(
        tiny.clip(60), "scale", (1, 1.1), EXPERTS, track=tiny.track(0, 60), on_point=lambda point: told.append(point)
    )
    assert [point.value for point in told] == [1, 1.1]
    rows = result.table()
    assert [(row["value"], row["expert"]) for row in rows] == [
        (1, "hubert"), (1, "syncnet"), (1.1, "hubert"), (1.1, "syncnet"),
    ]  # fmt: skip
    assert all(row["perturbation"] == "scale" and row["alignment"] == "frozen" for row in rows)
    assert rows[0]["lse_d"] is None
    assert rows[1]["avs_u"] is None
    np.testing.assert_allclose(rows[3]["cosine"], result.cosines("syncnet")[1].mean(), rtol=1e-5)
    assert rows[0]["chance"] != rows[0]["cosine"]


@pytest.mark.parametrize(
    ("values", "experts", "alignment", "message"),
    [
        ([], EXPERTS, "frozen", "0 values"),
        ([0], [], "frozen", "at least one of each"),
        ([0], [EXPERTS[0]] * 2, "frozen", "no name twice"),
        ([0], EXPERTS, "guessed", "'frozen' or 'estimated'"),
        ([0, 101], EXPERTS, "frozen", "-100 to 100 % of the face's width"),
    ],
)
def test_a_sweep_that_makes_no_sense_is_refused_before_any_work(
    monkeypatch: pytest.MonkeyPatch, values: Sequence[float], experts: Sequence[object], alignment: str, message: str
) -> None:
    monkeypatch.setattr("tfg.stress.sweeps.track_face", lambda clip: pytest.fail("tracked"))
    with pytest.raises(StressError, match=message):
        sweep(tiny.clip(10), "shift_x", values, experts, alignment)  # type: ignore[arg-type]


def test_no_face_and_too_short_a_face_are_errors() -> None:
    clip = tiny.clip(10)
    with pytest.raises(NoFaceError):
        sweep(replace(clip, frames=np.zeros_like(clip.frames)), "shift_x", [0], EXPERTS)
    with pytest.raises(FeatureError, match="5 frames"):
        sweep(clip, "noise", [0], EXPERTS, track=tiny.track(0, 5))
