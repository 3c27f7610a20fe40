"""How a model was made, as `training.json` in its folder says; `yuyi train` and `yuyi run` write it.

    {"yuyi": "0.1.0", "license": "mit", "languages": ["zh"], "start": "gte-small-zh",
     "teacher": {"name": ..., "licence": ...},
     "stages": [{"run": ..., "name": ..., "steps": ..., "learning_rate": ...,
                 "tasks": [{"objective": ..., "share": 0.5, "batch": 64}]}],
     "sources": [{"name": ..., "kind": ..., "rows": ..., "origin": ..., "licence": ...}],
     "documents": [...], "settings": {"seed": 0, ...}}

Every key may be missing, but for names; what is missing is unknown. An empty "start" says fresh weights.
"replayed" of a source says that the model knew its rows before. "dropped" (rows by reason), "left_out" (of
path and reason), "limits" and "notes" (sentences) are there where whoever made the model knows them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, TypeVar

from yuyi.errors import ModelError
from yuyi.pipeline import read_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

TRAINING = "training.json"

_Number = TypeVar("_Number", int, float)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Rows of one collection and kind; `rows` is None, and texts are empty, where nobody said.

    `replayed` ones the model knew before.
    """

    name: str
    kind: str = ""
    rows: int | None = None
    replayed: bool = False
    origin: str = ""
    licence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batches:
    """What batches of a stage are made for: an objective, its share of the stage, rows in a batch."""

    objective: str
    share: float | None = None
    batch: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Steps with one mixture of batches, of one of the runs that made the model."""

    name: str
    steps: int | None = None
    learning_rate: float | None = None
    tasks: tuple[Batches, ...] = ()
    run: str = ""

    @property
    def percents(self) -> tuple[float | None, ...]:
        """Of the stage, for each task; None for all of them where nobody told all shares."""
        shares = [each.share for each in self.tasks if each.share is not None]
        if len(shares) < len(self.tasks) or not sum(shares):
            return (None,) * len(self.tasks)
        return tuple(100 * share / sum(shares) for share in shares)


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """How a model was made; None or empty where nothing is known.

    Attributes:
        yuyi: version that trained it.
        license: SPDX identifier that the model is given under.
        languages: codes of the languages that it was trained for.
        start: name of the model that training began with; empty for fresh weights, None if unknown.
        teacher: `name` and `licence` of the model whose vectors it followed.
        stages: in their order.
        sources: of pairs.
        documents: names of files whose texts were read for masked words.
        settings: further settings by name.
        dropped: rows left out by reason.
        left_out: whole sources that were left out on purpose, with `path` and `reason`.
        limits: what the model cannot do, in sentences.
        notes: what else is to be known of its making, in sentences.
    """

    yuyi: str = ""
    license: str = ""
    languages: tuple[str, ...] = ()
    start: str | None = None
    teacher: Mapping[str, str] = field(default_factory=dict)
    stages: tuple[Stage, ...] = ()
    sources: tuple[Source, ...] = ()
    documents: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)
    left_out: tuple[Mapping[str, str], ...] = ()
    limits: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def read_training(folder: Path) -> Training | None:
    """What `training.json` in a model folder says; None where there is no such file.

    Raises:
        ModelError: the file is damaged.
    """
    record = read_record(folder)
    return None if record is None else training_of(record)


def read_record(folder: Path) -> dict[str, Any] | None:
    """The same as it stands in the file, with keys that are not known here.

    Raises:
        ModelError: the file is damaged.
    """
    path = folder / TRAINING
    if not path.is_file():
        return None
    record = read_json(path)
    try:
        training_of(record)
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError) as error:
        raise ModelError(
            f"{path}: no record of a training run ({error}). Copy the model again, or remove the file."
        ) from error
    return record


def training_of(record: Mapping[str, Any]) -> Training:
    """What a record says.

    Raises:
        TypeError, ValueError, KeyError, AttributeError, OverflowError: it is none.
    """
    known = {each.name for each in fields(Training)}
    return Training(**{key: _READERS[key](value) for key, value in record.items() if key in known})


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.40} is no text")
    return value


def _texts(value: list[Any]) -> tuple[str, ...]:
    return tuple(map(_text, value))


def _stage(value: Mapping[str, Any]) -> Stage:
    return Stage(
        name=_text(value["name"]),
        steps=_told(int, value, "steps"),
        learning_rate=_told(float, value, "learning_rate"),
        tasks=tuple(map(_batches, value.get("tasks", ()))),
        run=_text(value.get("run", "")),
    )


def _batches(value: Mapping[str, Any]) -> Batches:
    share = _told(float, value, "share")
    if share is not None and not 0 <= share < math.inf:
        raise ValueError(f"share {share:g}")
    return Batches(objective=_text(value["objective"]), share=share, batch=_told(int, value, "batch"))


def _source(value: Mapping[str, Any]) -> Source:
    return Source(
        name=_text(value["name"]),
        kind=_text(value.get("kind", "")),
        rows=_told(int, value, "rows"),
        replayed=bool(value.get("replayed", False)),
        origin=_text(value.get("origin", "")),
        licence=_text(value.get("licence", "")),
    )


def _told(kind: Callable[[Any], _Number], value: Mapping[str, Any], key: str) -> _Number | None:
    return None if value.get(key) is None else kind(value[key])


def _texts_by_name(value: Mapping[str, Any]) -> dict[str, str]:
    return {key: _text(each) for key, each in value.items()}


# What makes each value of the file one of `Training`.
_READERS: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("yuyi", "license", "start"), _text),
    **dict.fromkeys(("languages", "documents", "limits", "notes"), _texts),
    "teacher": _texts_by_name,
    "stages": lambda value: tuple(map(_stage, value)),
    "sources": lambda value: tuple(map(_source, value)),
    "settings": lambda value: dict(value.items()),
    "dropped": lambda value: {key: int(count) for key, count in value.items()},
    "left_out": lambda value: tuple(map(_texts_by_name, value)),
}
