"""mteb's model protocol: the only place that knows it.

mteb asks a model to `encode` a loader of text batches and to compare the vectors it got. Any
`yuyi.types.Encoder` can answer that: texts marked as queries go to `encode_query`, all others to
`encode_document`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from yuyi.types import Encoder


# Two texts made of the same words have a cosine of 1 give or take the last bit, and that bit depends on the
# machine. Rounded, such pairs tie; unrounded, LCQMC moved by a point for a model with many of them.
_DECIMALS = 6


class VectorMemory:
    """Vectors by text: each text of a set is encoded once, however many columns and dimensions ask for it."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._queries: dict[str, NDArray[np.float32]] = {}
        self._documents: dict[str, NDArray[np.float32]] = {}

    def vectors(self, texts: list[str], *, query: bool) -> NDArray[np.float32]:
        """(rows, dim) float32 for the texts, in their order."""
        known = self._queries if query else self._documents
        encode = self._encoder.encode_query if query else self._encoder.encode_document
        fresh = [text for text in dict.fromkeys(texts) if text not in known]
        if fresh:
            known.update(zip(fresh, encode(fresh), strict=True))
        return np.stack([known[text] for text in texts])


class MtebModel:
    """An encoder cut to its first `dim` values, as mteb 2 wants to see it.

    Args:
        memory: where the full vectors come from.
        dim: how many values of each vector to keep before it is brought back to unit length.
    """

    mteb_model_meta = None  # mteb reads it when it stores predictions, which is never asked for here

    def __init__(self, memory: VectorMemory, dim: int) -> None:
        self._memory = memory
        self._dim = dim

    def encode(
        self, inputs: Iterable[Mapping[str, Any]], *, prompt_type: Any = None, **settings: Any
    ) -> NDArray[np.float64]:
        """(rows, dim) float64 of unit length, zero where the encoder gave zero.

        Double precision keeps the classifier that mteb fits on the vectors from depending on the order in
        which a machine adds them up.
        """
        texts = [text for batch in inputs for text in batch["text"]]
        query = getattr(prompt_type, "value", prompt_type) == "query"
        vectors = self._memory.vectors(texts, query=query)[:, : self._dim].astype(np.float64)
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors / np.where(norms > 0, norms, 1)

    def similarity(self, embeddings1: NDArray[np.float64], embeddings2: NDArray[np.float64]) -> Any:
        """(n, m) cosine of every vector with every other, by mteb's own function, to six decimals."""
        return _by_mteb("cos_sim", embeddings1, embeddings2)

    def similarity_pairwise(self, embeddings1: NDArray[np.float64], embeddings2: NDArray[np.float64]) -> Any:
        """(n,) cosine of each vector with its partner, by mteb's own function, to six decimals."""
        return _by_mteb("pairwise_cos_sim", embeddings1, embeddings2)


def _by_mteb(function: str, first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rounded result of one of mteb's functions; given arrays, not tensors, it would cut them to single."""
    import torch
    from mteb import similarity_functions

    scores = getattr(similarity_functions, function)(torch.from_numpy(first), torch.from_numpy(second))
    return np.asarray(scores).round(_DECIMALS)
