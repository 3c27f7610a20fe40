"""A folder of Parquet files, mapped onto mteb's own task classes, so that no metric is ours.

What a file is follows from its columns:

    sentence1, sentence2, score           semantic similarity
    sentence1, sentence2, label           pair classification; label 0 or 1
    text, label, split                    classification; split is train or test
    sentence1, sentence2 and no other     bitext: row i of one side translates row i of the other
    NAME.queries / .corpus / .qrels       retrieval: (id, text), (id, text), (query_id, corpus_id, score)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from yuyi.errors import InputError
from yuyi.evaluate.offline import import_mteb
from yuyi.records import read_columns, read_rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SPLIT = "test"
_SUBSET = "default"


@dataclass(frozen=True, slots=True)
class Kind:
    """One of mteb's task types and what our report takes from it.

    Attributes:
        name: mteb's name of the task type.
        task_class: name of the class in `mteb.abstasks`.
        columns: the columns its file has, besides others.
        metric: mteb's name of the score that counts.
        also: further scores to report.
        exact: whether no other column may be there.
        settings: class attributes that differ from mteb's defaults.
    """

    name: str
    task_class: str
    columns: tuple[str, ...]
    metric: str
    also: tuple[str, ...]
    exact: bool = False
    settings: tuple[tuple[str, Any], ...] = ()


STS = Kind("STS", "AbsTaskSTS", ("sentence1", "sentence2", "score"), "cosine_spearman", ("cosine_pearson",))
PAIR_CLASSIFICATION = Kind(
    "PairClassification",
    "AbsTaskPairClassification",
    ("sentence1", "sentence2", "label"),
    "cosine_ap",
    ("cosine_accuracy",),
    settings=(("label_column_name", "label"),),
)
# 32 samples a label is what mteb's own Waimai, TNews and IFlyTek tasks take.
CLASSIFICATION = Kind(
    "Classification",
    "AbsTaskClassification",
    ("text", "label", "split"),
    "accuracy",
    ("f1",),
    settings=(("samples_per_label", 32), ("n_experiments", 10)),
)
BITEXT = Kind(
    "BitextMining", "AbsTaskBitextMining", ("sentence1", "sentence2"), "accuracy", ("f1",), exact=True
)
RETRIEVAL = Kind("Retrieval", "AbsTaskRetrieval", (), "ndcg_at_10", ("mrr_at_10", "recall_at_100"))

_FLAT_KINDS = (STS, PAIR_CLASSIFICATION, CLASSIFICATION, BITEXT)
_RETRIEVAL_COLUMNS = {
    "queries": ("id", "text"),
    "corpus": ("id", "text"),
    "qrels": ("query_id", "corpus_id", "score"),
}


@dataclass(frozen=True, slots=True)
class EvalSet:
    """A set found in the folder.

    Attributes:
        name: file name without its endings.
        kind: what it measures.
        files: its Parquet file; for retrieval the queries, the corpus and the judgments.
        rows: number of rows; for retrieval the number of queries.
    """

    name: str
    kind: Kind
    files: tuple[Path, ...]
    rows: int


def find_sets(folder: Path) -> list[EvalSet]:
    """Every set of the folder, by name, recognised without reading its rows.

    Raises:
        InputError: the folder is missing or has no Parquet file; a file is cut off, has no rows, has columns
            of no known kind, or lacks its companions.
    """
    if not folder.is_dir():
        raise InputError(
            f"{folder}: no such folder. Name the folder that holds the evaluation's Parquet files."
        )
    files = sorted(folder.glob("*.parquet"))
    if not files:
        raise InputError(
            f"{folder}: holds no .parquet file. Name the folder that holds the evaluation files."
        )
    groups: dict[str, dict[str, Path]] = {}
    for file in files:
        name, _, part = file.stem.rpartition(".")
        if part not in _RETRIEVAL_COLUMNS:
            name, part = file.stem, ""
        groups.setdefault(name, {})[part] = file
    return [
        _retrieval_set(name, parts) if "" not in parts else _flat_set(name, parts[""])
        for name, parts in groups.items()
    ]


def _flat_set(name: str, file: Path) -> EvalSet:
    columns, rows = read_columns(file)
    _check_rows(file, rows)
    for kind in _FLAT_KINDS:
        if set(kind.columns) == set(columns) or (set(kind.columns) <= set(columns) and not kind.exact):
            return EvalSet(name, kind, (file,), rows)
    known = "; ".join(f"{', '.join(kind.columns)} ({kind.name})" for kind in _FLAT_KINDS)
    raise InputError(f"{file}: no kind of evaluation has the columns {', '.join(columns)}. Known: {known}.")


def _retrieval_set(name: str, parts: dict[str, Path]) -> EvalSet:
    missing = [part for part in _RETRIEVAL_COLUMNS if part not in parts]
    if missing:
        present = next(iter(parts.values()))
        companions = " and ".join(f"{name}.{part}.parquet" for part in missing)
        raise InputError(f"{present}: a retrieval set also needs {companions}. Put it beside this file.")
    for part, columns in _RETRIEVAL_COLUMNS.items():
        found, rows = read_columns(parts[part])
        _check_rows(parts[part], rows)
        if not set(columns) <= set(found):
            raise InputError(
                f"{parts[part]}: needs the columns {', '.join(columns)}; it has {', '.join(found)}. "
                "Rename them."
            )
    files = tuple(parts[part] for part in _RETRIEVAL_COLUMNS)
    return EvalSet(name, RETRIEVAL, files, read_columns(files[0])[1])


def _check_rows(file: Path, rows: int) -> None:
    if not rows:
        raise InputError(f"{file}: has no rows, so there is nothing to score. Remove it or fill it.")


def build_task(found: EvalSet) -> Any:
    """An mteb task with the set's rows already in it; `task.evaluate(model, "test", ...)` scores a model.

    Raises:
        InputError: a row is empty or has a label or score that cannot be used.
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
    task.dataset = _retrieval_data(found) if kind is RETRIEVAL else _flat_data(found)
    task.data_loaded = True
    return task


