"""Give out a study's page with Voila, to this computer or to a class."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from importlib import resources
from importlib.util import find_spec

from tfg.errors import DataError
from tfg.rating.folder import StudyFolder

PORT = 8866
_IDLE = 600  # seconds after which the process of a page that is gone ends; who comes back gets a new one
_FILES = r"videos/[0-9a-f]+\.mp4"  # all that the page may fetch: never the votes


def command(study: StudyFolder, port: int = PORT, network: bool = False) -> list[str]:
    """The command that serves a study.

    :param network: to every computer that reaches this one, not to this one alone.
    :raises DataError: Voila or anywidget is not installed.
    """
    missing = [name for name in ("voila", "anywidget") if find_spec(name) is None]
    if missing:
        raise DataError(f"serving a study needs {' and '.join(missing)}, not installed here: pip install 'tfg[rating]'")
    made = [
        sys.executable, "-m", "voila", str(study.folder / "rate.ipynb"), "--no-browser", f"--port={port}",
        "--template=tfg-rating",
        f"--Voila.ip={'0.0.0.0' if network else '127.0.0.1'}", "--Voila.port_retries=0", "--Voila.log_level=ERROR",
        f"--VoilaConfiguration.file_allowlist={_FILES}",
        f"--MappingKernelManager.cull_idle_timeout={_IDLE}",
        "--Voila.tornado_settings=disable_check_xsrf=True",  # else no page that closes may end its own process
    ]  # fmt: skip
    return made if os.name == "nt" else [*made, "--KernelManager.transport=ipc"]  # no ports for others to listen at


def start(study: StudyFolder, port: int = PORT, network: bool = False) -> subprocess.Popen[bytes]:
    """Start serving; stop it with ``terminate()``. Each rater's page has a Python process of its own.

    :raises DataError: the port is taken, or as :func:`command`.
    """
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            raise DataError(f"port {port} is in use by another program; expected a free one: give another --port")
    templates = str(resources.files("tfg") / "assets" / "rating" / "jupyter")
    paths = os.pathsep.join(filter(None, [templates, os.environ.get("JUPYTER_PATH")]))
    # the page's kernel is that of this Python, not one that the user has registered
    environment = os.environ | {"JUPYTER_PATH": paths, "JUPYTER_PREFER_ENV_PATH": "1"}
    return subprocess.Popen(command(study, port, network), env=environment)


def addresses(port: int = PORT, network: bool = False) -> list[str]:
    """Where raters find the page: this computer's address in its network first."""
    here = [f"http://127.0.0.1:{port}/"]
    if not network:
        return here
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # an address for documentation: nothing is sent, a route is chosen
            return [f"http://{probe.getsockname()[0]}:{port}/", *here]
        except OSError:  # no network
            return here
