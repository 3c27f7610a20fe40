"""From a drawn batch to a gradient: one task of a stage at work."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol

import torch

from yuyi.errors import RecipeError
from yuyi.train.batches import Sampler
from yuyi.train.distributed import ALONE
from yuyi.train.drawing.contrast_task import contrast_batch, judged_batch
from yuyi.train.drawing.drawn import Setting
from yuyi.train.drawing.dynamic import NegativePool
from yuyi.train.drawing.labels_task import label_negatives_batch, labels_batch
from yuyi.train.drawing.prepared import keep_batches, prepare
from yuyi.train.drawing.teacher_task import Alignment, distil_batch
from yuyi.train.gradcache import backward
from yuyi.train.losses import alignment, spread_out
from yuyi.train.matryoshka import matryoshka
from yuyi.train.routes import check, is_labelled
from yuyi.train.seeds import seed_of
from yuyi.train.transformer import TransformerLearner

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from yuyi.train.config import Task
    from yuyi.train.distributed import World
    from yuyi.train.drawing.drawn import Drawn
    from yuyi.train.learner import Learner
    from yuyi.train.reading.sources import Source
    from yuyi.train.teaching.continual import Previous
    from yuyi.types import TokenBatch

# Rows of a batch that `describe` shows.
_SHOWN = 64


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


class EmbeddingRunner:
    """A task whose loss is a function of embeddings.

    Attributes:
        task: what it does.
        size: of the last batch.
        sources: what it draws from, in order of the sampler's numbers.
        sampler: draws.
    """

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
        *,
        previous: Previous | None = None,
    ) -> None:
        """Take the sources that fit `task`.

        Args:
            task: what it does.
            learner: what is trained.
            sources: those that there are.
            dims: Matryoshka dimensions with their weights.
            exponent: a source of n rows is drawn in proportion to n to this power.
            seed: names this task in its stage.
            teacher: of `align`: (rows of the source, dim) float32, perhaps mapped from disk.
            world: the ranks that share the work.
            previous: the model as it was, for tasks that keep to it.

        Raises:
            RecipeError: no source fits, or none has what the task needs.
            InputError: the labels of a source make no sense.
        """
        for source in sources:
            check(source)
        if task.keep and previous is None:
            raise RecipeError(
                f"task {task.objective}: keep is {task.keep}, and there is no previous model to keep to. "
                "Give continual.previous, or set keep to 0."
            )
        _check_prompts(task, learner)
        self.task = task
        self.size = Size()
        self.sources = prepare(task, sources)
        self.sampler = _sampler(task, self.sources, exponent, seed)
        if task.objective == "contrast":
            kept = keep_batches(task, self.sources, self.sampler)
            if len(kept) < len(self.sources):
                self.sources, self.sampler = kept, _sampler(task, kept, exponent, seed)
        self._learner = learner
        self._world = world
        self._previous = previous
        self._setting = Setting(task, learner.frame, dims)
        self._alignment: Alignment | None = None
        if task.objective == "align":
            self._alignment = Alignment(
                task, learner, _given(teacher, self.sources), seed_of("weights", seed)
            )
        refreshed = self.sources if task.refresh and task.objective == "contrast" else []
        dropout = any(learner.settings().get(name) for name in ("dropout", "attention_dropout"))
        self._pools = [NegativePool(source, task.negatives, steps_tell=not dropout) for source in refreshed]
        self._draws = 0
        self._last: tuple[Source, NDArray[np.int64], Sequence[TokenBatch]] | None = None

    def run(self, seed: Sequence[int]) -> float:
        """The loss of the next batch, as `Runner.run`."""
        self._refresh()
        drawn = self.draw()
        earlier = self._previous(drawn.columns, self._world) if self._previous and self.task.keep else None

        def loss(vectors: Sequence[Tensor]) -> Tensor:
            total = drawn.loss(vectors)
            if self.task.spread:
                sides = vectors[:2]
                total = total + self.task.spread * matryoshka(spread_out, self._setting.dims)(*sides)
            if earlier is not None:
                kept = matryoshka(alignment, self._setting.dims)(torch.cat(list(vectors)), earlier)
                total = total + self.task.keep * kept
            return total * self.task.weight

        value = backward(self._learner, drawn.columns, loss, seed=seed, world=self._world)
        if self._world.rank and self._alignment and self._alignment.projection:
            # Each rank has the projection's whole gradient, and the step is to add those of all ranks.
            self._alignment.projection.zero_grad(set_to_none=True)
        return value

    def draw(self) -> Drawn:
        """The next batch."""
        number, rows = self.sampler.draw()
        drawn = self._make(number, rows)
        self._draws += 1
        self._last = (self.sources[number], rows, drawn.columns)
        self.size = Size(
            len(rows),
            sum(len(column) for column in drawn.columns),
            sum(len(column.ids) for column in drawn.columns),
        )
        return drawn

    def describe(self) -> dict[str, Any]:
        """As `Runner.describe`: source, kind, rows, labels; the first rows' texts, and tokens by column."""
        if self._last is None:
            return {}
        source, rows, columns = self._last
        return {
            "objective": self.task.objective,
            "source": source.name,
            "kind": source.kind,
            "rows": rows.tolist(),
            "labels": source.labels[rows].tolist() if is_labelled(source) else None,
            "texts": source.show_if_there(rows[:_SHOWN]),
            "tokens": [_ids(column) for column in columns],
        }

    def state(self) -> dict[str, Any]:
        """As `Runner.state`."""
        return {"sampler": self.sampler.state(), "draws": self._draws}

    def tensors(self) -> dict[str, Tensor]:
        """As `Runner.tensors`."""
        return {
            f"{number}.{name}": tensor
            for number, pool in enumerate(self._pools)
            for name, tensor in pool.tensors().items()
        }

    def restore(self, state: dict[str, Any], tensors: Mapping[str, Tensor] | None = None) -> None:
        """As `Runner.restore`."""
        self.sampler.restore(state["sampler"])
        self._draws = state["draws"]
        for number, pool in enumerate(self._pools):
            pool.restore({name: (tensors or {})[f"{number}.{name}"] for name in pool.tensors()})

    def _make(self, number: int, rows: NDArray[np.int64]) -> Drawn:
        """The batch of some rows of a source."""
        setting, source = self._setting, self.sources[number]
        match self.task.objective:
            case "contrast":
                return contrast_batch(setting, source, rows, self._pools[number] if self._pools else None)
            case "judged":
                return judged_batch(setting, source, rows)
            case "labels" if self.task.labels_by == "contrast":
                return labels_batch(setting, source, rows)
            case "labels":
                return label_negatives_batch(setting, source, rows)
            case "distil":
                return distil_batch(setting, source, rows)
        assert self._alignment is not None
        return self._alignment.batch(setting, source, rows)

    def _refresh(self) -> None:
        """Replace hard negatives that have become easy, where it is time."""
        if self.task.refresh and self._draws and self._draws % self.task.refresh == 0:
            for pool in self._pools:
                pool.rescore(self._learner, self._setting.queries, self._setting.documents, world=self._world)


