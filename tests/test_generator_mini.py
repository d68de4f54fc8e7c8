"""The generator that comes with the package does what its card says."""

from __future__ import annotations

import json
from pathlib import Path

import tfg
from tfg.datasets import studio
from tfg.experts.expert import AVHubertExpert
from tfg.generated import generated_clip
from tfg.metrics.sync import avs_u, chance_level
from tfg.training.held_out import KEYS

WEIGHTS = Path(__file__).resolve().parent.parent / "tfg" / "assets" / "weights" / "generator-mini.safetensors"


def card() -> dict:  # type: ignore[type-arg]
    return json.loads(WEIGHTS.with_suffix(".json").read_text())


def test_weights_are_small_and_their_card_is_complete() -> None:
    assert WEIGHTS.stat().st_size < 15_000_000
    for key in ("recipe", "config", "command", "commit", "date", "figures", "curve", "licence", "limits", "sha256"):
        assert card()[key], f"the card says nothing about {key}"
    for rows in card()["figures"].values():
        assert set(rows) == {"generated", "real", "still"}
        assert set(KEYS) - {"offset"} <= set(rows["generated"])


def test_its_lips_fit_the_sound_better_than_chance_on_a_held_out_sentence() -> None:
    clip = studio.read(studio.names("val")[0])
    track = tfg.track_face(clip)
    generator, expert = tfg.load_generator("generator-mini"), tfg.load_expert("avhubert-mini")
    assert isinstance(expert, AVHubertExpert)
    heard, lips = expert.clip_features(generated_clip(generator, clip, track), track.trimmed())
    assert avs_u(heard, lips) > chance_level(avs_u, heard, lips) + 0.1


def test_both_judges_prefer_generated_lips_to_still_ones() -> None:
    """On the card: also SyncNet, which had no part in the training."""
    for folder in ("grid-s1-val", "studio-val"):
        rows = card()["figures"][folder]
        assert rows["generated"]["avs_u"] > rows["still"]["avs_u"] + 0.1
        assert rows["generated"]["lse_d"] < rows["still"]["lse_d"]


def test_the_readme_quotes_the_card() -> None:
    readme = (Path(__file__).resolve().parent.parent / "README.md").read_text()
    for folder, rows in card()["figures"].items():
        made, real, still = (rows[name] for name in ("generated", "real", "still"))
        line = next(line for line in readme.splitlines() if line.startswith(f"| `{folder}`") and "(" in line)
        numbers = (made["avs_u"], real["avs_u"], still["avs_u"], made["avs_u_chance"])
        assert ", ".join(f"{value:.2f}" for value in numbers) in line
        assert f"{made['ssim']:.3f}, {still['ssim']:.3f}" in line
