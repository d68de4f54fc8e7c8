"""Who sees which videos, in which order, and in pairs on which side.

A *cell* is a subject and a pair of methods: both videos show the same talk; or, where raters see one video at a time
(:mod:`tfg.rating.single`), a subject and a method. All cells are put into one endless sequence, and each rater gets the
next of it, as many as a session has: an incomplete block. The sequence is built so that any stretch of it is balanced,
as round-robin tournaments are, so a study is balanced wherever it stops:

- over raters, two cells differ by at most one visit, and each cell's two sides by at most one;
- within a rater, two pairs of methods differ by at most one visit, and a method's left and right by at most four; no
  pair comes twice.

Seed and rater's number decide everything, so a session can be made again (W. G. Cochran, G. M. Cox, *Experimental
Designs*, 2nd edition, 1957, chapter 11, for incomplete blocks).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations, pairwise
from math import gcd
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from tfg.errors import DataError

Kind = Literal["pair", "single", "late", "instructed"]
CHOICES = ("a", "b", "tie")  # of a pair: the left one, the right one, no difference


@dataclass(frozen=True)
class Trial:
    """Two videos side by side, or one.

    :ivar kind: ``"pair"`` or ``"single"``, a vote; ``"late"``, a check: one video twice, once with its sound late;
        ``"instructed"``, a check: the page says what to answer.
    :ivar subject: whose talk, the name of a file.
    :ivar left: the method on the left, or the only one; ``right``: on the right, or "" where there is one video. In a
        ``"late"`` check one of the two is :data:`LATE`.
    :ivar expected: of a check, the answer that passes it; "" for a vote.
    """

    kind: Kind
    subject: str
    left: str
    right: str = ""
    expected: str = ""

    @property
    def shown(self) -> tuple[str, ...]:
        """The methods on the screen, from left to right."""
        return (self.left, self.right) if self.right else (self.left,)


LATE = "late"  # in place of a method: the true video with its sound delayed
_SHUFFLES = 200  # orders tried for one in which no subject follows itself


class StudyDesign(ABC):
    """What the plans of studies have in common: a sequence of cells, of which each rater gets a block.

    :cvar kind: of its trials; ``choices``: the answers that there are.
    :ivar checks: how many attention checks are mixed in for each rater.
    :ivar truth: the method whose delayed copy is shown in checks, or None.
    :ivar seed: another seed is another assignment of methods and subjects to the sequence, and other orders.
    """

    kind: ClassVar[Kind]
    choices: ClassVar[tuple[str, ...]]
    methods: tuple[str, ...]
    subjects: tuple[str, ...]
    checks: int
    truth: str | None
    seed: int

    @property
    @abstractmethod
    def size(self) -> int:
        """How many votes a rater gives, checks not counted."""

    @property
    @abstractmethod
    def compared(self) -> list[tuple[str, ...]]:
        """The methods of a cell, for all that there are, in the order of the alphabet."""

    @abstractmethod
    def _places(self) -> list[tuple[int, ...]]:
        """The same as numbers of methods, in the order in which the sequence takes them."""

    @abstractmethod
    def _check(self, number: int, check: int, random: np.random.Generator) -> Trial: ...

    def _refuse(self, size: str) -> None:
        """Raise DataError where the plan cannot be; ``size`` is what its number of votes is called."""
        for what, names, least in (("methods", self.methods, 2), ("subjects", self.subjects, 1)):
            if len(set(names)) != len(names) or len(names) < least:
                raise DataError(f"{what} are {', '.join(names) or 'none'}; expected {least} or more, each once")
        if LATE in self.methods:
            raise DataError(f"a method is called {LATE!r}, the name of the delayed video of checks: call it otherwise")
        if self.truth is not None and self.truth not in self.methods:
            raise DataError(f"truth is {self.truth!r}; expected one of the methods {', '.join(self.methods)}, or None")
        if not 1 <= self.size <= self.cells:
            raise DataError(
                f"{size} is {self.size}; expected 1 to {self.cells}: {len(self.subjects)} subjects times "
                f"{len(self.compared)} {'pairs of ' if self.kind == 'pair' else ''}methods"
            )
        if not 0 <= self.checks <= self.size or self.seed < 0:
            raise DataError(
                f"checks is {self.checks} and seed {self.seed}; expected 0 to {self.size} checks, a seed >= 0"
            )

    @property
    def cells(self) -> int:
        """How many different trials there are, checks not counted."""
        return len(self.subjects) * len(self.compared)

    def visits(self, trials: Iterable[Trial]) -> NDArray[np.int64]:
        """How often each cell occurs in some trials, checks left out: ``(P, S)``, as :attr:`compared`, subjects."""
        rows = {methods: row for row, methods in enumerate(self.compared)}
        found = np.zeros((len(rows), len(self.subjects)), np.int64)
        for trial in trials:
            if trial.kind == self.kind:
                found[rows[tuple(sorted(trial.shown))], self.subjects.index(trial.subject)] += 1
        return found

    def block(self, number: int) -> list[Trial]:
        """The trials of rater ``number`` (0, 1, ...) without checks, in the order of the sequence."""
        first = number * self.size
        return [self._cell(index) for index in range(first, first + self.size)]

    def session(self, number: int) -> tuple[Trial, ...]:
        """What rater ``number`` sees: the block in random order, a check in each of as many stretches of it."""
        random = np.random.default_rng([self.seed, number])
        trials = _apart(self.block(number), random)
        places = np.linspace(1, len(trials), self.checks + 1)  # never first: the page is new then
        for check in reversed(range(self.checks)):  # from the end: places before stay what they are
            at = int(random.integers(round(places[check]), round(places[check + 1]) + 1))
            trials.insert(at, self._check(number, check, random))
        return tuple(trials)

    def _cell(self, index: int) -> Trial:
        """Place ``index`` of the endless sequence: each layer has all methods once, each cycle of layers all cells."""
        names, order = np.random.default_rng(self.seed), self._places()
        methods, subjects = names.permutation(self.methods), names.permutation(self.subjects)
        layer, place = divmod(index, len(order))
        cycle, layer = divmod(layer, len(subjects))
        shown = order[place]
        # subjects in turn from cell to cell; the last term makes methods meet all of them in a cycle
        common = gcd(len(order), len(subjects))
        subject = (layer * len(order) + place + layer * common // len(subjects)) % len(subjects)
        if (layer + cycle) % 2:  # turned about from visit to visit
            shown = shown[::-1]
        return Trial(self.kind, str(subjects[subject]), *(str(methods[method]) for method in shown))


@dataclass(frozen=True)
class Design(StudyDesign):
    """The plan of a study on pairs.

    :ivar methods: two or more names; ``subjects``: one or more.
    :ivar pairs: how many pairs a rater judges, at most one for each subject and pair of methods.
    :ivar checks: how many attention checks are mixed in among them.
    :ivar truth: the method that is the real video, if there is one: its checks are then also of the kind ``"late"``.
    :ivar seed: another seed is another assignment of methods and subjects to the sequence, and other orders.
    :raises DataError: names that repeat, too few of them, or numbers out of range.
    """

    kind = "pair"
    choices = CHOICES
    methods: tuple[str, ...]
    subjects: tuple[str, ...]
    pairs: int
    checks: int = 2
    truth: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        self._refuse("pairs")

    @property
    def size(self) -> int:
        return self.pairs

    @property
    def method_pairs(self) -> list[tuple[str, str]]:
        """All pairs of methods, each in the order of the alphabet."""
        return list(combinations(sorted(self.methods), 2))

    @property
    def compared(self) -> list[tuple[str, ...]]:
        return list(self.method_pairs)

    def _places(self) -> list[tuple[int, ...]]:
        return list(_round_robin(len(self.methods)))

    def _check(self, number: int, check: int, random: np.random.Generator) -> Trial:
        subject = self.subjects[(number + check) % len(self.subjects)]
        expected = self.choices[int(random.integers(2))]  # left or right
        if self.truth is not None and check % 2 == 0:
            left, right = (self.truth, LATE) if expected == "a" else (LATE, self.truth)
            return Trial("late", subject, left, right, expected)
        method = self.methods[int(random.integers(len(self.methods)))]
        return Trial("instructed", subject, method, method, expected)


def _round_robin(count: int) -> Iterator[tuple[int, int]]:
    """All pairs ``(left, right)`` of ``count``, in rounds in which nobody plays twice (the circle method).

    From round to round everyone changes sides, with one exception at most (D. de Werra, *Scheduling in sports*, 1981).
    """
    last = count + count % 2 - 1  # where count is odd, nobody: who is drawn against it sits out
    for turn in range(last):
        yield from [] if last == count else [(turn, last) if turn % 2 else (last, turn)]
        for step in range(1, (last + 1) // 2):
            pair = (turn + step) % last, (turn - step) % last
            yield pair if step % 2 else pair[::-1]


def _apart(trials: list[Trial], random: np.random.Generator) -> list[Trial]:
    """A random order; of those tried, the first with the fewest subjects that follow themselves."""
    best, fewest = trials, len(trials) + 1
    for _ in range(_SHUFFLES):
        order = [trials[i] for i in random.permutation(len(trials))]
        repeats = sum(one.subject == two.subject for one, two in pairwise(order))
        if repeats < fewest:
            best, fewest = order, repeats
        if fewest == 0:
            break
    return best
