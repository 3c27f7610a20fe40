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
    """`objective`, averaged over cuts of the embeddings: sum of weight * objective(cut) / sum of weights.

    What is given by position is embeddings, and is cut; None stays None. What is given by name is never cut.
    So a teacher goes by position where its leading dimensions are to be reproduced by the student's, and by
    name, as in `matryoshka(relation, weights)(student, teacher=teacher, temperature=0.05)`, where its space
    is another one and every cut of the student is to follow it whole.

    Args:
        objective: a function of embeddings, such as those of `yuyi.train.losses`.
        weights: a dimension to its share; any order.

    Returns:
        A function with the arguments of `objective`. It raises ValueError for embeddings that are shorter
        than a cut.
    """
    total = sum(weights.values())

    def averaged(*embeddings: Tensor | None, **settings: Any) -> Tensor:
        losses = (
            weight * objective(*(_cut(embedding, dim) for embedding in embeddings), **settings)
            for dim, weight in weights.items()
        )
        return sum(losses) / total  # type: ignore[return-value]

    return averaged


def _cut(embeddings: Tensor | None, dim: int) -> Tensor | None:
    """The leading `dim` dimensions."""
    if embeddings is not None and embeddings.shape[1] < dim:
        raise ValueError(f"embeddings of {embeddings.shape[1]} dimensions have no cut to {dim}")
    return None if embeddings is None else embeddings[:, :dim]
