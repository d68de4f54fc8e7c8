"""Rules of the book: every page is in the table of contents, figures have alt text, the cache knows the package."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text())
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text())
NOTEBOOKS = sorted(ROOT.glob("book/*.ipynb"))


def _files(node: Any) -> list[str]:
    """Every ``file`` and ``root`` of a table of contents."""
    if isinstance(node, dict):
        here = [node[key] for key in ("file", "root") if key in node]
        return here + [name for value in node.values() for name in _files(value)]
    return [name for entry in node for name in _files(entry)] if isinstance(node, list) else []


@pytest.fixture
def build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("book_build", ROOT / "book" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_page_is_in_the_table_of_contents_once() -> None:
    pages = {p.relative_to(ROOT).with_suffix("").as_posix() for p in [*ROOT.glob("book/*.md"), *NOTEBOOKS]}
    assert sorted(_files(TOC)) == sorted(pages)


def test_a_failing_cell_fails_the_build() -> None:
    assert CONFIG["execute"]["raise_on_error"] is True
    assert CONFIG["execute"]["execute_notebooks"] == "cache"
    assert CONFIG["only_build_toc_files"] is True
    assert not CONFIG["sphinx"]["config"]["suppress_warnings"]
    assert "--warningiserror" in (ROOT / "book" / "build.py").read_text()


def test_every_image_of_a_page_has_alt_text() -> None:
    for page in ROOT.glob("book/*.md"):
        for directive in re.findall(r"^```\{(?:image|figure)\}.*?^```", page.read_text(), re.M | re.S):
            assert re.search(r"^:alt: \S", directive, re.M), f"{page.name}: no alt text in\n{directive}"


def _package(root: Path) -> Path:
    (root / "tfg" / "__pycache__").mkdir(parents=True)
    (root / "constraints.txt").write_text("torch==2.13.0\n")
    (root / "pyproject.toml").write_text("[project]\n")
    module = root / "tfg" / "audio.py"
    module.write_text("HOP = 160\n")
    return module


def test_notebook_cache_is_emptied_when_the_package_changes(
    build: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = _package(tmp_path)
    cached = tmp_path / "_build" / ".jupyter_cache" / "executed"
    for name, path in {"ROOT": tmp_path, "BUILD": cached.parents[1], "CACHE": cached.parent}.items():
        monkeypatch.setattr(build, name, path)
    monkeypatch.setattr(build, "CACHE_KEY", tmp_path / "_build" / "notebook-cache-key")
    monkeypatch.delenv("TFG_DATA", raising=False)

    def survives() -> bool:
        cached.parent.mkdir(parents=True, exist_ok=True)
        cached.write_text("")
        build.refresh_cache()
        return cached.exists()

    assert not survives(), "a cache without a key is of unknown origin"
    assert survives()
    (module.parent / "__pycache__" / "audio.pyc").write_bytes(b"compiled")
    assert survives(), "compiled files are no change"
    module.write_text("HOP = 161\n")
    assert not survives()
    monkeypatch.setenv("TFG_DATA", "/corpora")
    assert not survives(), "the same cells show other clips with TFG_DATA"
    assert survives()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebook_is_checked_and_short(path: Path) -> None:
    cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    sources = ["".join(cell["source"]) for cell in cells]
    assert any("NBVAL_CHECK_OUTPUT" in source for source in sources), "no cell's output is compared"
    for cell, source in zip(cells, sources, strict=True):
        assert not any(output["output_type"] == "error" for output in cell["outputs"])
        assert len(source.splitlines()) <= 30, f"a long cell: its plumbing belongs in the package\n{source}"
        if "NBVAL_CHECK_OUTPUT" in source:
            assert cell["execution_count"] is not None, f"nbval compares nothing here\n{source}"
