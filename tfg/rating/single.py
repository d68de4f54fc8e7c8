"""One video at a time, rated from 1 to 5: absolute category rating, whose means are mean opinion scores.

Source: ITU-T Rec. P.910 (2023), *Subjective video quality assessment methods for multimedia applications*, clause 7.1.
Every rater sees another random order. Where a session holds fewer videos than there are, blocks are balanced as those
of pairs are: over raters two videos differ by at most one rating, within a rater two methods by at most one.

The real videos, if there are any, are one of the methods, and nobody is told which (P.910's hidden reference).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tfg.rating.design import StudyDesign, Trial

#: Scores and the words that raters see, in the order of P.910.
SCALE: Mapping[str, str] = {"5": "Excellent", "4": "Good", "3": "Fair", "2": "Poor", "1": "Bad"}


@dataclass(frozen=True)
class SingleDesign(StudyDesign):
    """The plan of a study on single videos.

    :ivar methods: two or more names; ``subjects``: one or more.
    :ivar videos: how many videos a rater rates, each at most once.
    :ivar checks: how many attention checks are mixed in among them; the page says what to answer.
    :ivar seed: another seed is another assignment of methods and subjects to the sequence, and other orders.
    :raises DataError: names that repeat, too few of them, or numbers out of range.
    """

    kind = "single"
    choices = tuple(SCALE)
    truth = None  # a delayed video has no right answer of its own
    methods: tuple[str, ...]
    subjects: tuple[str, ...]
    videos: int
    checks: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        self._refuse("videos")

    @property
    def size(self) -> int:
        return self.videos

    @property
    def compared(self) -> list[tuple[str, ...]]:
        return [(method,) for method in sorted(self.methods)]

    def _places(self) -> list[tuple[int, ...]]:
        return [(method,) for method in range(len(self.methods))]

    def _check(self, number: int, check: int, random: np.random.Generator) -> Trial:
        subject = self.subjects[(number + check) % len(self.subjects)]
        method = self.methods[int(random.integers(len(self.methods)))]
        return Trial("instructed", subject, method, expected=self.choices[int(random.integers(len(self.choices)))])
