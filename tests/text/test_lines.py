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


@given(TEXTS, st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))
def test_lines_are_those_of_the_whole_text(text: str, encoding: str) -> None:
    data = text.encode(encoding)
    whole = decode(data).split("\n")
    assert lines_of(data) == (whole[:-1] if whole[-1] == "" else whole)


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "utf-16"])
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


def test_the_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.txt: no such file"):
        list(read_lines(tmp_path / "nowhere.txt"))
    with pytest.raises(InputError, match="is a folder"):
        list(read_lines(tmp_path))
