"""The experts that come with the package do what their cards say, and the README quotes the cards."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import tfg
from tfg.datasets import grid, studio
from tfg.experts.expert import AVHubertExpert, SyncNetExpert
from tfg.training.evaluate import sync_figures

ROOT = Path(__file__).resolve().parent.parent
WEIGHTS = ROOT / "tfg" / "assets" / "weights"
NAMES = ("avhubert-mini", "syncnet-mini")


def _card(name: str) -> dict:  # type: ignore[type-arg]
    return json.loads((WEIGHTS / f"{name}.json").read_text())


def _pairs(name: str, clips: list[tfg.Clip]) -> tuple[list[tuple[np.ndarray, np.ndarray]], int]:
    expert = tfg.load_expert(name)
    assert isinstance(expert, AVHubertExpert | SyncNetExpert)
    window = 5 if isinstance(expert, AVHubertExpert) else 1
    return [expert.clip_features(clip) for clip in clips], window


@pytest.mark.parametrize("name", NAMES)
def test_weights_are_small_and_their_card_is_complete(name: str) -> None:
    assert (WEIGHTS / f"{name}.safetensors").stat().st_size < 10_000_000
    card = _card(name)
    for key in ("recipe", "config", "command", "commit", "date", "data", "figures", "licence", "limits", "sha256"):
        assert card[key], f"{name}: the card says nothing about {key}"
    assert set(card["figures"]) == {"grid-s1-val", "grid-unseen", "studio-val", "studio-test"}


@pytest.mark.parametrize("name", NAMES)
def test_the_whole_path_gives_the_cards_figures_on_held_out_studio_clips(name: str) -> None:
    clips = [studio.read(clip) for clip in studio.names("val")]
    pairs, window = _pairs(name, clips)
    measured, said = sync_figures(pairs, window), _card(name)["figures"]["studio-val"]
    for key in ("auc_5", "offset_within_1", "cosine", "cosine_chance"):
        assert measured[key] == pytest.approx(said[key], abs=0.01), key


@pytest.mark.parametrize("name", NAMES)
def test_real_clips_of_the_training_talker_that_training_never_saw(name: str, grid_dir: Path) -> None:
    held_out = grid.split(grid.clips("s1", grid_dir), "val")[::5]
    pairs, window = _pairs(name, [tfg.read_clip(clip.path) for clip in held_out])
    measured, said = sync_figures(pairs, window), _card(name)["figures"]["grid-s1-val"]
    assert measured["auc_5"] > said["auc_5"] - 0.03  # ten clips of the 47
    assert measured["offset_within_1"] >= 0.95


@pytest.mark.parametrize("name", NAMES)
def test_sound_eight_frames_late_is_found_late(name: str) -> None:
    late = [studio.read(clip).delay_audio(8) for clip in studio.names("val")]
    pairs, window = _pairs(name, late)
    if window == 5:
        offsets = [tfg.metrics.offset_search(a, v)[0] for a, v in pairs]
    else:
        offsets = [tfg.metrics.lse_unbiased(lip, sound).offset for sound, lip in pairs]
    assert all(abs(offset + 8) <= 1 for offset in offsets), offsets  # positive would be early


def test_readme_quotes_the_cards() -> None:
    rows = [line for line in (ROOT / "README.md").read_text().splitlines() if line.startswith("| `")]
    for name in NAMES:
        for folder, figures in _card(name)["figures"].items():
            wanted = f"{figures['auc_5']:.3f} | {100 * figures['offset_within_1']:.0f}%"
            assert any(f"`{name}`" in row and f"`{folder}`" in row and wanted in row for row in rows), (name, folder)
