"""How many rows each group gives: in proportion to its weight, and never more than limits and caps allow."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Cap: TypeAlias = "tuple[NDArray[np.bool_], int]"


def tempered_weights(
    sources: NDArray[np.int64], rows: NDArray[np.int64], alpha: float
) -> NDArray[np.float64]:
    """The weight of each group: its source's rows to the power `alpha`, its share of them in the source.

    Sampling sources in proportion to n^alpha is GTE's (arXiv 2308.03281, section 3.1).

    Args:
        sources: number of the source of each group.
        rows: rows of each group, none of them 0.
        alpha: 1 for the weights of nature, 0 for equal ones.
    """
    of_source = np.bincount(sources, rows).astype(np.float64)
    return of_source[sources] ** (alpha - 1) * rows


def allot(
    weights: NDArray[np.float64], limits: NDArray[np.int64], caps: Sequence[Cap] = ()
) -> NDArray[np.int64]:
    """Rows of each group: as many as limits and caps allow, by the weights where they allow not all.

    All groups grow together in proportion to their weights. One that reaches its limit stops, and so do those
    under a cap that is reached, while the others go on: what one group cannot give under a cap, another does.
    Groups with weight 0 give nothing. Fractions go to the groups with the largest ones.

    Args:
        weights: of each group.
        limits: most rows of each group.
        caps: groups, as a mask, that together give so many rows at most.
    """
    limits, weights = np.where(weights > 0, limits, 0), np.where(weights > 0, weights, 1)
    shares = np.zeros(len(weights))
    open_ = limits > 0
    while open_.any():
        heights = [
            ((most - shares[group & ~open_].sum()) / weights[group & open_].sum(), group & open_)
            for group, most in caps
            if (group & open_).any()
        ]
        height, under = min(heights, key=lambda each: each[0], default=(np.inf, open_))
        # What is full before any cap is reached leaves more to the others, so it stops first.
        full = open_ & (limits <= height * weights)
        shares[full] = limits[full]
        if not full.any():
            shares[under] = np.maximum(height, 0) * weights[under]
        open_ &= ~(full if full.any() else under)
    return _whole(shares, limits, caps)


def _whole(shares: NDArray[np.float64], limits: NDArray[np.int64], caps: Sequence[Cap]) -> NDArray[np.int64]:
    """Whole numbers that keep to limits and caps, each less than 1 away from its share."""
    whole = np.floor(shares + 1e-6).astype(np.int64)
    order = np.lexsort((np.arange(len(shares)), whole - shares))
    for place in order[shares[order] > whole[order] + 1e-6].tolist():
        if whole[place] < limits[place] and all(
            whole[group].sum() < most for group, most in caps if group[place]
        ):
            whole[place] += 1
    return whole
