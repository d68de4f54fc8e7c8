"""A training run small enough to watch: SyncNet from scratch in about a minute on one core, one step at a time.

    clips = live.studio_clips(studio.names("train"))
    recipe = live.tiny_recipe()
    for moment in live.watch(model, clips, clips, recipe, loss=live.within_clips(recipe), steps=160):
        ...  # moment.loss at every step; moment.embeddings every `look_every` steps

The windows, the loss and the schedule are those of :mod:`tfg.training.syncnet`. What is smaller: the network, the
number of clips, and the picture, which shows the aligned mouth only, so that the network need not find it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from torch import Tensor

from tfg.audio import mfcc
from tfg.crops import mouth_crops
from tfg.datasets import prepared, studio
from tfg.experts.syncnet import WINDOW, SyncNet, SyncNetConfig
from tfg.faces import track_face
from tfg.training import loop
from tfg.training.augment import Augmentation
from tfg.training.evaluate import MAX_SHIFT, cosine_by_shift, sync_figures
from tfg.training.recipe import read_recipe
from tfg.training.syncnet import SyncNetRecipe, Windows, make_windows, pair_loss

SIDE = 99  # pixels: the smallest picture that SyncNet's six lip convolutions take

Float = NDArray[np.float32]
Embeddings = tuple[Float, Float]  # sound, lips: (W, E) each
Loss = Callable[[SyncNet, Windows], tuple[Tensor, Tensor]]


class MouthClip(prepared.PreparedClip):
    """A clip in memory that shows SyncNet the aligned mouth crop where it expects the face.

    :param mouth: ``uint8 (T, 96, 96)``.
    :param mfcc: ``float32 (4 T - 1, 13)``.
    """

    def __init__(self, name: str, mouth: NDArray[np.uint8], mfcc: Float) -> None:
        super().__init__(Path(name))
        self.mouth = mouth
        self.mfcc = mfcc

    @cached_property
    def face(self) -> NDArray[np.uint8]:
        """``uint8 (T, 99, 99, 3)``: the 96-pixel grey crop, its edge repeated, in three equal channels."""
        before = (SIDE - self.mouth.shape[1]) // 2
        after = SIDE - self.mouth.shape[1] - before
        padded = np.pad(self.mouth, ((0, 0), (before, after), (before, after)), mode="edge")
        return np.repeat(padded[..., None], 3, axis=-1)


def studio_clips(names: Sequence[str]) -> list[prepared.PreparedClip]:
    """Clips of the studio with tracked faces and cropped mouths; a third of a second of computing each."""
    found: list[prepared.PreparedClip] = []
    for name in names:
        clip = studio.read(name)
        found.append(MouthClip(name, mouth_crops(clip, track_face(clip)), mfcc(clip.audio)))
    return found


def tiny_config() -> SyncNetConfig:
    """SyncNet's topology with narrow layers: about 190 thousand parameters, ``E = 64``."""
    widths = (8, 16, 32, 32, 32, 64)
    return SyncNetConfig(
        image_size=SIDE, lip_widths=widths, audio_widths=widths, embed_dim=64, last_lip_pool=False,
        pixel_scale=1 / 255, rectified=True,
    )  # fmt: skip


def tiny_recipe() -> SyncNetRecipe:
    """Seven windows from each of eight clips a step, four times the mini's learning rate, light augmentation."""
    nothing = Augmentation(**{each.name: 0 for each in fields(Augmentation)})  # type: ignore[arg-type]
    return replace(
        read_recipe("syncnet-mini", SyncNetRecipe),
        batch_size=8,
        windows=7,
        span=30,
        min_offset=2,
        learning_rate=4e-3,
        weight_decay=0.01,
        seed=0,
        augmentation=("light",),
        augmentations={"light": replace(nothing, shift=0.02, flip=True, brightness=0.1, contrast=0.2)},
    )


# ---- three losses, each of windows -------------------------------------------------------------------------------


def within_clips(recipe: SyncNetRecipe, matching: float = 1.0) -> Loss:
    """:func:`tfg.training.syncnet.pair_loss`: unfitting pairs are other moments of the same clip."""
    return lambda model, windows: pair_loss(model, windows, recipe.min_offset, matching)


def across_clips(recipe: SyncNetRecipe, matching: float = 1.0) -> Loss:
    """The same loss of the same windows, but every unfitting pair joins *two clips*: the mistake to learn from."""
    return lambda model, windows: pair_loss(model, regroup(windows, recipe.min_offset), recipe.min_offset, matching)


def regroup(windows: Windows, min_offset: int) -> Windows:
    """Groups of one window from each clip, where :func:`make_windows` groups the windows of one clip.

    :returns: group ``j`` holds window ``j`` of every clip; its ``starts`` only say that no two of them are near.
    """
    clips, count = windows.starts.shape

    def turned(rows: Tensor) -> Tensor:
        return rows.unflatten(0, (clips, count)).transpose(0, 1).flatten(0, 1)

    starts = (min_offset * torch.arange(clips)).repeat(count, 1)
    return Windows(turned(windows.lips), turned(windows.sound), starts)


