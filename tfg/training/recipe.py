"""Training recipes: TOML files read into frozen dataclasses, every key known, every key present; tables nest.

The committed recipes lie in ``tfg/assets/recipes``; a recipe's name works wherever its path does.
"""

from __future__ import annotations

import dataclasses
import tomllib
import typing
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from tfg.errors import TrainingError

R = TypeVar("R")


def packaged() -> dict[str, Path]:
    """Name -> path of the recipes that come with the package."""
    folder = Path(str(resources.files("tfg"))) / "assets" / "recipes"
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def read_recipe(name_or_path: str | Path, kind: type[R]) -> R:
    """Read a recipe of the given dataclass.

    :raises TrainingError: no such recipe, not TOML, an unknown key, a missing key, or a value of the wrong type.
    """
    path = packaged().get(str(name_or_path), Path(name_or_path))
    if not path.is_file():
        raise TrainingError(f"{name_or_path} is neither a file nor a packaged recipe ({', '.join(packaged())})")
    try:
        found = tomllib.loads(path.read_text())
    except tomllib.TOMLDecodeError as error:
        raise TrainingError(f"{path} is not TOML: {error}") from error
    return _build(found, kind, str(path))


def _build(found: dict[str, Any], kind: type[R], where: str) -> R:
    hints = typing.get_type_hints(kind)
    unknown, missing = sorted(found.keys() - hints), sorted(hints.keys() - found)
    if unknown or missing:
        raise TrainingError(f"{where}: unknown keys {unknown}, missing keys {missing}; expected {sorted(hints)}")
    return kind(**{key: _value(value, hints[key], f"{where}: {key}") for key, value in found.items()})


def _value(value: Any, hint: Any, where: str) -> Any:
    """A TOML value as the field's type; a table becomes the dataclass, or the dict of them, that the field asks for."""
    if typing.get_origin(hint) is dict and isinstance(value, dict):
        return {name: _value(table, typing.get_args(hint)[1], f"{where}.{name}") for name, table in value.items()}
    if dataclasses.is_dataclass(hint) and isinstance(hint, type) and isinstance(value, dict):
        return _build(value, hint, where)
    accepted = {int: (int,), float: (float, int), str: (str,), bool: (bool,)}.get(hint, (list,))
    fits = isinstance(value, accepted) and (bool in accepted or not isinstance(value, bool))
    if dataclasses.is_dataclass(hint) or not fits:
        raise TrainingError(f"{where} = {value!r}, expected {getattr(hint, '__name__', hint)}")
    return tuple(value) if isinstance(value, list) else value
