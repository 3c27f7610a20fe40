"""Lines ranked in blocks are ranked as they would be at once."""

from __future__ import annotations

import time

import numpy as np
import pytest

from yuyi.errors import InputError
from yuyi.search import rerank
from yuyi.search.query import encode_question
from yuyi.search.rerank import rank_lines

LINES = ["香港买手表哪里好", "", "胡子长得快怎么办？", "  怎样使胡子不浓密！  ", "胡子长得快怎么办？", "!!"]


def test_blocks_change_nothing(encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    question = encode_question("胡子长得太快怎么办？", encoder)
    whole = rank_lines(LINES, question, encoder, 4)
    monkeypatch.setattr(rerank, "_BLOCK_LINES", 2)
    counts: list[int] = []
    streamed = rank_lines(iter(LINES), question, encoder, 4, counts.append)
    assert [hit.passage for hit in streamed] == [hit.passage for hit in whole]
    assert sum(counts) == 5
    assert {hit.passage.line for hit in whole[:2]} == {3, 5}
    assert {hit.file for hit in whole} == {"-"}
    expected = encoder.encode([hit.passage.text for hit in whole]) @ question[0]
    np.testing.assert_allclose([hit.score for hit in whole], expected, atol=1e-6)


def test_nothing_and_a_million_empty_lines(encoder) -> None:
    question = encode_question("胡子", encoder)
    started = time.process_time()
    assert rank_lines(("" for _ in range(1_000_000)), question, encoder, 10) == []
    assert time.process_time() - started < 2
    assert rank_lines([], question, encoder, 10) == []


@pytest.mark.parametrize("query", ["", "  \n", "？！…", "()[]", "\u200b", "half \udc80"])
def test_a_question_needs_words(encoder, query: str) -> None:
    with pytest.raises(InputError):
        encode_question(query, encoder)
