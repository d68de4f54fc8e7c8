"""Training SyncNet from scratch: does this 0.2 s of sound belong to these five frames?

Each step takes a few windows from each of a few clips. Within a clip every window's lips are compared with every
window's sound: the pairs of one moment fit, those at least ``min_offset`` frames apart do not. The loss is Wav2Lip's
(Prajwal et al. 2020), binary cross-entropy on the cosine of the two embeddings, which a final ReLU keeps in [0, 1];
fitting and unfitting pairs weigh the same in total. Comparing all windows of a clip, where the peers draw one unfitting
window for each fitting one, gives several times as many comparisons for the same convolutions. Windows lie within one
second or so of each other: sound from far away is often told by silence alone, which teaches nothing about lips.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from tfg.datasets import prepared
from tfg.errors import TrainingError
from tfg.experts.syncnet import COLUMNS, COLUMNS_PER_FRAME, WINDOW, SyncNet, SyncNetConfig
from tfg.training import loop
from tfg.training.augment import Augmentation, augment_crops, draw_vocal_tract, warp_cepstra
from tfg.training.evaluate import sync_figures

MATCHING_TEMPERATURE = 0.1


@dataclass(frozen=True)
class SyncNetRecipe:
    """What defines a run. Folders are names of prepared folders under the data folder."""

    train: tuple[str, ...]  # of each phase; several folders are joined by "+"
    validate: str
    watch: tuple[str, ...]  # further folders measured on the way, for the learning curve alone
    steps: tuple[int, ...]  # optimiser steps of each phase, each with a learning-rate cycle of its own
    matching: tuple[float, ...]  # weight of the matching loss in each phase
    augmentation: tuple[str, ...]  # of each phase, by its name among the augmentations
    batch_size: int  # clips
    windows: int  # windows from each clip; every one's lips are compared with every one's sound
    span: int  # frames within which the windows of a clip begin
    min_offset: int  # frames between a window and the sound that must be told apart from its own
    learning_rate: float  # peak of the one-cycle schedule
    weight_decay: float
    precision: str
    seed: int
    augmentations: dict[str, Augmentation]


@dataclass(frozen=True)
class Windows:
    """``W`` windows of each of ``B`` clips: ``lips (B * W, 3, 5, S, S)`` BGR 0..255, ``sound (B * W, 1, 13, 20)`` and
    the frames ``starts (B, W)`` at which they begin."""

    lips: Tensor
    sound: Tensor
    starts: Tensor


def make_windows(
    clips: Sequence[prepared.PreparedClip], recipe: SyncNetRecipe, random: np.random.Generator, phase: int = 0
) -> Windows:
    """Windows of each clip, in random places, changed by the phase's augmentation."""
    how = recipe.augmentations[recipe.augmentation[phase]]
    size = clips[0].face.shape[1]
    count = recipe.windows
    lips = np.empty((len(clips), count, WINDOW, size, size, 3), np.float32)
    sound = np.empty((len(clips), count, 1, 13, COLUMNS), np.float32)
    starts = np.empty((len(clips), count), np.int64)
    for i, clip in enumerate(clips):
        complete = clip.n_frames - WINDOW  # windows whose sound is complete (tfg.experts.syncnet.SyncNet.embed)
        span = min(recipe.span, complete)
        starts[i] = int(random.integers(complete - span + 1)) + random.choice(span, count, replace=False)
        seen = starts[i][:, None] + np.arange(WINDOW)
        frames, places = np.unique(seen, return_inverse=True)  # windows overlap: each frame is changed once
        crops = augment_crops(clip.face[frames], size, how, random)[..., ::-1]
        lips[i] = crops[places.reshape(seen.shape)]
        cepstra = warp_cepstra(clip.mfcc, draw_vocal_tract(how, random))
        for j, start in enumerate(starts[i]):
            sound[i, j, 0] = _columns(cepstra, int(start))
    return Windows(
        torch.from_numpy(lips).flatten(0, 1).permute(0, 4, 1, 2, 3),
        torch.from_numpy(sound).flatten(0, 1),
        torch.from_numpy(starts),
    )


def _columns(cepstra: NDArray[np.float32], frame: int) -> NDArray[np.float32]:
    begin = COLUMNS_PER_FRAME * frame
    return cepstra[begin : begin + COLUMNS].T


