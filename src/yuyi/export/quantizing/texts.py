"""Texts on which numbers are rounded: the user's, or yuyi's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from yuyi.errors import InputError
from yuyi.text.overflow import fit
from yuyi.text.prompts import Prompts
from yuyi.text.rows import read_texts
from yuyi.text.tokenizer import BatchTokenizer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from yuyi.train.starting.start import TextModel

# Chinese and English by turns: questions, prose, notices, reviews, code, tables, notes.
OWN = Path(__file__).with_name("texts.txt")
# The first of a file: more change the ranges little, and each is run several times.
_MOST = 256
_FEWEST = 4
_MOST_TOKENS = 256


def calibration_texts(path: Path | None) -> list[str]:
    """The first 256 texts of a file that are not blank, or yuyi's own.

    Args:
        path: lines, JSONL, CSV or Parquet with a column `text`; None for yuyi's own.

    Raises:
        InputError: the file cannot be read, or holds fewer than four texts.
    """
    texts: list[str] = []
    for block in read_texts(str(path or OWN)):
        texts += [text for text in block.texts if text.strip()]
        if len(texts) >= _MOST:
            break
    if len(texts) < _FEWEST:
        raise InputError(
            f"{path}: {len(texts)} texts, too few to round numbers by. Give at least {_FEWEST}, better a "
            "hundred, like those that the model will read; or leave --calibration out for yuyi's own."
        )
    return texts[:_MOST]


def ids_of(model: TextModel, texts: list[str]) -> list[NDArray[np.int64]]:
    """The ids of each text with special tokens, 256 at most, behind the prompt that all texts have."""
    tokenizer = BatchTokenizer(model.tokenizer)
    frame = tokenizer.frame(min(model.max_tokens, _MOST_TOKENS))
    prompt = Prompts(model.prompts, model.default_prompt).choose(None, None)
    batch = fit(tokenizer([prompt + text for text in texts]), frame, "cut").batch
    return [ids.astype(np.int64) for ids in np.split(batch.ids, batch.offsets[1:-1])]
