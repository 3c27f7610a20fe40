"""Hard negatives that are replaced when the model has learned them.

Each row owns a pool, the negatives that it brings, best first, and uses a few of them at a time. Now and then
the rows that were drawn since the last time are scored again with the model as it is; a negative that has
become easy makes room for the next of the pool that was not used yet. A row whose pool is used up keeps what
it has.

Source: Li et al. 2024, "Conan-embedding: general text embedding with more and better negative samples",
arXiv 2408.15710, section 3.3: replaced where 1.15 x score < first score and score < 0.8, looked at every 100
steps. Here it is score + 0.15 x |score| < first score, which is the same for scores above zero, and for those
below asks for a fall too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from yuyi.errors import InputError
from yuyi.text.plan import spans
from yuyi.train.distributed import ALONE
from yuyi.train.running.probe import embed_all

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray
    from torch import Tensor

    from yuyi.train.distributed import World
    from yuyi.train.learner import Learner
    from yuyi.train.reading.sources import Column, Source
    from yuyi.types import TokenBatch

    Integers = NDArray[np.int64]
    Framed = Callable[[Column], TokenBatch]

_FALL = 0.15
_HARD = 0.8
# Rows whose vectors are held at once; not of the number of ranks, so that any number gets the same scores.
_ROWS = 2_048


class NegativePool:
    """The negatives of a source that are in use, at most `k` of each row.

    A task draws rows, trains on the negatives `chosen(rows)`, and tells `observe(rows)`; every so many steps
    it calls `rescore`. `Source.first_negatives` is the same without change.

    Attributes:
        steps_tell: whether the scores of a training step are those of `rescore`. With dropout they are not:
            it lowers cosines, and a later score without it would not show the fall.
    """

    def __init__(self, source: Source, k: int, *, steps_tell: bool = True) -> None:
        """Begin with the first `k` negatives of each row.

        Args:
            source: whose rows are drawn.
            k: negatives of a row that are in use.
            steps_tell: whether the model has no dropout.

        Raises:
            InputError: a row has more negatives than can be counted here.
        """
        sizes = np.diff(source.negative_offsets)
        most = int(sizes.max(initial=0))
        if most > np.iinfo(np.int16).max:
            row = int(sizes.argmax())
            raise InputError(
                f"{source.where(row)} has {most:,} negatives; a row may have {np.iinfo(np.int16).max:,}. "
                "Keep its best."
            )
        self.steps_tell = steps_tell
        self._source = source
        counts = np.minimum(sizes, k)
        # Row i has the places `offsets[i]` to the next.
        self._offsets = np.concatenate([[0], np.cumsum(counts)])
        self._used = spans(np.zeros_like(counts), counts).astype(np.int16)
        self._first = np.full(len(self._used), np.nan, dtype=np.float32)
        self._next = counts.astype(np.int16)
        self._waiting = np.zeros(len(source), dtype=bool)

    def chosen(self, rows: Integers) -> tuple[Integers, Integers]:
        """Numbers of the negatives in use of each of `rows`, and for each its place in `rows`."""
        places, owners = self._places(rows)
        return self._source.negative_offsets[rows][owners] + self._used[places], owners

    def observe(self, rows: Integers, scores: NDArray[np.float32] | None = None) -> None:
        """Note that `rows` were drawn, so that the next `rescore` looks at them.

        Args:
            rows: as `chosen` got them.
            scores: cosines of their queries to `chosen(rows)`, in that order, without dropout; they become
                the first scores of the negatives that have none yet. None where nobody measured: `rescore`
                will, and such a negative is replaced at the next look at the earliest.
        """
        self._waiting[rows] = True
        if scores is not None:
            self._begin(self._places(rows)[0], scores)

    def rescore(
        self,
        learner: Learner,
        queries: Framed,
        documents: Framed,
        *,
        world: World = ALONE,
        rows_at_once: int = _ROWS,
    ) -> int:
        """Number of negatives that were replaced, after a look at all rows drawn since the last time.

        A negative that comes into use is scored at once; that is its first score.

        Args:
            learner: embeds, without dropout and graph.
            queries: the texts of a column as the model gets them.
            documents: likewise of negatives.
            world: the ranks that share the work; all of them get the same result.
            rows_at_once: rows whose vectors are in memory together.
        """

        def embed(texts: TokenBatch) -> Tensor:
            return embed_all(learner, texts, world)

        waiting = np.flatnonzero(self._waiting)
        replaced = 0
        for start in range(0, len(waiting), rows_at_once):
            rows = waiting[start : start + rows_at_once]
            asked = embed(queries(self._source.queries.take(rows)))
            places, owners = self._places(rows)
            now = _cosines(asked, owners, embed(documents(self._in_use(rows))))
            self._begin(places, now)
            fresh = self._replace(places, owners, now)
            if len(fresh):
                answers = embed(documents(self._in_use(rows).take(fresh)))
                self._begin(places[fresh], _cosines(asked, owners[fresh], answers))
            replaced += len(fresh)
        self._waiting[:] = False
        return replaced

    def tensors(self) -> dict[str, Tensor]:
        """The state by name, for a checkpoint: the tensors are of this moment and change with the pool."""
        return {
            "used": torch.from_numpy(self._used),
            "first": torch.from_numpy(self._first),
            "next": torch.from_numpy(self._next),
            "waiting": torch.from_numpy(np.flatnonzero(self._waiting)),
        }

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on where `tensors` was taken.

        Raises:
            InputError: they are of another source, or of another `k`.
        """
        used, first, following, waiting = (
            tensors[name].numpy() for name in ("used", "first", "next", "waiting")
        )
        if len(used) != len(self._used) or len(following) != len(self._next):
            raise InputError(
                f"source {self._source.name}: the checkpoint has {len(used):,} negatives in use of "
                f"{len(following):,} rows, and there are {len(self._used):,} of {len(self._next):,}. Resume "
                "with the same data and settings, or begin anew."
            )
        self._used, self._first, self._next = used.copy(), first.copy(), following.copy()
        self._waiting[:] = False
        self._waiting[waiting] = True

    def _in_use(self, rows: Integers) -> Column:
        return self._source.negatives.take(self.chosen(rows)[0])

    def _places(self, rows: Integers) -> tuple[Integers, Integers]:
        starts = self._offsets[rows]
        counts = self._offsets[rows + 1] - starts
        return spans(starts, counts), np.repeat(np.arange(len(rows)), counts)

    def _begin(self, places: Integers, scores: NDArray[np.float32]) -> None:
        """First scores for the places that have none."""
        new = np.isnan(self._first[places])
        self._first[places[new]] = scores[new]

    def _replace(self, places: Integers, owners: Integers, scores: NDArray[np.float32]) -> Integers:
        """Which of `places` got another negative; they have no first score then.

        Args:
            places: of some rows, one row after another.
            owners: for each the place of its row among these rows.
            scores: of each negative at present.
        """
        fallen = scores + np.float32(_FALL) * np.abs(scores) < self._first[places]
        easy = np.flatnonzero(fallen & (scores < _HARD))
        rows = np.searchsorted(self._offsets, places[easy], side="right") - 1
        # The first of a row that is replaced gets the row's next negative, the second the one after.
        turns = np.arange(len(easy)) - np.searchsorted(owners[easy], owners[easy])
        wanted = self._next[rows].astype(np.int64) + turns
        there = wanted < np.diff(self._source.negative_offsets)[rows]
        easy, rows, wanted = easy[there], rows[there], wanted[there]
        self._used[places[easy]] = wanted
        self._first[places[easy]] = np.nan
        np.add.at(self._next, rows, 1)
        return easy


def _cosines(asked: Tensor, owners: Integers, answers: Tensor) -> NDArray[np.float32]:
    """(answers,) cosine of each answer to the query that `owners` names."""
    own = asked[torch.from_numpy(owners).to(asked.device)]
    cosines: NDArray[np.float32] = functional.cosine_similarity(own, answers).float().cpu().numpy()
    return cosines
