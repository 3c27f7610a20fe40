"""A small real encoder: hashed character bigrams, so that the tests of evaluation need no model."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray


class BigramEncoder:
    """Sums of a weight from -1 to 1 for each character bigram in `dim` buckets, unit length."""

    name = "bigrams"
    fingerprint = "b16"

    def __init__(self, dim: int = 64) -> None:
        self.dim = dim
        self.calls: list[tuple[str, int]] = []

    def _encode(self, inputs: str | Iterable[str]) -> NDArray[np.float32]:
        texts = [inputs] if isinstance(inputs, str) else list(inputs)
        counts = np.zeros((len(texts), self.dim), np.float32)
        for row, text in zip(counts, texts, strict=True):
            for left, right in zip(f" {text}", f"{text} ", strict=True):
                code = zlib.crc32((left + right).encode())
                row[code % self.dim] += (code >> 16) / 0x8000 - 1
        norms = np.linalg.norm(counts, axis=1, keepdims=True)
        return counts / np.where(norms > 0, norms, 1)

    def _called(self, role: str, inputs: str | Iterable[str]) -> NDArray[np.float32]:
        vectors = self._encode(inputs)
        self.calls.append((role, len(vectors)))
        return vectors

    def encode(self, inputs: str | Iterable[str]) -> NDArray[np.float32]:
        return self._called("", inputs)

    def encode_query(self, inputs: str | Iterable[str]) -> NDArray[np.float32]:
        return self._called("query", inputs)

    def encode_document(self, inputs: str | Iterable[str]) -> NDArray[np.float32]:
        return self._called("document", inputs)
