"""The results of one model sorted for its card: the setting that the model-index is of, and the others."""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import fmean
from typing import TYPE_CHECKING

from yuyi.artifacts import hash_json
from yuyi.errors import InputError
from yuyi.evaluate.card_index import index_entry
from yuyi.evaluate.lint_index import conventions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from yuyi.evaluate.card_index import Shape
    from yuyi.evaluate.lint_card import Entry
    from yuyi.evaluate.lint_index import Convention
    from yuyi.evaluate.results import Result, Setting


@dataclass(frozen=True, slots=True)
class Run:
    """The results under one setting.

    Attributes:
        setting: how texts became vectors.
        results: by name of the task, one each.
        averages: over each named suite that is there as a whole, over all tasks where none is; in percent.
    """

    setting: Setting
    results: Mapping[str, Result]
    averages: tuple[Convention, ...]


@dataclass(frozen=True, slots=True)
class Scores:
    """What a card says of a model's scores.

    Attributes:
        main: whole vectors, under the setting of which there are most results.
        others: the other settings, larger dimensions and longer texts first.
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
        InputError: they are of several models, or none is of whole vectors.
    """
    names = list(dict.fromkeys(result.model.name for result in results))
    if len(names) > 1:
        raise InputError(
            f"results of {len(names)} models, {', '.join(names[:3])}; a card is of one. Give the folder of "
            "its own results."
        )
    groups: dict[str, list[Result]] = {}
    for result in sorted(results, key=lambda result: result.made):
        groups.setdefault(_key(result), []).append(result)
    runs = sorted((_run(names[0], group, shape) for group in groups.values()), key=_rank)
    whole = [run for run in runs if run.setting.dim == next(iter(run.results.values())).model.dim]
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


def _key(result: Result) -> str:
    setting = result.setting
    return hash_json([setting.label, setting.pooling, setting.backend, result.model.fingerprint])


def _run(model: str, group: Sequence[Result], shape: Shape) -> Run:
    """The results of one setting, the newest of each task."""
    latest = {result.task: result for result in group}
    results = dict(sorted(latest.items(), key=lambda item: (item[1].type, item[0].casefold())))
    return Run(group[-1].setting, results, _own_averages(index_entry(model, results.values(), shape)))


def _own_averages(entry: Entry) -> tuple[Convention, ...]:
    """The customary average over each suite: with the metric that the suite itself takes for pairs."""
    first: dict[str, Convention] = {}
    for convention in conventions(entry):
        first.setdefault(convention.suite.name, convention)
    return tuple(first.values())


def _rank(run: Run) -> tuple[int, int, str]:
    setting = run.setting
    return (-setting.dim, -(setting.max_length or 0), setting.label)
