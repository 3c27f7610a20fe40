"""The two types that every room shares: a batch of tokens, and anything that encodes text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class TokenBatch:
    """Texts as flat token ids and the boundaries between them; there is no padding.

    Attributes:
        ids: (tokens,) int32, the ids of all texts one after another.
        offsets: (rows + 1,) int64; text `i` owns `ids[offsets[i]:offsets[i + 1]]`.
    """

    ids: NDArray[np.int32]
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(rows,) int64, the number of tokens of each text; zero for a text without any."""
        return self.offsets[1:] - self.offsets[:-1]


@runtime_checkable
class Encoder(Protocol):
    """Texts in, vectors out. What search and evaluation ask of a model, whoever made it."""

    @property
    def dim(self) -> int:
        """Length of the vectors this encoder gives."""
        ...

    @property
    def fingerprint(self) -> str:
        """Hex digest of everything that decides the vectors: weights, tokenizer, pooling, dimension."""
        ...

    def encode(self, inputs: str | Iterable[str]) -> NDArray[np.float32]:
        """(rows, dim) float32 of unit length, for texts that are all alike, as the pairs of a comparison."""
        ...

    def encode_query(self, inputs: str | Iterable[str]) -> NDArray[np.float32]:
        """(rows, dim) float32 of unit length, for texts that ask."""
        ...

    def encode_document(self, inputs: str | Iterable[str]) -> NDArray[np.float32]:
        """(rows, dim) float32 of unit length, for texts that answer."""
        ...
