"""What is asked of embeddings beside an objective."""

from __future__ import annotations

from typing import TYPE_CHECKING

from yuyi.train.losses.cosines import unit

if TYPE_CHECKING:
    from torch import Tensor


def spread_out(*columns: Tensor) -> Tensor:
    """Mean of squared cosines between different rows of a column, summed over columns.

    Of random directions it is 1/dim; less is hardly possible for many rows. Directions that use the whole
    space lose less to int8, to binary codes and to approximate search. Zero for a column of one row.

    It is computed from the (dim, dim) moments, since the sum over all i, j of (x_i . x_j)^2 is the sum of
    squares of X^T X.

    Source: Zhang et al. 2017, arXiv 1708.06320, the second moment; EmbeddingGemma, Schechter Vera et al.
    2025, arXiv 2509.20354, which leaves out the first moment, as here.

    Args:
        columns: (n, dim) each: queries, documents. Rows of different columns are not compared.
    """
    return sum((_second_moment(column) for column in columns[1:]), start=_second_moment(columns[0]))


def _second_moment(column: Tensor) -> Tensor:
    directions = unit(column)
    rows = len(directions)
    everything = (directions.T @ directions).square().sum()
    themselves = directions.square().sum(1).square().sum()
    return (everything - themselves) / max(1, rows * (rows - 1))
