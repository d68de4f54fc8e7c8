"""``tfg prepare``: from corpora to what training reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tfg.datasets.prepare import Source

prepare_app = typer.Typer(no_args_is_help=True, help="Turn videos into what training reads.")

TALKER = "s1"  # the talker whom the mini models are trained on; all others are unseen

Out = Annotated[Path, typer.Argument(help="Folder that receives the prepared folders, one per corpus and part.")]
For = Annotated[str, typer.Option("--for", help="experts: crops and features; generator: the video around the face.")]
Workers = Annotated[int | None, typer.Option(help="Processes; by default one per core.")]


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
        sources = [Source.file(clip.path, clip.name) for clip in grid.split(talker, part)]
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
