"""Training SyncNet from scratch: does this 0.2 s of sound belong to these five frames?

Each step takes windows of lips and two windows of sound for each: the one that belongs to them, and one from the same
clip that is at least ``min_offset`` frames off. The loss is Wav2Lip's (Prajwal et al. 2020): binary cross-entropy on
the cosine of the two embeddings, which a final ReLU keeps in [0, 1].
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from lightning.fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor

from tfg.datasets import prepared
from tfg.experts.syncnet import COLUMNS, COLUMNS_PER_FRAME, WINDOW, SyncNet, SyncNetConfig
from tfg.training import loop
from tfg.training.evaluate import sync_figures


@dataclass(frozen=True)
class SyncNetRecipe:
    """What defines a run. Folders are names of prepared folders under the data folder."""

    train: tuple[str, ...]
    validate: str
    steps: int
    batch_size: int  # lip windows; each is compared with two windows of sound
    min_offset: int  # frames between a window and the sound that must be told apart from its own
    jitter: int  # pixels by which a window's crop is moved at random, in each direction
    brightness: float  # per window, additive, share of the range
    contrast: float  # per window, 1 +- contrast
    learning_rate: float  # peak of the one-cycle schedule
    weight_decay: float
    precision: str
    seed: int


@dataclass(frozen=True)
class Windows:
    """``lips (B, 3, 5, S, S)`` BGR 0..255, ``own`` and ``other (B, 1, 13, 20)``: the sound that fits and one that
    does not."""

    lips: Tensor
    own: Tensor
    other: Tensor


def make_windows(clips: Sequence[prepared.PreparedClip], recipe: SyncNetRecipe, random: np.random.Generator) -> Windows:
    """One window per clip given, with a random start, a random crop shift, light and mirror."""
    size = clips[0].face.shape[1]
    lips = np.empty((len(clips), WINDOW, size, size, 3), np.float32)
    own = np.empty((len(clips), 1, 13, COLUMNS), np.float32)
    other = np.empty_like(own)
    for i, clip in enumerate(clips):
        starts = clip.n_frames - WINDOW  # windows whose sound is complete (tfg.experts.syncnet.SyncNet.embed)
        start = int(random.integers(starts))
        far = np.flatnonzero(np.abs(np.arange(starts) - start) >= recipe.min_offset)
        face = clip.face[start : start + WINDOW]
        rows, columns = (np.arange(size) + shift for shift in random.integers(-recipe.jitter, recipe.jitter + 1, 2))
        if random.random() < 0.5:
            columns = columns[::-1]
        inside = (slice(None), rows.clip(0, size - 1)[:, None], columns.clip(0, size - 1)[None])
        face = clip.face[start : start + WINDOW][inside]  # beyond the crop's edge its last pixels repeat
        gain = 1 + recipe.contrast * random.uniform(-1, 1)
        light = 255 * recipe.brightness * random.uniform(-1, 1)
        levels = ((np.arange(256) - 128) * gain + 128 + light).clip(0, 255).astype(np.float32)
        lips[i] = levels[face[..., ::-1]]
        own[i, 0] = _columns(clip.mfcc, start)
        other[i, 0] = _columns(clip.mfcc, int(random.choice(far)))
    return Windows(torch.from_numpy(lips).permute(0, 4, 1, 2, 3), torch.from_numpy(own), torch.from_numpy(other))


def _columns(cepstra: NDArray[np.float32], frame: int) -> NDArray[np.float32]:
    begin = COLUMNS_PER_FRAME * frame
    return cepstra[begin : begin + COLUMNS].T


def pair_loss(model: SyncNet, windows: Windows) -> tuple[Tensor, Tensor]:
    """Binary cross-entropy on the cosine, fitting and unfitting pairs in equal parts.

    :returns: the loss, and the share of pairs on the right side of 0.5.
    """
    sound = model.forward_audio(torch.cat([windows.own, windows.other]))
    lips = model.forward_lip(windows.lips)
    cosine = F.cosine_similarity(sound.float(), torch.cat([lips, lips]).float(), eps=1e-6).clamp(1e-6, 1 - 1e-6)
    truth = torch.cat([torch.ones(len(lips)), torch.zeros(len(lips))]).to(cosine.device)
    return F.binary_cross_entropy(cosine, truth), ((cosine > 0.5) == (truth > 0.5)).float().mean().detach()


def evaluate(model: SyncNet, clips: Sequence[prepared.PreparedClip]) -> dict[str, float]:
    """Sync figures over whole clips (:func:`tfg.training.evaluate.sync_figures`)."""
    was_training = model.training
    model.eval()
    pairs = []
    for clip in clips:
        count = clip.n_frames - WINDOW
        pairs.append((model.embed_audio(clip.mfcc)[:count], model.embed_face(clip.face[: clip.n_frames - 1])))
    model.train(was_training)
    return sync_figures(pairs, window=1)  # a row has seen five frames already


def train(
    recipe: SyncNetRecipe, config: SyncNetConfig, data: Path, out: Path, device: str = "cpu", save_every: int = 250
) -> SyncNet:
    """Run the recipe; resumes from ``out`` when it was interrupted.

    :param data: folder that holds the prepared folders named in the recipe.
    :param out: receives ``checkpoint.pt`` and ``log.jsonl``.
    :raises TrainingError: too few clips, a loss that is not finite, or a checkpoint of another recipe.
    :raises DataError: a folder is not prepared.
    """
    out.mkdir(parents=True, exist_ok=True)
    fabric = Fabric(accelerator="cuda" if device.startswith("cuda") else "cpu", devices=1, precision=recipe.precision)  # type: ignore[arg-type]
    torch.manual_seed(recipe.seed)
    model = SyncNet(config)
    clips = [c for part in recipe.train for c in prepared.load(data / part, prepared.names(data / part))]
    held_out = prepared.load(data / recipe.validate, prepared.names(data / recipe.validate))
    optimizer = torch.optim.AdamW(loop.decay_groups(model, recipe.weight_decay), lr=recipe.learning_rate)
    wrapped, fabric_optimizer = fabric.setup(model, optimizer)
    for method in ("forward_lip", "forward_audio"):
        wrapped.mark_forward_method(method)  # so that mixed precision reaches them
    described = {"recipe": json.loads(json.dumps(dataclasses.asdict(recipe))), "config": dataclasses.asdict(config)}
    checkpoint = out / "checkpoint.pt"
    first = loop.load_checkpoint(checkpoint, model, optimizer, described)
    model.train()
    with loop.progress_bar("syncnet") as bar:
        task = bar.add_task("train", total=recipe.steps, completed=first, figures="")
        for step in range(first, recipe.steps):
            began = time.perf_counter()
            random = loop.step_generator(recipe.seed, step)
            chosen = random.integers(len(clips), size=recipe.batch_size)
            windows = make_windows([clips[i] for i in chosen], recipe, random)
            windows = Windows(*(t.to(fabric.device) for t in (windows.lips, windows.own, windows.other)))
            loop.set_learning_rate(optimizer, loop.one_cycle(step, recipe.steps, recipe.learning_rate))
            loss, accuracy = pair_loss(wrapped, windows)
            loop.check_loss(loss, step)
            fabric.backward(loss)
            fabric_optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            entry: dict[str, Any] = {
                "step": step + 1, "loss": float(loss.detach()), "accuracy": float(accuracy),
                "seconds": time.perf_counter() - began,
            }  # fmt: skip
            if (step + 1) % save_every == 0 or step + 1 == recipe.steps:
                entry |= evaluate(model, held_out)
                loop.save_checkpoint(checkpoint, model, optimizer, step + 1, described)
            loop.log_line(out / "log.jsonl", entry)
            bar.update(task, completed=step + 1, figures=f"loss {entry['loss']:.3f}")
    return model
