from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from yuyi.data.sources import documents_from, holds_pairs, inputs_below
from yuyi.errors import InputError
from yuyi.records import Pair, write_pairs

DOCUMENTS = Path(__file__).parent / "documents"


def test_a_folder_gives_its_text_files_in_order() -> None:
    documents = list(documents_from(DOCUMENTS))
    assert [(document.doc_id, document.title, document.lang) for document in documents] == [
        ("faq.md", "图书馆常见问题", "zh"),
        ("kettle.md", "Repairing a whistling kettle", "en"),
        ("notes.rst", "Keeping bees on a roof", "en"),
        ("notice.txt", "notice", "zh"),
        ("passport.md", "护照办理指南", "zh"),
    ]
    assert {document.source for document in documents} == {"documents"}


def test_one_file_is_a_source_too() -> None:
    (document,) = documents_from(DOCUMENTS / "notice.txt")
    assert (document.source, document.doc_id) == ("documents", "notice.txt")
    assert document.text.startswith("关于阅览室调整开放时间的通知")


def test_hidden_and_other_files_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "a.md").write_text("hidden")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\x00")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "B.MD").write_text("# 标题\n正文")
    assert [document.doc_id for document in documents_from(tmp_path)] == ["sub/B.MD"]


def test_a_binary_file_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "not_text.txt").write_bytes(b"\x00\x01\x02")
    with pytest.raises(InputError, match=r"not_text\.txt.*binary"):
        list(documents_from(tmp_path))


def test_inputs_of_a_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file or folder"):
        inputs_below(tmp_path / "absent")
    with pytest.raises(InputError, match=r"holds no .*\.md"):
        inputs_below(tmp_path)
    pairs, documents = tmp_path / "b.parquet", tmp_path / "a.parquet"
    write_pairs(pairs, [Pair("s", "qa", "a", "b", None, "en")])
    row = {"source": "s", "doc_id": "d", "title": "t", "text": "# t\n", "lang": "en"}
    pq.write_table(pa.Table.from_pylist([row]), documents)
    (tmp_path / "c.md").write_text("text")
    assert inputs_below(tmp_path) == [documents, pairs, tmp_path]
    assert inputs_below(documents) == [documents]
    assert [holds_pairs(path) for path in (documents, pairs, tmp_path / "c.md")] == [False, True, False]
    assert [document.title for document in documents_from(documents)] == ["t"]
