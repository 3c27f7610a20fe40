"""The rows of a source as a task draws from them, and whether the task can learn anything from them."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from yuyi.errors import RecipeError, YuyiWarning
from yuyi.train.drawing.contrast_task import grouped
from yuyi.train.reading.sources import EMPTY_KEY
from yuyi.train.routes import fits, is_labelled

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from yuyi.train.batches import Sampler
    from yuyi.train.config import Task
    from yuyi.train.reading.sources import Source


# Characters of a text in a message.
_LONGEST_SHOWN = 40


class NothingToLearn(RecipeError):
    """The rows of a source are such that a task learns nothing from them, whatever its settings.

    Attributes:
        cause: the message without its remedy.
    """

    def __init__(self, cause: str, remedy: str = "Leave it out.") -> None:
        super().__init__(f"{cause} {remedy}")
        self.cause = cause


def prepare(task: Task, sources: Sequence[Source]) -> list[Source]:
    """The sources that fit a task, as it draws from them.

    Those whose rows teach nothing, as a few with one question, are left out and warned of.

    Raises:
        RecipeError: no source fits, the rows of all teach nothing, or a setting keeps them from teaching.
    """
    fitting = [source for source in sources if fits(task, source)]
    if not fitting:
        raise RecipeError(
            f"task {task.objective} {task.kinds}: no source has pairs for it. Drop it or add data."
        )
    return _able(task, fitting, lambda number, source: _prepared(task, source))


def keep_batches(task: Task, sources: Sequence[Source], sampler: Sampler) -> list[Source]:
    """The sources whose batches have rows to tell apart; the others are left out and warned of.

    Where the rows of a source share so many texts that its batches shrink, there is a warning, too.

    Raises:
        RecipeError: each batch of each source is one row.
    """

    def checked(number: int, source: Source) -> Source:
        _check_batch(task, source, sampler.largest(number))
        return source

    return _able(task, sources, checked)


def _able(task: Task, sources: Sequence[Source], prepared: Callable[[int, Source], Source]) -> list[Source]:
    """What `prepared` makes of each source and its place, without those that teach nothing."""
    able: list[Source] = []
    unable: list[NothingToLearn] = []
    for number, source in enumerate(sources):
        try:
            able.append(prepared(number, source))
        except NothingToLearn as nothing:
            unable.append(nothing)
    if not able:
        raise unable[0]
    for each in unable:
        warnings.warn(f"{each.cause} {task.objective} leaves it out.", YuyiWarning, stacklevel=4)
    return able


def _prepared(task: Task, source: Source) -> Source:
    """The source as the task draws from it, after checking that it has what the task needs.

    Raises:
        NothingToLearn: its rows have not.
        RecipeError: the settings of the task make nothing of them.
    """
    name = f"source {source.name} ({source.kind})"
    if task.objective == "contrast":
        if is_labelled(source):
            source = grouped(source)
        _check_contrast(task, source, name)
    elif task.objective == "labels":
        counts = np.unique(source.labels, return_counts=True)[1]
        if len(counts) < 2:
            raise NothingToLearn(
                f"{name}: all {len(source)} texts have one label, and nothing can be told apart."
            )
        if counts.max() < 2 and task.labels_by == "contrast":
            raise NothingToLearn(
                f"{name}: each of the {len(source)} texts has a label of its own, and none a partner."
            )
    elif task.objective == "judged":
        _check_judged(task, source, name)
    elif task.objective == "distil":
        _check_candidates(task, source, name)
    return source


def _check_contrast(task: Task, source: Source, name: str) -> None:
    """Refuse pairs of which no document is told from another.

    Raises:
        NothingToLearn: they are such.
        RecipeError: the batch is one row.
    """
    if task.negatives and len(source.negatives):
        return
    if len(source) < 2:
        raise NothingToLearn(
            f"{name}: has {len(source)} pairs, so there is nothing to tell a document from.",
            "Add pairs or leave it out.",
        )
    if task.batch < 2:
        raise RecipeError(
            f"{name}: rows have no hard negatives, and the batch is {task.batch}, so there is nothing to "
            "tell a document from. Raise batch to 2."
        )
    for side, column in (("text_a", source.queries), ("text_b", source.documents)):
        if (column.keys == column.keys[0]).all():
            raise NothingToLearn(
                f"{name}: all {len(source)} rows have one {side}, and nothing can be told apart."
            )


def _check_candidates(task: Task, source: Source, name: str) -> None:
    """Refuse rows whose document has no rivals.

    Raises:
        NothingToLearn: they are such.
        RecipeError: the task leaves the rivals out.
    """
    told = f"{name}: distil compares a row's candidates, and"
    if not task.negatives:
        raise RecipeError(f"{told} negatives is 0. Raise it.")
    if not len(source.negatives):
        raise NothingToLearn(f"{told} rows have their documents alone.", "Give rows negatives with scores.")


def _check_judged(task: Task, source: Source, name: str) -> None:
    """Refuse judged pairs that are neither ranked nor paired.

    Raises:
        NothingToLearn: all have one label.
        RecipeError: the task does not rank.
    """
    best = source.labels == source.labels.max()
    paired = task.pairing and source.kind != "sts" and best.sum() > 1
    if paired or (task.ranking and not best.all()):
        return
    if best.all():
        label = f"{source.labels[0]:g}"
        raise NothingToLearn(
            f"{name}: all {len(source)} pairs have the label {label}, and nothing can be ranked.",
            "Leave it out, or drop the labels and choose the objective contrast.",
        )
    raise RecipeError(f"{name}: ranking is 0, and these pairs are ranked alone. Raise ranking.")


def _check_batch(task: Task, source: Source, largest: int) -> None:
    """Warn where the rows of a source share so many texts that its batches shrink.

    Raises:
        NothingToLearn: each batch is one row, with nothing to tell its document from.
    """
    wanted = min(task.batch, len(source))
    if len(source) < 2 or largest >= max(2, wanted // 2):
        return
    text, count = _most_repeated(source)
    told = (
        f"source {source.name} ({source.kind}): batches have {largest} of {wanted} rows, as rows that share "
        f"a text are never in one batch, and {text} is in {count:,} of {len(source):,} rows."
    )
    if largest < 2 and task.batch > 1 and not (task.negatives and len(source.negatives)):
        raise NothingToLearn(f"{told} Nothing can be told apart.")
    warnings.warn(f"{told} Drop the repeated rows, or make such texts labels.", YuyiWarning, stacklevel=6)


def _most_repeated(source: Source) -> tuple[str, int]:
    """The text that stands in the most rows, and in how many; its place where it cannot be shown."""
    sides = [source.queries.keys, source.documents.keys]
    sides[1] = np.where(sides[1] == sides[0], EMPTY_KEY, sides[1])
    keys, firsts, counts = np.unique(np.concatenate(sides), return_index=True, return_counts=True)
    place = int(np.where(keys == EMPTY_KEY, 0, counts).argmax())
    side, row = divmod(int(firsts[place]), len(source))
    shown = source.show_if_there(np.array([row]))
    name = ("text_a", "text_b")[side]
    if not shown:
        return f"{name} of {source.where(row)}", int(counts[place])
    text = str(shown[0][name])
    return repr(text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."), int(counts[place])
