"""Time our whole LSE path against syncnet-python's on one clip: same crops, same weights, one process.

    python benchmarks/syncnet_lse.py [CLIP] [--frames 75] [--repeats 5] [--threads N]

Ours: crops in memory -> MFCC -> embeddings -> distances. Theirs: ``SyncNetInstance.evaluate`` as it is, which reads
the same crops and sound from files. The share of its time that goes into reading is printed, so that the ratio can be
judged without it. Weights are random but equal; time and agreement do not depend on training. Without CLIP, noise.
Needs ``pip install --no-deps syncnet-python==0.2.3 python_speech_features``.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import cv2
import numpy as np
import torch
from scipy.io import wavfile

from tfg.experts.syncnet import SyncNet
from tfg.media import read_clip
from tfg.metrics import LSEResult, lse


def peer_module(name: str) -> ModuleType:
    """A module of syncnet-python by its file: the package itself imports a detection pipeline that is not timed."""
    package = importlib.util.find_spec("syncnet_python")
    if package is None or package.origin is None:
        raise SystemExit("syncnet-python is not installed: pip install --no-deps syncnet-python==0.2.3")
    spec = importlib.util.spec_from_file_location(name, Path(package.origin).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def inputs(clip_path: Path | None, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Crops ``uint8 (T, 224, 224, 3)`` RGB (the middle of the picture) and 16-bit sound of ``640 T`` samples."""
    if clip_path is None:
        random = np.random.default_rng(0)
        crops = random.integers(0, 256, (frames, 224, 224, 3), dtype=np.uint8)
        return crops, random.normal(scale=3000, size=640 * frames).astype(np.int16)
    clip = read_clip(clip_path)
    side = min(clip.height, clip.width)
    top, left = (clip.height - side) // 2, (clip.width - side) // 2
    middle = clip.frames[:frames, top : top + side, left : left + side]
    crops = np.stack([cv2.resize(frame, (224, 224)) for frame in middle])
    return crops, np.round(clip.audio[: 640 * len(crops)] * 32767).astype(np.int16)


def median_seconds(runs: Sequence[Callable[[], Any]], repeats: int) -> tuple[list[float], list[Any]]:
    """Median wall time of each function, and what it returned; they take turns, so that a busy machine hits all."""
    results = [run() for run in runs]  # first calls allocate and choose algorithms
    seconds: list[list[float]] = [[] for _ in runs]
    for _ in range(repeats):
        for i, run in enumerate(runs):
            begin = time.perf_counter()
            run()
            seconds[i].append(time.perf_counter() - begin)
    return [statistics.median(times) for times in seconds], results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path, nargs="?")
    parser.add_argument("--frames", type=int, default=75)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, help="default: torch's own choice")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()

    if options.threads:
        torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    model = peer_module("SyncNetModel").S().eval()
    instance = peer_module("SyncNetInstance").SyncNetInstance(model, device="cpu")
    net = SyncNet()
    net.load_official(model.state_dict())
    net = net.freeze()

    crops, pcm = inputs(options.clip, options.frames)
    with tempfile.TemporaryDirectory() as folder:
        for i, frame in enumerate(crops):
            cv2.imwrite(f"{folder}/{i:06d}.jpg", frame[..., ::-1])
        wavfile.write(f"{folder}/audio.wav", 16_000, pcm)
        files = sorted(Path(folder).glob("*.jpg"))

        def read() -> np.ndarray:
            return np.stack([cv2.imread(str(path)) for path in files])

        crops = read()[..., ::-1]  # what the lossy files hold, so that both see the same pixels
        audio = pcm / np.float32(32768)
        request = SimpleNamespace(tmp_dir=folder, batch_size=20, vshift=15)

        def theirs() -> tuple[int, float, float]:
            with contextlib.redirect_stdout(io.StringIO()):
                return instance.evaluate(request)

        def ours() -> LSEResult:
            return lse(*net.embed(crops, audio))

        times, results = median_seconds((ours, theirs, read), options.repeats)
    our_seconds, their_seconds, reading = times
    result, (offset, confidence, distance), _ = results

    figures = {
        "frames": len(crops),
        "repeats": options.repeats,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "tfg_seconds": round(our_seconds, 3),
        "syncnet_python_seconds": round(their_seconds, 3),
        "of_which_reading_files": round(reading, 3),
        "ratio": round(their_seconds / our_seconds, 2),
        "ratio_without_reading": round((their_seconds - reading) / our_seconds, 2),
        "offset_difference": result.offset - offset,
        "confidence_difference": float(abs(result.lse_c - confidence)),
        "distance_difference": float(abs(result.lse_d - distance)),
    }
    print(json.dumps(figures, indent=2))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
