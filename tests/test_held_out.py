"""Figures on held-out clips: the real clip is the ceiling, a mouth that stands still is noticed."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny_experts as tiny
import tiny_training
import torch

from tfg.datasets import face_clips
from tfg.errors import MetricError
from tfg.experts.expert import AVHubertExpert, SyncNetExpert
from tfg.generator import Generator
from tfg.training import held_out
from tfg.training.held_out import RealClip, ceiling_figures, generator_figures, mean_figures, still_figures


@pytest.fixture(scope="module")
def experts() -> tuple[AVHubertExpert, SyncNetExpert]:
    torch.set_num_threads(1)
    return AVHubertExpert(tiny.hubert(), "tiny"), SyncNetExpert(tiny.syncnet(), "tiny")


@pytest.fixture(scope="module")
def clips(experts: tuple[AVHubertExpert, SyncNetExpert], tmp_path_factory: pytest.TempPathFactory) -> list[RealClip]:
    folder = tmp_path_factory.mktemp("faces")
    for seed, name in enumerate(("a", "b")):
        tiny_training.write_clip(folder, name, frames=50, seed=seed)
    return [RealClip.of(face_clips.FaceClip(folder, name), experts[0]) for name in ("a", "b")]


def test_the_real_clip_is_the_ceiling(
    clips: list[RealClip], experts: tuple[AVHubertExpert, SyncNetExpert], tmp_path: Path
) -> None:
    rows = ceiling_figures(clips, *experts)
    assert list(rows) == ["a", "b"]
    for row in rows.values():
        assert row["ssim"] == pytest.approx(1, abs=1e-6)
        assert row["psnr"] == pytest.approx(100), "infinite, shown as 100 so that a mean exists"
        for key in ("avs_v", "avs_m", "mouth_motion"):
            assert row[key] == pytest.approx(1, abs=1e-5)
        assert row["avs_v_chance"] < row["avs_v"]
        assert set(held_out.KEYS) <= set(row)


def test_a_clip_too_short_for_a_chance_level_is_named(
    experts: tuple[AVHubertExpert, SyncNetExpert], tmp_path: Path
) -> None:
    tiny_training.write_clip(tmp_path, "brief", frames=49)
    with pytest.raises(MetricError, match=r"brief\.mp4: 49 frames; expected at least 50 .* leave it out"):
        RealClip.of(face_clips.FaceClip(tmp_path, "brief"), experts[0])


def test_a_still_mouth_moves_less_and_looks_different(
    clips: list[RealClip], experts: tuple[AVHubertExpert, SyncNetExpert]
) -> None:
    still = mean_figures(still_figures(clips, *experts))
    assert still["mouth_motion"] < 0.9
    assert still["avs_v"] < 0.9999, "the tiny expert's cosines are all near 1"
    assert still["ssim"] < 0.95


def test_a_generator_is_measured_in_the_real_track(
    clips: list[RealClip], experts: tuple[AVHubertExpert, SyncNetExpert]
) -> None:
    first, second = (
        generator_figures(Generator(tiny_training.GENERATOR, seed), clips[:1], *experts)["a"] for seed in (0, 1)
    )
    assert first.keys() == ceiling_figures(clips[:1], *experts)["a"].keys()
    assert first != second
    assert first["ssim"] < 0.95


def test_means_are_over_clips_and_offsets_become_a_share() -> None:
    rows = {"a": {"ssim": 0.5, "offset": 0.0}, "b": {"ssim": 0.7, "offset": -1.0}, "c": {"ssim": 0.9, "offset": 4.0}}
    assert mean_figures(rows) == pytest.approx({"ssim": 0.7, "offset_within_1": 2 / 3})
