"""The ``tfg`` command. Each group of commands lives in ``cli_<group>.py`` and imports PyTorch only when it runs."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from tfg.cli_dub import detect_mark, dub
from tfg.cli_evaluate import evaluate
from tfg.cli_prepare import prepare_app
from tfg.cli_score import score
from tfg.cli_stress import stress
from tfg.cli_studio import studio_app
from tfg.cli_study import study_app
from tfg.cli_train import train_app
from tfg.cli_weights import weights_app
from tfg.errors import TfgError


class _CleanErrors(TyperGroup):
    """An error that this package raises on purpose is one line on stderr and exit code 2; a bug keeps its traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (TfgError, OSError) as error:
            Console(stderr=True, highlight=False).print(f"error: {error}", style="red", markup=False, soft_wrap=True)
            raise typer.Exit(2) from error


app = typer.Typer(
    cls=_CleanErrors,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Talking-face generation with an audio-visual speech expert: scores, weights, training.",
)
app.command()(score)
app.command()(evaluate)
app.command()(dub)
app.command()(detect_mark)
app.command()(stress)
app.add_typer(studio_app, name="studio")
app.add_typer(study_app, name="study")
app.add_typer(weights_app, name="weights")
app.add_typer(train_app, name="train")
app.add_typer(prepare_app, name="prepare")


def _version(asked: bool) -> None:
    if asked:
        import tfg

        typer.echo(f"tfg {tfg.__version__}")
        raise typer.Exit


@app.callback()
def _top(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Talking-face generation with an audio-visual speech expert: scores, weights, training."""


def main() -> None:
    """Entry point of the ``tfg`` command."""
    app()


if __name__ == "__main__":
    main()
