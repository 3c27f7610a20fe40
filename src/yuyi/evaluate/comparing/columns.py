"""Results sorted into columns, one for each model and setting, and published figures as such columns."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from yuyi.artifacts import hash_json
from yuyi.errors import InputError
from yuyi.evaluate.averages import mean_metrics, suite_scores
from yuyi.evaluate.results import Setting
from yuyi.evaluate.suites import all_suites
from yuyi.known import all_models, find
from yuyi.known.published import runs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from yuyi.evaluate.results import Result
    from yuyi.evaluate.suites import Suite

_MODEL = "model"
_UNITS = {"dimension": "dim", "longest text": "tokens"}


@dataclass(frozen=True, slots=True)
class Column:
    """The scores of one model under one setting.

    Attributes:
        label: what sets it apart from the other columns, by heading: the model where they are of several,
            and the settings that differ.
        model: name of the model.
        scores: in percent, by task (as `Result.label` has it) and metric; the mean over splits and subsets.
        results: by task, too; none where the figures are published.
        files: where the results lie, by task; empty where that does not matter.
        source: where published figures stand, and of which setting they are.
        printed: published averages in percent, by board and kind of task.
        suite: whose data published scores are of.
    """

    label: Mapping[str, str]
    model: str
    scores: Mapping[str, Mapping[str, float]]
    results: Mapping[str, Result] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)
    source: str = ""
    printed: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    suite: Suite | None = None

    @property
    def parts(self) -> tuple[str, ...]:
        """The values of the label, with a unit where they need one."""
        return tuple(
            f"{value} {_UNITS[heading]}" if heading in _UNITS else value
            for heading, value in self.label.items()
        )

    @property
    def name(self) -> str:
        """The label on one line."""
        return " · ".join(self.parts)

    @property
    def first(self) -> Result:
        """One of the results, all of which have the same model and setting."""
        return next(iter(self.results.values()))

    def of_suite(self, suite: Suite) -> Mapping[str, Mapping[str, float]]:
        """The scores that count for a suite, as `average` takes them: of its own data, part and splits."""
        if self.results:
            return suite_scores(self.results.values(), suite)
        # What is published of a task is of one part of its data, which another suite may not score.
        others = {
            task.name for task in suite.tasks if task.label not in self.scores and task.subset != "default"
        }
        return {task: scores for task, scores in self.scores.items() if task not in others}


def columns(results: Sequence[Result], files: Sequence[Path] = ()) -> list[Column]:
    """A column for each model and setting: models as they come, then large dimensions and long texts first.

    Of several results of a task under the same setting the newest counts.

    Args:
        results: of any models and settings.
        files: where each of them lies; empty where that does not matter.

    Raises:
        InputError: there are none, or a task was judged on several data.
    """
    if not results:
        raise InputError("no results: there is nothing to show. Make some with yuyi evaluate.")
    _check_data(results)
    groups: dict[str, dict[str, int]] = {}
    for place, result in enumerate(results):
        group = groups.setdefault(_key(result), {})
        other = group.get(result.label)
        if other is None or results[other].made <= result.made:
            group[result.label] = place
    models = list(dict.fromkeys(result.model.name for result in results))
    sorted_groups = sorted(
        groups.values(), key=lambda group: _rank(results[next(iter(group.values()))], models)
    )
    labels = _labels([results[next(iter(group.values()))] for group in sorted_groups])
    return [
        _column(
            label,
            {task: results[place] for task, place in group.items()},
            {task: files[place] for task, place in group.items()} if files else {},
        )
        for label, group in zip(labels, sorted_groups, strict=True)
    ]


def published_column(name: str) -> Column:
    """The published figures of a model that yuyi knows: those of its card's index, or the averages it prints.

    Args:
        name: any that `yuyi.known.find` takes.

    Raises:
        InputError: the model is not known, or nothing of it is published.
    """
    known, found = find(name), runs(name)
    if known is None or not (found or known.scores):
        names = ", ".join(model.name for model in all_models() if runs(model.name))
        raise InputError(
            f"{name}: no published figures are known. Scores by task: {names}; `yuyi models` lists those "
            "with averages."
        )
    source = "averages that its card or a board prints"
    if found:
        source = f"{found[0].source} ({found[0].setting})" if found[0].setting else found[0].source
    scores = dict(found[0].scores) if found else {}
    suite = _suite_of(scores) if scores else None
    if suite:
        scores |= {task.label: scores[task.name] for task in suite.tasks if task.name in scores}
    label = {_MODEL: known.name, "figures": "published"}
    return Column(label, known.name, scores, source=source, printed=known.scores, suite=suite)


def _suite_of(scores: Mapping[str, Mapping[str, float]]) -> Suite:
    """The suite of which most tasks are there."""
    return max(all_suites(), key=lambda suite: sum(task.name in scores for task in suite.tasks))


def _column(label: Mapping[str, str], results: Mapping[str, Result], files: Mapping[str, Path]) -> Column:
    model = next(iter(results.values())).model.name
    return Column(label, model, {task: _metrics(result) for task, result in results.items()}, results, files)


def _metrics(result: Result) -> dict[str, float]:
    """Every metric that all splits and subsets have, in percent."""
    parts = [metrics for subsets in result.scores.values() for metrics in subsets.values()]
    means = {name: 100 * value for name, value in mean_metrics(parts).items()}
    return {**means, result.metric: 100 * result.main_score}


def _check_data(results: Sequence[Result]) -> None:
    first: dict[str, Result] = {}
    for result in results:
        other = first.setdefault(result.label, result)
        if (other.data, other.type) != (result.data, result.type):
            was, now = other.data[:12], result.data[:12]
        elif other.judged_parts != result.judged_parts:
            was, now = _parts(other), _parts(result)
        else:
            continue
        raise InputError(
            f"{result.label}: {other.model.name} was judged on the data {was}, and {result.model.name} on "
            f"{now}. Evaluate both on the same, or leave out one."
        )


def _parts(result: Result) -> str:
    """Splits and subsets in words."""
    parts = result.judged_parts
    subsets = sorted({subset for each in parts.values() for subset in each})
    return " and ".join(parts) + ("" if subsets == ["default"] else f" ({', '.join(subsets)})")


def _key(result: Result) -> str:
    """What is the same for all results of a column."""
    return hash_json([result.model.name, result.model.fingerprint, _values(result.setting)])


def _values(setting: Setting) -> dict[str, Any]:
    """The setting by attribute, its prompts as pairs."""
    values = {each.name: getattr(setting, each.name) for each in fields(Setting)}
    return {**values, "prompts": sorted(setting.prompts.items())}


def _rank(result: Result, models: Sequence[str]) -> tuple[int, int, str, float, str]:
    setting = result.setting
    length = float("-inf") if setting.max_length is None else -setting.max_length
    return models.index(result.model.name), -setting.dim, setting.dtype, length, result.model.fingerprint


def _labels(results: Sequence[Result]) -> list[dict[str, str]]:
    """What sets each column apart: the model, then each setting that differs between columns of a model.

    Number type and longest text are part of a fingerprint, so it tells models of one name apart only where
    their settings do not.
    """
    models = {result.model.name for result in results}
    differing = [name for name in _WORDS if _differs(name, results)]
    settings = [(result.model.name, _values(result.setting)) for result in results]
    labels = []
    for result, setting in zip(results, settings, strict=True):
        twins = settings.count(setting) > 1
        label = {}
        if len(models) > 1 or not (differing or twins):
            label[_MODEL] = result.model.name
        if twins:
            label["fingerprint"] = result.model.fingerprint[:6]
        label |= {
            heading: word(setting[1][name]) for name, (heading, word) in _WORDS.items() if name in differing
        }
        labels.append(label)
    return labels


def _differs(name: str, results: Sequence[Result]) -> bool:
    """Whether columns of one and the same model differ in a setting."""
    seen: dict[str, Any] = {}
    return any(
        seen.setdefault(result.model.name, _values(result.setting)[name]) != _values(result.setting)[name]
        for result in results
    )


def _prompts(pairs: Sequence[tuple[str, str]]) -> str:
    said = [f"{role}: {text}" if role else text for role, text in pairs if text]
    return f"“{'; '.join(said)}”" if said else "no prompt"


# For each attribute of a setting its heading, and what stands below it.
_WORDS: Mapping[str, tuple[str, Callable[[Any], str]]] = {
    "dim": ("dimension", str),
    "dtype": ("number type", lambda value: value or "unknown"),
    "max_length": ("longest text", lambda value: "any" if value is None else f"{value:,}"),
    "overflow": ("overflow", str),
    "prompts": ("prompts", _prompts),
    "pooling": ("pooling", lambda value: value or "unknown"),
    "backend": ("engine", lambda value: value or "unknown"),
    "device": ("device", lambda value: value or "unknown"),
    "normalize": ("vectors", lambda value: "unit length" if value else "raw"),
}
