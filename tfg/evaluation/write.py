"""The table as csv, Markdown and LaTeX, with where it came from."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tfg import results
from tfg.evaluation.pairs import CHANCE, REAL
from tfg.evaluation.pictures import ELSEWHERE
from tfg.evaluation.table import Cell, Column, Difference, columns

if TYPE_CHECKING:
    from tfg.evaluation.run import Evaluation

ARROWS = {1: "↑", -1: "↓"}
_INFINITE = {"infinite": math.inf, "-infinite": -math.inf}


def write_all(found: Evaluation, out: Path) -> None:
    """Write ``table.csv``, ``.md``, ``.tex``, ``differences.csv``, ``clips.csv`` and ``evaluation.json``."""
    made = results.write(
        out / "evaluation.json",
        figures(found),
        command=command(found),
        data_used={found.corpus: len(next(iter(found.clips.values())))},
        seed=found.settings.seed,
        weights=found.weights,
    )
    provenance = results.read(made)["provenance"]
    for name, text in {
        "table.csv": table_csv(found),
        "table.md": table_markdown(found, provenance),
        "table.tex": table_latex(found, provenance),
        "differences.csv": _csv([difference._asdict() for difference in found.differences]),
        "clips.csv": clips_csv(found),
    }.items():
        temporary = out / f".{name}.{os.getpid()}.tmp"
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(out / name)


def command(found: Evaluation) -> str:
    """The command line, without the places of the folders."""
    settings = found.settings
    parts = ["tfg evaluate", *found.arguments, f"--expert {Path(settings.expert).name}"]
    parts += [f"--syncnet {Path(settings.syncnet).name}", f"--region {settings.region}", f"--seed {settings.seed}"]
    return " ".join(parts)


def _methods(found: Evaluation) -> list[str]:
    return list(found.cells)[1:-1]


def number(cell: Cell | None, column: Column, infinite: str = "∞", missing: str = "–") -> str:
    """A cell's mean as it is printed."""
    if cell is None:
        return missing
    return infinite if math.isinf(cell.mean) else f"{cell.mean:.{column.digits}f}"


def table_csv(found: Evaluation) -> str:
    """A line per row; per metric the mean, the interval's ends and the number of clips; empty where not computed."""
    lines = []
    for row, cells in found.cells.items():
        line: dict[str, Any] = {"method": row}
        for column in found.columns:
            cell = cells.get(column.title)
            values = ("",) * 4 if cell is None else (cell.mean, cell.low, cell.high, cell.clips)
            line |= dict(
                zip((column.title, *(f"{column.title} {x}" for x in ("low", "high", "clips"))), values, strict=True)
            )
        lines.append(line)
    return _csv(lines)


def clips_csv(found: Evaluation) -> str:
    """A line per row and clip with every number that was measured."""
    return _csv(
        {"method": row, "clip": name, **kept["numbers"], "warnings": " | ".join(kept["warnings"])}
        for row, clips in found.clips.items()
        for name, kept in clips.items()
    )


def table_markdown(found: Evaluation, provenance: Mapping[str, Any]) -> str:
    """The table with intervals, then what every number means, what was left out, and where it came from."""
    titles = [f"{column.title} {ARROWS[column.sign]}" for column in found.columns]
    lines = ["| method | " + " | ".join(titles) + " |", "|---|" + "---:|" * len(titles)]
    for row, cells in found.cells.items():
        shown = []
        for column in found.columns:
            cell = cells.get(column.title)
            text = number(cell, column)
            if cell and cell.best:
                text = f"**{text}**"
            if cell and cell.low is not None and cell.high is not None and cell.low < cell.high:
                text += f" ({cell.low:.{column.digits}f} to {cell.high:.{column.digits}f})"
            shown.append(text)
        lines.append(f"| {row} | " + " | ".join(shown) + " |")
    clips = len(next(iter(found.clips.values())))
    lines += ["", f"{found.corpus}: {clips} clips in every row.", ""]
    lines += [f"- {name}: {text}" for name, text in found.protocol.items()]
    lines += [f"- {title} is empty: {why}" for title, why in found.not_computed.items()]
    lines += [f"- {text}" for text in (*_fewer(found, clips), *cautions(found))]
    lines += [
        f"- left out, {name}, {row}: {reason}" for name, why in found.failed.items() for row, reason in why.items()
    ]
    lines += [
        f"- {method}: {len(files)} files that no real video asked for"
        for method, files in found.ignored.items()
        if files
    ]
    lines += ["", source(provenance), ""]
    return "\n".join(lines)


