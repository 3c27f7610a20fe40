"""How far columns of scores differ, and which of the differences are real.

Two columns are compared on the tasks that both have. Where the results of both keep their examples, a
difference has an interval by paired bootstrap; with published figures it has none.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from yuyi.errors import InputError
from yuyi.evaluate.averages import is_just
from yuyi.evaluate.comparing.bootstrap import SEED, draw, mean_difference
from yuyi.evaluate.comparing.columns import columns, published_column
from yuyi.evaluate.comparing.examples import examples_path, read_examples
from yuyi.evaluate.comparing.sheet import metric_for, score_in, tasks_of
from yuyi.evaluate.linting.index import some_names
from yuyi.evaluate.results import find_results
from yuyi.evaluate.suites import all_suites

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from yuyi.evaluate.comparing.bootstrap import Difference, Drawn
    from yuyi.evaluate.comparing.columns import Column
    from yuyi.evaluate.results import Result
    from yuyi.evaluate.suites import Suite


@dataclass(frozen=True, slots=True)
class Change:
    """How much a score is above that of the other side.

    Attributes:
        name: of the task, or of the type whose tasks it is the mean of.
        metric: mteb's name of the score; empty for means.
        value: in percent points.
        interval: of the same difference, in the unit of scores (0 to 1); None where examples are missing.
        by: the metric that the interval is of, where examples tell another one than `metric`.
        of: what was drawn for the interval: pairs, rows, queries, texts, or mteb's own "draws" of texts.
        tasks: how many tasks it is over.
        pinned: for a task of the named suites, whether its data, splits and part are as the suite pins them.
    """

    name: str
    metric: str
    value: float
    interval: Difference | None
    by: str = ""
    of: str = ""
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
    drawn: dict[str, Drawn] = {}
    for name in sorted(tasks, key=lambda name: (tasks[name].type, name.casefold())):
        metric = metric_for([first, other], name)
        before, after = (score_in(column, name, metric) for column in (first, other))
        if before is not None and after is not None:
            found = _drawn(first, other, name, len(changes))
            changes[name] = _change(tasks[name], first.suite, metric, after - before, found)
            if found and not changes[name].by:
                drawn[name] = found
    if not changes:
        raise _nothing_shared(first, other)
    kinds: dict[str, list[str]] = {}
    for name in changes:
        kinds.setdefault(tasks[name].type, []).append(name)
    types = [_mean(kind, names, changes, drawn) for kind, names in kinds.items() if len(names) > 1]
    overall = _mean("all tasks", list(changes), changes, drawn)
    return Comparison(first, other, tuple(changes.values()), tuple(types), overall)


def _drawn(first: Column, other: Column, task: str, place: int) -> Drawn | None:
    """The differences of a task by draw; None where a side has no examples."""
    if task not in first.files or task not in other.files:
        return None
    a, b = (read_examples(examples_path(column.files[task])) for column in (other, first))
    if a is None or b is None:
        return None
    try:
        return draw(a, b, seed=(SEED, place))
    except InputError as error:
        raise InputError(f"{task}: {error}") from error


def _change(result: Result, suite: Suite | None, metric: str, value: float, drawn: Drawn | None) -> Change:
    by = drawn.metric if drawn and drawn.metric != metric else ""
    # mteb rounds scores of retrieval to five decimals.
    if drawn and not by and abs(100 * drawn.whole - value) > 0.01:
        raise InputError(
            f"{result.label}: scores differ by {value:.2f}, and their examples by {100 * drawn.whole:.2f}; "
            "examples are of another run. Evaluate the task again."
        )
    interval = mean_difference([drawn]) if drawn else None
    suites = [suite] if suite else all_suites()
    known = [task for each in suites for task in each.tasks if task.name == result.task]
    pinned = any(is_just(result, task) for task in known) if known else None
    of = drawn.of if drawn else ""
    return Change(result.label, metric, value, interval, by, of, pinned=pinned)


def _mean(
    name: str, tasks: Sequence[str], changes: Mapping[str, Change], drawn: Mapping[str, Drawn]
) -> Change:
    """The mean of changes, with an interval where all of them have examples of the very metric."""
    whole = all(task in drawn for task in tasks)
    interval = mean_difference([drawn[task] for task in tasks]) if whole else None
    return Change(name, "", fmean(changes[task].value for task in tasks), interval, tasks=len(tasks))


def _nothing_shared(first: Column, other: Column) -> InputError:
    names = [some_names(list(column.scores)) for column in (first, other)]
    remedy = (
        "Local sets are compared where tasks.yaml gives them the published name"
        if first.source
        else "Evaluate both on the same tasks"
    )
    return InputError(
        f"{first.name} ({names[0]}) and {other.name} ({names[1]}) share no task of the same name "
        f"and metric. {remedy}."
    )
