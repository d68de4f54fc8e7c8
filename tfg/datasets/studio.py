"""The embedded studio clips: rendered talking heads with known truth for every frame.

    from tfg.datasets import studio
    studio.names("train")            # names of clips
    clip = studio.read("ada-boat")   # tfg.Clip, 256 x 256, 25 fps, 16 kHz
    truth = studio.truth("ada-boat") # phoneme, viseme, mouth opening, head pose per frame

The clips are made by :mod:`tfg.datasets.studio_make` from ``assets/studio/recipe.json``. Picture and sound are in step
by construction: the A/V offset is 0.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from tfg.clip import Clip
from tfg.datasets.studio_speech import Phone
from tfg.errors import DataError
from tfg.media import read_clip

SPLITS = ("train", "val", "test")


@dataclass(frozen=True, eq=False)
class StudioTruth:
    """What is known of one clip of T frames. Frame i shows the mouth at (i + 0.5) / 25 s, the middle of its time.

    ``phoneme`` and ``viseme``: one label a frame (ARPAbet in lower case, 'pau' is silence; classes of
    :data:`tfg.datasets.studio_speech.VISEMES`). ``phones``: the timed phones. ``opening`` float32 (T,): distance
    between the middles of the inner lips over the distance between the outer eye corners (0 is closed).
    ``articulation`` float32 (T, 9): :data:`tfg.datasets.studio_deform.CHANNELS`. ``rotation`` float32 (T, 3): yaw,
    pitch, roll in degrees; ``blink`` float32 (T,) 0..1. ``av_offset`` in frames, always 0.
    ``split``: 'train', 'val' (held-out sentences of training talkers) or 'test' (talkers that training never sees).
    """

    name: str
    identity: str
    voice: str
    text: str
    split: str
    phones: tuple[Phone, ...]
    phoneme: tuple[str, ...]
    viseme: tuple[str, ...]
    opening: np.ndarray
    articulation: np.ndarray
    rotation: np.ndarray
    blink: np.ndarray
    av_offset: int = 0

    @property
    def n_frames(self) -> int:
        """T."""
        return len(self.opening)


def folder() -> Path:
    """Where the embedded clips are."""
    return Path(str(resources.files("tfg") / "assets" / "studio"))


@cache
def recipe() -> dict[str, Any]:
    """The committed recipe: identities, and per clip its text, voice, light, motion and split."""
    data: dict[str, Any] = json.loads((folder() / "recipe.json").read_text())
    return data


def names(split: str | None = None, *, identity: str | None = None) -> list[str]:
    """Names of the clips, all or those of one ``split`` ('train', 'val', 'test') or ``identity``.

    :raises DataError: the split or the identity does not exist.
    """
    clips = recipe()["clips"]
    known = sorted({c["identity"] for c in clips})
    if split is not None and split not in SPLITS:
        raise DataError(f"studio has no split {split!r}: expected one of {', '.join(SPLITS)}, or None for all")
    if identity is not None and identity not in known:
        raise DataError(f"studio has no identity {identity!r}: expected one of {', '.join(known)}, or None for all")
    return [c["name"] for c in clips if split in (None, c["split"]) and identity in (None, c["identity"])]


def path(name: str) -> Path:
    """The clip's file (H.264 + AAC in MP4).

    :raises DataError: there is no such clip, or its file is missing from the installation.
    """
    if name not in names():
        raise DataError(f"studio has no clip {name!r}: expected one of {', '.join(names())}")
    file = folder() / f"{name}.mp4"
    if not file.is_file():
        raise DataError(
            f"{file}: missing; reinstall the package, or render it: python -m tfg.datasets.studio_make {name}"
        )
    return file


def read(name: str) -> Clip:
    """The clip in memory: frames uint8 (T, 256, 256, 3), audio float32 (640 T,)."""
    return read_clip(path(name))


def truth(name: str) -> StudioTruth:
    """What is known of every frame of the clip.

    :raises DataError: there is no such clip, or its truth file is missing or does not fit this version.
    """
    file = path(name).with_suffix(".json")
    try:
        data: dict[str, Any] = json.loads(file.read_text())
        data["phones"] = tuple(Phone(str(label), float(start), float(end)) for label, start, end in data["phones"])
        for key in ("phoneme", "viseme"):
            data[key] = tuple(data[key])
        for key in ("opening", "articulation", "rotation", "blink"):
            data[key] = np.array(data[key], np.float32)
        return StudioTruth(**data)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{file}: cannot be read as the truth of a studio clip ({error}); reinstall the package, or render it "
            f"again: python -m tfg.datasets.studio_make {name}"
        ) from error
