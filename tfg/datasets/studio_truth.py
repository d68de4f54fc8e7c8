"""What is known of every frame of a rendered clip, and its json file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfg.clip import Clip
from tfg.datasets.studio_speech import Phone
from tfg.media_write import write_clip

CRF = 20
_DIGITS = {"opening": 4, "articulation": 3, "rotation": 2, "blink": 2}


@dataclass(frozen=True, eq=False)
class StudioTruth:
    """What is known of one clip of T frames. Frame i shows the mouth at (i + 0.5) / 25 s, the middle of its time.

    ``phoneme`` and ``viseme``: one label a frame (ARPAbet in lower case, 'pau' is silence; classes of
    :data:`tfg.datasets.studio_speech.VISEMES`). ``phones``: the timed phones. ``opening`` float32 (T,): distance
    between the middles of the inner lips over the distance between the outer eye corners (0 is closed).
    ``articulation`` float32 (T, 9): :data:`tfg.datasets.studio_deform.CHANNELS`. ``rotation`` float32 (T, 3): yaw,
    pitch, roll in degrees; ``blink`` float32 (T,) 0..1. ``av_offset`` in frames, always 0.
    ``split``: 'train', 'val' (held-out sentences of training talkers), 'test' (talkers that training never sees), or
    'new' (not one of the embedded clips).
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

    def to_json(self) -> dict[str, Any]:
        """Plain values, rounded to what a file holds; :meth:`from_json` reads them back."""
        data = asdict(self)
        data["phones"] = [[p.label, p.start, p.end] for p in self.phones]
        for key, digits in _DIGITS.items():
            data[key] = np.round(data[key].astype(np.float64), digits).tolist()
        del data["av_offset"]
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> StudioTruth:
        """Inverse of :meth:`to_json`. Raises KeyError, TypeError or ValueError where ``data`` is something else."""
        values = dict(data)
        values["phones"] = tuple(Phone(str(label), float(start), float(end)) for label, start, end in data["phones"])
        for key in ("phoneme", "viseme"):
            values[key] = tuple(data[key])
        for key in _DIGITS:
            values[key] = np.array(data[key], np.float32)
        return cls(**values)


@dataclass(frozen=True, eq=False)
class StudioClip:
    """A rendered clip and what is known of it."""

    clip: Clip
    truth: StudioTruth

    def write(self, path: str | Path) -> Path:
        """Write ``path`` (H.264 + AAC) and, beside it, the truth as ``.json`` under the file's name; returns ``path``.

        :raises MediaError: the path cannot be written or names no video container.
        """
        path = Path(path)
        write_clip(self.clip, path, crf=CRF)
        partial = path.with_name(f".{path.stem}.json.partial")
        truth = {**self.truth.to_json(), "name": path.stem}
        partial.write_text(json.dumps(truth, separators=(",", ":")) + "\n")
        os.replace(partial, path.with_suffix(".json"))
        return path
