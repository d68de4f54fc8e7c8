"""Clips as a generator is trained on them: the video cut around the face, and the face's track.

A folder of face clips holds ``face_clips.json`` (the layout's version) and two files per clip::

    NAME.mp4   the pictures around the face (H.264, 25 per second) and the sound (AAC, 16 kHz)
    NAME.npz   landmarks float32 (T, 68, 2) in pixels of that picture; observed bool (T,)

Unlike :mod:`tfg.datasets.prepared` it stores no crops: a generator of any size, and any expert behind the loss, cut
their own from it. Pictures stay a video because they would not fit otherwise: LRS2's 29 hours, as the crops that two
experts and a generator of 96 pixels read, are 150 GB.
"""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tfg.clip import Clip
from tfg.crops import face_transforms_syncnet, generator_boxes, wav2lip_boxes
from tfg.errors import DataError
from tfg.faces import FaceTrack
from tfg.media import read_clip
from tfg.media_write import write_clip

LAYOUT = {"layout": "face clips", "version": 1}
HEADER, REJECTED = "face_clips.json", "rejected.csv"
CRF = 16  # of H.264: below what is called visually lossless, since the source was compressed once already
_MARGIN = 8  # pixels around what any crop reads


@dataclass(frozen=True)
class FaceClip:
    """One clip of a folder: files, read when asked for."""

    folder: Path
    name: str

    @property
    def path(self) -> Path:
        """The video."""
        return self.folder / f"{self.name}.mp4"

    @property
    def frames(self) -> int:
        """Its length, without decoding it.

        :raises DataError: the landmarks are missing or damaged.
        """
        return len(self._landmarks()[0])

    def read(self) -> tuple[Clip, FaceTrack]:
        """The clip and the track of its face, which covers all of it.

        :raises DataError: a file is missing or damaged, or the two do not belong together.
        """
        clip, track = read_clip(self.path), self.track()
        if len(track) != clip.n_frames:
            raise DataError(
                f"{self.path}: {clip.n_frames} frames, but landmarks of {len(track)}; delete both files of this "
                "clip and prepare it again"
            )
        return clip, track

    def track(self) -> FaceTrack:
        """The track alone, without decoding the video.

        :raises DataError: the landmarks are missing or damaged.
        """
        landmarks, observed = self._landmarks()
        return FaceTrack(0, len(landmarks), landmarks, observed)

    def _landmarks(self) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        path = self.path.with_suffix(".npz")
        try:
            with np.load(path) as arrays:
                return arrays["landmarks"].astype(np.float32), arrays["observed"].astype(np.bool_)
        except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error) as error:
            raise DataError(f"{path}: {error}; delete both files of this clip and prepare it again") from error


def write_face_clip(clip: Clip, track: FaceTrack, folder: Path, name: str) -> None:
    """Cut a clip to the face's frames and surroundings and write both files.

    The landmarks are written last, under a temporary name first: a clip that has them is complete.
    """
    clip, track = clip.trim(track.start, track.stop), track.trimmed()
    x0, y0, x1, y1 = _surroundings(track, clip.width, clip.height)
    cut = replace(clip, frames=np.ascontiguousarray(clip.frames[:, y0:y1, x0:x1]))
    write_clip(cut, folder / f"{name}.mp4", crf=CRF)
    temporary = folder / f"{name}.npz.{os.getpid()}.tmp"
    with temporary.open("wb") as file:
        landmarks = (track.landmarks - np.array([x0, y0])).astype(np.float32)
        np.savez_compressed(file, landmarks=landmarks, observed=track.observed)
    temporary.replace(folder / f"{name}.npz")


def _surroundings(track: FaceTrack, width: int, height: int) -> tuple[int, int, int, int]:
    """The pixels that SyncNet's crop and both kinds of generator boxes read in any frame.

    In even numbers, but at the right and lower edge of an odd picture, where the written video repeats the last ones.
    """
    inverse = np.linalg.inv(face_transforms_syncnet(track, 1)[:, :, :2])
    shift = face_transforms_syncnet(track, 1)[:, :, 2:]
    corners = [(inverse @ (np.full((2, 1), place) - shift)).squeeze(-1) for place in (-0.5, 0.5)]
    boxes = np.concatenate([np.concatenate(corners, axis=1), generator_boxes(track), wav2lip_boxes(track)])
    low = np.floor(boxes[:, :2].min(axis=0) - _MARGIN).clip(0).astype(int) // 2 * 2
    high = np.ceil(boxes[:, 2:].max(axis=0) + _MARGIN).astype(int)
    high = np.minimum(low + (high - low + 1) // 2 * 2, (width, height))
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def names(folder: Path) -> list[str]:
    """The names of all complete clips, sorted.

    :raises DataError: not a folder of face clips, or an empty one.
    """
    header = folder / HEADER
    if not header.is_file():
        raise DataError(f"{folder} has no {HEADER}; expected a folder made by 'tfg prepare ... --for generator'")
    try:
        layout = json.loads(header.read_text())
    except ValueError:
        layout = None
    if layout != LAYOUT:
        raise DataError(f"{header} says {header.read_text().strip()}, expected {LAYOUT}: prepare into an empty folder")
    found = sorted(path.stem for path in folder.glob("*.npz"))
    if not found:
        raise DataError(f"{folder} holds no face clip; see {folder / REJECTED}")
    return found


def load(folder: Path, wanted: Iterable[str] | None = None) -> list[FaceClip]:
    """Face clips by name, by default all.

    :raises DataError: a clip is not in the folder.
    """
    available = names(folder)
    chosen = available if wanted is None else list(wanted)
    missing = sorted(set(chosen) - set(available))
    if missing:
        raise DataError(f"{folder} has no clip {missing[0]}; see {folder / REJECTED}, or run 'tfg prepare' again")
    return [FaceClip(folder, name) for name in chosen]
