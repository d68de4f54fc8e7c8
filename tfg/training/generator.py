"""Training the generator: reconstruction, perceptual, adversarial and sync loss, one explicit loop.

Each step draws ``batch_size`` clips and in each of them ``windows`` windows of ``window_frames`` frames; the generated
windows of a clip are put into it *together* before the expert looks. Everything random in a step depends on the seed,
the step and the clip's place in the batch alone, so a run that was killed and resumed equals one that was not, and
several processes draw what one would have drawn.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.fabric import Fabric
from rich.console import Console
from torch import Tensor

from tfg.clip import Frames
from tfg.datasets import face_clips
from tfg.datasets.face_clips import FaceClip
from tfg.discriminator import Discriminator
from tfg.errors import TrainingError
from tfg.generated import draw_faces
from tfg.generator import Generator
from tfg.generator_inputs import faces_to_tensor, steady_identity_frames
from tfg.losses import discriminator_loss
from tfg.training import loop
from tfg.training.board import Board
from tfg.training.example_files import example_folder, path_of, read_example
from tfg.training.examples import Example, Examples, draw_batch, long_enough
from tfg.training.generator_recipe import GeneratorLosses, GeneratorRecipe
from tfg.training.variation import NONE as NO_VARIATION

CHECKPOINT = "generator.pt"
BETAS = (0.5, 0.999)  # of Adam, as is usual beside a discriminator
SHOWN = 8  # held-out clips that are generated whenever a checkpoint is written


def train(
    recipe: GeneratorRecipe,
    data: Path,
    out: Path,
    device: str = "cpu",
    devices: int = 1,
    nodes: int = 1,
    keep: int = 1000,
    workers: int = 4,
    save_every: int = 250,
    cache: Path | None = None,
) -> Path:
    """Run a recipe, or go on with it.

    :param data: holds the folders that the recipe names (``tfg prepare ... --for generator``).
    :param out: receives ``generator.pt`` (the checkpoint), ``log.jsonl`` and ``board``.
    :param device: ``"cpu"`` or ``"cuda"``; with ``devices * nodes > 1`` each process holds the networks and sees its
        share of every batch.
    :param keep: prepared clips in memory, of each process: about 10 MB for 3 seconds.
    :param workers: threads of each process that prepare clips.
    :param cache: folder of clips that :func:`tfg.training.example_files.prepare_examples` prepared; all must be there.
    :param save_every: steps between checkpoints, figures on held-out clips, and films.
    :returns: the checkpoint.
    :raises TrainingError: the recipe does not fit the data or the processes, a loss is not finite, or a checkpoint
        cannot be written or belongs to another recipe. The last good checkpoint is intact.
    """
    fabric = loop.make_fabric(device, recipe.precision, devices, nodes)
    fabric.launch()
    world = fabric.world_size
    if recipe.batch_size % (world * recipe.accumulate):
        raise TrainingError(
            f"batch_size = {recipe.batch_size} cannot be shared by {world} processes in {recipe.accumulate} parts; "
            f"expected a multiple of {world * recipe.accumulate}"
        )
    run = _Run.of(recipe, fabric, out)
    clips = training_clips(recipe, data)
    read = None
    if cache is not None:
        folder = example_folder(cache, run.generator.image_size, run.losses.sync, recipe.variation)
        read = lambda number: read_example(path_of(folder, clips[number], number), fabric.device)  # noqa: E731
    seen = max(keep, 2 * recipe.batch_size)
    examples = Examples(clips, run.generator, run.losses.sync, recipe.variation, seen, workers, read)
    held_out = _usable(load_clips(data, recipe.validate), recipe)[:SHOWN] if fabric.is_global_zero else []
    shown = Examples(held_out, run.generator, run.losses.sync, NO_VARIATION, SHOWN, workers)
    out.mkdir(parents=True, exist_ok=True)
    first = run.resume()
    board = Board(out, first) if fabric.is_global_zero else None
    places = range(fabric.global_rank, recipe.batch_size, world)
    with loop.progress_bar("generator") as bar:
        task = bar.add_task("train", total=recipe.steps, completed=first, figures="")
        for step in range(first, recipe.steps):
            began = time.perf_counter()
            taken = examples.take(_numbers(len(clips), recipe, step, places))
            examples.ask(_numbers(len(clips), recipe, step + 1, places))
            figures = run.step(taken, places, step)
            saves = (step + 1) % save_every == 0 or step + 1 == recipe.steps
            if fabric.is_global_zero and board:
                entry: dict[str, Any] = {"step": step + 1, **figures, "seconds": time.perf_counter() - began}
                if saves:
                    run.save(step + 1)
                    found, film = show(run.generator, run.losses, shown.take(range(len(shown))))
                    entry |= found
                    board.pictures("real above, generated below", film, step + 1)
                loop.log_line(out / "log.jsonl", entry)
                board.scalars(entry, step + 1)
                bar.update(task, completed=step + 1, figures=f"L1 {figures['reconstruction']:.4f}")
            if saves:
                fabric.barrier()
    if board:
        board.close()
    return out / CHECKPOINT


def load_clips(data: Path, parts: str) -> list[FaceClip]:
    """The clips of the folders ``a+b*3+c`` under ``data``; those of ``b`` are there three times, so as to be drawn as
    often, each time with a variation of its own.

    :raises DataError: a folder does not hold face clips.
    :raises TrainingError: what follows a ``*`` is no number.
    """
    clips: list[FaceClip] = []
    for part in parts.split("+"):
        name, _, times = part.partition("*")
        if times and not times.isdigit():
            raise TrainingError(f"{part!r} in the recipe's folders; expected a folder, or folder*times such as b*3")
        clips += face_clips.load(data / name) * int(times or 1)
    return clips


def training_clips(recipe: GeneratorRecipe, data: Path) -> list[FaceClip]:
    """The clips of a recipe that are long enough; the others are named.

    :raises TrainingError: none is, or the folders hold fewer than the recipe asks for.
    """
    clips, count = load_clips(data, recipe.train), recipe.clips
    if count > len(clips):
        raise TrainingError(f"the recipe asks for {count} clips, {recipe.train} holds {len(clips)}: prepare more")
    return _usable([clips[i * len(clips) // count] for i in range(count)] if count else clips, recipe)


def _usable(clips: Sequence[FaceClip], recipe: GeneratorRecipe) -> list[FaceClip]:
    usable = []
    for clip in clips:
        if long_enough(clip.frames, recipe.windows, recipe.window_frames):
            usable.append(clip)
        else:
            Console(stderr=True).print(f"left out: {clip.path.name}: {clip.frames} frames are too few", highlight=False)
    if not usable:
        raise TrainingError(f"none of {len(clips)} clips is long enough for {recipe.windows} windows")
    return usable


def _numbers(count: int, recipe: GeneratorRecipe, step: int, places: Sequence[int]) -> list[int]:
    """The clips of a step that this process sees."""
    drawn = loop.batch_indices(count, recipe.batch_size, recipe.seed, step)
    return [int(drawn[place]) for place in places]


@dataclass
class _Run:
    """Networks, optimisers and losses of a run."""

    recipe: GeneratorRecipe
    fabric: Fabric
    generator: Generator
    discriminator: Discriminator
    wrapped: tuple[Any, Any]  # both networks as Fabric wraps them
    optimizers: tuple[Any, Any]
    losses: GeneratorLosses
    checkpoint: Path
    described: dict[str, Any]

    @classmethod
    def of(cls, recipe: GeneratorRecipe, fabric: Fabric, out: Path) -> _Run:
        generator, discriminator = recipe.networks()
        described = loop.describe(recipe, generator.config)
        rates = (recipe.learning_rate, recipe.discriminator_learning_rate)
        networks = (generator, discriminator)
        optimizers = [
            torch.optim.Adam(network.parameters(), rate, BETAS, fused=True)
            for network, rate in zip(networks, rates, strict=True)
        ]
        pairs = [fabric.setup(n, o) for n, o in zip(networks, optimizers, strict=True)]
        (g, g_opt), (d, d_opt) = pairs
        losses = GeneratorLosses(recipe, str(fabric.device))
        return cls(
            recipe, fabric, generator, discriminator, (g, d), (g_opt, d_opt), losses, out / CHECKPOINT, described
        )

    def resume(self) -> int:
        """The number of steps done."""
        state = loop.read_state(self.checkpoint, self.described)
        if state is None:
            return 0
        self.generator.load_state_dict(state["generator"])
        self.discriminator.load_state_dict(state["discriminator"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        return int(state["step"])

    def save(self, step: int) -> None:
        state = {
            "generator": self.generator.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "step": step,
            "recipe": self.described,
        }
        loop.write_state(self.checkpoint, state)

    def step(self, taken: Sequence[Example], places: Sequence[int], step: int) -> dict[str, float]:
        """One step of both networks; the terms of the losses, of this process's share."""
        rates = (self.recipe.learning_rate, self.recipe.discriminator_learning_rate)
        for optimizer, rate in zip(self.optimizers, rates, strict=True):
            loop.set_learning_rate(optimizer, loop.one_cycle(step, self.recipe.steps, rate))
        randoms = [np.random.default_rng([self.recipe.seed, step, place]) for place in places]
        each = len(taken) // self.recipe.accumulate
        parts = []
        for begin in range(0, len(taken), each):
            here = slice(begin, begin + each)
            accumulates = begin + each < len(taken)
            parts.append(self._part(taken[here], randoms[here], step, accumulates))
        values = torch.stack([torch.stack(list(part.values())) for part in parts]).mean(dim=0).tolist()
        figures = dict(zip(parts[0], values, strict=True))
        for value in figures.values():
            loop.check_loss(value, step)
        generator, generator_optimizer = self.wrapped[0], self.optimizers[0]
        norm = self.fabric.clip_gradients(
            generator, generator_optimizer, max_norm=self.recipe.clip_norm, error_if_nonfinite=False
        )
        assert norm is not None
        loop.check_loss(norm, step, "the gradient's length")  # of all processes: none of them goes on
        generator_optimizer.step()
        generator_optimizer.zero_grad(set_to_none=True)
        if self.losses.has_adversary(step):
            self.optimizers[1].step()
            self.optimizers[1].zero_grad(set_to_none=True)
        return figures

    def _part(
        self, taken: Sequence[Example], randoms: Sequence[np.random.Generator], step: int, accumulates: bool
    ) -> dict[str, Tensor]:
        """Gradients of one part of the batch."""
        recipe, fabric = self.recipe, self.fabric
        audio_start = self.generator.audio_start
        batch = draw_batch(taken, recipe.windows, recipe.window_frames, audio_start, randoms, fabric.device)
        generator, discriminator = self.wrapped
        # the generator hears the discriminator but must not train it
        self.discriminator.requires_grad_(False)
        with fabric.no_backward_sync(generator, enabled=accumulates), fabric.autocast():
            faces = generator(*batch.inputs).float().unflatten(0, batch.truth.shape[:3])
            loss, terms = self.losses(faces, batch, self.discriminator, step)
            fabric.backward(loss / recipe.accumulate)
        self.discriminator.requires_grad_(True)
        terms = {"loss": loss.detach(), **terms}
        if self.losses.has_adversary(step):
            with fabric.no_backward_sync(discriminator, enabled=accumulates):
                # one pass for both: the spectral norms move with each pass
                both = torch.cat([batch.truth.flatten(0, 2), faces.detach().flatten(0, 2)])
                real, generated = discriminator(both).float().chunk(2)
                judged = discriminator_loss(real, generated)
                fabric.backward(judged / recipe.accumulate)
            terms["discriminator"] = judged.detach()
        return {key: value.float() for key, value in terms.items()}


