"""A few Chinese and English texts of different kinds, on which number types are compared and calibrated."""

from __future__ import annotations

from typing import TYPE_CHECKING

from yuyi.text.overflow import fit
from yuyi.text.tokenizer import BatchTokenizer
from yuyi.text.tokenizer_folder import read_tokenizer

if TYPE_CHECKING:
    from yuyi.pipeline import Pipeline
    from yuyi.types import TokenBatch

SAMPLE = (
    "怎么更换护照？",
    "How do I undo my last commit without losing the changes?",
    "这家店的牛肉面分量很足，汤头也好，就是排队要半个小时。",
    "The committee postponed its decision until the audit of the 2023 accounts is complete.",
    "新发布的 Python 3.13 支持自由线程模式，性能测试显示多核任务快了近一倍。",
    "Preheat the oven to 200 °C; bake for 25 minutes, or until the crust turns golden.",
    "患者主诉头痛三天，伴有低烧，血压 145/95 mmHg，建议复查。",
    "error: cannot open 'config.yaml': permission denied (os error 13)",
    "李白，字太白，号青莲居士，唐代诗人。",
    "Shares fell 3.2% on Tuesday after the company cut its forecast for a second time this year.",
)


def sample_tokens(pipeline: Pipeline) -> TokenBatch:
    """The ids of `SAMPLE` by the model's own tokenizer, with its special tokens, about 250 tokens.

    Raises:
        ModelError: the folder has no tokenizer that can be read.
    """
    tokenizer = BatchTokenizer(read_tokenizer(pipeline.transformer, lower_case=pipeline.lower_case))
    return fit(tokenizer(SAMPLE), tokenizer.frame(pipeline.max_tokens), "cut").batch
