"""Which reader a path needs, what files are passed over, and what is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from yuyi.config import check_settings
from yuyi.data.readers.skipped import Skipped
from yuyi.data.sources import SourceConfig, find_inputs, read_input, source_name
from yuyi.errors import InputError, RecipeError
from yuyi.records import Document, Pair

DOCUMENTS = Path(__file__).parent / "documents"


def rows_of(path: Path | str, **settings: object) -> list[Document | Pair | Skipped]:
    config = SourceConfig(path=str(path), **settings)  # type: ignore[arg-type]
    return [row for found in find_inputs(config) for row in read_input(found, config)]


def names_of(path: Path | str, **settings: object) -> list[str]:
    return [row.doc_id for row in rows_of(path, **settings) if isinstance(row, Document)]


def test_a_folder_gives_its_text_files_in_order() -> None:
    documents = [row for row in rows_of(DOCUMENTS) if isinstance(row, Document)]
    assert [(document.doc_id, document.title, document.lang) for document in documents] == [
        ("faq.md", "图书馆常见问题", "zh"),
        ("kettle.md", "Repairing a whistling kettle", "en"),
        ("notes.rst", "Keeping bees on a roof", "en"),
        ("notice.txt", "notice", "zh"),
        ("passport.md", "护照办理指南", "zh"),
    ]
    assert {document.source for document in documents} == {"documents"}


def test_one_file_is_a_source_too() -> None:
    (document,) = rows_of(DOCUMENTS / "notice.txt")
    assert isinstance(document, Document)
    assert (document.source, document.doc_id) == ("notice", "notice.txt")
    assert document.text.startswith("关于阅览室调整开放时间的通知")


def test_hidden_files_are_passed_over_and_others_listed(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "a.md").write_text("hidden")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\x00")
    (tmp_path / "binary.txt").write_bytes(b"\x00\x01\x02" * 9)
    (tmp_path / "blank.md").write_text(" \n")
    (tmp_path / "numbers.csv").write_text("x,y\n1,2\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "B.MD").write_text("# 标题\n正文")
    rows = rows_of(tmp_path)
    assert [row.doc_id for row in rows if isinstance(row, Document)] == ["sub/B.MD"]
    assert {(row.file, row.reason) for row in rows if isinstance(row, Skipped)} == {
        ("picture.png", "no known format"),
        ("binary.txt", "not readable"),
        ("blank.md", "empty"),
        ("numbers.csv", "no column of text"),
    }


def test_links_never_loop(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# 甲\n正文在此。")
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "itself.md").symlink_to(tmp_path / "itself.md")
    (tmp_path / "other.md").symlink_to(tmp_path / "a.md")
    assert names_of(tmp_path) == ["a.md", "other.md"]
    os.mkfifo(tmp_path / "pipe.txt")
    skipped = {(row.file, row.reason) for row in rows_of(tmp_path) if isinstance(row, Skipped)}
    assert skipped == {
        ("itself.md", "broken link"),
        ("loop", "link to a folder"),
        ("pipe.txt", "no regular file"),
    }
    with pytest.raises(InputError, match=r"itself\.md: no such file"):
        rows_of(tmp_path / "itself.md")
    assert source_name(SourceConfig(path=str(tmp_path / "itself.md"))) == "itself"


def test_a_file_alone_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    for name, content, cause in (
        ("not_text.txt", b"\x00\x01\x02", "binary"),
        ("program.exe", b"MZ", "does not tell what it is"),
        ("half.parquet", b"PAR1 and no more", "not a whole Parquet file"),
        ("numbers.csv", b"x,y\n1,2\n", "which of its columns holds the text.*x, y"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=f"{name}.*{cause}"):
            rows_of(tmp_path / name)
    with pytest.raises(InputError, match="no such file or folder"):
        rows_of(tmp_path / "absent")


def test_whatever_is_damaged_in_a_folder_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "good.md").write_text("# 水壶\n\n水开了会响。")
    pq.write_table(pa.table({"text": ["正文"] * 1000}), tmp_path / "whole.parquet")
    (tmp_path / "cut.parquet").write_bytes((tmp_path / "whole.parquet").read_bytes()[:-40])
    (tmp_path / "whole.parquet").unlink()
    (tmp_path / "nothing.parquet").write_bytes(b"")
    (tmp_path / "binary.csv").write_bytes(bytes(range(256)) * 9)
    (tmp_path / "early.jsonl").write_text('{"text": "一"}\n{"text": \n')
    (tmp_path / "late.jsonl").write_text('{"text": "一"}\n' * 500 + '{"text": \n')
    (tmp_path / "open.csv").write_text('text\n"open\n')
    (tmp_path / "cut.xml").write_text(WIKI[:-14])
    (tmp_path / "x.en").write_text("One.\nTwo.\n")
    (tmp_path / "x.zh").write_text("一。\n")
    (tmp_path / "late.txt").write_bytes(b"English words.\n" * 850_000 + b"\0\1\2")
    (tmp_path / "forbidden.md").symlink_to("/proc/self/mem")  # reading it is an error for everyone
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "posts.xml").write_text(POSTS[:-9])
    (tmp_path / "dump.7z").write_bytes(b"7z")
    rows = rows_of(tmp_path)
    skipped = {row.file: row for row in rows if isinstance(row, Skipped)}
    assert {name: row.reason for name, row in skipped.items()} == {
        "cut.parquet": "not readable",
        "nothing.parquet": "not readable",
        "binary.csv": "not readable",
        "early.jsonl": "not readable",
        "late.jsonl": "partly read",
        "open.csv": "not readable",
        "cut.xml": "partly read",
        "x.en": "not readable",
        "x.zh": "not readable",
        "late.txt": "partly read",
        "forbidden.md": "not readable",
        "site": "partly read",
        "dump.7z": "packed archive",
    }
    assert skipped["early.jsonl"].note.startswith("early.jsonl: line 2 is not JSON")
    assert skipped["late.jsonl"].note.endswith("The 500 documents or pairs before it are kept.")
    assert skipped["x.zh"].note.startswith("x.zh: ends after line 1, and x.en goes on.")
    assert not any(str(tmp_path) in row.note for row in skipped.values())
    names = [row.doc_id for row in rows if isinstance(row, Document)]
    assert {"good.md", "late.jsonl#500", "水壶", "late.txt#1", "site/1"} <= set(names)
    for name in skipped:
        with pytest.raises(InputError, match=name):
            rows_of(tmp_path / name)
    with pytest.raises(InputError, match=r"x\.zh: ends after line 1"):
        rows_of(f"{tmp_path}/x.{{en,zh}}")


def test_a_tree_of_everything(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(json.dumps({"question": "为什么？", "answer": "因为。"}) + "\n")
    (tmp_path / "rows.csv").write_text("标题,正文\n甲,关于甲的正文\n")
    (tmp_path / "pairs.tsv").write_text("text_a\ttext_b\tlabel\nhow\twhy\t0\n")
    (tmp_path / "news.en").write_text("One.\nTwo.\n")
    (tmp_path / "news.zh").write_text("一。\n二。\n")
    (tmp_path / "page.rst").write_text("Title\n=====\n\nBody.\n")
    rows = rows_of(tmp_path)
    assert {row.doc_id for row in rows if isinstance(row, Document)} == {
        "rows.jsonl#1",
        "rows.csv#1",
        "news.en#1",
        "page.rst",
    }
    assert [row.text_b for row in rows if isinstance(row, Pair)] == ["why"]


POSTS = """<?xml version="1.0" encoding="utf-8"?>
<posts>
  <row Id="1" PostTypeId="1" Title="Why does it whistle?" Body="&lt;p&gt;My kettle.&lt;/p&gt;" Score="3" />
  <row Id="2" PostTypeId="2" ParentId="1" Body="&lt;p&gt;Steam.&lt;/p&gt;" Score="5" />
