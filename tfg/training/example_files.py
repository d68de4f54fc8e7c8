"""Prepared clips on disk, for many runs on the same clips (an ablation) and for machines whose processors are fewer
than their runs: processes prepare, runs only read.

One folder per kind of example, one file per clip. Files are written under a temporary name and renamed; they are read
without executing code.
"""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from joblib import Parallel, delayed
from rich.progress import track as progress

from tfg.datasets.face_clips import FaceClip
from tfg.errors import DataError, TrainingError
from tfg.generator import Generator
from tfg.generator_inputs import ClipInputs
from tfg.losses import Insertion, SyncLoss
from tfg.losses.avhubert import AVHubertTarget
from tfg.losses.syncnet import SyncNetTarget
from tfg.training.examples import Example, prepare_example
from tfg.training.generator_recipe import GeneratorRecipe, sync_loss
from tfg.training.variation import Variation

# plain dataclasses of tensors: reading them runs no code of the file's
torch.serialization.add_safe_globals([AVHubertTarget, SyncNetTarget, Insertion])


def example_folder(cache: Path, size: int, sync: SyncLoss[Any] | None, variation: Variation) -> Path:
    """Where examples of this kind lie: those of one generator size, one way to prepare the sync loss, one variation."""
    kind = "no-sync" if sync is None else re.sub(r"[^a-z0-9]+", "-", sync.prepares.lower())
    how = f"-varied-{zlib.crc32(repr(variation).encode()):08x}" if variation else ""
    return cache / f"{size}-{kind}{how}"


def write_example(example: Example, path: Path) -> None:
    """One clip's file."""
    state = {
        "wide": torch.from_numpy(example.inputs.wide),
        "points": torch.from_numpy(example.inputs.points),
        "mel": torch.from_numpy(example.inputs.mel),
        "first": example.inputs.first,
        "size": example.inputs.size,
        "target": example.target,
    }
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        torch.save(state, temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)  # there after an error alone, such as a full disk


def read_example(path: Path, device: torch.device | str) -> Example:
    """One clip, its target on a device.

    :raises DataError: the file is damaged.
    """
    try:
        state = torch.load(path, weights_only=True, map_location="cpu")
        wide, points, mel = (state[key].numpy() for key in ("wide", "points", "mel"))
        inputs = ClipInputs(wide, points, mel, state["first"], state["size"])
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; prepare it again") from error
    except Exception as error:  # on a damaged file torch's reader raises whatever it stumbles over
        raise DataError(f"{path} is damaged, or holds more than tensors; delete it and prepare it again") from error
    target = state["target"]
    return Example(inputs, None if target is None else target.to(device))


def prepare_examples(recipe: GeneratorRecipe, clips: Sequence[FaceClip], cache: Path, workers: int) -> Path:
    """Prepare clips in processes, as this recipe needs them; those already there are kept.

    :returns: the folder.
    :raises TrainingError: a clip that cannot be prepared, with the reason.
    """
    sync = sync_loss(recipe.sync, "cpu") if recipe.weights.sync else None
    folder = example_folder(cache, recipe.networks()[0].image_size, sync, recipe.variation)
    folder.mkdir(parents=True, exist_ok=True)
    waiting = [(number, clip) for number, clip in enumerate(clips) if not path_of(folder, clip, number).is_file()]
    each = max(1, min(16, len(waiting) // (4 * workers)))  # clips per task: an expert is loaded for each
    tasks = [waiting[i : i + each] for i in range(0, len(waiting), each)]
    jobs = (delayed(_prepare)(recipe, task, folder) for task in tasks)
    results = Parallel(workers, return_as="generator_unordered")(jobs)
    for problem in progress(results, description=f"examples for {folder.name}", total=len(tasks)):
        if problem:
            raise TrainingError(problem)
    return folder


def path_of(folder: Path, clip: FaceClip, number: int) -> Path:
    """The file of a run's clip by its number; clips of different folders may share a name."""
    return folder / f"{number}--{clip.folder.name}--{clip.name}.pt"


def _prepare(recipe: GeneratorRecipe, clips: Sequence[tuple[int, FaceClip]], folder: Path) -> str:
    import cv2

    torch.set_num_threads(1)  # one process per core: threads inside would only fight
    cv2.setNumThreads(1)
    sync = sync_loss(recipe.sync, "cpu") if recipe.weights.sync else None
    generator: Generator = recipe.networks()[0]
    for number, clip in clips:
        try:
            example = prepare_example(clip, generator, sync, recipe.variation, number)
            write_example(example, path_of(folder, clip, number))
        except Exception as error:  # whatever it is, the run that waits for it must hear of it
            return f"{clip.path}: {error}; leave the clip out, or prepare it again"
    return ""
