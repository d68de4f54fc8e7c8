"""Which picture of the input is shown when in the output: at its own time, then back and forth until the sound ends."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tfg.clip import FPS
from tfg.media_native import NativeSource

_STEADY = 0.002  # s by which times may miss an even rate: containers round to milliseconds
_TICK = Fraction(1, 90_000)  # s, to write uneven times
_SLACK = 0.1  # of a picture that may be missing at the end of the sound


@dataclass(frozen=True, eq=False)
class Timeline:
    """The pictures of the output.

    :ivar runs: pairs (first, last) of input frame numbers, forwards or backwards, that follow each other.
    :ivar index: ``int64 (P,)``, the same in full.
    :ivar times: ``float64 (P,)``, seconds from which each is shown.
    :ivar rate: pictures per second, about.
    :ivar tick: seconds in which ``ticks`` counts.
    :ivar ticks: ``int64 (P,)``, the times as they are written.
    """

    runs: list[tuple[int, int]]
    index: NDArray[np.int64]
    times: NDArray[np.float64]
    rate: Fraction
    tick: Fraction
    ticks: NDArray[np.int64]

    @classmethod
    def of(cls, video: NativeSource, seconds: float) -> Timeline:
        """All pictures that are shown before ``seconds``; at least one."""
        rate = _even_rate(video.times, video.rate)
        if rate is not None:
            count = max(1, int(np.ceil(seconds * rate - _SLACK)))
            ticks = np.arange(count)
            times = ticks / float(rate)
            runs = ping_pong(video.n_frames, count)
            return cls(runs, _in_full(runs), times, rate, 1 / rate, ticks)
        end = video.times[-1]
        cycle = np.concatenate([video.times, (2 * end - video.times)[-2:0:-1]])  # there and back, without the start
        times = np.concatenate([cycle + 2 * end * i for i in range(1 + int(seconds / (2 * end)))])
        times = times[: max(1, int((times < seconds - _SLACK / float(video.rate)).sum()))]
        runs = ping_pong(video.n_frames, len(times))
        ticks = np.round(times / float(_TICK)).astype(np.int64)
        return cls(runs, _in_full(runs), times, _measured(video.times), _TICK, ticks)

    def middles(self) -> NDArray[np.float64]:
        """``float64 (P,)``: the middle of the time for which each picture is shown, in seconds."""
        return self.times + 0.5 / float(self.rate)


def _even_rate(times: NDArray[np.float64], declared: Fraction) -> Fraction | None:
    """The rate at which pictures come, if it is even to within the rounding of containers."""
    if len(times) == 1:
        return declared if 1 <= declared <= 240 else Fraction(int(FPS))
    for rate in (declared, _measured(times)):
        if np.abs(times - np.arange(len(times)) / float(rate)).max() < _STEADY:
            return rate
    return None


def _measured(times: NDArray[np.float64]) -> Fraction:
    return Fraction((len(times) - 1) / times[-1]).limit_denominator(1001)


def ping_pong(n_frames: int, count: int) -> list[tuple[int, int]]:
    """Runs (first, last) of frame numbers, forwards and backwards in turn, ``count`` frames in all.

    The frames at which it turns are shown once: 0 1 2 3 2 1 0 1 ...
    """
    if n_frames == 1:
        return [(0, 0)] * count
    runs, done = [(0, min(n_frames, count) - 1)], min(n_frames, count)
    while done < count:
        length = min(n_frames - 1, count - done)
        at = runs[-1][1]
        step = 1 if at == 0 else -1
        runs.append((at + step, at + step * length))
        done += length
    return runs


def _in_full(runs: list[tuple[int, int]]) -> NDArray[np.int64]:
    return np.concatenate([np.arange(a, b + 1) if a <= b else np.arange(a, b - 1, -1) for a, b in runs])


def spans(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Where flags are set: pairs (first, behind the last)."""
    edges = np.flatnonzero(np.diff(np.pad(flags, 1).astype(np.int8)))
    return [(int(a), int(b)) for a, b in pairwise(edges)][::2]
