"""What rows and settings must have for a task to learn from them."""

from __future__ import annotations

import numpy as np
import pytest

from train.tiny import learner as tiny_learner
from yuyi.errors import InputError, RecipeError, YuyiWarning
from yuyi.train.checks import check_data
from yuyi.train.config import Task
from yuyi.train.reading.sources import EMPTY_KEY, Column, Source
from yuyi.train.tasks import EmbeddingRunner
from yuyi.types import TokenBatch

from .small_tasks import (
    DIMS,
    LEFT,
    NAN,
    OWN,
    RIGHT,
    column,
    contrast,
    runner_of,
    source,
    with_negatives,
)


@pytest.mark.parametrize(
    ("task", "made", "message"),
    [
        (
            Task(objective="judged", kinds=("sts",)),
            source("qa", [NAN], [0], [1]),
            r"task judged \('sts',\): no",
        ),
        (contrast(), source("qa", [NAN], [0], [1]), r"source made \(qa\): has 1 pairs, so there is nothing"),
        (
            Task(objective="labels"),
            source("classification", [3.0, 3.0], [0, 1], [0, 1]),
            r"source made \(classification\): all 2 texts have one label",
        ),
        (
            Task(objective="labels"),
            source("classification", [0.0, 1.0, 2.0], [0, 1, 2], [0, 1, 2]),
            r"source made \(classification\): each of the 3 texts has a label of its own",
        ),
        (
            contrast(batch=1),
            source("qa", [NAN] * 3, [0, 1, 2], [3, 4, 5]),
            r"source made \(qa\): rows have no hard negatives, and the batch is 1",
        ),
        (
            contrast(negatives=0),
            source("qa", [NAN] * 3, [0, 1, 2], [5, 5, 5]),
            r"source made \(qa\): all 3 rows have one text_b",
        ),
        (
            contrast(negatives=0),
            source("qa", [NAN] * 3, [0, 0, 1], [1, 2, 2]),
            r"batches have 1 of 3 rows, .* and text_[ab] of source made: row \d is in 2 of 3 rows\. Nothing",
        ),
        (
            Task(objective="judged"),
            source("sts", [2.0] * 3, [0, 1, 2], [3, 4, 5]),
            r"source made \(sts\): all 3 pairs have the label 2, and nothing can be ranked",
        ),
        (
            Task(objective="judged", pairing=0.0),
            source("qa", [1.0] * 3, [0, 1, 2], [3, 4, 5]),
            r"source made \(qa\): all 3 pairs have the label 1, and nothing can be ranked",
        ),
        (
            Task(objective="judged", ranking=0.0),
            source("sts", [0.0, 1.0, 1.0], [0, 1, 2], [3, 4, 5]),
            r"ranking is 0, and these pairs are ranked alone",
        ),
        (
            Task(objective="distil", negatives=0),
            with_negatives(LEFT, RIGHT, OWN, scores=True),
            "distil compares a row's candidates",
        ),
        (
            contrast(keep=1.0),
            source("qa", [NAN] * 2, [0, 1], [2, 3]),
            r"keep is 1\.0, and there is no previous",
        ),
    ],
)
def test_what_cannot_be_learned_from_is_refused(task: Task, made: Source, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        runner_of(task, made)


@pytest.mark.parametrize("task", [Task(objective="judged", pairing=0.0), Task(objective="judged")])
def test_a_source_that_teaches_nothing_is_named_before_anything_is_trained(task: Task) -> None:
    made = source("sts", [3.0] * 4, [0, 1, 2, 3], [4, 5, 6, 7])
    with pytest.raises(RecipeError, match=r"^stages\.1\.tasks\.0: source made \(sts\): all 4 pairs have"):
        check_data("stages.1.tasks.0", task, [made])


def test_a_setting_that_keeps_a_source_from_teaching_is_refused_beside_others() -> None:
    able, ranked = (
        source("qa", [0.0, 1.0, 1.0], [0, 1, 2], [3, 4, 5]),
        source("sts", [0.0, 1.0], [6, 7], [8, 9]),
    )
    with pytest.raises(RecipeError, match="ranking is 0, and these pairs are ranked alone"):
        check_data("stages.0.tasks.0", Task(objective="judged", ranking=0.0), [able, ranked])
    equal = source("sts", [3.0] * 2, [6, 7], [8, 9])
    assert check_data("stages.0.tasks.0", Task(objective="judged"), [able, equal]) == [able]


def test_batches_that_shrink_are_told_with_the_text_that_makes_them() -> None:
    """Sixty questions have three answers, so no batch has more than three rows."""
    answers = np.resize([0, 1, 2], 60)
    queries = Column(column([3] * 60).tokens, np.arange(100, 160))
    made = Source.of("faq", "qa", queries, column(answers.tolist()))
    with pytest.warns(
        YuyiWarning,
        match=r"source faq \(qa\): batches have 3 of 32 rows, .* text_b of source faq: row 0 is in 20 of 60",
    ):
        runner = runner_of(contrast(batch=32), made)
    assert len(runner.sampler.draw()[1]) == 3
    # A small source is no fault of its texts.
    runner_of(contrast(batch=2_048), source("qa", [NAN] * 3, [0, 1, 2], [3, 4, 5]))


def test_prompts_that_are_not_pooled_are_refused() -> None:
    student = tiny_learner("bert-zh")
    student.embedder.pooler.include_prompt = False
    made = source("qa", [NAN] * 2, [0, 1], [2, 3])
    EmbeddingRunner(contrast(), student, [made], DIMS, 0.5, [0])
    with pytest.raises(RecipeError, match="has the prompt 'query', and the model leaves prompts out"):
        EmbeddingRunner(contrast(query_prompt="query"), student, [made], DIMS, 0.5, [0])


def test_rows_without_a_second_text_are_refused() -> None:
    empty = Column(
        TokenBatch(np.zeros(0, dtype=np.int32), np.zeros(3, dtype=np.int64)), np.array([EMPTY_KEY] * 2)
    )
    made = Source.of("half", "qa", column([0, 1]), empty)
    with pytest.raises(InputError, match=r"source half \(qa\): 2 of 2 rows have no text_b"):
        runner_of(contrast(), made)
