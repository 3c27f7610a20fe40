"""Lines ranked as they stream by: memory holds one block of them and the best so far."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from yuyi.search.flat import FlatIndex
from yuyi.search.query import Hit, Passage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy as np
    from numpy.typing import NDArray

    from yuyi.types import Encoder

_BLOCK_LINES = 8_192


def rank_lines(
    lines: Iterable[str],
    question: NDArray[np.float32],
    encoder: Encoder,
    top: int,
    progress: Callable[[int], None] = lambda count: None,
) -> list[Hit]:
    """The `top` lines closest to the question, best first, equals in their order; blank lines do not count.

    Args:
        lines: candidates, each whole, however long.
        question: (1, dim) float32 of unit length.
        encoder: the model that made `question`.
        top: number of lines wanted.
        progress: called with the number of candidates of each block when it has been ranked.
    """
    numbered = ((number, text) for number, line in enumerate(lines, 1) if (text := line.strip()))
    best: list[Hit] = []
    while block := list(islice(numbered, _BLOCK_LINES)):
        vectors = encoder.encode_document([text for _, text in block])
        scores, rows = FlatIndex(vectors).search(question, top)
        for score, row in zip(scores[0].tolist(), rows[0].tolist(), strict=True):
            number, text = block[row]
            best.append(Hit(score, "-", Passage(text, (), number)))
        best.sort(key=lambda hit: -hit.score)
        del best[top:]
        progress(len(block))
    return best
