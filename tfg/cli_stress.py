"""``tfg stress``: how the scores of a video change while it is perturbed, as csv, figure and montage."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

if TYPE_CHECKING:
    from tfg.clip import Clip
    from tfg.faces import FaceTrack
    from tfg.stress import SweepResult


class Alignment(StrEnum):
    frozen = "frozen"
    estimated = "estimated"


MOST = 500  # values of one sweep
SHOWN = 7  # pictures of a montage


def stress(
    video: Annotated[Path | None, typer.Argument(help="A video of a talking face.")] = None,
    what: Annotated[
        list[str] | None, typer.Option(help="A perturbation (see --list); may be given several times.")
    ] = None,
    values: Annotated[
        str | None, typer.Option("--range", help="FIRST:LAST:STEP or A,B,C in its unit; by default the table's sweep.")
    ] = None,
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for csv, figure and montage.")] = Path("stress"),
    alignment: Annotated[
        Alignment, typer.Option(help="frozen: crop where the face was before; estimated: track it again.")
    ] = Alignment.frozen,
    expert: Annotated[
        list[str] | None,
        typer.Option(help="A name of `tfg weights list` or a checkpoint; may be repeated.  [default: both minis]"),
    ] = None,
    device: Annotated[str, typer.Option(help="Where the experts run: cpu, cuda, mps.")] = "cpu",
    seed: Annotated[int, typer.Option(min=0, help="Of noise, echoes, dropped frames and chance levels.")] = 0,
    show_list: Annotated[bool, typer.Option("--list", help="Print the table of perturbations and stop.")] = False,
) -> None:
    """Score a video while one property of it is changed step by step.

    For each --what: NAME.csv (a row per value and expert), NAME.png (scores over the values) and NAME-montage.png
    (what the experts are shown).
    """
    from tfg.errors import MissingFileError, StressError

    console = Console()
    if show_list or what == ["list"]:
        console.print(perturbation_table())
        return
    if video is None or not what:
        raise StressError("nothing to do: give a video and --what NAME; `tfg stress --list` shows the names")
    if not video.exists():
        raise MissingFileError(f"{video} does not exist; expected a video of a talking face")
    from tfg.experts.expert import load_expert
    from tfg.faces import track_face
    from tfg.media import read_clip
    from tfg.stress import sweep
    from tfg.stress.table import find

    plan = {name: parse_values(values) if values else list(find(name).sweep) for name in what}
    for name, wanted in plan.items():
        for value in wanted:
            find(name).check(value)
    experts = [load_expert(name, device) for name in expert or ("avhubert-mini", "syncnet-mini")]
    out.mkdir(parents=True, exist_ok=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("read and track", total=1)
        clip = read_clip(video)
        track = track_face(clip)
        bar.remove_task(task)
        for name, wanted in plan.items():
            task = bar.add_task(name, total=len(wanted))
            tell = partial(_advance, bar, task)
            result = sweep(clip, name, wanted, experts, alignment.value, seed, track, on_point=tell)
            files = [out / f"{name}.csv", *_save_figures(result, clip, track, out)]
            _write(files[0], partial(write_csv, result))
            console.print(f"{name}: {', '.join(map(str, files))}", highlight=False, soft_wrap=True)
            for value, problem in result.problems.items():
                said = f"warning: no score at {result.perturbation.label(value)}: {problem}"
                bar.console.print(said, style="yellow", highlight=False, soft_wrap=True)


def _advance(bar: Progress, task: TaskID, _: object) -> None:
    bar.advance(task)


def _save_figures(result: SweepResult, clip: Clip, track: FaceTrack, out: Path) -> list[Path]:
    """The scores, and the montage where there is something to see; returns the files."""
    from tfg.plots.stress import montage, sweep
    from tfg.stress import perturb

    name = result.perturbation.name
    files = [out / f"{name}.png"]
    _write(files[0], sweep(result).savefig)
    if result.perturbation.acts_on == "frames":
        shown = spread(result.values.tolist(), SHOWN)
        clips = [perturb(clip, name, value, track, result.seed) for value in shown]
        labels = [f"{value:g}" for value in shown]
        labels[0] = f"{result.perturbation.axis}\n{labels[0]}"
        files.append(out / f"{name}-montage.png")
        _write(files[1], montage(clips, track, labels).savefig)
    return files


def parse_values(text: str) -> list[float]:
    """``"-16:16:2"`` or ``"0,1,2.5"`` as numbers; the last value of a range is part of it.

    :raises StressError: neither of the two, no step towards the end, or more than 500 values.
    """
    from tfg.errors import StressError

    parts = text.split(":") if ":" in text else text.split(",")
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        numbers = []
    if not numbers or (":" in text and len(numbers) != 3) or not all(abs(n) < float("inf") for n in numbers):
        raise StressError(f"--range is {text!r}; expected FIRST:LAST:STEP such as -16:16:2, or values such as 0,1,2.5")
    if ":" not in text:
        return numbers
    first, last, step = numbers
    if step == 0 or (last - first) / step < 0:
        raise StressError(f"--range is {text!r}: steps of {step:g} do not lead from {first:g} to {last:g}")
    count = int((last - first) / step + 1e-9) + 1
    if count > MOST:
        raise StressError(f"--range is {text!r}: {count} values; expected at most {MOST}: use a larger step")
    return [round(first + i * step, 9) for i in range(count)]


def spread(values: list[float], most: int) -> list[float]:
    """At most ``most`` of the values, evenly spread, first and last among them."""
    if len(values) <= most:
        return values
    return [values[round(i * (len(values) - 1) / (most - 1))] for i in range(most)]


def perturbation_table() -> Table:
    """Every perturbation with unit, range and explanation."""
    from tfg.stress.table import PERTURBATIONS

    table = Table(box=box.SIMPLE)
    for title in ("name", "acts on", "unit", "range", "neutral", "what it does"):
        table.add_column(title, no_wrap=title == "name", justify="right" if title in ("range", "neutral") else "left")
    for row in PERTURBATIONS.values():
        limits = f"{row.low:g} to {row.high:g}"
        table.add_row(row.name, row.acts_on, row.unit or "factor", limits, f"{row.neutral:g}", row.about)
    return table


def write_csv(result: SweepResult, path: Path) -> None:
    """:meth:`tfg.stress.SweepResult.table` as a csv; an empty field where there is no number."""
    rows = result.table()
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _write(path: Path, save: Callable[[Path], Any]) -> None:
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        save(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
