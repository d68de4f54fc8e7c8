"""Time the whole of ``tfg score`` on real clips: real-time factor and seconds per stage.

    python benchmarks/score_realtime.py CLIP [CLIP ...] [--avhubert mini|base|large] [--syncnet mini|v2] [--repeats 3]

The real-time factor is processing time / video time: below 1, scoring is faster than playing. Networks are of the size
asked for with random weights, because time does not depend on training; loading them is not counted. The first pass
over each clip warms caches and is not counted; of the rest the median is printed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

import tfg
from tfg.experts import AVHubert, AVHubertConfig, AVHubertExpert, SyncNet, SyncNetConfig, SyncNetExpert


def measure(path: Path, experts: dict, repeats: int) -> dict:
    """Median seconds per stage over the repeats, and the real-time factor."""
    tfg.score(path, **experts)
    runs = [tfg.score(path, **experts) for _ in range(repeats)]
    stages = {name: statistics.median(run["stages"][name] for run in runs) for name in runs[0]["stages"]}
    stages.pop("load experts")
    return {
        "clip": str(path),
        "seconds": runs[0]["seconds"],
        "stages": stages,
        "real_time_factor": statistics.median(run["real_time_factor"] for run in runs),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--avhubert", choices=("mini", "base", "large"), default="mini")
    parser.add_argument("--syncnet", choices=("mini", "v2"), default="mini")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the measurements here")
    options = parser.parse_args()
    hubert = AVHubert(getattr(AVHubertConfig, options.avhubert)()).to(options.device)
    sync = SyncNet(getattr(SyncNetConfig, options.syncnet)()).eval().to(options.device)
    experts = {
        "expert": AVHubertExpert(hubert, f"random AV-HuBERT {options.avhubert}"),
        "syncnet": SyncNetExpert(sync, f"random SyncNet {options.syncnet}"),
    }
    found = [measure(path, experts, options.repeats) for path in options.clips]
    machine = f"{os.cpu_count()} cores, {torch.get_num_threads()} torch threads, {platform.machine()}, {options.device}"
    table = Table(title=f"tfg score, AV-HuBERT {options.avhubert}, SyncNet {options.syncnet}; {machine}")
    table.add_column("stage")
    for result in found:
        table.add_column(f"{Path(result['clip']).name}\n{result['seconds']:.1f} s", justify="right")
    for stage in found[0]["stages"]:
        table.add_row(stage, *(f"{result['stages'][stage]:.2f} s" for result in found))
    table.add_section()
    table.add_row("real-time factor", *(f"{result['real_time_factor']:.2f}" for result in found), style="bold")
    Console().print(table)
    if options.json:
        options.json.write_text(json.dumps({"machine": machine, "results": found}, indent=2) + "\n")


if __name__ == "__main__":
    main()
