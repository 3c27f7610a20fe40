from __future__ import annotations

from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from yuyi.records import Pair
from yuyi.text.tokenizer import BatchTokenizer
from yuyi.train.corpus import read_sources, teacher_source
from yuyi.train.tokens import tokenize

TOKENIZER = Tokenizer.from_file(str(Path(__file__).parent.parent / "tiny" / "static" / "tokenizer.json"))


def ids(text: str) -> list[int]:
    found: list[int] = TOKENIZER.encode(text, add_special_tokens=False).ids
    return found


def test_the_first_tokens_of_each_text() -> None:
    texts = ["胡子长得太快怎么办？" * 20, "", "passport", "How do I renew my passport? " * 50]
    batch = tokenize(texts, BatchTokenizer(TOKENIZER), 12)
    assert batch.lengths.tolist() == [12, 0, 1, 12]
    for number, text in enumerate(texts):
        found = batch.ids[batch.offsets[number] : batch.offsets[number + 1]].tolist()
        assert found == ids(text)[:12]


def test_more_texts_than_fit_a_block() -> None:
    batch = tokenize(["胡子", "passport watch"] * 15_000, BatchTokenizer(TOKENIZER), 4)
    assert len(batch) == 30_000
    assert batch.ids[-3:].tolist() == ids("胡子") + ids("passport watch")


def test_a_source_for_each_collection_and_kind() -> None:
    pairs = [
        *(Pair("b", "qa", f"passport {number % 3}", "今天天气", None, "en-zh") for number in range(5)),
        *(Pair("a", "sts", "胡子", f"向量 {number}", float(number), "zh") for number in range(5)),
        *(Pair("b", "sts", "胡子", "向量", 0.5, "zh") for _ in range(4)),
        *(Pair("a", "classification", "胡子", "", 1.0, "zh") for _ in range(6)),
    ]
    sources = read_sources(pairs, TOKENIZER, longest=8, smallest=5)
    assert [(source.name, source.kind, len(source)) for source in sources] == [
        ("a", "classification", 6),
        ("a", "sts", 5),
        ("b", "qa", 5),
    ]
    classification, sts, qa = sources
    assert not len(classification.documents.tokens.ids)
    assert sts.labels.tolist() == [0, 1, 2, 3, 4]
    assert np.isnan(qa.labels).all()
    assert qa.queries.keys[[3, 4]].tolist() == qa.queries.keys[:2].tolist()
    assert len(set(qa.queries.keys.tolist())) == 3
    assert len(set(qa.documents.keys.tolist())) == 1
    assert sts.queries.keys[0] == classification.queries.keys[0] != qa.queries.keys[0]
    assert qa.documents.tokens.ids[: len(ids("今天天气"))].tolist() == ids("今天天气")


def test_what_a_teacher_was_asked_is_a_source() -> None:
    source = teacher_source(["passport", "", "胡子"], TOKENIZER, 8)
    assert (source.kind, len(source)) == ("teacher", 3)
    assert source.queries is source.documents
    assert np.isnan(source.labels).all()
    assert source.queries.tokens.lengths.tolist() == [1, 0, 1]
