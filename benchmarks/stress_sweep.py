"""Time a sweep against the loop that it replaces: perturb the clip, then score it from scratch, once per value.

    python benchmarks/stress_sweep.py [CLIP] [--what shift_x] [--values 9] [--threads 1]

The loop tracks the face, crops, and computes both experts' features of sound and lips for every value, as
``tfg.score`` on each perturbed file would. The sweep with estimated alignment computes the same (the sound's features
once); with frozen alignment it tracks once. Processor seconds are counted, not waiting. Without CLIP, a studio clip.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

import tfg
from tfg.datasets import studio
from tfg.metrics import avs_u, lse_unbiased
from tfg.stress import PERTURBATIONS, perturb, sweep


def seconds(run: Callable[[], Any]) -> tuple[float, Any]:
    """Processor seconds of one run, and its result."""
    begin = time.process_time()
    result = run()
    return time.process_time() - begin, result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path, nargs="?")
    parser.add_argument("--what", default="shift_x", choices=list(PERTURBATIONS))
    parser.add_argument("--values", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(options.threads)
    clip = tfg.read_clip(options.clip) if options.clip else studio.read("ada-tea")
    experts = hubert, sync = tfg.load_expert("avhubert-mini"), tfg.load_expert("syncnet-mini")
    row = PERTURBATIONS[options.what]
    values = np.linspace(row.sweep[0], row.sweep[-1], options.values).tolist()
    track = tfg.track_face(clip)

    def naive() -> list[tuple[float, float]]:
        scores = []
        for value in values:
            changed = perturb(clip, row.name, value, track)
            found = tfg.track_face(changed)
            lip, audio = sync.clip_embeddings(changed, found)
            scores.append((float(avs_u(*hubert.clip_features(changed, found))), lse_unbiased(lip, audio).lse_d))
        return scores

    ways = {
        "loop": naive,
        "sweep, estimated": lambda: sweep(clip, row.name, values, experts, "estimated"),
        "sweep, frozen": lambda: sweep(clip, row.name, values, experts, "frozen"),
    }
    sweep(clip, row.name, values[:1], experts, track=track)  # first calls allocate and choose algorithms
    times = {name: seconds(run) for name, run in ways.items()}
    loop, scores = times["loop"]
    estimated = times["sweep, estimated"][1]
    same = np.nanmax(np.abs(estimated.figure(hubert.name, "avs_u") - np.array(scores)[:, 0]))
    print(f"{clip}, {row.name} at {len(values)} values")
    for name, (took, _) in times.items():
        print(f"{name:18} {took:6.2f} s   {loop / took:5.1f} times as fast as the loop")
    if row.acts_on != "timing":  # where the sweep leaves out what hears silence
        print(f"estimated alignment differs from the loop by at most {same:.1e} in AVS_u")
    print(json.dumps({"clip": str(clip.source), "what": row.name, "values": len(values),
                      "seconds": {name: round(took, 3) for name, (took, _) in times.items()}}))  # fmt: skip


if __name__ == "__main__":
    main()
