"""Settings from YAML files: every key is checked before anything runs, and the first fault is named."""

from __future__ import annotations

import reprlib
from typing import TYPE_CHECKING, Any, TypeVar

from yuyi.errors import RecipeError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pydantic

Config = TypeVar("Config")

# Set as `__pydantic_config__` of a dataclass of settings: a key that no attribute has is an error.
REFUSE_UNKNOWN = {"extra": "forbid"}


def read_yaml(path: Path) -> Any:
    """What a YAML file holds.

    Raises:
        RecipeError: the file is missing or no YAML.
    """
    import yaml

    try:
        return yaml.safe_load(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise RecipeError(f"{path}: no such recipe. Check the path.") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RecipeError(f"{path}: cannot be read as YAML ({error}). Mend the file.") from error


def check_settings(kind: type[Config], values: Any, where: str) -> Config:
    """`values` as the dataclass `kind`, every key and value checked.

    Args:
        kind: a dataclass whose `__pydantic_config__` is `REFUSE_UNKNOWN`.
        values: what a file or a command line gave.
        where: what to call its origin in an error, such as the path of the file.

    Raises:
        RecipeError: a key is unknown or missing, or a value impossible; the message names the key, what it is
            and what it may be.
    """
    import pydantic

    try:
        return pydantic.TypeAdapter(kind).validate_python(values)
    except pydantic.ValidationError as error:
        raise RecipeError(f"{where}: {_first_fault(error, kind)}") from error


def with_settings(values: Any, assignments: Mapping[str, str], where: str = "--set") -> Any:
    """A copy of the tree `values` in which each dotted key of `assignments` has its value, read as YAML.

    Raises:
        RecipeError: a key leads through something that has no keys.
    """
    import yaml

    tree = dict(values or {})
    for key, text in assignments.items():
        branch = tree
        *above, last = key.split(".")
        for name in above:
            inner = branch.get(name) or {}
            if not isinstance(inner, dict):
                raise RecipeError(f"{where} {key}: {name} is {reprlib.repr(inner)} and has no keys. Mend it.")
            branch[name] = branch = dict(inner)
        try:
            branch[last] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise RecipeError(f"{where} {key}: {text!r} cannot be read as YAML. Mend the value.") from error
    return tree


def _first_fault(error: pydantic.ValidationError, kind: type) -> str:
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"])) or "the file"
    if first["type"] == "missing":
        return f"{where}: missing. Add this key."
    if first["type"] == "unexpected_keyword_argument":
        known = ", ".join(_keys_beside(kind, first["loc"]))
        return f"{where}: no such key. {f'Choose from {known}.' if known else 'Check its spelling.'}"
    if first["type"] == "value_error":
        return str(first["ctx"]["error"])
    return f"{where}: {first['msg']} (it is {reprlib.repr(first['input'])}). Mend this key."


def _keys_beside(kind: type, path: tuple[int | str, ...]) -> list[str]:
    """The keys that are allowed where the last key of `path` stands; none where types alone cannot tell."""
    from dataclasses import fields, is_dataclass
    from typing import get_args, get_type_hints

    here: Any = kind
    for step in path[:-1]:
        if isinstance(step, int):  # The element of a list; its class was found with the list.
            continue
        inner = get_type_hints(here).get(step)
        choices = [inner, *get_args(inner)]
        here = next((choice for choice in choices if is_dataclass(choice)), None)
        if here is None:
            return []
    return [field.name for field in fields(here)] if is_dataclass(here) else []
