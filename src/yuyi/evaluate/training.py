"""How a model was made, as `training.json` in its folder says; `yuyi train` writes it.

    {"yuyi": "0.1.0", "license": "mit", "languages": ["zh"], "start": "gte-small-zh",
     "teacher": {"name": ..., "licence": ...},
     "stages": [{"run": ..., "name": ..., "steps": ..., "learning_rate": ...,
                 "tasks": [{"objective": ..., "share": 0.5, "batch": 64}]}],
     "sources": [{"name": ..., "kind": ..., "rows": ..., "origin": ..., "licence": ...}],
     "documents": [...], "settings": {"seed": 0, ...}}

Every key may be missing. "dropped" (rows by reason), "left_out" (of path and reason), "limits" and "notes"
(sentences) are there where whoever made the model knows them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from yuyi.errors import ModelError
from yuyi.pipeline import read_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

TRAINING = "training.json"


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
    """What the batches of a stage are made of: an objective, its share of the stage, rows in a batch."""

    objective: str
    share: float = 1.0
    batch: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Steps with one mixture of batches, of one of the runs that made the model."""

    name: str
    steps: int
    learning_rate: float
    tasks: tuple[Batches, ...] = ()
    run: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """How a model was made; empty where nothing is known.

    Attributes:
        yuyi: version that trained it.
        license: SPDX identifier that the model is given under.
        languages: codes of the languages that it was trained for.
        start: name of the model that training began with; empty for fresh weights.
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
    start: str = ""
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
    path = folder / TRAINING
    if not path.is_file():
        return None
    record = read_json(path)
    known = {each.name for each in fields(Training)}
    try:
        return Training(**{key: _READERS[key](value) for key, value in record.items() if key in known})
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise ModelError(f"{path}: no record of a training run ({error}). Copy the model again.") from error


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.40} is no text")
    return value


def _texts(value: list[Any]) -> tuple[str, ...]:
    return tuple(map(_text, value))


def _stage(value: Mapping[str, Any]) -> Stage:
    return Stage(
        name=_text(value["name"]),
        steps=int(value["steps"]),
        learning_rate=float(value.get("learning_rate", 0)),
        tasks=tuple(map(_batches, value.get("tasks", ()))),
        run=_text(value.get("run", "")),
    )


def _batches(value: Mapping[str, Any]) -> Batches:
    return Batches(
        objective=_text(value["objective"]),
        share=float(value.get("share", 1)),
        batch=int(value.get("batch", 0)),
    )


def _source(value: Mapping[str, Any]) -> Source:
    rows = value.get("rows")
    return Source(
        name=_text(value["name"]),
        kind=_text(value.get("kind", "")),
        rows=None if rows is None else int(rows),
        replayed=bool(value.get("replayed", False)),
        origin=_text(value.get("origin", "")),
        licence=_text(value.get("licence", "")),
    )


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