SEED = 42  # mteb's own; it draws the classification samples


def _flat_data(found: EvalSet) -> Any:
    """The set as a `datasets.DatasetDict`."""
    import datasets

    file = found.files[0]
    rows = list(_whole_rows(file, found.kind.columns))
    if found.kind is CLASSIFICATION:
        return _classification_data(file, rows)
    if found.kind is PAIR_CLASSIFICATION:
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
    took three times as long as fitting the classifiers.
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


def _classification_data(file: Path, rows: list[dict[str, Any]]) -> dict[str, _Table]:
    """Train and test rows, labels numbered in their sorted order."""
    numbers = {label: number for number, label in enumerate(sorted({row["label"] for row in rows}))}
    splits = {split: _Table({"text": [], "label": []}) for split in ("train", _SPLIT)}
    for row in rows:
        if row["split"] not in splits:
            raise InputError(f"{file}: split {row['split']!r}; known are train and test. Rename it.")
        splits[row["split"]]["text"].append(row["text"])
        splits[row["split"]]["label"].append(numbers[row["label"]])
    for split, table in splits.items():
        if not len(table):
            raise InputError(f"{file}: no row has the split {split}; both train and test are needed.")
    return splits


def _retrieval_data(found: EvalSet) -> Any:
    """The set as mteb's nested dictionary of queries, corpus and judgments."""
    import datasets

    queries, corpus, qrels = found.files
    relevant: dict[str, dict[str, int]] = {}
    for row in _whole_rows(qrels, _RETRIEVAL_COLUMNS["qrels"]):
        if row["score"] != int(row["score"]):
            raise InputError(f"{qrels}: score {row['score']}; relevance is a whole number. Round it.")
        relevant.setdefault(row["query_id"], {})[row["corpus_id"]] = int(row["score"])
    return {
        _SUBSET: {
            _SPLIT: {
                "queries": datasets.Dataset.from_list(
                    list(_whole_rows(queries, _RETRIEVAL_COLUMNS["queries"]))
                ),
                "corpus": datasets.Dataset.from_list(list(_whole_rows(corpus, _RETRIEVAL_COLUMNS["corpus"]))),
                "relevant_docs": relevant,
                "top_ranked": None,
            }
        }
    }


def _whole_rows(file: Path, columns: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """Each row of the file; one with an empty cell is an error."""
    for number, row in enumerate(read_rows(file, columns)):
        for column, value in row.items():
            if value is None:
                raise InputError(f"{file}: row {number} has no {column}. Fill it or leave the row out.")
        yield row
