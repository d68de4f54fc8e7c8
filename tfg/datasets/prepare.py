"""Videos to what training reads, in parallel, resumable, with a list of what was left out.

Two layouts: ``"experts"``, the crops and features of both experts (:mod:`tfg.datasets.prepared`), and ``"generator"``,
the video around the face (:mod:`tfg.datasets.face_clips`).

A file is written under a temporary name and renamed, so an interrupted run can simply be started again; clips that
cannot be used are listed in ``rejected.csv`` with the reason.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from rich.progress import track as progress

from tfg.audio import mfcc, stacked_filterbank
from tfg.clip import Clip
from tfg.crops import face_crops_syncnet, mouth_crops
from tfg.datasets import cluster, face_clips, prepared
from tfg.errors import DataError, TfgError
from tfg.faces import track_face
from tfg.media import read_clip


@dataclass(frozen=True)
class Source:
    """A clip to prepare: what gives it, and the name (unique in the folder, no path separators) of its ``.npz``.

    ``read`` is called in a worker process, so it must be picklable: ``partial(read_clip, path)``, or a renderer.
    """

    read: Callable[[], Clip]
    name: str

    @classmethod
    def file(cls, path: Path, name: str) -> Source:
        """A video file."""
        return cls(partial(read_clip, path), name)


Layout = Literal["experts", "generator"]
_HEADERS = {"experts": (prepared.HEADER, prepared.LAYOUT), "generator": (face_clips.HEADER, face_clips.LAYOUT)}


def prepare_clip(clip: Clip) -> dict[str, NDArray[np.generic]]:
    """Track the face of one clip and crop it.

    :raises NoFaceError: there is none.
    """
    track = track_face(clip)
    if (track.start, track.stop) != (0, clip.n_frames):
        clip = clip.trim(track.start, track.stop)
        track = track.trimmed()
    return {
        "mouth": mouth_crops(clip, track),
        "face": face_crops_syncnet(clip, track, size=prepared.LAYOUT["face_size"]),
        "fbank": stacked_filterbank(clip.audio, clip.n_frames),
        "mfcc": mfcc(clip.audio),
    }


def _prepare_one(source: Source, folder: Path, layout: Layout) -> str | None:
    """Prepare one clip; the reason is returned when it has to be left out."""
    import cv2
    import torch

    torch.set_num_threads(1)  # one process per core: threads inside would only fight
    cv2.setNumThreads(1)
    try:
        clip = source.read()
        if layout == "generator":
            face_clips.write_face_clip(clip, track_face(clip), folder, source.name)
            return None
        arrays = prepare_clip(clip)
    except (TfgError, OSError) as error:
        return str(error)
    target = folder / f"{source.name}.npz"
    temporary = target.with_suffix(f".{os.getpid()}.tmp")
    with temporary.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
    temporary.replace(target)
    return None


def prepare(
    sources: Sequence[Source],
    folder: Path,
    workers: int | None = None,
    layout: Layout = "experts",
    *,
    on_cluster: bool = False,
) -> dict[str, str]:
    """Prepare many videos in parallel; those already there are kept.

    :param layout: who will read them.
    :param on_cluster: on a Ray cluster (:mod:`tfg.datasets.cluster`), whose machines share ``folder``.
    :returns: name -> reason, for the clips that were left out (also in ``folder/rejected.csv``).
    :raises DataError: the folder was prepared by another version of the layout, or there is no cluster.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name, expected = _HEADERS[layout]
    other = next((n for n, _ in _HEADERS.values() if n != name and (folder / n).is_file()), None)
    if other:
        raise DataError(f"{folder / other} says that this folder has another layout: prepare into an empty folder")
    header = folder / name
    if header.is_file() and json.loads(header.read_text()) != expected:
        raise DataError(
            f"{header} says {header.read_text().strip()}, expected {expected}: prepare into an empty folder"
        )
    header.write_text(json.dumps(expected))
    waiting = [s for s in sources if not (folder / f"{s.name}.npz").is_file()]
    rejected: dict[str, str] = {}
    # joblib starts its processes afresh: one forked from a process whose threads hold a lock would wait for it for ever
    jobs = [delayed(_prepare_one)(source, folder.resolve(), layout) for source in waiting]
    if on_cluster:
        results = cluster.run(jobs, workers)
    else:
        results = Parallel(workers or os.cpu_count() or 1, return_as="generator")(jobs)
    for source, reason in zip(waiting, progress(results, description="prepare", total=len(waiting)), strict=True):
        if reason:
            rejected[source.name] = reason
        elif not (folder / f"{source.name}.npz").is_file():
            rejected[source.name] = f"prepared, but not in {folder}: do the machines of the cluster share that folder?"
    list_rejected(rejected, folder)
    return rejected


def list_rejected(rejected: dict[str, str], folder: Path) -> None:
    """Write ``folder/rejected.csv``: names and reasons, of this run."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / prepared.REJECTED).open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["name", "reason"])
        writer.writerows(sorted(rejected.items()))
