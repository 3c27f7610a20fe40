"""Builds the tiny model that the tests load: a few hundred pieces, 32 dimensions, random rows.

Run `python tests/tiny/build.py` after a change of the folder format; the folder beside it is committed.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
from texts import TEXTS

from yuyi.encode.static_folder import StaticCard, save_static
from yuyi.train.starting.vocabulary import VocabularyConfig, build_tokenizer, count_words


def main() -> None:
    counts = {"tiny": Counter({word: 3 * count for word, count in count_words(TEXTS).items()})}
    tokenizer = build_tokenizer(counts, VocabularyConfig(size=400, latin_parts=60, smallest_count=1))
    table = np.random.default_rng(7).normal(size=(tokenizer.get_vocab_size(), 32)).astype(np.float32)
    vocabulary = tokenizer.get_vocab()
    for piece in ("[UNK]", "\x1e", "?", "？", ",", ".", "，", "。", "!"):
        if piece in vocabulary:
            table[vocabulary[piece]] = 0
    card = StaticCard("tiny-static", (32, 16, 8), ("zh", "en"), "Apache-2.0")
    save_static(Path(__file__).parent / "static", card, tokenizer, table)


if __name__ == "__main__":
    main()
