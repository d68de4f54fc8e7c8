"""Make the result files that the book's pages show: ``make results``, or ``python book/make_results.py [NAME ...]``.

Needs the GRID corpus (``TFG_DATA``), prepared folders (``TFG_PREPARED``, from ``tfg prepare``) and, for ``variants``,
the folder of their runs (``TFG_VARIANTS``). ``generators`` and ``ablation`` need face clips (``TFG_FACES``), the
twins' weights (``TFG_GENERATORS``) and the ablation's runs (``TFG_ABLATION``); ``adthqa_table`` needs ADTH-QA
(``TFG_DATA``), ``generator_tables`` face clips, and both go on where they were cut off when ``TFG_EVALUATIONS`` names a
folder. A result that is there, complete, and made with the same weights is kept.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import torch
from rich.console import Console

from tfg import results
from tfg.errors import DataError, TfgError
from tfg.experts.checkpoints import file_sha256
from tfg.experts.registry import get_weights
from tfg.studies import STUDIES, WITHOUT_EXPERTS, Setup
from tfg.studies.generators import PACKAGED, weight_files
from tfg.studies.setup import AVHUBERT, SYNCNET
from tfg.studies.variants import checkpoints

RESULTS = Path(__file__).resolve().parent / "results"


def main(arguments: list[str] | None = None) -> int:
    """Run the studies that are asked for; 1 when one could not be measured."""
    options = _options(arguments)
    torch.set_num_threads(1)
    setup = Setup(
        options.prepared,
        options.corpus,
        options.variants,
        faces=_from_environment("TFG_FACES"),
        generators=_from_environment("TFG_GENERATORS"),
        ablation=_from_environment("TFG_ABLATION"),
        evaluations=_from_environment("TFG_EVALUATIONS"),
        seed=options.seed,
        most=options.clips,
    )
    console = Console(stderr=True)
    failed = 0
    for name in options.names or STUDIES:
        path = options.out / f"{name}.json"
        try:
            weights = _weights(name, setup)
            if not options.force and _finished(path, weights):
                console.print(f"{name}: kept, made with these weights already")
                continue
            began = time.perf_counter()
            with console.status(name) as status:
                setup.progress = lambda item, name=name: status.update(f"{name}: {item}")  # type: ignore[misc]
                figures, used = STUDIES[name](setup)
            limit = f" --clips {options.clips}" if options.clips else ""
            command = f"python book/make_results.py {name}{limit}"
            results.write(path, figures, command=command, data_used=used, seed=setup.seed, weights=weights)
            console.print(f"{name}: {path.name} in {time.perf_counter() - began:.0f} s")
        except TfgError as error:
            console.print(f"{name}: left out: {error}", style="red", soft_wrap=True)
            failed = 1
    return failed


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(STUDIES)}; by default all")
    parser.add_argument("--force", action="store_true", help="measure again what is there")
    parser.add_argument("--prepared", type=Path, default=_from_environment("TFG_PREPARED"), help="prepared folders")
    parser.add_argument("--variants", type=Path, default=_from_environment("TFG_VARIANTS"), help="runs of the variants")
    parser.add_argument("--corpus", type=Path, help="the GRID corpus; by default $TFG_DATA/grid")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the result files")
    parser.add_argument("--clips", type=int, help="at most so many clips of a set, for a quick look")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.names) - set(STUDIES))
    if unknown:
        parser.error(f"no result is called {', '.join(unknown)}; there are {', '.join(STUDIES)}")
    return options


def _from_environment(name: str) -> Path | None:
    return Path(os.environ[name]) if os.environ.get(name) else None


def _weights(name: str, setup: Setup) -> dict[str, str]:
    if name in WITHOUT_EXPERTS:
        return {}
    if name == "variants":
        files = checkpoints(setup.checkpoints)
    else:
        files = {expert: get_weights(expert) for expert in (SYNCNET, AVHUBERT)}
    if name == "generators":
        files |= weight_files(setup.generators)
    if name == "generator_tables":
        files[PACKAGED] = get_weights(PACKAGED)
    return {expert: file_sha256(path) for expert, path in files.items()}


def _finished(path: Path, weights: dict[str, str]) -> bool:
    try:
        return bool(results.read(path)["provenance"]["weights"] == weights)
    except DataError:
        return False


if __name__ == "__main__":
    sys.exit(main())
