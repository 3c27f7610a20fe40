"""Rows come back from Parquet as they were, whatever their kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yuyi.data.blocks import CleanBlock, Link, read_blocks, write_blocks
from yuyi.errors import InputError
from yuyi.records import (
    Document,
    Mark,
    Pair,
    Part,
    read_documents,
    read_marks,
    read_pairs,
    write_documents,
    write_marks,
    write_pairs,
)

if TYPE_CHECKING:
    from pathlib import Path

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
numbers = st.integers(-1, 1 << 40)
scores = st.none() | st.floats(allow_nan=False)


@given(st.lists(st.builds(Pair, *[texts] * 4, scores, texts, texts, numbers, numbers, texts, texts)))
def test_pairs_come_back(tmp_path_factory: pytest.TempPathFactory, pairs: list[Pair]) -> None:
    path = tmp_path_factory.mktemp("records") / "pairs.parquet"
    assert write_pairs(path, pairs) == len(pairs)
    assert list(read_pairs(path)) == pairs


def test_nested_rows_come_back(tmp_path: Path) -> None:
    parts = (Part("question", 0, 5), Part("answer", 6, 9, score=3.0, of=0))
    documents = [
        Document("forum", "1", "题", "问题？\n\n答", "zh", parts),
        Document("forum", "2", "", "", "en"),
    ]
    write_documents(tmp_path / "d.parquet", documents)
    assert list(read_documents(tmp_path / "d.parquet")) == documents
    blocks = [
        CleanBlock(0, "paragraph", 0, "问题？", "zh", "", 0, 3, 0, (Link("见", "a.md"),), drop="licence")
    ]
    write_blocks(tmp_path / "b.parquet", blocks)
    assert list(read_blocks(tmp_path / "b.parquet")) == blocks
    marks = [Mark(0, "0123", "too short", 3.0), Mark(0, "0123", "equal", 1.0, "4567")]
    write_marks(tmp_path / "m.parquet", marks)
    assert list(read_marks(tmp_path / "m.parquet")) == marks
    pairs = [Pair("s", "qa", "a", "b", None, "en", negatives=("c", "d"))]
    write_pairs(tmp_path / "p.parquet", pairs)
    assert list(read_pairs(tmp_path / "p.parquet")) == pairs


def test_a_file_of_other_rows_is_named(tmp_path: Path) -> None:
    write_marks(tmp_path / "m.parquet", [Mark(0, "x", "r", 0.0)])
    with pytest.raises(InputError, match=r"m\.parquet: has no column source"):
        list(read_pairs(tmp_path / "m.parquet"))
