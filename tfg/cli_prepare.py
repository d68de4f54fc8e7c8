"""``tfg prepare``: from corpora to what training reads."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from tfg.datasets.prepare import Source

prepare_app = typer.Typer(no_args_is_help=True, help="Turn videos into what training reads.")

TALKER = "s1"  # the talker whom the mini models are trained on; all others are unseen
_SHOWN = 10  # rejected clips that are printed; rejected.csv has all

Out = Annotated[Path, typer.Argument(help="Folder that receives the prepared folders, one per corpus and part.")]
Corpus = Annotated[Path | None, typer.Option(help="The corpus; by default the folder of its name in $TFG_DATA.")]
Part = Annotated[list[str], typer.Option(help="A part to prepare; repeat it for several.")]
For = Annotated[str, typer.Option("--for", help="experts: crops and features; generator: the video around the face.")]
Workers = Annotated[int | None, typer.Option(help="Processes; by default one per core.")]
Cluster = Annotated[bool, typer.Option("--cluster", help="On the Ray cluster of RAY_ADDRESS or this machine.")]


@prepare_app.command("lrs2")
def prepare_lrs2(
    out: Out,
    corpus: Corpus = None,
    part: Part = ["train", "val", "test"],  # noqa: B006 (typer copies it)
    workers: Workers = None,
    layout: For = "experts",
    on_cluster: Cluster = False,
) -> None:
    """Prepare LRS2: OUT/lrs2-train, lrs2-val, lrs2-test by the official lists; lrs2-pretrain with --part pretrain."""
    from tfg.datasets import lrs2

    folder = _corpus(corpus, "lrs2")
    for name in _checked(part, lrs2.SPLITS):
        sources = _reading(lrs2.read, lrs2.clips(name, folder))
        _prepare(out / f"lrs2-{name}", sources, workers, layout, on_cluster)


@prepare_app.command("lrw")
def prepare_lrw(
    out: Out,
    corpus: Corpus = None,
    part: Part = ["train", "val", "test"],  # noqa: B006
    workers: Workers = None,
    layout: For = "experts",
    on_cluster: Cluster = False,
) -> None:
    """Prepare LRW: OUT/lrw-train, lrw-val, lrw-test."""
    from tfg.datasets import lrw

    folder = _corpus(corpus, "lrw")
    for name in _checked(part, lrw.SPLITS):
        sources = _reading(lrw.read, lrw.clips(name, folder))
        _prepare(out / f"lrw-{name}", sources, workers, layout, on_cluster)


@prepare_app.command("hdtf")
def prepare_hdtf(
    out: Out,
    corpus: Corpus = None,
    part: Part = ["RD", "WDA", "WRA"],  # noqa: B006
    workers: Workers = None,
    layout: For = "experts",
    on_cluster: Cluster = False,
) -> None:
    """Prepare HDTF: OUT/hdtf-RD, hdtf-WDA, hdtf-WRA, in pieces of 20 seconds."""
    from tfg.datasets import hdtf

    folder = _corpus(corpus, "hdtf")
    for name in _checked(part, hdtf.PARTS):
        found = [piece for clip in hdtf.clips(name, folder) for piece in hdtf.pieces(clip)]
        _prepare(out / f"hdtf-{name}", _reading(hdtf.read, found), workers, layout, on_cluster)


@prepare_app.command("grid")
def prepare_grid(
    out: Out,
    corpus: Corpus = None,
    archives: Annotated[
        Path | None, typer.Option(help="Folder of s1.zip, ..., alignments.zip: first unpack them into the corpus.")
    ] = None,
    download: Annotated[
        bool, typer.Option("--download", help="Fetch into --archives what is not there, from Zenodo 3625687.")
    ] = False,
    talker: Annotated[
        list[str] | None, typer.Option(help="Talker to unpack; repeat it for several. By default all 33.")
    ] = None,
    md5_file: Annotated[
        Path | None, typer.Option(help="Hashes of the archives, as md5sum writes them; by default Zenodo's.")
    ] = None,
    workers: Workers = None,
    layout: For = "experts",
    on_cluster: Cluster = False,
) -> None:
    """Prepare GRID: OUT/grid-s1-train, OUT/grid-s1-val (every 20th clip), OUT/grid-unseen (every other talker)."""
    from tfg.datasets import grid, grid_archives
    from tfg.datasets.prepare import Source, list_rejected

    folder = _corpus(corpus, "grid")
    if archives:
        wanted = talker or grid_archives.TALKERS
        refused = grid_archives.unpack(wanted, archives, folder, download=download, md5_file=md5_file)
        list_rejected(refused, archives)
        _tell(refused, archives)
    elif download or talker or md5_file:
        raise typer.BadParameter("--download, --talker and --md5-file need it", param_hint="--archives")

    names = grid.speakers(folder)
    parts = {}
    if TALKER in names:
        for split in ("val", "train"):
            parts[f"grid-{TALKER}-{split}"] = grid.split(grid.clips(TALKER, folder), split)
    else:
        typer.echo(f"left out: grid-{TALKER}-train and -val: {folder} has no talker {TALKER}", err=True)
    unseen = [clip for name in names if name != TALKER for clip in grid.clips(name, folder)]
    if unseen:
        parts["grid-unseen"] = unseen
    for part, found in parts.items():
        sources = [Source.file(clip.path, clip.name) for clip in found]
        _prepare(out / part, sources, workers, layout, on_cluster)


@prepare_app.command("studio")
def prepare_studio(out: Out, workers: Workers = None, layout: For = "experts", on_cluster: Cluster = False) -> None:
    """Prepare the embedded studio clips: OUT/studio-train, OUT/studio-val, OUT/studio-test (unseen talkers)."""
    from tfg.datasets import studio
    from tfg.datasets.prepare import Source

    for part in studio.SPLITS:
        sources = [Source.file(studio.path(name), f"studio-{name}") for name in studio.names(part)]
        _prepare(out / f"studio-{part}", sources, workers, layout, on_cluster)


@prepare_app.command("crowd")
def prepare_crowd(
    out: Out,
    count: Annotated[int, typer.Option(help="Clips to render.", min=1)] = 201,
    seed: Annotated[int, typer.Option(help="Another seed gives another crowd.")] = 0,
    workers: Workers = None,
    layout: For = "experts",
    on_cluster: Cluster = False,
) -> None:
    """Render further talkers for training and prepare them: OUT/studio-crowd. Needs flite."""
    from tfg.datasets import studio_crowd
    from tfg.datasets.prepare import Source

    sources = [Source(partial(studio_crowd.make, i, seed), f"crowd{seed}-{i:04d}") for i in range(count)]
    _prepare(out / "studio-crowd", sources, workers, layout, on_cluster)


def _corpus(given: Path | None, name: str) -> Path:
    """The corpus's folder, absolute: other processes and machines read it too."""
    from tfg.errors import DataError

    data = os.environ.get("TFG_DATA")
    if given is None and not data:
        raise DataError(f"TFG_DATA is not set; set it to the folder that holds {name}/, or pass --corpus")
    return (given or Path(data or "", name)).resolve()


