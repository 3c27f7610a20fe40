"""Tasks over texts of one piece each, whose losses can be written down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from yuyi.text.overflow import Frame
from yuyi.train.config import Task
from yuyi.train.drawing.contrast_task import contrast_batch
from yuyi.train.drawing.drawn import Setting
from yuyi.train.reading.sources import Column, Source
from yuyi.train.table import Parts, TokenTable
from yuyi.train.tasks import EmbeddingRunner
from yuyi.types import TokenBatch

if TYPE_CHECKING:
    from collections.abc import Sequence


PARTS = Parts.of([f"p{number}" for number in range(20)])
VECTORS = np.random.default_rng(0).normal(size=(20, 6)).astype(np.float32)
TEACHER = np.random.default_rng(1).normal(size=(4, 6)).astype(np.float32)
DIMS = {6: 1.0}
NAN = float("nan")


def column(pieces: Sequence[int]) -> Column:
    """Texts of one piece each; equal pieces are equal texts."""
    offsets = np.arange(len(pieces) + 1, dtype=np.int64)
    return Column(TokenBatch(np.array(pieces, dtype=np.int32), offsets), np.array(pieces, dtype=np.int64))


def source(kind: str, labels: list[float], left: list[int], right: list[int], name: str = "made") -> Source:
    return Source.of(name, kind, column(left), column(right), np.array(labels, dtype=np.float32))


def with_negatives(left: list[int], right: list[int], own: list[list[int]], scores: bool = False) -> Source:
    """Unlabelled rows with hard negatives, of unequal number."""
    flat = [piece for pieces in own for piece in pieces]
    offsets = np.concatenate([[0], np.cumsum([len(pieces) for pieces in own])]).astype(np.int64)
    given = np.random.default_rng(3).normal(size=len(left) + len(flat)).astype(np.float32)
    return Source(
        "mined",
        "qa",
        column(left),
        column(right),
        np.full(len(left), NAN, dtype=np.float32),
        column(flat),
        offsets,
        given if scores else np.zeros(0, dtype=np.float32),
    )


def runner_of(task: Task, made: Source, teacher: np.ndarray | None = None, **options: Any) -> EmbeddingRunner:
    return EmbeddingRunner(task, TokenTable(PARTS, VECTORS), [made], DIMS, 0.5, [0], teacher, **options)


def loss_of(task: Task, made: Source, teacher: np.ndarray | None = None) -> float:
    """The loss of a batch that is the whole source."""
    table = TokenTable(PARTS, VECTORS)
    loss = EmbeddingRunner(task, table, [made], DIMS, 0.5, [0], teacher).run([0])
    assert table.step(0.1) > 0
    return loss


def whole_loss(task: Task, made: Source) -> float:
    """The loss of all rows in one batch, which no sampler has parted."""
    drawn = contrast_batch(Setting(task, Frame(), DIMS), made, np.arange(len(made)))
    return drawn.loss([rows(each.ids) for each in drawn.columns]).item()


def rows(pieces: Sequence[int]) -> torch.Tensor:
    return torch.from_numpy(VECTORS[list(pieces)])


def keys(*columns: list[int]) -> list[torch.Tensor]:
    return [torch.tensor(pieces) for pieces in columns]


def contrast(**settings: Any) -> Task:
    return Task(objective="contrast", temperature=0.1, **settings)


LEFT, RIGHT, OWN = [0, 1, 2, 3], [4, 5, 6, 7], [[8, 9], [], [10, 11, 12], [13]]
KEPT, OWNERS = [8, 9, 10, 11, 13], [0, 0, 2, 2, 3]
