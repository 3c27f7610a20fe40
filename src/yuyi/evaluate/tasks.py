"""The rows of a set inside mteb's own task classes, so that no metric is ours."""

from __future__ import annotations

import contextlib
import io
import math
import warnings
from copy import copy
from typing import TYPE_CHECKING, Any

from yuyi.errors import InputError
from yuyi.evaluate.local import CLASSIFICATION, PAIR_CLASSIFICATION, RETRIEVAL, RETRIEVAL_COLUMNS, STS
from yuyi.evaluate.offline import import_mteb
from yuyi.records import read_rows

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from yuyi.evaluate.adapter import MtebModel
    from yuyi.evaluate.local import EvalSet

SEED = 42  # mteb's own; it draws the samples that a classifier is fitted on

_SPLIT = "test"
_SUBSET = "default"
_ENCODE_SETTINGS = {"batch_size": 4096, "show_progress_bar": False}


def build_task(found: EvalSet) -> Any:
    """An mteb task with the set's rows already in it; `score_task` scores a model on it.

    Raises:
        InputError: a cell is empty or of the wrong type, or the judgments leave nothing to tell apart.
        MissingExtra: mteb is not installed.
    """
    mteb = import_mteb()
    kind = found.kind
    metadata = mteb.TaskMetadata(
        name=found.name,
        description=f"Local files of {found.name}",
        dataset={"path": str(found.files[0].parent), "revision": "local"},
        type=kind.name,
        category="t2t",
        eval_splits=[_SPLIT],
        eval_langs=["zho-Hans", "eng-Latn"],
        main_score=kind.metric,
    )
    members = {"metadata": metadata, **dict(kind.settings)}
    task = type(found.name, (getattr(mteb.abstasks, kind.task_class),), members)(seed=SEED)
    if kind is CLASSIFICATION:
        task.dataset = _classification_data(found.files[0])
    elif kind is RETRIEVAL:
        task.dataset = _retrieval_data(*found.files)
    else:
        task.dataset = _pair_data(found)
    task.data_loaded = True
    return task


def score_task(task: Any, model: MtebModel) -> dict[str, Any]:
    """Scores of a model on a task, by mteb's names for them.

    A classification task gets `accuracy_all_rows` besides: the same class with one classifier fitted on every
    training row, where its accuracy is the mean of ten classifiers fitted on 32 rows of each label.
    """
    scores = _quietly(task, model)
    if task.metadata.type == CLASSIFICATION.name:
        whole = copy(task)
        whole.samples_per_label, whole.n_experiments = len(task.dataset["train"]), 1
        scores["accuracy_all_rows"] = _quietly(whole, model)["accuracy"]
    return scores


def _quietly(task: Any, model: MtebModel) -> dict[str, Any]:
    # mteb draws progress bars that cannot be switched off, and passes on scikit-learn's warnings about
    # classifiers that stop at mteb's own limit of steps.
    with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scores: dict[str, Any] = task.evaluate(model, _SPLIT, encode_kwargs=_ENCODE_SETTINGS)[_SUBSET]
    return scores


def _pair_data(found: EvalSet) -> Any:
    """Two columns of sentences and what is judged about them, as a `datasets.DatasetDict`."""
    import datasets

    file = found.files[0]
    rows = _rows(file, found.kind.columns)
    if found.kind is STS:
        _check_varied(file, "score", {row["score"] for row in rows})
    if found.kind is PAIR_CLASSIFICATION:
        _check_varied(file, "label", {row["label"] for row in rows})
        for row in rows:
            if row["label"] not in (0, 1):
                raise InputError(
                    f"{file}: label {row['label']!r}; a pair is 1 (same) or 0 (different). Map it to these."
                )
            row["label"] = int(row["label"])
    return datasets.DatasetDict({_SPLIT: datasets.Dataset.from_list(rows)})


class _Table:
    """The part of `datasets.Dataset` that a classification task uses, with columns as plain lists.

    `datasets` decodes a column row by row each time it is looked at, and the metrics look some 60 times: that
    took longer than fitting the classifiers.
    """

    def __init__(self, columns: dict[str, list[Any]]) -> None:
        self._columns = columns

    def __len__(self) -> int:
        return len(self._columns["label"])

    def __getitem__(self, column: str) -> list[Any]:
        return self._columns[column]

    def select(self, rows: list[int]) -> _Table:
        """The given rows, in that order."""
        return _Table({name: [values[row] for row in rows] for name, values in self._columns.items()})


def _classification_data(file: Path) -> dict[str, _Table]:
    """Train and test rows, labels numbered in their sorted order."""
    rows = _rows(file, CLASSIFICATION.columns)
    numbers = {label: number for number, label in enumerate(sorted({row["label"] for row in rows}))}
    splits = {split: _Table({"text": [], "label": []}) for split in ("train", _SPLIT)}
    for row in rows:
        if row["split"] not in splits:
            raise InputError(f"{file}: split {row['split']!r}; known are train and test. Rename it.")
        splits[row["split"]]["text"].append(row["text"])
        splits[row["split"]]["label"].append(numbers[row["label"]])
    if not len(splits[_SPLIT]):
        raise InputError(f"{file}: no row has the split test; both train and test are needed.")
    _check_varied(file, "label of the split train", set(splits["train"]["label"]))
    return splits


def _retrieval_data(queries: Path, corpus: Path, qrels: Path) -> Any:
    """The set as mteb's nested dictionary of queries, corpus and judgments."""
    import datasets

    tables = {file: _rows(file, RETRIEVAL_COLUMNS["corpus"]) for file in (queries, corpus)}
    ids = {file: {row["id"] for row in rows} for file, rows in tables.items()}
    relevant: dict[str, dict[str, int]] = {}
    for row in _rows(qrels, RETRIEVAL_COLUMNS["qrels"]):
        for column, file in (("query_id", queries), ("corpus_id", corpus)):
            if row[column] not in ids[file]:
                raise InputError(
                    f"{qrels}: {column} {row[column]!r} is not in {file.name}. Add the text or drop the row."
                )
        if row["score"] != int(row["score"]):
            raise InputError(f"{qrels}: score {row['score']}; relevance is a whole number. Round it.")
        relevant.setdefault(row["query_id"], {})[row["corpus_id"]] = int(row["score"])
    data = {
        "queries": datasets.Dataset.from_list(tables[queries]),
        "corpus": datasets.Dataset.from_list(tables[corpus]),
        "relevant_docs": relevant,
        "top_ranked": None,
    }
    return {_SUBSET: {_SPLIT: data}}


def _rows(file: Path, columns: tuple[str, ...]) -> list[dict[str, Any]]:
    """The rows of a file, every cell filled: scores are finite numbers, labels anything, all else text."""
    rows = list(read_rows(file, columns))
    for column in columns:
        for number, row in enumerate(rows):
            value = row[column]
            if column == "score":
                good, wanted = isinstance(value, int | float) and math.isfinite(value), "a number"
            elif column == "label":
                good, wanted = value is not None, "a label"
            else:
                good, wanted = isinstance(value, str), "text"
            if not good:
                raise InputError(
                    f"{file}: row {number} has {column} {value!r}, not {wanted}. Mend or drop the row."
                )
    return rows


def _check_varied(file: Path, column: str, values: Collection[Any]) -> None:
    if len(values) < 2:
        raise InputError(
            f"{file}: {column} has {len(values)} different values; at least 2 are needed to tell texts apart."
        )
