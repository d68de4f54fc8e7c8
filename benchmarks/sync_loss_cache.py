"""The sync loss on a whole clip: halo cache against the full pass, time and memory.

    python benchmarks/sync_loss_cache.py                        # base, T = 125, k = 5, one thread
    python benchmarks/sync_loss_cache.py --threads 2
    python benchmarks/sync_loss_cache.py --size mini --windows 4

Both compute the same value and gradient: one generated window of k frames in a clip of T, forward and backward. The
full pass composes the frames, crops every mouth and takes every one through the network; it lives here only.

Weights and pictures are random: time does not depend on them. On noise, rounding decides which of two pixels max
pooling takes, so float32 gradients of either pass are about a percent from those in double precision, where the two
passes are equal to 1e-14 (a test holds them to 1e-8).

Runs alternate; where other jobs share the machine, read the minimum. On one thread the process's own processor time is
taken, else the wall clock. Memory is the peak of a process of its own that runs one of the two, above what it held
before.
"""

from __future__ import annotations

import argparse
import ctypes
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from tfg.clip import Clip
from tfg.crops import MEAN_FACE, generator_boxes, mouth_crops_torch, mouth_transforms
from tfg.experts.avhubert import AVHubert, AVHubertConfig
from tfg.experts.expert import AVHubertExpert
from tfg.faces import FaceTrack
from tfg.losses import AVHubertSyncLoss, paste_faces

FRAME, FACE = 256, 96
Pass = Callable[[Tensor], Tensor]


def scene(frames: int) -> tuple[Clip, FaceTrack]:
    """A clip of noise with a face in it that hardly moves."""
    random = np.random.default_rng(0)
    pictures = random.integers(0, 256, (frames, FRAME, FRAME, 3), dtype=np.uint8)
    sound = random.uniform(-0.3, 0.3, 640 * frames).astype(np.float32)
    points = random.uniform((70, 90), (180, 220), (68, 2))
    points[[33, 36, 39, 42, 45]] = MEAN_FACE
    points[48:] = random.uniform((110, 165), (150, 185), (20, 2))
    landmarks = points + random.normal(0, 0.5, (frames, 68, 2))
    return Clip(pictures, sound), FaceTrack(0, frames, landmarks.astype(np.float32), np.ones(frames, bool))


def passes(args: argparse.Namespace) -> tuple[dict[str, Pass], Tensor]:
    """Both ways from the generated faces to the loss, and the faces ``(W, k, 3, S, S)``."""
    torch.manual_seed(0)
    expert = AVHubertExpert(AVHubert(getattr(AVHubertConfig, args.size)()).eval(), args.size)
    # the frozen network packs its weights at their first use, for the gradient too: that is not part of either pass
    blank = {"audio": torch.zeros(1, 1, 104), "video": torch.zeros(1, 1, 88, 88)}
    expert.model.features(**{name: x.requires_grad_() for name, x in blank.items()}).sum().backward()
    clip, track = scene(args.frames)
    loss = AVHubertSyncLoss(expert, floor=1e-6)
    target = loss.prepare(clip, track)
    starts = [round(i) for i in np.linspace(0, args.frames - args.k, args.windows + 2)[1:-1]]
    pictures = torch.from_numpy(clip.frames).permute(0, 3, 1, 2).float() / 255
    boxes, transforms = torch.from_numpy(generator_boxes(track)), torch.from_numpy(mouth_transforms(track))

    def cached(faces: Tensor) -> Tensor:
        return loss(faces[None], target, [starts]).loss

    def full(faces: Tensor) -> Tensor:
        frames = list(pictures)
        for window, start in zip(faces, starts, strict=True):
            here = slice(start, start + args.k)
            frames[here] = paste_faces(pictures[here], window, boxes[here])
        video = mouth_crops_torch(torch.stack(frames), transforms)
        features = expert.model.features(video=video[None])[0]
        cosine = torch.cosine_similarity(target.reference, features, dim=-1)
        means = torch.stack([cosine[start : start + args.k].mean() for start in starts])
        return -means.clamp_min(1e-6).log().mean()

    return {"full": full, "cached": cached}, torch.rand(args.windows, args.k, 3, FACE, FACE)


def step(compute: Pass, faces: Tensor) -> tuple[float, Tensor]:
    """Forward and backward: the loss and its gradient to the faces."""
    faces = faces.clone().requires_grad_()
    value = compute(faces)
    value.backward()
    assert faces.grad is not None
    return float(value.detach()), faces.grad


def memory_mib(entry: str) -> float:
    """``VmRSS`` (held now) or ``VmHWM`` (the peak) of this process. `getrusage` would include the parent's peak."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith(entry))


def report_memory(args: argparse.Namespace) -> None:
    """In a process of its own: the peak of one of the passes above what is held when it begins."""
    both, faces = passes(args)
    ctypes.CDLL(None).malloc_trim(0)  # what preparing has freed goes back to the system, or it would hide the peak
    before = memory_mib("VmRSS")
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # the peak starts anew: preparing the clip does not count
    step(both[args.memory_of], faces)
    print(memory_mib("VmHWM") - before)


def main() -> None:
    parser = argparse.ArgumentParser(description="AVHubertSyncLoss: halo cache against the full pass")
    parser.add_argument("--size", default="base", choices=["mini", "base", "large"])
    parser.add_argument("--frames", type=int, default=125, help="length of the clip at 25 frames a second")
    parser.add_argument("--k", type=int, default=5, help="frames of a window")
    parser.add_argument("--windows", type=int, default=1, help="windows inserted together")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--memory-of", choices=["full", "cached"], help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.memory_of:
        return report_memory(args)
    both, faces = passes(args)
    clock, clock_name = (
        (time.process_time, "processor time") if args.threads == 1 else (time.perf_counter, "wall clock")
    )
    seconds: dict[str, list[float]] = {name: [] for name in both}
    results: dict[str, tuple[float, Tensor]] = {}
    for run in range(args.runs + 1):
        for name, compute in both.items():
            begin = clock()
            results[name] = step(compute, faces)
            if run > 0:  # the first warms up
                seconds[name].append(clock() - begin)
    (value, gradient), (other, other_gradient) = results["full"], results["cached"]
    apart = float((gradient - other_gradient).norm() / gradient.norm())
    print(
        f"{args.size}, T = {args.frames}, k = {args.k}, windows: {args.windows}, threads: {args.threads}, {clock_name}"
    )
    print(f"value {value:.6f} and {other:.6f}, gradients apart by {apart:.1e} of their norm")
    print(f"{'':8} {'min s':>8} {'median s':>9} {'peak MiB':>9}")
    for name, times in seconds.items():
        command = [sys.executable, __file__, *sys.argv[1:], "--memory-of", name]
        memory = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        print(f"{name:8} {min(times):8.3f} {float(np.median(times)):9.3f} {memory:9.0f}", flush=True)
    best = min(seconds["full"]) / min(seconds["cached"])
    print(f"ratio    {best:8.2f} {float(np.median(seconds['full']) / np.median(seconds['cached'])):9.2f}")


if __name__ == "__main__":
    main()
