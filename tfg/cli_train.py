"""``tfg prepare`` and ``tfg train``: from corpora to prepared folders, from those to an expert's weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tfg.datasets.prepare import Source

prepare_app = typer.Typer(no_args_is_help=True, help="Turn videos into what training reads: crops and audio features.")
train_app = typer.Typer(no_args_is_help=True, help="Train a mini expert from scratch by a recipe.")

TALKER = "s1"  # the talker whom the mini experts are trained on; all others are unseen
EVALUATE_ON = ["grid-s1-val", "grid-unseen", "studio-val", "studio-test"]

Out = Annotated[Path, typer.Argument(help="Folder that receives the prepared folders, one per corpus and part.")]
For = Annotated[str, typer.Option("--for", help="experts: crops and features; generator: the video around the face.")]
Workers = Annotated[int | None, typer.Option(help="Processes; by default one per core.")]
Recipe = Annotated[str, typer.Argument(help="Name of a packaged recipe, or path of a TOML file.")]
Data = Annotated[Path, typer.Option(help="Folder that holds the prepared folders named in the recipe.")]
Run = Annotated[Path, typer.Option(help="Folder of the run: checkpoints and log; an interrupted run goes on.")]
Device = Annotated[str, typer.Option(help="cpu or cuda.")]


@prepare_app.command("grid")
def prepare_grid(
    out: Out,
    corpus: Annotated[Path | None, typer.Option(help="The corpus; by default $TFG_DATA/grid.")] = None,
    workers: Workers = None,
    layout: For = "experts",
) -> None:
    """Prepare GRID: OUT/grid-s1-train, OUT/grid-s1-val (every 20th clip), OUT/grid-unseen (every other talker)."""
    from tfg.datasets import grid
    from tfg.datasets.prepare import Source

    talker = grid.clips(TALKER, corpus)
    unseen = [clip for name in grid.speakers(corpus) if name != TALKER for clip in grid.clips(name, corpus)]
    for part in ("val", "train"):
        sources = [Source.file(clip.path, clip.name) for clip in grid.split(talker, part)]  # type: ignore[arg-type]
        _prepare(out / f"grid-{TALKER}-{part}", sources, workers, layout)
    if unseen:
        _prepare(out / "grid-unseen", [Source.file(clip.path, clip.name) for clip in unseen], workers, layout)


@prepare_app.command("studio")
def prepare_studio(out: Out, workers: Workers = None, layout: For = "experts") -> None:
    """Prepare the embedded studio clips: OUT/studio-train, OUT/studio-val, OUT/studio-test (unseen talkers)."""
    from tfg.datasets import studio
    from tfg.datasets.prepare import Source

    for part in studio.SPLITS:
        sources = [Source.file(studio.path(name), f"studio-{name}") for name in studio.names(part)]
        _prepare(out / f"studio-{part}", sources, workers, layout)


@prepare_app.command("crowd")
def prepare_crowd(
    out: Out,
    count: Annotated[int, typer.Option(help="Clips to render.", min=1)] = 201,
    seed: Annotated[int, typer.Option(help="Another seed gives another crowd.")] = 0,
    workers: Workers = None,
    layout: For = "experts",
) -> None:
    """Render further talkers for training and prepare them: OUT/studio-crowd. Needs flite."""
    from functools import partial

    from tfg.datasets import studio_crowd
    from tfg.datasets.prepare import Source

    sources = [Source(partial(studio_crowd.make, i, seed), f"crowd{seed}-{i:04d}") for i in range(count)]
    _prepare(out / "studio-crowd", sources, workers, layout)


def _prepare(folder: Path, sources: list[Source], workers: int | None, layout: str) -> None:
    from typing import get_args

    from tfg.datasets.prepare import Layout, prepare

    if layout not in get_args(Layout):
        raise typer.BadParameter(f"{layout!r}; expected one of {', '.join(get_args(Layout))}", param_hint="--for")
    rejected = prepare(sources, folder, workers, layout)  # type: ignore[arg-type]
    typer.echo(f"{folder}: {len(sources) - len(rejected)} of {len(sources)} clips prepared")
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


@train_app.command("publish")
def train_publish(
    kind: Annotated[str, typer.Argument(help="avhubert or syncnet.")],
    checkpoint: Annotated[Path, typer.Argument(help="The last checkpoint of a finished run.")],
    target: Annotated[Path, typer.Argument(help="The .safetensors file to write; its card is written beside it.")],
    data: Data,
) -> None:
    """Turn a finished run into weights with a card, measured on clips that training has not seen."""
    from tfg.training.publish import as_table, publish

    command = f"tfg train {kind} --data PREPARED --out RUN"
    typer.echo(as_table(publish(kind, checkpoint, data, EVALUATE_ON, target, command)))
