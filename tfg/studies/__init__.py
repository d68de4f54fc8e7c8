"""Measurements that need real corpora or minutes: each is one function, ``book/make_results.py`` runs them.

A study takes a :class:`~tfg.studies.setup.Setup` and returns its figures and how many clips of which data it used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from tfg.studies import (
    ablation,
    adthqa,
    comparison,
    context,
    fig1,
    fig5,
    from_scratch,
    generators,
    gradients,
    hiding,
    judge,
    mouths,
    training_curves,
    variants,
)
from tfg.studies.setup import Setup

Study = Callable[[Setup], tuple[dict[str, Any], dict[str, int]]]

#: name of the result file -> what measures it
STUDIES: Mapping[str, Study] = {
    "fig1": fig1.measure,
    "fig5": fig5.measure,
    "context": context.measure,
    "gradients": gradients.measure,
    "variants": variants.measure,
    "from_scratch": from_scratch.measure,
    "fig5_judge": judge.fig5_judge,
    "offsets": judge.offsets,
    "layers": judge.layers,
    "doubt": judge.doubt,
    "adthqa_stress": judge.adthqa_stress,
    "hiding": hiding.measure,
    "mouths": mouths.measure,
    "adthqa_metrics": adthqa.measure,
    "ablation": ablation.measure,
    "ablation_seeds": partial(ablation.measure, name=ablation.SEEDS),
    "generators": generators.measure,
    "training_curves": training_curves.measure,
    "adthqa_table": comparison.adthqa_table,
    "generator_tables": comparison.generator_tables,
}

#: studies that train networks of their own, or none: their figures do not change with the shipped weights
WITHOUT_EXPERTS = frozenset({"from_scratch", "hiding", "mouths", "training_curves"})

__all__ = ["STUDIES", "WITHOUT_EXPERTS", "Setup", "Study"]
