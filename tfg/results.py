"""Result files: numbers that a page of the book shows but cannot compute in a minute, with where they come from.

A file is json with two entries. ``figures`` holds the numbers; ``provenance`` says how to get them again:

==========  ========================================================================================
command     the command line
commit      of the code (``-dirty`` when the package differed from it)
device      processor, threads, torch
date        of the run, ISO 8601
data        name of each data set -> number of clips
seed        of everything random
weights     name of each expert that was used -> SHA-256 of its weights
==========  ========================================================================================
"""

from __future__ import annotations

import datetime
import json
import os
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfg.errors import DataError

PROVENANCE = ("command", "commit", "device", "date", "data", "seed", "weights")


def write(
    path: str | os.PathLike[str],
    figures: Mapping[str, Any],
    *,
    command: str,
    data_used: Mapping[str, int],
    seed: int,
    weights: Mapping[str, str],
) -> Path:
    """Write figures with their provenance; the file appears only when it is complete.

    :param figures: numbers, strings, lists, dicts and NumPy arrays; floats are kept to six significant digits, and
        NaN becomes null (:func:`read` gives None).
    :param command: that makes this file again, without paths of this machine.
    :param data_used: data set -> clips used of it.
    :param weights: expert -> SHA-256 of its weights (``expert.protocol["sha256"]``).
    :raises DataError: an infinite number, or something that json cannot hold.
    """
    path = Path(path)
    made = {
        "command": command,
        "commit": code_commit(),
        "device": device(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="minutes"),
        "data": dict(data_used),
        "seed": seed,
        "weights": dict(weights),
    }
    try:
        text = _layout({"provenance": made, "figures": _plain(figures)})
    except (TypeError, ValueError) as error:
        raise DataError(f"{path}: these figures cannot be written as json: {error}") from error
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
    return path


def read(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a result file: ``{"provenance": {...}, "figures": {...}}``.

    :raises DataError: no such file, not json, or a part of the provenance is missing.
    """
    path = Path(path)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path}: no such result file; make it with 'make results'") from None
    except ValueError as error:
        raise DataError(f"{path} is not json ({error}); make it again with 'make results'") from error
    missing = [key for key in ("provenance", "figures") if key not in found]
    missing += [f"provenance.{key}" for key in PROVENANCE if key not in found.get("provenance", {})]
    if missing:
        raise DataError(f"{path} lacks {', '.join(missing)}; make it again with 'make results'")
    return dict(found)


def source(path: str | os.PathLike[str]) -> str:
    """One line that says where a file's figures come from, for a page that shows them."""
    made = read(path)["provenance"]
    data = ", ".join(f"{name} ({clips} clips)" for name, clips in made["data"].items())
    experts = ", ".join(f"{name} {digest[:8]}" for name, digest in made["weights"].items())
    weights = f"weights {experts}; " if experts else ""
    return f"{Path(path).name}: measured {made['date'][:10]} on {data}; {weights}by: {made['command']}"


def code_commit() -> str:
    """The commit of the package, with ``-dirty`` when its files differ from it; ``unknown`` outside git.

    Changes outside of the package (other result files, pages) do not count: they do not change a number.
    """
    here = Path(__file__).parent
    try:
        found = _git(here, "rev-parse", "--short=12", "HEAD")
        changed = _git(here, "status", "--porcelain", "--untracked-files=no", "--", str(here))
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{found}-dirty" if changed else found


def _git(folder: Path, *command: str) -> str:
    return subprocess.run(["git", *command], cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


def device() -> str:
    """The processor and torch, as in ``x86_64, 1 thread(s), torch 2.13.0``."""
    import torch

    return f"{platform.machine()}, {torch.get_num_threads()} thread(s), torch {torch.__version__}"


def _plain(value: Any) -> Any:
    """What json can hold, floats at six significant digits (float32 has no more to give)."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float):
        if np.isinf(value):
            raise ValueError("an infinite number")
        return None if np.isnan(value) else float(f"{value:.6g}")
    if isinstance(value, str | int | bool | None):
        return value
    raise TypeError(f"a {type(value).__name__}")


def _layout(value: Any, indent: str = "") -> str:
    """json with one entry a line, and a list of numbers on one line: short files, readable differences."""
    inner = indent + "  "
    if isinstance(value, dict) and value:
        rows = [f"{inner}{json.dumps(key, ensure_ascii=False)}: {_layout(item, inner)}" for key, item in value.items()]
        text = "{\n" + ",\n".join(rows) + f"\n{indent}}}"
    elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        text = "[\n" + ",\n".join(f"{inner}{_layout(item, inner)}" for item in value) + f"\n{indent}]"
    else:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return text if indent else text + "\n"
