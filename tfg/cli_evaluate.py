"""``tfg evaluate``: the comparison table of several methods on one corpus."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

if TYPE_CHECKING:
    from tfg.evaluation.run import Evaluation


def evaluate(
    corpus: Annotated[
        str,
        typer.Argument(
            help="The real videos: a folder of them, a folder of `tfg prepare NAME --for generator`, or a name: "
            "`adthqa` (its four methods come along), `studio` (rendered talkers of this package)."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the tables; a run that was cut off goes on.")],
    method: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=FOLDER of a method's videos, matched by place or stem; or NAME=GENERATOR, weights or their name "
            "in `tfg weights list`, which speaks the real videos anew. Again for each method."
        ),
    ] = None,
    clips: Annotated[int | None, typer.Option(min=1, help="So many clips, evenly spread; by default all.")] = None,
    data: Annotated[
        Path | None, typer.Option(help="Where `adthqa` lies; by default the folder of this name in $TFG_DATA.")
    ] = None,
    expert: Annotated[
        str, typer.Option(help="AV-HuBERT: a name of `tfg weights list`, or a checkpoint.")
    ] = "avhubert-mini",
    syncnet: Annotated[str, typer.Option(help="SyncNet, likewise.")] = "syncnet-mini",
    inception: Annotated[
        str, typer.Option(help="Weights for FID, likewise; the column stays empty without them.")
    ] = "inception-fid",
    region: Annotated[
        str, typer.Option(help="What SSIM, PSNR and FID look at: the `face`, or the whole `frame`.")
    ] = "face",
    lse: Annotated[
        str, typer.Option(help="LSE in the table: `unbiased`, `tracks` or `lrs` (see `tfg score`).")
    ] = "unbiased",
    device: Annotated[str, typer.Option(help="Where the networks run: cpu, cuda, mps.")] = "cpu",
    seed: Annotated[int, typer.Option(help="Of the chance row and of the bootstrap.")] = 0,
    workers: Annotated[int, typer.Option(min=1, help="Processes; as many as cores is fastest.")] = 1,
) -> None:
    """Compare methods on the same clips: SSIM, PSNR, FID, LMD, LSE-C, LSE-D, AVS_u, AVS_m, AVS_v, with the real videos
    and chance as rows. Writes csv, Markdown and LaTeX with provenance, and the videos that generators drew.

    Exit code 1 when a clip was left out because it failed in some row, 2 when nothing could be done.
    """
    from tfg.errors import DataError
    from tfg.evaluation.corpora import find_corpus
    from tfg.evaluation.measure import Settings
    from tfg.evaluation.pairs import thinned, with_method
    from tfg.evaluation.pictures import REGIONS
    from tfg.evaluation.run import evaluate as run
    from tfg.evaluation.table import PROTOCOLS
    from tfg.evaluation.write import cautions

    for name, value, known in (("region", region, tuple(REGIONS)), ("lse", lse, PROTOCOLS)):
        if value not in known:
            raise DataError(f"--{name} is {value!r}; expected one of {', '.join(known)}")
    chosen = find_corpus(corpus, data)
    for text in method or []:
        name, equals, what = text.partition("=")
        if not (name and equals and what):
            raise DataError(f"--method {text!r}: expected NAME=FOLDER or NAME=GENERATOR")
        chosen = with_method(chosen, name, what)
    if clips is not None:
        chosen = thinned(chosen, clips)
    settings = Settings(expert=expert, syncnet=syncnet, region=region, device=device, seed=seed)  # type: ignore[arg-type]
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        draw = {name: bar.add_task(f"draw {name}", total=len(chosen.real)) for name in chosen.generators}
        measure = bar.add_task("measure", total=len(chosen.real))
        found = run(
            chosen, out, settings, lse, inception, workers,  # type: ignore[arg-type]
            on_clip=lambda *_: bar.advance(measure),
            on_video=lambda name, _: bar.advance(draw[name]),
        )  # fmt: skip
    console = Console(highlight=False)
    console.print(screen_table(found))
    for title, why in found.not_computed.items():
        console.print(f"{title} is empty: {why}", style="yellow", markup=False, soft_wrap=True)
    for sentence in cautions(found):
        console.print(sentence, style="yellow", markup=False, soft_wrap=True)
    for name, reasons in found.failed.items():
        for row, reason in reasons.items():
            console.print(f"left out: {name}, {row}: {reason}", style="red", markup=False, soft_wrap=True)
    for name, files in found.ignored.items():
        if files:
            console.print(
                f"{name}: {len(files)} files that no real video asked for, such as {files[0]}",
                style="yellow",
                markup=False,
                soft_wrap=True,
            )
    drawn = ", made/ (what the generators drew)" if chosen.generators else ""
    console.print(
        f"written: {out / 'table.md'}, table.csv, table.tex, differences.csv, clips.csv, evaluation.json{drawn}",
        soft_wrap=True,
    )
    if found.failed:
        raise typer.Exit(1)


def screen_table(found: Evaluation) -> Table:
    """A row per method; the best, and those not told apart from it, in bold."""
    from tfg.evaluation.write import ARROWS, number

    clips = len(next(iter(found.clips.values())))
    look = {"box": box.SIMPLE, "padding": 0, "pad_edge": False}  # all columns in 80 characters
    table = Table(title=f"{found.corpus}: {clips} clips", title_justify="left", **look)  # type: ignore[arg-type]
    table.add_column("method", overflow="fold")
    for column in found.columns:
        table.add_column(f" {column.title}{ARROWS[column.sign]}", justify="right", no_wrap=True)
    for row, cells in found.cells.items():
        shown = []
        for column in found.columns:
            cell = cells.get(column.title)
            text = number(cell, column)
            shown.append(f"[bold]{text}[/bold]" if cell and cell.best else text)
        table.add_row(row, *shown)
    return table
