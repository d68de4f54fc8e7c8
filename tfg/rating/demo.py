"""Material for trying a study out: spoilt versions of embedded clips as "methods", and a class of simulated raters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tfg.clip import Clip
from tfg.datasets import studio
from tfg.errors import DataError
from tfg.media_write import write_clip
from tfg.rating.design import Trial
from tfg.rating.store import VoteStore
from tfg.stress import perturb

SUBJECTS = ("ada-boat", "kofi-phone", "farah-wave", "portrait-space")


def frozen(clip: Clip) -> Clip:
    """The first picture throughout, with the sound as it was."""
    return replace(clip, frames=np.repeat(clip.frames[:1], clip.n_frames, axis=0), notes=(*clip.notes, "frozen"))


#: What the demonstration compares: the same clips, spoilt in different ways.
METHODS: Mapping[str, Callable[[Clip], Clip]] = {
    "original": lambda clip: clip,
    "sound-200-ms-late": lambda clip: perturb(clip, "offset", 5),
    "frames-dropped": lambda clip: perturb(clip, "frame_drop", 60),
    "still-picture": frozen,
}


def make_demo(folder: Path | str, subjects: Sequence[str] = SUBJECTS) -> Path:
    """Write ``folder/METHOD/SUBJECT.mp4`` for all :data:`METHODS`, from embedded clips; returns the folder.

    :param subjects: of :func:`tfg.datasets.studio.names`.
    """
    folder = Path(folder)
    for subject in subjects:
        clip = studio.read(subject)
        for method, spoil in METHODS.items():
            target = folder / method
            target.mkdir(parents=True, exist_ok=True)
            write_clip(spoil(clip), target / f"{subject}.mp4")
    return folder


def simulate_class(
    store: VoteStore,
    strengths: Mapping[str, float],
    raters: int,
    *,
    ties: float = 0.5,
    careless: float = 0.1,
    leave: float = 0.1,
    seed: int = 0,
) -> list[str]:
    """Raters who are not people, through the same store as people: for planning and for testing, never as data.

    A careful rater prefers method i to j by the Bradley-Terry model with ties (R. R. Davidson, *JASA* 65, 1970), or
    rates a single video around 3 + strength, and passes every check; a careless one answers at random.

    :param strengths: method to log-strength; a difference of 1 is preferred in 73% of the votes that are no ties, and
        is one step of the scale of single videos.
    :param ties: Davidson's nu, 0 for none.
    :param careless: share of raters who answer at random; ``leave``: share who close the page midway. Both are drawn.
    :returns: the raters' codes.
    :raises DataError: a method has no strength, or a share is not in 0 to 1.
    """
    unknown = set(store.plan.design.methods) - strengths.keys()
    if unknown or not (0 <= careless <= 1 and 0 <= leave <= 1 and ties >= 0):
        raise DataError(
            f"no strength: {', '.join(sorted(unknown)) or 'none'}; careless {careless}, leave {leave}, ties {ties}; "
            "expected a number for every method, shares of 0 to 1, ties >= 0"
        )
    random = np.random.default_rng(seed)
    codes = []
    for _ in range(raters):
        codes.append(store.register())
        is_careless = random.random() < careless
        stop = int(random.integers(1, store.plan.design.size)) if random.random() < leave else None
        while (at := _next(store, codes[-1], stop)) is not None:
            place, trial = at
            possible = store.plan.design.choices
            chance = [1 / len(possible)] * len(possible)
            chances = chance if is_careless else _chances(trial, possible, strengths, ties)
            choices = {d: possible[random.choice(len(possible), p=chances)] for d in store.plan.questions}
            store.vote(codes[-1], place, choices, float(random.lognormal(3 if not is_careless else 2, 0.3)))
    return codes


def _next(store: VoteStore, code: str, stop: int | None) -> tuple[int, Trial] | None:
    at = store.progress(code)
    assert at is not None
    return None if at.trial is None or at.done == stop else (at.place, at.trial)


def _chances(trial: Trial, choices: Sequence[str], strengths: Mapping[str, float], ties: float) -> list[float]:
    """Of each choice: of a pair left, right and tie."""
    if trial.expected:
        return [float(trial.expected == choice) for choice in choices]
    if trial.kind == "single":
        likely = [np.exp(-((int(score) - 3 - strengths[trial.left]) ** 2)) for score in choices]
        return [float(part / sum(likely)) for part in likely]
    left, right = np.exp(strengths[trial.left]), np.exp(strengths[trial.right])
    tie = ties * np.sqrt(left * right)
    return [float(part / (left + right + tie)) for part in (left, right, tie)]
