"""Time ``tfg dub``: seconds per second of film, by stage, beside the film's length.

    python benchmarks/dub.py                                      # embedded clips at three sizes; a minute on one core
    python benchmarks/dub.py --face FACE --audio AUDIO            # your own
    python benchmarks/dub.py --generator wav2lip_gan.pth

Stages are wall clock. The encoder and decoder have threads of their own, so ``processor`` is given as well: the time of
all threads together, what the whole takes on one core. Without ``--generator`` the mini generator has random weights:
time does not depend on them. A first short run, which loads libraries and models, is not counted.
"""

from __future__ import annotations

import argparse
import platform
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from tfg.clip import Clip
from tfg.datasets import studio
from tfg.dubbing import dub
from tfg.generator import Generator, load_generator
from tfg.generator_inputs import FaceGenerator
from tfg.media_write import open_film

STAGES = ("sound", "decode", "track", "generate", "paste", "mark", "encode")
SIZES = ((256, 256, 25), (1280, 720, 25), (1280, 720, 50), (1920, 1080, 25))


def enlarged(clip: Clip, width: int, height: int, rate: int, path: Path) -> Path:
    """The clip in the middle of a larger frame at another rate, as a file."""
    with open_film(path, width, height, rate=rate) as film:
        for i in range(clip.n_frames * rate // 25):
            face = cv2.resize(clip.frames[i * 25 // rate], (height, height), interpolation=cv2.INTER_CUBIC)
            side = (width - height) // 2
            film.picture(np.pad(face, ((0, 0), (side, width - height - side), (0, 0)), mode="edge"), i)
        film.sound(clip.audio[None])
    return path


def measure(face: Path, audio: Path, generator: FaceGenerator, folder: Path) -> dict[str, float]:
    """Seconds per second of film."""
    clock, process = time.perf_counter(), time.process_time()
    report = dub(face, audio, folder / "out.mp4", generator)
    whole = {"whole": time.perf_counter() - clock, "processor": time.process_time() - process}
    return {key: seconds / report.seconds for key, seconds in {**report.stages, **whole}.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--face", type=Path)
    parser.add_argument("--audio", type=Path, default=studio.path("ada-boat"))
    parser.add_argument("--generator", help="a name or file; by default the mini generator with random weights")
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    generator = load_generator(options.generator) if options.generator else Generator().eval().requires_grad_(False)
    clip = studio.read("portrait-space")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        dub(studio.folder() / "portrait.jpg", options.audio, folder / "out.mp4", generator)
        if options.face:
            faces = {options.face.name: options.face}
        else:
            faces = {
                f"{w}x{h}, {rate}/s": enlarged(clip, w, h, rate, folder / f"{w}-{h}-{rate}.mp4") for w, h, rate in SIZES
            }
        found = {label: measure(face, options.audio, generator, folder) for label, face in faces.items()}
    drawn_by = options.generator or "the mini generator"
    table = Table(title=f"tfg dub with {drawn_by}: seconds per second of film; {platform.machine()}, one torch thread")
    table.add_column("stage")
    for label in found:
        table.add_column(label, justify="right")
    for stage in (*STAGES, "whole", "processor"):
        if stage == "whole":
            table.add_section()
        table.add_row(stage, *(f"{times.get(stage, 0):.2f}" for times in found.values()))
    Console().print(table)


if __name__ == "__main__":
    main()
