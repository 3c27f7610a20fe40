"""Where each token stands: its row of the position table, or its place in the text for rotary positions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from yuyi.model.config import EncoderConfig


def positions_of(
    ids: NDArray[np.integer], offsets: NDArray[np.int64], config: EncoderConfig
) -> NDArray[np.int32]:
    """(tokens,) int32: rows of the whole position table; without a table, places in the text from 0.

    A padding token that stands in a text itself ("<pad>" written out) is attended to and pooled as any other,
    but RoBERTa and XLM-RoBERTa give it the row of its own id and do not count it (transformers,
    `create_position_ids_from_input_ids`).

    Args:
        ids: (tokens,) token ids of all texts one after another.
        offsets: (rows + 1,) boundaries of the texts.
        config: of the encoder.
    """
    lengths = np.diff(offsets)
    places = np.arange(len(ids)) - np.repeat(offsets[:-1], lengths)
    first = config.position_offset or 0
    if first:
        padding = ids == config.pad_id
        if padding.any():
            # Padding tokens before each token, of all texts; less those before its own text.
            before = np.concatenate(([0], padding.cumsum()))
            places -= before[1:] - np.repeat(before[offsets[:-1]], lengths)
            places[padding] = config.pad_id - first
    return (places + first).astype(np.int32)
