"""Scores of a folder of videos: which files, which reference belongs to which, and the mean over clips."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfg.errors import DataError, TfgError
from tfg.metrics.report import Scores, score

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
    on_clip: Callable[[Path, Scores | None], None] = lambda video, scores: None,
    **options: Any,
) -> dict[str, Any]:
    """Score every video below a folder; a clip that fails is listed with the reason and the rest go on.

    :param folder: searched with its sub-folders.
    :param reference: folder of real videos, matched by path below it or by stem (:func:`match_references`); a video
        without one counts as failed.
    :param on_clip: called after each clip with its path and scores (None when it failed): for a progress bar.
    :param options: of :func:`tfg.score`; give ``expert`` and ``syncnet`` loaded, or they are loaded for every clip.
    :returns: ``clips`` (a list of scores), ``failed`` (video -> reason), ``mean`` and ``std`` (number -> value over the
        clips that have it), ``count`` (number -> how many have it).
    :raises DataError: no video, or an ambiguous reference.
    """
    folder = Path(folder)
    videos = find_videos(folder)
    matched = match_references(videos, folder, Path(reference)) if reference is not None else {}
    clips: list[Scores] = []
    failed: dict[str, str] = {}
    for video in videos:
        scores = None
        if reference is not None and matched[video] is None:
            failed[str(video)] = f"no reference with the stem {video.stem} below {reference}"
        else:
            try:
                scores = score(video, matched.get(video), **options)
                clips.append(scores)
            except TfgError as error:
                failed[str(video)] = str(error)
        on_clip(video, scores)
    return {"folder": str(folder), "clips": clips, "failed": failed, **summary(clips)}


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
