"""``tfg dub``: a face says what is heard. ``tfg detect-mark``: whether a video was made that way."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from tfg.dubbing import DubReport

_STUDIO = "studio:"


class MarkChoice(StrEnum):
    """How the output says that it is synthetic, beside its metadata."""

    both = "both"
    visible = "visible"
    invisible = "invisible"
    none = "none"


class Backend(StrEnum):
    """What finds faces."""

    dlib = "dlib"
    mediapipe = "mediapipe"


def dub(
    face: Annotated[
        str,
        typer.Argument(help="A video or a picture; or studio:NAME, a clip of `tfg studio list`, or studio:portrait."),
    ],
    audio: Annotated[str, typer.Argument(help="A sound file, or a video whose sound is taken; or studio:NAME.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The .mp4 to write.")],
    generator: Annotated[
        str, typer.Option(help="A name of `tfg weights list`, or a checkpoint (Wav2Lip's works too).")
    ] = "generator-mini",
    face_number: Annotated[
        int, typer.Option("--face", min=1, metavar="N", help="Of several faces: 1 is the most prominent.")
    ] = 1,
    mark: Annotated[
        MarkChoice, typer.Option(help="How the film is marked as synthetic; its metadata say so in any case.")
    ] = MarkChoice.both,
    crf: Annotated[float, typer.Option(min=0, max=51, help="Quality of the H.264: lower is better.")] = 18,
    device: Annotated[str, typer.Option(help="Where the generator runs: cpu, cuda, mps.")] = "cpu",
    backend: Annotated[Backend, typer.Option(help="What finds faces.")] = Backend.dlib,
) -> None:
    """Make a face say what is heard, at the video's own frame rate and resolution.

    A video shorter than the sound goes on backwards and forwards; a longer one ends with the sound. Frames without a
    face keep their picture and are listed. Use it on people who agreed to it.
    """
    from tfg.dubbing import dub as dub_one

    console = Console(highlight=False)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        tasks = {name: bar.add_task(name, total=None) for name in ("track", "draw")}
        report = dub_one(
            _path(face, "portrait.jpg"),
            _path(audio),
            out,
            generator,
            face_number=face_number,
            mark=mark.value,
            crf=crf,
            device=device,
            backend=backend.value,
            progress=lambda stage, done, total: bar.update(tasks[stage], completed=done, total=total),
        )
    for line in told(report):
        console.print(line, markup=False, soft_wrap=True)


def _path(given: str, portrait: str | None = None) -> Path:
    """A path, or the file behind ``studio:NAME``."""
    if not given.startswith(_STUDIO):
        return Path(given)
    from tfg.datasets import studio

    name = given.removeprefix(_STUDIO)
    return studio.folder() / portrait if portrait and name == Path(portrait).stem else studio.path(name)


def told(report: DubReport) -> list[str]:
    """The report in lines to print."""
    lines = [
        f"{report.out}: {report.n_frames} frames of {report.width}x{report.height}, {report.fps:.5g} a second, "
        f"{report.seconds:.2f} s; lips by {report.generator}",
        f"marked as synthetic: {'in its metadata' if report.mark == 'none' else f'{report.mark}, and in its metadata'}",
    ]
    if report.passed_through:
        ranges = zip(report.passed_through, report.passed_through_seconds, strict=True)
        runs = ", ".join(f"{a} to {b - 1} ({start:.2f} to {end:.2f} s)" for (a, b), (start, end) in ranges)
        lines.append(f"no face seen, picture kept: frames {runs}")
    lines += [f"note: {note}" for note in report.notes]
    took = sum(report.stages.values())
    stages = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in report.stages.items())
    lines.append(f"took {took / report.seconds:.2f} x the film's length: {stages}")
    return lines


def detect_mark(
    video: Annotated[Path, typer.Argument(help="A video.")],
) -> None:
    """Look for the invisible mark that `tfg dub` leaves. Exit code 0: it is there, 1: it was not found."""
    from tfg.dubbing import detect_mark as detect
    from tfg.dubbing.mark import THRESHOLD

    found = detect(video)
    verdict = "carries the mark: synthetic" if found.marked else "no mark found, which proves nothing"
    typer.echo(f"{video}: {verdict} (score {found.score:.1f}, threshold {THRESHOLD:g})")
    if not found.marked:
        raise typer.Exit(1)
