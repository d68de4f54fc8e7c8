"""The ablation of the losses: what ``tfg train ablation`` left in its folders, beside the real video and a still mouth.

Training takes hours; this study only collects the figures per clip of what was trained. There are two ablations, each
a folder of runs named after its recipe: from random weights on a GPU, and short ones from the same start with three
seeds. Each folder also holds ``about.json``, written by whoever ran it: ``command``, ``device``, and ``ended``, why
runs are missing (empty if none is).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student_t

from tfg.errors import DataError
from tfg.evaluation.table import Cell, Column, table
from tfg.experts.expert import AVHubertExpert, SyncNetExpert
from tfg.studies.setup import AVHUBERT, SYNCNET, Setup
from tfg.training import ablation
from tfg.training.generator_recipe import GeneratorRecipe
from tfg.training.held_out import RealClip, Row, ceiling_figures, still_figures
from tfg.training.recipe import read_recipe

REAL, STILL = "real video", "still mouth"
WITHOUT = "no sync loss"  # the condition that the others are compared with
SCRATCH, SEEDS = "generator-ablation", "generator-ablation-seeds"  # the recipes
EVERY = 20  # steps that a point of a learning curve averages

#: Of the table. More motion is not better: the real mouth's is 1.
COLUMNS = (
    Column("avs_u", "AVS_u", 1, 3),
    Column("avs_m", "AVS_m", 1, 3),
    Column("avs_v", "AVS_v", 1, 3),
    Column("lse_c", "LSE-C", 1, 3),
    Column("lse_d", "LSE-D", -1, 3),
    Column("ssim", "SSIM", 1, 3),
    Column("psnr", "PSNR", 1, 2),
    Column("mouth_motion", "mouth motion", 0, 2),
)

Float = NDArray[np.float64]
Clips = Mapping[str, Row]  # clip -> number -> value


class Contrast(NamedTuple):
    """A row less another on the same clips."""

    mean: float
    low: float  #: 95% interval
    high: float


def measure(setup: Setup, name: str = SCRATCH) -> tuple[dict[str, Any], dict[str, int]]:
    """Figures per clip of every finished run of a recipe, of the real clips and of a still mouth, and learning curves.

    :raises DataError: no folder of runs, or runs that were not measured on the same clips.
    """
    if setup.ablation is None:
        raise DataError(
            f"no runs: set TFG_ABLATION to the folder that holds the runs of 'tfg train ablation' in {name}"
        )
    recipe, runs = read_recipe(name, GeneratorRecipe), setup.ablation / name
    rows, curves, steps = collect(runs)
    experts = setup.experts()
    hubert, syncnet = experts[AVHUBERT], experts[SYNCNET]
    assert isinstance(hubert, AVHubertExpert)
    assert isinstance(syncnet, SyncNetExpert)
    names = list(next(iter(next(iter(rows.values())).values())))
    clips = [RealClip.of(clip, hubert) for clip in setup.face_clips(recipe.validate) if clip.name in names]
    bounds: dict[str, Clips] = {
        REAL: ceiling_figures(clips, hubert, syncnet),
        STILL: still_figures(clips, hubert, syncnet),
    }
    rows = {**{row: {"": found} for row, found in bounds.items()}, **rows}
    figures = {
        "clips": names,
        "rows": {
            row: {seed: _columns(found, names, row) for seed, found in runs.items()} for row, runs in rows.items()
        },
        "curves": curves,
        "steps": steps,
        "training": {**_about(runs), "recipe": name, "steps": recipe.steps,
                     "faces": recipe.batch_size * recipe.windows * recipe.window_frames},
    }  # fmt: skip
    return figures, {recipe.train: recipe.clips, recipe.validate: len(names)}


def collect(
    runs: Path,
) -> tuple[dict[str, dict[str, Clips]], dict[str, dict[str, dict[str, list[float]]]], dict[str, dict[str, int]]]:
    """What the runs left: condition -> seed -> figures per clip, learning curve, and the number of steps done.

    :raises DataError: no run that is finished.
    """
    rows: dict[str, dict[str, Clips]] = {}
    curves: dict[str, dict[str, dict[str, list[float]]]] = {}
    steps: dict[str, dict[str, int]] = {}
    for condition in ablation.CONDITIONS:
        for seed in map(str, range(100)):
            folder = ablation.folder_of(runs, condition, int(seed))
            if not (folder / "log.jsonl").is_file():
                break
            log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
            steps.setdefault(condition, {})[seed] = int(log[-1]["step"])
            curves.setdefault(condition, {})[seed] = _curve(log)
            if (folder / "figures.json").is_file():
                rows.setdefault(condition, {})[seed] = json.loads((folder / "figures.json").read_text())
    if not rows:
        raise DataError(f"{runs}: no finished run; expected folders written by 'tfg train ablation'")
    return rows, curves, steps


def _curve(log: Sequence[Mapping[str, float]]) -> dict[str, list[float]]:
    """Means of ``EVERY`` steps; ``looks`` and ``held_out/l1`` are the few looks at held-out clips."""
    parts = [log[i : i + EVERY] for i in range(0, len(log) - EVERY + 1, EVERY)]
    curve = {"step": [part[-1]["step"] for part in parts]}
    for key in ("reconstruction", "cosine"):
        if key in log[-1]:
            curve[key] = [float(np.mean([step.get(key, np.nan) for step in part])) for part in parts]
    looks = [step for step in log if "held_out/l1" in step]
    return curve | {"looks": [step["step"] for step in looks], "held_out/l1": [step["held_out/l1"] for step in looks]}


def _about(runs: Path) -> dict[str, str]:
    path = runs / "about.json"
    try:
        return {key: str(value) for key, value in json.loads(path.read_text()).items()}
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: {error}; expected json with command, device and ended, of these runs") from error


def _columns(found: Clips, names: Iterable[str], row: str) -> dict[str, list[float]]:
    missing = [name for name in names if name not in found]
    if missing:
        raise DataError(f"{row}: no figures of {missing[0]}; expected those of the recipe's held-out clips")
    return {key: [found[name][key] for name in names] for key in next(iter(found.values()))}


# ---- what a page does with them -----------------------------------------------------------------------------------


def per_clip(figures: Mapping[str, Any], seed: str = "0") -> dict[str, dict[str, Row]]:
    """Row -> clip -> number -> value, from the result file: finished runs of one seed, real video, still mouth."""
    rows = {}
    for row, runs in figures["rows"].items():
        found = runs.get(seed, runs.get(""))
        if found is not None:
            rows[row] = {name: {key: of[i] for key, of in found.items()} for i, name in enumerate(figures["clips"])}
    return rows


def cells(rows: Mapping[str, Clips], columns: Sequence[Column] = COLUMNS, seed: int = 0) -> dict[str, dict[str, Cell]]:
    """Means with intervals over clips: :func:`tfg.evaluation.table.table`."""
    return table(rows, list(columns), seed)[0]


def against(
    rows: Mapping[str, Clips], base: str, columns: Sequence[Column] = COLUMNS
) -> dict[str, dict[str, Contrast]]:
    """Every trained row less ``base``, clip by clip: row -> title -> mean and paired bootstrap interval.

    An interval over clips says what other clips of this talker would give with *these* networks. It says nothing of
    what another training run would give.
    """
    trained = {row: clips for row, clips in rows.items() if row not in (REAL, STILL)}
    found: dict[str, dict[str, Contrast]] = {row: {} for row in trained if row != base}
    for d in table(trained, list(columns))[1]:
        if d.b == base:
            found[d.a][d.column] = Contrast(d.mean, d.low, d.high)
        elif d.a == base:
            found[d.b][d.column] = Contrast(-d.mean, -d.high, -d.low)
    return found


def seed_means(figures: Mapping[str, Any], columns: Sequence[Column] = COLUMNS) -> dict[str, dict[str, Float]]:
    """Row -> title -> the mean over clips of each finished run, ``(seeds,)`` in the order of the seeds."""
    return {
        row: {c.title: np.array([np.mean(runs[seed][c.key]) for seed in sorted(runs)]) for c in columns}
        for row, runs in figures["rows"].items()
    }


def between_seeds(means: Mapping[str, Mapping[str, Float]], base: str) -> dict[str, dict[str, Contrast]]:
    """Every trained row less ``base``, training by training: row -> title -> mean and 95% interval over *trainings*.

    Runs of the same seed saw the same clips in the same order, so they are subtracted from each other. The intervals
    are Student's, with one spread for all rows of a column: each row alone has seeds - 1 degrees of freedom, two for
    three seeds, and an interval that is hardly ever of use; together they have that for each row.

    :raises DataError: fewer than two seeds, or not the same number in all rows.
    """
    rows = {row: of for row, of in means.items() if row not in (REAL, STILL)}
    counts = {len(values) for of in rows.values() for values in of.values()}
    if len(counts) != 1 or min(counts) < 2:
        raise DataError(f"rows have {sorted(counts)} finished seeds; expected the same number in all, at least 2")
    (count,) = counts
    found: dict[str, dict[str, Contrast]] = {row: {} for row in rows if row != base}
    for title in rows[base]:
        gaps = {row: rows[row][title] - rows[base][title] for row in found}
        freedom = len(gaps) * (count - 1)
        spread = np.sqrt(np.mean([gap.var(ddof=1) for gap in gaps.values()]))
        reach = float(student_t.ppf(0.975, freedom) * spread / np.sqrt(count))
        for row, gap in gaps.items():
            found[row][title] = Contrast(float(gap.mean()), float(gap.mean()) - reach, float(gap.mean()) + reach)
    return found
