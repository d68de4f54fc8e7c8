"""Fixtures shared by all tests: where real clips are, and the golden numbers, when they are there."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest


def _data_root() -> Path:
    root = os.environ.get("TFG_DATA")
    if not root:
        pytest.skip("TFG_DATA is not set: real clips are needed here (see README, section Data)")
    path = Path(root)
    if not path.is_dir():
        pytest.skip(f"TFG_DATA={root} is not a folder")
    return path.resolve()  # tests link to clips from other folders


@pytest.fixture(scope="session")
def grid_dir() -> Path:
    """The GRID corpus under TFG_DATA."""
    path = _data_root() / "grid"
    if not path.is_dir():
        pytest.skip(f"no GRID clips at {path}")
    return path


@pytest.fixture(scope="session")
def adthqa_dir() -> Path:
    """The ADTH-QA clips under TFG_DATA."""
    path = _data_root() / "adthqa"
    if not path.is_dir():
        pytest.skip(f"no ADTH-QA clips at {path}")
    return path


@pytest.fixture(scope="session")
def golden() -> dict[str, np.ndarray]:
    """Outputs of the original AV-HuBERT and Wav2Lip code on synthetic weights (never committed)."""
    path = _data_root().parent / "reference" / "golden.npz"
    if not path.is_file():
        pytest.skip(f"golden numbers are not at {path}")
    with np.load(path) as archive:
        return dict(archive)
