"""From a drawn batch to a loss: what each objective asks of the rows it is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from yuyi.errors import RecipeError
from yuyi.text.overflow import fit
from yuyi.train.batches import Sampler
from yuyi.train.distributed import ALONE
from yuyi.train.gradcache import backward
from yuyi.train.losses import alignment, cosent, info_nce, label_contrast, relation
from yuyi.train.matryoshka import matryoshka

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from yuyi.train.config import Task
    from yuyi.train.distributed import World
    from yuyi.train.learner import Learner
    from yuyi.train.sources import Column, Source
    from yuyi.types import TokenBatch

_JUDGED_KINDS = ("paraphrase", "sts", "nli", "relevance", "qa")


@dataclass(frozen=True, slots=True)
class Size:
    """How much a batch holds.

    Attributes:
        rows: of the source.
        texts: those that were embedded, of all columns.
        tokens: of these texts, special tokens included.
    """

    rows: int = 0
    texts: int = 0
    tokens: int = 0


class Runner(Protocol):
    """One task at work.

    Attributes:
        task: what it does.
        size: of the last batch.
    """

    task: Task
    size: Size

    def run(self, seed: Sequence[int]) -> float:
        """Draw the next batch and add its gradient to the learner's; the loss. `seed` names the step."""
        ...

    def describe(self) -> dict[str, Any]:
        """The last batch for inspection, as JSON values: where its rows came from, and their texts."""
        ...

    def state(self) -> dict[str, Any]:
        """What `restore` needs to go on drawing, as JSON values."""
        ...

    def tensors(self) -> dict[str, Tensor]:
        """What `restore` needs beside, by name: what is too much for JSON. Often nothing."""
        ...

    def restore(self, state: dict[str, Any], tensors: Mapping[str, Tensor] | None = None) -> None:
        """Go on where `state` and `tensors` were taken."""
        ...


@dataclass(frozen=True, slots=True)
class Drawn:
    """A batch.

    Attributes:
        columns: its texts, as the model gets them.
        loss: a scalar from one tensor (rows, dim) a column.
    """

    columns: Sequence[TokenBatch]
    loss: Callable[[Sequence[Tensor]], Tensor]


def fits(task: Task, source: Source) -> bool:
    """Whether `task` draws from `source`."""
    if task.kinds and source.kind not in task.kinds:
        return False
    if task.sources and source.name not in task.sources:
        return False
    labelled = not np.isnan(source.labels).any()
    if task.objective == "contrast":
        return not labelled and source.kind != "teacher"
    if task.objective == "judged":
        return labelled and source.kind in _JUDGED_KINDS
    if task.objective == "labels":
        return labelled and source.kind == "classification"
    return source.kind == "teacher"


