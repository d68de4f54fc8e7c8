"""The study of the generators: every row has every clip, films are those that their files describe."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import tiny_experts as tiny
import torch

import tfg
from tfg import results
from tfg.errors import DataError
from tfg.experts.checkpoints import file_sha256
from tfg.experts.expert import AVHubertExpert
from tfg.faces import FaceTrack
from tfg.plots.comparison import split
from tfg.studies import generators
from tfg.studies.ablation import REAL, STILL
from tfg.studies.films import FILMS, PANELS
from tfg.training.held_out import RealClip

RESULTS = Path(__file__).resolve().parent.parent / "book" / "results"


def _real() -> RealClip:
    torch.set_num_threads(1)
    hubert = AVHubertExpert(tiny.hubert(), "tiny")
    return RealClip.measured("noise", tiny.clip(30), tiny.track(0, 30), hubert)


def test_twins_are_asked_for_by_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="TFG_GENERATORS"):
        generators.weight_files(None)
    with pytest.raises(DataError, match=r"generator-mini-talker\.safetensors is not there"):
        generators.weight_files(tmp_path)


def test_rows_that_need_no_weights() -> None:
    real, rows = _real(), generators.makers({})
    assert list(rows) == [REAL, STILL]
    assert np.array_equal(rows[REAL](real).frames, real.clip.frames)
    still = rows[STILL](real).frames
    assert not np.array_equal(still, real.clip.frames)
    assert still.shape == real.clip.frames.shape


def test_lips_that_are_found_elsewhere_have_a_distance(monkeypatch: pytest.MonkeyPatch) -> None:
    real = _real()
    points = real.track.landmarks.copy()
    eyes = np.linalg.norm(points[:, 45] - points[:, 36], axis=-1).mean()
    points[:, 57, 1] += 0.2 * eyes  # one of the 20 points of the mouth, seen lower
    moved: FaceTrack = dataclasses.replace(real.track, landmarks=points)
    monkeypatch.setattr(generators, "track_face", lambda clip: moved)
    shift = 0.2 / 20  # laid on each other by the mean, the others give way
    assert generators.lip_distance(real.clip, real) == pytest.approx((19 * shift + 0.2 - shift) / 20, rel=1e-3)


def test_columns_and_clips_are_the_same_numbers() -> None:
    rows = {"a": {"ssim": 0.5, "lmd": 0.1}, "b": {"ssim": 0.6}}
    columns = generators._columns(list(rows.values()))
    written = {key: [None if np.isnan(v) else v for v in values] for key, values in columns.items()}
    figures = {"set": {"clips": ["a", "b"], "rows": {generators.PACKAGED: written}}}
    assert generators.per_clip(figures, "set") == {generators.PACKAGED: rows}


def test_the_file_has_all_rows_on_the_same_clips() -> None:
    found = results.read(RESULTS / "generators.json")
    figures = found["figures"]
    assert set(figures) == set(generators.SETS)
    for part, of_part in figures.items():
        assert set(of_part["rows"]) == {REAL, STILL, *generators.TITLES}
        rows = generators.per_clip(figures, part)
        assert all(list(row) == of_part["clips"] for row in rows.values())
        tracked = {row: [clip for clip, of in clips.items() if "lmd" in of] for row, clips in rows.items()}
        assert len({tuple(names) for names in tracked.values()}) == 1, "LMD of the same clips in every row"
    assert found["provenance"]["weights"][generators.PACKAGED] == file_sha256(
        tfg.experts.registry.get_weights(generators.PACKAGED)
    ), "made with other weights of the packaged generator: run 'make results'"


@pytest.mark.parametrize("name", FILMS)
def test_film_is_small_credited_and_what_its_file_describes(name: str) -> None:
    path = RESULTS / "films" / f"{name}.mp4"
    made = results.read(path.with_suffix(".json"))
    assert made["figures"]["sha256"] == file_sha256(path)
    assert made["figures"]["panels"] == list(PANELS)
    assert made["figures"]["credit"] == FILMS[name].credit
    assert path.stat().st_size < 150_000
    panels = split(tfg.read_clip(path), made["figures"]["panels"])
    assert len({frames.shape for frames in panels.values()}) == 1
    real, *generated = panels.values()
    half = real.shape[1] // 2
    for frames in generated:
        upper, lower = (
            np.abs(frames[:, part].astype(float) - real[:, part]).mean() for part in (slice(10, half), slice(half, -10))
        )
        assert lower > 1.5 * upper, "the lower half is generated, the upper is real"
