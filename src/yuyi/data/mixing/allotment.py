"""How many rows each group gives: in proportion to its weight, and never more than it has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


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


def allot(total: float, weights: NDArray[np.float64], limits: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows of each group, `total` together, or all that the limits allow if that is less.

    Where a group reaches its limit, what it cannot give is divided among the others by their weights; groups
    with weight 0 give nothing. Fractions go to the groups with the largest ones.
    """
    limits = np.where(weights > 0, limits, 0)
    if total >= limits.sum():
        return limits
    shares = np.zeros(len(weights))
    open_ = limits > 0
    while open_.any():
        left = total - shares[~open_].sum()
        shares[open_] = left * weights[open_] / weights[open_].sum()
        full = open_ & (shares >= limits)
        if not full.any():
            break
        shares[full] = limits[full]
        open_ &= ~full
    return _whole(shares, limits)


def at_scale(scale: float, weights: NDArray[np.float64], limits: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows of each group: its weight times `scale`, rounded up, or its limit if that is less."""
    wanted = np.ceil(np.round(weights * scale, 6))
    return np.minimum(wanted, np.where(weights > 0, limits, 0)).astype(np.int64)


def _whole(shares: NDArray[np.float64], limits: NDArray[np.int64]) -> NDArray[np.int64]:
    """Whole numbers with the same sum as `shares`, each at most 1 away."""
    whole = np.floor(shares + 1e-9).astype(np.int64)
    missing = round(float(shares.sum())) - int(whole.sum())
    order = np.lexsort((np.arange(len(shares)), -(shares - whole)))
    able = order[whole[order] < limits[order]]
    whole[able[:missing]] += 1
    return whole
