"""The generators' cost: parameters, operations, time per frame to draw and to train, beside Wav2Lip's generator.

    python benchmarks/generator.py                          # every size; under a minute on one core
    python benchmarks/generator.py mini wav2lip --runs 20

Weights are random: time does not depend on them. With one thread (the default) the process's own processor time is
taken, which other jobs on the machine disturb less than the wall clock. GFLOPs count a multiplication and an addition
as two. Training is one step's forward and backward pass of an L1 loss, without sync loss and discriminator.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from tfg.generator import Generator, GeneratorConfig
from tfg.generator_taps import cost
from tfg.wav2lip import Wav2LipGenerator

BUILD: dict[str, Callable[[], Generator | Wav2LipGenerator]] = {
    "mini": lambda: Generator(GeneratorConfig.mini()),
    "size96": lambda: Generator(GeneratorConfig.size96()),
    "size256": lambda: Generator(GeneratorConfig.size256()),
    "wav2lip": Wav2LipGenerator,
}


def inputs(n: int, size: int) -> tuple[Tensor, Tensor, Tensor]:
    return torch.randn(n, 1, 80, 16), torch.rand(n, 3, size, size), torch.rand(n, 3, size, size)


def milliseconds(step: Callable[[], object], runs: int) -> float:
    """The median of ``runs`` calls, after one to warm up."""
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    step()
    times = []
    for _ in range(runs):
        start = clock()
        step()
        times.append(1000 * (clock() - start))
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description="parameters and time per frame of the generators")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BUILD)}; by default all")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--batch", type=int, default=4, help="frames drawn at once")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    if unknown := sorted(set(args.names) - set(BUILD)):
        parser.error(f"unknown: {', '.join(unknown)}; expected some of {', '.join(BUILD)}")
    torch.set_num_threads(args.threads)
    clock = "processor time" if args.threads == 1 else "wall clock"
    print(f"float32, {platform.machine()}, torch {torch.__version__}, {args.threads} threads, {clock}")
    print(f"{'':8} {'pixels':>6} {'params M':>8} {'fp16 MB':>7} {'GFLOPs':>6} {'draw':>15} {'one':>7} {'train':>8}")
    print(f"{'':8} {'':>6} {'':>8} {'':>7} {'':>6} {f'{args.batch} at once, ms':>15} {'ms':>7} {'ms':>8}   per frame")
    for name in args.names or BUILD:
        net = BUILD[name]().eval()
        size, counted = net.image_size, cost(BUILD[name])
        several, one = inputs(args.batch, size), inputs(1, size)
        with torch.inference_mode():
            drawn = milliseconds(lambda net=net, several=several: net(*several), args.runs) / args.batch
            alone = milliseconds(lambda net=net, one=one: net(*one), args.runs)
        trained = milliseconds(
            lambda net=net, several=several: (net(*several) - several[1]).abs().mean().backward(), args.runs
        )
        print(
            f"{name:8} {size:6} {counted['parameters']:8.2f} {2 * counted['parameters']:7.1f} {counted['gflops']:6.2f} "
            f"{drawn:15.1f} {alone:7.1f} {trained / args.batch:8.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
