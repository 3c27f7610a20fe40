from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yuyi.errors import InputError
from yuyi.text.overflow import EncodeInfo, Frame, fit, mean_of_chunks
from yuyi.types import TokenBatch

FIRST, LAST = -1, -2


def batch_of(texts: list[list[int]]) -> TokenBatch:
    offsets = np.concatenate([[0], np.cumsum([len(text) for text in texts], dtype=np.int64)]).astype(np.int64)
    return TokenBatch(np.array([token for text in texts for token in text], dtype=np.int32), offsets)


def rows_of(batch: TokenBatch) -> list[list[int]]:
    return [
        batch.ids[start:stop].tolist()
        for start, stop in zip(batch.offsets[:-1], batch.offsets[1:], strict=True)
    ]


def frame_of(max_tokens: int | None, before: int = 1, after: int = 1) -> Frame:
    return Frame(np.full(before, FIRST, dtype=np.int32), np.full(after, LAST, dtype=np.int32), max_tokens)


TEXTS = st.lists(st.lists(st.integers(0, 9), max_size=25), max_size=8)
FRAMES = st.builds(frame_of, st.none() | st.integers(5, 30), st.integers(0, 2), st.integers(0, 2))


@given(TEXTS, FRAMES)
def test_cut_keeps_the_first_tokens_and_the_special_ones(texts: list[list[int]], frame: Frame) -> None:
    fitted = fit(batch_of(texts), frame, "cut")
    room = 10**6 if frame.max_tokens is None else frame.max_tokens - frame.specials
    expected = [[*frame.prefix, *text[:room], *frame.suffix] for text in texts]
    assert rows_of(fitted.batch) == expected
    assert (fitted.batch.ids.dtype, fitted.batch.offsets.dtype) == (np.int32, np.int64)
    assert fitted.info.tokens.tolist() == [len(text) + frame.specials for text in texts]
    assert fitted.info.used.tolist() == [len(row) for row in expected]
    assert (fitted.info.chunks == 1).all()
    assert fitted.info.cut.tolist() == [number for number, text in enumerate(texts) if len(text) > room]


@given(TEXTS, FRAMES, st.integers(0, 0) | st.lists(st.integers(10, 19), max_size=3))
def test_pool_reads_every_token_once(texts: list[list[int]], frame: Frame, prompt: int | list[int]) -> None:
    head = prompt if isinstance(prompt, list) else []
    if frame.max_tokens is not None and len(head) >= frame.max_tokens - frame.specials:
        head = []
    fitted = fit(batch_of([head + text for text in texts]), frame, "pool", head=len(head))
    rows = iter(rows_of(fitted.batch))
    for text, chunks, tokens, used in zip(
        texts, fitted.info.chunks, fitted.info.tokens, fitted.info.used, strict=True
    ):
        parts = [next(rows) for _ in range(chunks)]
        for part in parts:
            assert frame.max_tokens is None or len(part) <= frame.max_tokens
            assert part[: len(frame.prefix)] == frame.prefix.tolist()
            assert part[len(part) - len(frame.suffix) :] == frame.suffix.tolist()
        inner = [part[len(frame.prefix) : len(part) - len(frame.suffix)] for part in parts]
        assert all(part[: len(head)] == head for part in inner)
        assert [token for part in inner for token in part[len(head) :]] == text
        assert tokens == used == len(text) + len(head) + frame.specials
        assert chunks == 1 or all(part[len(head) :] for part in inner)
    assert list(rows) == []


@given(TEXTS, st.integers(5, 30))
def test_vectors_of_chunks_are_averaged_by_their_tokens(texts: list[list[int]], limit: int) -> None:
    fitted = fit(batch_of(texts), frame_of(limit), "pool")
    # The sum of a row's own tokens over their number: averaged rightly, it is that of the whole text.
    rows = [row[1:-1] for row in rows_of(fitted.batch)]
    vectors = np.array([[sum(row) / max(len(row), 1)] for row in rows], dtype=np.float32).reshape(-1, 1)
    expected = [sum(text) / max(len(text), 1) for text in texts]
    found = mean_of_chunks(vectors, fitted)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-6, atol=1e-6)


def test_a_long_text_is_refused_by_number_and_length() -> None:
    texts = batch_of([[1] * 3, [1] * 1_210, [1] * 9_000])
    with pytest.raises(InputError, match=r"text 41: has 1,212 tokens and the model takes 512.*'cut'.*'pool'"):
        fit(texts, frame_of(512), "error", first=40)
    assert len(fit(texts, frame_of(None), "error").batch) == 3
    assert len(fit(texts, frame_of(9_002), "error").batch) == 3


def test_a_prompt_must_leave_room() -> None:
    with pytest.raises(InputError, match="prompt's 8 tokens leave no room"):
        fit(batch_of([[5] * 20]), frame_of(10), "pool", head=8)
    assert fit(batch_of([[5] * 20]), frame_of(10), "pool", head=7).info.chunks.tolist() == [13]


def test_the_summary_counts_what_was_lost_or_parted() -> None:
    lengths = np.array([900, 7, 600])
    assert EncodeInfo(lengths, lengths, np.array([1, 1, 1])).summary() == ""
    cut = EncodeInfo(lengths, np.minimum(lengths, 512), np.array([1, 1, 1]))
    assert cut.summary() == "2 of 3 texts were cut; 476 of 1,507 tokens dropped"
    pooled = EncodeInfo(lengths, lengths, np.array([2, 1, 1]))
    assert pooled.summary() == "1 of 3 texts was pooled from 2 chunks"
    joined = EncodeInfo.joined([cut, pooled])
    assert joined.cut.tolist() == [0, 2]
    assert joined.summary() == (
        "2 of 6 texts were cut; 476 of 3,014 tokens dropped; 1 of 6 texts was pooled from 2 chunks"
    )
    assert EncodeInfo.joined([]).summary() == ""
