"""What a delay of the sound does to the scores, and whether the experts find it.

LSE-C and LSE-D are those of the best delay within 15 frames, AVS_u is that of the clip as it is: the first two forgive
a constant delay and the third does not. Whether they *should* forgive it is a question about viewers, which ITU-R
BT.1359 answers. All delays here are those of the sound: **positive is late**, as in :meth:`tfg.Clip.delay_audio`. An
expert's *offset* has the other sign (positive: the sound is early), as SyncNet's authors defined it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tfg.clip import FPS, Clip
from tfg.errors import MetricError
from tfg.experts.expert import AVHubertExpert, SyncNetExpert
from tfg.faces import FaceTrack
from tfg.stress import sweep

#: Milliseconds by which sound may be early (negative) or late before viewers notice, and before they mind. Source:
#: ITU-R BT.1359-1 (1998), considering g: +45 to -125 and +90 to -185 ms, where the standard's plus is *early* sound.
DETECTABLE_MS = (-45.0, 125.0)
ACCEPTABLE_MS = (-90.0, 185.0)

DELAYS = tuple(range(-15, 16))
SCORES = ("avs_u", "avs_u_chance", "lse_c", "lse_d", "offset_avs", "offset_lse")

Float = NDArray[np.float64]


def delay_curves(
    talks: Sequence[tuple[Clip, FaceTrack]],
    hubert: AVHubertExpert,
    syncnet: SyncNetExpert,
    delays: Sequence[float] = DELAYS,
    seed: int = 0,
) -> dict[str, Float]:
    """Every score of every clip at every delay of its sound.

    :param talks: clips in sync, each with the track of its face.
    :param delays: frames, positive: late.
    :returns: ``float64 (clips, delays)`` for each name: ``avs_u`` and its rotated ``avs_u_chance``; ``lse_c`` and
        ``lse_d`` (padding left out); ``offset_avs`` and ``offset_lse``, what each expert's search finds (frames,
        positive: early). The silence that a delay leaves at one end is not counted (:func:`tfg.stress.sweep`).
    :raises StressError: no delays, or one out of range.
    """
    names = {
        "avs_u": (hubert.name, "avs_u"),
        "avs_u_chance": (hubert.name, "chance"),
        "lse_c": (syncnet.name, "lse_c"),
        "lse_d": (syncnet.name, "lse_d"),
        "offset_avs": (hubert.name, "offset"),
        "offset_lse": (syncnet.name, "offset"),
    }
    found = [sweep(clip, "offset", delays, [hubert, syncnet], seed=seed, track=track) for clip, track in talks]
    return {key: np.stack([result.figure(*where) for result in found]) for key, where in names.items()}


class OffsetAccuracy(NamedTuple):
    """How often a search over delays finds the one that was made."""

    exact: float  #: share of clips and delays
    within_1: float  #: share found to within one frame
    error: float  #: mean absolute error in frames


def offset_accuracy(delays: Sequence[float], offsets: Float, reach: int = 10) -> OffsetAccuracy:
    """Compare the offsets that an expert found with the delays that were made.

    :param offsets: ``(clips, delays)``, positive: early, so that ``-delays`` is right.
    :param reach: only delays up to this many frames count: nearer to the end of the search there is no room for
        the error to either side.
    :raises MetricError: no delay within reach, or shapes that do not fit.
    """
    made = np.asarray(delays, np.float64)
    if offsets.ndim != 2 or offsets.shape[1] != len(made):
        raise MetricError(f"offsets have shape {offsets.shape}; expected (clips, {len(made)})")
    within = np.abs(made) <= reach
    if not within.any():
        raise MetricError(f"no delay of {list(delays)} is within {reach} frames")
    error = np.abs(offsets[:, within] + made[within])
    return OffsetAccuracy(float((error == 0).mean()), float((error <= 1).mean()), float(error.mean()))


def tolerance(delays: Sequence[float], kept: Float, level: float = 0.5) -> tuple[float, float]:
    """How much delay a score puts up with: where it falls below ``level`` on either side of 0.

    :param delays: frames, ascending, with 0 among them.
    :param kept: ``(delays,)`` share of the score's distance from chance that is left; 1 at delay 0.
    :returns: ``(early, late)`` in milliseconds, early negative, interpolated; infinite where it never falls below.
    :raises MetricError: the delays do not ascend through 0.
    """
    times = np.asarray(delays, np.float64) * 1000 / FPS
    if not (np.diff(times) > 0).all() or 0 not in times:
        raise MetricError(f"delays are {list(delays)}; expected ascending numbers of frames with 0 among them")
    centre = int(np.flatnonzero(times == 0)[0])

    def crossing(step: int) -> float:
        for i in range(centre, len(times) - 1 if step > 0 else 0, step):
            here, there = kept[i], kept[i + step]
            if there < level:
                return float(times[i] + (times[i + step] - times[i]) * (here - level) / (here - there))
        return step * float("inf")

    return crossing(-1), crossing(1)
