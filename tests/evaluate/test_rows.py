"""Rows that cannot be scored are refused with file, row and remedy; all others come as they are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yuyi.errors import InputError
from yuyi.evaluate.tasks.checks import (
    check_candidates,
    check_summaries,
    check_unique,
    check_varied,
    number_labels,
    read_judgments,
    read_ranked,
)
from yuyi.evaluate.tasks.kinds import KINDS
from yuyi.evaluate.tasks.manifest import JudgedFiles, LocalTask
from yuyi.evaluate.tasks.rows import Table, count_rows, read_parts, read_splits, read_table

from .sets import write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PAIR = {"sentence1": "甲", "sentence2": "b"}
GOOD: dict[str, dict[str, Any]] = {
    "STS": {**PAIR, "score": 1.5},
    "PairClassification": {**PAIR, "label": 1},
    "Classification": {"text": "好", "label": "正", "split": "test"},
    "Clustering": {"text": "好", "label": 3},
    "Reranking": {"query": "问", "positive": ["答"], "negative": ["无关", "no"]},
    "Summarization": {
        "text": "长文",
        "human_summaries": ["短"],
        "machine_summaries": ["短", "文"],
        "relevance": [1, 2.5],
    },
    "BitextMining": PAIR,
}


def task(name: str, **more: Any) -> LocalTask:
    return LocalTask(name="x", type=name, files="x.jsonl", **more)  # type: ignore[arg-type]


def lines(folder: Path, *rows: Any) -> None:
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (folder / "x.jsonl").write_text(text, "utf-8")


def table(**columns: list[Any]) -> Table:
    from pathlib import Path

    rows = len(next(iter(columns.values())))
    return Table(Path("x.parquet"), columns, {name: name for name in columns}, range(rows))


@pytest.mark.parametrize("name", GOOD)
def test_good_rows_come_as_they_are(tmp_path: Path, name: str) -> None:
    train = {"text": "坏", "label": "负", "split": "train"}
    lines(tmp_path, GOOD[name], *([train] if name == "Classification" else []))
    parts = read_splits(task(name), tmp_path)
    expected = {column: [value] for column, value in GOOD[name].items() if column != "split"}
    assert parts["test"].columns == expected
    assert count_rows(task(name), tmp_path) == 1


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("STS", {"score": None}, "line 2 has score None, not a number"),
        ("STS", {"score": "high"}, "line 2 has score 'high', not a number"),
        ("STS", {"score": float("nan")}, "line 2 has score nan, not a number"),
        ("STS", {"score": float("inf")}, "line 2 has score inf, not a number"),
        ("STS", {"score": -(10**400)}, "line 2 has score -10+.*, not a number"),
        ("STS", {"score": True}, "line 2 has score True, not a number"),
        ("STS", {"sentence1": ""}, "line 2 has sentence1 '', not text"),
        ("STS", {"sentence2": " \n\u3000"}, "line 2 has sentence2 .* not text"),
        ("STS", {"sentence2": 7}, "line 2 has sentence2 7, not text"),
        ("STS", {"sentence2": ["a"]}, r"line 2 has sentence2 \['a'\], not text"),
        (
            "PairClassification",
            {"label": "same"},
            "line 2 has label 'same', not 1 .*under `labels` in tasks.yaml",
        ),
        ("PairClassification", {"label": 2}, "line 2 has label 2, not 1"),
        ("PairClassification", {"label": 0.5}, "line 2 has label 0.5, not 1"),
        ("Classification", {"label": None}, "line 2 has label None, not a label"),
        ("Clustering", {"label": float("nan")}, "line 2 has label nan, not a label"),
        ("Clustering", {"label": ["a"]}, "line 2 has label .* not a label"),
        ("Reranking", {"positive": []}, r"line 2 has positive \[\], not a list of texts"),
        ("Reranking", {"negative": None}, "line 2 has negative None, not a list of texts"),
        ("Reranking", {"negative": "no"}, "line 2 has negative 'no', not a list of texts"),
        ("Reranking", {"negative": ["no", ""]}, "line 2 has negative .*, not a list of texts"),
        ("Summarization", {"relevance": ["1"]}, "line 2 has relevance .*, not a list of numbers"),
        ("Summarization", {"human_summaries": []}, "line 2 has human_summaries .*, not a list of texts"),
        ("BitextMining", {"sentence1": None}, "line 2 has sentence1 None, not text"),
    ],
)
def test_bad_cells_are_named(tmp_path: Path, name: str, change: dict[str, Any], message: str) -> None:
    train = {"text": "坏", "label": "负", "split": "train"}
    lines(tmp_path, train if name == "Classification" else GOOD[name], {**GOOD[name], **change})
    with pytest.raises(InputError, match=rf"x\.jsonl: {message}.* Mend or drop the row") as error:
        read_splits(task(name), tmp_path)
    assert "\n" not in str(error.value)


def test_missing_columns_are_named(tmp_path: Path) -> None:
    lines(tmp_path, PAIR)
    with pytest.raises(
        InputError, match=r"x.jsonl: needs the columns sentence1, sentence2, score; it has sentence1"
    ):
        read_splits(task("STS"), tmp_path)
    lines(tmp_path, GOOD["STS"], {"sentence1": "a", "score": 2})
    with pytest.raises(InputError, match="line 2 has no sentence2; it has sentence1, score"):
        read_splits(task("STS"), tmp_path)
    lines(tmp_path, {"a": "甲", "sentence2": "b", "score": 1})
    assert read_splits(task("STS", columns={"sentence1": "a"}), tmp_path)["test"].columns["sentence1"] == [
        "甲"
    ]
    with pytest.raises(InputError, match=r"under `columns` in tasks\.yaml what they are called"):
        read_splits(task("STS", columns={"sentence1": "b"}), tmp_path)


def test_rows_of_parquet_are_counted_from_0(tmp_path: Path) -> None:
    file = write(tmp_path / "x.parquet", [{"text": "a"}, {"text": None}])
    with pytest.raises(InputError, match="row 1 has text None"):
        read_table(file, {"text": "text"}, {"text": "text"})


def test_labels_of_pairs_are_translated(tmp_path: Path) -> None:
    lines(tmp_path, *({**PAIR, "label": label} for label in ("相同", "不同", 7)))
    known = {"相同": 1, "不同": 0}
    with pytest.raises(InputError, match=r"line 3 has label 7; `labels` in tasks\.yaml has '相同', '不同'"):
        read_splits(task("PairClassification", labels=known), tmp_path)
    parts = read_splits(task("PairClassification", labels={**known, 7: 1}), tmp_path)
    assert parts["test"].columns["label"] == [1, 0, 1]


def test_splits(tmp_path: Path) -> None:
    rows = [
        {"text": str(row), "label": "a", "split": split}
        for row, split in enumerate(["train", "dev", "test", "dev"])
    ]
    lines(tmp_path, *rows)
    parts = read_splits(task("Classification", splits=("dev", "test")), tmp_path)
    assert {split: part.columns["text"] for split, part in parts.items()} == {
        "train": ["0"],
        "dev": ["1", "3"],
        "test": ["2"],
    }
    assert count_rows(task("Classification", splits=("dev",)), tmp_path) == 2
    with pytest.raises(InputError, match="line 2 has split 'dev'; known are train and test"):
        read_splits(task("Classification"), tmp_path)
    with pytest.raises(InputError, match="no row has the split final; train and final are needed"):
        read_splits(task("Classification", splits=("final",)), tmp_path)
    (tmp_path / "t.jsonl").write_text('{"text": "x", "label": "a"}\n')
    parts = read_splits(task("Classification", train="t.jsonl"), tmp_path)
    assert [len(parts[split]) for split in ("test", "train")] == [4, 1]


def test_splits_need_the_column_that_tells_them_apart(tmp_path: Path) -> None:
    lines(tmp_path, {**GOOD["STS"], "Split": "dev"}, {**GOOD["STS"], "Split": "test"})
    found = task("STS", splits=("dev",))
    for read in (count_rows, read_splits):
        with pytest.raises(InputError, match=r"x\.jsonl: needs the columns .*split; it has .*Split\. Rename"):
            read(found, tmp_path)
    assert count_rows(task("STS", splits=("dev",), columns={"split": "Split"}), tmp_path) == 1


def judged(folder: Path, **changes: list[dict[str, Any]]) -> dict[str, Any]:
    rows: dict[str, list[dict[str, Any]]] = {
        "queries": [{"id": "q", "text": "问"}, {"id": 7, "text": "seven"}],
        "corpus": [{"id": "d", "text": "文"}, {"id": "e", "text": "e"}],
        "qrels": [
            {"query_id": "q", "corpus_id": "d", "score": 1.0},
            {"query_id": 7, "corpus_id": "e", "score": 2},
            {"query_id": 7, "corpus_id": "d", "score": 0},
        ],
        "top_ranked": [{"query_id": "q", "corpus_ids": ["d", "e"]}, {"query_id": 7, "corpus_ids": ["e"]}],
    } | changes
    for part, content in rows.items():
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in content)
        (folder / f"x.{part}.jsonl").write_text(text, "utf-8")
    files = JudgedFiles(**{part: f"x.{part}.jsonl" for part in rows})
    tables = read_parts(LocalTask(name="x", type="Reranking", files=files), folder)
    queries, corpus = tables["queries"], tables["corpus"]
    relevant = read_judgments(queries, corpus, tables["qrels"])
    return {"relevant": relevant, "ranked": read_ranked(tables["top_ranked"], queries, corpus)}


def test_judgments(tmp_path: Path) -> None:
    assert judged(tmp_path) == {
        "relevant": {"q": {"d": 1}, "7": {"e": 2, "d": 0}},
        "ranked": {"q": ["d", "e"], "7": ["e"]},
    }


Q, SEVEN = {"query_id": "q", "corpus_id": "d", "score": 1}, {"query_id": 7, "corpus_id": "e", "score": 2}


@pytest.mark.parametrize(
    ("part", "rows", "message"),
    [
        ("queries", [{"id": "q", "text": "a"}] * 2, "line 2 has id 'q', which line 1 has too"),
        ("queries", [{"id": None, "text": "a"}], "line 1 has id None, not an identifier"),
        ("queries", [{"id": True, "text": "a"}], "line 1 has id True, not an identifier"),
        ("corpus", [{"id": 1, "text": "a"}, {"id": "1", "text": "b"}], "line 2 has id '1', which line 1"),
        ("corpus", [{"id": "d", "text": ""}], "line 1 has text '', not text"),
        ("qrels", [Q, SEVEN, {**Q, "corpus_id": "f"}], "line 3 has corpus_id 'f', which is not in x.corpus"),
        ("qrels", [Q, {**SEVEN, "query_id": 8}], "line 2 has query_id '8', which is not in x.queries"),
        ("qrels", [Q, SEVEN, Q], "line 3 judges 'd' for query 'q' a second time"),
        ("qrels", [{**Q, "score": 0.5}], "line 1 has score 0.5, not a whole number"),
        ("qrels", [{**Q, "score": None}], "line 1 has score None, not a whole number"),
        (
            "top_ranked",
            [{"query_id": "q", "corpus_ids": ["d"]}],
            "x.queries.jsonl: line 2 is query '7', which",
        ),
        ("top_ranked", [{"query_id": "q", "corpus_ids": []}], "not a list of identifiers"),
        (
            "top_ranked",
            [{"query_id": query, "corpus_ids": ["d"]} for query in ("q", 7, "r")],
            r"top_ranked\.jsonl: line 3 has query_id 'r', which is not in x\.queries",
        ),
        (
            "top_ranked",
            [{"query_id": "q", "corpus_ids": ["z"]}],
            "line 1 names document 'z', which is not in",
        ),
        ("top_ranked", [{"query_id": "q", "corpus_ids": ["d", "d"]}], "line 1 names a document twice"),
    ],
)
def test_judgments_that_cannot_be(tmp_path: Path, part: str, rows: list[Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        judged(tmp_path, **{part: rows})


@pytest.mark.parametrize("rows", [[Q], [Q, {**SEVEN, "score": 0}]])
def test_a_query_needs_a_relevant_document(tmp_path: Path, rows: list[Any]) -> None:
    message = r"x\.queries\.jsonl: line 2 is query '7', for which x\.qrels\.jsonl has no relevant document"
    with pytest.raises(InputError, match=message):
        judged(tmp_path, qrels=rows)


def test_titles_are_read_where_documents_have_them(tmp_path: Path) -> None:
    rows = [{"id": "d", "text": "文", "title": "题"}, {"id": "e", "text": "e", "title": None}]
    judged(tmp_path, corpus=rows)
    files = JudgedFiles(queries="x.queries.jsonl", corpus="x.corpus.jsonl", qrels="x.qrels.jsonl")
    found = LocalTask(name="x", type="Retrieval", files=files)
    assert read_parts(found, tmp_path)["corpus"].columns["title"] == ["题", ""]
    judged(tmp_path, corpus=[{"id": "d", "text": "文"}, {"id": "e", "text": "e", "title": "late"}])
    assert read_parts(found, tmp_path)["corpus"].columns["title"] == ["", "late"]
    judged(tmp_path)
    assert set(read_parts(found, tmp_path)["corpus"].columns) == {"id", "text"}
    judged(tmp_path, corpus=rows)
    renamed = LocalTask(name="x", type="Retrieval", files=files, columns={"corpus.text": "title"})
    with pytest.raises(InputError, match="line 2 has title None, not text"):
        read_parts(renamed, tmp_path)


@pytest.mark.parametrize(
    ("check", "found", "message"),
    [
        (
            lambda t: check_varied(t, "score"),
            table(score=[1.0, 1.0]),
            "score has the same value in every row; at least 2",
        ),
        (
            check_candidates,
            table(positive=[["a"], ["b"]], negative=[["c"], ["d", "b"]]),
            "row 1 has 'b' as positive",
        ),
        (
            check_summaries,
            table(machine_summaries=[["a", "b"]], relevance=[[1]]),
            "row 0 has 2 machine_summaries and 1 values of relevance",
        ),
        (
            check_summaries,
            table(machine_summaries=[["a", "b"]], relevance=[[2, 2]]),
            "relevance is the same for all",
        ),
        (number_labels, table(label=["1", 1]), "row 1 has label 1, but '1' is a label too: text and number"),
    ],
)
def test_rows_that_mean_nothing_together(check: Callable[[Table], Any], found: Table, message: str) -> None:
    with pytest.raises(InputError, match=f"x.parquet: {message}"):
        check(found)


LABELS = st.lists(st.integers(-3, 3), min_size=1) | st.lists(st.text("ab中文", min_size=1), min_size=1)


@given(LABELS, st.randoms())
def test_numbers_of_labels_do_not_depend_on_the_order_of_rows(labels: list[Any], random: Any) -> None:
    [numbers] = number_labels(table(label=labels))
    shuffled = list(zip(labels, numbers, strict=True))
    random.shuffle(shuffled)
    assert number_labels(table(label=[label for label, _ in shuffled])) == [
        [number for _, number in shuffled]
    ]
    assert set(numbers) == set(range(len(set(labels))))


@given(st.lists(st.integers(0, 5), min_size=1), st.randoms())
def test_repeated_identifiers_are_found_in_any_order(ids: list[int], random: Any) -> None:
    random.shuffle(ids)
    if len(set(ids)) == len(ids):
        assert check_unique(table(id=ids), "id") == {value: row for row, value in enumerate(ids)}
    else:
        with pytest.raises(InputError, match=r"has id .*, which row .* has too"):
            check_unique(table(id=ids), "id")


# A short line with the control character DEL is taken for binary data.
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x7f"))
CELLS = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | st.lists(TEXTS, max_size=2)


@given(st.sampled_from([kind for kind in KINDS.values() if kind.columns]), st.data())
def test_whatever_a_cell_holds_it_is_taken_or_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, kind: Any, data: st.DataObject
) -> None:
    folder = tmp_path_factory.getbasetemp()
    column = data.draw(st.sampled_from(sorted(kind.columns)))
    lines(folder, {**GOOD[kind.name], column: data.draw(CELLS)})
    try:
        read_splits(
            task(kind.name, **({"train": "x.jsonl"} if kind.name == "Classification" else {})), folder
        )
    except InputError as error:
        assert "line 1 " in str(error) and "\n" not in str(error)
