"""From a drawn batch to a loss: what each objective asks of the rows it is given."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from yuyi.errors import RecipeError
from yuyi.train.batches import Sampler, Source, take
from yuyi.train.losses import alignment, cosent, info_nce, label_contrast, relation
from yuyi.train.matryoshka import matryoshka

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from yuyi.train.config import Task
    from yuyi.train.table import TokenTable

_JUDGED_KINDS = ("paraphrase", "sts", "nli", "relevance", "qa")


def fits(task: Task, source: Source) -> bool:
    """Whether `task` draws from `source`."""
    if task.kinds and source.kind not in task.kinds:
        return False
    labelled = not np.isnan(source.labels).any()
    if task.objective == "contrast":
        return not labelled and source.kind != "teacher"
    if task.objective == "judged":
        return labelled and source.kind in _JUDGED_KINDS
    if task.objective == "labels":
        return labelled and source.kind == "classification"
    return source.kind == "teacher"


class Drawer:
    """Draws batches for one task and turns them into losses."""

    def __init__(
        self,
        task: Task,
        sources: Sequence[Source],
        dims: Mapping[int, float],
        exponent: float,
        seed: Sequence[int],
        teacher: NDArray[np.float32] | None = None,
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
        self.sampler = Sampler([len(source) for source in self.sources], weights, task.batch, seed)
        self._teacher = None if teacher is None else torch.from_numpy(teacher)
        self._contrast = matryoshka(info_nce, dims)
        self._rank = matryoshka(cosent, dims)
        self._labels = matryoshka(label_contrast, dims)
        self._align = matryoshka(self._teach, dims)

    def loss(self, table: TokenTable) -> torch.Tensor:
        """The loss of the next batch, a scalar with gradients to the table."""
        number, rows = self.sampler.draw()
        source = self.sources[number]
        if self.task.objective == "contrast":
            return self._contrast_loss(table, source, rows)
        if self.task.objective == "judged":
            return self._judged_loss(table, source, rows)
        (left,) = table.embed([take(source.left, rows)])
        if self.task.objective == "labels":
            labels = torch.from_numpy(source.labels[rows])
            return self._labels(left, labels=labels, temperature=self.task.temperature)
        assert self._teacher is not None
        return self._align(left, self._teacher[torch.from_numpy(rows)])

    def _teach(self, student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
        """Each text's direction, and how the texts of the batch lie to one another."""
        share = self.task.relation
        agreed = relation(student, teacher, temperature=self.task.temperature) if share else 0.0
        return (1 - share) * alignment(student, teacher) + share * agreed

    def _contrast_loss(self, table: TokenTable, source: Source, rows: NDArray[np.int64]) -> torch.Tensor:
        left, right = table.embed([take(source.left, rows), take(source.right, rows)])
        clashes = _clashes(source, rows, rows)
        return self._contrast(left, right, temperature=self.task.temperature, clashes=clashes)

    def _judged_loss(self, table: TokenTable, source: Source, rows: NDArray[np.int64]) -> torch.Tensor:
        left, right = table.embed([take(source.left, rows), take(source.right, rows)])
        labels = torch.from_numpy(source.labels[rows])
        ranked = self._rank(left, right, labels=labels, scale=self.task.scale) * self.task.ranking
        best = torch.nonzero(labels == source.labels.max())[:, 0]
        worst = torch.nonzero(labels == 0)[:, 0]
        if source.kind == "sts" or len(best) < 2:
            return ranked
        chosen = rows[best.numpy()]
        paired = self._contrast(
            left[best],
            right[best],
            *([right[worst]] if len(worst) else []),
            temperature=self.task.temperature,
            clashes=_clashes(source, chosen, chosen),
        )
        return ranked + paired


def _clashes(source: Source, left: NDArray[np.int64], right: NDArray[np.int64]) -> torch.Tensor:
    """(n, n) bool, True off the diagonal where two pairs share a text and so are no negatives."""
    same = source.left_keys[left][:, None] == source.left_keys[right][None, :]
    same |= source.right_keys[left][:, None] == source.right_keys[right][None, :]
    np.fill_diagonal(same, False)
    return torch.from_numpy(same)
