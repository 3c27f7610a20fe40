"""mteb's own tasks, by suite, name, type or language, on the very data that a suite pins.

A suite's task counts as the suite has it: its splits, its part of the data (of STS22 the Chinese one), its
metric. A task named without a suite counts as mteb has it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from yuyi.artifacts import hash_json
from yuyi.errors import InputError
from yuyi.evaluate.offline import import_mteb, offline
from yuyi.evaluate.suites import all_suites, find_suite
from yuyi.evaluate.tasks.build import SEED
from yuyi.evaluate.tasks.choose import language_codes, near, speaks, task_types
from yuyi.evaluate.tasks.fetch import fetch_dataset, first_line, how_to_get
from yuyi.evaluate.tasks.kinds import KINDS
from yuyi.evaluate.tasks.task import EvalTask

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from yuyi.evaluate.suites import Task

# Names of parts with more letters are too long for a file's name.
_LONGEST_PART = 40


@dataclass(frozen=True, slots=True)
class _Named:
    """A task of mteb as it is to be scored.

    Attributes:
        task: mteb's, without data; its splits and subsets are those to score.
        metric: the score that counts.
        revision: commit of the data.
        part_of: the task of whose mean it is a part; empty for a task of its own.
        older_name: what older versions call it; empty where that is the same.
    """

    task: Any
    metric: str
    revision: str
    part_of: str = ""
    older_name: str = ""

    @property
    def names(self) -> set[str]:
        """All names that mean it."""
        return {self.task.metadata.name, self.part_of, self.older_name} - {""}


def named_tasks(
    names: Sequence[str] | None = None,
    *,
    suite: str | None = None,
    types: Sequence[str] | None = None,
    languages: Sequence[str] | None = None,
) -> list[EvalTask]:
    """Tasks of mteb; those of a suite in its order, else in the order of the names given, or mteb's.

    Nothing is read or downloaded before a task is opened. The parts of a task that is a mean of others are
    tasks of their own.

    Args:
        names: which to take, by mteb's names or older ones; None for all that the rest leaves.
        suite: take a suite's tasks, as the suite scores them.
        types: take these types only, as "STS" or "Retrieval".
        languages: take texts in these only: "zh", "en", or codes as mteb has them ("deu", "deu-Latn"); all of
            mteb's codes of Chinese are one.

    Raises:
        InputError: nothing is named, a name is not known (the message has near ones), or nothing is left.
        MissingExtra: mteb is not installed.
    """
    if not (names or suite or types or languages):
        raise InputError("No task is named. Name a suite, tasks, types or languages.")
    found_suite = find_suite(suite) if suite else None
    kinds, codes = task_types(types or ()), language_codes(languages or ())
    mteb = import_mteb()
    if found_suite:
        found = _chosen([_of_suite(mteb, task) for task in found_suite.tasks], names, found_suite.name)
    elif names:
        found = [one for name in names for one in _by_name(mteb, name)]
    else:
        found = _by_kind(mteb, kinds or list(KINDS), codes)
    wanted = [one for one in found if not kinds or one.task.metadata.type in kinds]
    if codes:
        for one in wanted:
            one.task.hf_subsets = _spoken(one.task, codes)
        wanted = [one for one in wanted if one.task.hf_subsets]
    if not wanted:
        asked = [*(names or ()), *([suite] if suite else []), *(types or ()), *(languages or ())]
        raise InputError(f"{', '.join(asked)}: no task is all of this. Leave one of them out.")
    return [_eval_task(one) for one in wanted]


def _chosen(found: list[_Named], names: Sequence[str] | None, suite: str) -> list[_Named]:
    known = set().union(*(one.names for one in found))
    wanted = {near(name, known, f"task of {suite}") for name in names or ()}
    return [one for one in found if not names or one.names & wanted]


def _of_suite(mteb: Any, task: Task) -> _Named:
    try:
        of_mteb = mteb.get_task(task.name, eval_splits=list(task.splits), hf_subsets=[task.subset])
    except (KeyError, ValueError) as error:
        raise InputError(
            f"{task.name}: mteb {mteb.__version__} has no such task with a part {task.subset}. "
            "Install the version of mteb that yuyi's suites are made with."
        ) from error
    return _Named(of_mteb, task.metric, task.revision, task.part_of, task.older_name)


def _by_name(mteb: Any, name: str) -> list[_Named]:
    newer = {task.older_name: task.name for suite in all_suites() for task in suite.tasks if task.older_name}
    try:
        task = mteb.get_task(newer.get(name, name))
    except KeyError:
        known = mteb.get_tasks(modalities=["text"], exclusive_modality_filter=True, exclude_superseded=False)
        task = mteb.get_task(near(name, [each.metadata.name for each in known], "task of mteb"))
    found = _as_mteb_scores(task)
    for one in found:
        kind = one.task.metadata.type
        if kind not in KINDS:
            raise InputError(
                f"{name}: mteb's type {kind} is none of {', '.join(KINDS)}. Choose another task."
            )
    return found


def _as_mteb_scores(task: Any) -> list[_Named]:
    """A task with its own metric and commit; its parts where it is a mean of others."""
    parts = getattr(task.metadata, "tasks", None)
    if parts:
        found = [one for part in parts for one in _as_mteb_scores(part)]
        return [replace(one, part_of=task.metadata.name) for one in found]
    return [_Named(task, task.metadata.main_score, task.metadata.dataset["revision"])]


def _by_kind(mteb: Any, kinds: Sequence[str], codes: Sequence[str]) -> list[_Named]:
    try:
        found = mteb.get_tasks(
            task_types=kinds,
            languages=[code.split("-")[0] for code in codes] or None,
            modalities=["text"],
            exclusive_modality_filter=True,
        )
    except ValueError as error:
        raise InputError(
            f"{', '.join(codes)}: one of these is no language of mteb. Write zh, en, or a code such as deu."
        ) from error
    return [one for task in found for one in _as_mteb_scores(task)]


def _spoken(task: Any, codes: Sequence[str]) -> list[str]:
    """The subsets of a task with texts in one of the languages."""
    return [subset for subset, names in _languages(task).items() if speaks(names, codes)]


def _languages(task: Any) -> dict[str, tuple[str, ...]]:
    of_subsets = task.metadata.hf_subsets_to_langscripts
    return {subset: tuple(of_subsets[subset]) for subset in task.hf_subsets}


def _eval_task(named: _Named) -> EvalTask:
    metadata = named.task.metadata
    made_of = [named.older_name, metadata.dataset["path"], *(metadata.adapted_from or ())]
    return EvalTask(
        name=metadata.name,
        type=metadata.type,
        metric=named.metric,
        data=named.revision,
        splits=tuple(named.task.eval_splits),
        languages=_languages(named.task),
        rows=_rows(named.task),
        sources=tuple(dict.fromkeys(filter(None, made_of))),
        open=partial(_open, named),
        part=_part(named.task),
    )


def _part(task: Any) -> str:
    """The subsets to score where they are not all that the task has; many of them as a digest."""
    if set(task.hf_subsets) == set(task.metadata.hf_subsets):
        return ""
    names = sorted(task.hf_subsets)
    told = "+".join(names)
    return told if len(told) <= _LONGEST_PART else f"{len(names)} subsets {hash_json(names)[:6]}"


def _rows(task: Any) -> int:
    """How many examples mteb counted in what is scored; 0 where it has not counted them."""
    stats = task.metadata.descriptive_stats or {}
    total = 0
    for split in task.eval_splits:
        of_split = stats.get(split, {})
        of_subsets = of_split.get("hf_subset_descriptive_stats") or dict.fromkeys(task.hf_subsets, of_split)
        for subset in task.hf_subsets:
            counted = of_subsets.get(subset, {})
            total += counted.get("num_queries") or counted.get("num_samples") or 0
    return total


def _open(named: _Named) -> Any:
    """A new task of mteb with its data in it.

    Raises:
        InputError: the data are neither here nor to be had, or not whole.
    """
    repository = named.task.metadata.dataset["path"]
    folder = fetch_dataset(repository, named.revision)
    # Whatever readers of files, or mteb's reordering of them, may raise: the data are not as they should be.
    try:
        return _loaded(named.task, folder)
    except Exception as error:
        try:
            return _loaded(named.task, fetch_dataset(repository, named.revision, whole=True))
        except Exception as again:
            raise InputError(
                f"{folder}: not a whole copy of {repository} ({first_line(error)}). "
                f"{how_to_get(repository, named.revision)}"
            ) from again


def _loaded(of_mteb: Any, folder: Path) -> Any:
    task = type(of_mteb)(seed=SEED)
    task.hf_subsets = of_mteb.hf_subsets
    task.filter_eval_splits(of_mteb.eval_splits)
    dataset = {**task.metadata.dataset, "path": str(folder)}
    task.metadata = task.metadata.model_copy(update={"dataset": dataset})
    with offline():
        task.load_data()
    return task