class EmbeddingRunner:
    """A task whose loss is a function of embeddings."""

    def __init__(
        self,
        task: Task,
        learner: Learner,
        sources: Sequence[Source],
        dims: Mapping[int, float],
        exponent: float,
        seed: Sequence[int],
        teacher: NDArray[np.float32] | None = None,
        world: World = ALONE,
    ) -> None:
        """Take the sources that fit `task`.

        Raises:
            RecipeError: none fits.
        """
        self.task = task
        self.sources = [source for source in sources if fits(task, source)]
        if not self.sources:
            raise RecipeError(
                f"task {task.objective} {task.kinds}: no source has pairs for it. Drop it or add data."
            )
        weights = [
            len(source) ** exponent
            * task.emphasis.get(source.name, 1.0)
            * task.emphasis.get(source.kind, 1.0)
            for source in self.sources
        ]
        self.size = Size()
        self._last: dict[str, Any] = {}
        self.sampler = Sampler([len(source) for source in self.sources], weights, task.batch, seed)
        self._learner = learner
        self._world = world
        self._teacher = None if teacher is None else torch.from_numpy(teacher)
        self._draw = {
            "contrast": self._contrast_batch,
            "judged": self._judged_batch,
            "labels": self._labels_batch,
            "align": self._align_batch,
        }[task.objective]
        self._contrast = matryoshka(info_nce, dims)
        self._rank = matryoshka(cosent, dims)
        self._labels = matryoshka(label_contrast, dims)
        self._align = matryoshka(self._teach, dims)

    def run(self, seed: Sequence[int]) -> float:
        """The loss of the next batch, as `Runner.run`."""
        drawn = self.draw()
        self.size = Size(
            len(drawn.columns[0]),
            sum(len(column) for column in drawn.columns),
            sum(len(column.ids) for column in drawn.columns),
        )

        def loss(vectors: Sequence[Tensor]) -> Tensor:
            return drawn.loss(vectors) * self.task.weight

        return backward(self._learner, drawn.columns, loss, seed=seed, world=self._world)

    def draw(self) -> Drawn:
        """The next batch."""
        number, rows = self.sampler.draw()
        source = self.sources[number]
        self._last = {"source": source.name, "kind": source.kind, "rows": rows.tolist()}
        return self._draw(source, rows)

    def describe(self) -> dict[str, Any]:
        """As `Runner.describe`."""
        return self._last

    def state(self) -> dict[str, Any]:
        """As `Runner.state`."""
        return self.sampler.state()

    def tensors(self) -> dict[str, Tensor]:
        """As `Runner.tensors`."""
        return {}

    def restore(self, state: dict[str, Any], tensors: Mapping[str, Tensor] | None = None) -> None:
        """As `Runner.restore`."""
        self.sampler.restore(state)

    def _contrast_batch(self, source: Source, rows: NDArray[np.int64]) -> Drawn:
        queries, documents = source.queries.take(rows), source.documents.take(rows)
        clashes = _clashes(queries, documents)

        def loss(vectors: Sequence[Tensor]) -> Tensor:
            return self._contrast(*vectors, temperature=self.task.temperature, clashes=clashes)

        return Drawn([self._queries(queries), self._documents(documents)], loss)

    def _judged_batch(self, source: Source, rows: NDArray[np.int64]) -> Drawn:
        queries, documents = source.queries.take(rows), source.documents.take(rows)
        labels = torch.from_numpy(source.labels[rows])
        best = torch.nonzero(labels == source.labels.max())[:, 0]
        worst = torch.nonzero(labels == 0)[:, 0]
        clashes = _clashes(queries.take(best.numpy()), documents.take(best.numpy()))

        def loss(vectors: Sequence[Tensor]) -> Tensor:
            left, right = vectors
            ranked = self._rank(left, right, labels=labels, scale=self.task.scale) * self.task.ranking
            if source.kind == "sts" or len(best) < 2:
                return ranked
            further = [right[worst]] if len(worst) else []
            return ranked + self._contrast(
                left[best], right[best], *further, temperature=self.task.temperature, clashes=clashes
            )

        return Drawn([self._queries(queries), self._documents(documents)], loss)

    def _labels_batch(self, source: Source, rows: NDArray[np.int64]) -> Drawn:
        labels = torch.from_numpy(source.labels[rows])

        def loss(vectors: Sequence[Tensor]) -> Tensor:
            return self._labels(*vectors, labels=labels, temperature=self.task.temperature)

        return Drawn([self._queries(source.queries.take(rows))], loss)

    def _align_batch(self, source: Source, rows: NDArray[np.int64]) -> Drawn:
        assert self._teacher is not None
        wanted = self._teacher[torch.from_numpy(rows)]

        def loss(vectors: Sequence[Tensor]) -> Tensor:
            return self._align(*vectors, wanted)

        return Drawn([self._queries(source.queries.take(rows))], loss)

    def _teach(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Each text's direction, and how the texts of the batch lie to one another."""
        share = self.task.relation
        agreed = relation(student, teacher, temperature=self.task.temperature) if share else 0.0
        return (1 - share) * alignment(student, teacher) + share * agreed

    def _queries(self, column: Column) -> TokenBatch:
        return self._framed(column, self.task.query_tokens)

    def _documents(self, column: Column) -> TokenBatch:
        return self._framed(column, self.task.document_tokens)

    def _framed(self, column: Column, longest: int | None) -> TokenBatch:
        """The texts as the model gets them: cut, with special tokens around them."""
        frame = self._learner.frame
        limits = [limit for limit in (frame.max_tokens, longest) if limit is not None]
        return fit(column.tokens, frame.limited(min(limits, default=None)), "cut").batch


def _clashes(queries: Column, documents: Column) -> Tensor:
    """(n, n) bool, True off the diagonal where two pairs share a text and so are no negatives."""
    same = queries.keys[:, None] == queries.keys[None, :]
    same |= documents.keys[:, None] == documents.keys[None, :]
    np.fill_diagonal(same, False)
    return torch.from_numpy(same)
