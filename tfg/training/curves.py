"""A run's log, read for figures and tables."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tfg.errors import DataError

Entry = Mapping[str, float]


def read_log(path: Path) -> list[Entry]:
    """The entries of a ``log.jsonl``, one for each step.

    A run that was killed and resumed did some steps twice: the later entry counts. The last line may be cut short.

    :raises DataError: no such file, or a line before the last that is not json.
    """
    try:
        lines = path.read_text().splitlines()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; expected the log of a training run") from error
    found: dict[int, Entry] = {}
    for number, line in enumerate(lines, start=1):
        try:
            entry = json.loads(line)
            found[int(entry["step"])] = entry
        except (ValueError, KeyError, TypeError) as error:
            if number < len(lines):
                raise DataError(f"{path}, line {number}: {error}; expected a step of a training run") from error
    return [found[step] for step in sorted(found)]


def columns(entries: Sequence[Entry], keys: Sequence[str], every: int = 1) -> dict[str, list[float | None]]:
    """Curves of a log: ``step`` and each key as a list, of means over ``every`` steps.

    :returns: ``step`` is the last one of each mean. Where none of these steps has a key (a term that had no weight
        yet), there is None.
    """
    groups = [entries[i : i + every] for i in range(0, len(entries), every)]
    made: dict[str, list[float | None]] = {"step": [group[-1]["step"] for group in groups]}
    for key in keys:
        values = [[entry[key] for entry in group if key in entry] for group in groups]
        made[key] = [float(np.mean(some)) if some else None for some in values]
    return made
