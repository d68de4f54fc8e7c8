"""Make the short films of ``comparing_generators``: ``python book/make_films.py``.

Needs GRID (``TFG_DATA``), face clips (``TFG_FACES``) and the weights of the twins (``TFG_GENERATORS``).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch

from tfg.errors import TfgError
from tfg.studies import Setup
from tfg.studies.films import FILMS, make

OUT = Path(__file__).resolve().parent / "results" / "films"


def main() -> int:
    """Write all films; 1 when one could not be made."""
    torch.set_num_threads(1)
    folders = [Path(os.environ[name]) if os.environ.get(name) else None for name in ("TFG_FACES", "TFG_GENERATORS")]
    setup = Setup(faces=folders[0], generators=folders[1])
    try:
        for film in FILMS:
            path = make(setup, film, OUT)
            print(f"{path.name}: {path.stat().st_size // 1000} kB")
    except TfgError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
