"""AV-HuBERT's network under SyncNet's objective: the ablation that tells architecture from objective.

Sound and lips of a clip are encoded each for itself by the whole network, and every five frames of lips are compared
with every five frames of sound (:func:`tfg.training.syncnet.cosine_loss`). No masking, no clusters.

The two are cut from the clip at different moments: a network that sees a whole cut could otherwise match the places in
it, of which the padding at its ends tells, and need not look at lips at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tfg.crops import GREY_MEAN, GREY_STD, MOUTH_INPUT
from tfg.datasets import prepared
from tfg.experts.avhubert import AVHubert, AVHubertConfig
from tfg.training import loop
from tfg.training.augment import Augmentation, augment_crops, draw_vocal_tract, warp_filterbank
from tfg.training.avhubert import evaluate
from tfg.training.evaluate import WINDOW
from tfg.training.syncnet import cosine_loss


@dataclass(frozen=True)
class ContrastiveRecipe:
    """What defines a run. Folders are names of prepared folders under the data folder."""

    train: str
    validate: str
    watch: tuple[str, ...]  # further folders measured on the way, for the learning curve alone
    steps: int
    matching: float  # weight of multi-way matching
    batch_size: int  # clips
    cut_frames: int  # frames of a cut; clips shorter than cut_frames + max_lag are left out
    max_lag: int  # frames by which the cuts of lips and sound begin apart, at most
    min_offset: int
    learning_rate: float
    weight_decay: float
    clip_norm: float
    precision: str
    seed: int
    augmentation: Augmentation


@dataclass(frozen=True)
class Cuts:
    """``video (B, T, 88, 88)`` and ``audio (B, T, 104)``; video begins ``lag (B,)`` frames after audio."""

    video: Tensor
    audio: Tensor
    lag: Tensor


def make_cuts(clips: Sequence[prepared.PreparedClip], recipe: ContrastiveRecipe, random: np.random.Generator) -> Cuts:
    """One cut of lips and one of sound from each clip."""
    frames = recipe.cut_frames
    video = np.empty((len(clips), frames, MOUTH_INPUT, MOUTH_INPUT), np.float32)
    audio = np.empty((len(clips), frames, 104), np.float32)
    lags = np.empty(len(clips), np.int64)
    for i, clip in enumerate(clips):
        lag = int(random.integers(-recipe.max_lag, recipe.max_lag + 1))
        first = int(random.integers(clip.n_frames - frames - abs(lag) + 1))
        lips, sound = first + max(0, lag), first + max(0, -lag)
        crops = augment_crops(clip.mouth[lips : lips + frames], MOUTH_INPUT, recipe.augmentation, random)
        video[i] = (crops / 255 - GREY_MEAN) / GREY_STD
        lags[i] = lag
        audio[i] = warp_filterbank(clip.fbank[sound : sound + frames], draw_vocal_tract(recipe.augmentation, random))
    return Cuts(torch.from_numpy(video), torch.from_numpy(audio), torch.from_numpy(lags))


def pair_loss(model: AVHubert, cuts: Cuts, recipe: ContrastiveRecipe) -> tuple[Tensor, Tensor]:
    """:func:`tfg.training.syncnet.cosine_loss` of every five frames of lips with every five of sound."""
    lips = F.normalize(model.fuse_and_encode(None, model.video_front(cuts.video)).float(), dim=-1, eps=1e-6)
    sound = F.normalize(model.fuse_and_encode(model.audio_front(cuts.audio), None).float(), dim=-1, eps=1e-6)
    frame = lips @ sound.transpose(1, 2)
    count = recipe.cut_frames - WINDOW + 1
    cosine = torch.stack([frame[:, k : k + count, k : k + count] for k in range(WINDOW)]).mean(dim=0)
    place = torch.arange(count, device=frame.device)
    apart = (place[:, None] - place[None] + cuts.lag[:, None, None]).abs()
    return cosine_loss(cosine, apart, recipe.min_offset, recipe.matching)


def train(
    recipe: ContrastiveRecipe, config: AVHubertConfig, data: Path, out: Path, device: str = "cpu", save_every: int = 100
) -> AVHubert:
    """Run the recipe; resumes from ``out`` when it was interrupted.

    :param data: folder that holds the prepared folders named in the recipe.
    :param out: receives ``phase0.pt`` (checkpoint) and ``log.jsonl``.
    :raises TrainingError: too few clips, a loss that is not finite, or a checkpoint of another recipe.
    :raises DataError: a folder is not prepared.
    """
    out.mkdir(parents=True, exist_ok=True)
    fabric = loop.make_fabric(device, recipe.precision)
    torch.manual_seed(recipe.seed)
    model = AVHubert(config)
    measure = loop.measure(evaluate, model, data, recipe.validate, recipe.watch)
    clips = [c for c in loop.load_clips(data, recipe.train) if c.n_frames >= recipe.cut_frames + recipe.max_lag]
    optimizer = torch.optim.AdamW(loop.decay_groups(model, recipe.weight_decay), lr=recipe.learning_rate)

    def step_loss(wrapped: AVHubert, step: int) -> tuple[Tensor, Tensor]:
        random = loop.step_generator(recipe.seed, step)
        torch.manual_seed(int(random.integers(2**31)))  # for dropout
        chosen = loop.batch_indices(len(clips), recipe.batch_size, recipe.seed, step)
        cuts = make_cuts([clips[i] for i in chosen], recipe, random)
        cuts = Cuts(*(t.to(fabric.device) for t in (cuts.video, cuts.audio, cuts.lag)))
        return pair_loss(wrapped, cuts, recipe)

    described = loop.describe(recipe, config)
    phase = loop.Phase("phase", 0, recipe.steps, recipe.learning_rate, described, out, save_every, recipe.clip_norm)
    methods = ("audio_front", "video_front", "fuse_and_encode")
    loop.run_phase(phase, model, optimizer, fabric, methods, step_loss, measure)
    return model
