from __future__ import annotations

import copy
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from train.small_tasks import DIMS, NAN, PARTS, VECTORS, rows
from train.small_tasks import source as one_piece
from train.tiny import learner as tiny_learner
from train.tiny import texts
from yuyi.errors import RecipeError
from yuyi.train.config import Continual, Course, Stage, Task
from yuyi.train.loop import Trainer
from yuyi.train.losses import alignment
from yuyi.train.reading.sources import Column, Source
from yuyi.train.table import Parts, TokenTable
from yuyi.train.tasks import EmbeddingRunner
from yuyi.train.teaching.continual import Previous, replayed, with_replay
from yuyi.types import TokenBatch

PIECES, TOPICS, DIM, ROWS = 96, 16, 12, 512
SETTINGS = Continual(
    previous="",
    replay=0.4,
    align=1.0,
    merge=0.3,
    routes={"retrieval": Task(objective="contrast", batch=64)},
)


def topics(seed: int) -> np.ndarray:
    """(topics, pieces of each): the pieces parted into topics, in another way for each seed."""
    return np.random.default_rng(seed).permutation(PIECES).reshape(TOPICS, -1)


def pairs(name: str, parting: np.ndarray, seed: int) -> Source:
    """Queries and documents of three different pieces of one topic; the topic is the row's number in turn."""
    generator = np.random.default_rng(seed)
    drawn = np.stack([generator.permutation(parting[row % TOPICS]) for row in range(ROWS)])
    sides = [
        Column(
            TokenBatch(side.astype(np.int32).ravel(), np.arange(0, 3 * ROWS + 1, 3)),
            generator.integers(0, 1 << 60, ROWS),
        )
        for side in (drawn[:, :3], drawn[:, 3:])
    ]
    return Source.of(name, "qa", sides[0], sides[1])


def points(table: TokenTable, probe: Source) -> float:
    """Percent of queries whose most similar document, of one a topic, is of their topic."""
    with torch.no_grad():
        queries, documents = (
            torch.nn.functional.normalize(table.embed(column.tokens), dim=1)
            for column in (probe.queries, probe.documents)
        )
    found = (queries @ documents[:TOPICS].T).argmax(dim=1)
    return 100 * float((found == torch.arange(ROWS) % TOPICS).double().mean())


OLD, NEW = topics(0), topics(1)
KNOWN, UNKNOWN = pairs("docs", OLD, 2), pairs("poems", NEW, 3)
PROBES = pairs("docs probe", OLD, 4), pairs("poems probe", NEW, 5)
STAGE = Stage(name="new", steps=60, learning_rate=0.2, tasks=(Task(objective="contrast", batch=64),))
PLAIN = Course(dims={DIM: 1.0}, threads=1, stages=(STAGE,))


def learn(table: TokenTable, course: Course, sources: list[Source], previous: Previous | None = None) -> None:
    def open_task(task: Task, seed: object) -> EmbeddingRunner:
        return EmbeddingRunner(task, table, sources, course.dims, 0.5, seed, previous=previous)  # type: ignore[arg-type]

    Trainer(course, table, open_task).run()


@cache
def before() -> TokenTable:
    """A model that knows the old pairs."""
    start = np.random.default_rng(6).normal(size=(PIECES, DIM)).astype(np.float32)
    table = TokenTable(Parts.of([f"p{number}" for number in range(PIECES)]), start)
    learn(table, PLAIN, [KNOWN])
    return table


def after(settings: Continual | None) -> tuple[float, float]:
    """Points on the old and on the new probe after learning the new pairs."""
    table = copy.deepcopy(before())
    previous = Previous(table)
    if settings is None:
        learn(table, PLAIN, [UNKNOWN])
    else:
        old = replayed([KNOWN]) if settings.replay else []
        learn(table, with_replay(PLAIN, settings, [UNKNOWN], old), [UNKNOWN, *old], previous)
        previous.merge_into(table, settings.merge)
    return points(table, PROBES[0]), points(table, PROBES[1])


def test_continual_learning_forgets_little_where_plain_fine_tuning_forgets_much() -> None:
    old, new = (points(before(), probe) for probe in PROBES)
    plain_old, plain_new = after(None)
    kept_old, kept_new = after(SETTINGS)
    assert old - plain_old > 10
    assert old - kept_old <= 0.5
    assert kept_new > new + 0.9 * (plain_new - new)


