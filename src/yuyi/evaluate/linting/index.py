"""The model-index of a card: is it sound in itself, and what do its results average to?"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING

from yuyi.evaluate.averages import PAIR_METRICS, Averages, average, metric_of, part_scores
from yuyi.evaluate.linting.card import Finding, as_number
from yuyi.evaluate.suites import Suite, Task, all_suites

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from yuyi.evaluate.linting.card import Entry, Result

# What an index calls the metric that counts, beside the metric under its own name.
MAIN_SCORE = "main_score"
_COMMIT = re.compile("[0-9a-f]{40}")
# A commit, whole or shortened, or a digest of local files.
_REVISION = re.compile("[0-9a-f]{7,64}")
# Metrics that lie between 0 and 1, or 0 and 100 percent; those of correlation may be negative.
_SHARE = re.compile(r"(?:.*_)?(?:accuracy|ap|f1|precision|recall|map|mrr|ndcg|v_measure)(?:_at_\d+)?")
_CORRELATION = re.compile(rf"(?:.*_)?(?:pearson|spearman)|{MAIN_SCORE}")
# By the type of task, the metric that counts where neither the index nor a suite says it.
_METRICS = {
    "STS": "cosine_spearman",
    "Classification": "accuracy",
    "Clustering": "v_measure",
    "PairClassification": "cosine_ap",
    "Reranking": "map_at_1000",
    "Retrieval": "ndcg_at_10",
    "Summarization": "cosine_spearman",
    "BitextMining": "f1",
}
_MOST_NAMES = 4
# As much of a value that is no number as a message shows.
_LONGEST = 40


@dataclass(frozen=True, slots=True)
class Convention:
    """One way to average the results of an index.

    Attributes:
        suite: the tasks that are averaged.
        pair_metric: what pair classification is judged by.
        averages: the averages, in percent.
    """

    suite: Suite
    pair_metric: str
    averages: Averages

    @property
    def label(self) -> str:
        """How to name it in a message."""
        return f"{self.suite.name} with {self.pair_metric}"


def check_index(entries: Sequence[Entry]) -> Iterator[Finding]:
    """What is wrong with a model-index itself: values, revisions, results that are there twice."""
    for entry in entries:
        where = f"model-index, {entry.model}" if entry.model else "model-index"
        factor = percent_factor(entry)
        for result in entry.results:
            for fault in _value_faults(result, factor):
                yield Finding("value", f"{where}, {result.label}", fault)
        yield from _check_revisions(where, entry.results)
        yield from _check_repeats(where, entry.results)


def conventions(entry: Entry, suites: Sequence[Suite] | None = None) -> list[Convention]:
    """Every known way to average the results, the customary ones first.

    Over each named suite that is there as a whole; over all tasks of the index where none is, or where the
    index itself tells which metric of each counts.

    Args:
        entry: the index of one model.
        suites: those that may count; by default each whose tasks are there by name, as published indexes
            seldom are of the data that a suite pins.
    """
    named = _complete(entry, all_suites() if suites is None else suites)
    told = all(MAIN_SCORE in result.metrics or len(result.metrics) == 1 for result in entry.results)
    return named + (_complete(entry, (_own_suite(entry),)) if told or not named else [])


def is_commit(revision: str) -> bool:
    """Whether a revision is a commit of a hub, and no digest of local files."""
    return _COMMIT.fullmatch(revision) is not None


def percent_factor(entry: Entry) -> float:
    """What turns the values into percent: 100 where all of them are at most 1, as in results of mteb 2."""
    values = [
        abs(value)
        for result in entry.results
        for name, value in result.numbers().items()
        if _SHARE.fullmatch(name) or _CORRELATION.fullmatch(name)
    ]
    return 100.0 if values and max(values) <= 1 else 1.0


def some_names(names: Iterable[str]) -> str:
    """The first few names, and how many more there are."""
    every = list(names)
    shown = ", ".join(every[:_MOST_NAMES])
    return shown if len(every) <= _MOST_NAMES else f"{shown} and {len(every) - _MOST_NAMES} more"


def _complete(entry: Entry, suites: Iterable[Suite]) -> list[Convention]:
    found = []
    for suite in suites:
        pairs = dict.fromkeys(task.metric for task in suite.tasks if task.type == "PairClassification")
        usual = ", ".join(pairs) or PAIR_METRICS[0]
        scores = _scores(entry, suite)
        for pair_metric in dict.fromkeys((usual, *PAIR_METRICS)):
            averages = average(scores, suite, None if pair_metric == usual else pair_metric)
            if averages.overall is not None:
                found.append(Convention(suite, pair_metric, averages))
    return found


def _scores(entry: Entry, suite: Suite) -> dict[str, dict[str, float]]:
    """Metrics in percent by task of the suite: those of its part of the data, the mean over its splits."""
    factor = percent_factor(entry)
    scores: dict[str, dict[str, float]] = {}
    for task in suite.tasks:
        for name in filter(None, (task.name, task.older_name, task.part_of)):
            found: dict[str, dict[str, dict[str, float]]] = {}
            for result in entry.results:
                if (result.task, result.subset) == (name, task.subset):
                    found.setdefault(result.split, {})[task.subset] = result.numbers()
            if found:
                # Cards of older versions have fewer splits, or do not name them.
                splits = tuple(split for split in task.splits if split in found) or tuple(found)[:1]
                metrics = part_scores(found, replace(task, splits=splits))
                scores[name] = {metric: value * factor for metric, value in metrics.items()}
    return scores


def _own_suite(entry: Entry) -> Suite:
    """All results of an index, each with the metric that counts.

    Without any task where one is of no known type, or is there for several parts of its data, or twice: what
    such an index averages to is not for us to guess.
    """
    types = {name: task.type for suite in all_suites() for task in suite.tasks for name in _names(task)}
    tasks: dict[str, Task] = {}
    for result in entry.results:
        kind = _type_of(result.kind) or types.get(result.task, "")
        metric = _metric(result, kind)
        other = tasks.get(result.task)
        splits = (*(other.splits if other else ()), result.split)
        repeated = other and (other.subset != result.subset or result.split in other.splits)
        if not kind or not metric or repeated:
            return Suite("", ())
        tasks[result.task] = Task(result.task, kind, metric, result.dataset, "", splits, result.subset)
    return Suite(f"the {len(tasks)} tasks of the index", tuple(tasks.values()))


def _names(task: Task) -> Iterator[str]:
    yield from filter(None, (task.name, task.older_name))


def _type_of(kind: str) -> str:
    words = kind.replace("-", "").casefold().split()
    return next((name for name in _METRICS if name.casefold() in words), "")


def _metric(result: Result, kind: str) -> str:
    """The metric that counts: what the index calls so, the usual one of the type, or the only one."""
    numbers = result.numbers()
    for metric in (MAIN_SCORE, _METRICS.get(kind, "")):
        if metric_of(numbers, metric) is not None:
            return metric
    return next(iter(numbers)) if len(numbers) == 1 else ""


def _value_faults(result: Result, factor: float) -> Iterator[str]:
    if not result.metrics:
        yield "the result has no metric. Write its metrics, or take it out."
    for metric, text in result.metrics.items():
        value = as_number(text)
        if value is None or not math.isfinite(value):
            yield f"{metric} is {text[:_LONGEST] or 'empty'}, which is no figure. Score the task again."
        elif (_SHARE.fullmatch(metric) or _CORRELATION.fullmatch(metric)) and abs(value) * factor > 100:
            yield f"{metric} is {text}, beyond 100 percent. Score the task again."
        elif _SHARE.fullmatch(metric) and value < 0:
            yield f"{metric} is {text}, below 0. Score the task again."


def _check_revisions(where: str, results: Sequence[Result]) -> Iterator[Finding]:
    without = [result.label for result in results if not _REVISION.fullmatch(result.revision)]
    if without:
        yield Finding(
            "revision",
            where,
            f"{len(without)} of {len(results)} results name no commit of their data ({some_names(without)}), "
            "so nobody can tell which data was scored. Write dataset.revision.",
        )
    datasets: dict[str, set[str]] = {}
    for result in results:
        if is_commit(result.revision) and result.dataset:
            datasets.setdefault(result.revision, set()).add(result.dataset)
    for revision, names in datasets.items():
        if len(names) > 1:
            yield Finding(
                "revision",
                where,
                f"{some_names(sorted(names))} have one revision, {revision[:12]}, but no two repositories "
                "share a commit. Write that of each.",
            )


def _check_repeats(where: str, results: Sequence[Result]) -> Iterator[Finding]:
    def place(result: Result) -> tuple[str, str, str, str]:
        return (result.task, result.kind, result.subset, result.split)

    for _, group in groupby(sorted(results, key=place), place):
        same = list(group)
        if len(same) > 1:
            revisions = sorted({result.revision[:12] or "none" for result in same})
            yield Finding(
                "repeat",
                f"{where}, {same[0].label}",
                f"the result is there {len(same)} times (revision {', '.join(revisions)}), and only one can "
                "count. Keep that one.",
            )
