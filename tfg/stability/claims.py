"""The paper's claims, panel by panel, as numbers: does AV-HuBERT hold stiller than SyncNet, and by what factor?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

Figures = Mapping[str, Any]
#: What differs -> the two variants between which it does.
STEPS = {
    "augmentation, SyncNet": ("syncnet-nojitter", "syncnet-jitter"),
    "augmentation, AV-HuBERT": ("avhubert-nojitter", "avhubert-jitter"),
    "architecture (pairs)": ("syncnet-jitter", "avhubert-contrastive"),
    "objective (AV-HuBERT)": ("avhubert-contrastive", "avhubert-jitter"),
}
EVEN = 1.1  # factors between 1 / 1.1 and 1.1 are called even


class Verdict(NamedTuple):
    """One ruler laid to one panel.

    ``factor`` above 1: AV-HuBERT is steadier by it; NaN where it cannot be measured.
    """

    panel: str
    ruler: str
    where: str
    syncnet: float
    avhubert: float
    factor: float

    @property
    def word(self) -> str:
        """``holds``, ``even``, ``reversed`` or ``not measured``."""
        if not np.isfinite(self.factor):
            return "not measured"
        return "even" if 1 / EVEN <= self.factor <= EVEN else "holds" if self.factor > 1 else "reversed"

    @property
    def sentence(self) -> str:
        """Such as ``1a, c  studio: spread of the cosine: SyncNet 0.24, AV-HuBERT 0.11: holds, by a factor of 2.2``."""
        by = {"holds": self.factor, "reversed": 1 / self.factor}.get(self.word)
        factor = "" if by is None else f", by a factor of {by:.1f}" if by < 16 else ", by a factor above 16"
        numbers = f"SyncNet {self.syncnet:.2f}, AV-HuBERT {self.avhubert:.2f}"
        return f"{self.panel:6} {self.where}: {self.ruler}: {numbers}: {self.word}{factor}"


def figure_1(syncnet: Figures, avhubert: Figures, where: str) -> list[Verdict]:
    """Panels a to d, from the summaries of two experts (:func:`tfg.studies.fig1.summary`).

    Small is steady: standard deviation (what the paper shows) and coefficient of variation of the cosine, the share of
    windows near zero, standard deviation of the loss and the share of the loss that a tenth of the windows has. Large
    is steady: d'.
    """

    def small(panel: str, ruler: str, part: str, key: str) -> Verdict:
        a, b = float(syncnet[part][key]), float(avhubert[part][key])
        return Verdict(panel, ruler, where, a, b, _ratio(a, b))

    first, second = (float(one["separation"]["d_prime"]) for one in (syncnet, avhubert))
    return [
        small("1a, c", "spread of the cosine", "cosine", "std"),
        small("1a, c", "spread over mean", "cosine", "cv"),
        Verdict("1a, c", "d' to pairs that are off", where, first, second, _ratio(second, first)),
        small("1b, d", "spread of the loss", "loss", "std"),
        small("1b, d", "loss of the worst tenth", "loss", "worst_tenth"),
    ]


def figure_5(perturbations: Mapping[str, Figures], syncnet: str, avhubert: str, where: str) -> list[Verdict]:
    """Panels a (shift) and b (rotation): what is lost of the sync signal at the ends of the sweep, and the rise of the
    loss there (mean of both ends). Small is steady.

    :param perturbations: name -> ``values`` and per expert the curves of :func:`tfg.studies.fig5.curves`.
    """
    rows = []
    for panel, (name, found) in zip("ab", perturbations.items(), strict=True):
        middle = list(found["values"]).index(0)
        lost, rise = [], []
        for expert in (syncnet, avhubert):
            kept, loss = (np.array(found[expert][key], float) for key in ("kept", "loss"))
            lost.append(1 - float(kept[[0, -1]].mean()))
            rise.append(float(loss[[0, -1]].mean() - loss[middle]))
        end, unit = max(found["values"]), "%" if name == "shift_x" else "°"
        rows.append(
            Verdict(f"5{panel}", f"signal lost at ±{end:g}{unit}", where, lost[0], lost[1], _ratio(lost[0], lost[1]))
        )
        rows.append(
            Verdict(
                f"5{panel}", f"rise of the loss at ±{end:g}{unit}", where, rise[0], rise[1], _ratio(rise[0], rise[1])
            )
        )
    return rows


def steps(variants: Mapping[str, Figures], known: str) -> list[str]:
    """What each step from one variant to its neighbour changes, a sentence for each pair that was measured.

    :param variants: name -> figures of :func:`tfg.studies.variants.compare`.
    :param known: key of the set of clips for d'.
    """

    def end(figures: Figures, name: str) -> float:
        return float(np.array(figures[name]["kept"], float)[[0, -1]].mean())

    sentences = []
    for step, names in STEPS.items():
        if not set(names) <= set(variants):
            continue
        pair = [variants[name] for name in names]
        changes = {
            "d'": [float(one[known]["separation"]["d_prime"]) for one in pair],
            "kept under shift": [end(one, "shift_x") for one in pair],
            "under rotation": [end(one, "rotation") for one in pair],
            "neighbours' gradients agree": [float(one["gradients"]["neighbours"]) for one in pair],
        }
        sentences.append(f"{step}: " + ", ".join(f"{title} {a:.2f} -> {b:.2f}" for title, (a, b) in changes.items()))
    return sentences


def _ratio(a: float, b: float) -> float:
    """``a / b``; what is below 0.005 counts as this: nothing was lost."""
    if not np.isfinite([a, b]).all():
        return float("nan")
    return max(a, 0.005) / max(b, 0.005)