</posts>
"""
WIKI = """<mediawiki><siteinfo><sitename>百科</sitename></siteinfo>
<page><title>水壶</title><ns>0</ns><id>7</id><revision><text>水壶是烧水的器具，水开的时候会响。</text></revision></page>
</mediawiki>
"""


def test_dumps_and_threads_are_recognised(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "Posts.xml").write_text(POSTS)
    (tmp_path / "dump.xml").write_text(WIKI)
    (tmp_path / "other.xml").write_text("<other/>")
    (tmp_path / "talk.jsonl").write_text(
        json.dumps({"title": "T", "body": "Q?", "answers": [{"text": "A."}]})
    )
    kinds = {found.format: found for found in find_inputs(SourceConfig(path=str(tmp_path)))}
    assert kinds["auto"].files[0][1] == "other.xml" and kinds["auto"].skip == "no known format"
    assert kinds.keys() == {"auto", "stackexchange", "mediawiki", "threads"}
    documents = [row for row in rows_of(tmp_path, name="all", lang="xx") if isinstance(row, Document)]
    assert {(document.source, document.lang) for document in documents} == {("all", "xx")}
    assert {document.title for document in documents} == {"Why does it whistle?", "水壶", "T"}
    for path in (tmp_path / "site", tmp_path / "site" / "Posts.xml"):
        (document,) = rows_of(path)
        assert isinstance(document, Document) and [part.role for part in document.parts] == [
            "question",
            "answer",
        ]


def test_small_files_are_read_together_and_order_is_that_of_names(tmp_path: Path) -> None:
    for number in range(40):
        (tmp_path / f"{number:02}.md").write_text(f"# {number}\nText.")
    (found,) = find_inputs(SourceConfig(path=str(tmp_path)))
    assert [name for _, name in found.files] == [f"{number:02}.md" for number in range(40)]
    with (tmp_path / "05.md").open("wb") as file:
        os.truncate(file.fileno(), 40 << 20)
    assert len(find_inputs(SourceConfig(path=str(tmp_path)))) == 3


def test_two_files_named_with_braces(tmp_path: Path) -> None:
    (tmp_path / "news.de").write_text("Eins.\n")
    (tmp_path / "news.fr").write_text("Un.\n")
    path = f"{tmp_path}/news.{{de,fr}}"
    (document,) = rows_of(path, lang="de-fr")
    assert isinstance(document, Document) and [
        document.text[part.start : part.end] for part in document.parts
    ] == [
        "Eins.",
        "Un.",
    ]
    assert source_name(SourceConfig(path=path)) == "news"


def test_names_of_sources(tmp_path: Path) -> None:
    (tmp_path / "docs.v2").mkdir()
    for path, name in (("zhwiki.xml.bz2", "zhwiki"), ("docs.v2", "docs.v2"), ("docs.v2/..", tmp_path.name)):
        assert source_name(SourceConfig(path=str(tmp_path / path))) == name
    assert source_name(SourceConfig(path="x", name="y")) == "y"


def test_rows_keep_their_source_unless_the_settings_name_one(tmp_path: Path) -> None:
    row = {"source": "s", "doc_id": "d", "title": "t", "text": "# t\n", "lang": "en"}
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "a.parquet")
    (kept,) = rows_of(tmp_path / "a.parquet")
    (named,) = rows_of(tmp_path / "a.parquet", name="mine")
    assert isinstance(kept, Document) and kept == Document("s", "d", "t", "# t\n", "en")
    assert isinstance(named, Document) and named.source == "mine"


def test_settings_that_are_wrong_name_the_key_and_what_is_allowed() -> None:
    with pytest.raises(RecipeError, match=r"format.*'auto', 'text', 'html'.*docx"):
        check_settings(SourceConfig, {"path": "x", "format": "docx"}, "settings")
    with pytest.raises(RecipeError, match=r"columns\.body.*'doc_id'"):
        check_settings(SourceConfig, {"path": "x", "columns": {"body": "b"}}, "settings")
    with pytest.raises(RecipeError, match=r"colour: no such key.*path, name, format"):
        check_settings(SourceConfig, {"path": "x", "colour": 1}, "settings")


def test_ids_of_rows_are_distinct(tmp_path: Path) -> None:
    for name, text in (("a", "甲"), ("b", "乙")):
        (tmp_path / name).mkdir()
        (tmp_path / f"{name}.csv").write_text(f"id,text\n1,{text}是什么\n1,{text}不是什么\n,{text}没有编号\n")
        thread = {"id": 7, "question": f"{text}？", "answers": [{"text": "是。"}]}
        (tmp_path / name / "talk.jsonl").write_text(json.dumps(thread) + "\n")
        (tmp_path / name / "site").mkdir()
        (tmp_path / name / "site" / "Posts.xml").write_text(POSTS)
    assert names_of(tmp_path) == [
        "a.csv/1", "a.csv/1#2", "a.csv#3", "b.csv/1", "b.csv/1#2", "b.csv#3",
        "a/site/1", "b/site/1", "a/talk.jsonl/7", "b/talk.jsonl/7",
    ]  # fmt: skip
    assert names_of(tmp_path / "a.csv") == ["1", "1#2", "a.csv#3"]


def test_files_of_yuyi_keep_their_ids(tmp_path: Path) -> None:
    row = {"source": "s", "doc_id": "水壶", "title": "t", "text": "# t\n", "lang": "zh"}
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "a.parquet")
    assert names_of(tmp_path) == ["水壶"]
    assert names_of(tmp_path, name="mine") == ["a.parquet/水壶"]


def test_posts_stand_for_their_dump(tmp_path: Path) -> None:
    comment = '<comments><row Id="1" PostId="1" Text="Same here." Score="0" /></comments>'
    for folder, posts in (("upper", "Posts.xml"), ("lower", "posts.xml")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / posts).write_text(POSTS)
        (tmp_path / folder / posts.replace("Posts", "Comments").replace("posts", "comments")).write_text(
            comment
        )
        for path in (tmp_path / folder, tmp_path / folder / posts):
            (document,) = rows_of(path)
            assert isinstance(document, Document) and document.source == folder
            assert [part.role for part in document.parts] == ["question", "comment", "answer"]
    (tmp_path / "kettles.7z").write_bytes(b"7z\xbc\xaf")
    with pytest.raises(InputError, match=r"kettles\.7z: is packed. Unpack it"):
        rows_of(tmp_path / "kettles.7z")


def test_threads_are_told_by_answers_and_not_by_any_list(tmp_path: Path) -> None:
    (tmp_path / "marked.jsonl").write_text(
        json.dumps({"text": "水壶在北京。", "entities": [{"start": 3, "end": 5}]}) + "\n"
    )
    late = [{"title": "Why?", "answers": []}, {"title": "How?", "answers": [{"text": "So."}]}]
    (tmp_path / "late.jsonl").write_text("".join(json.dumps(row) + "\n" for row in late))
    formats = {
        name: found.format
        for found in find_inputs(SourceConfig(path=str(tmp_path)))
        for _, name in found.files
    }
    assert formats == {"marked.jsonl": "jsonl", "late.jsonl": "threads"}


def test_data_of_yuyi_are_not_read_back(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# 甲\n正文在此。")
    for name in ("done", "begun"):
        (tmp_path / name / "documents").mkdir(parents=True)
        (tmp_path / name / "report.html").write_text("<p>报告</p>")
    (tmp_path / "done" / "documents" / "step.json").write_text("{}")
    config = SourceConfig(path=str(tmp_path))
    assert [name for found in find_inputs(config, output=tmp_path / "begun") for _, name in found.files] == [
        "a.md"
    ]
    for path, output in ((tmp_path / "done", None), (tmp_path, tmp_path)):
        with pytest.raises(InputError, match="data that yuyi makes"):
            find_inputs(SourceConfig(path=str(path)), output=output)
