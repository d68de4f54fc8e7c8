"""``tfg studio``: the rendered talking heads, and new ones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

studio_app = typer.Typer(no_args_is_help=True, help="Rendered talking heads with known truth: list, render new ones.")


@studio_app.command("list")
def list_all() -> None:
    """The embedded clips: talker, split and sentence. Their sound can be given to any other talker."""
    from tfg.datasets import studio

    table = Table(box=box.SIMPLE)
    for title in ("clip", "talker", "split", "voice", "text"):
        table.add_column(title, no_wrap=title == "clip")
    for name in studio.names():
        entry = studio.entry(name)
        table.add_row(name, entry["identity"], entry["split"], entry["voice"]["voice"], entry["text"])
    Console(highlight=False).print(table)


@studio_app.command()
def render(
    sentence: Annotated[str | None, typer.Argument(help="What is said, in English; needs flite.")] = None,
    speech: Annotated[
        str | None, typer.Option(metavar="NAME", help="An embedded clip whose sound is spoken instead; needs no flite.")
    ] = None,
    talker: Annotated[
        str, typer.Option(help="A number for a new talker, or a name that `tfg studio list` shows.")
    ] = "0",
    voice: Annotated[
        str | None, typer.Option(help="flite's slt (f), rms (m) or awb (m); by default one of the talker's sex.")
    ] = None,
    stretch: Annotated[float, typer.Option(help="Above 1 speaks slower. With --voice.")] = 1.0,
    size: Annotated[float, typer.Option(help="Above 1 raises the voice: a smaller vocal tract. With --voice.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Of pose, head motion, blinks, light and backdrop.")] = 0,
    out: Annotated[Path, typer.Option("--out", "-o", help="The video; its truth goes beside it as .json.")] = Path(
        "talker.mp4"
    ),
) -> None:
    """Render a talking head and what is known of each of its frames."""
    from tfg.datasets import studio
    from tfg.datasets.studio_voice import Voice

    if (sentence is None) == (speech is None):
        raise typer.BadParameter("expected either a sentence or --speech NAME (`tfg studio list` shows the names)")
    if voice is None and (stretch, size) != (1.0, 1.0):
        raise typer.BadParameter("--stretch and --size shape a voice that is named: add --voice slt, rms or awb")
    if out.suffix.lower() != ".mp4":  # said before a minute of rendering, not after
        raise typer.BadParameter(f"--out is {out.name!r}; expected a name ending in .mp4, the format written here")
    made = studio.make(
        int(talker) if talker.isdecimal() else talker,
        studio.speech(speech) if speech is not None else str(sentence),
        voice=Voice(voice, stretch, size) if voice is not None else None,
        seed=seed,
    )
    path = made.write(out)
    typer.echo(f"{path}: {made.truth.identity}, {made.clip.n_frames} frames; truth in {path.with_suffix('.json').name}")
