"""Matryoshka: the same objective on the leading dimensions too, so that a cut vector still works.

Source: Kusupati et al. 2022, arXiv 2205.13147.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

    Objective = Callable[..., Tensor]


def matryoshka(objective: Objective, weights: Mapping[int, float]) -> Objective:
    """`objective`, averaged over cuts of the embeddings: `weights` maps a dimension to its share."""
    total = sum(weights.values())

    def cut(*embeddings: Tensor, **settings: Any) -> Tensor:
        losses = (
            weight * objective(*(embedding[:, :dim] for embedding in embeddings), **settings)
            for dim, weight in weights.items()
        )
        return sum(losses) / total  # type: ignore[return-value]

    return cut
