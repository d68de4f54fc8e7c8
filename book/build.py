"""Build the book: execute the notebooks, render every page, fail on any warning, print where the result is.

``make book`` runs this with the environment's Python; ``python book/build.py`` does the same without make.

Executed notebooks are kept in a cache under ``_build`` that knows a notebook's cells but not the package they import.
So the cache is emptied here whenever the package, its embedded clips and weights, the committed results, the pinned
versions or ``TFG_DATA`` change. Pages are always rendered anew: Sphinx reports a page's warnings only when it reads it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "_build"
CACHE = BUILD / ".jupyter_cache"
CACHE_KEY = BUILD / "notebook-cache-key"
LOG = BUILD / "build.log"
INPUTS = ("tfg", "book/results", "constraints.txt", "pyproject.toml")


def inputs_key() -> str:
    """SHA-256 over all that a notebook's outputs depend on besides its own cells."""
    digest = hashlib.sha256(f"TFG_DATA={os.environ.get('TFG_DATA', '')}\n".encode())
    for entry in (ROOT / name for name in INPUTS):
        for path in sorted(entry.rglob("*")) if entry.is_dir() else [entry]:
            if path.is_file() and path.suffix != ".pyc":
                digest.update(f"{path.relative_to(ROOT).as_posix()}\n".encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()


def refresh_cache() -> None:
    """Empty the notebook cache if it was filled with another state of the package."""
    key = inputs_key()
    if CACHE_KEY.is_file() and CACHE_KEY.read_text() == key:
        print("==> notebooks: unchanged ones come from the cache (make clean empties it)", flush=True)
        return
    print("==> notebooks: all are executed (first build, or the package changed)", flush=True)
    shutil.rmtree(CACHE, ignore_errors=True)
    BUILD.mkdir(exist_ok=True)
    CACHE_KEY.write_text(key)


def run_logged(command: list[str], environment: dict[str, str]) -> int:
    """Run a command, show what it prints and keep it in ``_build/build.log``: a failed cell's traceback is in it."""
    with (
        LOG.open("w", encoding="utf-8") as log,
        subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
        ) as process,
    ):
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            log.write(line)
    return process.returncode


def main() -> int:
    began = time.monotonic()
    refresh_cache()
    program = Path(sys.executable).with_name("jupyter-book")  # of this environment; it has no `python -m` form
    command = [str(program), "build", str(ROOT)]
    command += ["--all", "--warningiserror", "--nitpick", "--keep-going", "--quiet"]
    # the kernel of this Python, not one that the user has registered
    environment = os.environ | {"JUPYTER_PREFER_ENV_PATH": "1", "PYTHONUTF8": "1"}
    if code := run_logged(command, environment):
        print(f"==> the book was not built; what was printed is kept in {LOG}", file=sys.stderr)
        return code
    print(f"==> built in {time.monotonic() - began:.0f} s: {BUILD / 'html' / 'index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
