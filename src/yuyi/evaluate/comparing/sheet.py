"""Scores side by side: a line a task, a cell a column, and the averages that people compare.

A mean is over tasks that every column of results has; where that is not all of them, its name says so. A
column that has none of the tasks, and published figures that lack one of them, have no mean, and leave those
of the others alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from yuyi.evaluate.averages import average, metric_of
from yuyi.evaluate.suites import all_suites

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from yuyi.evaluate.comparing.columns import Column
    from yuyi.evaluate.comparing.domain import Trained
    from yuyi.evaluate.results import Result
    from yuyi.evaluate.suites import Suite

_PAIRS = "PairClassification"


@dataclass(frozen=True, slots=True)
class Line:
    """Scores of a task, or means of several.

    Attributes:
        name: of the task, or what the mean is of.
        metric: mteb's name of it; empty for means.
        values: one for each column, in percent; None where there is none.
        notes: one for each column, beside or in place of the value; mostly empty.
    """

    name: str
    metric: str
    values: tuple[float | None, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """The tasks of one type, and their mean."""

    type: str
    lines: tuple[Line, ...]
    mean: Line


@dataclass(frozen=True, slots=True)
class Sheet:
    """Everything that a table shows.

    Attributes:
        columns: what stands side by side.
        sections: types of tasks in the order of their names.
        averages: over all tasks; over each named suite of which a task is there; over in-domain and
            zero-shot tasks and those that do not tell, where training sources are declared.
    """

    columns: tuple[Column, ...]
    sections: tuple[Section, ...]
    averages: tuple[Line, ...]

    @property
    def headings(self) -> tuple[str, ...]:
        """What the labels of the columns tell, in their order."""
        return tuple(dict.fromkeys(heading for column in self.columns for heading in column.label))


def lay_out(columns: Sequence[Column], trained: Mapping[str, Trained] | None = None) -> Sheet:
    """The sheet of some columns.

    Args:
        columns: one at least has results; tasks that only published figures have are left out.
        trained: what models were trained on, by their names.
    """
    tasks = tasks_of(columns)
    types = sorted({result.type for result in tasks.values()})
    sections = []
    for kind in types:
        lines = tuple(
            _line(columns, name, metric_for(columns, name))
            for name, result in tasks.items()
            if result.type == kind
        )
        sections.append(Section(kind, lines, _mean(columns, lines)))
    everything = [line for section in sections for line in section.lines]
    averages = [_mean(columns, everything), *_suites(columns), *_domains(columns, everything, trained or {})]
    return Sheet(tuple(columns), tuple(sections), tuple(averages))


def tasks_of(columns: Sequence[Column]) -> dict[str, Result]:
    """A result of each task that has any, in the order of the tasks' names."""
    found: dict[str, Result] = {}
    for column in columns:
        for name, result in column.results.items():
            found.setdefault(name, result)
    return dict(sorted(found.items(), key=lambda item: item[0].casefold()))


def metric_for(columns: Sequence[Column], task: str) -> str:
    """The metric to compare columns by on a task: the one that counts, or one that all of them have."""
    having = [column.scores[task] for column in columns if task in column.scores]
    main = tasks_of(columns)[task].metric
    names = [main, *(name for column in columns if column.source for name in column.scores.get(task, ()))]
    return next(
        (name for name in names if all(metric_of(scores, name) is not None for scores in having)), main
    )


def score_in(column: Column, task: str, metric: str) -> float | None:
    """A column's score in percent; None where it has none."""
    return metric_of(column.scores.get(task, {}), metric)


def _line(columns: Sequence[Column], task: str, metric: str) -> Line:
    return Line(
        task, metric, tuple(score_in(column, task, metric) for column in columns), ("",) * len(columns)
    )


def _mean(columns: Sequence[Column], lines: Sequence[Line]) -> Line:
    """The mean over the lines on which every column of results has a score.

    A column without any of these scores has no mean; nor have published figures that lack one of them.
    """
    width = len(columns)
    there = [
        place
        for place, column in enumerate(columns)
        if column.results and any(line.values[place] is not None for line in lines)
    ]
    whole = [line for line in lines if all(line.values[place] is not None for place in there)]
    count = f"{len(whole)}" if len(whole) == len(lines) else f"{len(whole)} of {len(lines)}"
    name = "1 task" if len(lines) == 1 else f"mean of {count} tasks"
    scores = [[line.values[place] for line in whole] for place in range(width)]
    values = tuple(_mean_of(each) for each in scores)
    return Line(name, "", values, ("",) * width)


def _mean_of(scores: Sequence[float | None]) -> float | None:
    known = [score for score in scores if score is not None]
    return fmean(known) if known and len(known) == len(scores) else None


def _suites(columns: Sequence[Column]) -> Iterator[Line]:
    """The average over each suite, or how many of its tasks were judged on the data that it pins."""
    for suite in all_suites():
        found = [average(column.of_suite(suite), suite) for column in columns]
        if not any(
            column.results and len(each.missing) < suite.size
            for column, each in zip(columns, found, strict=True)
        ):
            continue
        values = tuple(
            _printed(column, suite) if each.overall is None else each.overall
            for column, each in zip(columns, found, strict=True)
        )
        notes = tuple(
            f"{suite.size - len(each.missing)} of {suite.size}" if value is None else ""
            for value, each in zip(values, found, strict=True)
        )
        pairs = next((task.metric for task in suite.tasks if task.type == _PAIRS), "")
        yield Line(suite.name, pairs, values, notes)


def _printed(column: Column, suite: Suite) -> float | None:
    """The average that is printed where scores by task are not published."""
    return None if column.scores or not suite.board else column.printed.get(suite.board, {}).get("average")


def _domains(
    columns: Sequence[Column], lines: Sequence[Line], trained: Mapping[str, Trained]
) -> Iterator[Line]:
    """Means over in-domain tasks, zero-shot ones, and those that do not tell, with their numbers."""
    if not any(column.model in trained for column in columns):
        return
    for name, wanted in (("in-domain", True), ("zero-shot", False), ("not told", None)):
        scores = [_of_domain(column, place, lines, trained, wanted) for place, column in enumerate(columns)]
        counts = [None if each is None else len(each) for each in scores]
        told = sorted({count for count in counts if count is not None})
        if not any(told):
            continue
        same = len(told) == 1
        yield Line(
            f"{name} ({told[0]} task{'s' if told[0] != 1 else ''})" if same else name,
            "",
            tuple(fmean(each) if each else None for each in scores),
            tuple("" if same or count is None else f"({count})" for count in counts),
        )


def _of_domain(
    column: Column, place: int, lines: Sequence[Line], trained: Mapping[str, Trained], wanted: bool | None
) -> list[float] | None:
    """The scores of tasks in-domain, zero-shot or neither; None where no training sources are declared."""
    if column.model not in trained or not column.results:
        return None
    return [
        score
        for line in lines
        if (score := line.values[place]) is not None
        and trained[column.model].knows(column.results[line.name]) is wanted
    ]
