"""Dumps of Stack Exchange become threads, whatever the order of their rows."""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING
from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from yuyi.data.readers.stackexchange import read_stackexchange
from yuyi.errors import InputError, YuyiError

if TYPE_CHECKING:
    import random
    from pathlib import Path

    from yuyi.records import Document

Row = dict[str, object]

POSTS: list[Row] = [
    {"Id": 1, "PostTypeId": 1, "AcceptedAnswerId": 3, "Score": 12, "Title": "How do I reverse a list?",
     "Tags": "<python><list>", "Body": "<p>I have <code>[1, 2]</code>.</p>\n\n<p>What now?</p>\n"},
    {"Id": 2, "PostTypeId": 2, "ParentId": 1, "Score": 40, "Body": "<p>Use <code>reversed(x)</code>.</p>"},
    {"Id": 3, "PostTypeId": 2, "ParentId": 1, "Score": 7,
     "Body": "<pre><code>x[::-1]\n</code></pre>\n<p>makes a <a href=\"https://docs.python.org\">copy</a>.</p>"},
    {"Id": 4, "PostTypeId": 2, "ParentId": 1, "Score": -3, "Body": "<p>You cannot.</p>"},
    {"Id": 5, "PostTypeId": 1, "Score": 0, "Title": "List backwards?", "Tags": "|python|",
     "Body": "<p>Help</p>"},
    {"Id": 6, "PostTypeId": 1, "Score": 2, "Title": "如何把列表倒过来？", "Body": "<p>求最简单的写法。</p>"},
    {"Id": 7, "PostTypeId": 5, "Score": 0, "Body": "<p>A tag wiki.</p>"},
    {"Id": 8, "PostTypeId": 2, "ParentId": 999, "Score": 0, "Body": "<p>An orphan.</p>"},
]  # fmt: skip
COMMENTS: list[Row] = [
    {"Id": 11, "PostId": 3, "Score": 5, "Text": "Slices are fast & short."},
    {"Id": 10, "PostId": 3, "Score": 0, "Text": "Why?"},
    {"Id": 12, "PostId": 1, "Score": 1, "Text": "In place?"},
]
LINKS: list[Row] = [
    {"Id": 20, "PostId": 5, "RelatedPostId": 1, "LinkTypeId": 3},
    {"Id": 21, "PostId": 6, "RelatedPostId": 1, "LinkTypeId": 1},
    {"Id": 22, "PostId": 998, "RelatedPostId": 1, "LinkTypeId": 3},
]


def write(folder: Path, name: str, rows: list[Row]) -> None:
    lines = (" ".join(f"{key}={quoteattr(str(value))}" for key, value in row.items()) for row in rows)
    body = "\n".join(f"  <row {line} />" for line in lines)
    root = name.removesuffix(".xml").lower()
    (folder / name).write_text(
        f'\ufeff<?xml version="1.0" encoding="utf-8"?>\n<{root}>\n{body}\n</{root}>\n', "utf-8"
    )


def dump(folder: Path, shuffle: random.Random | None = None) -> Path:
    for name, rows in (("Posts.xml", POSTS), ("Comments.xml", COMMENTS), ("PostLinks.xml", LINKS)):
        write(folder, name, shuffle.sample(rows, len(rows)) if shuffle else rows)
    return folder


def said(document: Document) -> list[tuple[str, str, float | None, int]]:
    return [(part.role, document.text[part.start : part.end], part.score, part.of) for part in document.parts]


def test_a_thread_holds_its_answers_comments_and_duplicates(tmp_path: Path) -> None:
    first, second, third = read_stackexchange(dump(tmp_path), "python")
    assert (first.source, first.doc_id, first.title, first.lang) == (
        "python",
        "1",
        "How do I reverse a list?",
        "en",
    )
    assert said(first) == [
        ("question", "I have `[1, 2]`.\n\nWhat now?", 12, -1),
        ("comment", "In place?", 1, 0),
        ("answer", "```\nx[::-1]\n```\n\nmakes a [copy](https://docs.python.org).", 7, 0),
        ("comment", "Why?", 0, 2),
        ("comment", "Slices are fast & short.", 5, 2),
        ("answer", "Use `reversed(x)`.", 40, 0),
        ("answer", "You cannot.", -3, 0),
        ("duplicate", "List backwards?", None, 0),
        ("keywords", "python, list", None, 0),
    ]
    assert said(second) == [("question", "Help", 0, -1), ("keywords", "python", None, 0)]
    assert (third.doc_id, third.title, third.lang) == ("6", "如何把列表倒过来？", "zh")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20, deadline=None)
