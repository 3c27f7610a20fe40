"""What a folder of Parquet files holds: which sets, and what each of them measures.

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
from yuyi.records import read_columns

if TYPE_CHECKING:
    from pathlib import Path


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


STS = Kind(
    "STS", "AbsTaskSTS", ("sentence1", "sentence2", "score"), "spearman", ("pearson", "cosine_spearman")
)
PAIR_CLASSIFICATION = Kind(
    "PairClassification",
    "AbsTaskPairClassification",
    ("sentence1", "sentence2", "label"),
    "similarity_ap",
    ("similarity_accuracy", "cosine_ap"),
    settings=(("label_column_name", "label"),),
)
# 32 samples a label is what mteb's own Waimai, TNews and IFlyTek tasks take.
CLASSIFICATION = Kind(
    "Classification",
    "AbsTaskClassification",
    ("text", "label", "split"),
    "accuracy",
    ("accuracy_all_rows", "f1"),
    settings=(("samples_per_label", 32), ("n_experiments", 10)),
)
BITEXT = Kind(
    "BitextMining", "AbsTaskBitextMining", ("sentence1", "sentence2"), "accuracy", ("f1",), exact=True
)
RETRIEVAL = Kind("Retrieval", "AbsTaskRetrieval", (), "ndcg_at_10", ("mrr_at_10", "recall_at_100"))

_FLAT_KINDS = (STS, PAIR_CLASSIFICATION, CLASSIFICATION, BITEXT)
RETRIEVAL_COLUMNS = {
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
        if part not in RETRIEVAL_COLUMNS:
            name, part = file.stem, ""
        groups.setdefault(name, {})[part] = file
    return [
        _flat_set(name, parts) if "" in parts else _retrieval_set(name, parts)
        for name, parts in groups.items()
    ]


def _flat_set(name: str, parts: dict[str, Path]) -> EvalSet:
    file = parts[""]
    if len(parts) > 1:
        raise InputError(f"{file}: shares its name with a retrieval set. Rename one of them.")
    columns, rows = read_columns(file)
    _check_rows(file, rows)
    for kind in _FLAT_KINDS:
        if set(kind.columns) == set(columns) or (set(kind.columns) <= set(columns) and not kind.exact):
            return EvalSet(name, kind, (file,), rows)
    known = "; ".join(f"{', '.join(kind.columns)} ({kind.name})" for kind in _FLAT_KINDS)
    raise InputError(f"{file}: no kind of evaluation has the columns {', '.join(columns)}. Known: {known}.")


def _retrieval_set(name: str, parts: dict[str, Path]) -> EvalSet:
    missing = [part for part in RETRIEVAL_COLUMNS if part not in parts]
    if missing:
        present = next(iter(parts.values()))
        companions = " and ".join(f"{name}.{part}.parquet" for part in missing)
        raise InputError(f"{present}: a retrieval set also needs {companions}. Put it beside this file.")
    for part, columns in RETRIEVAL_COLUMNS.items():
        found, rows = read_columns(parts[part])
        _check_rows(parts[part], rows)
        if not set(columns) <= set(found):
            raise InputError(
                f"{parts[part]}: needs the columns {', '.join(columns)}; it has {', '.join(found)}. "
                "Rename them."
            )
    files = tuple(parts[part] for part in RETRIEVAL_COLUMNS)
    return EvalSet(name, RETRIEVAL, files, read_columns(files[0])[1])


def _check_rows(file: Path, rows: int) -> None:
    if not rows:
        raise InputError(f"{file}: has no rows, so there is nothing to score. Remove it or fill it.")
