"""Test sets in a folder: those its `tasks.yaml` names, or else what the columns of its files show.

A file NAME.parquet or NAME.jsonl is a set of the type that has its columns, as `kinds` lists them. Retrieval
is NAME.queries, NAME.corpus and NAME.qrels; with NAME.top_ranked it is reranking.
"""

from __future__ import annotations

import re
from dataclasses import asdict, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from yuyi.artifacts import hash_file, hash_json
from yuyi.errors import InputError
from yuyi.evaluate.tasks.build import SUBSET, build_task
from yuyi.evaluate.tasks.kinds import (
    ALL_ROWS,
    CLASSIFICATION,
    CLUSTERING,
    KINDS,
    RERANKING,
    RETRIEVAL,
    SPLIT,
    Kind,
)
from yuyi.evaluate.tasks.manifest import ENDINGS, LANGUAGES, MANIFEST, JudgedFiles, LocalTask, read_manifest
from yuyi.evaluate.tasks.rows import FILE_ENDINGS, count_rows, file_columns
from yuyi.evaluate.tasks.task import EvalTask
from yuyi.records import read_rows
from yuyi.text.rows import read_objects

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Sequence

_DIGITS = 16  # of the digest that names the state of the data
_LOOK = 50  # rows that are looked at to tell their language
_HAN = re.compile(r"[\u3400-\u9fff]")
# Of rows that are in a file of another kind.
_OTHER_ENDINGS = (".csv", ".tsv", ".json", ".xlsx", ".txt")
_WORD_OF_CLUSTERS = re.compile("cluster|聚类", re.IGNORECASE)


def local_tasks(
    folder: str | os.PathLike[str], names: Sequence[str] | None = None, *, all_rows: bool = False
) -> list[EvalTask]:
    """The test sets of a folder, in the order of its manifest or, without one, of their names.

    Args:
        folder: holds the files; or the manifest itself, if that is called otherwise or lies elsewhere.
        names: which of them to take; None for all.
        all_rows: give every classification the score `accuracy_all_rows` besides, that of one classifier
            fitted on every training row; all of them must be encoded for it.

    Raises:
        InputError: the folder is missing or has no set, or not the one that is asked for; a file is missing,
            damaged, not to be read or without rows, has columns of no type, or lacks its companions.
        RecipeError: the manifest cannot be read as one.
        MissingExtra: what evaluation needs is not installed.
    """
    folder = Path(folder)
    manifest = _manifest(folder)
    home = manifest.parent if manifest else folder
    found = read_manifest(manifest) if manifest else _guess_all(folder)
    if all_rows:
        found = [replace(task, all_rows=task.kind is CLASSIFICATION) for task in found]
    known = [task.name for task in found]
    for name in names or ():
        if name not in known:
            raise InputError(f"{name}: no such set in {folder}. It has {', '.join(known)}.")
    return [_eval_task(task, home) for task in found if not names or task.name in names]


def _manifest(folder: Path) -> Path | None:
    """The manifest that is given, or lies in the folder; None where there is none."""
    if folder.suffix in ENDINGS:
        return folder
    beside = (folder / Path(MANIFEST).with_suffix(ending) for ending in ENDINGS)
    try:
        return next((path for path in beside if path.exists()), None)
    except OSError as error:
        raise _unreadable(folder, error) from error


def _eval_task(found: LocalTask, folder: Path) -> EvalTask:
    for path in found.paths.values():
        if not (folder / path).is_file():
            raise InputError(
                f"{folder / path}: no such file, but task {found.name} needs it. Check the path."
            )
    languages = tuple(LANGUAGES.get(name, name) for name in found.languages) or _languages(found, folder)
    data = _digest(found, folder)
    return EvalTask(
        name=found.name,
        type=found.type,
        metric=found.main_metric,
        data=data,
        splits=found.scored,
        languages={SUBSET: languages},
        rows=count_rows(found, folder),
        sources=found.sources,
        open=partial(build_task, found, folder, languages, data),
        further=(ALL_ROWS,) if found.all_rows else (),
    )


def _digest(found: LocalTask, folder: Path) -> str:
    """What changes when a file does, or what is said about it that changes scores.

    Which of the scores count, and whether there are more of them, changes none.
    """
    facts = asdict(found)
    for name in ("name", "files", "train", "languages", "sources", "metric", "all_rows"):
        del facts[name]
    facts["labels"] = [[repr(label), number] for label, number in found.labels.items()]
    hashes = {part: _hash(folder / path) for part, path in found.paths.items()}
    return hash_json([facts, hashes])[:_DIGITS]


def _hash(file: Path) -> str:
    try:
        return hash_file(file)
    except OSError as error:
        raise _unreadable(file, error) from error


