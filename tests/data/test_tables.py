"""Rows of tables become documents whose parts say what is what, or ready pairs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yuyi.data.readers import tables
from yuyi.data.readers.tables import column_roles, may_hold_text, read_table
from yuyi.errors import InputError
from yuyi.records import Document, Pair, read_batches

if TYPE_CHECKING:
    from pathlib import Path

    from yuyi.data.readers.tables import TableKind


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    else:
        tab = "\t" if path.suffix == ".tsv" else ","
        lines = [
            tab.join(rows[0]),
            *(tab.join('"' + str(cell) + '"' for cell in row.values()) for row in rows),
        ]
        path.write_text("\n".join(lines) + "\n")
    return path


def read(path: Path, columns: dict[Any, str] | None = None, lang: str = "") -> list[Document | Pair | None]:
    kinds: dict[str, TableKind] = {".parquet": "parquet", ".jsonl": "jsonl", ".csv": "csv", ".tsv": "csv"}
    kind = kinds[path.suffix]
    roles = column_roles(path, kind, columns or {})
    return list(read_table(path, kind, roles, name=path.name, source="s", lang=lang))


def parts_of(document: Document | Pair | None) -> list[tuple[str, str, int]]:
    assert isinstance(document, Document)
    return [(part.role, document.text[part.start : part.end], part.of) for part in document.parts]


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".tsv", ".parquet"])
def test_a_table_of_texts(tmp_path: Path, suffix: str) -> None:
    rows = [{"标题": "水壶", "正文": "# 水壶\n\n水开了会响。"}, {"标题": "Kettle", "正文": "It whistles."}]
    path = write(tmp_path / f"t{suffix}", rows)
    assert read(path) == [
        Document("s", f"t{suffix}#1", "水壶", "# 水壶\n\n水开了会响。", "zh"),
        Document("s", f"t{suffix}#2", "Kettle", "It whistles.", "en"),
    ]
    assert [row.lang for row in read(path, lang="fr") if row] == ["fr", "fr"]


@pytest.mark.parametrize(
    ("row", "parts"),
    [
        (
            {"question": "为什么响？", "answer": "因为水开了。"},
            [("question", "为什么响？", -1), ("answer", "因为水开了。", 0)],
        ),
        (
            {"问题": "Why?", "回答": ["Because.", " ", "Steam."]},
            [("question", "Why?", -1), ("answer", "Because.", 0), ("answer", "Steam.", 0)],
        ),
        (
            {"摘要": "短。", "正文": "很长的正文。"},
            [("summary", "短。", 1), ("content", "很长的正文。", -1)],
        ),
        (
            {"abstract": "We study steam.", "keywords": ["kettle", "steam"]},
            [("summary", "We study steam.", -1), ("keywords", "kettle; steam", 0)],
        ),
        (
            {"text": "水开了。", "translation": "The water boils."},
            [("original", "水开了。", -1), ("translation", "The water boils.", 0)],
        ),
        (
            {"body": "A post.", "comments": ["First!", "Second."]},
            [("content", "A post.", -1), ("comment", "First!", 0), ("comment", "Second.", 0)],
        ),
    ],
)
def test_a_row_of_several_texts(tmp_path: Path, row: dict[str, Any], parts: list[Any]) -> None:
    for suffix in (".jsonl", ".parquet"):
        (document,) = read(write(tmp_path / f"t{suffix}", [row]))
        assert parts_of(document) == parts


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=30)


@given(TEXT, TEXT, st.lists(TEXT, max_size=3))
def test_spans_are_exact(question: str, title: str, answers: list[str]) -> None:
    row = {"question": question, "title": title, "answer": answers}
    document = tables._document(row, "s", "n", "zh")
    wanted = [text.strip() for text in (question, *answers) if text.strip()]
    assert [text for _, text, _ in parts_of(document)] == wanted if wanted else document is None


def test_votes_of_answers(tmp_path: Path) -> None:
    rows = [{"question": "q", "answers": ["a", "b"], "votes": [3, 0.5]}, {"question": "q", "answers": ["c"]}]
    first, second = read(write(tmp_path / "t.jsonl", rows))
    assert isinstance(first, Document) and [part.score for part in first.parts] == [None, 3.0, 0.5]
    assert isinstance(second, Document) and [part.score for part in second.parts] == [None, None]


def test_ready_pairs_keep_what_their_columns_say(tmp_path: Path) -> None:
    own = [
        {"source": "afqmc", "kind": "sts", "text_a": "a", "text_b": "b", "label": 1.0, "lang": "zh"},
        {"source": "hotel", "kind": "class", "text_a": "好", "text_b": "", "label": 0.0, "lang": "zh"},
        {"source": "x", "kind": "qa", "text_a": "好", "text_b": "", "label": None, "lang": "zh"},
    ]
    assert read(write(tmp_path / "p.parquet", own)) == [
        Pair("afqmc", "sts", "a", "b", 1.0, "zh", doc_id="p.parquet#1"),
        Pair("hotel", "class", "好", "", 0.0, "zh", doc_id="p.parquet#2"),
        None,
    ]
    others = [{"sentence1": "好不好", "sentence2": "Is it good?", "score": "4.5"}]
    assert read(write(tmp_path / "p.csv", others)) == [
        Pair("s", "pair", "好不好", "Is it good?", 4.5, "zh-en", doc_id="p.csv#1")
    ]


def test_rows_without_text_are_none(tmp_path: Path) -> None:
    rows = [{"text": "one"}, {"text": " "}, {"text": None}, {"other": 1}, {"text": "five"}]
    found = read(write(tmp_path / "t.jsonl", rows))
    assert [row and row.doc_id for row in found] == ["t.jsonl#1", None, None, None, "t.jsonl#5"]


def test_columns_are_chosen_or_named_in_the_error(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", [{"x": "甲", "y": "乙"}])
    (document,) = read(path, {"question": "x", "answer": "y"})
    assert parts_of(document) == [("question", "甲", -1), ("answer", "乙", 0)]
    with pytest.raises(InputError, match=r"t\.csv: which of its columns holds the text\? It has x, y\."):
        read(path)
    with pytest.raises(InputError, match=r"t\.csv: has no column z; it has x, y"):
        read(path, {"text": "z"})
    with pytest.raises(InputError, match=r"t\.csv: which of its columns"):
        read(path, {"title": "x"})
    assert not may_hold_text(path, "csv")


@pytest.mark.parametrize(
    ("name", "content", "cause"),
    [
        ("t.jsonl", '{"text": "a"}\n{"text": 5}\n', "line 2 has 5 as text, which is not a text"),
        ("t.jsonl", '{"text": "a"}\n{"text": "b"\n', "line 2 is not JSON"),
        ("t.jsonl", '{"text": "a"}\n["b"]\n', "line 2 is not a JSON object"),
        ("t.jsonl", '{"text": "a"}\n{"text": "\\ud800"}\n', "line 2 holds half a character"),
        ("t.csv", "text,title\na,b\nc\n", "line 3 has 1 fields, the first line 2"),
        ("t.csv", 'text\n"open quote\n' + "more\n" * 10, "is not CSV"),
        ("t.csv", "text_a,text_b,label\na,b,yes\n", "line 2 has 'yes' as label, which is not a number"),
        ("t.csv", "text,text\na,b\n", "names the column text twice"),
        ("t.parquet", "PAR1", "not a whole Parquet file"),
    ],
)
def test_damaged_tables_are_named_with_the_line(tmp_path: Path, name: str, content: str, cause: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=f"{name}: .*{cause}"):
        read(tmp_path / name)


def test_an_open_quote_does_not_fill_the_memory(tmp_path: Path) -> None:
    with (tmp_path / "t.csv").open("w") as file:
        file.write('text\n"open quote\n')
        for _ in range(40):
            file.write(("x" * 1023 + "\n") * 1024)
    with pytest.raises(InputError, match=r"line .* is not CSV .*field larger than field limit"):
        read(tmp_path / "t.csv")


def test_long_texts_are_read_few_at_a_time(tmp_path: Path) -> None:
    path = write(tmp_path / "t.parquet", [{"text": f"{number} " + "字" * 1_000_000} for number in range(20)])
    rows = tables._batch_rows(path)
    assert rows < 20 and next(read_batches(path, ["text"], rows=rows)).num_rows == rows
    assert len(read(path)) == 20


def test_cells_are_closed_and_converted_as_posts_are(tmp_path: Path) -> None:
    rows = [{"question": "怎么排序？", "answers": ["```py\nx.sort()", "<p>Use <code>sorted</code>.</p>"]}]
    (document,) = read(write(tmp_path / "t.jsonl", rows))
    assert parts_of(document) == [
        ("question", "怎么排序？", -1),
        ("answer", "```py\nx.sort()\n```", 0),
        ("answer", "Use `sorted`.", 0),
    ]
    (text,) = read(write(tmp_path / "u.jsonl", [{"text": "<h2>水壶</h2><p>水开了会响。</p>"}]))
    assert isinstance(text, Document) and text.text == "## 水壶\n\n水开了会响。"


def test_a_text_in_parquet_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    table = pa.table({"text": ["水壶"] * 9})
    pq.write_table(table, path, compression="none", use_dictionary=False, write_statistics=False)
    path.write_bytes(path.read_bytes().replace("壶".encode(), b"\xff\xff\xff", 1))
    with pytest.raises(InputError, match=r"t\.parquet: damaged Parquet file"):
        read(path)


def test_code_does_not_decide_the_language(tmp_path: Path) -> None:
    code = "```python\nfor name in names:\n    print(name, the, value, of, it)\n```\n\n" * 20
    (document,) = read(
        write(tmp_path / "t.jsonl", [{"text": f"# 循环\n\n{code}这样写循环，会打印每一个名字。"}])
    )
    assert isinstance(document, Document) and document.lang == "zh"


def test_languages_that_are_neither(tmp_path: Path) -> None:
    rows = [{"text": "Чайник свистит, когда закипает вода, и тогда его снимают."}, {"text": "12 34"}]
    assert [row.lang for row in read(write(tmp_path / "t.jsonl", rows)) if row] == ["other", "en"]
