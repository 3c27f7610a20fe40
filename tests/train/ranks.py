"""What `test_distributed` compares: a few steps of training on however many ranks there are.

Run by torchrun with a file to write to; imported for the same on one.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from yuyi.train.config import Stage, Task
from yuyi.train.distributed import World, open_world
from yuyi.train.gradcache import backward
from yuyi.train.losses import info_nce
from yuyi.train.matryoshka import matryoshka
from yuyi.train.reading.sources import Column, Source
from yuyi.train.tasks import EmbeddingRunner
from yuyi.train.teaching.continual import Previous

sys.path.insert(0, str(Path(__file__).parent.parent))

from train.tiny import gradients, learner, texts

if TYPE_CHECKING:
    from collections.abc import Sequence

STAGE = Stage(name="ranks", steps=3, tasks=(Task(objective="contrast"),), learning_rate=0.01, clip=0.5)
ROWS, NEGATIVES = 6, 3
TASKS = (
    Task(objective="align", projection=True, align_by="distance", batch=ROWS),
    Task(objective="contrast", temperature=0.1, batch=ROWS, refresh=2, keep=0.5, spread=0.1),
)
FORMS = (("forward", "twice"), ("symmetric", "twice"), ("improved", "twice"), ("improved", "once"))


def results(world: World) -> dict[str, torch.Tensor]:
    """Losses, gradients of the first step and weights after three, by form and by budget of tokens."""
    found: dict[str, torch.Tensor] = {}
    for form, diagonal in FORMS:
        for budget in (1_000_000, 30):
            subject = learner(token_budget=budget)
            subject.begin(STAGE)
            losses = []
            for step in range(STAGE.steps):
                lengths = np.random.default_rng(step).integers(1, 12, ROWS * (2 + NEGATIVES))
                columns = [
                    texts(part, step + 10 * number)
                    for number, part in enumerate(np.split(lengths, [ROWS, 2 * ROWS]))
                ]
                objective = partial(_objective, form=form, diagonal=diagonal)
                losses.append(backward(subject, columns, objective, seed=[0, step], world=world))
                if step == 0:
                    own = gradients(subject)
                    world.sum_(own)
                    found[f"{form} {diagonal} {budget} gradient"] = own
                subject.step(0.01, world)
            found[f"{form} {diagonal} {budget} losses"] = torch.tensor(losses)
            weights = torch.cat([tensor.flatten() for tensor in subject.weights().values()])
            found[f"{form} {diagonal} {budget} weights"] = weights
    for task in TASKS:
        found |= _learned(task, world)
    return found


def _learned(task: Task, world: World) -> dict[str, torch.Tensor]:
    """Losses and weights after some steps of a task: modules beside the model, a frozen copy, a pool."""
    subject = learner(token_budget=40)
    subject.begin(STAGE)
    teacher = np.random.default_rng(9).normal(size=(ROWS, 48)).astype(np.float32)
    previous = Previous(subject) if task.keep else None
    runner = EmbeddingRunner(
        task, subject, [_source(task)], {32: 1.0, 8: 0.5}, 0.5, [0, 0, 1], teacher, world, previous=previous
    )
    losses = []
    for step in range(5):
        losses.append(runner.run([0, step]))
        subject.step(0.02, world)
    weights = torch.cat([tensor.flatten() for tensor in subject.weights().values()])
    return {f"{task.objective} losses": torch.tensor(losses), f"{task.objective} weights": weights}


def _source(task: Task) -> Source:
    sides = []
    for seed, rows in enumerate((ROWS, ROWS, ROWS * NEGATIVES)):
        tokens = texts(np.random.default_rng(seed).integers(1, 12, rows), seed)
        sides.append(Column(tokens, np.arange(rows) + 1_000 * seed))
    queries, documents, negatives = sides
    return Source(
        name="made",
        kind="teacher" if task.objective == "align" else "qa",
        queries=queries,
        documents=documents,
        labels=np.full(ROWS, np.nan, dtype=np.float32),
        negatives=negatives,
        negative_offsets=np.arange(ROWS + 1) * NEGATIVES,
        scores=np.zeros(0, dtype=np.float32),
    )


def _objective(vectors: Sequence[torch.Tensor], form: str, diagonal: str) -> torch.Tensor:
    owners = torch.arange(ROWS).repeat_interleave(NEGATIVES)
    wrapped = matryoshka(info_nce, {32: 1.0, 8: 0.5})
    return wrapped(*vectors, temperature=0.1, form=form, diagonal=diagonal, owners=owners)


if __name__ == "__main__":
    torch.set_num_threads(1)
    with open_world("cpu") as world:
        found = results(world)
        torch.save(found, Path(sys.argv[1]) / f"rank-{world.rank}.pt")