def _checked(parts: list[str], known: tuple[Any, ...]) -> list[Any]:
    for part in parts:
        if part not in known:
            raise typer.BadParameter(f"{part!r}; expected one of {', '.join(known)}", param_hint="--part")
    return parts


def _reading(read: Any, clips: list[Any]) -> list[Source]:
    """Sources of a corpus's records; what is wrong with a clip is found when ``read`` is called, and then listed."""
    from tfg.datasets.prepare import Source

    return [Source(partial(read, clip), clip.name) for clip in clips]


def _prepare(folder: Path, sources: list[Source], workers: int | None, layout: str, on_cluster: bool) -> None:
    from typing import get_args

    from tfg.datasets.prepare import Layout, prepare

    if layout not in get_args(Layout):
        raise typer.BadParameter(f"{layout!r}; expected one of {', '.join(get_args(Layout))}", param_hint="--for")
    rejected = prepare(sources, folder, workers, layout, on_cluster=on_cluster)  # type: ignore[arg-type]
    typer.echo(f"{folder}: {len(sources) - len(rejected)} of {len(sources)} clips prepared")
    _tell(rejected, folder)


def _tell(rejected: dict[str, str], folder: Path) -> None:
    for name, reason in sorted(rejected.items())[:_SHOWN]:
        typer.echo(f"left out: {name}: {reason}", err=True)
    if len(rejected) > _SHOWN:
        typer.echo(f"left out: {len(rejected) - _SHOWN} more, see {folder / 'rejected.csv'}", err=True)
