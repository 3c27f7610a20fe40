"""How far columns of scores differ, and which of the differences are real.

Two columns are compared on the tasks that both have. Where the results of both keep their examples, a
difference has an interval by paired bootstrap; with published figures it has none.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from yuyi.errors import InputError
from yuyi.evaluate.bootstrap import paired, paired_mean
from yuyi.evaluate.columns import columns, published_column
from yuyi.evaluate.examples import examples_path, read_examples
from yuyi.evaluate.results import find_results
from yuyi.evaluate.sheet import metric_for, score_in, tasks_of
from yuyi.evaluate.suites import all_suites

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from yuyi.evaluate.bootstrap import Difference
    from yuyi.evaluate.columns import Column
    from yuyi.evaluate.examples import Examples
    from yuyi.evaluate.results import Result

_Sides = tuple["Examples", "Examples"]


@dataclass(frozen=True, slots=True)
class Change:
    """How much a score is above that of the other side.

    Attributes:
        name: of the task, or of the type whose tasks it is the mean of.
        metric: mteb's name of the score; empty for means.
        value: in percent points.
        interval: of the same difference, in the unit of scores (0 to 1); None where examples are missing.
        by: the metric that the interval is of, where examples tell another one than `metric`.
        tasks: how many tasks it is over.
        pinned: for a task of the named suites, whether its data are those that the suite pins.
    """

    name: str
    metric: str
    value: float
    interval: Difference | None
    by: str = ""
    tasks: int = 1
    pinned: bool | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two columns, on the tasks that both have.

    Attributes:
        first: what the other is compared with.
        other: the column whose scores are higher where a change is above 0.
        tasks: by type and name.
        types: the means of each type with several of these tasks.
        overall: the mean over all of them.
    """

    first: Column
    other: Column
    tasks: tuple[Change, ...]
    types: tuple[Change, ...]
    overall: Change


def open_columns(folders: Sequence[Path], against: Sequence[str] = ()) -> list[Column]:
    """The columns of all results in some folders, and behind them published ones.

    Args:
        folders: of results; their order is that of the models.
        against: names of models that yuyi knows published figures of.

    Raises:
        InputError: a folder holds no results or a damaged one, a task was judged on several data, or nothing
            is published of a model.
    """
    found: dict[Path, Result] = {}
    for folder in folders:
        found |= find_results(folder)
    return [*columns(list(found.values()), list(found)), *map(published_column, against)]


def compare(sides: Sequence[Column]) -> list[Comparison]:
    """Each further column of results beside the first one, then all of them beside published figures.

    Published averages without scores by task are left to the table of averages.

    Raises:
        InputError: there is one column alone, two share no task by name and metric, or the examples of a
            task are damaged or not the same.
    """
    if len(sides) < 2:
        raise InputError(
            f"{sides[0].model}: one model under one setting is all there is, and a comparison needs two. "
            "Name another folder of results, or published figures with --against."
        )
    own = [column for column in sides if column.results]
    published = [column for column in sides if column.source and column.scores]
    pairs = [
        *((own[0], other) for other in own[1:]),
        *((first, other) for first in published for other in own),
    ]
    return [_comparison(first, other) for first, other in pairs]


def _comparison(first: Column, other: Column) -> Comparison:
    tasks = tasks_of([first, other])
    changes: dict[str, Change] = {}
    examples: dict[str, _Sides] = {}
    for name in sorted(tasks, key=lambda name: (tasks[name].type, name.casefold())):
        metric = metric_for([first, other], name)
        before, after = (score_in(column, name, metric) for column in (first, other))
        if before is not None and after is not None:
            sides = _examples(first, other, name)
            changes[name] = _change(tasks[name], metric, after - before, sides)
            if sides and not changes[name].by:
                examples[name] = sides
    if not changes:
        raise _nothing_shared(first, other)
    kinds: dict[str, list[str]] = {}
    for name in changes:
        kinds.setdefault(tasks[name].type, []).append(name)
    types = [_mean(kind, names, changes, examples) for kind, names in kinds.items() if len(names) > 1]
    overall = _mean("all tasks", list(changes), changes, examples)
    return Comparison(first, other, tuple(changes.values()), tuple(types), overall)


def _examples(first: Column, other: Column, task: str) -> _Sides | None:
    """The examples of the other and of the first; None where one of them has none."""
    if task not in first.files or task not in other.files:
        return None
    sides = [read_examples(examples_path(column.files[task])) for column in (other, first)]
    return (sides[0], sides[1]) if sides[0] and sides[1] else None


def _change(result: Result, metric: str, value: float, sides: _Sides | None) -> Change:
    interval, by = None, ""
    if sides:
        by = "" if sides[0].metric == metric else sides[0].metric
        try:
            interval = paired(*sides)
        except InputError as error:
            raise InputError(f"{result.task}: {error}") from error
        # mteb rounds scores of retrieval to five decimals.
        if not by and abs(100 * interval.difference - value) > 0.01:
            raise InputError(
                f"{result.task}: scores differ by {value:.2f}, and their examples by "
                f"{100 * interval.difference:.2f}; examples are of another run. Evaluate the task again."
            )
    revision = next(
        (task.revision for suite in all_suites() for task in suite.tasks if task.name == result.task), None
    )
    pinned = None if revision is None else result.data == revision
    return Change(result.task, metric, value, interval, by, pinned=pinned)


def _mean(
    name: str, tasks: Sequence[str], changes: Mapping[str, Change], examples: Mapping[str, _Sides]
) -> Change:
    """The mean of changes, with an interval where all of them have examples of the very metric."""
    whole = all(task in examples for task in tasks)
    interval = paired_mean([examples[task] for task in tasks]) if whole else None
    return Change(name, "", fmean(changes[task].value for task in tasks), interval, tasks=len(tasks))


def _nothing_shared(first: Column, other: Column) -> InputError:
    names = [", ".join(list(column.scores)[:3]) for column in (first, other)]
    remedy = (
        "Local sets are compared where tasks.yaml gives them the published name"
        if first.source
        else "Evaluate both on the same tasks"
    )
    return InputError(
        f"{first.name} ({names[0]}, ...) and {other.name} ({names[1]}, ...) share no task of the same name "
        f"and metric. {remedy}."
    )
