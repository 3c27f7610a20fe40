from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text

from yuyi.cli.wrapping import wrap


def lines(text: str, width: int) -> list[str]:
    return [line.plain for line in wrap(Text(text), width)]


@pytest.mark.parametrize(
    ("text", "width", "expected"),
    [
        ("今天天气很好我们散步", 8, ["今天天气", "很好我们", "散步"]),
        ("use docker 安装软件", 12, ["use docker", "安装软件"]),
        ("使用docker安装", 8, ["使用", "docker安", "装"]),
        ("今天天气很，好", 10, ["今天天气", "很，好"]),
        ("说道：「好的」", 9, ["说道：", "「好的」"]),
        ("the quick fox", 9, ["the quick", "fox"]),
        ("abcdefghij", 4, ["abcd", "efgh", "ij"]),
        ("one\n\n  two", 10, ["one", "", "  two"]),
        ("", 10, [""]),
    ],
)
def test_where_lines_break(text: str, width: int, expected: list[str]) -> None:
    assert lines(text, width) == expected


@given(st.text(alphabet="ab 中文，。（「」\n …", max_size=200), st.integers(4, 30))
def test_lines_fit_and_nothing_is_lost(text: str, width: int) -> None:
    wrapped = lines(text, width)
    assert all(cell_len(line) <= width for line in wrapped)
    assert "".join("".join(wrapped).split()) == "".join(text.split())


def test_styles_survive_a_break() -> None:
    text = Text("今天天气很好")
    text.stylize("bold", 2, 5)
    first, second = wrap(text, 6)
    assert [(span.start, span.end) for span in first.spans] == [(2, 3)]
    assert [(span.start, span.end) for span in second.spans] == [(0, 2)]
