"""Write constraints.txt: the exact versions of everything in the running environment, as `make` will install them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADER = """\
# The versions with which the tests and the book were run (Python 3.11, Linux). `make` installs exactly these;
# `pip install .` does not read this file and takes what pyproject.toml's ranges allow. Written by `make lock`.
"""
# Installed without dependencies (requirements-peers.txt pins them), or part of every environment.
LEFT_OUT = {"pip", "setuptools", "wheel", "tfg"} | {
    re.split(r"[=;]", line)[0].strip().lower()
    for line in (ROOT / "requirements-peers.txt").read_text().splitlines()
    if line and not line.startswith("#")
}


def main() -> None:
    freeze = subprocess.run(
        [sys.executable, "-m", "pip", "list", "--format=freeze", "--disable-pip-version-check"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    pins = []
    for line in freeze.splitlines():
        name, version = line.split("==")
        if name.lower() not in LEFT_OUT:
            pins.append(f"{name}=={version.split('+')[0]}\n")  # torch's build tag (+cpu) is the installer's choice
    (ROOT / "constraints.txt").write_text(HEADER + "".join(pins))
    print(f"constraints.txt: {len(pins)} pins")


if __name__ == "__main__":
    main()
