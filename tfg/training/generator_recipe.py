"""What defines a generator's training run: the recipe, and the losses that it names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tfg.discriminator import Discriminator, DiscriminatorConfig
from tfg.errors import TrainingError
from tfg.experts.checkpoints import load_strict, read_checkpoint
from tfg.experts.expert import AVHubertExpert, SyncNetExpert, find_weights, load_expert
from tfg.generator import Generator, GeneratorConfig
from tfg.losses import AVHubertSyncLoss, PerceptualLoss, SyncLoss, SyncNetLoss, generator_loss, reconstruction_loss
from tfg.training import loop
from tfg.training.examples import Batch
from tfg.training.variation import Variation

SIZES = {
    "mini": (GeneratorConfig.mini, DiscriminatorConfig.mini),
    "size96": (GeneratorConfig.size96, DiscriminatorConfig.size96),
    "size256": (GeneratorConfig.size256, DiscriminatorConfig.size256),
}


@dataclass(frozen=True)
class LossWeights:
    """Factors of the four terms. A term of weight 0 is not computed, and needs no expert."""

    reconstruction: float
    perceptual: float
    adversarial: float
    sync: float


@dataclass(frozen=True)
class SyncTerm:
    """The sync loss, its expert, and when it sets in."""

    expert: str  # name or path: AV-HuBERT's is the paper's loss, SyncNet's is Wav2Lip's
    metric: str  # of AV-HuBERT: avs_u (the paper's), avs_m or avs_v
    context: str  # of AV-HuBERT: clip (the paper's) or window
    start: int  # step up to which it has no weight: lips that are not there yet have nothing in sync
    ramp: int  # steps over which it then grows to its full weight


@dataclass(frozen=True)
class GeneratorRecipe:
    """What defines a run. Folders are names of face-clip folders under the data folder."""

    size: str  # mini, size96, size256
    train: str  # several folders are joined by "+"; "folder*3" is drawn from three times as often
    clips: int  # of all of these, evenly spread over the sorted list; 0: every one
    validate: str
    steps: int
    batch_size: int  # clips of a step, over all processes
    accumulate: int  # parts that a process's share of the batch is cut into, to save memory
    windows: int  # of each clip
    window_frames: int  # k of the paper
    learning_rate: float  # peak of the one-cycle schedule, as the next one
    discriminator_learning_rate: float
    clip_norm: float
    adversarial_start: int  # step from which the discriminator is trained and heard
    perceptual: str  # an AV-HuBERT by name or path, or the path of VGG-19's released weights (.pth)
    weights: LossWeights
    sync: SyncTerm
    variation: Variation  # of the training clips; those of ``validate`` stay as they are
    precision: str
    seed: int
    init: str  # generator weights to start from, a path or a name; "": random ones

    def networks(self) -> tuple[Generator, Discriminator]:
        """Both, as training begins: with the recipe's random weights, or the generator with those of ``init``.

        :raises TrainingError: an unknown size.
        :raises WeightsError, CheckpointError: ``init`` is not there, or of another architecture.
        """
        if self.size not in SIZES:
            raise TrainingError(f"size = {self.size!r}; expected one of {', '.join(SIZES)}")
        config, discriminator = SIZES[self.size]
        generator = Generator(config(), self.seed)
        if self.init:
            state = read_checkpoint(find_weights(self.init)[0], expect="generator").state_dict
            load_strict(generator, {name: x.float() for name, x in state.items()}, f"a generator of size {self.size}")
        return generator, Discriminator(discriminator(), self.seed)


class GeneratorLosses:
    """The terms of ``L = sum of weight * term``, made once for a run.

    :raises TrainingError: the recipe's sync loss does not fit its expert.
    """

    def __init__(self, recipe: GeneratorRecipe, device: str) -> None:
        self.recipe = recipe
        self.sync = sync_loss(recipe.sync, device) if recipe.weights.sync else None
        self.perceptual = _perceptual_loss(recipe.perceptual, device) if recipe.weights.perceptual else None

    def sync_weight(self, step: int) -> float:
        """Of a step (0 based): 0, then a ramp, then the recipe's."""
        if self.sync is None:
            return 0.0
        begun = (step + 1 - self.recipe.sync.start) / max(self.recipe.sync.ramp, 1)
        return self.recipe.weights.sync * min(max(begun, 0.0), 1.0)

    def has_adversary(self, step: int) -> bool:
        """Whether the discriminator takes part in a step."""
        return bool(self.recipe.weights.adversarial) and step >= self.recipe.adversarial_start

    def __call__(
        self, faces: Tensor, batch: Batch, discriminator: Discriminator, step: int
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of generated faces ``(N, W, k, 3, S, S)``, and its terms (without their weights) to log."""
        weights = self.recipe.weights
        terms = {"reconstruction": reconstruction_loss(faces, batch.truth)}
        total = weights.reconstruction * terms["reconstruction"]
        if self.perceptual is not None:
            terms["perceptual"] = self.perceptual(faces.flatten(0, 1), batch.truth.flatten(0, 1))
            total = total + weights.perceptual * terms["perceptual"]
        if self.has_adversary(step):
            terms["adversarial"] = generator_loss(discriminator(faces.flatten(0, 2)))
            total = total + weights.adversarial * terms["adversarial"]
        weight = self.sync_weight(step)
        if self.sync is not None and weight:
            loop.check_loss(
                terms["reconstruction"].detach(), step
            )  # before the expert complains of faces that are no faces
            value = self.sync(faces, batch.targets, torch.from_numpy(batch.starts))
            terms |= {"sync": value.loss, "cosine": value.cosine.mean(), "clamped": value.clamped}
            total = total + weight * value.loss
        return total, {key: value.detach() for key, value in terms.items()}


def sync_loss(term: SyncTerm, device: str) -> SyncLoss[Any]:
    """The sync loss that a recipe asks for.

    :raises TrainingError: metric or context is not the expert's.
    """
    expert = load_expert(term.expert, device)
    if isinstance(expert, SyncNetExpert):
        if (term.metric, term.context) != ("avs_u", "window"):
            raise TrainingError(
                f"sync.metric = {term.metric!r} and sync.context = {term.context!r} for {term.expert}; expected "
                "'avs_u' and 'window': a SyncNet compares sound and lips of a window, nothing else"
            )
        return SyncNetLoss(expert)
    return AVHubertSyncLoss(expert, term.metric, term.context)  # type: ignore[arg-type]  # checked there


def _perceptual_loss(network: str, device: str) -> PerceptualLoss:
    if Path(network).suffix == ".pth":
        return PerceptualLoss.vgg19(network, device)
    expert = load_expert(network, device)
    if not isinstance(expert, AVHubertExpert):
        raise TrainingError(f"perceptual = {network!r}; expected an AV-HuBERT, or the path of VGG-19's weights (.pth)")
    return PerceptualLoss.expert(expert)
