"""Which kind of rows gets which objective, and whether their labels make sense.

The data say what the two texts of a row are to each other (`Source.kind`); this decides the kind of task, and
the kind of task decides loss, weight, temperature and prompt. Weights and temperatures are those of piccolo2
(Huang et al. 2024, arXiv 2405.06932, and its published code): one temperature of 0.05 for all, retrieval x 1,
CoSENT x 0.04, classification and clustering x 0.2 against texts of other labels, one hard negative. InfoNCE
has the four directions of GTE (Li et al. 2023, arXiv 2308.03281, whose own temperature is 0.01) and leaves
out what is more similar than the answer by 0.1 (Qwen3 Embedding, Zhang et al. 2025, arXiv 2506.05176). Batch
sizes are our own.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from yuyi.errors import InputError, RecipeError
from yuyi.text.prompts import DOCUMENT, QUERY
from yuyi.train.config import Task
from yuyi.train.reading.sources import EMPTY_KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from yuyi.train.config import Course, Stage, TaskKind
    from yuyi.train.reading.sources import Source

    Rows = Callable[[Source], int]

KINDS: dict[str, TaskKind] = {
    **dict.fromkeys(
        (
            "qa",
            "question_answer",
            "relevance",
            "title_lead",
            "title_best",
            "title_body",
            "path_section",
            "anchor_target",
            "term_definition",
            "idiom_definition",
            "table_row",
            "first_rest",
            "neighbours",
            "post_comment",
            "summary_content",
            "keywords_abstract",
            "keywords_body",
            "retrieval",
        ),
        "retrieval",
    ),
    "parallel": "parallel",
    "duplicate_questions": "parallel",
    "paraphrase": "pair",
    "pair": "pair",
    "nli": "nli",
    "sts": "sts",
    "classification": "classification",
    "clustering": "clustering",
    "distillation": "distillation",
    "teacher": "alignment",
}
"""The task of each kind of rows that `yuyi data` makes, or that ready pairs have."""

_INFO_NCE = Task(objective="contrast", batch=512, temperature=0.05, form="improved", margin=0.1)
_COSENT = Task(objective="judged", batch=256, weight=0.04, scale=20.0, pairing=0.0)
_LABELS = Task(objective="labels", batch=256, weight=0.2, temperature=0.05, labels_by="negatives")

DEFAULTS: dict[TaskKind, Task] = {
    "retrieval": _INFO_NCE,
    "parallel": _INFO_NCE,
    "nli": _INFO_NCE,
    "pair": _COSENT,
    "sts": _COSENT,
    "classification": _LABELS,
    "clustering": _LABELS,
    "distillation": Task(objective="distil", batch=256, temperature=0.05, negatives=8),
    "alignment": Task(objective="align", batch=512),
}
"""What rows of each kind of task get where a stage does not say.

