"""Text and HTML files become documents; a file beyond all measure becomes several or an error."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from yuyi.data.readers import text_files
from yuyi.data.readers.text_files import read_html_file, read_text_file
from yuyi.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from yuyi.records import Document

PAGE = """<html><head><title>{title}</title></head><body><nav><a href="/">Home</a></nav>
<article><h1>{title}</h1><p>{text}</p></article></body></html>"""


def read(path: Path) -> list[Document]:
    return list(read_text_file(path, name=path.name, source="s"))


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("# 護照過期\n\n請帶身分證與照片，到大廳辦理換發。\n", "big5"),
        ("# 护照过期\n\n请带身份证和照片，到大厅办理换发。\n", "gb18030"),
        ("# Kettles\r\n\r\nThey whistle, 会响。\r\n", "utf-16"),
        ("# Kettles\n\nThey whistle, 会响。\n", "utf-16-le"),
    ],
)
def test_whatever_the_encoding_the_text_is_the_same(tmp_path: Path, text: str, encoding: str) -> None:
    (tmp_path / "a.md").write_bytes(text.encode(encoding))
    (document,) = read(tmp_path / "a.md")
    assert document.text == text.replace("\r\n", "\n")
    assert document.title == document.text.splitlines()[0].removeprefix("# ")


def test_the_title_is_the_first_heading_or_the_name(tmp_path: Path) -> None:
    for name, text, title in (
        ("a.rst", "Bees\n====\n\nThey fly.\n", "Bees"),
        ("蜜蜂.txt", "蜜蜂会飞。\n", "蜜蜂"),
        ("c.md", "正文在前。\n\n## 后面的标题\n", "后面的标题"),
    ):
        (tmp_path / name).write_text(text)
        (document,) = read(tmp_path / name)
        assert (document.title, document.doc_id) == (title, name)


def test_a_long_file_becomes_several_documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_files, "_WHOLE_BYTES", 1000)
    monkeypatch.setattr(text_files, "_PIECE_CHARACTERS", 400)
    lines = ["# 长文", *(("# Heading" if number % 7 == 0 else f"第{number}行 " * 9) for number in range(60))]
    (tmp_path / "long.md").write_text("\n".join(lines) + "\n")
    documents = read(tmp_path / "long.md")
    assert "".join(document.text for document in documents) == (tmp_path / "long.md").read_text()
    assert [document.doc_id for document in documents][:2] == ["long.md#1", "long.md#2"]
    assert all(len(document.text) <= 400 for document in documents)
    assert {document.title for document in documents} == {"长文"}
    assert sum(document.text.startswith("# Heading") for document in documents) > len(documents) // 2


def test_a_line_beyond_all_measure_is_named(tmp_path: Path) -> None:
    with (tmp_path / "line.txt").open("wb") as file:
        file.write(b"first\n")
        for _ in range(40):
            file.write(b"x" * (1 << 20))
    with pytest.raises(InputError, match=r"line\.txt: line 2 is longer than 32 MiB"):
        read(tmp_path / "line.txt")


def test_a_page_becomes_markdown(tmp_path: Path) -> None:
    for text, encoding in (("水开的时候，壶会响。", "gb18030"), ("水開的時候，壺會響。", "big5")):
        path = tmp_path / f"{encoding}.html"
        path.write_bytes(
            PAGE.format(title="水壺" if encoding == "big5" else "水壶", text=text).encode(encoding)
        )
        (document,) = read_html_file(path, name="p", source="s")
        assert text in document.text and "<p>" not in document.text
        assert (document.title[0], document.lang) == ("水", "zh")


def test_a_page_beyond_all_measure_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "p.html").open("wb") as file:
        file.truncate(13 << 20)
    with pytest.raises(InputError, match=r"p\.html: has 13 MiB, and a page may have 12"):
        list(read_html_file(tmp_path / "p.html", name="p", source="s"))
