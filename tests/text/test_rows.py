from __future__ import annotations

import json
from itertools import chain
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from yuyi.errors import InputError
from yuyi.text.rows import is_whole, read_texts

if TYPE_CHECKING:
    from pathlib import Path

TEXTS = ["胡子长得快", "", "a text", *(f"row {number}" for number in range(40_000))]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rows")
    (path / "in.txt").write_text("\n".join(TEXTS), encoding="utf-8")
    (path / "in.jsonl").write_text("\n".join(json.dumps({"text": text, "n": 1}) for text in TEXTS))
    pq.write_table(pa.table({"n": [1] * len(TEXTS), "text": TEXTS}), path / "in.parquet")
    return path


@pytest.mark.parametrize("kind", ["txt", "jsonl", "parquet"])
def test_every_kind_gives_the_same_texts_in_blocks(folder: Path, kind: str) -> None:
    blocks = list(read_texts(str(folder / f"in.{kind}")))
    assert list(chain.from_iterable(block.texts for block in blocks)) == TEXTS
    assert max(len(block.texts) for block in blocks) < len(TEXTS) / 2
    assert all(block.columns is None for block in blocks)


@pytest.mark.parametrize("kind", ["txt", "jsonl", "parquet"])
def test_whole_rows_line_up_with_their_texts(folder: Path, kind: str) -> None:
    blocks = list(read_texts(str(folder / f"in.{kind}"), whole_rows=True))
    table = pa.Table.from_batches([block.columns for block in blocks])
    assert table["text"].to_pylist() == TEXTS
    assert table.num_columns == (1 if kind == "txt" else 2)


def test_long_texts_make_short_blocks(tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text(("x" * 1_000_000 + "\n") * 20)
    assert max(len(block.texts) for block in read_texts(str(tmp_path / "in.txt"))) <= 5


def test_a_key_that_appears_late_is_named(tmp_path: Path) -> None:
    lines = ['{"text": "a"}'] * 20_000 + ['{"text": "a", "late": 1}']
    (tmp_path / "in.jsonl").write_text("\n".join(lines))
    with pytest.raises(InputError, match="the key late"):
        list(read_texts(str(tmp_path / "in.jsonl"), whole_rows=True))
    assert sum(len(block.texts) for block in read_texts(str(tmp_path / "in.jsonl"))) == 20_001


def test_half_a_character_is_no_whole_text() -> None:
    assert is_whole("字😀")
    assert not is_whole("\ud83d")
