from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yuyi.data.rules.sentences import has_sentence, last_end, sentences


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("先下载。再安装！好了吗？好了", ["先下载。", "再安装！", "好了吗？", "好了"]),
        ("他说：“走吧。”然后走了。", ["他说：“走吧。”", "然后走了。"]),
        ("「来了！」她喊道。", ["「来了！」", "她喊道。"]),
        ("他想了很久……终于答应了。", ["他想了很久……", "终于答应了。"]),
        ("圆周率是3.14左右。版本是 v1.2.3。", ["圆周率是3.14左右。", "版本是 v1.2.3。"]),
        ("一是快；二是省。", ["一是快；", "二是省。"]),
        ("See Fig. 3, e.g. the curve. It falls.", ["See Fig. 3, e.g. the curve. ", "It falls."]),
        ("Dr. Wu and J. K. Li met at 5 p.m. in Rome.", ["Dr. Wu and J. K. Li met at 5 p.m. in Rome."]),
        ('He said "Stop!" and left. Why?', ['He said "Stop!" and left. ', "Why?"]),
        ("Wait... it moves. Fine.", ["Wait... it moves. ", "Fine."]),
        ("Use a != b or a.b(c)! Then stop.", ["Use a != b or a.b(c)! ", "Then stop."]),
        ("1. Open the lid. 2. Pour.", ["1. Open the lid. ", "2. Pour."]),
        ("", []),
    ],
)
def test_sentences_end_where_they_do(text: str, parts: list[str]) -> None:
    assert sentences(text) == parts


@given(st.text(alphabet="甲乙。！？；…”」. ab!?\"'(3\n", max_size=40))
def test_sentences_together_are_the_text(text: str) -> None:
    parts = sentences(text)
    assert "".join(parts) == text
    assert all(parts)


def test_the_last_end_counts_only_from_an_offset() -> None:
    assert last_end("第一句。第二句。半", 4) == 8
    assert last_end("One. Two and", 6) == -1


def test_names_and_commands_are_no_sentences() -> None:
    assert has_sentence("安装完成。") and has_sentence("It works.")
    assert not any(map(has_sentence, ["config.yaml", "v1.2.3", "git commit -m", "内存容量"]))
