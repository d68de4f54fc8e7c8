"""What every training loop here shares: batches, learning rate and checkpoints that make a run exactly resumable.

Nothing random carries over from step to step: the batch, the masks and the augmentation of step ``n`` depend on
``(seed, n)`` alone. So a run that was killed and resumed equals one that was not.
"""

from __future__ import annotations

import json
import math
import os
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.fabric import Fabric
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn

from tfg.datasets import prepared
from tfg.errors import TrainingError


@dataclass(frozen=True)
class Phase:
    """One learning-rate cycle of a run: optimiser steps ``0 .. steps - 1`` and where they are recorded.

    :ivar kind: what the recipe calls it, "phase" or "iteration"; a key of the log.
    :ivar described: the recipe and the architecture; a checkpoint made under another one is refused.
    :ivar clip_norm: gradients longer than this are shortened; None leaves them.
    """

    kind: str
    number: int
    steps: int
    learning_rate: float
    described: Any
    out: Path
    save_every: int
    clip_norm: float | None = None

    @property
    def checkpoint(self) -> Path:
        return self.out / f"{self.kind}{self.number}.pt"


def run_phase(
    phase: Phase,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    fabric: Fabric,
    methods: Sequence[str],
    step_loss: Callable[[Any, int], tuple[Tensor, Tensor]],
    evaluate: Callable[[], dict[str, float]],
) -> None:
    """Optimise; resume from the phase's checkpoint when there is one; evaluate, log and save on the way.

    :param methods: names of the model's methods that ``step_loss`` calls, so that mixed precision reaches them.
    :param step_loss: the wrapped model and the step's number -> loss and accuracy.
    :param evaluate: figures for the log, taken whenever a checkpoint is saved.
    :raises TrainingError: a loss that is not finite, or a checkpoint of another recipe.
    """
    wrapped, fabric_optimizer = fabric.setup(model, optimizer)
    for method in methods:
        wrapped.mark_forward_method(method)
    first = load_checkpoint(phase.checkpoint, model, optimizer, phase.described)
    model.train()
    with progress_bar(f"{phase.kind} {phase.number + 1}") as bar:
        task = bar.add_task("train", total=phase.steps, completed=first, figures="")
        for step in range(first, phase.steps):
            began = time.perf_counter()
            set_learning_rate(optimizer, one_cycle(step, phase.steps, phase.learning_rate))
            loss, accuracy = step_loss(wrapped, step)
            check_loss(loss, step)
            fabric.backward(loss)
            if phase.clip_norm is not None:
                torch.nn.utils.clip_grad_norm_(model.parameters(), phase.clip_norm)
            fabric_optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            entry: dict[str, Any] = {phase.kind: phase.number, "step": step + 1}
            entry |= {"loss": float(loss.detach()), "accuracy": float(accuracy)}
            entry["seconds"] = time.perf_counter() - began
            if (step + 1) % phase.save_every == 0 or step + 1 == phase.steps:
                entry |= evaluate()
                save_checkpoint(phase.checkpoint, model, optimizer, step + 1, phase.described)
            log_line(phase.out / "log.jsonl", entry)
            bar.update(task, completed=step + 1, figures=f"loss {entry['loss']:.3f}")


def make_fabric(device: str, precision: str, devices: int = 1, nodes: int = 1) -> Fabric:
    """Fabric on ``device`` ("cpu" or "cuda") with its name of a precision, such as "bf16-mixed"; with several devices
    (processes) or nodes, each holds the model and sees its share of every batch (DDP)."""
    return Fabric(
        accelerator="cuda" if device.startswith("cuda") else "cpu",
        devices=devices,
        num_nodes=nodes,
        strategy="ddp" if devices * nodes > 1 else "auto",
        precision=precision,  # type: ignore[arg-type]
    )


def describe(recipe: Any, config: Any) -> dict[str, Any]:
    """What a checkpoint belongs to, as plain data."""
    described: dict[str, Any] = json.loads(json.dumps({"recipe": asdict(recipe), "config": asdict(config)}))
    return described


def load_clips(data: Path, parts: str) -> list[prepared.PreparedClip]:
    """The clips of the prepared folders ``a+b+c`` under ``data``.

    :raises DataError: a folder is not prepared.
    """
    return [clip for part in parts.split("+") for clip in prepared.load(data / part, prepared.names(data / part))]


def measure(
    evaluate: Callable[[Any, Sequence[prepared.PreparedClip]], dict[str, float]],
    model: nn.Module,
    data: Path,
    validate: str,
    watch: Sequence[str],
) -> Callable[[], dict[str, float]]:
    """What :func:`run_phase` evaluates: figures on ``validate``; those on a watched folder as ``folder/key``."""
    held_out = load_clips(data, validate)
    watched = {folder: load_clips(data, folder) for folder in watch}

    def figures() -> dict[str, float]:
        found = evaluate(model, held_out)
        for folder, clips in watched.items():
            found |= {f"{folder}/{key}": value for key, value in evaluate(model, clips).items()}
        return found

    return figures


