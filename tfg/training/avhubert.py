"""Training AV-HuBERT from scratch by masked cluster prediction, at a size that a laptop can afford.

The published recipe (Shi et al., ICLR 2022), scaled down, with three departures that a small budget needs:
three iterations instead of five; modality dropout from the first one; each iteration starts from the network of the one
before it (the output layer alone is new) instead of from scratch.

One iteration:

1. label every frame: clusters of MFCC (first) or of the network's own inner layer (then);
2. hide spans of sound and video, sometimes a whole modality;
3. predict the label of every frame from what is left: cross-entropy on ``cos(proj(x), e_c) / 0.1``.

Because the same labels must be predicted from sound alone, from video alone and from both, F_A and F_V of the same
moment are drawn together although no term of the loss says so: that is what the sync loss and AVS use.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from tfg.crops import GREY_MEAN, GREY_STD, MOUTH_INPUT, mouth_video
from tfg.datasets import prepared
from tfg.errors import TrainingError
from tfg.experts.avhubert import AVHubert, AVHubertConfig
from tfg.training import loop, masking, targets
from tfg.training.augment import Augmentation, augment_crops, draw_vocal_tract, warp_filterbank
from tfg.training.evaluate import sync_figures


@dataclass(frozen=True)
class AVHubertRecipe:
    """What defines a run. Folders are names of prepared folders under the data folder."""

    train: tuple[str, ...]  # of each iteration; several folders are joined by "+"
    validate: str
    watch: tuple[str, ...]  # further folders measured on the way, for the learning curve alone
    steps: tuple[int, ...]  # optimiser steps of each iteration
    clusters: tuple[int, ...]  # labels of each iteration
    feature_layer: int  # inner layer (1-based) whose features the later iterations cluster
    batch_size: int  # clips
    clip_frames: int  # frames of a training example: longer clips are cut at random, shorter ones padded
    learning_rate: float  # peak of the one-cycle schedule
    weight_decay: float
    clip_norm: float
    audio_mask_prob: float
    audio_mask_length: int
    video_mask_prob: float
    video_mask_length: int
    modality_dropout: float
    audio_dropout: float
    precision: str
    seed: int
    augmentation: Augmentation


@dataclass(frozen=True)
class Batch:
    """``audio (B, T, 104)``, ``video (B, T, 88, 88)``, ``labels (B, T)`` with -100 on padding, ``padding (B, T)``."""

    audio: Tensor
    video: Tensor
    labels: Tensor
    padding: Tensor


def make_batch(
    clips: Sequence[prepared.PreparedClip],
    labels: Sequence[NDArray[np.int64]],
    recipe: AVHubertRecipe,
    random: np.random.Generator,
) -> Batch:
    """Cut each clip at random and change it by ``recipe.augmentation``."""
    size, frames = len(clips), recipe.clip_frames
    audio = np.zeros((size, frames, 104), np.float32)
    video = np.zeros((size, frames, MOUTH_INPUT, MOUTH_INPUT), np.float32)
    target = np.full((size, frames), -100, np.int64)
    padding = np.ones((size, frames), bool)
    for i, (clip, label) in enumerate(zip(clips, labels, strict=True)):
        start = int(random.integers(0, max(0, clip.n_frames - frames) + 1))
        part = slice(start, start + frames)
        n = len(label[part])
        crops = augment_crops(clip.mouth[part], MOUTH_INPUT, recipe.augmentation, random)
        video[i, :n] = (crops / 255 - GREY_MEAN) / GREY_STD
        audio[i, :n] = warp_filterbank(clip.fbank[part], draw_vocal_tract(recipe.augmentation, random))
        target[i, :n], padding[i, :n] = label[part], False
    return Batch(*map(torch.from_numpy, (audio, video, target, padding)))


def prediction_loss(
    model: AVHubert, batch: Batch, recipe: AVHubertRecipe, random: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Masked cluster prediction on one batch.

    :returns: the loss (mean cross-entropy over all frames that are not padding, masked or not, as the published large
        models weigh them) and the accuracy over masked frames (NaN when nothing was masked).
    """
    size, frames = batch.labels.shape
    hidden_a = masking.span_mask(size, frames, recipe.audio_mask_prob, recipe.audio_mask_length, random)
    hidden_v = masking.span_mask(size, frames, recipe.video_mask_prob, recipe.video_mask_length, random)
    dropped = masking.dropped_modality(random, recipe.modality_dropout, recipe.audio_dropout)
    source = torch.from_numpy(masking.replacement_frames(hidden_v, random)).to(batch.video.device)
    mask_a = torch.from_numpy(hidden_a).to(batch.audio.device)
    audio_feats = video_feats = None
    if dropped != "audio":
        audio_feats = model.audio_front(torch.where(mask_a[..., None], model.mask_emb, batch.audio))
    if dropped != "video":
        rows = torch.arange(size, device=source.device)[:, None]
        video_feats = model.video_front(batch.video[rows, source])
    features = model.fuse_and_encode(audio_feats, video_feats, padding_mask=batch.padding)
    logits = model.logits(features)
    loss = F.cross_entropy(logits.flatten(0, 1).float(), batch.labels.flatten(), ignore_index=-100)
    hidden = (hidden_a if dropped != "audio" else False) | (hidden_v if dropped != "video" else False)
    judged = torch.as_tensor(hidden, device=batch.labels.device) & ~batch.padding
    right = (logits.argmax(-1) == batch.labels)[judged].float().mean()
    return loss, right.detach()


