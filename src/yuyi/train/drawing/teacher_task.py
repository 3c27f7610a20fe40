"""Batches that follow a teacher: its vectors of single texts, or its scores of a row's candidates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from yuyi.errors import RecipeError
from yuyi.train.drawing.drawn import Drawn
from yuyi.train.gradcache import replayed
from yuyi.train.losses import alignment, margin_mse, relation, score_kl, squared_distance
from yuyi.train.matryoshka import matryoshka

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from yuyi.train.config import Task
    from yuyi.train.drawing.drawn import Setting
    from yuyi.train.learner import Learner
    from yuyi.train.reading.sources import Source

    Integers = NDArray[np.int64]


def distil_batch(setting: Setting, source: Source, rows: Integers) -> Drawn:
    """Queries, documents and negatives with a teacher's scores, for `score_kl` or `margin_mse`."""
    task = setting.task
    numbers, owners = source.first_negatives(rows, task.negatives)
    scores = source.scores[np.concatenate([rows, len(source) + numbers])]
    columns = [
        setting.queries(source.queries.take(rows)),
        setting.documents(source.documents.take(rows)),
        setting.documents(source.negatives.take(numbers)),
    ]

    def loss(vectors: Sequence[Tensor]) -> Tensor:
        device = vectors[0].device
        known = {
            "owners": torch.from_numpy(owners).to(device),
            "scores": torch.from_numpy(scores).to(device),
        }
        if task.distil_by == "margin":
            return matryoshka(margin_mse, setting.dims)(*vectors, **known, scale=task.scale)
        return matryoshka(score_kl, setting.dims)(
            *vectors,
            **known,
            temperature=task.temperature,
            teacher_temperature=task.teacher_temperature,
        )

    return Drawn(columns, loss)


class Alignment:
    """The `align` objective with what it needs: the teacher's vectors, and a projection where asked for.

    Attributes:
        projection: (student dim -> teacher dim), trained beside the model; None where there is none.
    """

    def __init__(
        self, task: Task, learner: Learner, teacher: NDArray[np.float32], seed: Sequence[int]
    ) -> None:
        """Take the teacher's vectors, (texts of the source, teacher dim) float32, perhaps mapped from disk.

        Raises:
            RecipeError: the teacher has another dimension and nothing takes the student there.
        """
        self._task = task
        self._teacher = teacher
        student = learner.zeros(0)
        own, wanted = student.shape[1], teacher.shape[1]
        self.projection: nn.Linear | None = None
        if task.projection:
            extra = getattr(learner, "extra", None)
            if extra is None:
                raise RecipeError(
                    "align.projection: a token table has rows alone, and no layer beside them. Leave it out, "
                    f"and cut the teacher's {wanted} dimensions to the table's {own}."
                )
            self.projection = _projection(own, wanted, seed).to(student)
            extra(f"{task.objective}_{seed[-1]}_projection", self.projection)
        else:
            check_dims(task, own, wanted)

    def batch(self, setting: Setting, source: Source, rows: Integers) -> Drawn:
        """Texts and the teacher's vectors of them."""
        wanted = torch.from_numpy(np.array(self._teacher[rows], dtype=np.float32))

        def loss(vectors: Sequence[Tensor]) -> Tensor:
            (student,) = vectors
            teacher = wanted.to(student)
            if self.projection is None and student.shape[1] == teacher.shape[1]:
                return matryoshka(self._follow, setting.dims)(student, teacher)
            # The teacher's leading dimensions mean nothing to another space: each cut follows all of it.
            return matryoshka(self._follow, setting.dims)(student, teacher=teacher)

        return Drawn([setting.queries(source.queries.take(rows))], loss)

    def _follow(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Each text's place, and how the texts of the batch lie to one another."""
        task, share = self._task, self._task.relation
        total = student.new_zeros(())
        if share < 1:
            by = squared_distance if task.align_by == "distance" else alignment
            total = total + (1 - share) * by(self._projected(student), teacher)
        if share:
            total = total + share * relation(student, teacher, temperature=task.temperature)
        return total

    def _projected(self, student: Tensor) -> Tensor:
        """(n, teacher dim); the leading dimensions of a vector have the leading columns of the projection."""
        if self.projection is None:
            return student
        weight = self.projection.weight[:, : student.shape[1]]
        return functional.linear(student, weight, self.projection.bias)


def check_dims(task: Task, own: int, wanted: int) -> None:
    """Refuse a teacher whose vectors, of `wanted` dimensions, the model's of `own` cannot follow.

    Raises:
        RecipeError: they differ, and nothing takes the one to the other.
    """
    if own != wanted and task.relation < 1 and not task.projection:
        raise RecipeError(
            f"align: the teacher's vectors have {wanted} dimensions and the model's {own}. Set "
            "projection: true on the task, or relation: 1 to follow similarities alone, or choose another "
            "teacher."
        )


def _projection(own: int, wanted: int, seed: Sequence[int]) -> nn.Linear:
    """A layer with fresh weights that keep lengths on average; torch's own generator is not touched."""
    with replayed(seed, torch.device("cpu")):
        layer = nn.Linear(own, wanted)
        nn.init.normal_(layer.weight, std=wanted**-0.5)
    nn.init.zeros_(layer.bias)
    return layer
