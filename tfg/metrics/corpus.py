"""Scores of a folder of videos: which files, which reference belongs to which, and the mean over clips."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed

from tfg.errors import DataError, TfgError
from tfg.experts.expert import AVHubertExpert, SyncNetExpert, load_expert
from tfg.metrics.report import Scores, score_with_features
from tfg.metrics.seen import Float
from tfg.metrics.sync import avs_u, chance_level

CHANCE_CLIPS = 64  # whose features are kept, to pair sound and lips of different clips
SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".flv", ".wmv", ".ogv", ".3gp")


def find_videos(folder: Path) -> list[Path]:
    """Every video below a folder, by its suffix, sorted.

    :raises DataError: there is none.
    """
    videos = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not videos:
        raise DataError(f"{folder} holds no video; expected files such as {', '.join(SUFFIXES)}")
    return videos


def match_references(videos: Sequence[Path], folder: Path, references: Path) -> dict[Path, Path | None]:
    """The reference of each video: the file at the same place below ``references``, or else the only one of its stem.

    :param videos: files below ``folder``.
    :returns: video -> reference, or None where there is none.
    :raises DataError: two references share a stem that a video asks for.
    """
    by_place: dict[Path, list[Path]] = {}
    by_stem: dict[str, list[Path]] = {}
    for path in find_videos(references):
        by_place.setdefault(path.relative_to(references).with_suffix(""), []).append(path)
        by_stem.setdefault(path.stem, []).append(path)
    matched: dict[Path, Path | None] = {}
    for video in videos:
        found = by_place.get(video.relative_to(folder).with_suffix("")) or by_stem.get(video.stem, [])
        if len(found) > 1:
            names = ", ".join(str(path) for path in found)
            raise DataError(
                f"{video} has {len(found)} references ({names}); expected one file with the stem {video.stem}"
            )
        matched[video] = found[0] if found else None
    return matched


def score_folder(
    folder: str | Path,
    reference: str | Path | None = None,
    expert: str | Path | AVHubertExpert = "avhubert-mini",
    syncnet: str | Path | SyncNetExpert | None = "syncnet-mini",
    device: str = "cpu",
    seed: int = 0,
    workers: int = 1,
    on_clip: Callable[[Path, Scores | None], None] = lambda video, scores: None,
) -> dict[str, Any]:
    """Score every video below a folder; a clip that fails is listed with the reason and the rest go on.

    :param folder: searched with its sub-folders.
    :param reference: folder of real videos, matched by path below it or by stem (:func:`match_references`); a video
        without one counts as failed.
    :param expert: as ``syncnet``, ``device`` and ``seed``, see :func:`tfg.score`; loaded once per process.
    :param workers: processes, which share the cores. With several, give experts by name or path: a loaded one would be
        sent along with every clip. On a CPU, one worker per core is faster than one worker with a thread per core.
    :param on_clip: called after each clip with its path and scores (None when it failed): for a progress bar.
    :returns: ``clips`` (a list of scores), ``failed`` (video -> reason), ``mean`` and ``std`` (number -> value over the
        clips that have it), ``count`` (number -> how many have it), and ``avs_u_other_clips``: AVS_u of the sound of
        one clip with the lips of another (100 pairs of the first 64 clips, None below two clips), a second chance
        level beside the ``avs_u_chance`` of each clip; :func:`tfg.metrics.chance_values` says what sets them apart.
    :raises DataError: no video, or an ambiguous reference.
    :raises WeightsError, CheckpointError: an expert cannot be loaded.
    """
    folder = Path(folder)
    videos = find_videos(folder)
    matched = match_references(videos, folder, Path(reference)) if reference is not None else {}
    failed = {
        str(video): f"no reference with the stem {video.stem} below {reference}"
        for video, found in matched.items()
        if found is None
    }
    for name in (expert, syncnet):  # a missing expert is no fault of the first clip
        loaded(name, device)
    wanted = [video for video in videos if str(video) not in failed]
    jobs = (delayed(_score_one)(video, matched.get(video), expert, syncnet, device, seed) for video in wanted)
    clips: list[Scores] = []
    features: list[tuple[Float, Float]] = []
    for video, result in zip(wanted, Parallel(workers, return_as="generator")(jobs), strict=True):
        if isinstance(result, str):
            failed[str(video)] = result
        else:
            clips.append(result[0])
            features = [*features, result[1]][:CHANCE_CLIPS]
        on_clip(video, None if isinstance(result, str) else result[0])
    chance = None
    if len(features) > 1:
        heard, seen = [pair[0] for pair in features], [pair[1] for pair in features]
        chance = chance_level(avs_u, heard, seen, seed=seed, n=100)
    return {"folder": str(folder), "clips": clips, "failed": failed, **summary(clips), "avs_u_other_clips": chance}


def _score_one(
    video: Path,
    reference: Path | None,
    expert: str | Path | AVHubertExpert,
    syncnet: str | Path | SyncNetExpert | None,
    device: str,
    seed: int,
) -> tuple[Scores, tuple[Float, Float]] | str:
    """Scores and features, or why there are none."""
    try:
        return score_with_features(video, reference, loaded(expert, device), loaded(syncnet, device), seed=seed)
    except TfgError as error:
        return str(error)


@lru_cache(maxsize=4)
def _load(name: str | Path, device: str, changed: int) -> AVHubertExpert | SyncNetExpert:
    return load_expert(name, device)


def loaded(expert: Any, device: str) -> Any:
    """An expert given by name or path, loaded once per process and version of its file; others as they are."""
    if not isinstance(expert, str | Path):
        return expert
    return _load(expert, device, Path(expert).stat().st_mtime_ns if Path(expert).exists() else 0)


def summary(clips: Sequence[Scores]) -> dict[str, dict[str, Any]]:
    """Mean, standard deviation (n - 1) and count over clips, each clip counting once, of every score."""
    keys = [
        k for k in dict.fromkeys(key for clip in clips for key in clip) if k.startswith(("avs_", "lse_", "offset_"))
    ]
    columns = {key: [clip[key] for clip in clips if isinstance(clip.get(key), int | float)] for key in keys}
    columns = {key: values for key, values in columns.items() if values}
    return {
        "mean": {key: float(np.mean(values)) for key, values in columns.items()},
        "std": {key: float(np.std(values, ddof=1)) if len(values) > 1 else None for key, values in columns.items()},
        "count": {key: len(values) for key, values in columns.items()},
    }
