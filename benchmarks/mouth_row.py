"""Where do mouths lie in the generator's squares? ``Generator.mouth_row`` is what dubbing aims at.

    python benchmarks/mouth_row.py FACES/grid-s1-train FACES/studio-crowd FACES/studio-test

For each folder of face clips (``tfg prepare ... --for generator``): the row of the middle of the lips, as a share of
the square's height, median over each clip's frames; its smallest, median and largest value over up to 40 clips.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tfg.crops import MOUTH
from tfg.datasets import face_clips
from tfg.generator import Generator
from tfg.identity import points_in_square

CLIPS, SIZE = 40, 96


def main(folders: Sequence[str]) -> None:
    """Print a line per folder."""
    print(f"Generator.mouth_row: {Generator.mouth_row}")
    for folder in map(Path, folders):
        clips = face_clips.load(folder)
        count = min(CLIPS, len(clips))
        tracks = [clips[i * len(clips) // count].track() for i in range(count)]
        lips = [points_in_square(track, Generator.boxes(track), SIZE)[:, MOUTH, 1] for track in tracks]
        rows = [(np.median(each.mean(axis=1)) + 0.5) / SIZE for each in lips]
        low, middle, high = np.percentile(rows, [0, 50, 100])
        print(f"{folder.name:16} {count:3} clips: {low:.3f}, {middle:.3f}, {high:.3f}")


if __name__ == "__main__":
    main(sys.argv[1:])
