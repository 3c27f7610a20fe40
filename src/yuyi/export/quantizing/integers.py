"""Floats as small whole numbers and their scales."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

# A scale of nothing but zeros.
_TINY = np.float32(1e-30)


def to_integers(values: Floats, levels: int, axis: int) -> tuple[NDArray[np.int8], Floats]:
    """int8 of the same shape, from -levels to levels, and scales with one value along `axis`.

    A value is its integer times its scale, off by half a scale at most.

    Args:
        values: what is rounded.
        levels: up to 127.
        axis: that along which values share a scale.
    """
    scales = np.maximum(np.abs(values).max(axis=axis, keepdims=True), _TINY) / np.float32(levels)
    whole = np.clip(np.rint(values / scales), -levels, levels)
    return whole.astype(np.int8), scales.astype(np.float32)
