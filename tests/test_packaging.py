"""What an installation promises: pins that agree with each other, a package that stands without the book's tools."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import tfg

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]


def _lines(name: str) -> list[str]:
    return [line for line in (ROOT / name).read_text().splitlines() if line and not line.startswith("#")]


def _pins(name: str) -> dict[str, str]:
    requirements = [Requirement(line) for line in _lines(name)]
    for requirement in requirements:
        assert re.fullmatch(r"==[^,*]+", str(requirement.specifier)), f"{name}: {requirement} is not an exact pin"
    return {canonicalize_name(r.name): str(r.specifier).removeprefix("==") for r in requirements}


GROUPS = [("dependencies", PROJECT["dependencies"]), *EXTRAS.items()]


@pytest.mark.parametrize(("group", "requirements"), GROUPS, ids=[name for name, _ in GROUPS])
def test_tested_versions_are_allowed_by_pyproject(group: str, requirements: list[str]) -> None:
    pins = _pins("constraints.txt")
    for requirement in map(Requirement, requirements):
        name = canonicalize_name(requirement.name)
        assert name in pins, f"{group}: {requirement.name} has no version in constraints.txt (make lock)"
        assert requirement.specifier.contains(pins[name]), f"{group}: {requirement} excludes the tested {pins[name]}"


def test_peers_are_pinned_apart_because_they_install_without_dependencies() -> None:
    peers = _pins("requirements-peers.txt")
    assert {"ve-fairseq", "espnet", "syncnet-python"} <= peers.keys()
    named = {canonicalize_name(Requirement(r).name) for _, group in GROUPS for r in group}
    assert not peers.keys() & named, "pip would resolve what the peers declare, which cannot be installed"
    assert not peers.keys() & _pins("constraints.txt").keys()


def test_conda_environment_takes_its_pins_from_pyproject() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    conda = [entry for entry in environment["dependencies"] if isinstance(entry, str)]
    (pip,) = [entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)]

    (python,) = [entry for entry in conda if entry.startswith("python")]
    assert SpecifierSet(PROJECT["requires-python"]).contains(python.split("=")[1])
    # nothing is named twice, so nothing can disagree: conda brings tools, pip reads pyproject and constraints
    assert {entry.split("=")[0] for entry in conda} == {"python", "pip", "make"}
    assert pip[0] == "--constraint constraints.txt"
    extras = re.fullmatch(r"--editable \.\[([a-z,]+)\]", pip[1])
    assert len(pip) == 2
    assert extras is not None
    assert set(extras[1].split(",")) <= EXTRAS.keys()


NAMING_EXTRAS = ["README.md", "Makefile", "environment.yml", "requirements-peers.txt", "book/setup.md"]


@pytest.mark.parametrize("name", NAMING_EXTRAS)
def test_extras_that_documents_name_exist(name: str) -> None:
    groups = re.findall(r"\.\[([a-z,]+)\]", (ROOT / name).read_text())
    named = {extra for group in groups for extra in group.split(",")}
    assert named, f"{name} names no extra; this test looks for .[name]"
    assert named <= EXTRAS.keys()


def test_one_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert tfg.__version__ == PROJECT["version"] == citation["version"]


def test_licence_files_exist_and_name_the_licence() -> None:
    for name in PROJECT["license-files"]:
        assert (ROOT / name).is_file()
    assert PROJECT["license"] == "MIT"
    assert (ROOT / "LICENSE").read_text().startswith("MIT License")


def _module_level_imports(path: Path) -> set[str]:
    """Top-level packages that importing the file imports (not under ``if TYPE_CHECKING``)."""
    found: set[str] = set()
    nodes: list[ast.stmt] = list(ast.parse(path.read_text()).body)
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.split(".")[0])
        elif isinstance(node, ast.If) and "TYPE_CHECKING" not in ast.unparse(node.test):
            nodes += node.body + node.orelse
    return found


def test_package_imports_only_what_pip_install_brings() -> None:
    core = {canonicalize_name(Requirement(r).name) for r in PROJECT["dependencies"]}
    distributions = packages_distributions()
    for path in sorted((ROOT / "tfg").rglob("*.py")):
        for module in _module_level_imports(path) - set(sys.stdlib_module_names) - {"tfg"}:
            owners = {canonicalize_name(owner) for owner in distributions.get(module, [])}
            assert owners & core, f"{path.relative_to(ROOT)} imports {module}, which `pip install .` does not install"


def test_importing_the_package_is_light() -> None:
    """`tfg --help` and `import tfg` must not wait seconds for PyTorch."""
    code = "import sys, tfg; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60).returncode == 0


def test_ci_runs_the_two_commands() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    commands = script.read_text()
    assert re.search(r"^make test", commands, re.M)
    assert re.search(r"^make book", commands, re.M)
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    steps = workflow["jobs"]["test-and-book"]["steps"]
    assert any(step.get("run") == ".ci/run" for step in steps)
    assert any(step.get("with", {}).get("python-version") == "3.11" for step in steps)


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_help_lists_the_targets() -> None:
    help_text = subprocess.run(["make", "help"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for target in ("book", "test", "lint", "unit", "nbval", "peers", "lock", "clean", "distclean"):
        assert re.search(rf"^  make {target}\s+\S", help_text, re.M), f"make {target} has no description"
