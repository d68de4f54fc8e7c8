"""Render the embedded clips again from their recipe.

    python -m tfg.datasets.studio_make                     # all clips, into the package's assets
    python -m tfg.datasets.studio_make ada-boat --out /tmp # one clip, elsewhere

Needs flite for the speech (see :mod:`tfg.datasets.studio_voice`). For new talkers and sentences see
:func:`tfg.datasets.studio.make`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tfg.datasets import studio
from tfg.datasets.studio_film import PORTRAIT, film
from tfg.datasets.studio_truth import StudioClip
from tfg.datasets.studio_voice import Voice, say


def remake(name: str) -> StudioClip:
    """The clip ``name`` of the recipe, spoken and rendered.

    :raises DataError: flite is not installed, or the recipe has no such clip.
    """
    entry = studio.entry(name)
    identity = None if entry["identity"] == PORTRAIT else studio.identity(entry["identity"])
    return film(entry, identity, say(entry["text"], Voice(**entry["voice"]), entry["seed"]))


def main(
    names: Annotated[list[str] | None, typer.Argument(help="clips of the recipe; all when left out")] = None,
    out: Annotated[Path | None, typer.Option(help="folder to write to; the package's assets when left out")] = None,
) -> None:
    """Render studio clips and their truth files."""
    target = out or studio.folder()
    for name in names or studio.names():
        made = remake(name)
        path = made.write(target / f"{name}.mp4")
        typer.echo(f"{name}: {made.clip.n_frames} frames, {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    typer.run(main)
