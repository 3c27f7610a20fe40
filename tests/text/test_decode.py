from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yuyi.errors import InputError
from yuyi.text.decode import decode, read_text

if TYPE_CHECKING:
    from pathlib import Path

CHINESE = "护照过期了怎么办？\n请带上身份证和照片，到出入境大厅办理换发。\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030", "gbk"])
def test_known_encodings_give_the_same_text(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "护照.txt"
    path.write_bytes(CHINESE.encode(encoding))
    assert read_text(path) == CHINESE


def test_line_ends_become_newlines() -> None:
    assert decode(b"one\r\ntwo\rthree\n") == "one\ntwo\nthree\n"


def test_an_empty_file_is_an_empty_text() -> None:
    assert decode(b"") == ""


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"))))
def test_utf8_text_comes_back_unchanged(text: str) -> None:
    assert decode(text.encode()) == text.removeprefix("\ufeff")


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "binary"),
        (b"PK\x03\x04\x14\x00\x06", "binary"),
        (bytes(range(128, 256)), "neither UTF-8"),
        ("Le café était fermé, voilà où".encode("latin-1"), "neither UTF-8"),
        (b"\xff\xfea\x00b", "UTF-16"),
    ],
)
def test_what_is_not_text_is_refused_by_name(tmp_path: Path, data: bytes, cause: str) -> None:
    path = tmp_path / "strange.txt"
    path.write_bytes(data)
    with pytest.raises(InputError, match=cause) as caught:
        read_text(path)
    assert str(path) in str(caught.value)


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_text(tmp_path / "absent.txt")
    with pytest.raises(InputError, match="is a folder"):
        read_text(tmp_path)


def test_a_stray_control_character_does_not_make_a_document_binary() -> None:
    document = "一份有一个退格符的文档。\x08 It goes on. " * 10
    assert decode(document.replace("\x08", "", 9).encode()).count("\x08") == 1
    with pytest.raises(InputError, match="binary"):
        decode(b"\x08" * 5 + b"text" * 10)
