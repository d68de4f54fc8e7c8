"""``tfg study``: ask people which of two talking-face videos is better, or how good one is, and get csv."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from tfg.rating import StudyFolder, StudySummary

study_app = typer.Typer(no_args_is_help=True, help="Ask people: a rating page for a class, its votes, how it goes.")

_STUDY = Annotated[Path, typer.Argument(help="The study's folder, made by `tfg study serve`.")]


@study_app.command()
def serve(
    videos: Annotated[Path, typer.Argument(help="A folder with a subfolder for each method, same file names in each.")],
    study: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The study's folder; by default VIDEOS-study. Goes on if it exists."),
    ] = None,
    contact: Annotated[
        str, typer.Option(help="Whom raters tell their code if they want their votes deleted.")
    ] = "the person who gave you the address of this page",
    single: Annotated[
        bool,
        typer.Option("--single", help="Rate one video at a time, bad to excellent (ITU-T P.910), instead of pairs."),
    ] = False,
    question: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=SENTENCE", help="What is asked; may be repeated. By default about lip sync."),
    ] = None,
    pairs: Annotated[
        int | None,
        typer.Option(min=1, help="For each rater; by default 20, or all there are. With --single: videos, 40."),
    ] = None,
    checks: Annotated[int, typer.Option(min=0, help="Attention checks for each rater.")] = 2,
    truth: Annotated[
        str | None, typer.Option(help="The subfolder with the real videos, if there is one; not with --single.")
    ] = None,
    title: Annotated[str | None, typer.Option(help="The heading of the page; by default one that fits.")] = None,
    consent: Annotated[Path | None, typer.Option(help="A text file to show in place of the consent text.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the assignment of pairs to raters and their order.")] = 0,
    port: Annotated[int, typer.Option(help="Where the page is served.")] = 8866,
    network: Annotated[
        bool,
        typer.Option(
            "--network", help="Serve to every computer that reaches this one, without a password: for a class."
        ),
    ] = False,
) -> None:
    """Serve the rating page until Ctrl-C. The next call with the same folder goes on with the same study."""
    from tfg.rating import StudyFolder, start
    from tfg.rating.serve import addresses, command

    folder = study or videos.with_name(f"{videos.resolve().name}-study")
    if (folder / "votes.sqlite").is_file():
        made = StudyFolder(folder)
        typer.echo(f"{folder}: goes on; its plan stays as it was made, options that shape it are ignored")
    else:
        made = _make(videos, folder, contact, single, question, pairs, checks, truth, title, consent, seed)
    command(made, port, network)  # what is missing is said before anything starts
    server = start(made, port, network)
    typer.echo(f"Raters open {' or '.join(addresses(port, network))}")
    typer.echo(f"Votes: {made.store.path}. How it goes: tfg study summary {folder}. Stop with Ctrl-C; nothing is lost.")
    try:
        raise typer.Exit(server.wait())
    except KeyboardInterrupt:
        typer.echo("stopped")
    finally:
        server.terminate()
        server.wait()


def _make(
    videos: Path, folder: Path, contact: str, single: bool, question: list[str] | None, pairs: int | None,
    checks: int, truth: str | None, title: str | None, consent: Path | None, seed: int,
) -> StudyFolder:  # fmt: skip
    from tfg.rating.folder import make_study

    asked = dict(part.partition("=")[::2] for part in question) if question else None
    with Console(stderr=True).status("copying videos ...") as status:
        made = make_study(
            videos, folder, contact=contact, single=single, questions=asked, pairs=pairs, checks=checks, truth=truth,
            seed=seed, title=title, consent=consent.read_text(encoding="utf-8") if consent is not None else None,
            on_video=lambda done, total: status.update(f"videos: {done} of {total}"),
        )  # fmt: skip
    design = made.plan.design
    typer.echo(
        f"{folder}: {len(design.methods)} methods ({', '.join(design.methods)}), {len(design.subjects)} subjects, "
        f"{design.cells} {'videos' if single else 'pairs'}; each rater judges {design.size} of them and "
        f"{design.checks} checks"
    )
    return made


@study_app.command()
def export(
    study: _STUDY,
    out: Annotated[Path, typer.Option("--out", "-o", help="The csv.")] = Path("votes.csv"),
    most_failed: Annotated[
        int | None, typer.Option(min=0, help="Leave out raters who failed more checks than this; by default nobody.")
    ] = None,
) -> None:
    """Write the votes as the csv that tfg.study.votes (pairs) or tfg.study.ratings reads; checks are no votes."""
    from tfg.rating import StudyFolder, export_votes

    left_out = export_votes(StudyFolder(study).store, out, most_failed)
    typer.echo(f"{out}: written; raters left out for failed checks: {', '.join(left_out) or 'none'}")


@study_app.command()
def summary(study: _STUDY) -> None:
    """How many raters and votes there are, who failed checks, how long a trial takes."""
    from tfg.rating import StudyFolder, summarise

    for table in summary_tables(summarise(StudyFolder(study).store)):
        Console(highlight=False).print(table)


@study_app.command()
def withdraw(study: _STUDY, code: Annotated[str, typer.Argument(help="The code that the rater was given.")]) -> None:
    """Delete a rater's votes, as the consent text promises."""
    from tfg.rating import StudyFolder

    StudyFolder(study).store.withdraw(code)
    typer.echo(f"{code}: deleted from {study}; delete the rows from csv files exported before, too")


def summary_tables(found: StudySummary) -> list[Table]:
    """Raters, and votes for each pair of methods, or for each method."""
    raters = Table(box=box.SIMPLE, title=f"{len(found.raters)} raters, {found.finished} finished")
    for name in ("rater", "answered", "checks failed", "seconds a trial"):
        raters.add_column(name, justify="left" if name == "rater" else "right")
    for one in found.raters:
        seconds = "" if one.seconds is None else f"{one.seconds:.0f}"
        raters.add_row(one.code, f"{one.done} of {one.total}", f"{one.failed} of {one.checks}", seconds)
    said = "" if found.left is None else f"; left chosen {found.left:.0%}"
    said += "" if found.ties is None else f", no difference {found.ties:.0%}"
    counts = Table(box=box.SIMPLE, title=f"{sum(found.votes.values())} votes{said}")
    for name in (*("method",) * len(next(iter(found.votes))), "votes", "fewest for a subject"):
        counts.add_column(name, justify="left" if name == "method" else "right")
    for methods, votes in found.votes.items():
        counts.add_row(*methods, str(votes), str(found.fewest[methods]))
    return [raters, counts]
