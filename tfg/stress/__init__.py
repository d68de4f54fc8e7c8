"""Perturb a talking-face clip in named, measured ways, and see what the experts' scores make of it.

clip = tfg.read_clip("talk.mp4")
experts = [tfg.load_expert("avhubert-mini"), tfg.load_expert("syncnet-mini")]
moved = tfg.stress.perturb(clip, "shift_x", 8)             # 8% of the face's width to the right
result = tfg.stress.sweep(clip, "shift_x", range(-16, 17, 4), experts)
result.figure("avhubert-mini", "avs_u")                    # one AVS_u per value
"""

from __future__ import annotations

from tfg.stress.apply import perturb, perturb_crops
from tfg.stress.place import out_of_frame
from tfg.stress.sweeps import Measured, Point, SweepResult, sweep
from tfg.stress.table import PERTURBATIONS, Perturbation

__all__ = [
    "PERTURBATIONS",
    "Measured",
    "Perturbation",
    "Point",
    "SweepResult",
    "out_of_frame",
    "perturb",
    "perturb_crops",
    "sweep",
]
