"""The mini generators on clips they were not trained on: the packaged one, and three that differ in the sync loss.

Four sets of face clips, from near to far: the talker they know, talkers they never saw, rendered talkers they know and
others. Rows have the figures of :mod:`tfg.training.held_out`, of every clip, and LMD of some clips, whose faces are
searched anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tfg.clip import Clip
from tfg.errors import DataError
from tfg.experts.expert import AVHubertExpert, SyncNetExpert
from tfg.experts.registry import get_weights
from tfg.faces import track_face
from tfg.generated import generated_clip
from tfg.generator import load_generator
from tfg.metrics.landmarks import landmark_distance
from tfg.studies.ablation import REAL, STILL
from tfg.studies.setup import AVHUBERT, KNOWN, SYNCNET, UNSEEN, Setup
from tfg.training.held_out import RealClip, Row, clip_figures, still_clip

PACKAGED = "generator-mini"
#: Three trainings, equal but for the sync loss; not packaged. The packaged one went on from the last.
TWINS = ("generator-mini-talker", "generator-mini-syncnet", "generator-mini-nosync")
TITLES = {TWINS[0]: "AV-HuBERT's loss", TWINS[1]: "SyncNet's loss", TWINS[2]: "no sync loss", PACKAGED: PACKAGED}
SETS = {KNOWN: 12, UNSEEN: 12, "studio-val": 4, "studio-test": 6}  # set -> clips
TRACKED = 4  # clips of a set for LMD, whose faces are searched anew

Make = Callable[[RealClip], Clip]


def weight_files(folder: Path | None) -> dict[str, Path]:
    """Name -> file: the twins in ``folder``, and the packaged generator.

    :raises DataError: no folder, or a twin is not in it.
    """
    if folder is None:
        raise DataError(f"no twins: set TFG_GENERATORS to the folder with {', '.join(TWINS)} (.safetensors)")
    files = {name: folder / f"{name}.safetensors" for name in TWINS}
    for name, path in files.items():
        if not path.is_file():
            raise DataError(f"{path} is not there; train it with 'tfg train generator {name}' and publish it")
    return {**files, PACKAGED: get_weights(PACKAGED)}


def measure(setup: Setup) -> tuple[dict[str, Any], dict[str, int]]:
    """Set -> clips, rows (figures per clip), and LMD of some clips."""
    experts = setup.experts()
    hubert, syncnet = experts[AVHUBERT], experts[SYNCNET]
    assert isinstance(hubert, AVHubertExpert)
    assert isinstance(syncnet, SyncNetExpert)
    rows = makers(weight_files(setup.generators))
    figures: dict[str, Any] = {}
    for part, count in SETS.items():
        face_clips = setup.face_clips(part, count)
        step = max(1, len(face_clips) // TRACKED)
        tracked = {clip.name for clip in face_clips[::step][:TRACKED]}
        found: dict[str, dict[str, Row]] = {row: {} for row in rows}
        for face_clip in face_clips:
            setup.progress(f"{part}: {face_clip.name}")
            real = RealClip.of(face_clip, hubert)
            for row, make in rows.items():
                made = make(real)
                found[row][real.name] = clip_figures(made, real, hubert, syncnet)
                if real.name in tracked:
                    found[row][real.name]["lmd"] = lip_distance(made, real)
        figures[part] = {
            "clips": [clip.name for clip in face_clips],
            "rows": {row: _columns(list(of_row.values())) for row, of_row in found.items()},
        }
    return figures, {part: len(found["clips"]) for part, found in figures.items()}


def _columns(rows: Sequence[Row]) -> dict[str, list[float]]:
    """Number -> its values, NaN where a clip has none."""
    return {key: [row.get(key, float("nan")) for row in rows] for key in dict.fromkeys(k for row in rows for k in row)}


def per_clip(figures: Mapping[str, Any], part: str) -> dict[str, dict[str, Row]]:
    """Title of the row -> clip -> number -> value, from the result file; a clip lacks what was not measured of it."""
    found = figures[part]
    return {
        TITLES.get(row, row): {
            clip: {key: values[i] for key, values in of_row.items() if values[i] is not None}
            for i, clip in enumerate(found["clips"])
        }
        for row, of_row in found["rows"].items()
    }


def makers(files: Mapping[str, Path]) -> dict[str, Make]:
    """Row -> what makes its clip of a real one."""

    def drawn(path: Path) -> Make:
        generator = load_generator(path)
        return lambda real: generated_clip(generator, real.clip, real.track)

    return {REAL: lambda real: real.clip, STILL: still_clip, **{name: drawn(path) for name, path in files.items()}}


def lip_distance(made: Clip, real: RealClip) -> float:
    """LMD of the mouth in eye distances, the face searched anew in ``made``; a real clip's is the tracker's noise.

    :raises NoFaceError: no face in ``made``.
    """
    return float(landmark_distance(track_face(made), real.track).mouth.mean())
