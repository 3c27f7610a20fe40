"""Other people's answers to compare with: sentence-transformers on a folder, and the texts it is asked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from tokenizers import Tokenizer

if TYPE_CHECKING:
    from torch import Tensor

    from yuyi.pipeline import Pipeline

TINY = Path(__file__).parent.parent / "tiny"
# What sentence-transformers opens without running code from a folder and without guessing the pooling.
PEERS = ("bert-zh", "bert-dense", "roberta", "xlm-roberta", "modernbert")
FOLDERS = (*PEERS, "gte-new")

TEXTS = (
    "",
    "我",
    "a",
    "今天天气很好，我们去公园散步。",
    "How do I renew my passport?",
    "语义搜索 turns text into 向量, then compares them 😀",
    "𠮷野家 é ü ﬁ 全角ＡＢＣ１２３",
    "花呗分期后芝麻分一直不涨，借呗怎么还款？",
    "a <pad> b",  # a padding token of RoBERTa's that stands in the text itself
    "<pad><pad>",
    "The weather is nice today, we walk in the park. " * 2,
    "向量数据库保存这些向量。" * 40,
    "Where can I buy a good watch in Hong Kong? " * 40,
)


def token_ids(pipeline: Pipeline, texts: tuple[str, ...] | list[str]) -> list[list[int]]:
    """Each text's ids, cut at the model's limit."""
    tokenizer = Tokenizer.from_file(str(pipeline.transformer / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(pipeline.max_tokens)
    return [encoding.ids for encoding in tokenizer.encode_batch(list(texts))]


def flat(rows: list[list[int]]) -> tuple[Tensor, Tensor]:
    """(ids, offsets) of rows laid end to end."""
    ids = torch.tensor([token for row in rows for token in row], dtype=torch.int32)
    return ids, torch.tensor([0, *(len(row) for row in rows)]).cumsum(0)
