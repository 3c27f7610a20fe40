"""The pairs that `benchmarks/train.py` trains on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
DATA = HERE.parent.parent / "shared" / "data" / "train" / "pairs"
# The model's own limit.
MAX_TOKENS = 256
# All English collections whose two texts are marked as belonging together or were collected as such, and the
# label that says so. Nothing is chosen by length: each counts by its number of pairs.
_SOURCES = (
    ("medical_qa_en", None),
    ("medquad", None),
    ("pubmedqa_labelled", None),
    ("trecqa_train", 1.0),
    ("wikiqa_train", 1.0),
    ("msr_paraphrase_train", 1.0),
    ("snli_en_dev_test", 2.0),
)


def read_pairs(count: int, file: Path | None) -> list[tuple[str, str]]:
    """`count` pairs in an order drawn once and for all; repeated where there are fewer.

    Args:
        count: how many.
        file: any Parquet file with `text_a` and `text_b`, or None for the English training pairs: questions
            with answers of up to thousands of tokens, sentences with their paraphrases, and premises with
            what follows from them.
    """
    pairs = list(_read(file))
    order = np.random.default_rng(0).permutation(len(pairs))
    return [pairs[order[number % len(pairs)]] for number in range(count)]


def _read(file: Path | None) -> Iterable[tuple[str, str]]:
    import pyarrow.parquet as pq

    files = [(file, None)] if file else [(DATA / f"{name}.parquet", label) for name, label in _SOURCES]
    for path, wanted in files:
        for row in pq.read_table(path).to_pylist():
            if row["text_a"] and row["text_b"] and (wanted is None or row["label"] == wanted):
                yield row["text_a"], row["text_b"]


def count_tokens(pairs: list[tuple[str, str]], tokenizer_file: Path) -> NDArray[np.int64]:
    """(pairs, 2) tokens of both sides, special tokens included, cut at `MAX_TOKENS`."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    sides = [tokenizer.encode_batch_fast(list(texts)) for texts in zip(*pairs, strict=True)]
    return np.array([[len(encoding) for encoding in side] for side in sides]).T


def describe(lengths: NDArray[np.int64], batch: int) -> str:
    """A few sentences on the lengths (pairs, 2), and on what padding to the longest of a batch adds."""
    shares = (10, 25, 50, 75, 90)
    told = [
        f"`{name}` {column.mean():.0f} tokens on average "
        f"({', '.join(f'{value:.0f}' for value in np.percentile(column, shares))} at "
        f"{', '.join(map(str, shares))} %)"
        for name, column in zip(("text_a", "text_b"), lengths.T, strict=True)
    ]
    batches = np.split(lengths, range(batch, len(lengths), batch))
    padded = sum(int(part.max(axis=0).sum()) * len(part) for part in batches)
    return (
        f"{len(lengths):,} pairs, cut at {MAX_TOKENS} tokens: {'; '.join(told)}. Padded to the longest of "
        f"each column of {batch} they are {padded / lengths.sum():.2f} times as many tokens."
    )