@given(seed=st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(tmp_path: Path, seed: random.Random) -> None:
    expected = list(read_stackexchange(dump(tmp_path), "s"))
    assert list(read_stackexchange(dump(tmp_path, seed), "s")) == expected


def test_posts_alone_are_enough_and_read_no_other_file(tmp_path: Path) -> None:
    documents = list(read_stackexchange(dump(tmp_path) / "Posts.xml", "s"))
    assert {part.role for document in documents for part in document.parts} == {
        "question",
        "answer",
        "keywords",
    }


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "dump"
    folder.mkdir()
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    documents = read_stackexchange(dump(folder), "s")
    next(documents)
    assert list(scratch.iterdir())
    documents.close()  # type: ignore[attr-defined]
    assert not list(scratch.iterdir())


BOMB = '<!DOCTYPE x [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]><posts><row Id="&b;"/></posts>'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<posts>\n<row Id='1' PostTypeId='1'/>\n", "line 3: not well-formed XML .* cut off"),
        ("<posts>\n<row Id=1/></posts>", "line 2: not well-formed XML .* Mend it there"),
        ("", "cut off"),
        ("<users><row Id='1'/></users>", "line 1: is <users>, not <posts>"),
        ("<posts><row Id='one' PostTypeId='1'/></posts>", 'no number where one is needed .*Id="one"'),
        (BOMB, "line 1: declares an entity"),
    ],
)
def test_bad_dumps_are_one_clear_error(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "Posts.xml").write_text(content)
    with pytest.raises(InputError, match=message) as error:
        list(read_stackexchange(tmp_path, "s"))
    assert "Posts.xml" in str(error.value) and "\n" not in str(error.value)


def test_a_folder_without_posts_and_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no Posts\.xml"):
        list(read_stackexchange(tmp_path, "s"))
    with pytest.raises(InputError, match="no such file"):
        list(read_stackexchange(tmp_path / "Posts.xml", "s"))


def test_of_a_damaged_dump_what_can_be_read_comes_first_if_asked(tmp_path: Path) -> None:
    file = dump(tmp_path) / "Comments.xml"
    whole = [document.doc_id for document in read_stackexchange(tmp_path, "s")]
    file.write_text(file.read_text().removesuffix("\n")[:-9])
    with pytest.raises(InputError, match=r"Comments\.xml: .*cut off"):
        next(read_stackexchange(tmp_path, "s"))
    documents = read_stackexchange(tmp_path, "s", partly=True)
    assert [next(documents).doc_id for _ in whole] == whole
    with pytest.raises(InputError, match=r"Comments\.xml: .*cut off"):
        next(documents)


def test_numbers_beyond_all_measure(tmp_path: Path) -> None:
    (tmp_path / "Posts.xml").write_text(f'<posts><row Id="{10**30}" PostTypeId="1" Title="T" /></posts>')
    with pytest.raises(InputError, match="beyond 64 bits"):
        list(read_stackexchange(tmp_path, "s"))


def test_want_of_room_is_no_fault_of_the_dump(tmp_path: Path) -> None:
    rows = "".join(f'<row Id="{n}" PostTypeId="1" Title="Why {n}?" />' for n in range(1, 2000))
    (tmp_path / "Posts.xml").write_text(f"<posts>{rows}</posts>")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8000, hard))
    try:
        with pytest.raises(YuyiError, match="TMPDIR") as error:
            list(read_stackexchange(tmp_path, "s", partly=True))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not isinstance(error.value, InputError)
