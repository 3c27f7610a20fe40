"""Vectors of many texts as whole numbers, and how they compare.

A vector of length one becomes whole numbers by the factor 4,000. Then every product of two vectors, and every
part of its sum, is a whole number below 2^24, which float32 holds exactly: scores do not depend on the order
of summation, so neither on threads nor on blocks, and equal texts have equal scores. The cosine is off by
about 0.0001, and a value takes two bytes.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from yuyi.encode.encoder import Encoder

UNIT = 4_000
# Texts encoded at a time, and the sides of a block of scores; the block stays in cache.
_TEXTS = 20_000
_QUERIES, _PASSAGES = 1_024, 4_096


def whole_numbers(vectors: NDArray[np.float32]) -> NDArray[np.int16]:
    """Vectors of unit length in steps of 1 / UNIT, of the same shape."""
    whole: NDArray[np.int16] = np.rint(vectors * np.float32(UNIT)).astype(np.int16)
    return whole


def write_vectors(path: Path, encoder: Encoder, texts: Sequence[str], *, asking: bool) -> None:
    """Write the vectors of texts as an .npy file of int16, (texts, dim).

    Args:
        path: the file.
        encoder: makes them.
        texts: any number.
        asking: whether they are queries, which some models encode otherwise than documents.
    """
    encode = encoder.encode_query if asking else encoder.encode_document
    with path.open("wb") as file:
        header = {"descr": "<i2", "fortran_order": False, "shape": (len(texts), encoder.dim)}
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, len(texts), _TEXTS):
            # Long texts are cut by many models; that concerns nobody here.
            vectors, _ = encode(texts[start : start + _TEXTS], return_info=True, show_progress=False)
            file.write(whole_numbers(vectors).tobytes())


def scores_of(left: NDArray[np.int16], right: NDArray[np.int16]) -> NDArray[np.float32]:
    """(rows,) float32: the cosine of each row of `left` to the same row of `right`, (rows, dim) both."""
    scores = np.empty(len(left), np.float32)
    for start in range(0, len(left), _PASSAGES):
        part = slice(start, start + _PASSAGES)
        scores[part] = np.einsum("ij,ij->i", left[part].astype(np.float32), right[part].astype(np.float32))
    return scores / np.float32(UNIT * UNIT)


def count_above(
    queries: NDArray[np.int16], partners: NDArray[np.int16], pool: NDArray[np.int16]
) -> NDArray[np.int64]:
    """(queries,) int64: how many rows of `pool` score above each query's partner.

    Args:
        queries: (queries, dim).
        partners: (queries, dim), the row that each query is measured by.
        pool: (rows, dim); whether a partner is among them makes no difference.
    """
    above = np.zeros(len(queries), np.int64)
    wide = pool.astype(np.float32)
    for start in range(0, len(queries), _QUERIES):
        block = queries[start : start + _QUERIES].astype(np.float32)
        partner = partners[start : start + _QUERIES].astype(np.float32)
        levels = np.einsum("ij,ij->i", block, partner)[:, None]
        for first in range(0, len(wide), _PASSAGES):
            higher = block @ wide[first : first + _PASSAGES].T > levels
            # Counting a row at a time is several times as fast as a sum over an axis.
            above[start : start + len(block)] += [np.count_nonzero(row) for row in higher]
    return above


@cache
def open_encoder(name: str) -> Encoder:
    """The encoder of that name, kept for this process; the embedded one for the empty name."""
    import yuyi

    return yuyi.load(name or None)
