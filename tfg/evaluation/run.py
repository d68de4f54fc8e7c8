"""The whole evaluation: every clip of every row, then the table and the files that hold it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed

from tfg.errors import DataError, WeightsError
from tfg.evaluation import draw
from tfg.evaluation.measure import Kept, Settings, digest, measure_clip
from tfg.evaluation.pairs import CHANCE, REAL, Corpus
from tfg.evaluation.pictures import PROTOCOLS, REGIONS
from tfg.evaluation.table import LEVEL, RESAMPLES, Cell, Column, Difference, Protocol, columns, complete_clips, table
from tfg.evaluation.write import write_all
from tfg.experts.checkpoints import file_sha256
from tfg.experts.registry import get_weights
from tfg.metrics import report
from tfg.metrics.corpus import loaded
from tfg.metrics.fid import WEIGHTS as INCEPTION
from tfg.metrics.fid import frechet_distance
from tfg.metrics.report import Scores


@dataclass(frozen=True)
class Evaluation:
    """What :func:`evaluate` found.

    :ivar corpus: name of the data.
    :ivar arguments: of ``tfg evaluate``, see :class:`tfg.evaluation.pairs.Corpus`.
    :ivar columns: of the table, in order; some may have no cell.
    :ivar cells: row -> column's title -> cell; rows are the real video, the methods as they were given, chance.
    :ivar differences: of every two methods in every column, over the same clips.
    :ivar clips: row -> clip -> ``numbers``, ``warnings``, ``seconds``, of the clips in the table.
    :ivar failed: clip -> row -> reason; such a clip is in no row.
    :ivar ignored: method -> files that no real video asked for.
    :ivar not_computed: column's title -> reason, for a column that is empty.
    :ivar protocol: what each number means, in plain sentences.
    :ivar weights: expert, or method that a generator drew -> SHA-256.
    :ivar settings: experts, region, seed.
    """

    corpus: str
    arguments: tuple[str, ...]
    columns: list[Column]
    cells: dict[str, dict[str, Cell]]
    differences: list[Difference]
    clips: dict[str, dict[str, Scores]]
    failed: dict[str, dict[str, str]]
    ignored: dict[str, list[str]]
    not_computed: dict[str, str]
    protocol: dict[str, str]
    weights: dict[str, str]
    settings: Settings


def evaluate(
    corpus: Corpus,
    out: str | Path,
    settings: Settings = Settings(),  # noqa: B008 (frozen)
    lse: Protocol = "unbiased",
    inception: str | Path = INCEPTION,
    workers: int = 1,
    on_clip: Callable[[str, Mapping[str, Scores | str]], None] = lambda name, rows: None,
    on_video: Callable[[str, str], None] = lambda method, name: None,
) -> Evaluation:
    """Compare methods on a corpus, with the real videos and chance as rows, and write what was found.

    First the generators among the methods draw their videos (:mod:`tfg.evaluation.draw`). A clip that fails in one row
    is left out of every row, and listed. Videos are kept in ``out/made``, the numbers of each clip in ``out/clips``;
    called again with the same videos and settings, nothing is drawn or measured again.

    :param corpus: from :func:`tfg.evaluation.corpora.find_corpus` and :func:`tfg.evaluation.pairs.with_method`.
    :param out: folder; gets ``table.csv``, ``table.md``, ``table.tex``, ``differences.csv``, ``clips.csv`` and
        ``evaluation.json`` (everything, with provenance).
    :param settings: ``inception`` in it is ignored, see the next but one.
    :param lse: which of SyncNet's protocols the table shows (the clips' file has all): ``unbiased``, ``tracks``,
        ``lrs``, see :mod:`tfg.metrics.report`.
    :param inception: name or path of the weights for FID. Where the named weights are not here, the column stays empty
        and says so; a path must be right.
    :param workers: processes, each of which takes whole clips.
    :param on_clip: called after each clip that was measured, for a progress bar.
    :param on_video: called with method and clip after each video that a generator drew.
    :raises DataError: no clip has numbers in every row.
    :raises WeightsError, CheckpointError: a network cannot be loaded.
    """
    out = Path(out)
    settings, without_fid = _with_inception(settings, inception)
    experts = [loaded(name, settings.device).protocol for name in (settings.expert, settings.syncnet)]
    corpus = draw.draw_videos(corpus, out, settings.device, workers, on_video)
    jobs = (
        delayed(measure_clip)(name, real, {method: made[name] for method, made in corpus.made.items()}, settings, out)
        for name, real in corpus.real.items()
    )
    found: dict[str, dict[str, Scores | str]] = {}
    for name, measured in zip(corpus.real, Parallel(workers, return_as="generator")(jobs), strict=True):
        found[name] = measured
        on_clip(name, measured)
    names, failed = complete_clips(found)
    if not names:
        name, why = next(iter(failed.items()))
        row, reason = next(iter(why.items()))
        raise DataError(f"no clip has numbers in every row; the first, {name}, fails in the row {row!r}: {reason}")
    rows = [REAL, *corpus.made, CHANCE]
    clips: dict[str, dict[str, Any]] = {row: {name: found[name][row] for name in names} for row in rows}
    wanted = columns(lse)
    numbers = {row: {name: kept["numbers"] for name, kept in of_row.items()} for row, of_row in clips.items()}
    cells, differences = table(numbers, wanted, settings.seed)
    not_computed = {}
    if settings.inception:
        for row, distance in _fids(out, rows, names, settings.inception).items():
            cells[row]["FID"] = Cell(distance, None, None, len(names))
    else:
        not_computed["FID"] = without_fid
    for column in wanted:
        if column.title not in cells[REAL] and column.title not in not_computed:
            not_computed[column.title] = _why_empty(column, lse)
    weights = {str(p["name"]): str(p.get("sha256", "")) for p in experts}
    weights |= {method: file_sha256(path) for method, path in corpus.generators.items()}
    weights |= {INCEPTION: digest(settings.inception)} if settings.inception else {}
    evaluation = Evaluation(
        corpus.name, corpus.arguments, wanted, cells, differences, clips, failed, corpus.ignored, not_computed,
        _protocol(settings, lse) | dict.fromkeys(corpus.generators, draw.PROTOCOL), weights, settings,
    )  # fmt: skip
    write_all(evaluation, out)
    return evaluation


def _with_inception(settings: Settings, inception: str | Path) -> tuple[Settings, str]:
    try:
        return replace(settings, inception=str(get_weights(inception))), ""
    except WeightsError as error:
        if str(inception) != INCEPTION:
            raise
        return replace(settings, inception=None), str(error).splitlines()[0]


def _fids(out: Path, rows: list[str], names: list[str], weights: str) -> dict[str, float]:
    """FID of every row against the real videos. Pictures at the wrong time are the same set of pictures."""
    features = {
        row: np.concatenate([np.load(Kept.at(out, row, name).features(weights)) for name in names])
        for row in rows
        if row != CHANCE
    }
    return {row: frechet_distance(features[REAL if row == CHANCE else row], features[REAL]) for row in rows}


def _why_empty(column: Column, lse: Protocol) -> str:
    if column.key.startswith("lse") and lse == "tracks":
        return f"no clip has a face track of more than {report.MIN_TRACK} frames in every row"
    return "no clip has this number in every row"


def _protocol(settings: Settings, lse: Protocol) -> dict[str, str]:
    told: dict[str, Any] = {
        "pictures": REGIONS[settings.region],
        **PROTOCOLS,
        "lse": report.PROTOCOLS[lse],
        **{name: report.PROTOCOLS[name] for name in ("avs_u", "avs_m", "avs_v")},
        REAL: "the real videos against themselves: the ceiling",
        CHANCE: "the real videos with their pictures rotated in time by at least a second (a third of a shorter "
        "clip), against themselves: what a metric gives when only the timing is wrong",
        "mean": "over frames, then over clips; a clip that fails in one row is in none",
        "interval": f"{LEVEL:.0f}% percentile bootstrap over clips, {RESAMPLES} resamples",
        "best": "bold: the best method, and those whose paired difference to it has an interval that includes 0",
    }
    return told
