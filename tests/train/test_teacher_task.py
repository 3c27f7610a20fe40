"""Batches that follow a teacher, by its scores or by its vectors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from train.tiny import learner as tiny_learner
from yuyi.errors import RecipeError
from yuyi.train.config import Stage, Task
from yuyi.train.distributed import ALONE
from yuyi.train.losses import (
    alignment,
    margin_mse,
    relation,
    score_kl,
    squared_distance,
)
from yuyi.train.tasks import EmbeddingRunner

from .small_tasks import (
    KEPT,
    LEFT,
    NAN,
    OWN,
    OWNERS,
    RIGHT,
    TEACHER,
    loss_of,
    rows,
    runner_of,
    source,
    with_negatives,
)


def test_scores_of_a_teacher() -> None:
    made = with_negatives(LEFT, RIGHT, OWN, scores=True)
    order = [0, 1, 2, 3, 4 + 0, 4 + 1, 4 + 2, 4 + 3, 4 + 5]
    known = {"owners": torch.tensor(OWNERS), "scores": torch.from_numpy(made.scores[order])}
    columns = [rows(pieces) for pieces in (LEFT, RIGHT, KEPT)]
    task = Task(objective="distil", negatives=2, temperature=0.1, teacher_temperature=0.5)
    expected = score_kl(*columns, **known, temperature=0.1, teacher_temperature=0.5).item()
    assert loss_of(task, made) == pytest.approx(expected, rel=1e-4)
    task = Task(objective="distil", negatives=2, distil_by="margin", scale=7.0)
    expected = margin_mse(*columns, **known, scale=7.0).item()
    assert loss_of(task, made) == pytest.approx(expected, rel=1e-4)


def test_alignment_by_cosine_by_distance_and_by_relations() -> None:
    pieces, wanted = [0, 1, 2, 3], torch.from_numpy(TEACHER)
    made = source("teacher", [NAN] * 4, pieces, pieces)
    expected = alignment(rows(pieces), wanted).item()
    assert loss_of(Task(objective="align"), made, TEACHER) == pytest.approx(expected, rel=1e-5)
    expected = squared_distance(rows(pieces), wanted).item()
    assert loss_of(Task(objective="align", align_by="distance"), made, TEACHER) == pytest.approx(
        expected, rel=1e-5
    )
    expected = 0.75 * alignment(rows(pieces), wanted) + 0.25 * relation(rows(pieces), wanted, temperature=0.1)
    task = Task(objective="align", relation=0.25, temperature=0.1)
    assert loss_of(task, made, TEACHER) == pytest.approx(expected.item(), rel=1e-5)


def test_a_teacher_of_another_dimension() -> None:
    pieces = [0, 1, 2, 3]
    made, wide = source("teacher", [NAN] * 4, pieces, pieces), np.ones((4, 9), dtype=np.float32)
    with pytest.raises(RecipeError, match=r"teacher's vectors have 9 dimensions and the model's 6\. Set"):
        runner_of(Task(objective="align"), made, wide)
    with pytest.raises(RecipeError, match=r"align\.projection: a token table"):
        runner_of(Task(objective="align", projection=True), made, wide)
    with pytest.raises(RecipeError, match="no teacher"):
        runner_of(Task(objective="align"), made)
    with pytest.raises(RecipeError, match="source made has 4 texts, and the teacher 3 vectors"):
        runner_of(Task(objective="align"), made, TEACHER[:3])
    # Similarities know no dimension.
    expected = relation(rows(pieces), torch.from_numpy(wide), temperature=0.1).item()
    found = loss_of(Task(objective="align", relation=1.0, temperature=0.1), made, wide)
    assert found == pytest.approx(expected, rel=1e-4)


def test_a_projection_is_trained_beside_a_transformer() -> None:
    student = tiny_learner("bert-zh")
    dim = student.embedder.dim
    pieces = list(range(20, 60))
    made = source("teacher", [NAN] * 40, pieces, pieces)
    teacher = np.random.default_rng(5).normal(size=(40, 2 * dim)).astype(np.float32)
    task = Task(objective="align", align_by="distance", projection=True, batch=40)
    student.begin(Stage(name="s", steps=9, tasks=(task,)))
    runner = EmbeddingRunner(task, student, [made], {dim: 1.0, 8: 0.5}, 0.5, [0, 0, 3], teacher)
    names = student.weights().keys() - student.model().keys()
    assert names == {"align_3_projection.weight", "align_3_projection.bias"}
    assert student.weights()["align_3_projection.weight"].shape == (2 * dim, dim)
    losses = []
    for step in range(9):
        losses.append(runner.run([step]))
        student.step(0.01, ALONE)
    assert losses[-1] < 0.9 * losses[0]
    again = tiny_learner("bert-zh")
    again.begin(Stage(name="s", steps=9, tasks=(task,)))
    assert EmbeddingRunner(task, again, [made], {dim: 1.0, 8: 0.5}, 0.5, [0, 0, 3], teacher).run(
        [0]
    ) == pytest.approx(losses[0], rel=1e-12)
