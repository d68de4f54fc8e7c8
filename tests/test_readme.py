"""What the README and the book's pages tell people to type, and the names they mention, exist and work."""

from __future__ import annotations

import importlib
import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
PAGES = {path.relative_to(ROOT).as_posix(): path.read_text() for path in [ROOT / "README.md", *ROOT.glob("book/*.md")]}


def _blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


def _commands(program: str) -> list[tuple[str, list[str]]]:
    """(page, arguments) of every line of a shell block, and of every piece of code in a sentence, that runs it."""
    found = []
    for page, text in PAGES.items():
        lines = [line for block in _blocks(text, "bash") for line in block.splitlines()]
        lines += re.findall(rf"`((?:\.venv/bin/)?{program} [^`]+)`", text)
        for line in lines:
            words = shlex.split(line, comments=True)
            if words and words[0].removeprefix(".venv/bin/") == program:
                found.append((page, words[1:]))
    return found


def _public_names() -> list[str]:
    """Every dotted ``tfg.`` name in code style, without the arguments of a call."""
    text = "\n".join(PAGES.values())
    return sorted({name for code in re.findall(r"`([^`\n]+)`", text) for name in re.findall(r"\btfg(?:\.\w+)+", code)})


@pytest.mark.parametrize("name", _public_names())
def test_public_name_exists(name: str) -> None:
    parts = name.split(".")
    value = importlib.import_module(parts[0])
    for index, part in enumerate(parts[1:], start=2):
        if not hasattr(value, part):
            importlib.import_module(".".join(parts[:index]))
        value = getattr(value, part)


@pytest.mark.parametrize("code", _blocks(README, "python"))
def test_python_example_runs(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})


CLI = _commands("tfg")


@pytest.mark.parametrize(("page", "words"), CLI, ids=[" ".join(["tfg", *words]) for _, words in CLI])
def test_command_line_can_be_parsed(page: str, words: list[str]) -> None:
    import typer

    from tfg.cli import app

    command = typer.main.get_command(app)
    path = ["tfg"]
    while words and not words[0].startswith("-") and hasattr(command, "commands"):
        path.append(words.pop(0))
        assert path[-1] in command.commands, f"{page}: no such command: {' '.join(path)}"
        command = command.commands[path[-1]]
    context = command.context_class(command)
    try:
        command.make_parser(context).parse_args(list(words))
    except Exception as error:
        pytest.fail(f"{page}: `{' '.join([*path, *words])}`: {error}")


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z]+):", makefile, re.M))
    variables = set(re.findall(r"^([A-Z_]+)\s*\?=", makefile, re.M))
    commands = _commands("make")
    assert {"book", "test"} <= {words[0] for _, words in commands if words}
    for page, words in commands:
        for word in words:
            name, assigns, _ = word.partition("=")
            known = variables if assigns else targets
            assert name in known, f"{page}: make has no {'variable' if assigns else 'target'} {name}"


def test_links_to_files_lead_somewhere() -> None:
    targets = re.findall(r"\]\(((?!https?:|#|mailto:)[^)]+)\)|src=\"((?!https?:)[^\"]+)\"", README)
    assert targets
    for link, source in targets:
        assert (ROOT / (link or source)).exists(), f"README links to {link or source}, which is not there"
