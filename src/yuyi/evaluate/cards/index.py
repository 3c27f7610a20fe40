"""Results as the model-index of a card: every metric as mteb 1 had it, or the main score as mteb 2 has it.

`mteb1` is the shape of the cards people know: values in percent, one entry a task, part and split with all
metrics that mteb 1 printed, and once more the one that counts as `main_score`, as its last versions had it.
`mteb2` is what mteb 2 makes of its results (`TaskResult.get_hf_eval_results`):
the main score alone, from 0 to 1, under mteb 2's names.
"""

from __future__ import annotations

import math
import re
from functools import cache
from typing import TYPE_CHECKING, Any

from yuyi.evaluate.averages import older_name
from yuyi.evaluate.linting.card import Entry
from yuyi.evaluate.linting.card import Result as Indexed
from yuyi.evaluate.linting.index import MAIN_SCORE, is_commit
from yuyi.evaluate.suites import all_suites

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from yuyi.evaluate.cards import Shape
    from yuyi.evaluate.results import Result
    from yuyi.evaluate.suites import Task

_SIMILARITIES = "cos_sim|dot|euclidean|manhattan"
_AT = re.compile(r"(?:map|mrr|ndcg|precision|recall)_at_\d+")
_CORRELATIONS = re.compile(rf"(?:{_SIMILARITIES})_(?:pearson|spearman)")
_OF_CLASSES = re.compile("accuracy|ap|f1")
# What mteb 1 printed for a type of task, under its own names; everything for a type that is not here.
_PRINTED = {
    "STS": _CORRELATIONS,
    "Summarization": _CORRELATIONS,
    "PairClassification": re.compile(rf"(?:{_SIMILARITIES}|max)_(?:accuracy|ap|f1|precision|recall)"),
    "Classification": _OF_CLASSES,
    "MultilabelClassification": _OF_CLASSES,
    "Clustering": re.compile("v_measure"),
    "Reranking": re.compile("map|mrr"),
    "Retrieval": _AT,
    "BitextMining": re.compile("accuracy|f1|precision|recall"),
}
# The hub's names of the types of task, as mteb 2 gives them.
_HUB_TYPES = {
    "STS": "sentence-similarity",
    "Summarization": "summarization",
    "PairClassification": "text-classification",
    "Classification": "text-classification",
    "MultilabelClassification": "text-classification",
    "Clustering": "text-classification",
    "Reranking": "text-ranking",
    "Retrieval": "text-retrieval",
    "BitextMining": "translation",
}
_MTEB = {"name": "MTEB", "url": "https://github.com/embeddings-benchmark/mteb/"}


def model_index(model: str, results: Iterable[Result], shape: Shape) -> list[dict[str, Any]]:
    """The value of the key `model-index`, with an entry for each task, split and part of the data."""
    entry = _entry_of_mteb1 if shape == "mteb1" else _entry_of_mteb2
    found = [
        entry(result, split, subset)
        for result in sorted(results, key=lambda result: (result.task.casefold(), result.task))
        for split, subset in _places(result)
    ]
    return [{"name": model, "results": found}]


def index_entry(model: str, results: Iterable[Result], shape: Shape) -> Entry:
    """The same index as the checks of a card see it, so that a card prints what they recompute."""
    return Entry(
        model,
        tuple(
            Indexed(
                task=result.task,
                subset=subset,
                split=split,
                kind=result.type,
                dataset=_dataset(result, subset),
                revision=result.data,
                metrics={name: repr(value) for name, value in _shown(result, split, subset, shape).items()},
            )
            for result in results
            for split, subset in _places(result)
        ),
    )


def _places(result: Result) -> Iterator[tuple[str, str]]:
    """Each split and part of the data that was scored."""
    for split, subsets in result.scores.items():
        for subset in subsets:
            yield split, subset


def _entry_of_mteb1(result: Result, split: str, subset: str) -> dict[str, Any]:
    known = _tasks().get((result.task, subset))
    name = (known.older_name if known else "") or result.task
    data = {
        "type": _dataset(result, subset),
        "name": f"MTEB {name}" + ("" if subset == "default" else f" ({subset})"),
        "config": subset,
        "split": split,
        "revision": result.data,
    }
    shown = _shown(result, split, subset, "mteb1")
    return {
        "task": {"type": result.type},
        "dataset": data,
        "metrics": [{"type": metric, "value": value} for metric, value in shown.items()],
    }


def _entry_of_mteb2(result: Result, split: str, subset: str) -> dict[str, Any]:
    data = {
        "type": _dataset(result, subset),
        "name": f"{result.task} ({subset})",
        "config": subset,
        "split": split,
        "revision": result.data,
    }
    shown = _shown(result, split, subset, "mteb2")
    return {
        "task": {"type": _HUB_TYPES.get(result.type, "other"), "name": result.type},
        "dataset": data,
        "metrics": [{"type": metric, "name": metric, "value": value} for metric, value in shown.items()],
        "source": dict(_MTEB),
    }


def _shown(result: Result, split: str, subset: str, shape: Shape) -> dict[str, float]:
    """The metrics of the shape, under its names and in its unit."""
    scores = {
        name: value
        for name, value in result.scores[split][subset].items()
        if isinstance(value, int | float) and math.isfinite(value)
    }
    if shape == "mteb2":
        return {result.metric: round(scores[result.metric], 8)}
    main, printed = older_name(result.metric, result.type), _PRINTED.get(result.type)
    older = {older_name(name, result.type): value for name, value in scores.items()}
    older[MAIN_SCORE] = scores[result.metric]
    return {
        name: round(100 * older[name], 6)
        for name in sorted(older)
        if printed is None or printed.fullmatch(name) or name in (main, MAIN_SCORE)
    }


def _dataset(result: Result, subset: str) -> str:
    """The data's name on the hub; the task's name for data that no suite knows, and for local files."""
    known = _tasks().get((result.task, subset))
    return known.dataset if known and is_commit(result.data) else result.task


@cache
def _tasks() -> dict[tuple[str, str], Task]:
    return {(task.name, task.subset): task for suite in all_suites() for task in suite.tasks}
