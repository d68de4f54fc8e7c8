"""``tfg prepare`` and ``tfg train``: from corpora to prepared folders, from those to an expert's weights."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

prepare_app = typer.Typer(no_args_is_help=True, help="Turn videos into what training reads: crops and audio features.")
train_app = typer.Typer(no_args_is_help=True, help="Train a mini expert from scratch by a recipe.")

Out = Annotated[Path, typer.Argument(help="Folder that receives the prepared folders, one per corpus and part.")]
Workers = Annotated[int | None, typer.Option(help="Processes; by default one per core.")]
Recipe = Annotated[str, typer.Argument(help="Name of a packaged recipe, or path of a TOML file.")]
Data = Annotated[Path, typer.Option(help="Folder that holds the prepared folders named in the recipe.")]
Run = Annotated[Path, typer.Option(help="Folder of the run: checkpoints and log; an interrupted run goes on.")]
Device = Annotated[str, typer.Option(help="cpu or cuda.")]


class GridPart(StrEnum):
    """The fixed split of a GRID talker."""

    train = "train"
    val = "val"
    all = "all"


class StudioPart(StrEnum):
    """The fixed split of the studio clips."""

    train = "train"
    val = "val"
    test = "test"
    all = "all"


@prepare_app.command("grid")
def prepare_grid(
    out: Out,
    talker: Annotated[str, typer.Option(help="Talker, such as s1.")] = "s1",
    part: Annotated[
        GridPart, typer.Option(help="Every 20th clip is for validation; `all` for unseen talkers.")
    ] = GridPart.train,
    corpus: Annotated[Path | None, typer.Option(help="The corpus; by default $TFG_DATA/grid.")] = None,
    workers: Workers = None,
) -> None:
    """Prepare the GRID clips of one talker into OUT/grid-TALKER-PART (OUT/grid-TALKER for all)."""
    from tfg.datasets import grid
    from tfg.datasets.prepare import Source, prepare

    clips = grid.clips(talker, corpus)
    chosen = clips if part is GridPart.all else grid.split(clips, "val" if part is GridPart.val else "train")
    folder = out / (f"grid-{talker}" if part is GridPart.all else f"grid-{talker}-{part.value}")
    _say(folder, len(chosen), prepare([Source(clip.path, clip.name) for clip in chosen], folder, workers))


@prepare_app.command("studio")
def prepare_studio(
    out: Out,
    part: Annotated[
        StudioPart, typer.Option(help="Clips for training, validation or test, or all.")
    ] = StudioPart.train,
    workers: Workers = None,
) -> None:
    """Prepare the embedded studio clips into OUT/studio-PART (OUT/studio for all)."""
    from tfg.datasets import studio
    from tfg.datasets.prepare import Source, prepare

    names = studio.names(None if part is StudioPart.all else part.value)
    folder = out / ("studio" if part is StudioPart.all else f"studio-{part.value}")
    _say(folder, len(names), prepare([Source(studio.path(name), name) for name in names], folder, workers))


def _say(folder: Path, wanted: int, rejected: dict[str, str]) -> None:
    typer.echo(f"{folder}: {wanted - len(rejected)} of {wanted} clips prepared")
    for name, reason in sorted(rejected.items()):
        typer.echo(f"left out: {name}: {reason}", err=True)


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
    import dataclasses

    from tfg.experts.avhubert import AVHubertConfig
    from tfg.training import avhubert
    from tfg.training.recipe import read_recipe

    read = read_recipe(recipe, avhubert.AVHubertRecipe)
    config = dataclasses.replace(AVHubertConfig.mini(), n_classes=max(read.clusters) + 4)
    avhubert.train(read, config, data, out, device)
    typer.echo(f"done: {out}")