A question asks for its answer (`retrieval`), a text for its translation or twin (`parallel`), a premise for
what follows from it and not for what it rules out (`nli`); judged pairs are ranked (`pair`, `sts`); a text
goes with those of its label (`classification`, `clustering`); a teacher is followed (`distillation` by
scores, `alignment` by vectors).
"""

# What a label may be, and what it means, for kinds where only certain ones make sense.
_MEANINGS: dict[str, dict[float, str]] = {
    "nli": {0: "contradiction", 1: "neutral", 2: "entailment"},
    "paraphrase": {0: "different", 1: "same"},
    "qa": {0: "no answer", 1: "answer"},
}
_CLASSES = ("classification", "clustering")
_WHOLE = ("relevance", *_CLASSES)
_NEED_LABELS = ("nli", "sts", *_CLASSES)
# Kinds of retrieval that may have labels; the rows of the others are all positive pairs.
_MAY_HAVE = ("qa", "question_answer", "relevance", "retrieval")


def task_kind(source: Source) -> TaskKind:
    """The kind of task for the rows of a source; rows of a kind that nobody knows go by their labels."""
    if len(source.scores):
        return "distillation"
    kind = KINDS.get(source.kind, "pair" if is_labelled(source) else "retrieval")
    return "parallel" if kind == "pair" and not is_labelled(source) else kind


def is_labelled(source: Source) -> bool:
    """Whether the rows of a source have labels; `check` sees to it that all have or none."""
    return len(source) > 0 and not np.isnan(source.labels[0])


def fits(task: Task, source: Source) -> bool:
    """Whether `task` draws from `source`.

    Judged rows are `contrast` rows only where the task names their kind, since without that they would go to
    two tasks; the best of them are then pairs (`yuyi.train.drawing.contrast_task.grouped`).
    """
    if task.kinds and source.kind not in task.kinds:
        return False
    if task.sources and source.name not in task.sources:
        return False
    kind, labelled = task_kind(source), is_labelled(source)
    in_classes = kind in _CLASSES
    if task.objective == "contrast":
        if kind == "alignment" or in_classes or source.kind == "sts":
            return False
        return not labelled or bool(task.kinds)
    if task.objective == "judged":
        return labelled and not in_classes
    if task.objective == "labels":
        return labelled and in_classes
    if task.objective == "distil":
        return kind == "distillation"
    return kind == "alignment"


def check(source: Source) -> None:
    """Return when the rows of a source are what its kind has.

    Raises:
        InputError: a row lacks its second text, some rows have labels and others none, a label is unknown,
            there are labels where none are expected or none where some are, or no row is a positive one.
    """
    name, labels = f"source {source.name} ({source.kind})", source.labels
    absent = np.isnan(labels)
    if absent.any() and not absent.all():
        raise InputError(
            f"{name}: {int(absent.sum()):,} of {len(labels):,} rows have no label, and the others have one. "
            "Label all rows, or give the two a kind of their own."
        )
    single = KINDS.get(source.kind) in (*_CLASSES, "alignment")
    empty = np.flatnonzero(source.documents.keys == EMPTY_KEY)
    if len(empty) and not single:
        raise InputError(
            f"{name}: {len(empty):,} of {len(labels):,} rows have no text_b, the first is "
            f"{source.where(int(empty[0]))}. Drop them, or name a kind of single texts."
        )
    labelled = is_labelled(source)
    if source.kind in _NEED_LABELS and not labelled and len(labels):
        raise InputError(
            f"{name}: rows of this kind need labels, and have none. Add a column label, or name another kind."
        )
    if not labelled:
        return
    if _expects_none(source.kind):
        raise InputError(
            f"{name}: label {labels[0]:g} in row 0, where every row is a positive pair. Drop the labels, or "
            "name a kind that has some, such as paraphrase."
        )
    wrong = _unknown(source.kind, labels)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InputError(
            f"{source.where(row)} ({source.kind}): label {labels[row]:g} is unknown; there are "
            f"{_known(source.kind)}. Mend or drop the row."
        )
    if source.kind not in _CLASSES and not labels.max() > 0:
        raise InputError(f"{name}: every label is 0, so no row is a positive one. Leave the source out.")


def _unknown(kind: str, labels: NDArray[np.float32]) -> NDArray[np.bool_]:
    """(rows,) which labels mean nothing for a kind of rows."""
    wrong = ~np.isfinite(labels)
    if kind in _MEANINGS:
        wrong |= ~np.isin(labels, list(_MEANINGS[kind]))
    elif kind in _WHOLE:
        wrong |= labels != np.floor(labels)
    if kind not in _CLASSES:
        wrong |= labels < 0
    return wrong


def _known(kind: str) -> str:
    """The labels of a kind of rows, in words."""
    if kind in _MEANINGS:
        return ", ".join(f"{value:g} ({meaning})" for value, meaning in _MEANINGS[kind].items())
    return "whole numbers" if kind in _WHOLE else "numbers from 0 up"


def _expects_none(kind: str) -> bool:
    """Whether every row of a kind is a positive pair, or a text by itself."""
    return KINDS.get(kind) in ("retrieval", "parallel", "alignment") and kind not in _MAY_HAVE


def routed(
    course: Course, sources: Sequence[Source], prompts: Mapping[str, str] | None = None, rows: Rows = len
) -> Course:
    """The course with tasks made from the data for every stage that names none.

    Args:
        course: stages.
        sources: what there is to draw from.
        prompts: the model's, by name; rows of retrieval get those of queries and of documents, other rows
            that of their kind of task where the model has one.
        rows: how many a source has in truth, where `sources` are samples.

    Raises:
        RecipeError: a stage has tasks and routes, or there is nothing to draw from.
    """
    return replace(
        course,
        stages=tuple(
            _routed_stage(stage, sources, prompts or {}, course.exponent, rows) for stage in course.stages
        ),
    )


def made_tasks(
    sources: Sequence[Source],
    routes: Mapping[TaskKind, Task | None],
    prompts: Mapping[str, str],
    exponent: float,
    rows: Rows = len,
) -> tuple[Task, ...]:
    """A task for each kind of task that the sources have rows for, in order of `DEFAULTS`.

    Each is drawn as often as its sources together, a source of n rows counting n ** exponent.

    Args:
        sources: what there is to draw from.
        routes: tasks in place of `DEFAULTS`; None leaves a kind out.
        prompts: the model's, by name.
        exponent: of the sampling.
        rows: as `routed` takes it.
    """
    tasks = []
    for kind, default in DEFAULTS.items():
        own = [source for source in sources if task_kind(source) == kind]
        chosen = routes[kind] if kind in routes else _prompted(default, kind, prompts)
        if not own or chosen is None:
            continue
        tasks.append(
            replace(
                chosen,
                share=chosen.share * sum(rows(source) ** exponent for source in own),
                kinds=tuple(sorted({source.kind for source in own})),
                sources=tuple(sorted({source.name for source in own})),
            )
        )
    return tuple(tasks)


def _routed_stage(
    stage: Stage, sources: Sequence[Source], prompts: Mapping[str, str], exponent: float, rows: Rows
) -> Stage:
    if stage.tasks:
        if stage.routes:
            raise RecipeError(
                f"stage {stage.name}: has tasks and routes; routes are for a stage without tasks. Drop one."
            )
        return stage
    tasks = made_tasks(sources, stage.routes, prompts, exponent, rows)
    if not tasks:
        raise RecipeError(
            f"stage {stage.name}: names no tasks, and there are no rows to make some from. Add data or tasks."
        )
    return replace(stage, tasks=tasks, routes={})


def _prompted(task: Task, kind: TaskKind, prompts: Mapping[str, str]) -> Task:
    """The task with the prompts that the model has for its kind."""
    if kind == "retrieval":
        query, document = (
            next((name for name in names if name in prompts), "") for names in (QUERY, DOCUMENT)
        )
        return replace(task, query_prompt=query, document_prompt=document)
    own = kind if kind in prompts else ""
    return replace(task, query_prompt=own, document_prompt=own)
