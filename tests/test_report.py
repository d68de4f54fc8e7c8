"""tfg.score: every number with its protocol, delays with the right sign, doubtful clips said to be so."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tiny_experts as tiny

import tfg
from tfg import metrics
from tfg.errors import DataError, MetricError
from tfg.experts.expert import AVHubertExpert, SyncNetExpert
from tfg.metrics import corpus, report
from tfg.metrics import seen as seen_module


@pytest.fixture
def tracks(monkeypatch: pytest.MonkeyPatch) -> list:
    """The tracks that the tracker reports; empty means: one face over the whole clip."""
    chosen: list = []
    monkeypatch.setattr(seen_module, "track_faces", lambda video: chosen or [tiny.track(0, video.n_frames)])
    return chosen


@pytest.fixture(scope="module")
def experts() -> dict:
    return {"expert": AVHubertExpert(tiny.hubert(), "tiny"), "syncnet": SyncNetExpert(tiny.syncnet(), "tiny")}


def test_every_number_equals_the_metric_on_the_experts_features(tracks: list, experts: dict) -> None:
    clip, other = tiny.clip(120), tiny.clip(120, seed=1)
    track = tiny.track(0, 120)
    found = report.score(clip, other, **experts)
    hubert, sync = experts["expert"], experts["syncnet"]
    heard, seen = hubert.clip_features(clip, track)
    assert found["avs_u"] == pytest.approx(metrics.avs_u(heard, seen))
    assert found["avs_u_chance"] == pytest.approx(metrics.chance_level(metrics.avs_u, heard, seen))
    assert found["avs_u_reference"] == pytest.approx(metrics.avs_u(*hubert.clip_features(other, track)))
    assert found["avs_v"] == pytest.approx(metrics.avs_v(seen, hubert.clip_features(other, track)[1]))
    fbank = tfg.audio.stacked_filterbank(clip.audio)
    both = [hubert.encode(fbank, hubert.inputs(c, track)[1]) for c in (clip, other)]
    assert found["avs_m"] == pytest.approx(metrics.avs_m(*both))
    for name, result in {
        "lrs": metrics.lse(*sync.frame_embeddings(clip)),
        "tracks": metrics.lse(*sync.clip_embeddings(clip, track)),
        "unbiased": metrics.lse_unbiased(*sync.clip_embeddings(clip, track)),
    }.items():
        assert found[f"lse_d_{name}"] == pytest.approx(result.lse_d)
        assert found[f"lse_c_{name}"] == pytest.approx(result.lse_c)
        assert found[f"offset_{name}"] == result.offset
        none = "none found within 600 ms" if abs(result.offset) == 15 else result.words
        assert found[f"offset_{name}_words"] == none


def test_a_report_is_json_and_names_experts_protocol_and_time(tracks: list, experts: dict) -> None:
    found = report.score(tiny.clip(60), tiny.clip(60, seed=1), **experts)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["expert"]["name"] == "tiny"
    assert found["syncnet"]["architecture"].startswith("SyncNet")
    assert {"avs_u", "avs_m", "avs_v", "lrs", "tracks", "unbiased"} <= found["protocol"].keys()
    assert found["real_time_factor"] > 0
    assert {"read", "track faces", "mouth crops", "AV-HuBERT", "reference"} <= found["stages"].keys()


def test_sound_8_frames_late_lowers_avs_u_and_has_its_delay_named(tracks: list) -> None:
    clip = tiny.clip(150)
    oracle = tiny.Oracle(clip)
    good, late = (report.score(c, expert=oracle, syncnet=None) for c in (clip, clip.delay_audio(8)))
    assert good["avs_u"] == pytest.approx(1, abs=1e-4)
    assert good["offset_avs"] == 0
    assert late["avs_u"] < good["avs_u"] - 0.05
    assert late["offset_avs"] == -8
    assert late["offset_avs_words"] == "audio 320 ms late"
    assert late["avs_u_at_offset"] > late["avs_u"]


def alone(heard: np.ndarray, seen: np.ndarray) -> dict:
    out: dict = {"warnings": [], "not_computed": {}}
    report._score_alone(out, SimpleNamespace(audio_feats=heard, video_feats=seen), 0)
    return out


def test_avs_u_hardly_above_chance_is_said_and_why() -> None:
    heard, seen = np.random.default_rng(0).standard_normal((2, 300, 16)).astype(np.float32)
    unreadable = alone(heard, seen)
    assert len(unreadable["warnings"]) == 1
    assert warned(unreadable, "AV-HuBERT finds no sync in this clip")
    late = alone(heard[:-8], (heard + seen)[8:])
    assert len(late["warnings"]) == 1
    assert warned(late, "AVS_u is hardly above chance: a window beats")
    assert warned(late, "once the delay is undone: audio 320 ms late")
    assert alone(heard, heard + seen)["warnings"] == []


def test_a_high_avs_u_alone_does_not_reassure() -> None:
    """Features with a common direction have a large cosine whatever the lips do: the warning must not go by it."""
    heard, seen = np.random.default_rng(0).standard_normal((2, 300, 16)).astype(np.float32) + np.float32(4)
    found = alone(heard, seen)
    assert found["avs_u"] > 0.9
    assert found["avs_u_auc"] == pytest.approx(0.5, abs=0.1)
    assert warned(found, "AV-HuBERT finds no sync in this clip")


def test_a_clip_too_short_to_pull_apart_has_no_auc_and_says_so() -> None:
    found = alone(*np.random.default_rng(0).standard_normal((2, 9, 16)).astype(np.float32))
    assert found["avs_u_auc"] is None
    assert "9 frames; expected at least" in found["not_computed"]["avs_u_auc"]


def test_the_mini_is_believed_on_embedded_clips_in_sync_and_mostly_doubted_on_late_ones() -> None:
    from tfg.datasets import studio

    hubert = tfg.load_expert("avhubert-mini")
    doubted = []
    for name in studio.names("val"):
        clip = studio.read(name)
        track = tfg.track_face(clip)
        heard, seen = hubert.clip_features(clip, track)
        in_time = alone(heard, seen)
        assert in_time["warnings"] == [], name
        late = alone(hubert.clip_features(clip.delay_audio(8), track)[0], seen)
        assert late["avs_u_auc"] < in_time["avs_u_auc"] - 0.2, name
        doubted.append(warned(late, "AVS_u is hardly above chance"))
    assert sum(doubted) >= 3, doubted


def test_a_delay_at_the_border_of_the_search_is_not_named(tracks: list) -> None:
    rising = np.cumsum(np.ones((100, 1)), 0)
    spiral = np.hstack([np.cos(rising / 60), np.sin(rising / 60)]).astype(np.float32)
    out: dict = {"warnings": [], "not_computed": {}}
    report._score_alone(out, SimpleNamespace(audio_feats=spiral[:-20], video_feats=spiral[20:]), 0)
    assert out["offset_avs"] == -15
    assert out["offset_avs_words"] == "none found within 600 ms"


def test_the_same_video_as_reference_gives_1(tracks: list, experts: dict) -> None:
    found = report.score(tiny.clip(60), tiny.clip(60), **experts)
    assert found["avs_m"] == pytest.approx(1, abs=1e-5)
    assert found["avs_v"] == pytest.approx(1, abs=1e-5)
    assert found["avs_u_reference"] == found["avs_u"]


def test_a_longer_reference_is_trimmed_and_that_is_said(tracks: list, experts: dict) -> None:
    long = tiny.clip(70)
    found = report.score(long.trim(0, 60), long, **experts)
    assert found["avs_v"] == pytest.approx(1, abs=1e-5)
    assert any("60 frames, the reference 70: AVS_m and AVS_v compare frames 0 to 59" in w for w in found["warnings"])


def test_videos_whose_faces_share_no_frame_are_refused(
    tracks: list, experts: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    spans = iter([(0, 30), (30, 60)])
    monkeypatch.setattr(seen_module, "track_faces", lambda video: [tiny.track(*next(spans))])
    with pytest.raises(MetricError, match="0 to 29 of noise and 30 to 59 of noise: no frame in common"):
        report.score(tiny.clip(60), tiny.clip(60), **experts)


def test_short_tracks_have_no_tracks_protocol_and_the_reason_is_given(tracks: list, experts: dict) -> None:
    found = report.score(tiny.clip(75), **experts)
    assert found["lse_d_tracks"] is None
    assert found["offset_tracks_words"] is None
    assert "longest has 75" in found["not_computed"]["lse_tracks"]
    assert found["lse_d_unbiased"] is not None


def test_tracks_protocol_is_the_mean_over_long_tracks_only(tracks: list, experts: dict) -> None:
    tracks += [tiny.track(0, 105, at=44), tiny.track(3, 108, at=80), tiny.track(0, 40, at=70)]
    clip = tiny.clip(110)
    found = report.score(clip, **experts)
    each = [metrics.lse(*experts["syncnet"].clip_embeddings(clip, t)) for t in tracks[:2]]
    assert [t["stop"] for t in found["tracks"]] == [105, 108]
    assert found["lse_d_tracks"] == pytest.approx(np.mean([e.lse_d for e in each]))
    assert found["lse_c_tracks"] == pytest.approx(np.mean([e.lse_c for e in each]))
    assert found["offset_tracks"] == each[0].offset


def warned(found: dict, text: str) -> bool:
    return any(text in sentence for sentence in found["warnings"])


def test_a_good_clip_has_no_warning(tracks: list, experts: dict) -> None:
    clip = tiny.clip(60)
    assert report.score(clip, expert=tiny.Oracle(clip), syncnet=experts["syncnet"])["warnings"] == []


def test_a_clip_under_a_second_is_doubted(tracks: list, experts: dict) -> None:
    found = report.score(tiny.clip(20), **experts)
    assert warned(found, "only 20 frames scored (0.80 s)")
    assert warned(found, "only 15 windows")
    assert warned(found, "shifts of only 6 frames")
    tiny_clip = report.score(tiny.clip(2), **experts)
    assert tiny_clip["avs_u_chance"] is None
    assert tiny_clip["lse_d_unbiased"] is None
    assert "too few" in tiny_clip["not_computed"]["avs_u_chance"]


def test_missing_faces_are_counted(tracks: list, experts: dict) -> None:
    observed = np.ones(50, bool)
    observed[10:20] = False
    tracks.append(tiny.track(0, 50, observed=observed))
    found = report.score(tiny.clip(100), **experts)
    assert found["face_coverage"] == 0.4
    assert warned(found, "face not seen in 60.0% of frames (50.0% outside its track")


def test_several_faces_and_shots_are_told_apart(tracks: list, experts: dict) -> None:
    tracks += [tiny.track(0, 30, at=32), tiny.track(0, 30, at=96), tiny.track(30, 60)]
    found = report.score(tiny.clip(60), **experts)
    assert warned(found, "2 faces at once: scored the one most likely to speak, at x = 25%")
    assert warned(found, "3 face tracks: AVS is of frames 0 to 29 only")


def test_silence_is_noticed(tracks: list, experts: dict) -> None:
    clip = tiny.clip(60)
    quiet = clip.audio.copy()
    quiet[: 40 * 640] *= 1e-4
    found = report.score(tfg.Clip(clip.frames, quiet), **experts)
    assert found["silent_share"] == pytest.approx(40 / 60, abs=1e-3)
    assert warned(found, "below -50 dBFS in 67% of frames")


def test_notes_of_the_file_become_warnings(tracks: list, experts: dict) -> None:
    clip = tiny.clip(60)
    assert warned(report.score(clip.delay_audio(1), **experts), "audio moved by +1 frames")


def test_the_wrong_kind_of_expert_is_refused(experts: dict) -> None:
    with pytest.raises(MetricError, match="AVS metrics need an AV-HuBERT"):
        report.score(tiny.clip(20), expert=experts["syncnet"])
    with pytest.raises(MetricError, match="LSE metrics need a SyncNet"):
        report.score(tiny.clip(20), expert=experts["expert"], syncnet=experts["expert"])


def test_a_large_file_is_streamed_and_scores_the_same(
    tracks: list, experts: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tfg.write_clip(tiny.clip(60), tmp_path / "a.mp4")
    whole = report.score(tmp_path / "a.mp4", **experts)
    monkeypatch.setattr(seen_module, "IN_MEMORY", 0)
    monkeypatch.setattr(tfg.ClipStream, "read", lambda self: pytest.fail("was read into memory"))
    streamed = report.score(tmp_path / "a.mp4", **experts)
    numbers = [k for k in whole if k.startswith(("avs_", "lse_", "offset_"))]
    assert {k: whole[k] for k in numbers} == {k: streamed[k] for k in numbers}


# folders


def videos(folder: Path, *names: str, seed: int = 0) -> Path:
    for i, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        tfg.write_clip(tiny.clip(30, seed=seed + i), folder / name)
    return folder


def test_a_folder_is_scored_and_a_clip_that_fails_is_listed(tracks: list, experts: dict, tmp_path: Path) -> None:
    videos(tmp_path, "a.mp4", "sub/b.mp4")
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    (tmp_path / "notes.txt").write_text("not looked at")
    seen = []
    found = corpus.score_folder(tmp_path, on_clip=lambda path, scores: seen.append(path.name), **experts)
    assert [Path(c["video"]).name for c in found["clips"]] == ["a.mp4", "b.mp4"]
    assert list(found["failed"]) == [str(tmp_path / "broken.mp4")]
    assert sorted(seen) == ["a.mp4", "b.mp4", "broken.mp4"]
    assert found["mean"]["avs_u"] == pytest.approx(np.mean([c["avs_u"] for c in found["clips"]]))
    assert found["count"]["avs_u"] == 2
    heard, seen = zip(
        *(
            experts["expert"].clip_features(clip, tiny.track(0, 30))
            for clip in (tfg.read_clip(c["video"]) for c in found["clips"])
        ),
        strict=True,
    )
    crossed = [metrics.avs_u(heard[0], seen[1]), metrics.avs_u(heard[1], seen[0])]
    assert min(crossed) <= found["avs_u_other_clips"] <= max(crossed)
    assert "lse_d_tracks" not in found["mean"]


def test_two_processes_report_the_same_as_one(tmp_path: Path) -> None:
    """The tracker is the real one here and finds no face in noise: the reasons must come back from the processes."""
    videos(tmp_path, "a.mp4", "b.mp4")
    names = dict(zip(("expert", "syncnet"), tiny.save(tmp_path / "weights"), strict=True))
    one, two = (corpus.score_folder(tmp_path, **names, workers=n) for n in (1, 2))
    assert one == two
    assert list(one["failed"]) == [str(tmp_path / "a.mp4"), str(tmp_path / "b.mp4")]
    assert all("no face" in reason for reason in one["failed"].values())


@pytest.mark.slow
def test_two_processes_score_real_clips_as_one_does(grid_dir: Path, tmp_path: Path) -> None:
    for path in sorted((grid_dir / "s1").glob("*.mp4"))[:2]:
        (tmp_path / path.name).symlink_to(path)
    names = dict(zip(("expert", "syncnet"), tiny.save(tmp_path / "weights"), strict=True))
    one, two = (corpus.score_folder(tmp_path, **names, workers=n)["clips"] for n in (1, 2))
    for a, b in zip(one, two, strict=True):
        for key in ("avs_u", "avs_u_chance", "lse_d_lrs", "lse_d_unbiased"):
            assert a[key] == pytest.approx(b[key], abs=1e-5)


def test_references_are_matched_by_place_then_by_stem(tmp_path: Path) -> None:
    for name in ("gen/m1/a.mp4", "gen/m1/b.mp4", "gen/m1/c.mp4", "real/m1/a.mov", "real/m2/a.mov", "real/x/b.avi"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    generated = corpus.find_videos(tmp_path / "gen")
    matched = corpus.match_references(generated, tmp_path / "gen", tmp_path / "real")
    assert list(matched.values()) == [tmp_path / "real/m1/a.mov", tmp_path / "real/x/b.avi", None]
    with pytest.raises(DataError, match="2 references"):
        corpus.match_references([tmp_path / "gen/a.mp4"], tmp_path / "gen", tmp_path / "real")


def test_a_folder_without_video_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no video"):
        corpus.score_folder(tmp_path)


def test_a_video_without_its_reference_counts_as_failed(tracks: list, experts: dict, tmp_path: Path) -> None:
    videos(tmp_path / "gen", "a.mp4", "b.mp4")
    videos(tmp_path / "real", "a.mp4")
    found = corpus.score_folder(tmp_path / "gen", tmp_path / "real", **experts)
    assert len(found["clips"]) == 1
    assert "no reference" in found["failed"][str(tmp_path / "gen/b.mp4")]


# real clips


def test_a_real_clip_goes_all_the_way(grid_dir: Path, experts: dict) -> None:
    path = sorted((grid_dir / "s1").glob("*.mp4"))[0]
    found = report.score(path, path, **experts)
    assert found["n_frames"] == found["scored_frames"][1] == 75
    assert found["face_coverage"] > 0.95
    assert found["avs_v"] == pytest.approx(1, abs=1e-5)
    json.dumps(found, allow_nan=False)
