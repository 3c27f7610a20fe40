"""A model card as the checks of `lint` see it: its model-index, its tables and its code.

The front matter is read with every scalar as text, as YAML would turn a revision of digits into a number and
a bare date into a date. What is built unlike a model-index is refused by its key; values that are merely
wrong are kept for the checks.
"""

from __future__ import annotations

import math
import re
import reprlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from yuyi.errors import InputError
from yuyi.extras import require

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_FRONT_MATTER = re.compile(r"---[ \t]*\n(.*?)^(?:---|\.\.\.)[ \t]*$", re.DOTALL | re.MULTILINE)
# What stands where nothing is; `None` is how mteb 1 wrote it.
_NOTHING = ("", "~", "null", "Null", "NULL", "None")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a card says and its own figures or files do not.

    Attributes:
        rule: which check found it.
        where: the place, as a reader would name it.
        message: what is said, what it should be and, where known, why.
        line: line of the card, counted from 1; None where the place is a key of the front matter.
    """

    rule: str
    where: str
    message: str
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """One result of a model-index.

    Attributes:
        task: name of the task without "MTEB" and without the part of the data.
        subset: the part of the data that was scored; "default" where there is one only.
        split: the split that was scored; empty where none is named.
        kind: the task's type as the card has it.
        dataset: name of the data on the hub.
        revision: commit of the data; empty where none is named.
        metrics: values as they stand, by metric.
    """

    task: str
    subset: str
    split: str
    kind: str
    dataset: str
    revision: str
    metrics: Mapping[str, str]

    def numbers(self) -> dict[str, float]:
        """Those metrics that are finite numbers."""
        values = {name: as_number(text) for name, text in self.metrics.items()}
        return {name: value for name, value in values.items() if value is not None and math.isfinite(value)}

    @property
    def label(self) -> str:
        """The task, with the part of the data where there are several."""
        return self.task if self.subset == "default" else f"{self.task} ({self.subset})"


@dataclass(frozen=True, slots=True)
class Entry:
    """The results that a model-index holds for one model."""

    model: str
    results: tuple[Result, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the text; every row has as many cells as the heading, and `lines` has the line of each."""

    line: int
    heading: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]


class Passage(NamedTuple):
    """A piece of a card's text."""

    line: int
    content: str

    def line_at(self, offset: int) -> int:
        """The line of the card on which a character of the content stands."""
        return self.line + self.content.count("\n", 0, offset)


@dataclass(frozen=True, slots=True)
class Card:
    """A model card.

    Attributes:
        path: the file.
        entries: its model-index; empty where it has none.
        tables: the Markdown tables of its text.
        code: line and content of each block of code.
        prose: line and content of each paragraph, heading and item outside tables and code.
    """

    path: Path
    entries: tuple[Entry, ...]
    tables: tuple[Table, ...]
    code: tuple[Passage, ...]
    prose: tuple[Passage, ...]


def read_card(path: Path) -> Card:
    """The card in a Markdown file.

    Raises:
        InputError: the file cannot be read, begins with no front matter, or holds no model-index of a known
            shape where it has one; the message names the key.
        MissingExtra: PyYAML is not installed.
    """
    values, body, first_line = read_front_matter(path)
    return Card(path, _read_index(path, values), *_read_markdown(body, first_line))


def read_front_matter(path: Path) -> tuple[dict[Any, Any], str, int]:
    """The front matter of a Markdown file with every scalar as text, the text behind it, and its first line.

    Raises:
        InputError: the file cannot be read, or begins with no front matter.
        MissingExtra: PyYAML is not installed.
    """
    try:
        text = path.read_text("utf-8-sig")
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file. Give the path of a model card, mostly README.md.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as UTF-8 text ({error}). Mend the file.") from error
    text = text.replace("\r\n", "\n")
    found = _FRONT_MATTER.match(text)
    if found is None:
        raise InputError(
            f"{path}: begins with no front matter. A model card starts with YAML between two lines of ---."
        )
    first_line = text.count("\n", 0, found.end()) + 1
    return _read_yaml(path, found[1]), text[found.end() :], first_line


def as_number(text: str) -> float | None:
    """The number that a scalar of YAML stands for, which may be NaN or infinite; None for other text."""
    try:
        return float(re.sub(r"^([+-]?)\.(?=inf|nan)", r"\1", text.strip().lower()))
    except ValueError:
        return None


