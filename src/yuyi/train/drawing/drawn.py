"""What every kind of batch is made with and made into."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from yuyi.text.overflow import fit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor

    from yuyi.text.overflow import Frame
    from yuyi.train.config import Task
    from yuyi.train.reading.sources import Column
    from yuyi.types import TokenBatch


@dataclass(frozen=True, slots=True)
class Drawn:
    """A batch.

    Attributes:
        columns: its texts, as the model gets them: first those that ask, then those that answer, if any.
        loss: a scalar from one tensor (rows, dim) a column.
    """

    columns: Sequence[TokenBatch]
    loss: Callable[[Sequence[Tensor]], Tensor]


@dataclass(frozen=True, slots=True)
class Setting:
    """What makes a batch of rows, beside the rows.

    Attributes:
        task: what is asked of them.
        frame: the model's special tokens, and the most tokens it takes.
        dims: Matryoshka dimensions with their weights.
    """

    task: Task
    frame: Frame
    dims: Mapping[int, float]

    def queries(self, column: Column) -> TokenBatch:
        """Texts that ask, as the model gets them: cut, with special tokens around them."""
        return self._framed(column, self.task.query_tokens)

    def documents(self, column: Column) -> TokenBatch:
        """Likewise texts that answer, or should not."""
        return self._framed(column, self.task.document_tokens)

    def _framed(self, column: Column, longest: int | None) -> TokenBatch:
        limits = [limit for limit in (self.frame.max_tokens, longest) if limit is not None]
        return fit(column.tokens, self.frame.limited(min(limits, default=None)), "cut").batch
