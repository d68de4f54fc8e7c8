"""From phone timings to the movement of jaw, lips and tongue: dominance functions (Cohen and Massaro 1993).

Every phone has targets for nine articulators and, for each, a dominance that falls off exponentially around the
phone's middle: ``D(tau) = alpha * exp(-theta * |tau|)``. The articulator follows the dominance-weighted mean of all
targets, so neighbours blend and rounding spreads ahead of its vowel (M. M. Cohen, D. W. Massaro, *Modeling
coarticulation in synthetic visual speech*, 1993). Blending alone would leave /p b m/ half open, so lip closure and
the tuck of /f v/ are gates that reach 1 throughout their phone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tfg.clip import FPS, SAMPLES_PER_FRAME
from tfg.datasets.studio_deform import CHANNELS
from tfg.errors import DataError

BLENDED = CHANNELS[:5] + CHANNELS[7:]  # by dominance; closure and tuck are gates

VISEMES = (
    "silence", "p b m", "f v", "th dh", "t d n l", "s z", "sh zh ch jh", "k g ng hh", "r er", "w", "y",
    "aa ao", "ae ay", "ah ax", "eh ey", "ih iy", "ow oy", "uh uw", "aw",
)  # fmt: skip


@dataclass(frozen=True)
class Phone:
    """One phone of an utterance: ARPAbet label in lower case, ``start`` and ``end`` in seconds."""

    label: str
    start: float
    end: float


@dataclass(frozen=True, eq=False)
class Speech:
    """What a talker says: ``audio`` float32 (640 T,) at 16 kHz and the times of its ``phones``.

    ``text`` is the sentence; ``voice`` names the synthetic voice in words.
    """

    audio: np.ndarray
    phones: tuple[Phone, ...]
    text: str
    voice: str

    @property
    def n_frames(self) -> int:
        """T: frames of video that the sound lasts."""
        return len(self.audio) // SAMPLES_PER_FRAME

    @property
    def times(self) -> np.ndarray:
        """Middles (T,) in seconds of the times that the frames cover."""
        return frame_times(self.n_frames)

    def cut(self, start: int, stop: int) -> Speech:
        """Frames ``start .. stop - 1`` alone; phones at the ends are shortened.

        :raises DataError: these are not frames of this speech.
        """
        if not 0 <= start < stop <= self.n_frames:
            raise DataError(f"frames {start} to {stop}; expected 0 <= start < stop <= {self.n_frames}")
        first, last = start / FPS, stop / FPS
        phones = (
            Phone(p.label, max(p.start, first) - first, min(p.end, last) - first)
            for p in self.phones
            if p.end > first and p.start < last
        )
        audio = self.audio[start * SAMPLES_PER_FRAME : stop * SAMPLES_PER_FRAME]
        return Speech(audio, tuple(phones), self.text, self.voice)


def frame_times(n: int) -> np.ndarray:
    """Middles (n,) in seconds of the times that frames 0..n-1 cover."""
    return (np.arange(n) + 0.5) / FPS


def label_frames(phones: Sequence[Phone], times: np.ndarray) -> list[str]:
    """The phone at each of ``times``; silence before the first and after the last."""
    out = ["pau"] * len(times)
    for i, t in enumerate(times):
        for phone in phones:
            if phone.start <= t < phone.end:
                out[i] = phone.label
    return out


@dataclass(frozen=True)
class _Target:
    viseme: str
    jaw: float
    width: float = 0.0
    protrusion: float = 0.0
    upper: float = 0.2
    lower: float = 0.25
    tongue: float = 0.2
    tongue_front: float = 0.0
    weight: float = 1.0  # dominance over the neighbours (alpha)
    rounding: float = 0.45  # dominance of width and protrusion
    reach: float = 55.0  # milliseconds after which dominance has fallen to 1/e


_TARGETS = {
    "pau": _Target("silence", 0.03, upper=0, lower=0, weight=0.5, rounding=0.35, reach=70),
    "aa": _Target("aa ao", 0.95, 0.02, 0.0, 0.38, 0.50, 0.05),
    "ao": _Target("aa ao", 0.78, -0.45, 0.55, 0.28, 0.40, 0.05, rounding=0.9),
    "ae": _Target("ae ay", 0.82, 0.42, 0.0, 0.48, 0.55, 0.15, rounding=0.6),
    "ah": _Target("ah ax", 0.60, 0.05, 0.0, 0.28, 0.36, 0.15),
    "ax": _Target("ah ax", 0.36, 0.02, 0.0, 0.22, 0.28, 0.2, weight=0.5, rounding=0.2),
    "eh": _Target("eh ey", 0.60, 0.36, 0.0, 0.36, 0.44, 0.25, rounding=0.6),
    "er": _Target("r er", 0.32, -0.38, 0.55, 0.22, 0.30, 0.4, rounding=0.8),
    "ih": _Target("ih iy", 0.36, 0.34, 0.0, 0.30, 0.34, 0.4, weight=0.8),
    "iy": _Target("ih iy", 0.24, 0.78, 0.0, 0.34, 0.36, 0.6, rounding=0.9),
    "ow": _Target("ow oy", 0.52, -0.70, 0.80, 0.18, 0.26, 0.1, rounding=1.1),
    "uh": _Target("uh uw", 0.34, -0.50, 0.62, 0.18, 0.25, 0.15, rounding=0.9),
    "uw": _Target("uh uw", 0.22, -0.88, 1.0, 0.10, 0.16, 0.2, rounding=1.2),
    "p": _Target("p b m", 0.14, upper=0.05, lower=0.05, weight=0.7, rounding=0.15, reach=40),
    "f": _Target("f v", 0.16, 0.10, upper=0.2, lower=0.0, weight=0.8, rounding=0.3, reach=40),
    "th": _Target("th dh", 0.24, 0.10, 0.0, 0.24, 0.32, 0.62, 1.0, weight=0.7, rounding=0.3, reach=45),
    "t": _Target("t d n l", 0.20, 0.16, 0.0, 0.22, 0.30, 0.95, 0.15, weight=0.55, rounding=0.15, reach=45),
    "l": _Target("t d n l", 0.32, 0.12, 0.0, 0.22, 0.32, 1.0, 0.45, weight=0.5, rounding=0.15, reach=45),
    "s": _Target("s z", 0.10, 0.34, 0.0, 0.28, 0.42, 0.5, weight=0.9, rounding=0.4, reach=45),
    "sh": _Target("sh zh ch jh", 0.12, -0.45, 0.80, 0.38, 0.45, 0.5, weight=0.9, rounding=1.0),
    "k": _Target("k g ng hh", 0.30, 0.05, 0.0, 0.2, 0.28, 0.1, weight=0.25, rounding=0.06, reach=45),
    "r": _Target("r er", 0.26, -0.42, 0.55, 0.2, 0.28, 0.35, weight=0.6, rounding=0.7),
    "w": _Target("w", 0.12, -0.98, 1.0, 0.05, 0.10, 0.1, rounding=1.3),
    "y": _Target("y", 0.18, 0.50, 0.0, 0.26, 0.3, 0.6, weight=0.6, rounding=0.5),
}  # fmt: skip
_SAME = {
    "b": "p", "m": "p", "em": "p", "v": "f", "dh": "th", "d": "t", "n": "t", "en": "t", "dx": "t", "nx": "t",
    "el": "l", "z": "s", "zh": "sh", "ch": "sh", "jh": "sh", "g": "k", "ng": "k", "hh": "k", "hv": "k",
    "axr": "er", "ux": "uw", "ix": "ih", "sil": "pau", "h#": "pau", "ssil": "pau", "brth": "pau",
}  # fmt: skip
_GLIDES = {
    "ay": ("aa", "iy", "ae ay"),
    "ey": ("eh", "iy", "eh ey"),
    "aw": ("aa", "uw", "aw"),
    "oy": ("ao", "iy", "ow oy"),
}
_BILABIAL, _LABIODENTAL = ("p", "b", "m", "em"), ("f", "v")


def is_bilabial(label: str) -> bool:
    """Whether the lips must be closed in this phone."""
    return label in _BILABIAL


def viseme_of(label: str) -> str:
    """The mouth-shape class of a phone, one of :data:`VISEMES`."""
    return _GLIDES[label][2] if label in _GLIDES else _target(label).viseme


def _target(label: str) -> _Target:
    try:
        return _TARGETS[_SAME.get(label, label)]
    except KeyError:
        raise DataError(
            f"phone {label!r} is unknown: expected one of the ARPAbet set that flite uses, in lower case"
        ) from None


def _segments(phones: Sequence[Phone]) -> list[tuple[str, _Target, float, float]]:
    out = []
    for phone in phones:
        if phone.label in _GLIDES:
            first, second, _ = _GLIDES[phone.label]
            turn = phone.start + 0.6 * (phone.end - phone.start)
            out += [
                (phone.label, _TARGETS[first], phone.start, turn),
                (phone.label, _TARGETS[second], turn, phone.end),
            ]
        elif phone.label == "pau" and phone.end - phone.start > 0.2:  # a long pause holds its target throughout
            for start in np.arange(phone.start, phone.end, 0.1):
                out.append(("pau", _TARGETS["pau"], float(start), float(min(start + 0.1, phone.end))))
        else:
            out.append((phone.label, _target(phone.label), phone.start, phone.end))
    return out


def _gate(phones: Sequence[Phone], labels: tuple[str, ...], times: np.ndarray, hold: float, ramp: float) -> np.ndarray:
    """1 throughout the phones in ``labels`` (at least ``hold`` seconds), falling to 0 over ``ramp`` seconds beside."""
    out = np.zeros_like(times)
    for phone in phones:
        if phone.label in labels:
            middle, half = (phone.start + phone.end) / 2, max(phone.end - phone.start, hold) / 2
            beyond = np.clip((np.abs(times - middle) - half) / ramp, 0, 1)
            out = np.maximum(out, 0.5 + 0.5 * np.cos(np.pi * beyond))
    return out


@dataclass(frozen=True, eq=False)
class Dominance:
    """How S segments of speech share one articulator at T times; a glide such as /ay/ is two segments.

    ``labels`` (S,) phones, ``target`` (S,) where each wants the articulator, ``dominance`` (T, S) how much it counts
    then, ``blend`` (T,) the articulator: the dominance-weighted mean of the targets.
    """

    labels: tuple[str, ...]
    target: np.ndarray
    dominance: np.ndarray
    blend: np.ndarray


def dominance(phones: Sequence[Phone], times: np.ndarray, channel: str, *, reach: float = 1.0) -> Dominance:
    """Dominance functions of one articulator at ``times`` (T,) seconds.

    :param channel: one of :data:`BLENDED`.
    :param reach: factor on how far in time a phone reaches; 1 is the studio's, near 0 each phone stands alone,
        large values blur the phones into one.
    :raises DataError: no such channel, or a reach that is not above 0.
    """
    if channel not in BLENDED:
        raise DataError(f"channel {channel!r} is not blended by dominance; expected one of {', '.join(BLENDED)}")
    if not reach > 0:
        raise DataError(f"reach is {reach:g}; expected a factor above 0 (1 is the studio's)")
    segments = _segments(phones)
    middle = np.array([(s + e) / 2 for _, _, s, e in segments])
    half = np.array([(e - s) / 2 for _, _, s, e in segments])
    # Distance from the part of the segment that holds the target: long phones keep it, short ones only touch it.
    tau = np.maximum(np.abs(times[:, None] - middle) - 0.55 * half, 0) * 1000
    lips = channel in ("width", "protrusion")
    alpha = np.array([t.rounding if lips else t.weight for _, t, _, _ in segments])
    fall = reach * np.array([t.reach for _, t, _, _ in segments])
    if lips:  # rounding is anticipated further than it is kept
        fall = fall * np.where(times[:, None] < middle, 1.5, 1.1)
    weight = alpha * np.exp(-tau / fall) + 1e-9
    target = np.array([getattr(t, channel) for _, t, _, _ in segments])
    blend = (weight * target).sum(axis=1) / weight.sum(axis=1)
    return Dominance(tuple(label for label, _, _, _ in segments), target, weight, blend)


def articulate(phones: Sequence[Phone], times: np.ndarray, *, reach: float = 1.0) -> np.ndarray:
    """Articulation float64 (T, 9), columns as in :data:`CHANNELS`, at ``times`` (T,) seconds.

    Frame i of a clip is sampled at the middle of the time that it covers, (i + 0.5) / 25 s. ``reach`` is that of
    :func:`dominance`; it leaves the closing of the lips for /p b m/ and the tuck of /f v/ alone.
    """
    columns = {name: dominance(phones, times, name, reach=reach).blend for name in BLENDED}
    closure = _gate(phones, _BILABIAL, times, 0.062, 0.055)
    pause = np.zeros_like(times)
    for phone in phones:
        if viseme_of(phone.label) == "silence" and phone.end - phone.start > 0.08:
            inside = np.minimum(times - phone.start, phone.end - times)
            pause = np.maximum(pause, np.clip((inside - 0.02) / 0.10, 0, 1))
    columns["closure"] = np.maximum(closure, 0.97 * pause)
    columns["tuck"] = _gate(phones, _LABIODENTAL, times, 0.05, 0.05) * (1 - closure)
    return np.stack([columns[name] for name in CHANNELS], axis=1)