def _read_yaml(path: Path, text: str) -> dict[Any, Any]:
    require("card")
    import yaml

    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    try:
        values = yaml.load(text, loader)  # A base loader makes nothing but texts, lists and mappings.
    except (yaml.YAMLError, RecursionError) as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None) or error
        place = f"line {mark.line + 2}: " if mark else ""  # The front matter begins on the second line.
        raise InputError(f"{path}: the front matter is no YAML ({place}{problem}). Mend it.") from error
    if values is None or values == "":
        return {}
    return _mapping(path, "the front matter", values)


def _read_index(path: Path, front_matter: dict[Any, Any]) -> tuple[Entry, ...]:
    entries = []
    for key, entry in _items(path, "model-index", front_matter.get("model-index")):
        results = tuple(
            _result(path, where, value)
            for where, value in _items(path, f"{key}.results", entry.get("results"))
        )
        entries.append(Entry(_scalar(path, f"{key}.name", entry.get("name")), results))
    return tuple(entries)


def _result(path: Path, key: str, value: dict[Any, Any]) -> Result:
    task, data = (
        {} if value.get(name) in (None, *_NOTHING) else _mapping(path, f"{key}.{name}", value[name])
        for name in ("task", "dataset")
    )
    told = {
        name: _scalar(path, f"{key}.dataset.{name}", data.get(name))
        for name in ("name", "type", "config", "split", "revision")
    }
    # `MTEB STS22 (zh)`: the task and, for one with several, the part that was scored.
    name, _, subset = told["name"].strip().removeprefix("MTEB ").partition(" (")
    metrics: dict[str, str] = {}
    for where, metric in _items(path, f"{key}.metrics", value.get("metrics")):
        kind = _scalar(path, f"{where}.type", metric.get("type"))
        metrics.setdefault(kind, _scalar(path, f"{where}.value", metric.get("value")))
    return Result(
        task=name.strip() or told["type"].rpartition("/")[2],
        subset=told["config"] or subset.removesuffix(")") or "default",
        split=told["split"],
        kind=" ".join(_scalar(path, f"{key}.task.{name}", task.get(name)) for name in ("type", "name")),
        dataset=told["type"],
        revision=told["revision"],
        metrics=metrics,
    )


def _items(path: Path, key: str, value: Any) -> Iterator[tuple[str, dict[Any, Any]]]:
    """Each mapping of a list, with its key."""
    if value in (None, *_NOTHING):
        return
    if not isinstance(value, list):
        raise InputError(f"{path}: {key} is {reprlib.repr(value)}, not a list. Put a hyphen before each.")
    for number, item in enumerate(value):
        yield f"{key}[{number}]", _mapping(path, f"{key}[{number}]", item)


def _mapping(path: Path, key: str, value: Any) -> dict[Any, Any]:
    if not isinstance(value, dict):
        raise InputError(
            f"{path}: {key} is {reprlib.repr(value)}, not keys with values. Write KEY: VALUE lines."
        )
    return value


def _scalar(path: Path, key: str, value: Any) -> str:
    """The text of a scalar; empty where it is missing or says that there is none."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InputError(f"{path}: {key} is {reprlib.repr(value)}, not one value. Write a text or a number.")
    return "" if value in _NOTHING else value


def _read_markdown(
    text: str, first_line: int
) -> tuple[tuple[Table, ...], tuple[Passage, ...], tuple[Passage, ...]]:
    """The tables, the blocks of code and the prose of a text."""
    from markdown_it import MarkdownIt

    tables: list[Table] = []
    code: list[Passage] = []
    prose: list[Passage] = []
    rows: list[list[str]] = []
    lines: list[int] = []
    # Inline markup is left as it stands: only names and numbers are read from cells.
    for token in MarkdownIt("commonmark").enable("table").disable("inline").parse(text):
        line = first_line + (token.map[0] if token.map else 0)
        if token.type in ("fence", "code_block"):
            code.append(Passage(line + (token.type == "fence"), token.content))
        elif token.type == "table_open":
            rows, lines = [], []
        elif token.type == "tr_open":
            rows.append([])
            lines.append(line)
        elif token.type in ("th_open", "td_open"):
            rows[-1].append("")
        elif token.type == "inline" and rows:
            rows[-1][-1] = token.content
        elif token.type == "inline":
            prose.append(Passage(line, token.content))
        elif token.type == "table_close":
            cells = [tuple(row) for row in rows]
            tables.append(Table(lines[0], cells[0], tuple(cells[1:]), tuple(lines[1:])))
            rows = []
    return tuple(tables), tuple(code), tuple(prose)
