"""The one table of perturbations: names, units, ranges and what each does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from tfg.errors import StressError

ActsOn = Literal["frames", "audio", "timing"]


@dataclass(frozen=True)
class Perturbation:
    """One row of the table.

    :ivar name: its key in :data:`PERTURBATIONS`.
    :ivar unit: of the value; "" for a factor.
    :ivar low: smallest value allowed; ``high``: largest.
    :ivar neutral: the value that leaves a clip as it is.
    :ivar acts_on: ``"frames"`` (pictures), ``"audio"`` (sound) or ``"timing"`` (when the sound is heard).
    :ivar about: what it does, in a sentence.
    :ivar sweep: values worth trying, ascending.
    """

    name: str
    unit: str
    low: float
    high: float
    neutral: float
    acts_on: ActsOn
    about: str
    sweep: tuple[float, ...]

    def check(self, value: float) -> None:
        """Raise :class:`StressError` unless ``low <= value <= high``."""
        if not self.low <= value <= self.high:  # NaN fails this comparison too
            raise StressError(
                f"{self.name} is {value:g}; expected {self.low:g} to {self.high:g}{self._unit} "
                f"({self.neutral:g} changes nothing): {self.about}"
            )

    def label(self, value: float) -> str:
        """A value with name and unit, such as ``"rotation 8 degrees"``."""
        return f"{self.name} {value:g}{self._unit}"

    @property
    def axis(self) -> str:
        """The name with its unit, for the axis of a figure."""
        return f"{self.name} ({self.unit})" if self.unit else self.name

    @property
    def _unit(self) -> str:
        return f" {self.unit}" if self.unit else ""


_FACE = "% of the face's width"
_EVEN = tuple(float(v) for v in range(-16, 17, 2))

_ROWS = (
    Perturbation("shift_x", _FACE, -100, 100, 0, "frames", "moves the picture to the right (+) or left (-)", _EVEN),
    Perturbation("shift_y", _FACE, -100, 100, 0, "frames", "moves the picture down (+) or up (-)", _EVEN),
    Perturbation("rotation", "degrees", -45, 45, 0, "frames",
                 "turns the picture about the face's centre, clockwise (+) as seen", _EVEN),
    Perturbation("scale", "", 0.5, 2, 1, "frames", "enlarges (above 1) or shrinks the picture about the face's centre",
                 (0.7, 0.8, 0.9, 0.95, 1.0, 1.05, 1.1, 1.2, 1.3)),
    Perturbation("brightness", "grey levels", -128, 128, 0, "frames", "adds to every pixel (of 0 to 255)",
                 (-96.0, -64.0, -32.0, 0.0, 32.0, 64.0, 96.0)),
    Perturbation("contrast", "", 0.1, 4, 1, "frames", "multiplies the distance of every pixel to mid-grey",
                 (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)),
    Perturbation("blur", _FACE, 0, 10, 0, "frames", "Gaussian blur; the value is its standard deviation",
                 (0.0, 0.5, 1.0, 2.0, 3.0, 4.0, 6.0)),
    Perturbation("noise", "grey levels", 0, 100, 0, "frames",
                 "adds Gaussian noise, new in every frame; the value is its standard deviation",
                 (0.0, 5.0, 10.0, 20.0, 30.0, 40.0, 60.0)),
    Perturbation("occlusion", _FACE, 0, 100, 0, "frames",
                 "covers the mouth with a grey square that moves with it; the value is its side",
                 (0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0)),
    Perturbation("recompression", "H.264 crf", 0, 51, 0, "frames",
                 "compresses the video again; 23 is usual, 51 the worst, 0 leaves it as it is",
                 (0.0, 18.0, 23.0, 28.0, 33.0, 38.0, 43.0, 48.0)),
    Perturbation("frame_drop", "% of the frames", 0, 90, 0, "frames",
                 "shows the frame before instead of some frames, chosen at random",
                 (0.0, 5.0, 10.0, 20.0, 30.0, 40.0, 60.0, 80.0)),
    Perturbation("audio_noise", "dB SNR", -20, 100, 100, "audio",
                 "mixes pink noise in at this speech-to-noise ratio; 100 leaves the sound as it is",
                 (-10.0, -5.0, 0.0, 5.0, 10.0, 15.0, 20.0, 30.0)),
    Perturbation("reverberation", "s", 0, 3, 0, "audio",
                 "puts the speech into a room; the value is the time in which its echoes fall by 60 dB",
                 (0.0, 0.1, 0.2, 0.4, 0.6, 0.8, 1.2)),
    Perturbation("offset", "frames", -50, 50, 0, "timing",
                 "delays the sound (+: late, heard after the lips move) by frames of 40 ms",
                 tuple(float(v) for v in range(-10, 11))),
)  # fmt: skip

PERTURBATIONS: Mapping[str, Perturbation] = MappingProxyType({row.name: row for row in _ROWS})


def find(name: str) -> Perturbation:
    """The row called ``name``.

    :raises StressError: there is none; the names are listed.
    """
    if name not in PERTURBATIONS:
        raise StressError(f"no perturbation is called {name!r}; there are {', '.join(PERTURBATIONS)}")
    return PERTURBATIONS[name]
