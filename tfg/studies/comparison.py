"""Comparison tables by ``tfg evaluate``: ADTH-QA as it is distributed, and the packaged generator on face clips.

Evaluation only: nothing is trained on these clips, and no layer, threshold or protocol is chosen by them.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from tfg.errors import DataError
from tfg.evaluation import write
from tfg.evaluation.corpora import find_corpus
from tfg.evaluation.pairs import Corpus, thinned, with_method
from tfg.evaluation.run import evaluate
from tfg.studies.generators import PACKAGED
from tfg.studies.setup import KNOWN, UNSEEN, Setup

SETS = (KNOWN, UNSEEN, "studio-test")  # folders of face clips
CLIPS = 12  # of each


def adthqa_table(setup: Setup) -> tuple[dict[str, Any], dict[str, int]]:
    """The figures of the table (:func:`tfg.evaluation.write.figures`) of ADTH-QA's four methods."""
    return _tables(setup, [find_corpus("adthqa")])


def generator_tables(setup: Setup) -> tuple[dict[str, Any], dict[str, int]]:
    """Set of face clips -> figures of its table, with the packaged generator as the only method."""
    if setup.faces is None:
        raise DataError("no face clips: set TFG_FACES to the folder that 'tfg prepare ... --for generator' made")
    corpora = [with_method(find_corpus(setup.faces / part), PACKAGED, PACKAGED) for part in SETS]
    return _tables(setup, [thinned(corpus, CLIPS) for corpus in corpora])


def _tables(setup: Setup, corpora: list[Corpus]) -> tuple[dict[str, Any], dict[str, int]]:
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="tfg-") as temporary:
        for corpus in corpora:
            corpus = corpus if setup.most is None else thinned(corpus, setup.most)
            found = evaluate(
                corpus,
                (setup.evaluations or Path(temporary)) / corpus.name,
                on_clip=lambda name, _: setup.progress(f"{name} measured"),
                on_video=lambda method, name: setup.progress(f"{name} drawn by {method}"),
            )
            figures[corpus.name] = write.figures(found)
    return figures, {name: len(of_corpus["clips"]) for name, of_corpus in figures.items()}
