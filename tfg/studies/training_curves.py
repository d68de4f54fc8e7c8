"""How the mini generator and its twins were trained: their losses step by step, and what it cost.

Three trainings differ in the sync loss alone. Part one of each ran on a GPU (``NAME-start``) and was stopped after 500
steps; part two (``NAME``) on one core of a CPU. The packaged ``generator-mini`` goes on from the one without a sync
loss in a third part.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from tfg.errors import DataError
from tfg.studies.setup import Setup
from tfg.training.curves import columns, read_log
from tfg.training.generator import training_clips
from tfg.training.generator_recipe import GeneratorRecipe
from tfg.training.recipe import read_recipe

#: run -> the folders of its parts, and the recipe of each
RUNS = {
    "generator-mini": (
        ("generator-mini-nosync-start", "generator-mini-start"),
        ("generator-mini-nosync", "generator-mini-nosync"),
        ("generator-mini", "generator-mini"),
    ),
    "generator-mini-talker": (
        ("generator-mini-start", "generator-mini-start"),
        ("generator-mini-talker", "generator-mini-talker"),
    ),
    "generator-mini-syncnet": (
        ("generator-mini-syncnet-start", "generator-mini-start"),
        ("generator-mini-syncnet", "generator-mini-syncnet"),
    ),
}
STARTED = 500  # steps of a first part after which its weights were taken
EVERY = 10  # steps that are averaged
TERMS = ("reconstruction", "perceptual", "sync", "cosine", "adversarial", "discriminator")


def measure(setup: Setup) -> tuple[dict[str, Any], dict[str, int]]:
    """Run -> its parts in order: curves, and the number of steps, faces and seconds.

    :raises DataError: ``setup.generators`` lacks the folder of a part, with its ``log.jsonl``; or ``setup.faces`` is
        missing.
    """
    if setup.generators is None:
        raise DataError("no runs: set TFG_GENERATORS to the folder that holds generator-mini/log.jsonl and the others")
    runs = {}
    for name, parts in RUNS.items():
        runs[name] = [_part(setup.generators / folder, recipe) for folder, recipe in parts]
        setup.progress(name)
    return {"every": EVERY, "runs": runs}, _clips(setup)


def _part(folder: Path, recipe_name: str) -> dict[str, Any]:
    recipe = read_recipe(recipe_name, GeneratorRecipe)
    first = recipe_name.endswith("-start")
    entries = [entry for entry in read_log(folder / "log.jsonl") if not first or entry["step"] <= STARTED]
    held_out = [entry for entry in entries if "held_out/l1" in entry]
    return {
        "part": folder.name,
        "device": "one H100, shared by 13 runs" if first else "one CPU core",
        "steps": len(entries),
        "faces_a_step": recipe.batch_size * recipe.windows * recipe.window_frames,
        "seconds": sum(entry["seconds"] for entry in entries),
        "curves": _short(columns(entries, TERMS, EVERY)),
        "held_out": _short(columns(held_out, ("held_out/l1", "held_out/cosine"))),
    }


def _short(curves: dict[str, list[float | None]]) -> dict[str, list[float | None]]:
    """Four significant digits: more than a figure shows, in a small file."""
    return {key: [None if x is None else float(f"{x:.4g}") for x in values] for key, values in curves.items()}


def _clips(setup: Setup) -> dict[str, int]:
    """The clips of the first part, by folder."""
    if setup.faces is None:
        raise DataError("no face clips: set TFG_FACES to the folder that 'tfg prepare ... --for generator' made")
    recipe = read_recipe("generator-mini-start", GeneratorRecipe)
    return dict(Counter(clip.folder.name for clip in training_clips(recipe, setup.faces)))
