"""Settings from YAML files: every key is checked before anything runs, and the first fault is named."""

from __future__ import annotations

import reprlib
from typing import TYPE_CHECKING, Any, TypeVar

from yuyi.errors import RecipeError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pydantic
    import pydantic_core

Config = TypeVar("Config")

# Set as `__pydantic_config__` of a dataclass of settings: a key that no attribute has is an error.
REFUSE_UNKNOWN = {"extra": "forbid"}


def read_yaml(path: Path) -> dict[str, Any]:
    """The keys and values that a YAML file holds; an empty file has none.

    Raises:
        RecipeError: the file is missing, no YAML, or something else than keys with values.
    """
    import yaml

    try:
        values = yaml.safe_load(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise RecipeError(f"{path}: no such file. Check the path.") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RecipeError(f"{path}: cannot be read as YAML ({error}). Mend the file.") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise RecipeError(
            f"{path}: holds {reprlib.repr(values)}, not keys with values. Write KEY: VALUE lines."
        )
    return values


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


def with_settings(
    values: Mapping[str, Any], assignments: Mapping[str, Any], where: str = "--set"
) -> dict[str, Any]:
    """A copy of the tree `values` in which each dotted key of `assignments` has its value.

    An element of a list goes by its number, counted from 0: `stages.0.steps`.

    Raises:
        RecipeError: a key leads through something that has no keys, or to no element of a list.
    """
    tree = dict(values)
    for key, value in assignments.items():
        branch: Any = tree
        *above, last = key.split(".")
        for name in above:
            place = _place(branch, name, f"{where} {key}")
            inner = (branch.get(place) if isinstance(branch, dict) else branch[place]) or {}
            if not isinstance(inner, dict | list):
                raise RecipeError(f"{where} {key}: {name} is {reprlib.repr(inner)} and has no keys. Mend it.")
            branch[place] = inner.copy()
            branch = branch[place]
        branch[_place(branch, last, f"{where} {key}")] = value
    return tree


def _place(branch: Any, name: str, where: str) -> Any:
    """`name` as a key of a tree, or as the number of an element of a list."""
    if not isinstance(branch, list):
        return name
    if not name.isdecimal() or int(name) >= len(branch):
        raise RecipeError(f"{where}: {name} is none of the {len(branch)} elements, from 0. Mend the number.")
    return int(name)


def read_assignments(lines: Sequence[str]) -> dict[str, Any]:
    """Values by dotted key, of lines of the form `KEY=VALUE` with the value in YAML.

    Raises:
        RecipeError: a line has another form.
    """
    import yaml

    values = {}
    for line in lines:
        key, equals, text = line.partition("=")
        if not equals or not key:
            raise RecipeError(f"--set {line}: not of the form KEY=VALUE. Write, say, --set mix.alpha=0.5")
        try:
            values[key] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise RecipeError(f"--set {key}: {text!r} cannot be read as YAML. Mend the value.") from error
    return values


def _first_fault(error: pydantic.ValidationError, kind: type) -> str:
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"])) or "the file"
    if first["type"] == "missing":
        return f"{where}: missing. Add this key."
    if first["type"] == "unexpected_keyword_argument":
        known = ", ".join(_keys_beside(kind, first["loc"]))
        return f"{where}: no such key. {f'Choose from {known}.' if known else 'Check its spelling.'}"
    if first["type"] == "tuple_type":
        return f"{where}: {reprlib.repr(first['input'])} is no list. {_as_list(first, kind)}"
    if first["type"] == "dataclass_type":
        keys = ", ".join(_keys_beside(kind, (*first["loc"], "")))
        return f"{where}: {reprlib.repr(first['input'])} is not keys with values. Its keys are {keys}."
    if first["type"] == "value_error":
        return str(first["ctx"]["error"])
    return f"{where}: {first['msg']} (it is {reprlib.repr(first['input'])}). Mend this key."


def _as_list(fault: pydantic_core.ErrorDetails, kind: type) -> str:
    """What to write where a list is wanted, made of the one value that is there."""
    value = fault["input"]
    if isinstance(value, dict):
        return "Put a hyphen before each of its elements."
    keys = _keys_beside(kind, (*fault["loc"], 0, ""))
    return f"Write a list, as [{{{keys[0]}: {value}}}]." if keys else f"Write a list, as [{value}]."


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
