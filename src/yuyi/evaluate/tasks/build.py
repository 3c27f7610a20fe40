"""The rows of a test set inside mteb's own task classes, so that no metric is ours."""

from __future__ import annotations

from copy import copy
from itertools import chain
from typing import TYPE_CHECKING, Any

from yuyi.errors import InputError
from yuyi.evaluate.offline import import_mteb
from yuyi.evaluate.tasks.checks import (
    check_candidates,
    check_summaries,
    check_varied,
    number_labels,
    read_judgments,
    read_ranked,
)
from yuyi.evaluate.tasks.kinds import (
    ALL_ROWS,
    BITEXT,
    CLASSIFICATION,
    CLUSTERING,
    PAIR_CLASSIFICATION,
    RERANKING,
    STS,
    SUMMARIZATION,
    TRAIN,
)
from yuyi.evaluate.tasks.rows import read_parts, read_splits

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from yuyi.evaluate.tasks.manifest import LocalTask
    from yuyi.evaluate.tasks.rows import Table

SEED = 42  # mteb's own; it draws the samples that a classifier is fitted on

SUBSET = "default"


def build_task(found: LocalTask, folder: Path, languages: Sequence[str], data: str) -> Any:
    """An mteb task with the set's rows already in it.

    Its `evaluate` gives all of mteb's scores.

    Args:
        found: what the set is.
        folder: where its files are.
        languages: mteb's names of its languages.
        data: what names this state of its files.

    Raises:
        InputError: a row cannot be scored, or all rows together leave nothing to tell apart.
        MissingExtra: mteb is not installed.
    """
    mteb = import_mteb()
    kind = found.kind
    dataset, settings = _data(found, folder)
    metadata = mteb.TaskMetadata(
        name=found.name,
        description=f"Local files of {found.name}",
        dataset={"path": str(folder), "revision": data},
        type=kind.name,
        category="t2t",
        eval_splits=list(found.scored),
        eval_langs=list(languages),
        main_score=found.main_metric,
    )
    base = getattr(mteb.abstasks, kind.task_class)
    if kind is CLASSIFICATION:
        base = _with_all_rows(base) if found.all_rows or found.main_metric == ALL_ROWS else base
        settings = {"samples_per_label": found.samples_per_label, "n_experiments": found.n_experiments}
    task = type(found.name, (base,), {"metadata": metadata, **dict(kind.settings), **settings})(seed=SEED)
    task.dataset, task.data_loaded = dataset, True
    return task


def _data(found: LocalTask, folder: Path) -> tuple[Any, dict[str, Any]]:
    """The rows as mteb's class wants them, and attributes of the class that follow from them."""
    if not isinstance(found.files, str):
        return _retrieval_data(found, folder), {}
    make = _FLAT[found.kind.name]
    return make(read_splits(found, folder))


_Parts = dict[str, "Table"]
_Data = tuple[Any, dict[str, Any]]


def _as_datasets(tables: Mapping[str, Mapping[str, list[Any]]]) -> Any:
    import datasets

    return datasets.DatasetDict(
        {split: datasets.Dataset.from_dict(dict(columns)) for split, columns in tables.items()}
    )


def _columns(tables: _Parts) -> Any:
    return _as_datasets({split: table.columns for split, table in tables.items()})


def _bounds(values: Sequence[float]) -> dict[str, float]:
    """What mteb brings scores to 0 to 1 by."""
    return {"min_score": min(values), "max_score": max(values)}


def _sts(tables: _Parts) -> _Data:
    for table in tables.values():
        check_varied(table, "score")
    return _columns(tables), _bounds([score for table in tables.values() for score in table.columns["score"]])


def _pairs(tables: _Parts) -> _Data:
    for table in tables.values():
        check_varied(table, "label")
    return _columns(tables), {}


def _bitext(tables: _Parts) -> _Data:
    return _columns(tables), {}


def _clustering(tables: _Parts) -> _Data:
    for table in tables.values():
        check_varied(table, "label")
    labels = dict(zip(tables, number_labels(*tables.values()), strict=True))
    columns = {split: {**table.columns, "label": labels[split]} for split, table in tables.items()}
    return _as_datasets(columns), {}


def _summaries(tables: _Parts) -> _Data:
    for table in tables.values():
        check_summaries(table)
    relevance = chain.from_iterable(table.columns["relevance"] for table in tables.values())
    return _columns(tables), _bounds(list(chain.from_iterable(relevance)))