def _unreadable(file: Path, error: OSError) -> InputError:
    return InputError(f"{file}: cannot be read ({error.strerror or error}). Check its permissions.")


def _languages(found: LocalTask, folder: Path) -> tuple[str, ...]:
    """Chinese where texts have Chinese characters, English where they have none; both where it is both."""
    texts: list[str] = []
    for part, path in found.paths.items():
        contents = found.kind.parts.get(part, found.kind.columns)
        columns = [found.column(name, part) for name, content in contents.items() if content == "text"]
        texts += [
            str(row.get(name)) for row in islice(_rows(folder / path, columns), _LOOK) for name in columns
        ]
    chinese = sum(bool(_HAN.search(text)) for text in texts)
    some = len(texts) // 10
    return (
        *((LANGUAGES["zh"],) if chinese > some else ()),
        *((LANGUAGES["en"],) if chinese < len(texts) - some or not chinese else ()),
    )


def _rows(file: Path, columns: Sequence[str]) -> Iterable[dict[str, object]]:
    if not columns:
        return ()
    if file.suffix == ".parquet":
        return read_rows(file, (), columns)
    return (row for _, row in read_objects(file))


def _guess_all(folder: Path) -> list[LocalTask]:
    if folder.is_file():
        raise InputError(f"{folder}: is a file; give its folder, or a manifest .yaml.")
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder. Name the folder that holds the evaluation's files.")
    try:
        there = sorted(folder.iterdir())
    except OSError as error:
        raise _unreadable(folder, error) from error
    files = [file for file in there if file.suffix in FILE_ENDINGS]
    if not files:
        other = next((file.name for file in there if file.suffix in _OTHER_ENDINGS), "")
        remedy = (
            f"{other} is there; write it as .jsonl or .parquet." if other else "Name the folder that does."
        )
        raise InputError(f"{folder}: holds no {' or '.join(FILE_ENDINGS)} file. {remedy}")
    groups: dict[str, dict[str, Path]] = {}
    for file in files:
        name, _, part = file.stem.rpartition(".")
        if part not in RERANKING.parts:
            name, part = file.stem, ""
        parts = groups.setdefault(name, {})
        if part in parts:
            raise InputError(f"{file}: {parts[part].name} beside it is the same set. Remove one of them.")
        parts[part] = file
    return [_guess(name, parts) for name, parts in groups.items()]


def _guess(name: str, parts: dict[str, Path]) -> LocalTask:
    """What a set is by its columns."""
    if "" not in parts:
        return _judged(name, parts)
    file = parts[""]
    if len(parts) > 1:
        raise InputError(f"{file}: shares its name with a retrieval set. Rename one of them.")
    kind = _kind_of(file, file_columns(file))
    return LocalTask(name=name, type=kind.name, files=file.name)


def _kind_of(file: Path, columns: Sequence[str]) -> Kind:
    for kind in KINDS.values():
        wanted = set(kind.columns)
        fits = wanted == set(columns) if kind.exact else bool(wanted) and wanted <= set(columns)
        if fits and kind is CLASSIFICATION and SPLIT not in columns:
            if _WORD_OF_CLUSTERS.search(file.stem):
                return CLUSTERING
            raise InputError(
                f"{file}: text and label without {SPLIT} may be clustering or classification. Add a column "
                f"{SPLIT} (train or test), put cluster into the file's name, or write a {MANIFEST}."
            )
        if fits:
            return kind
    known = "; ".join(f"{', '.join(kind.columns)} ({kind.name})" for kind in KINDS.values() if kind.columns)
    raise InputError(
        f"{file}: no kind of evaluation has the columns {', '.join(columns)}. Known: {known}. Rename the "
        f"columns, or say in a {MANIFEST} what they are."
    )


def _judged(name: str, parts: dict[str, Path]) -> LocalTask:
    present = next(iter(parts.values()))
    missing = [part for part in RETRIEVAL.parts if part not in parts]
    if missing:
        companions = " and ".join(f"{name}.{part}{present.suffix}" for part in missing)
        raise InputError(f"{present}: a retrieval set also needs {companions}. Put it beside this file.")
    for part, file in parts.items():
        found, columns = file_columns(file), RERANKING.parts[part]
        if not set(columns) <= set(found):
            raise InputError(
                f"{file}: needs the columns {', '.join(columns)}; it has {', '.join(found)}. "
                f"Rename them, or say in a {MANIFEST} what they are called."
            )
    kind = RERANKING if "top_ranked" in parts else RETRIEVAL
    files = JudgedFiles(**{part: file.name for part, file in parts.items()})
    return LocalTask(name=name, type=kind.name, files=files)
