"""Passages keep to headings, stay short, and lose nothing."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yuyi.search.passages import cut_markdown, cut_plain

SENTENCE = "今天天气很好，我们去公园散步。"


def test_passages_stand_under_their_headings_and_know_their_lines() -> None:
    text = "# 手册\n\n开头。\n\n## 安装\n\n第一步。\n第二步。\n\n- 甲\n- 乙\n\n## 使用\n\n```\nrun it\n```\n"
    passages = cut_markdown(text)
    assert [(passage.path, passage.text, passage.line) for passage in passages] == [
        (("手册",), "开头。", 3),
        (("手册", "安装"), "第一步。第二步。\n甲\n乙", 7),
        (("手册", "使用"), "run it", 15),
    ]
    assert passages[1].in_context == "手册\n安装\n第一步。第二步。\n甲\n乙"


def test_a_heading_without_a_body_can_be_found() -> None:
    passages = cut_markdown("# FAQ\n\n## 怎么退款\n\n## 怎么开发票\n\n开发票请联系客服。\n")
    assert [(passage.path, passage.text) for passage in passages] == [
        (("FAQ",), "怎么退款"),
        (("FAQ", "怎么开发票"), "开发票请联系客服。"),
    ]


def test_prose_is_unwrapped_and_code_is_not() -> None:
    prose = cut_markdown("The first line\nand the second,\n中文一行\n接着一行\n")
    assert prose[0].text == "The first line and the second, 中文一行接着一行"
    assert cut_markdown("```\na = 1\nb = 2\n```\n")[0].text == "a = 1\nb = 2"


def test_a_long_paragraph_is_cut_at_sentence_ends_into_even_pieces() -> None:
    passages = cut_markdown(SENTENCE * 80)
    assert len(passages) == 3
    assert all(passage.text.endswith("。") for passage in passages)
    assert (
        max(len(passage.text) for passage in passages) - min(len(passage.text) for passage in passages) < 50
    )


def test_pieces_of_a_long_block_know_their_lines() -> None:
    lines = [f"第{number}行：{SENTENCE}" for number in range(1, 101)]
    for passages in (cut_plain("\n".join(lines)), cut_markdown("\n".join(lines))):
        assert len(passages) > 3
        for passage in passages:
            assert passage.text.startswith(f"第{passage.line}行")


def test_plain_text_is_parted_by_blank_lines_only() -> None:
    passages = cut_plain(f"# not a heading\nstill here\n \n\n{SENTENCE * 33}\n\nthe end")
    assert [(passage.text[:9], passage.line, passage.path) for passage in passages] == [
        ("# not a h", 1, ()),
        (SENTENCE[:9], 5, ()),
        ("the end", 7, ()),
    ]


@pytest.mark.parametrize("text", ["", "\n\n", "   ", "---\n"])
def test_nothing_gives_no_passages(text: str) -> None:
    assert cut_markdown(text) == []
    assert cut_plain(text.replace("-", "")) == []


@given(st.text(alphabet="ab。，. \n字句\t　", max_size=2_000))
@settings(deadline=None)
def test_no_character_of_a_plain_text_is_lost_or_doubled(text: str) -> None:
    passages = cut_plain(text)
    assert "".join("".join(passage.text.split()) for passage in passages) == "".join(text.split())
    assert all(0 < len(passage.text) <= 500 for passage in passages)
    lines = text.split("\n")
    assert all(passage.text[0] in lines[passage.line - 1] for passage in passages)


@pytest.mark.parametrize(
    "unit", ["x", "今天天气很好。", "word ", "*[`", "\n"], ids=["x", "zh", "en", "signs", "blank"]
)
def test_megabytes_without_a_line_end_take_seconds(unit: str) -> None:
    text = unit * (2_000_000 // len(unit))
    started = time.process_time()
    passages = [*cut_plain(text), *cut_markdown(text)]
    assert time.process_time() - started < 10
    assert all(len(passage.text) <= 500 for passage in passages)
    assert bool(passages) == bool(text.strip())
