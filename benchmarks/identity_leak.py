"""Does the place of the moved identity reference tell how far the mouth is open? It must not.

    python benchmarks/identity_leak.py FACES/grid-s1-train FACES/grid-unseen

For some clips of each folder of face clips (``tfg prepare ... --for generator``) and three sets of landmarks that may
say where the reference goes (:data:`tfg.identity.HEAD` is the one in use): the correlation of the lips' opening with
the height at which a point below the reference's nose comes to lie, and how much that height trembles from frame to
frame.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tfg.crops import STABLE_POINTS, generator_boxes
from tfg.datasets import face_clips
from tfg.faces import FaceTrack
from tfg.identity import HEAD, margin_of, points_in_square, reference_moves

CLIPS, SIZE, BELOW = 12, 96, 25  # pixels below the nose: where the mouth is
SETS = {
    "ears, nose, eye corners": HEAD,
    "two more of the jaw a side": [*range(5), *range(12, 17), *range(27, 36), *STABLE_POINTS[1:]],
    "nose and eyes": [*range(27, 48)],
}


def leak(track: FaceTrack, points: Sequence[int]) -> tuple[float, float]:
    """Correlation, and tremble in pixels, with the reference moved by these landmarks."""
    inside = points_in_square(track, generator_boxes(track), SIZE)
    closed = np.full(len(track), int(np.argmin(track.mouth_opening)))
    moves = reference_moves(inside[closed], inside, SIZE, by=points)
    margin = margin_of(SIZE)
    place = np.array([*(inside[closed[0], 33] + [margin, margin + BELOW]), 1.0])
    height = (moves @ place)[:, 1]
    return float(np.corrcoef(height, track.mouth_opening)[0, 1]), float(np.std(np.diff(height)))


def main(folders: Sequence[str]) -> None:
    """Print a line per folder and set."""
    for folder in map(Path, folders):
        clips = face_clips.load(folder)
        tracks = [clips[i * len(clips) // CLIPS].track() for i in range(min(CLIPS, len(clips)))]
        for name, points in SETS.items():
            found = np.array([leak(track, points) for track in tracks])
            correlation, tremble = found.mean(axis=0)
            print(f"{folder.name:16} {name:28} correlation {correlation:+.2f}   tremble {tremble:.3f} px")


if __name__ == "__main__":
    main(sys.argv[1:])
