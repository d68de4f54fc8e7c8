"""A face tracker held against the truth of the studio clips: does it find the face, the points, the opening?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from tfg.clip import Clip
from tfg.datasets import studio
from tfg.datasets.studio_film import PORTRAIT, animate, scene
from tfg.datasets.studio_head import Head
from tfg.datasets.studio_render import landmarks
from tfg.datasets.studio_speech import frame_times
from tfg.datasets.studio_truth import StudioTruth
from tfg.errors import DataError
from tfg.faces import FaceTrack, track_face

#: Runs of the 68 points.
PARTS: Mapping[str, slice] = MappingProxyType(
    {
        "jaw": slice(0, 17),
        "brows": slice(17, 27),
        "nose": slice(27, 36),
        "eyes": slice(36, 48),
        "mouth": slice(48, 68),
    }
)


@dataclass(frozen=True, eq=False)
class TrackerCheck:
    """One clip: its ``track``, its ``truth`` and, but for the portrait, the true ``landmarks`` float32 (T, 68, 2)."""

    clip: Clip
    truth: StudioTruth
    track: FaceTrack
    landmarks: np.ndarray | None

    @property
    def coverage(self) -> float:
        """Share of the clip's frames in which the tracker saw the face."""
        return float(self.track.observed.sum()) / self.clip.n_frames

    @property
    def openings(self) -> tuple[np.ndarray, np.ndarray]:
        """Measured and true opening of the mouth, each (track's frames,), in eye-corner distances."""
        return self.track.mouth_opening, self.truth.opening[self.track.start : self.track.stop]

    def correlation(self, shift: int = 0) -> float:
        """Correlation of measured opening and the true one ``shift`` frames later."""
        measured, true = self.openings
        n = len(measured) - abs(shift)
        return float(np.corrcoef(measured[max(-shift, 0) :][:n], true[max(shift, 0) :][:n])[0, 1])

    def error(self, part: str) -> float:
        """Mean distance of the tracked points of ``part`` from the true ones, in percent of the eye-corner distance.

        :raises DataError: no such part, or the clip is the portrait's, whose true points nobody knows.
        """
        if part not in PARTS:
            raise DataError(f"part is {part!r}; expected one of {', '.join(PARTS)}")
        if self.landmarks is None:
            raise DataError(f"{self.truth.name}: the true landmarks of the portrait are not known; use a rendered clip")
        true = self.landmarks[self.track.start : self.track.stop]
        away = np.linalg.norm(self.track.landmarks - true, axis=-1)[:, PARTS[part]].mean()
        eyes = np.linalg.norm(true[:, 36] - true[:, 45], axis=-1).mean()
        return float(100 * away / eyes)


def check_tracker(name: str) -> TrackerCheck:
    """Track the face of the embedded clip ``name`` and look up what is true of it (nothing is rendered for that).

    :raises DataError: there is no such clip.
    """
    clip, truth, entry = studio.read(name), studio.truth(name), studio.entry(name)
    points = None
    if entry["identity"] != PORTRAIT:
        articulation, motion, _ = animate(entry, truth.phones, frame_times(truth.n_frames))
        head = Head(studio.identity(entry["identity"]))
        points = landmarks(head, scene(entry), articulation, motion)
    return TrackerCheck(clip, truth, track_face(clip), points)
