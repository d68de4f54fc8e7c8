"""Training recipes: TOML files read into frozen dataclasses, every key known, every key present.

The committed recipes lie in ``tfg/assets/recipes``; a recipe's name works wherever its path does.
"""

from __future__ import annotations

import dataclasses
import tomllib
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
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    unknown, missing = sorted(found.keys() - fields), sorted(fields.keys() - found)
    if unknown or missing:
        raise TrainingError(f"{path}: unknown keys {unknown}, missing keys {missing}; expected {sorted(fields)}")
    for key, value in found.items():
        default = _example(fields[key].type)
        if not isinstance(value, default) or (isinstance(value, bool) and bool not in default):
            raise TrainingError(f"{path}: {key} = {value!r}, expected {fields[key].type}")
    return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in found.items()})


def _example(annotation: Any) -> tuple[type, ...]:
    """The TOML types that an annotation of a recipe's field accepts."""
    text = str(annotation)
    if text.startswith("tuple"):
        return (list,)
    return {"int": (int,), "float": (float, int), "str": (str,), "bool": (bool,)}[text]
