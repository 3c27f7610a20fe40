"""Vectors in fewer bits by ranges that were measured on text, one a dimension.

`yuyi.encode.output` needs no ranges: one scale fits all vectors of a length. With ranges each dimension uses
its 256 steps where its values are. They are a property of the model, so all vectors that are compared have to
be stored with the same ones; sentence-transformers' `quantize_embeddings` takes them as `ranges`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from yuyi.errors import InputError, ModelError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

FILE = "embedding_ranges.json"
_STEPS = 255
_MIDDLE = 128
# On either side of the mean. The least and greatest values of a hundred texts clip three values of a hundred
# in others, at twice the loss; five deviations waste steps.
_DEVIATIONS = 4.5


@dataclass(frozen=True, slots=True, eq=False)
class Ranges:
    """Where the values of each dimension are.

    Attributes:
        least: (dim,) float32; what is below is stored as this.
        greatest: (dim,) float32; what is above is stored as this.
        thresholds: (dim,) float32; a bit says whether a value is above.
    """

    least: Vectors
    greatest: Vectors
    thresholds: Vectors

    def int8(self, vectors: Vectors) -> NDArray[np.int8]:
        """(rows, dim) int8: which of the 256 steps of its dimension's range each value is in.

        Equal to `quantize_embeddings(vectors, "int8", ranges=np.stack([least, greatest]))`.
        """
        self._check(vectors)
        steps = np.clip(np.floor((vectors - self.least) / self._step), 0, _STEPS)
        return cast("NDArray[np.int8]", (steps - _MIDDLE).astype(np.int8))

    def floats(self, values: NDArray[np.int8]) -> Vectors:
        """(rows, dim) float32, the middles of the steps: half a step off at most, within the ranges."""
        self._check(values)
        steps = values.astype(np.float32) + np.float32(_MIDDLE + 0.5)
        return cast("Vectors", self.least + steps * self._step)

    def binary(self, vectors: Vectors) -> NDArray[np.uint8]:
        """(rows, dim / 8 rounded up) uint8, as `yuyi.encode.output.store` has them, around the thresholds."""
        self._check(vectors)
        return np.packbits(vectors > self.thresholds, axis=1)

    @property
    def _step(self) -> Vectors:
        step = (self.greatest - self.least) / np.float32(_STEPS)
        return np.where(step > 0, step, np.float32(1))

    def _check(self, vectors: NDArray[Any]) -> None:
        if vectors.ndim != 2 or vectors.shape[1] != len(self.least):
            raise InputError(
                f"vectors of shape {vectors.shape} and ranges of {len(self.least)} dimensions. Give rows of "
                "vectors of the model that the ranges were measured on."
            )


def measure_ranges(vectors: Vectors) -> Ranges:
    """Ranges of 4.5 standard deviations around the mean of each dimension; thresholds are zero.

    Args:
        vectors: (rows, dim) float32, of at least two texts like those that are to be stored.

    Raises:
        InputError: there are fewer than two, or one holds a value that is no number.
    """
    if len(vectors) < 2 or not np.isfinite(vectors).all():
        raise InputError(
            f"{len(vectors)} vectors, or values that are no numbers, have no ranges. Give vectors of real "
            "texts."
        )
    mean, reach = vectors.mean(axis=0), _DEVIATIONS * vectors.std(axis=0)
    return Ranges(
        (mean - reach).astype(np.float32), (mean + reach).astype(np.float32), np.zeros_like(mean, np.float32)
    )


def write_ranges(folder: Path, ranges: Ranges) -> str:
    """The name of the file, written into a folder."""
    values = {name: getattr(ranges, name).tolist() for name in Ranges.__slots__}
    (folder / FILE).write_text(json.dumps(values) + "\n", encoding="utf-8")
    return FILE


def read_ranges(folder: Path) -> Ranges:
    """The ranges that an exported folder holds.

    Raises:
        ModelError: there are none, or the file is damaged.
    """
    path = folder / FILE
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        parts = [np.array(values[name], dtype=np.float32) for name in Ranges.__slots__]
    except FileNotFoundError as error:
        raise ModelError(f"{path}: there is none. Export the model with --to onnx-int8.") from error
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise ModelError(f"{path}: cannot be read ({error}). Export the model again.") from error
    if parts[0].ndim != 1 or len({part.shape for part in parts}) != 1:
        raise ModelError(f"{path}: its lists have different lengths. Export the model again.")
    return Ranges(*parts)
