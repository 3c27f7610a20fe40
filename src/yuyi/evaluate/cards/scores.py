"""The results of one model for its card: the setting that the model-index is of, and the others."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from statistics import fmean
from typing import TYPE_CHECKING

from yuyi.errors import InputError
from yuyi.evaluate.averages import is_of
from yuyi.evaluate.cards.index import index_entry
from yuyi.evaluate.comparing.columns import columns
from yuyi.evaluate.linting.index import conventions
from yuyi.evaluate.suites import Suite, all_suites

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from yuyi.evaluate.cards import Shape
    from yuyi.evaluate.comparing.columns import Column
    from yuyi.evaluate.linting.index import Convention
    from yuyi.evaluate.results import Result, Setting


@dataclass(frozen=True, slots=True)
class Run:
    """The results under one setting.

    Attributes:
        setting: how texts became vectors.
        results: by name of the task, those of a type together.
        averages: over each named suite that is there as a whole, on the data that it pins; over all tasks
            where none is; in percent.
    """

    setting: Setting
    results: Mapping[str, Result]
    averages: tuple[Convention, ...]


@dataclass(frozen=True, slots=True)
class Scores:
    """What a card says of a model's scores.

    Attributes:
        main: whole vectors, under the setting with the most results; of several, the usual one.
        others: the other settings, large dimensions and long texts first.
    """

    main: Run
    others: tuple[Run, ...]

    @property
    def runs(self) -> tuple[Run, ...]:
        """All settings, that of the model-index first."""
        return (self.main, *self.others)


def sort_results(results: Sequence[Result], shape: Shape = "mteb1") -> Scores:
    """The results of one model by setting, with those averages that an index of this shape bears out.

    Raises:
        InputError: there are none, they are of several models, a task was judged on several data, or none is
            of whole vectors.
    """
    names = list(dict.fromkeys(result.model.name for result in results))
    if len(names) > 1:
        raise InputError(
            f"results of {len(names)} models, {', '.join(names[:3])}; a card is of one. Give the folder of "
            "its own results."
        )
    runs = sorted((_run(column, shape) for column in columns(results)), key=_rank)
    whole = [run for run in runs if run.setting.dim == results[0].model.dim]
    if not whole:
        dims = sorted({run.setting.dim for run in runs}, reverse=True)
        raise InputError(
            f"results of {', '.join(map(str, dims))} of {results[0].model.dim} dimensions alone; a card's "
            "index is of whole vectors. Evaluate at the whole dimension, too."
        )
    main = max(whole, key=lambda run: len(run.results))
    return Scores(main, tuple(run for run in runs if run is not main))


def same_but_dim(scores: Scores) -> list[Run]:
    """The main run and those that differ from it in nothing but the dimension, the largest first."""
    main = replace(scores.main.setting, dim=0)
    return [run for run in scores.runs if replace(run.setting, dim=0) == main]


def mean_of(results: Sequence[Result]) -> float:
    """The mean of the main scores, in percent."""
    return 100 * fmean(result.main_score for result in results)


def _run(column: Column, shape: Shape) -> Run:
    results = dict(sorted(column.results.items(), key=lambda item: (item[1].type, item[0].casefold())))
    # Of each suite, first with the metric that it takes for pairs itself.
    averages: dict[str, Convention] = {}
    named = _named(results)
    every = conventions(index_entry(column.model, results.values(), shape), named)
    for convention in [each for each in every if each.suite in named] or every:
        averages.setdefault(convention.suite.name, convention)
    return Run(column.first.setting, results, tuple(averages.values()))


def _named(results: Mapping[str, Result]) -> list[Suite]:
    """The suites of which every task was judged on the data that they pin."""
    return [
        suite
        for suite in all_suites()
        if all(any(is_of(result, task) for result in results.values()) for task in suite.tasks)
    ]


def _rank(run: Run) -> tuple[int, bool, bool, bool, float, str]:
    """What comes first: whole vectors as they are meant, then the widest and longest."""
    setting = run.setting
    length = -math.inf if setting.max_length is None else -setting.max_length
    usual = (not setting.normalize, setting.overflow != "cut", setting.dtype != "float32")
    return (-setting.dim, *usual, length, setting.label)
