"""Flat token ids to the mean of their table rows, in cache-sized blocks and without a Python loop over texts.

The mean over each text is a matrix product: a block of a few hundred rows is gathered into a buffer that
stays in the cache, and multiplied from the left with the (texts, tokens) matrix that holds a token's row
scale where the token belongs to the text. The table stays int8 throughout: a row is a quarter of the memory
traffic. Products and sums are float64: in float32 a long text's vector would depend, in its sixth digit, on
where the blocks of its batch begin, and so on its company.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from yuyi.machine import available_cores

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from yuyi.types import TokenBatch

    Rows = NDArray[np.int8] | NDArray[np.float32]

# Multiplications in one product. Up to here OpenBLAS stays in the calling thread; above, it wakes threads of
# its own, which costs more than it gives for so little work and fights with the threads that encode other
# texts.
_PRODUCT = 1 << 18


class StaticBackend:
    """A token table: a vector for each vocabulary entry; a text is the mean of its tokens' vectors.

    It serves as a `Backend`; blocks are large enough to hide their hand-over, and small enough to stream.
    """

    name = "static"
    device = "cpu"
    files: tuple[Path, ...] = ()
    block_texts = 1_024
    block_characters = 200_000
    token_budget = None

    def __init__(self, rows: Rows, scales: NDArray[np.float32] | None) -> None:
        """Take a table.

        Args:
            rows: (vocabulary, dim) int8 with `scales`, or float32 without.
            scales: (vocabulary,) float32; row `i` means `rows[i] * scales[i]`.
        """
        self._rows = np.ascontiguousarray(rows)
        self._scales = scales
        self.threads = available_cores()

    @property
    def dtype(self) -> str:
        """How the rows are stored; sums are float64."""
        return str(self._rows.dtype)

    @property
    def arithmetic(self) -> str:
        """The number type of the rows."""
        return self.dtype

    @property
    def dim(self) -> int:
        """Length of a row."""
        return int(self._rows.shape[1])

    def table(self) -> NDArray[np.float32]:
        """(vocabulary, dim) float32, the rows with their scales applied."""
        if self._scales is None:
            return self._rows.astype(np.float32)
        return self._rows.astype(np.float32) * self._scales[:, None]

    def cut(self, dim: int) -> StaticBackend:
        """The same table with rows cut to their first `dim` values."""
        return StaticBackend(cast("Rows", self._rows[:, :dim]), self._scales)

    def embed(self, batch: TokenBatch, *, cores: int = 1, prompt_tokens: int = 0) -> NDArray[np.float32]:
        """(rows, dim) float32, the mean of each text's token rows; zeros for a text without tokens.

        Args:
            batch: the texts' ids.
            cores: of no account; it works in the calling thread.
            prompt_tokens: of no account; a token table has no prompts to leave out.
        """
        sums = np.zeros((len(batch), self.dim))
        lengths = batch.lengths
        if not len(batch.ids):
            return sums.astype(np.float32)
        owners = np.repeat(np.arange(len(batch)), lengths)
        weights = self._weights(batch.ids)
        block = _block_tokens(len(batch.ids) / len(batch), self.dim)
        gathered = np.empty((block, self.dim), dtype=self._rows.dtype)
        vectors = np.empty((block, self.dim))
        columns = np.arange(block)
        for start in range(0, len(batch.ids), block):
            stop = min(start + block, len(batch.ids))
            count = stop - start
            np.take(self._rows, batch.ids[start:stop], axis=0, out=gathered[:count], mode="clip")
            vectors[:count] = gathered[:count]
            first, last = owners[start], owners[stop - 1] + 1
            membership = np.zeros((last - first, count))
            membership[owners[start:stop] - first, columns[:count]] = weights[start:stop]
            sums[first:last] += membership @ vectors[:count]
        sums /= np.maximum(lengths, 1)[:, None]
        return sums.astype(np.float32)

    def _weights(self, ids: NDArray[np.int32]) -> NDArray[np.float32]:
        if self._scales is None:
            return np.ones(len(ids), dtype=np.float32)
        return self._scales[ids]


def _block_tokens(mean_length: float, dim: int) -> int:
    """Tokens gathered at a time: as many as keep tokens x texts x dim within the limit on a product.

    A block of b tokens touches about b / mean_length + 2 texts, one being cut at either end.
    """
    limit = _PRODUCT / dim
    return max(1, int(mean_length * ((1 + limit / mean_length) ** 0.5 - 1)))
