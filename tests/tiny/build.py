"""Builds the tiny model that the tests load: a few hundred pieces, 32 dimensions, random rows.

Run `python tests/tiny/build.py` after a change of the folder format; the folder beside it is committed.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from yuyi.encode.static_folder import StaticCard, save_static
from yuyi.train.vocabulary import VocabularyConfig, build_tokenizer, count_words

TEXTS = (
    "胡子长得太快怎么办？胡子长得快怎么办？怎样使胡子不浓密！香港买手表哪里好",
    "花呗分期后芝麻分一直不涨，借呗怎么还款？今天天气很好，我们去公园散步。",
    "语义搜索把文字变成向量，然后比较向量之间的余弦。向量数据库保存这些向量。",
    "How do I renew my passport? Where can I buy a good watch in Hong Kong?",
    "The weather is nice today, we walk in the park. A vector is a list of numbers.",
    "Semantic search turns text into vectors and compares the cosine of the vectors.",
    "如何安装 Python 和 numpy？Install Python 3 and numpy with pip, then run the tests.",
)


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
