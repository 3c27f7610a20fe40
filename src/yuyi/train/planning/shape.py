"""The numbers of a model that the costs of training it follow from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from yuyi.train.table import TokenTable
from yuyi.train.transformer import TransformerLearner

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

    from yuyi.model.config import EncoderConfig
    from yuyi.model.embedder import Embedder
    from yuyi.train.learner import Learner

    Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Shape:
    """The numbers of a model that its costs follow from.

    Attributes:
        parameters: numbers of weights, by part.
        dim: length of its vectors.
        vocabulary: number of pieces.
        sparse: whether a step touches the rows of its batch alone, as for a token table.
        encoder: of a transformer; None for a token table.
    """

    parameters: dict[str, int]
    dim: int
    vocabulary: int
    sparse: bool = False
    encoder: EncoderConfig | None = None

    @staticmethod
    def of(learner: Learner) -> Shape:
        """That of a transformer or a token table in training."""
        if isinstance(learner, TransformerLearner):
            embedder = learner.embedder
            return Shape(
                _parameters(embedder),
                embedder.dim,
                embedder.encoder.config.vocabulary,
                encoder=embedder.encoder.config,
            )
        rows, dim = learner.weights()["vectors"].shape
        assert isinstance(learner, TokenTable)
        pieces = len(learner.parts.offsets) - 1
        return Shape({"vectors of pieces and their parts": rows * dim}, dim, pieces, sparse=True)

    def products(self, lengths: Integers) -> float:
        """Floating-point operations of one forward pass over texts of these lengths, special tokens too."""
        if self.encoder is None:
            return 2.0 * self.dim * float(lengths.sum())
        config = self.encoder
        inner = config.intermediate * (3 if config.glu else 2)
        total = 2.0 * config.layers * config.hidden * (4 * config.hidden + inner) * float(lengths.sum())
        for window in config.windows:
            reach = lengths if window is None else np.minimum(lengths, 2 * window + 1)
            total += 4.0 * config.hidden * float((lengths * reach).sum())
        return total


def _parameters(embedder: Embedder) -> dict[str, int]:
    encoder = embedder.encoder
    parts: dict[str, list[nn.Module | None]] = {
        "token table": [encoder.embeddings.tokens],
        "positions and types": [encoder.embeddings.positions, encoder.embeddings.types],
        f"{encoder.config.layers} layers": [encoder.layers, encoder.embeddings.norm, encoder.final_norm],
        "heads": [embedder.pooler],
    }
    counts = {
        name: sum(parameter.numel() for module in modules if module for parameter in module.parameters())
        for name, modules in parts.items()
    }
    return {name: count for name, count in counts.items() if count}