@torch.no_grad()
def show(generator: Generator, losses: GeneratorLosses, examples: Sequence[Example]) -> tuple[dict[str, float], Frames]:
    """Held-out clips generated from end to end.

    :returns: ``held_out/l1`` of the hidden lower half, ``held_out/cosine`` of the run's own sync loss where it has
        one; and a film of the first clip, ``uint8 (T, 2 S, S, 3)``, real above generated.
    """
    device = next(generator.parameters()).device
    errors, cosines, film = [], [], None
    for example in examples:
        drawn = draw_faces(generator, example.inputs, steady_identity_frames(np.zeros(len(example))), device)
        faces, truth = faces_to_tensor(drawn, device), faces_to_tensor(example.inputs.faces, device)
        half = generator.image_size // 2
        errors.append(float((faces - truth)[:, :, half:].abs().mean()))
        if losses.sync is not None:
            k = losses.recipe.window_frames
            count = (len(example) - 1) // k
            windows = faces[: count * k].unflatten(0, (1, count, k))
            value = losses.sync(windows, example.target, torch.arange(0, count * k, k)[None])
            cosines.append(float(value.cosine.mean()))
        if film is None:
            film = np.concatenate([example.inputs.faces, drawn], axis=1)
    assert film is not None
    found = {"held_out/l1": float(np.mean(errors))}
    if cosines:
        found["held_out/cosine"] = float(np.mean(cosines))
    return found, film