def _classification(tables: _Parts) -> _Data:
    """Train and test rows, labels numbered in their sorted order."""
    train = tables[TRAIN]
    check_varied(train, "label", " of the split train")
    labels = dict(zip(tables, number_labels(*tables.values()), strict=True))
    for split, table in tables.items():
        if not set(labels[split]) & set(labels[TRAIN]):
            raise InputError(
                f"{table.file}: no label of the split {split} is one of the split train ({train.file.name}), "
                "so nothing can be learned. Spell labels alike in both."
            )
    return {
        split: _Columns({"text": tables[split].columns["text"], "label": labels[split]}) for split in tables
    }, {}


class _Columns:
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

    def select(self, rows: list[int]) -> _Columns:
        """The given rows, in that order."""
        return _Columns({name: [values[row] for row in rows] for name, values in self._columns.items()})


def _with_all_rows(base: Any) -> Any:
    """The class of classification tasks, `base` of mteb, which scores one thing more.

    `accuracy` is the mean of ten classifiers fitted on 32 rows of each label; `accuracy_all_rows` that of one
    classifier fitted on every training row.
    """

    class WithAllRows(base):  # type: ignore[misc]
        def evaluate(self, model: Any, split: str = "test", *subsets: Any, **settings: Any) -> Any:
            scores = super().evaluate(model, split, *subsets, **settings)
            whole = copy(self)
            whole.samples_per_label, whole.n_experiments = len(self.dataset[self.train_split]), 1
            settings["prediction_folder"] = None  # The predictions that count are there already.
            for subset, found in base.evaluate(whole, model, split, *subsets, **settings).items():
                scores[subset][ALL_ROWS] = found["accuracy"]
                self._add_main_score(scores[subset])
            return scores

        def _add_main_score(self, scores: Any) -> None:
            if self.metadata.main_score in scores:
                super()._add_main_score(scores)

    return WithAllRows


def _reranking(tables: _Parts) -> _Data:
    """Each text of a row is a document of its own, named as mteb names those of its older sets.

    mteb breaks ties by the names, so another naming would give other scores.
    """
    return {SUBSET: {split: _ranked_rows(split, table) for split, table in tables.items()}}, {}


def _ranked_rows(split: str, table: Table) -> dict[str, Any]:
    import datasets

    check_candidates(table)
    queries = [f"{split}_query{row}" for row in range(len(table))]
    relevant: dict[str, dict[str, int]] = {}
    texts: dict[str, str] = {}
    for row, query in enumerate(queries):
        relevant[query] = {}
        for name, prefix, score in (("positive", "apositive", 1), ("negative", "negative", 0)):
            for number, text in enumerate(table.columns[name][row]):
                document = f"{prefix}_{query}_{number:05d}"
                texts[document], relevant[query][document] = text, score
    return {
        "queries": datasets.Dataset.from_dict({"id": queries, "text": table.columns["query"]}),
        "corpus": datasets.Dataset.from_dict({"id": list(texts), "text": list(texts.values())}),
        "relevant_docs": relevant,
        "top_ranked": {query: list(documents) for query, documents in relevant.items()},
    }


def _retrieval_data(found: LocalTask, folder: Path) -> Any:
    """The set as mteb's nested dictionary of queries, corpus, judgments and what is to be put in order."""
    import datasets

    tables = read_parts(found, folder)
    queries, corpus = tables["queries"], tables["corpus"]
    data = {
        "relevant_docs": read_judgments(queries, corpus, tables["qrels"]),
        "queries": datasets.Dataset.from_dict(queries.columns),
        "corpus": datasets.Dataset.from_dict(corpus.columns),
        "top_ranked": read_ranked(tables["top_ranked"], queries, corpus) if "top_ranked" in tables else None,
    }
    [split] = found.scored
    return {SUBSET: {split: data}}


_FLAT: dict[str, Callable[[_Parts], _Data]] = {
    STS.name: _sts,
    PAIR_CLASSIFICATION.name: _pairs,
    CLASSIFICATION.name: _classification,
    CLUSTERING.name: _clustering,
    RERANKING.name: _reranking,
    SUMMARIZATION.name: _summaries,
    BITEXT.name: _bitext,
}
