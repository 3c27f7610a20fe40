"""What storing a model's vectors in fewer bits costs, by ranges that are measured on text."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from yuyi.encode.output import similarity
from yuyi.encode.ranges import measure_ranges
from yuyi.export.verifying.closeness import overlap, spearman

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from yuyi.encode.ranges import Ranges

    Vectors = NDArray[np.float32]
    Losses = dict[str, dict[str, float]]

_NEAREST = 10


def calibrated_outputs(measured: Vectors, judged: Vectors) -> tuple[Ranges, Losses]:
    """Ranges of the first vectors, and how well the others keep their order when they are stored with them.

    The loss is given for `int8` and `binary` as `spearman`, the rank correlation of the cosines of all pairs,
    and `overlap`, the share of each vector's ten nearest that stay among them. Thresholds are zero, or the
    medians where these keep the order of the first vectors better.

    Args:
        measured: (rows, dim) float32, of unit length.
        judged: the same of other texts.
    """
    ranges = measure_ranges(measured)
    around_medians = dataclasses.replace(ranges, thresholds=np.median(measured, axis=0).astype(np.float32))
    ranges = max(
        ranges, around_medians, key=lambda tried: _kept(measured, tried.binary(measured))["spearman"]
    )
    return ranges, {
        "int8": _kept(judged, ranges.floats(ranges.int8(judged))),
        "binary": _kept(judged, ranges.binary(judged)),
    }


def _kept(vectors: Vectors, stored: Vectors | NDArray[np.uint8]) -> dict[str, float]:
    expected, found = similarity(vectors, vectors), similarity(stored, stored)
    pairs = np.triu_indices(len(vectors), 1)
    ranks = spearman(expected[pairs].astype(np.float64), found[pairs].astype(np.float64))
    near = [_nearest_others(cosines) for cosines in (expected, found)]
    return {"spearman": round(ranks, 5), "overlap": round(overlap(*near), 4)}


def _nearest_others(cosines: Vectors) -> NDArray[np.int64]:
    alone = cosines - 4 * np.eye(len(cosines), dtype=np.float32)
    return np.argsort(-alone, axis=1, kind="stable")[:, :_NEAREST]