def test_keeping_alone_and_merging_alone_hold_something() -> None:
    plain, _ = after(None)
    table = copy.deepcopy(before())
    previous = Previous(table)
    kept = replace(STAGE, tasks=(replace(STAGE.tasks[0], keep=5.0),))
    learn(table, replace(PLAIN, stages=(kept,)), [UNKNOWN], previous)
    assert points(table, PROBES[0]) > plain + 4
    assert after(replace(SETTINGS, replay=0.0, merge=0.5))[0] > plain + 4


def test_the_previous_model_stays_as_it_was() -> None:
    table = copy.deepcopy(before())
    previous = Previous(table)
    columns = [PROBES[0].queries.tokens, PROBES[1].documents.tokens]
    first = previous(columns)
    assert first.shape == (2 * ROWS, DIM)
    assert not first.requires_grad
    learn(table, PLAIN, [UNKNOWN])
    assert previous(columns).equal(first)
    with torch.no_grad():
        assert torch.cat([table.embed(column) for column in columns]).sub(first).norm() > 1


def test_a_transformer_is_asked_as_it_was_without_dropout() -> None:
    student = tiny_learner("bert-zh", token_budget=40)
    for layer in student.embedder.modules():
        if isinstance(layer, torch.nn.Dropout):
            layer.p = 0.5
    previous = Previous(student)
    columns = [texts([3, 9, 1, 20]), texts([5, 2], seed=1)]
    first = previous(columns)
    assert torch.equal(previous(columns), first)
    with student.resting():
        expected = torch.cat([student.embed(column) for column in columns])
    torch.testing.assert_close(first, expected, rtol=1e-9, atol=1e-9)
    with torch.no_grad():
        for tensor in student.model().values():
            tensor += 0.1
    assert torch.equal(previous(columns), first)
    previous.merge_into(student, 0.25)
    for name, tensor in student.model().items():
        torch.testing.assert_close(tensor, previous._model.model()[name] + 0.075)


def test_what_keeping_adds_to_a_loss() -> None:
    made = one_piece("qa", [NAN] * 4, [0, 1, 2, 3], [4, 5, 6, 7])
    table = TokenTable(PARTS, VECTORS)
    previous = Previous(TokenTable(PARTS, VECTORS[::-1].copy()))
    losses = []
    for keep in (0.0, 0.5):
        task = Task(objective="contrast", keep=keep, weight=2.0)
        losses.append(EmbeddingRunner(task, table, [made], DIMS, 0.5, [0], previous=previous).run([0]))
    then = torch.from_numpy(VECTORS[::-1].copy())[:8]
    added = alignment(rows(range(8)), then).item()
    assert losses[1] - losses[0] == pytest.approx(2.0 * 0.5 * added, rel=1e-4)


def test_shares_of_old_and_new() -> None:
    old = replayed(
        [one_piece("qa", [NAN] * 9, [0] * 9, [1] * 9), one_piece("sts", [0.0, 5.0], [0, 1], [2, 3])]
    )
    assert {source.name for source in old} == {"replayed: made"}
    stage = replace(STAGE, tasks=(*STAGE.tasks, Task(objective="align", share=2.0)))
    settings = Continual(previous="", replay=0.25, align=0.5)
    course = with_replay(replace(PLAIN, stages=(stage,)), settings, [UNKNOWN], old)
    (found,) = course.stages
    assert [task.sources for task in found.tasks] == [
        ("poems",),
        (),
        ("replayed: made",),
        ("replayed: made",),
    ]
    assert [task.keep * task.weight for task in found.tasks] == [0.0, 0.0, 0.5, 0.5]
    again = found.tasks[2:]
    assert {task.kinds for task in again} == {("qa",), ("sts",)}
    shares = [task.share for task in found.tasks]
    assert sum(shares[2:]) / sum(shares) == pytest.approx(0.25)
    assert shares[2] / shares[3] == pytest.approx(3 / 2**0.5)
    without = with_replay(PLAIN, replace(settings, replay=0.0), [UNKNOWN], [])
    assert [task.sources for task in without.stages[0].tasks] == [("poems",)]


def test_nothing_to_replay() -> None:
    with pytest.raises(RecipeError, match=r"continual\.replay: 0\.4, and there are no old sources"):
        with_replay(PLAIN, SETTINGS, [UNKNOWN], [])
    nothing = replace(SETTINGS, routes={"retrieval": None})
    with pytest.raises(RecipeError, match=r"stage new: continual\.routes leaves nothing"):
        with_replay(PLAIN, nothing, [UNKNOWN], replayed([KNOWN]))
