from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yuyi.errors import InputError
from yuyi.text.decode import decode
from yuyi.text.lines import decode_lines, read_lines

if TYPE_CHECKING:
    from pathlib import Path

TEXTS = st.text(alphabet="ab 中文，。\r\n\t", max_size=40)


def lines_of(data: bytes) -> list[str]:
    return list(decode_lines(io.BytesIO(data)))


@given(TEXTS, st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]))
def test_lines_are_those_of_the_whole_text(text: str, encoding: str) -> None:
    data = text.encode(encoding)
    whole = decode(data).split("\n")
    assert lines_of(data) == (whole[:-1] if whole[-1] == "" else whole)


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "utf-16", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_blocks_leave_no_seam(encoding: str, end: str) -> None:
    texts = [f"第{number}行，后面还有字" for number in range(100_000)]
    assert lines_of(end.join(texts).encode(encoding)) == texts


def test_a_line_longer_than_a_block() -> None:
    assert lines_of(("语" * 1_000_000 + "\n义").encode()) == ["语" * 1_000_000, "义"]


def test_chinese_may_begin_after_a_megabyte_of_english() -> None:
    data = b"plain english\n" * 100_000 + "中文在后面".encode("gb18030")
    assert lines_of(data)[-1] == "中文在后面"


def test_lines_come_before_the_end_is_read() -> None:
    file = io.BytesIO(b"a line\n" * 1_000_000)
    assert next(decode_lines(file)) == "a line"
    assert file.tell() < 2_000_000


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (b"\0\1\2", "binary"),
        (b"text\n" * 300_000 + b"\0", "binary"),
        ("中文\n".encode() * 200_000 + "中文也是中文\n".encode("gb18030") * 100_000, "line"),
        (b"\xff\xff\xff", "neither UTF-8"),
    ],
)
def test_what_is_no_text_is_refused(data: bytes, cause: str) -> None:
    with pytest.raises(InputError, match=cause):
        lines_of(data)


def test_the_line_of_a_strange_byte_is_named() -> None:
    data = "第一句。\n".encode() * 500_000 + b"\xff\xfe\n" + "第二句。\n".encode() * 9
    with pytest.raises(InputError, match="line 500001 is not utf-8, as the lines before it are"):
        lines_of(data)
    with pytest.raises(InputError, match="line 3 is neither UTF-8 nor GB18030 nor Big5"):
        lines_of(b"one\ntwo\n\xff\xff\nfour\n")


def test_big5_is_read_in_blocks() -> None:
    texts = [f"第{number}行，後面還有字，這是繁體中文。" for number in range(100_000)]
    assert lines_of("\r\n".join(texts).encode("big5")) == texts


class Endless(io.RawIOBase):
    """A file of one line that never ends, in blocks; counts what was read of it."""

    def __init__(self, unit: bytes, first: bytes = b"") -> None:
        self.unit, self.first, self.total = unit, first, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        data = (self.first + self.unit * (len(buffer) // len(self.unit) + 1))[: len(buffer)]
        buffer[: len(data)] = data
        self.first = b""
        self.total += len(data)
        return len(data)


@pytest.mark.parametrize(
    ("unit", "first"),
    [(b"a", b"one\ntwo\n"), ("国".encode("utf-16-le"), "﻿one\ntwo\n".encode("utf-16-le"))],
)
def test_an_endless_line_is_refused_before_it_fills_the_memory(unit: bytes, first: bytes) -> None:
    endless = Endless(unit, first)
    with pytest.raises(InputError, match="line 3 is longer than 32 MiB"):
        for _ in decode_lines(io.BufferedReader(endless)):
            pass
    assert endless.total < 80 << 20


def test_utf16_is_not_read_whole() -> None:
    file = io.BytesIO("一行\n".encode("utf-16-le") * 1_000_000)
    assert next(decode_lines(file)) == "一行"
    assert file.tell() < 3_000_000


def test_the_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.txt: no such file"):
        list(read_lines(tmp_path / "nowhere.txt"))
    with pytest.raises(InputError, match="is a folder"):
        list(read_lines(tmp_path))