def contrastive(recipe: SyncNetRecipe, margin: float = 1.0) -> Loss:
    """The loss that SyncNet was invented with: fitting pairs together, the others at least ``margin`` apart.

    ``d ** 2`` for a pair that fits, ``max(margin - d, 0) ** 2`` for one that does not, ``d`` the distance of the
    unit vectors; the same pairs as in :func:`within_clips`. The accuracy returned takes ``d < margin`` for "fits".

    Source: Chung and Zisserman, *Out of time* (2016), equation 1; their vectors are not of length 1.
    """

    def loss(model: SyncNet, windows: Windows) -> tuple[Tensor, Tensor]:
        clips, count = windows.starts.shape
        sound = F.normalize(model.forward_audio(windows.sound), dim=1, eps=1e-6).reshape(clips, count, -1)
        lips = F.normalize(model.forward_lip(windows.lips), dim=1, eps=1e-6).reshape(clips, count, -1)
        distance = (2 - 2 * lips @ sound.transpose(1, 2)).clamp(min=1e-8).sqrt()
        apart = (windows.starts[:, :, None] - windows.starts[:, None, :]).abs()
        fits, differs = distance[apart == 0], distance[apart >= recipe.min_offset]
        accuracy = 0.5 * ((fits < margin).float().mean() + (differs >= margin).float().mean())
        return 0.5 * (fits.square().mean() + (margin - differs).clamp(min=0).square().mean()), accuracy.detach()

    return loss


# ---- the run -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Moment:
    """The run after ``step`` steps: the last batch's loss and accuracy, and what the network then makes of clips."""

    step: int
    loss: float
    accuracy: float
    embeddings: Mapping[str, Embeddings] = field(default_factory=dict)  # clip -> (sound, lips); empty between looks

    def figures(self, names: Sequence[str]) -> dict[str, float]:
        """:func:`tfg.training.evaluate.sync_figures` of some of the clips."""
        return sync_figures([self.embeddings[name] for name in names], window=1)

    def cosines(self, name: str) -> Float:
        """``float32 (W, W)``: every lip window (row) of a clip against every sound window (column)."""
        return cosine_matrix([self.embeddings[name]])


def cosine_matrix(pairs: Sequence[Embeddings]) -> Float:
    """Cosines of all lip windows (rows) with all sound windows (columns) of clips laid end to end."""
    sound, lips = (np.concatenate(part) for part in zip(*pairs, strict=True))
    unit = [rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-8) for rows in (lips, sound)]
    return np.asarray(unit[0] @ unit[1].T, np.float32)


def auc_other_clips(pairs: Sequence[Embeddings]) -> float:
    """AUC of windows in sync against the same lips with the sound of other clips; ``auc_5`` stays within the clip."""
    cosine = cosine_matrix(pairs)
    clip = np.repeat(np.arange(len(pairs)), [len(sound) for sound, _ in pairs])
    fits, differs = cosine.diagonal(), cosine[clip[:, None] != clip]
    truth = np.concatenate([np.ones(len(fits)), np.zeros(len(differs))])
    return float(roc_auc_score(truth, np.concatenate([fits, differs])))


def auc_by_distance(pairs: Sequence[Embeddings], farthest: int = MAX_SHIFT) -> Float:
    """``float32 (farthest,)``: AUC of windows in sync against windows 1, 2, ... ``farthest`` frames off, either way."""
    table = np.concatenate([cosine_by_shift(sound, lips, window=1) for sound, lips in pairs])
    fits = table[:, MAX_SHIFT]
    found = []
    for distance in range(1, farthest + 1):
        off = table[:, [MAX_SHIFT - distance, MAX_SHIFT + distance]].ravel()
        off = off[~np.isnan(off)]
        truth = np.concatenate([np.ones(len(fits)), np.zeros(len(off))])
        found.append(roc_auc_score(truth, np.concatenate([fits, off])))
    return np.array(found, np.float32)


def embed(model: SyncNet, clips: Sequence[prepared.PreparedClip]) -> dict[str, Embeddings]:
    """Clip -> ``(sound, lips)``, ``(T - 5, E)`` each: the windows whose sound is complete."""
    was_training = model.training
    model.eval()
    found = {c.name: (model.embed_audio(c.mfcc)[: c.n_frames - WINDOW], model.embed_face(c.face[:-1])) for c in clips}
    model.train(was_training)
    return found


def watch(
    model: SyncNet,
    clips: Sequence[prepared.PreparedClip],
    watched: Sequence[prepared.PreparedClip],
    recipe: SyncNetRecipe,
    *,
    loss: Loss,
    steps: int,
    look_every: int = 20,
) -> Iterator[Moment]:
    """Train ``model`` in place, and stop after every step to let the caller look.

    :param clips: to train on.
    :param watched: embedded before the first step (``step`` 0, loss and accuracy NaN), after every ``look_every``
        steps and after the last one.
    :param recipe: batch, windows, augmentation, learning rate and seed; its folders, phases and precision are not used.
    :param loss: :func:`within_clips`, :func:`across_clips`, :func:`contrastive`, or your own.
    :raises TrainingError: fewer clips than a batch, or a loss that is not finite.
    """
    optimizer = torch.optim.AdamW(loop.decay_groups(model, recipe.weight_decay), lr=recipe.learning_rate)
    model.train()
    yield Moment(0, float("nan"), float("nan"), embed(model, watched))
    for step in range(steps):
        chosen = loop.batch_indices(len(clips), recipe.batch_size, recipe.seed, step)
        windows = make_windows([clips[i] for i in chosen], recipe, loop.step_generator(recipe.seed, step))
        loop.set_learning_rate(optimizer, loop.one_cycle(step, steps, recipe.learning_rate))
        value, accuracy = loss(model, windows)
        loop.check_loss(value, step)
        value.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        looks = (step + 1) % look_every == 0 or step + 1 == steps
        yield Moment(step + 1, float(value.detach()), float(accuracy), embed(model, watched) if looks else {})
