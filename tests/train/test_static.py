from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer

from yuyi.errors import RecipeError
from yuyi.records import Pair
from yuyi.text.tokenizer import SEPARATOR
from yuyi.train.config import Course, Stage, Task
from yuyi.train.starting.vocabulary import UNKNOWN
from yuyi.train.static import first_vectors, train_table
from yuyi.train.table import Parts

TOKENIZER = Tokenizer.from_file(str(Path(__file__).parent.parent / "tiny" / "static" / "tokenizer.json"))
VOCABULARY: dict[str, int] = TOKENIZER.get_vocab()
PAIRS = [
    Pair("made", "qa", f"{first} {second} {number}", f"{second}", None, "zh")
    for number in range(40)
    for first, second in (("胡子", "长得"), ("向量", "搜索"), ("passport", "renew"))
]


def config(*tasks: Task, steps: int = 5) -> Course:
    return Course(dims={16: 1.0, 8: 0.5}, threads=1, stages=(Stage(name="weak", steps=steps, tasks=tasks),))


def test_a_trained_table_brings_partners_together() -> None:
    table = train_table(config(Task(objective="contrast", batch=3), steps=60), TOKENIZER, PAIRS)
    assert (table.shape, table.dtype) == ((len(VOCABULARY), 16), np.float32)
    asks = table[[VOCABULARY["胡子"], VOCABULARY["长得"]]].sum(axis=0)
    answers = table[[VOCABULARY["长得"], VOCABULARY["搜索"], VOCABULARY["renew"]]]
    own, *others = answers @ asks / np.linalg.norm(answers, axis=1) / np.linalg.norm(asks)
    assert own > max(others) + 0.5
    for piece in (UNKNOWN, SEPARATOR):
        assert not table[VOCABULARY[piece]].any()


def test_frequent_pieces_start_short() -> None:
    pieces = ["[UNK]", "胡", "子", "胡子"]
    frequencies = np.array([0.0, 0.0, 0.009, 0.991])
    start = first_vectors(Parts.of(pieces), frequencies, 400, seed=3)
    lengths = np.linalg.norm(start, axis=1) / 20
    # 子 counts for itself and as a part of 胡子: a / (a + 1).
    np.testing.assert_allclose(lengths, [1, 1e-3 / 0.992, 1e-3 / 1.001, 1e-3 / 0.992], rtol=0.15)
    np.testing.assert_array_equal(start, first_vectors(Parts.of(pieces), frequencies, 400, seed=3))


def test_words_that_the_teacher_knows_start_with_its_vectors() -> None:
    vectors = np.eye(3, 16, dtype=np.float32)
    teacher = (["passport", "watch", "not a piece"], vectors)
    still = Course(
        dims={16: 1.0},
        threads=1,
        stages=(Stage(name="rest", steps=1, learning_rate=1e-9, tasks=(Task(objective="align", batch=2),)),),
    )
    table = train_table(still, TOKENIZER, PAIRS, teacher)
    for row, word in enumerate(("passport", "watch")):
        found = table[VOCABULARY[word]]
        assert found @ vectors[row] / np.linalg.norm(found) == pytest.approx(1, abs=0.4)
        assert abs(found).argmax() == row


def test_an_aligned_table_follows_the_teacher() -> None:
    texts = ["胡子 长得", "passport renew", "向量 搜索", ""]
    vectors = np.random.default_rng(0).normal(size=(4, 16)).astype(np.float32)
    entries: list[dict[str, Any]] = []
    align = config(Task(objective="align", batch=4), steps=200)
    train_table(align, TOKENIZER, PAIRS, (texts, vectors), log=entries.append)
    assert entries[-1]["loss"]["align"] < 0.27  # The empty text's cosine stays zero.


def test_too_few_pairs_are_refused() -> None:
    with pytest.raises(RecipeError, match="no source has pairs"):
        train_table(config(Task(objective="contrast")), TOKENIZER, PAIRS[:10])
