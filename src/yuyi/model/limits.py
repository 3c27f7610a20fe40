"""What a model's tables have room for, checked before anything is looked up in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from yuyi.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from yuyi.model.config import EncoderConfig


def check_batch(ids: NDArray[np.int32], offsets: NDArray[np.int64], config: EncoderConfig) -> None:
    """Return when every token and every position of the texts has its row in the model's tables.

    Args:
        ids: (tokens,) token ids of all texts one after another.
        offsets: (rows + 1,) boundaries of the texts, from 0 to the number of tokens.
        config: the model's shape.

    Raises:
        InputError: a text is longer than the model's positions, or an id is not in its vocabulary.
    """
    lengths = np.diff(offsets)
    if offsets[0] != 0 or offsets[-1] != len(ids) or (lengths < 0).any():
        raise AssertionError(f"the boundaries {offsets} do not part {len(ids)} tokens")
    if not len(ids):
        return
    if not 0 <= int(ids.min()) <= int(ids.max()) < config.vocabulary:
        raise InputError(
            f"token ids from {ids.min()} to {ids.max()}: the model has {config.vocabulary} tokens. "
            "The tokenizer belongs to another model."
        )
    if lengths.max() > config.max_positions:
        raise InputError(
            f"a text of {lengths.max()} tokens: the model's positions end at {config.max_positions}. "
            "Cut the text or split it."
        )