def pair_loss(model: SyncNet, windows: Windows, min_offset: int, matching: float = 0.0) -> tuple[Tensor, Tensor]:
    """:func:`cosine_loss` of every pair of windows within a clip.

    :returns: the loss and the accuracy.
    """
    clips, count = windows.starts.shape
    sound = F.normalize(model.forward_audio(windows.sound).float(), dim=1, eps=1e-6).reshape(clips, count, -1)
    lips = F.normalize(model.forward_lip(windows.lips).float(), dim=1, eps=1e-6).reshape(clips, count, -1)
    apart = (windows.starts[:, :, None] - windows.starts[:, None, :]).abs()
    return cosine_loss(lips @ sound.transpose(1, 2), apart, min_offset, matching)


def cosine_loss(cosine: Tensor, apart: Tensor, min_offset: int, matching: float = 0.0) -> tuple[Tensor, Tensor]:
    """Binary cross-entropy on the cosine, fitting and unfitting pairs in equal parts.

    :param cosine: ``(B, V, A)``, every lip window of a clip (row) with every audio window; values below 0 count as 0.
    :param apart: ``(B, V, A)`` frames between the two; 0 fits, at most once in a row or a column.
    :param min_offset: pairs nearer than this, but not of one moment, are left out.
    :param matching: weight of a second term, multi-way matching (Chung, Chung, Kang, *Perfect match*, ICASSP 2019):
        which of the clip's sounds belongs to these lips, and which lips to this sound? Cross-entropy on cosine / 0.1.
        It goes on teaching when most pairs lie on the right side of 0.5 already.
    :returns: the loss, and the mean of the shares of fitting and of unfitting pairs on the right side of 0.5.
    """
    likely = cosine.clamp(1e-6, 1 - 1e-6)
    fits, differs = likely[apart == 0], likely[apart >= min_offset]
    loss = -0.5 * (fits.log().mean() + (1 - differs).log().mean())
    if matching > 0:
        logits = (cosine / MATCHING_TEMPERATURE).masked_fill((apart > 0) & (apart < min_offset), -torch.inf)
        terms = []
        for scores, same in ((logits, apart == 0), (logits.transpose(1, 2), (apart == 0).transpose(1, 2))):
            asked = same.any(dim=2)  # windows whose partner is there
            terms.append(F.cross_entropy(scores[asked], same[asked].int().argmax(dim=1)))
        loss = loss + matching * 0.5 * (terms[0] + terms[1])
    accuracy = 0.5 * ((fits > 0.5).float().mean() + (differs <= 0.5).float().mean())
    return loss, accuracy.detach()


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
    :param out: receives ``phase<i>.pt`` (checkpoints) and ``log.jsonl``.
    :raises TrainingError: too few clips, a loss that is not finite, or a checkpoint of another recipe.
    :raises DataError: a folder is not prepared.
    """
    if not len(recipe.train) == len(recipe.steps) == len(recipe.matching) == len(recipe.augmentation):
        raise TrainingError(
            "the recipe's train, steps, matching and augmentation differ in length; expected one entry per phase"
        )
    if unknown := sorted(set(recipe.augmentation) - set(recipe.augmentations)):
        raise TrainingError(f"the recipe has no augmentation {unknown}; it defines {sorted(recipe.augmentations)}")
    out.mkdir(parents=True, exist_ok=True)
    fabric = loop.make_fabric(device, recipe.precision)
    torch.manual_seed(recipe.seed)
    model = SyncNet(config)
    measure = loop.measure(evaluate, model, data, recipe.validate, recipe.watch)
    described = loop.describe(recipe, config)
    for number, (steps, parts) in enumerate(zip(recipe.steps, recipe.train, strict=True)):
        clips = loop.load_clips(data, parts)
        optimizer = torch.optim.AdamW(loop.decay_groups(model, recipe.weight_decay), lr=recipe.learning_rate)

        def step_loss(
            wrapped: SyncNet, step: int, number: int = number, clips: list[prepared.PreparedClip] = clips
        ) -> tuple[Tensor, Tensor]:
            random = loop.step_generator(recipe.seed + 1000 * number, step)
            chosen = loop.batch_indices(len(clips), recipe.batch_size, recipe.seed + number, step)
            windows = make_windows([clips[i] for i in chosen], recipe, random, number)
            windows = Windows(*(t.to(fabric.device) for t in (windows.lips, windows.sound, windows.starts)))
            return pair_loss(wrapped, windows, recipe.min_offset, recipe.matching[number])

        phase = loop.Phase("phase", number, steps, recipe.learning_rate, described, out, save_every)
        methods = ("forward_lip", "forward_audio")
        loop.run_phase(phase, model, optimizer, fabric, methods, step_loss, measure)
    return model
