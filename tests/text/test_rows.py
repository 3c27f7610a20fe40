from __future__ import annotations

import csv
import json
from itertools import chain
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yuyi.errors import InputError
from yuyi.text.rows import count_rows, is_whole, read_texts

if TYPE_CHECKING:
    from pathlib import Path

TEXTS = ["胡子长得快", "", "a text", 'a "quoted", one', *(f"row {number}" for number in range(40_000))]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rows")
    (path / "in.txt").write_text("\n".join(TEXTS), encoding="utf-8")
    (path / "in.jsonl").write_text("\n".join(json.dumps({"text": text, "n": 1}) for text in TEXTS))
    for name, delimiter in (("in.csv", ","), ("in.tsv", "\t")):
        with (path / name).open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, delimiter=delimiter).writerows([["n", "text"], *((1, text) for text in TEXTS)])
    pq.write_table(pa.table({"n": [1] * len(TEXTS), "text": TEXTS}), path / "in.parquet")
    return path


KINDS = ("txt", "jsonl", "csv", "tsv", "parquet")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_the_same_texts_in_blocks(folder: Path, kind: str) -> None:
    blocks = list(read_texts(str(folder / f"in.{kind}")))
    assert list(chain.from_iterable(block.texts for block in blocks)) == TEXTS
    assert max(len(block.texts) for block in blocks) < len(TEXTS) / 2
    assert all(block.rows is None for block in blocks)
    assert count_rows(str(folder / f"in.{kind}")) == len(TEXTS)


@pytest.mark.parametrize("kind", KINDS)
def test_whole_rows_line_up_with_their_texts(folder: Path, kind: str) -> None:
    blocks = list(read_texts(str(folder / f"in.{kind}"), whole_rows=True))
    lists = (block.rows.to_pylist() if kind == "parquet" else block.rows for block in blocks)
    rows = list(chain.from_iterable(lists))
    assert [row["text"] for row in rows] == TEXTS
    assert {str(row.get("n")) for row in rows} == {"None" if kind == "txt" else "1"}


@pytest.mark.parametrize("kind", KINDS)
def test_blocks_end_where_they_are_told(folder: Path, kind: str) -> None:
    whole = kind == "parquet"
    blocks = list(
        read_texts(str(folder / f"in.{kind}"), whole_rows=whole, most_rows=1_000, most_characters=500)
    )
    assert list(chain.from_iterable(block.texts for block in blocks)) == TEXTS
    assert all(sum(map(len, block.texts[:-1])) < 500 for block in blocks)
    assert not whole or all(block.rows.num_rows == len(block.texts) for block in blocks)


def test_long_texts_make_short_blocks(tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text(("x" * 1_000_000 + "\n") * 20)
    assert max(len(block.texts) for block in read_texts(str(tmp_path / "in.txt"))) <= 5


FIELDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from(',"\t\n'), max_size=9)


@given(rows=st.lists(st.tuples(FIELDS, FIELDS), max_size=9), delimiter=st.sampled_from(",\t"))
def test_csv_comes_back_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], delimiter: str
) -> None:
    path = tmp_path_factory.mktemp("csv") / ("in.csv" if delimiter == "," else "in.tsv")
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows([("q", "a"), *rows])
    found = [row for block in read_texts(str(path), "a", whole_rows=True) for row in block.rows]
    assert [(row["q"], row["a"]) for row in found] == rows


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        ("question,id\na,1\n", "names no column text; it has question, id"),
        ("text,text\na,b\n", "names the column text 2 times"),
        ("text,id\na,1\nb\n", "line 3 has 1 fields, the first line 2"),
        ("text,id\na,b,1\n", "line 2 has 3 fields"),
        ('text\n"a"b\n', "line 2 is not CSV"),
        ('text\n"a\nb\n', "is not CSV"),
    ],
)
def test_csv_that_cannot_be_read(tmp_path: Path, content: str, cause: str) -> None:
    (tmp_path / "in.csv").write_text(content)
    with pytest.raises(InputError, match=cause):
        list(read_texts(str(tmp_path / "in.csv")))


def test_csv_of_nothing(tmp_path: Path) -> None:
    for content in ("", "text\n", "text\n\n\n"):
        (tmp_path / "in.csv").write_text(content)
        assert list(read_texts(str(tmp_path / "in.csv"))) == []


def test_half_a_character_is_no_whole_text() -> None:
    assert is_whole("字😀")
    assert not is_whole("\ud83d")