def _sampler(task: Task, sources: Sequence[Source], exponent: float, seed: Sequence[int]) -> Sampler:
    """What draws the batches of a task."""
    weights = [
        len(source) ** exponent * task.emphasis.get(source.name, 1.0) * task.emphasis.get(source.kind, 1.0)
        for source in sources
    ]
    return Sampler(
        [len(source) for source in sources],
        weights,
        task.batch,
        seed,
        keys=_distinct(task, sources),
        lengths=[source.lengths for source in sources] if task.by_length else None,
        least=max(1, task.batch // 2),
    )


def _distinct(task: Task, sources: Sequence[Source]) -> list[list[NDArray[np.int64]]] | None:
    """The keys of each source, where a batch must have no text twice: where texts tell each other apart."""
    if task.objective != "contrast":
        return None
    return [[source.queries.keys, source.documents.keys] for source in sources]


def _ids(column: TokenBatch) -> list[list[int]]:
    """The first texts of a column, as the model got them."""
    bounds = column.offsets[: _SHOWN + 1]
    return [column.ids[start:stop].tolist() for start, stop in pairwise(bounds)]


def _given(teacher: NDArray[np.float32] | None, sources: Sequence[Source]) -> NDArray[np.float32]:
    """The teacher's vectors, one for each row of the one source that there is.

    Raises:
        RecipeError: there are none, or not as many as rows.
    """
    if teacher is None:
        raise RecipeError("align: there is no teacher to follow. Name one, or drop the task.")
    for source in sources:
        if len(source) != len(teacher):
            raise RecipeError(
                f"align: source {source.name} has {len(source):,} texts, and the teacher {len(teacher):,} "
                "vectors. Ask the teacher about these texts."
            )
    return teacher


def _check_prompts(task: Task, learner: Learner) -> None:
    """Refuse prompts where the finished model would not pool their tokens, as training does.

    Raises:
        RecipeError: the task has a prompt, and the model leaves prompts out of pooling.
    """
    prompt = task.query_prompt or task.document_prompt
    if prompt and isinstance(learner, TransformerLearner) and not learner.embedder.pooler.include_prompt:
        raise RecipeError(
            f"task {task.objective}: has the prompt {prompt!r}, and the model leaves prompts out of its "
            "pooling, which training cannot. Set model.include_prompt: true, or drop the prompt."
        )
