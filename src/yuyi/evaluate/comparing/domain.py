"""What a model was trained on, and so which tasks are in its domain and which it meets for the first time.

A task is in-domain where a training source of the model bears the task's name, or one of the names that the
task lists as made of the same data set; and where training pairs that showed its texts were kept. It is
zero-shot where it lists such names and no source of the model bears or begins with one of them. Of the others
nobody can tell: a source called afqmc_train may hold what AFQMC is made of, or be split off it cleanly.

What is read is what models and data leave behind them:

| where | what |
|---|---|
| a model's `training.json` | its `sources` and where they are from, and its `documents` |
| a model's `provenance.json` | the files it was made of |
| else its `README.md` | tables that begin with `source`, and `datasets` of the front matter |
| `manifest.json`, alone or in a data folder | its `sources` and where they are from |
| `marks/evaluation` of the data folder | which evaluation sets its pairs showed |
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from yuyi.encode.load import EMBEDDED
from yuyi.errors import InputError
from yuyi.records import read_marks
from yuyi.training_record import read_training

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from yuyi.evaluate.results import Result

_MANIFESTS = ("manifest.json", "mixture/manifest.json")
_MARKS = "marks/evaluation"
_BETWEEN_WORDS = re.compile(r"[\s_.-]")


@dataclass(frozen=True, slots=True)
class Overlap:
    """How many training pairs showed a text of an evaluation set, and how many of them were kept."""

    found: int
    kept: int


@dataclass(frozen=True, slots=True)
class Trained:
    """What a model was trained on, as declared.

    Attributes:
        sources: names of collections, and of the data sets that they are from.
        overlaps: by evaluation set, where the data were compared with any; a set without overlap is left out.
    """

    sources: frozenset[str] = frozenset()
    overlaps: Mapping[str, Overlap] = field(default_factory=dict)

    def __or__(self, other: Trained) -> Trained:
        return Trained(self.sources | other.sources, {**self.overlaps, **other.overlaps})

    def knows(self, result: Result) -> bool | None:
        """Whether the task of a result is in-domain; None where that is not told."""
        names = {_plain(name) for name in (result.task, *result.sources)}
        declared = set(map(_plain, self.sources))
        overlap = self.overlap(result.task)
        if names & declared or (overlap and overlap.kept):
            return True
        alike = names & {_first_word(name) for name in declared}
        return False if result.sources and not alike else None

    def parts(self, results: Iterable[Result]) -> tuple[list[Result], list[Result], list[Result]]:
        """Results that are in-domain, zero-shot, and neither for certain."""
        found: dict[bool | None, list[Result]] = {True: [], False: [], None: []}
        for result in results:
            found[self.knows(result)].append(result)
        return found[True], found[False], found[None]

    def overlap(self, task: str) -> Overlap | None:
        """What the training data showed of a task; None where nothing was found."""
        return next((found for name, found in self.overlaps.items() if _plain(name) == _plain(task)), None)


def by_domain(
    results: Iterable[Result], sources: Collection[str]
) -> tuple[list[Result], list[Result], list[Result]]:
    """Results that are in-domain for a model trained on these sources, zero-shot, and neither for certain."""
    return Trained(frozenset(sources)).parts(results)


def read_trained(place: str | Path) -> Trained:
    """What is declared at a place.

    Args:
        place: a model folder, a data folder, a `manifest.json`; or names of sources, between commas.

    Raises:
        InputError: a path does not exist or tells no sources, or a file there is damaged.
        ModelError: `training.json` is damaged.
    """
    path = EMBEDDED if str(place) == EMBEDDED.name else Path(place)
    if not path.exists():
        return Trained(_names(str(place)))
    found = [path] if path.is_file() else [path / name for name in _MANIFESTS if (path / name).exists()]
    trained = _of_data(found[0]) if found else _of_model(path)
    if not trained.sources:
        raise InputError(
            f"{path}: tells no training sources (training.json, provenance.json, a table of sources in "
            "README.md, or manifest.json). Give their names between commas instead."
        )
    return trained


def _names(text: str) -> frozenset[str]:
    """Names between commas, which may be those of a hub but no longer paths."""
    names = frozenset(name.strip() for name in text.split(",") if name.strip())
    for name in names:
        if name.startswith(("/", ".")) or name.count("/") > 1:
            raise InputError(f"{name}: no such folder or file. Check the path, or give names of sources.")
    if not names:
        raise InputError("no sources are named. Give their names between commas, or a model's folder.")
    return names


def _of_model(folder: Path) -> Trained:
    names: set[str] = set()
    training = read_training(folder)
    if training is not None:
        names |= {name for source in training.sources for name in (source.name, source.origin) if name}
        names |= {PurePosixPath(name).stem for name in training.documents}
    if (folder / "provenance.json").exists():
        inputs = _read(folder / "provenance.json").get("inputs", ())
        names |= {PurePosixPath(name).stem for name in inputs}
    if not names and (folder / "README.md").exists():
        names = _of_card(folder / "README.md")
    return Trained(frozenset(names))


def _of_card(path: Path) -> set[str]:
    """The first cells of tables of sources, and the data sets of the front matter."""
    from yuyi.evaluate.linting.card import read_card, read_front_matter

    named = read_front_matter(path)[0].get("datasets") or ()
    tables = [table for table in read_card(path).tables if table.heading[0].strip().lower() == "source"]
    return {
        *(row[0].strip() for table in tables for row in table.rows),
        *([named] if isinstance(named, str) else named),
    }


def _of_data(manifest: Path) -> Trained:
    record = _read(manifest)
    sources = record.get("sources")
    if not isinstance(sources, dict):
        raise InputError(f"{manifest}: no manifest of training data, as it names no sources. Check the path.")
    origins = {told["origin"] for told in sources.values() if isinstance(told, dict) and told.get("origin")}
    ignored = (record.get("settings") or {}).get("ignore", ())
    folder = manifest.parent.parent if manifest.parent.name == "mixture" else manifest.parent
    return Trained(frozenset(sources) | origins, _overlaps(folder / _MARKS, ignored))


def _overlaps(folder: Path, ignored: Sequence[str]) -> dict[str, Overlap]:
    """Marked pairs by evaluation set; those marked for a reason that the mixture ignored were kept."""
    found: Counter[str] = Counter()
    kept: Counter[str] = Counter()
    for part in sorted(folder.glob("*.parquet")):
        for mark in read_marks(part):
            found[mark.note] += 1
            kept[mark.note] += mark.reason in ignored
    return {name: Overlap(count, kept[name]) for name, count in sorted(found.items())}


def _read(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as JSON ({error}). Make or copy it again.") from error
    if not isinstance(record, dict):
        raise InputError(f"{path}: holds no JSON object. Make or copy it again.")
    return record


def _plain(name: str) -> str:
    """A name as it is compared: the last part of a path or a hub name, in lower case."""
    return name.rpartition("/")[2].casefold()


def _first_word(name: str) -> str:
    """What a name begins with: the afqmc of afqmc_train."""
    return _BETWEEN_WORDS.split(name, maxsplit=1)[0]