def table_latex(found: Evaluation, provenance: Mapping[str, Any]) -> str:
    """A ``tabular`` (needs booktabs) of the means; intervals are in the csv."""
    arrows = {1: r"$\uparrow$", -1: r"$\downarrow$"}
    titles = [f"{_latex_title(column.title)} {arrows[column.sign]}" for column in found.columns]
    lines = [f"% {source(provenance)}", r"\begin{tabular}{l" + "r" * len(titles) + "}", r"\toprule"]
    lines += ["Method & " + " & ".join(titles) + r" \\", r"\midrule"]
    for row, cells in found.cells.items():
        shown = []
        for column in found.columns:
            cell = cells.get(column.title)
            text = number(cell, column, r"$\infty$", "--")
            shown.append(rf"\textbf{{{text}}}" if cell and cell.best else text)
        lines.append(f"{_escape(row)} & " + " & ".join(shown) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def source(provenance: Mapping[str, Any]) -> str:
    """One line: command, commit, device, date, weights."""
    weights = ", ".join(f"{name} {digest[:12]}" for name, digest in provenance["weights"].items())
    return (
        f"{provenance['command']}; commit {provenance['commit']}; {provenance['device']}; "
        f"{provenance['date'][:10]}; weights {weights}"
    )


def _fewer(found: Evaluation, clips: int) -> list[str]:
    counts = {title: cell.clips for title, cell in next(iter(found.cells.values())).items()}
    return [f"{title} is of {n} of the {clips} clips" for title, n in counts.items() if n < clips]


def cautions(found: Evaluation) -> list[str]:
    """What to know before a column is read: heads that are elsewhere, metrics that do not see the real videos' sync."""
    told = []
    for method in _methods(found):
        place = float(np.mean([kept["numbers"]["place"] for kept in found.clips[method].values()]))
        if place > ELSEWHERE:
            told.append(
                f"{method}: the head lies {place:.2f} eye distances from the real one on average, so SSIM and PSNR "
                "judge its pose before anything else"
            )
    for difference in found.differences:
        if (difference.a, difference.b) == (REAL, CHANCE) and difference.low <= 0 <= difference.high:
            told.append(
                f"{difference.column}: on these clips the real videos are not told from the same pictures at the wrong "
                "time, so this column says nothing about the methods' timing"
            )
    return told


def _latex_title(title: str) -> str:
    name, _, index = title.partition("_")
    return rf"{name}$_{{{index}}}$" if index else name


def _escape(text: str) -> str:
    return text.replace("_", r"\_")


def figures(found: Evaluation) -> dict[str, Any]:
    """The whole table as json holds it: :func:`tfg.results.write` takes it."""
    plain = {
        "corpus": found.corpus,
        "rows": {row: {title: cell._asdict() for title, cell in cells.items()} for row, cells in found.cells.items()},
        "differences": [difference._asdict() for difference in found.differences],
        "clips": list(next(iter(found.clips.values()))),
        "failed": found.failed,
        "ignored": {method: len(files) for method, files in found.ignored.items()},
        "not_computed": found.not_computed,
        "protocol": found.protocol,
    }
    return dict(_finite(plain))


class Table(NamedTuple):
    """A table read back from its json."""

    columns: list[Column]  #: those that are not empty
    cells: dict[str, dict[str, Cell]]  #: row -> column's title -> cell
    differences: list[Difference]

    def means(self) -> dict[str, dict[str, str]]:
        """Row -> column with its arrow -> mean as it is printed, a star at the best and those not told from it."""
        return {
            row: {
                f"{column.title} {ARROWS[column.sign]}": number(of_row[column.title], column)
                + " *" * of_row[column.title].best
                for column in self.columns
            }
            for row, of_row in self.cells.items()
        }


def read_back(kept: Mapping[str, Any]) -> Table:
    """What :func:`figures` made, as it was, less the empty columns."""
    cells = {
        row: {title: Cell(**{key: _number(value) for key, value in cell.items()}) for title, cell in of_row.items()}
        for row, of_row in kept["rows"].items()
    }
    differences = [Difference(**{key: _number(value) for key, value in one.items()}) for one in kept["differences"]]
    return Table([column for column in columns("unbiased") if column.title in cells[REAL]], cells, differences)


def _number(value: Any) -> Any:
    return _INFINITE.get(value, value) if isinstance(value, str) else value


def _finite(value: Any) -> Any:
    """json has no infinity: it becomes a word."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    words = {number: word for word, number in _INFINITE.items()}
    return words.get(value, value) if isinstance(value, float) else value


def _csv(lines: Iterable[Mapping[str, Any]]) -> str:
    lines = list(lines)
    out = io.StringIO()
    writer = csv.DictWriter(out, list(dict.fromkeys(key for line in lines for key in line)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return out.getvalue()
