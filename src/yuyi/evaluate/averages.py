"""Averages over the tasks of a suite, as cards and boards print them.

Two are meant when people speak of "the" Chinese average:

| name | tasks | pair classification | where |
|---|---|---|---|
| `C-MTEB (35)` | 35 | average precision of the cosine | the cards of GTE, Dmeta and acge |
| `MTEB(cmn, v1)` | 31 | the best accuracy of four similarities | mteb 2, and its board |

In both every task counts once: the overall average is the mean over tasks, not over types, and the average of
a type is the mean over its tasks. Both take Spearman correlation of the cosine for STS, accuracy for
classification, v-measure for clustering, mean average precision for reranking and nDCG@10 for retrieval. A
task of several parts (CQADupstackRetrieval) counts with the mean of its parts.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from yuyi.evaluate.results import Result
    from yuyi.evaluate.suites import Suite, Task

# What pair classification may be judged by; cards say seldom which. First what the Chinese cards take.
PAIR_METRICS = ("cosine_ap", "max_ap", "cosine_accuracy", "max_accuracy")

_PAIRS = "PairClassification"
_BEST_PART = "max_over_subqueries_"
_COSINE = ("cos_sim_", "cosine_")
# What mteb 1 called two metrics of reranking, which looked at the first ten for the reciprocal rank.
_OF_RERANKING = {"map": "map_at_1000", "mrr": "mrr_at_10"}


@dataclass(frozen=True, slots=True)
class Averages:
    """Averages over a suite, in the unit of the scores.

    Attributes:
        overall: mean over all tasks; None where a task has no score.
        by_type: mean over the tasks of each type, by mteb's name of the type; a type of which a task has no
            score is left out.
        missing: the tasks without a score.
    """

    overall: float | None
    by_type: Mapping[str, float]
    missing: tuple[str, ...]


def average(
    scores: Mapping[str, Mapping[str, float]], suite: Suite, pair_metric: str | None = None
) -> Averages:
    """The averages of a suite from scores by task and metric.

    Args:
        scores: metrics by task; both may have the names of mteb 1 or of mteb 2. Other tasks may be there.
        suite: the tasks to average and the metric of each.
        pair_metric: one of `PAIR_METRICS`, in place of what the suite takes for pair classification.
    """
    found: dict[str, dict[str, float | None]] = {
        kind: {name: _score(scores, name, parts, pair_metric) for name, parts in tasks.items()}
        for kind, tasks in suite.by_type().items()
    }
    missing = tuple(name for tasks in found.values() for name, score in tasks.items() if score is None)
    whole = {
        kind: [score for score in tasks.values() if score is not None]
        for kind, tasks in found.items()
        if not any(name in missing for name in tasks)
    }
    every = [score for values in whole.values() for score in values]
    return Averages(
        fmean(every) if every and not missing else None,
        {kind: fmean(values) for kind, values in whole.items()},
        missing,
    )


def suite_scores(results: Iterable[Result], suite: Suite) -> dict[str, dict[str, float]]:
    """Metrics in percent by task of the suite, from those results alone that are of its tasks.

    Args:
        results: of one model under one setting.
        suite: whose tasks count.
    """
    by_task: dict[str, list[Result]] = {}
    for result in results:
        by_task.setdefault(result.task, []).append(result)
    return {
        task.name: {name: 100 * value for name, value in part_scores(result.scores, task).items()}
        for task in suite.tasks
        for result in by_task.get(task.name, ())
        if is_of(result, task)
    }


def is_of(result: Result, task: Task) -> bool:
    """Whether a result counts as a task of a suite: of the data that it pins, its part and all its splits.

    Local data under the task's name do not count, nor does another language of the same task.
    """
    return (result.task, result.data) == (task.name, task.revision) and bool(part_scores(result.scores, task))


def is_just(result: Result, task: Task) -> bool:
    """Whether a result is of a suite's task and of nothing beside it: no further split or part."""
    return is_of(result, task) and result.judged_parts == {split: [task.subset] for split in task.splits}


def part_scores(scores: Mapping[str, Mapping[str, Mapping[str, Any]]], task: Task) -> dict[str, float]:
    """Metrics of a suite's task: those of its part of the data, the mean over its splits.

    Args:
        scores: metrics by split and part of the data.
        task: which of them count.

    Returns:
        Metrics in the unit of the scores; none where a split or the part is not there.
    """
    parts = [scores.get(split, {}).get(task.subset, {}) for split in task.splits]
    return mean_metrics(parts)


def mean_metrics(parts: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The mean of every metric that is a number in all of the parts."""
    names = [name for name in parts[0] if all(isinstance(part.get(name), int | float) for part in parts)]
    return {name: fmean(part[name] for part in parts) for name in names}


def metric_of(metrics: Mapping[str, float], metric: str) -> float | None:
    """The value of a metric, whichever version's name either side uses; None where it is not there."""
    wanted = modern_name(metric)
    return next((value for name, value in metrics.items() if modern_name(name) == wanted), None)


def modern_name(metric: str) -> str:
    """The name of a metric in mteb 2, where `cos_sim_ap` is `cosine_ap`, reranking's `map` `map_at_1000`."""
    name = metric.removeprefix(_BEST_PART).replace(*_COSINE)
    return _OF_RERANKING.get(name, name)


def older_name(metric: str, kind: str) -> str:
    """The name in mteb 1 of mteb 2's metric for a type of task; the reverse of `modern_name`."""
    if kind == "Reranking":
        return next((older for older, modern in _OF_RERANKING.items() if modern == metric), metric)
    older, modern = _COSINE
    return metric.replace(modern, older)


def _score(
    scores: Mapping[str, Mapping[str, float]], name: str, parts: list[Task], pair_metric: str | None
) -> float | None:
    """The score of a task, or the mean over its parts where it has no score of its own."""
    whole = _of_task(scores, (name, parts[0].older_name), parts[0], pair_metric)
    if whole is not None or not parts[0].part_of:
        return whole
    values = [_of_task(scores, (part.name, part.older_name), part, pair_metric) for part in parts]
    known = [value for value in values if value is not None]
    return fmean(known) if len(known) == len(parts) else None


def _of_task(
    scores: Mapping[str, Mapping[str, float]], names: tuple[str, ...], task: Task, pair_metric: str | None
) -> float | None:
    metrics = next((scores[name] for name in names if name in scores), {})
    return metric_of(metrics, pair_metric if pair_metric and task.type == _PAIRS else task.metric)
