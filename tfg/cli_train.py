"""``tfg train``: from prepared folders to weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

train_app = typer.Typer(no_args_is_help=True, help="Train a mini expert from scratch by a recipe.")

EVALUATE_ON = ["grid-s1-val", "grid-unseen", "studio-val", "studio-test"]

Recipe = Annotated[str, typer.Argument(help="Name of a packaged recipe, or path of a TOML file.")]
Data = Annotated[Path, typer.Option(help="Folder that holds the prepared folders named in the recipe.")]
Run = Annotated[Path, typer.Option(help="Folder of the run: checkpoints and log; an interrupted run goes on.")]
Device = Annotated[str, typer.Option(help="cpu or cuda.")]


@train_app.command("syncnet")
def train_syncnet(data: Data, out: Run, recipe: Recipe = "syncnet-mini", device: Device = "cpu") -> None:
    """Train SyncNet mini."""
    from tfg.experts.syncnet import SyncNetConfig
    from tfg.training import syncnet
    from tfg.training.recipe import read_recipe

    syncnet.train(read_recipe(recipe, syncnet.SyncNetRecipe), SyncNetConfig.mini(), data, out, device)
    typer.echo(f"done: {out}")


@train_app.command("avhubert")
def train_avhubert(data: Data, out: Run, recipe: Recipe = "avhubert-mini", device: Device = "cpu") -> None:
    """Train AV-HuBERT mini."""
    from tfg.experts.avhubert import AVHubertConfig
    from tfg.training import avhubert
    from tfg.training.recipe import read_recipe

    avhubert.train(read_recipe(recipe, avhubert.AVHubertRecipe), AVHubertConfig.mini(), data, out, device)
    typer.echo(f"done: {out}")


@train_app.command("contrastive")
def train_contrastive(data: Data, out: Run, recipe: Recipe = "avhubert-contrastive", device: Device = "cpu") -> None:
    """Train AV-HuBERT mini's network by SyncNet's objective (an ablation)."""
    from tfg.experts.avhubert import AVHubertConfig
    from tfg.training import contrastive
    from tfg.training.recipe import read_recipe

    contrastive.train(read_recipe(recipe, contrastive.ContrastiveRecipe), AVHubertConfig.mini(), data, out, device)
    typer.echo(f"done: {out}")


@train_app.command("generator")
def train_generator(
    data: Data,
    out: Run,
    recipe: Recipe = "generator-mini",
    device: Device = "cpu",
    devices: Annotated[int, typer.Option(help="Processes (GPUs) on this machine; each sees its share.", min=1)] = 1,
    nodes: Annotated[int, typer.Option(help="Machines, under torchrun.", min=1)] = 1,
    keep: Annotated[int, typer.Option(help="Prepared clips in memory: 10 MB each for 3 seconds.", min=1)] = 1000,
    workers: Annotated[int, typer.Option(help="Threads that prepare clips.", min=1)] = 4,
    save_every: Annotated[int, typer.Option(help="Steps between checkpoints, held-out figures and films.")] = 250,
) -> None:
    """Train a generator on face clips (tfg prepare ... --for generator)."""
    from tfg.training import generator
    from tfg.training.generator_recipe import GeneratorRecipe
    from tfg.training.recipe import read_recipe

    found = read_recipe(recipe, GeneratorRecipe)
    generator.train(found, data, out, device, devices, nodes, keep, workers, save_every)
    typer.echo(f"done: {out}")


@train_app.command("ablation")
def train_ablation(
    data: Data,
    out: Run,
    recipe: Recipe = "generator-ablation",
    device: Device = "cpu",
    only: Annotated[list[str] | None, typer.Option(help="Conditions, by default all; may be given again.")] = None,
    seeds: Annotated[int, typer.Option(help="Seeds of each condition: 0, 1, ...", min=1)] = 3,
    workers: Annotated[int, typer.Option(help="Processes that prepare clips first, threads that read them.")] = 4,
    cache: Annotated[
        Path | None, typer.Option(help="Where prepared clips are kept for all runs; by default in OUT.")
    ] = None,
    held_out: Annotated[int, typer.Option(help="Clips to measure on, evenly spread; 0: all.", min=0)] = 0,
) -> None:
    """Train the generator without, or with another, part of its loss, and measure each on held-out clips."""
    from tfg.training import ablation
    from tfg.training.generator_recipe import GeneratorRecipe
    from tfg.training.recipe import read_recipe

    base = read_recipe(recipe, GeneratorRecipe)
    conditions, cache = only or list(ablation.CONDITIONS), cache or out / "examples"
    ablation.prepare(base, data, cache, conditions, workers)
    found = ablation.run(base, data, out, conditions, range(seeds), device, workers, cache, held_out)
    for condition, runs in found.items():
        shown = "  ".join(f"AVS_u {row['avs_u']:.3f} LSE-C {row['lse_c']:.3f}" for row in runs.values())
        typer.echo(f"{condition:26} {shown}")


@train_app.command("publish")
def train_publish(
    kind: Annotated[str, typer.Argument(help="avhubert, syncnet or generator.")],
    checkpoint: Annotated[Path, typer.Argument(help="The last checkpoint of a finished run.")],
    target: Annotated[Path, typer.Argument(help="The .safetensors file to write; its card is written beside it.")],
    data: Data,
    unfinished: Annotated[bool, typer.Option(help="Of a generator: a run that was stopped, too.")] = False,
) -> None:
    """Turn a finished run into weights with a card, measured on clips that training has not seen."""
    from tfg.training import publish, publish_generator

    if kind == "generator":
        command = f"tfg train generator {target.stem} --data FACES --out RUN"
        card = publish_generator.publish(checkpoint, data, EVALUATE_ON, target, command, unfinished)
        typer.echo(publish_generator.as_table(card))
    else:
        command = f"tfg train {kind} --data PREPARED --out RUN"
        typer.echo(publish.as_table(publish.publish(kind, checkpoint, data, EVALUATE_ON, target, command)))