@torch.inference_mode()
def clip_features(
    model: AVHubert, clip: prepared.PreparedClip, modalities: str, layer: int | None = None
) -> NDArray[np.float32]:
    """Features ``(T, D)`` of a whole prepared clip; ``modalities`` is ``"a"``, ``"v"`` or ``"av"``."""
    device = next(model.parameters()).device
    audio = video = None
    if "a" in modalities:
        audio = torch.from_numpy(clip.fbank[: clip.n_frames])[None].to(device)
    if "v" in modalities:
        video = torch.from_numpy(mouth_video(clip.mouth))[None].to(device)
    features: Tensor = model.features(audio=audio, video=video, layer=layer)[0]
    return features.float().cpu().numpy()


def evaluate(model: AVHubert, clips: Sequence[prepared.PreparedClip]) -> dict[str, float]:
    """Sync figures of the network as it is (:func:`tfg.training.evaluate.sync_figures`)."""
    was_training = model.training
    model.eval()
    figures = sync_figures([(clip_features(model, c, "a"), clip_features(model, c, "v")) for c in clips])
    model.train(was_training)
    return figures


def label_clips(
    model: AVHubert, clips: Sequence[prepared.PreparedClip], recipe: AVHubertRecipe, iteration: int
) -> list[NDArray[np.int64]]:
    """The labels of one iteration: clusters of MFCC first, of the network's inner layer later."""
    if iteration == 0:
        features = [targets.mfcc_features(c.mfcc, c.n_frames) for c in clips]
    else:
        model.eval()
        features = [clip_features(model, c, "av", layer=recipe.feature_layer) for c in clips]
        model.train()
    return targets.cluster(features, recipe.clusters[iteration], recipe.seed + iteration)


def train(
    recipe: AVHubertRecipe, config: AVHubertConfig, data: Path, out: Path, device: str = "cpu", save_every: int = 200
) -> AVHubert:
    """Run the recipe; resumes from ``out`` when it was interrupted.

    :param config: the architecture; it must have a class for each of ``max(recipe.clusters)`` clusters (ours have
        no special classes: cluster c is class c).
    :param data: folder that holds the prepared folders named in the recipe.
    :param out: receives ``iteration<i>.pt`` (checkpoints), ``labels<i>.npz`` and ``log.jsonl``.
    :raises TrainingError: too few clips, a loss that is not finite, or a checkpoint of another recipe.
    :raises DataError: a folder is not prepared.
    """
    if not len(recipe.train) == len(recipe.steps) == len(recipe.clusters):
        raise TrainingError("the recipe's train, steps and clusters differ in length; expected one entry per iteration")
    if config.n_classes < max(recipe.clusters):
        raise TrainingError(f"the network has {config.n_classes} classes, the recipe asks for {max(recipe.clusters)}")
    out.mkdir(parents=True, exist_ok=True)
    fabric = loop.make_fabric(device, recipe.precision)
    torch.manual_seed(recipe.seed)
    model = AVHubert(config)
    measure = loop.measure(evaluate, model, data, recipe.validate, recipe.watch)
    described = loop.describe(recipe, config)
    for number, (steps, parts) in enumerate(zip(recipe.steps, recipe.train, strict=True)):
        clips = loop.load_clips(data, parts)
        if len({c.name for c in clips}) < len(clips):
            raise TrainingError(f"{parts} hold clips of the same name; labels are kept by name: prepare under others")
        labels = _labels_once(out / f"labels{number}.npz", model, clips, recipe, number)
        if number > 0:
            torch.manual_seed(recipe.seed + number)
            model.label_embs_concat.data.uniform_()  # the old clusters mean nothing to the new labels
        optimizer = torch.optim.AdamW(
            loop.decay_groups(model, recipe.weight_decay), lr=recipe.learning_rate, betas=(0.9, 0.98), eps=1e-6
        )

        def step_loss(
            wrapped: AVHubert,
            step: int,
            number: int = number,
            clips: list[prepared.PreparedClip] = clips,
            labels: list[NDArray[np.int64]] = labels,
        ) -> tuple[Tensor, Tensor]:
            random = loop.step_generator(recipe.seed + 1000 * number, step)
            torch.manual_seed(int(random.integers(2**31)))  # for dropout
            chosen = loop.batch_indices(len(clips), recipe.batch_size, recipe.seed + number, step)
            batch = make_batch([clips[i] for i in chosen], [labels[i] for i in chosen], recipe, random)
            batch = Batch(*(t.to(fabric.device) for t in dataclasses.astuple(batch)))
            return prediction_loss(wrapped, batch, recipe, random)

        phase = loop.Phase(
            "iteration", number, steps, recipe.learning_rate, described, out, save_every, recipe.clip_norm
        )
        methods = ("audio_front", "video_front", "fuse_and_encode", "logits")
        loop.run_phase(phase, model, optimizer, fabric, methods, step_loss, measure)
    return model


def _labels_once(
    path: Path, model: AVHubert, clips: Sequence[prepared.PreparedClip], recipe: AVHubertRecipe, iteration: int
) -> list[NDArray[np.int64]]:
    """Labels are kept beside the checkpoint: after a resume the network that made them is gone."""
    if path.is_file():
        with np.load(path) as saved:
            return [saved[c.name] for c in clips]
    labels = label_clips(model, clips, recipe, iteration)
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as file:
        np.savez(file, **{c.name: label for c, label in zip(clips, labels, strict=True)})  # type: ignore[arg-type]
    temporary.replace(path)
    return labels
