"""How well the invisible mark of ``tfg dub`` is found, and how often where there is none.

    python benchmarks/dub_mark.py                 # embedded clips; under a minute
    python benchmarks/dub_mark.py FOLDER          # your own videos as well

Robustness: clips are marked, written at crf 18 as ``tfg dub`` does, then changed and written once more. False alarms:
the score of every unmarked clip under the real signs and under many random ones, which stand for as many videos.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from tfg.clip import Clip, Frames
from tfg.datasets import studio
from tfg.dubbing.mark import THRESHOLD, Mark, cell_signs, detect_mark, mark_score
from tfg.media import open_clip, read_clip, write_clip

FRAMES, KEYS = 50, 1000


def scaled(factor: float) -> Callable[[Frames], Frames]:
    def change(frame: Frames) -> Frames:
        size = round(frame.shape[1] * factor), round(frame.shape[0] * factor)
        return np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC))

    return change


def noisy(frame: Frames) -> Frames:
    noise = np.random.default_rng(int(frame[::16, ::16].sum())).normal(0, 6, frame.shape)
    return (frame + noise).clip(0, 255).astype(np.uint8)


def same(frame: Frames) -> Frames:
    return frame


CHANGES: dict[str, tuple[Callable[[Frames], Frames], float]] = {
    "as dubbed (crf 18)": (same, 0),
    "again at crf 23": (same, 23),
    "again at crf 28": (same, 28),
    "again at crf 33": (same, 33),
    "half the size, crf 23": (scaled(0.5), 23),
    "3/4 of the size, crf 23": (scaled(0.75), 23),
    "twice the size, crf 23": (scaled(2), 23),
    "brighter, flatter, crf 23": (lambda f: (f * 0.8 + 40).astype(np.uint8), 23),
    "noise of 6 levels, crf 23": (noisy, 23),
    "blur of 1 pixel, crf 23": (lambda f: np.asarray(cv2.GaussianBlur(f, (0, 0), 1)), 23),
    "2 % cropped, crf 23": (lambda f: f[len(f) // 50 :, f.shape[1] // 50 :], 23),
}


def robustness(clips: list[Clip], folder: Path) -> dict[str, list[float]]:
    """Scores after each change, a clip each."""
    found: dict[str, list[float]] = {name: [] for name in CHANGES}
    for clip in clips:
        frames, mark = clip.frames.copy(), Mark(clip.height, clip.width, "invisible")
        for frame in frames:
            mark.apply(frame)
        write_clip(Clip(frames, clip.audio), folder / "dubbed.mp4")
        dubbed = read_clip(folder / "dubbed.mp4")
        for name, (change, crf) in CHANGES.items():
            path = folder / ("changed.mp4" if crf else "dubbed.mp4")
            if crf:
                changed = np.stack([change(frame) for frame in dubbed.frames])
                write_clip(Clip(changed, dubbed.audio), path, crf=crf)
            found[name].append(detect_mark(path).score)
    return found


def false_alarms(paths: list[Path]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scores of unmarked videos: under the real signs ``(videos,)``, under random ones ``(videos, KEYS)``."""
    real, other = [], []
    random = np.random.default_rng(0)
    for path in paths:
        blocks = [block[::5] for block in open_clip(path, audio="optional", duration=20).blocks(50)]
        grey = np.concatenate(blocks)[:100].astype(np.float64) @ [0.299, 0.587, 0.114]
        mean = grey.mean(axis=0)
        real.append(mark_score(mean))
        shape = cell_signs(*mean.shape).shape
        other.append([mark_score(mean, random.choice([-1, 1], shape).astype(np.float32)) for _ in range(KEYS)])
    return np.array(real), np.array(other)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path)
    options = parser.parse_args()
    paths = [studio.path(name) for name in studio.names()]
    if options.folder:
        paths += sorted(p for p in options.folder.rglob("*") if p.suffix in (".mp4", ".mpg", ".mkv", ".mov"))
    chosen = paths[:: max(1, len(paths) // 8)]
    clips = [read_clip(path, duration=FRAMES / 25, audio="optional") for path in chosen]
    with tempfile.TemporaryDirectory() as folder:
        found = robustness(clips, Path(folder))
    table = Table(title=f"score of the mark in {len(clips)} clips of {FRAMES} frames (found above {THRESHOLD:g})")
    for title in ("after", "lowest", "median", "found"):
        table.add_column(title, justify="left" if title == "after" else "right")
    for name, scores in found.items():
        share = np.mean(np.array(scores) > THRESHOLD)
        table.add_row(name, f"{min(scores):.1f}", f"{np.median(scores):.1f}", f"{share:.0%}")
    console = Console()
    console.print(table)
    real, other = false_alarms(paths)
    console.print(
        f"without the mark: {len(real)} videos score {real.min():.1f} to {real.max():.1f} (mean {real.mean():.2f}, "
        f"deviation {real.std():.2f}); under {other.size} random keys the deviation is {other.std():.3f}, the highest "
        f"{other.max():.2f}, above the threshold {np.sum(other > THRESHOLD)}",
        highlight=False,
    )


if __name__ == "__main__":
    main()
