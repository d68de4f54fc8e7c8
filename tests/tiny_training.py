"""A generator's training at a tiny size: a recipe, face clips and expert weights, a step in a fraction of a second.

Run as a script, ``python tests/tiny_training.py train generator ...`` is ``tfg`` that knows the size ``tiny``, so that
a whole process can be killed, and Fabric can start several. ``TINY_KILL=4`` kills it by SIGKILL while it writes the
checkpoint of step 4, half of which is on the disk then.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import tiny_experts as tiny
import torch
from numpy.typing import NDArray

from tfg.datasets import face_clips
from tfg.discriminator import DiscriminatorConfig
from tfg.generator import GeneratorConfig
from tfg.generator_inputs import ClipInputs
from tfg.identity import wide_size
from tfg.training import generator_recipe
from tfg.training.generator_recipe import GeneratorRecipe, LossWeights, SyncTerm
from tfg.training.variation import Variation

GENERATOR = GeneratorConfig(
    image_size=32, widths=(16, 16, 16), encoder_blocks=(0, 0, 0), decoder_blocks=(0, 0, 1), identity_scales=2,
    audio_widths=(16, 16, 16, 16), audio_blocks=0, audio_dim=8,
)  # fmt: skip
DISCRIMINATOR = DiscriminatorConfig(32, (8, 8))
SIZE = {"tiny": (lambda: GENERATOR, lambda: DISCRIMINATOR)}


def make_data(root: Path, held_out: tuple[int, int] = (32, 30)) -> Path:
    """Folders ``train`` (five clips, one of them too short) and ``val`` (two, of so many frames), and both experts'
    weights."""
    tiny.save(root)
    for part, lengths in (("train", (34, 40, 30, 36, 20)), ("val", held_out)):
        folder = root / part
        folder.mkdir()
        (folder / face_clips.HEADER).write_text(json.dumps(face_clips.LAYOUT))
        for i, frames in enumerate(lengths):
            write_clip(folder, f"{part}{i}", frames, seed=i)
    return root


def write_clip(folder: Path, name: str, frames: int, seed: int = 0) -> None:
    """A face clip: noise that is coarse, so that the video is small, and dark, so that there is something to learn."""
    clip = tiny.clip(frames, seed)
    coarse = np.repeat(np.repeat(clip.frames[:, ::16, ::16], 16, axis=1), 16, axis=2)
    face_clips.write_face_clip(replace(clip, frames=coarse // 4), tiny.track(0, frames), folder, name)


def make_recipe(data: Path, **changes: Any) -> GeneratorRecipe:
    """Four steps of two windows in each of four clips, every term of the loss from its first or second step."""
    hubert = str(data / "avhubert-tiny.safetensors")
    recipe = GeneratorRecipe(
        size="tiny", train="train", clips=0, validate="val", steps=4, batch_size=4, accumulate=1, windows=2,
        window_frames=5, learning_rate=1e-3, discriminator_learning_rate=1e-3, clip_norm=1.0, adversarial_start=1,
        perceptual=hubert, weights=LossWeights(1.0, 0.1, 0.1, 0.1), sync=SyncTerm(hubert, "avs_u", "clip", 0, 2),
        precision="32-true", seed=0, init="", variation=Variation(True, 0.05, 0.1, 0.1, 0.5, 0.1),
    )  # fmt: skip
    return replace(recipe, **changes)


def numbered_faces(frames: int, mel: NDArray[np.float32]) -> ClipInputs:
    """32 x 32 faces of a head that stands still; every one, and what is around it, is its own number."""
    side = wide_size(32)
    wide = np.repeat(np.arange(frames, dtype=np.uint8), side * side * 3).reshape(frames, side, side, 3)
    points = np.repeat(np.random.default_rng(0).uniform(4, 28, (1, 68, 2)), frames, axis=0)
    return ClipInputs(wide, points, mel, first=0, size=32)


def as_toml(recipe: GeneratorRecipe) -> str:
    """The recipe as the file that is read into it."""
    found = asdict(recipe)
    tables = {key: found.pop(key) for key in ("weights", "sync", "variation")}
    lines = [f"{key} = {json.dumps(value)}" for key, value in found.items()]
    for name, table in tables.items():
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
    return "\n".join(lines)


def _killed_while_saving(step: int) -> None:
    save = torch.save

    def killing(state: Any, path: Any) -> None:
        save(state, path)
        if isinstance(state, dict) and state.get("step") == step:
            os.truncate(path, os.path.getsize(path) // 2)
            os.kill(os.getpid(), signal.SIGKILL)

    torch.save = killing


def main() -> None:
    """``tfg`` with the size ``tiny``."""
    torch.set_num_threads(1)
    generator_recipe.SIZES.update(SIZE)
    if "TINY_KILL" in os.environ:
        _killed_while_saving(int(os.environ["TINY_KILL"]))
    from tfg.cli import main as tfg

    tfg()


if __name__ == "__main__":
    sys.argv[0] = __file__
    main()
