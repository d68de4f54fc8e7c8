"""The numbers of one clip in every row of the table, kept in files so that a run that was cut off goes on."""

from __future__ import annotations

import glob
import json
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfg.errors import MetricError, TfgError
from tfg.evaluation.pairs import CHANCE, REAL
from tfg.evaluation.pictures import Region, compare_pictures, fid_pictures
from tfg.evaluation.wrong_time import WrongTime
from tfg.experts.checkpoints import file_sha256
from tfg.metrics.corpus import loaded
from tfg.metrics.fid import Features, inception_features
from tfg.metrics.report import Scores, chance_shift, score
from tfg.metrics.seen import Seen, Stopwatch

_SCORES = ("avs_", "lse_", "offset_")


@dataclass(frozen=True)
class Settings:
    """What decides the numbers, besides the videos.

    :ivar expert, syncnet: names or paths, see :func:`tfg.load_expert`.
    :ivar inception: path of Inception's weights, None to leave FID out.
    :ivar region: see :data:`tfg.evaluation.pictures.REGIONS`.
    :ivar device: where the networks run.
    :ivar seed: of the chance row.
    """

    expert: str = "avhubert-mini"
    syncnet: str = "syncnet-mini"
    inception: str | None = None
    region: Region = "face"
    device: str = "cpu"
    seed: int = 0


@dataclass(frozen=True)
class Kept:
    """One clip of one row on disk: its numbers, and Inception's features of its pictures.

    :ivar numbers: json with ``numbers``, ``warnings``, ``seconds``, and the ``key`` that they were measured for.
    """

    numbers: Path

    @classmethod
    def at(cls, out: Path, row: str, name: str) -> Kept:
        return cls(out / "clips" / row / f"{name}.json")

    def features(self, weights: str) -> Path:
        """npy, ``(n, 2048)``, by the weights of this path."""
        return self.numbers.with_suffix(f".{digest(weights)[:8]}.npy")

    def read(self, key: Any) -> Scores | None:
        """What was measured, if it was measured for this key."""
        try:
            found = json.loads(self.numbers.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        return dict(found) if found.get("key") == key else None

    def write(self, content: Scores) -> None:
        self.numbers.parent.mkdir(parents=True, exist_ok=True)
        for stale in self.numbers.parent.glob(f"{glob.escape(self.numbers.stem)}.????????.npy"):
            stale.unlink()  # the features belong to what is replaced
        temporary = self.numbers.with_name(f".{self.numbers.name}.{os.getpid()}.tmp")
        temporary.write_text(json.dumps(content, indent=1), encoding="utf-8")
        temporary.replace(self.numbers)


@lru_cache
def digest(weights: str) -> str:
    """SHA-256 of a file, computed once per process."""
    return file_sha256(weights)


def measure_clip(
    name: str, real: Path, made: Mapping[str, Path | str], settings: Settings, out: Path
) -> dict[str, Scores | str]:
    """Every row's numbers of one clip; what is on disk already is not measured again.

    :param name: of the clip.
    :param real: the real video.
    :param made: method -> its video of this clip, or why there is none.
    :param out: the evaluation's folder.
    :returns: row -> ``{"numbers": ..., "warnings": ..., "seconds": ...}``, or the reason why there are none.
    :raises WeightsError, CheckpointError: a network cannot be loaded.
    """
    missing: dict[str, Scores | str] = {row: path for row, path in made.items() if isinstance(path, str)}
    if missing:  # the clip will be in no row
        return missing
    hubert, sync = (loaded(expert, settings.device) for expert in (settings.expert, settings.syncnet))
    if settings.inception:
        _features(settings.inception, settings.device)  # wrong weights are no fault of the first clip
    experts = [hubert.protocol, sync.protocol, settings.region, settings.seed]
    files = {REAL: real, CHANCE: real, **{row: Path(path) for row, path in made.items()}}
    found: dict[str, Scores | str] = {}
    work = _Clip(name, real, settings)
    for row, path in files.items():
        kept = Kept.at(out, row, name)
        key = json.loads(json.dumps([row, file_identity(real), file_identity(path), *experts]))
        try:
            numbers = kept.read(key)
            if numbers is None:
                numbers = {"key": key, **work.measure(row, path)}
                kept.write(numbers)
            if settings.inception and row != CHANCE and not kept.features(settings.inception).is_file():
                work.write_features(row, path, kept.features(settings.inception))
        except TfgError as error:
            found[row] = str(error)
            if row == REAL:
                break  # nothing to compare the others with
        else:
            found[row] = numbers
    return found


class _Clip:
    """One clip at work: the real video is read and tracked once, when first needed."""

    def __init__(self, name: str, real: Path, settings: Settings) -> None:
        self.name, self.path, self.settings = name, real, settings
        self.hubert, self.sync = (loaded(expert, settings.device) for expert in (settings.expert, settings.syncnet))
        self._real: Seen | None = None
        self._last: tuple[Path, Seen] | None = None
        self._watch = Stopwatch()

    @property
    def real(self) -> Seen:
        if self._real is None:
            self._real = Seen(self.path, self.hubert, self._watch)
        return self._real

    def seen(self, row: str, path: Path) -> Seen:
        if row == REAL:
            return self.real
        if row == CHANCE:
            return self._at_the_wrong_time()
        if self._last is None or self._last[0] != path:
            self._last = path, Seen(path, self.hubert, self._watch)
        return self._last[1]

    def measure(self, row: str, path: Path) -> Scores:
        self._watch = Stopwatch()
        seen = self.seen(row, path)
        found = score(seen, self.real, self.hubert, self.sync, seed=self.settings.seed)
        with self._watch("pictures"):
            pictures = compare_pictures(seen.video, seen.track, self.real.video, self.real.track, self.settings.region)
        numbers = {k: v for k, v in found.items() if k.startswith(_SCORES) and isinstance(v, int | float)}
        facts = {k: found[k] for k in ("n_frames", "face_coverage")}
        stages = {k: round(v, 3) for k, v in (self._watch.stages | found["stages"]).items()}
        return {"numbers": {**facts, **numbers, **pictures}, "warnings": found["warnings"], "seconds": stages}

    def write_features(self, row: str, path: Path, out: Path) -> None:
        real, features = self.real, _features(str(self.settings.inception), self.settings.device)
        pictures = fid_pictures(self.seen(row, path).video, real.video, real.track, self.settings.region)
        found: NDArray[np.floating] = features(pictures)
        temporary = out.with_name(f".{out.name}.{os.getpid()}.tmp.npy")
        np.save(temporary, found)
        temporary.replace(out)

    def _at_the_wrong_time(self) -> Seen:
        track = self.real.track
        least = chance_shift(len(track))
        if least < 1:
            raise MetricError(f"{self.path}: the face is seen in {len(track)} frames: too few to put at a wrong time")
        draw = np.random.default_rng([self.settings.seed, zlib.crc32(self.name.encode())])
        shift = int(draw.integers(least, len(track) - least, endpoint=True))
        moved = WrongTime(self.real.video, track.start, track.stop, shift)
        return Seen(moved, self.hubert, self._watch, [moved.moved(track)])


@lru_cache(maxsize=1)
def _features(weights: str, device: str) -> Features:
    return inception_features(weights, device)


def file_identity(path: Path) -> list[Any]:
    """Changes when the file does."""
    found = path.stat()
    return [path.name, found.st_size, found.st_mtime_ns]