def step_generator(seed: int, step: int) -> np.random.Generator:
    """The random numbers of one training step."""
    return np.random.default_rng([seed, step])


def batch_indices(n_items: int, batch_size: int, seed: int, step: int) -> np.ndarray:
    """The items of one step: a fresh permutation in every pass over the data, the incomplete last batch dropped.

    :raises TrainingError: fewer items than a batch.
    """
    if n_items < batch_size:
        raise TrainingError(f"{n_items} training clips, expected at least one batch of {batch_size}: lower batch_size")
    per_epoch = n_items // batch_size
    epoch, place = divmod(step, per_epoch)
    order = np.random.default_rng([seed, epoch, 1]).permutation(n_items)
    return order[place * batch_size : (place + 1) * batch_size]


def one_cycle(step: int, steps: int, peak: float, warmup: float = 0.1) -> float:
    """Learning rate: linear warm-up over the first ``warmup`` of the steps, then a half cosine down to zero.

    A cycle of one step is its peak: its last step, with a rate of zero, would be all of it.
    """
    if steps == 1:
        return peak
    position = (step + 1) / steps
    if position < warmup:
        return peak * position / warmup
    return peak * 0.5 * (1 + math.cos(math.pi * (position - warmup) / (1 - warmup)))


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate


def check_loss(loss: Tensor | float, step: int, what: str = "loss") -> None:
    """:raises TrainingError: the loss (or ``what`` else is given) is not finite; the last checkpoint is untouched."""
    if not math.isfinite(float(loss)):
        raise TrainingError(f"{what} is {float(loss)} at step {step}: lower the learning rate, or look at that batch")


def save_checkpoint(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, step: int, recipe: Any) -> None:
    """Write the state after ``step`` steps under a temporary name, then rename."""
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step, "recipe": recipe}
    write_state(path, state)


def load_checkpoint(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, recipe: Any) -> int:
    """Take up a run: returns the number of steps done, 0 when there is no checkpoint.

    :raises TrainingError: the checkpoint belongs to another recipe.
    """
    state = read_state(path, recipe)
    if state is None:
        return 0
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])


def write_state(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint under a temporary name, then rename: the one before it stays until this one is whole.

    :raises TrainingError: it cannot be written (disk full, no permission); nothing half-written is left.
    """
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        torch.save(state, temporary)
        temporary.replace(path)
    except (OSError, RuntimeError) as error:  # torch's writer turns a full disk into a RuntimeError
        temporary.unlink(missing_ok=True)
        raise TrainingError(
            f"{path}: the checkpoint of step {state['step']} cannot be written ({error}); the one before it is intact: "
            "make room and start the run again, it goes on from there"
        ) from error


def read_state(path: Path, recipe: Any) -> dict[str, Any] | None:
    """A run's checkpoint, or None when there is none yet. What a killed :func:`write_state` left of it is deleted.

    :raises TrainingError: the checkpoint belongs to another recipe or architecture.
    """
    for left in path.parent.glob("*.tmp"):
        if re.fullmatch(rf"{re.escape(path.stem)}\.\d+\.tmp", left.name):
            left.unlink(missing_ok=True)  # another process of this run may be here first
    if not path.is_file():
        return None
    try:
        state: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
        found = state["recipe"]
    except Exception as error:  # on a foreign file torch's reader raises whatever it stumbles over
        raise TrainingError(f"{path} is no checkpoint of a training, or damaged; use an empty output folder") from error
    if found != recipe:
        different = _different(found, recipe)
        raise TrainingError(
            f"{path} was made by another recipe (different: {', '.join(different)}); use an empty output folder"
        )
    return state


def _different(found: Any, expected: dict[str, Any], where: str = "") -> list[str]:
    """Which entries of nested plain data are not the same, as ``recipe.sync.start``."""
    names: list[str] = []
    for key in sorted(expected.keys() | found.keys()):
        ours, theirs = expected.get(key), found.get(key)
        if isinstance(ours, dict) and isinstance(theirs, dict):
            names += _different(theirs, ours, f"{where}{key}.")
        elif ours != theirs:
            names.append(f"{where}{key}")
    return names


def decay_groups(model: nn.Module, weight_decay: float) -> Sequence[dict[str, Any]]:
    """Weight decay for matrices and kernels, none for biases, norms and slopes."""
    kernels = [p for p in model.parameters() if p.requires_grad and p.ndim >= 2]
    others = [p for p in model.parameters() if p.requires_grad and p.ndim < 2]
    return [{"params": kernels, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


def log_line(path: Path, entry: dict[str, Any]) -> None:
    """Append one step to the run's log (JSON lines)."""
    with path.open("a") as log:
        log.write(json.dumps(entry) + "\n")


def progress_bar(title: str) -> Progress:
    """A bar with the time left and the newest loss."""
    return Progress(
        TextColumn(title),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[figures]}"),
    )
