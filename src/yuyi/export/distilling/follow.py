"""A token table that learns to give a text the vector that an encoder gives it.

A mean of rows cannot be just that vector. So the table is also taught how like one another the encoder finds
the texts of a batch; that alone decides what is found, and a cosine to the encoder's vector is got most
cheaply from what all texts have in common.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from yuyi.progress import progress
from yuyi.text.plan import select
from yuyi.train.losses.distillation import alignment, relation
from yuyi.train.table import Parts, TokenTable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from yuyi.types import TokenBatch

    Vectors = NDArray[np.float32]

_BATCH = 256
# Fewer texts are parted into so many batches, of not less than the least.
_STEPS, _SMALLEST = 32, 8
# Of Adam at the start, in units of the rows' mean length over the root of their dimensions.
_RATE = 0.05
# Of `relation`: low enough that the texts most alike count most.
_TEMPERATURE = 0.05
# Epochs without gain on held-out texts before it ends.
_PATIENCE = 2


@dataclass(frozen=True, slots=True)
class Lesson:
    """Texts and the vectors to be given to them.

    Attributes:
        tokens: ids of the table's pieces.
        vectors: (texts, dim) float32 of unit length.
    """

    tokens: TokenBatch
    vectors: Vectors


@dataclass(frozen=True, slots=True)
class Followed:
    """A table after its lessons.

    Attributes:
        table: (pieces, dim) float32, as it was best.
        before: mean cosine to the encoder on held-out texts at first.
        after: and with this table.
        epochs: times that the texts were gone through.
    """

    table: Vectors
    before: float
    after: float
    epochs: int


def follow(table: Vectors, lesson: Lesson, held_out: Lesson, epochs: int, seed: int) -> Followed:
    """The table after learning; it is the given one where learning has not helped.

    Adam on the rows of a batch, at a rate that falls to nothing, minimises `alignment` + `relation`.

    Args:
        table: (pieces, dim) first rows.
        lesson: what is learned.
        held_out: texts by which the best table is chosen.
        epochs: at most.
        seed: of the order of the texts.
    """
    learner = _learner(table)
    first = _cosine(learner, held_out)
    followed, least = Followed(table, first, first, 0), _held_out_loss(learner, held_out)
    random = np.random.default_rng(seed)
    texts = len(lesson.tokens)
    steps = -(-texts // min(_BATCH, max(_SMALLEST, texts // _STEPS)))
    highest = _RATE * float(np.linalg.norm(table, axis=1).mean()) / table.shape[1] ** 0.5
    with progress("learning", total=epochs * texts) as count:
        for epoch in range(epochs):
            order = random.permutation(texts)
            for step, rows in enumerate(np.array_split(order, steps)):
                _step(learner, lesson, rows, highest * (1 - (epoch + step / steps) / epochs))
                count(len(rows))
            if (found := _held_out_loss(learner, held_out)) < least:
                least = found
                followed = Followed(learner.fold(), first, _cosine(learner, held_out), epoch + 1)
            elif epoch + 1 - followed.epochs >= _PATIENCE:
                break
    return followed


def _learner(table: Vectors) -> TokenTable:
    """The rows in training, each by itself."""
    pieces = np.arange(len(table) + 1)
    return TokenTable(Parts(pieces[:-1], pieces, len(table)), table)


def _step(learner: TokenTable, lesson: Lesson, rows: NDArray[np.int64], rate: float) -> None:
    tokens = select(lesson.tokens, rows)
    if len(tokens.ids):
        torch.autograd.backward(_loss(learner.embed(tokens), torch.from_numpy(lesson.vectors[rows])))
        learner.step(rate)


def _loss(found: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    return alignment(found, wanted) + relation(found, wanted, temperature=_TEMPERATURE)


def _held_out_loss(learner: TokenTable, lesson: Lesson) -> float:
    """Mean loss of a lesson's texts in batches."""
    batches = np.array_split(np.arange(len(lesson.tokens)), -(-len(lesson.tokens) // _BATCH))
    with learner.resting():
        losses = [
            float(_loss(learner.embed(select(lesson.tokens, rows)), torch.from_numpy(lesson.vectors[rows])))
            for rows in batches
        ]
    return float(np.mean(losses))


def _cosine(learner: TokenTable, lesson: Lesson) -> float:
    """Mean cosine of a lesson's texts."""
    with learner.resting():
        return 1 - float(alignment(learner.embed(lesson.tokens), torch.from_numpy(lesson.vectors)))
