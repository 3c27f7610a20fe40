"""What is marked in a passage."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yuyi.search.matches import matched_spans


def marked(question: str, text: str, tokens=list) -> list[str]:
    return [text[start:end] for start, end in matched_spans(question, text, tokens)]


@pytest.mark.parametrize(
    ("question", "text", "expected"),
    [
        ("how do I install Docker", "Install docker, not dockerfile. I do.", ["Install", "docker"]),
        ("安装docker", "请安装docker吧", ["安装docker"]),
        ("怎么更换护照", "可以更换护照，但护照要在", ["更换护照", "护照"]),
        ("护照过期", "过期的护照", ["过期", "护照"]),
        ("锅", "买锅", ["锅"]),
        ("护照丢了怎么办", "怎么办护照？", ["护照"]),
        ("你好", "天气", []),
        ("the of", "the end of it", []),
        ("C++ (a|b", "c++ and (a|b", ["c", "b"]),
        ("İstanbul x", "x İİ", ["x"]),
        ("", "anything", []),
    ],
)
def test_shared_words_are_marked(question: str, text: str, expected: list[str]) -> None:
    assert marked(question, text) == expected


def test_tokens_that_both_share_are_marked() -> None:
    def tokens(text: str) -> list[str]:
        return [token for token in ("护", "照明灯", "，") if token in text]

    assert marked("照明灯，护", "灯，照明灯护", tokens) == ["照明灯护"]


def test_the_model_cuts_the_words(encoder) -> None:
    assert marked("胡子长得太快怎么办？", "胡子怎样长得快", encoder.tokens) == ["胡子", "长得"]


@given(st.text(alphabet="ab 字句。AB", max_size=30), st.text(alphabet="ab 字句。AB", max_size=60))
def test_spans_are_in_order_apart_and_not_empty(question: str, text: str) -> None:
    spans = matched_spans(question, text, list)
    edges = [edge for span in spans for edge in span]
    assert edges == sorted(set(edges))
    assert all(0 <= start < end <= len(text) for start, end in spans)
