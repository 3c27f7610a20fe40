"""What leaves the encoder: vectors cut, scaled to unit length, stored in fewer bits, and compared again.

Stored precisions and the memory they take, against float32:

| precision | a value is | memory | compared by |
|---|---|---|---|
| `float16` | rounded | 1/2 | cosine |
| `int8` | a multiple of one scale, the same for all vectors of this length | 1/4 | cosine |
| `binary` | one bit: whether it is above zero | 1/32 | share of equal bits |

The int8 scale depends on nothing but the dimension, so vectors made on different days or by different
processes compare with each other; where the cosine is asked for it cancels out and need not be known.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from yuyi.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

Precision = Literal["float32", "float16", "int8", "binary"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)

# A value of a unit vector is about 1 / sqrt(dim). The largest in practice are five times that; up to eight
# times fits into int8, and what is beyond (an outlier dimension) is clipped.
_LARGEST = 8.0


def unit(vectors: Vectors) -> Vectors:
    """(rows, dim) float32, each row scaled to unit length; zero rows stay zero."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: Vectors = (vectors / np.where(norms > 0, norms, 1)).astype(np.float32, copy=False)
    return scaled


def store(vectors: Vectors, precision: Precision) -> NDArray[Any]:
    """The vectors in a precision: (rows, dim), or for `binary` (rows, dim / 8 rounded up) uint8.

    Args:
        vectors: (rows, dim) float32; of unit length for `int8`.
        precision: one of `float32`, `float16`, `int8`, `binary`. Binary is what sentence-transformers calls
            `ubinary`: eight signs a byte, the first in the highest bit.
    """
    match precision:
        case "float32":
            return vectors
        case "float16":
            return vectors.astype(np.float16)
        case "int8":
            return quantize(vectors, int8_scale(vectors.shape[1]))
        case "binary":
            return np.packbits(vectors > 0, axis=1)


def int8_scale(dim: int) -> float:
    """What one step of an int8 value means in unit vectors of `dim` values."""
    return min(1.0, _LARGEST / math.sqrt(dim)) / 127


def calibrated_scale(sample: Vectors) -> float:
    """The smallest scale that clips no value of these vectors; for `quantize`, when they stand for all.

    Raises:
        InputError: the sample is empty or zero.
    """
    largest = float(np.abs(sample).max(initial=0))
    if not largest > 0:
        raise InputError("no scale can be found from no vectors or from zeros. Give vectors of real texts.")
    return largest / 127


def quantize(vectors: Vectors, scale: float) -> NDArray[np.int8]:
    """(rows, dim) int8, the nearest multiples of `scale`; what is beyond 127 of them is clipped."""
    steps: Vectors = np.rint(vectors / np.float32(scale))
    return np.clip(steps, -127, 127).astype(np.int8)


def dequantize(values: NDArray[np.int8], scale: float | None = None) -> Vectors:
    """(rows, dim) float32 from int8 values; without a scale, by that of `encode(precision="int8")`."""
    step = int8_scale(values.shape[-1]) if scale is None else scale
    return values.astype(np.float32) * np.float32(step)


def similarity(a: NDArray[Any], b: NDArray[Any]) -> Vectors:
    """(rows of a, rows of b) float32 between -1 and 1; a single vector counts as one row.

    For float and int8 vectors it is the cosine, computed in float32. For binary ones (uint8) it is the share
    of equal bits less the share of different ones: 1 - 2 x Hamming distance / bits, which estimates the
    cosine's order; the bits that fill the last byte count as equal.

    Raises:
        InputError: the vectors have different lengths, or only one side is binary.
    """
    a, b = np.atleast_2d(a), np.atleast_2d(b)
    if a.shape[1] != b.shape[1] or (a.dtype == np.uint8) != (b.dtype == np.uint8):
        raise InputError(
            f"vectors of {a.shape[1]} values ({a.dtype}) and of {b.shape[1]} ({b.dtype}) cannot be compared. "
            "Encode both with one model, dimension and precision."
        )
    if a.dtype == np.uint8:
        signs = [np.unpackbits(side, axis=1).astype(np.float32) * 2 - 1 for side in (a, b)]
        agreement: Vectors = signs[0] @ signs[1].T / np.float32(8 * a.shape[1])
        return agreement
    cosines: Vectors = unit(a.astype(np.float32, copy=False)) @ unit(b.astype(np.float32, copy=False)).T
    return cosines
