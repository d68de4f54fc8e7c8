"""``tfg weights``: which experts there are, under which licence, and how to get or convert them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

weights_app = typer.Typer(
    no_args_is_help=True, help="The experts' weights: list, get after accepting the licence, convert."
)


@weights_app.command("list")
def list_all() -> None:
    """Every named expert: purpose, size, hash, licence, and whether it is on this machine."""
    from tfg.experts.registry import list_weights

    entries = list_weights()
    licences = list(dict.fromkeys((entry.licence, entry.licence_url) for entry in entries))
    table = Table(box=box.SIMPLE)
    for title in ("name", "here", "size", "sha256", "licence", "for"):
        table.add_column(title, no_wrap=title == "name")
    for entry in entries:
        size = f"{entry.path.stat().st_size / 1e6:.1f} MB" if entry.present else entry.size
        number = 1 + licences.index((entry.licence, entry.licence_url))
        here = "yes" if entry.present else "no"
        digest = f"{entry.sha256[:12]}…" if entry.sha256 else ""
        table.add_row(entry.name, here, size, digest, f"[{number}]", entry.purpose)
    console = Console(highlight=False)
    console.print(table)
    for number, (licence, url) in enumerate(licences, 1):
        console.print(f"[{number}] {licence} {url}", markup=False, soft_wrap=True)
    console.print("`tfg weights get NAME` shows the source and asks before it downloads.", markup=False)


@weights_app.command()
def get(
    name: Annotated[str, typer.Argument(help="A name of `tfg weights list`.")],
    accept_licence: Annotated[
        bool, typer.Option(help="Do not ask: the licence has been read and is accepted.")
    ] = False,
) -> None:
    """Download weights, after showing their licence, size, source and hash, and asking."""
    from tfg.experts.registry import Weights, get_weights

    def ask(entry: Weights) -> bool:
        typer.echo(entry.describe(), err=True)
        return accept_licence or typer.confirm("Do you accept this licence?", default=False, err=True)

    typer.echo(get_weights(name, ask))


@weights_app.command()
def convert(
    file: Annotated[Path, typer.Argument(help="A released checkpoint: .pt, .pth, .model.")],
    out: Annotated[Path | None, typer.Option(help="Where to write; by default beside it, as .safetensors.")] = None,
) -> None:
    """Turn a checkpoint into safetensors and a json card, without executing the pickle in it."""
    from tfg.errors import CheckpointError
    from tfg.experts.checkpoints import convert as convert_checkpoint

    target = out or file.with_suffix(".safetensors")
    if target.exists():
        raise CheckpointError(f"{target} exists already; remove it, or choose another name with --out")
    typer.echo(convert_checkpoint(file, target))
