"""Render the studio clips from their recipe.

    python -m tfg.datasets.studio_make                     # all clips, into the package's assets
    python -m tfg.datasets.studio_make ada-boat --out /tmp # one clip, elsewhere

Needs flite for the speech (see :mod:`tfg.datasets.studio_voice`). Every random choice comes from the clip's seed, so
the same recipe gives the same frames.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from tfg.clip import FPS, SAMPLES_PER_FRAME, Clip
from tfg.datasets import studio
from tfg.datasets.studio_identity import StudioIdentity
from tfg.datasets.studio_motion import light_course, move
from tfg.datasets.studio_portrait import Portrait
from tfg.datasets.studio_render import Motion, Renderer, Scene
from tfg.datasets.studio_shade import Light
from tfg.datasets.studio_speech import Phone, articulate, viseme_of
from tfg.datasets.studio_voice import Voice, speak
from tfg.media import write_clip

CRF = 20
PORTRAIT = "portrait"


def frame_times(n: int) -> np.ndarray:
    """Middles (n,) in seconds of the times that frames 0..n-1 cover."""
    return (np.arange(n) + 0.5) / FPS


def pad_speech(audio: np.ndarray, seed: int) -> np.ndarray:
    """Audio of whole frames: silence after the speech, and a room's faint noise (-66 dB) under all of it."""
    n = int(np.ceil(len(audio) / SAMPLES_PER_FRAME)) + 1
    out = np.random.default_rng([seed, 5]).normal(0, 5e-4, n * SAMPLES_PER_FRAME)
    out[: len(audio)] += audio
    return out.astype(np.float32)


def animate(
    recipe: dict[str, Any], phones: Sequence[Phone], times: np.ndarray
) -> tuple[np.ndarray, Motion, list[Light]]:
    """Articulation, motion and lights of a clip of the recipe at ``times``."""
    rng = np.random.default_rng(recipe["seed"])
    motion = move(rng, phones, times, yaw=recipe["yaw"], pitch=recipe["pitch"], liveliness=recipe["liveliness"])
    lights = light_course(rng, Light(**recipe["light"]), len(times), recipe["light_change"])
    return articulate(list(phones), times), motion, lights


def label_frames(phones: Sequence[Phone], times: np.ndarray) -> list[str]:
    """The phone at each of ``times``; silence before the first and after the last."""
    out = ["pau"] * len(times)
    for i, t in enumerate(times):
        for phone in phones:
            if phone.start <= t < phone.end:
                out[i] = phone.label
    return out


@dataclass(frozen=True, eq=False)
class Rendered:
    """A rendered clip and what is known of it."""

    clip: Clip
    phones: list[Phone]
    labels: list[str]
    articulation: np.ndarray
    motion: Motion
    opening: np.ndarray


def render(entry: dict[str, Any], identity: StudioIdentity | None) -> Rendered:
    """Speak and render one entry of a recipe; without an identity the portrait speaks.

    :raises DataError: flite is not installed.
    """
    audio, phones = speak(entry["text"], Voice(**entry["voice"]))
    audio = pad_speech(audio, entry["seed"])
    times = frame_times(len(audio) // SAMPLES_PER_FRAME)
    articulation, motion, lights = animate(entry, phones, times)
    if identity is None:
        frames, opening = Portrait(seed=entry["seed"]).render(articulation, motion, lights)
    else:
        scene = Scene(**{**entry["scene"], "seed": entry["seed"]})
        frames, opening = Renderer(identity, scene).render(articulation, motion, lights)
    return Rendered(Clip(frames, audio), phones, label_frames(phones, times), articulation, motion, opening)


def make(name: str) -> tuple[Clip, dict[str, Any]]:
    """The clip ``name`` of the recipe, rendered, and its truth as plain values."""
    book = studio.recipe()
    entry = next(c for c in book["clips"] if c["name"] == name)
    known = entry["identity"] != PORTRAIT
    made = render(entry, StudioIdentity.from_json(book["identities"][entry["identity"]]) if known else None)
    voice = entry["voice"]
    truth = {
        "name": name,
        "identity": entry["identity"],
        "voice": f"flite {voice['voice']}, stretch {voice['stretch']:g}, size {voice['size']:g}",
        "text": entry["text"],
        "split": entry["split"],
        "phones": [[p.label, p.start, p.end] for p in made.phones],
        "phoneme": made.labels,
        "viseme": [viseme_of(label) for label in made.labels],
        "opening": np.round(made.opening, 4).astype(float).tolist(),
        "articulation": np.round(made.articulation, 3).tolist(),
        "rotation": np.round(made.motion.rotation, 2).tolist(),
        "blink": np.round(made.motion.blink, 2).tolist(),
    }
    return made.clip, truth


def main(
    names: Annotated[list[str] | None, typer.Argument(help="clips of the recipe; all when left out")] = None,
    out: Annotated[Path | None, typer.Option(help="folder to write to; the package's assets when left out")] = None,
) -> None:
    """Render studio clips and their truth files."""
    target = out or studio.folder()
    for name in names or studio.names():
        clip, truth = make(name)
        write_clip(clip, target / f"{name}.mp4", crf=CRF)
        partial = target / f".{name}.json.partial"
        partial.write_text(json.dumps(truth, separators=(",", ":")) + "\n")
        os.replace(partial, target / f"{name}.json")
        typer.echo(f"{name}: {clip.n_frames} frames, {(target / f'{name}.mp4').stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    typer.run(main)
