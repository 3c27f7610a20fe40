"""Which rows come next: sources drawn by size, each batch from one source, no row twice in an epoch.

The state is a count of draws for each source and a random generator; saved with a checkpoint, the batches
after a restart are those that would have come without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


class Sampler:
    """Draws (source number, rows) for one task."""

    def __init__(
        self, sizes: Sequence[int], weights: Sequence[float], batch: int, seed: Sequence[int]
    ) -> None:
        """Take the sources' sizes and sampling weights.

        Args:
            sizes: rows in each source.
            weights: how often each is drawn, relative to the others.
            batch: rows in a batch; a smaller source gives all its rows.
            seed: integers that name this sampler.
        """
        total = float(sum(weights))
        self._sizes = list(sizes)
        self._shares = np.asarray(weights, dtype=np.float64) / total
        self._batch = batch
        self._seed = list(seed)
        self._generator = np.random.default_rng(self._seed)
        self._draws = [0] * len(self._sizes)
        self._orders: dict[int, tuple[int, NDArray[np.int64]]] = {}

    def draw(self) -> tuple[int, NDArray[np.int64]]:
        """The next source and its rows."""
        source = int(self._generator.choice(len(self._sizes), p=self._shares))
        size = self._sizes[source]
        batches = max(1, size // self._batch)
        epoch, place = divmod(self._draws[source], batches)
        self._draws[source] += 1
        order = self._order(source, epoch)
        return source, order[place * self._batch : (place + 1) * self._batch]

    def state(self) -> dict[str, Any]:
        """What `restore` needs, as JSON values."""
        return {"draws": list(self._draws), "generator": self._generator.bit_generator.state}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken."""
        self._draws = list(state["draws"])
        self._generator.bit_generator.state = state["generator"]

    def _order(self, source: int, epoch: int) -> NDArray[np.int64]:
        known = self._orders.get(source)
        if known is None or known[0] != epoch:
            generator = np.random.default_rng([*self._seed, source, epoch])
            known = (epoch, generator.permutation(self._sizes[source]))
            self._orders[source] = known
        return known[1]
