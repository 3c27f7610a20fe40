from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yuyi.text.markdown import Block, parse

# Fragments that together make most of what Markdown can do wrong.
FRAGMENTS = [
    "# 标题\n", "## Sub heading ##\n", "Title\n=====\n", "段落一。\n", "second *line* of it\n", "\n", "\n\n",
    "- 项目\n", "  - nested `code`\n", "1. one\n", "> 引用\n", "> - in quote\n", "```python\nx = 1\n```\n",
    "```\nunclosed\n", "    indented = code\n", "| a | 乙 |\n|---|---|\n| 1 | 2 |\n", "<p>a <b>b</b>\n",
    "<!-- comment\n", "[link](http://x.y) ![img](z.png)\n", "***\n", "[ref]: http://a.b\n", "\t", "\r\n",
    "&amp; \\* ",
]  # fmt: skip


def texts_of(blocks: list[Block], kind: str) -> list[str]:
    return [block.text for block in blocks if block.kind == kind]


def test_blocks_know_their_headings_and_their_place() -> None:
    text = "# 护照\n\n总说明。\n\n## 费用\n\n| 项目 | 元 |\n|---|---|\n| 换发 | 120 |\n\n# 附录\n\n- 甲\n"
    blocks = parse(text)
    assert [(block.kind, block.text, block.path) for block in blocks] == [
        ("heading", "护照", ()),
        ("paragraph", "总说明。", ("护照",)),
        ("heading", "费用", ("护照",)),
        ("table", "项目 | 元\n换发 | 120", ("护照", "费用")),
        ("heading", "附录", ()),
        ("list_item", "甲", ("附录",)),
    ]
    assert text[blocks[3].start : blocks[3].end] == "| 项目 | 元 |\n|---|---|\n| 换发 | 120 |"


def test_inline_markup_becomes_its_text() -> None:
    text = "See [the *manual*](m.md), ![picture](p.png)`ls -l` &amp; <kbd>Ctrl</kbd>\nor \\*nothing\\*."
    assert texts_of(parse(text), "paragraph") == ["See the manual, ls -l & Ctrl\nor *nothing*."]


def test_lists_and_quotes_give_a_block_for_each_paragraph() -> None:
    blocks = parse("- one\n\n  more of one\n  - inner\n\n> quoted\n")
    assert [(block.kind, block.text) for block in blocks] == [
        ("list_item", "one"),
        ("list_item", "more of one"),
        ("list_item", "inner"),
        ("quote", "quoted"),
    ]


def test_front_matter_is_skipped_but_its_title_counts() -> None:
    text = '---\ntitle: "安装 yuyi"\nweight: 3\n---\n\n正文。\n'
    heading, paragraph = parse(text)
    assert (heading.kind, heading.text, text[heading.start : heading.end]) == (
        "heading",
        "安装 yuyi",
        "安装 yuyi",
    )
    assert (paragraph.text, paragraph.path) == ("正文。", ("安装 yuyi",))
    assert text[paragraph.start : paragraph.end] == "正文。"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("## 标题 {#anchor}\n", [("heading", "标题")]),
        ('# <a name="x"></a>Performance\n', [("heading", "Performance")]),
        ("##紧凑标题\n", [("heading", "紧凑标题")]),
        ("> [!NOTE]\n> 请注意。\n", [("quote", "请注意。")]),
        ("!!! note\n    请注意。\n", [("paragraph", "请注意。")]),
        ("用 [!INCLUDE[vs](../vs.md)] 打开。\n", [("paragraph", "用  打开。")]),
        ("---\r\ntitle: 甲\r\n---\r\n正文。\r\n", [("heading", "甲"), ("paragraph", "正文。")]),
        ("---\n---\n正文。\n", [("paragraph", "正文。")]),
        (
            "---\n# 注释\ntitle: 甲\ntags:\n- 水壶\n- 'kettle'\nsummary: >\n  长\n\n  文\n---\n正文。\n",
            [("heading", "甲"), ("paragraph", "正文。")],
        ),
        (
            '+++\ntitle = "甲"\ndate = 2024-01-01\n\n[extra]\ntags = ["水壶"]\n+++\n\n正文。\n',
            [("heading", "甲"), ("paragraph", "正文。")],
        ),
        (
            "---\n\n# 标题\n\n正文里的话。\n\n---\n\n又一段。\n",
            [("heading", "标题"), ("paragraph", "正文里的话。"), ("paragraph", "又一段。")],
        ),
        (
            "---\n\nHello: there is prose here.\n\n---\n\nMore.\n",
            [("paragraph", "Hello: there is prose here."), ("paragraph", "More.")],
        ),
        (
            "---\nname: kettle\nIt goes on as prose.\n\n---\nMore.\n",
            [("paragraph", "name: kettle\nIt goes on as prose."), ("paragraph", "More.")],
        ),
        ("---\n\n正文。\n\n---\n\n又一段。\n", [("paragraph", "正文。"), ("paragraph", "又一段。")]),
        ("author: somebody\ntags: a, b\n---\n正文。\n", [("paragraph", "正文。")]),
        ("::: tip\n小技巧。\n:::\n", [("paragraph", "小技巧。")]),
        ("<!-- licence -->\n<p>一段<br>两行</p>\n", [("paragraph", "一段\n两行")]),
        ("<script>\nlet x = 1\n</script>\n", []),
    ],
)
def test_habits_of_documentation_generators(text: str, expected: list[tuple[str, str]]) -> None:
    assert [(block.kind, block.text) for block in parse(text)] == expected


def test_restructured_text() -> None:
    text = "Title\n=====\n\n.. note:: aside\n\nPart\n~~~~\n\nSee :pep:`8` [1]_ and `site`_::\n\n    x = {1}\n"
    blocks = parse(text)
    assert texts_of(blocks, "heading") == ["Title", "Part"]
    assert texts_of(blocks, "paragraph") == ["aside", "See PEP 8 and site:"]
    assert texts_of(blocks, "code") == ["x = {1}\n"]


def test_indented_prose_is_no_code() -> None:
    assert texts_of(parse("    从前有一座山，山里有一座庙。\n\n    第二段。\n"), "code") == []
    assert texts_of(parse("    for x in y:\n        print(x)\n"), "code") == ["for x in y:\n    print(x)"]


def test_a_long_run_of_lines_is_cut_at_line_ends() -> None:
    text = "".join(f"第{number}行，这里写着一些话。\n" for number in range(1_000))
    blocks = parse(text)
    assert len(blocks) > 10
    assert max(len(block.text) for block in blocks) < 1_000
    assert "\n".join(block.text for block in blocks) == text.strip()
    assert all(text[block.start : block.end] == block.text for block in blocks)


def test_a_ruler_under_a_paragraph_makes_no_heading() -> None:
    assert [block.kind for block in parse("很长的一段话。" * 40 + "\n------\n")] == ["paragraph"]


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=14).map("".join))
def test_spans_are_in_order_and_hold_the_text(text: str) -> None:
    position = 0
    for block in parse(text):
        assert block.text.strip()
        assert position <= block.start < block.end <= len(text)
        position = block.start
        held = text[block.start : block.end]
        words = re.findall(r"\w+", block.text)
        assert all(word in held for word in words), (block, held)


@given(st.text(max_size=300))
def test_any_text_parses(text: str) -> None:
    for block in parse(text):
        assert 0 <= block.start <= block.end <= len(text)


@pytest.mark.parametrize(
    "text",
    [
        "x" * 1_000_000,
        "一二三，" * 250_000,
        "[" * 100_000,
        "[a](" * 4_900,
        "*a_`" * 50_000,
        "> " * 5_000 + "a",
        "| a | b |\n|---|---|\n" + "| [x](y) | `z` |\n" * 2_000,
        "<" * 100_000,
        "---\n" * 20_000,
        "- a\n" * 5_000,
        "a\n" * 50_000,
        "\n" * 1_000_000,
        "a" + " " * 1_000_000 + "b",
        "<!-- " * 20_000,
    ],
    ids=lambda text: text[:6].encode("unicode_escape").decode(),
)
def test_hostile_input_takes_seconds_at_most(text: str) -> None:
    begin = time.process_time()
    parse(text)
    assert time.process_time() - begin < 5


def test_headings_know_their_level() -> None:
    blocks = parse("---\ntitle: 甲\n---\n## 乙\n\n段落。\n\n####丙\n\n标题\n===\n")
    assert [(block.text, block.level) for block in blocks] == [
        ("甲", 1),
        ("乙", 2),
        ("段落。", 0),
        ("丙", 4),
        ("标题", 1),
    ]


def test_links_keep_their_text_and_their_target() -> None:
    text = "见 [*安装* 指南](a/安装.md#步骤 '标题')、![图](i.png) 和 [ref][r]，<https://a.b/c%20d>。\n\n"
    text += "[r]: <../x y.md>\n"
    assert parse(text)[0].links == (
        ("安装 指南", "a/安装.md#步骤"),
        ("ref", "../x y.md"),
        ("https://a.b/c d", "https://a.b/c%20d"),
    )
    assert parse("| 名 | 值 |\n|---|---|\n| [甲](a.md) | [乙](b.md) |\n")[0].links == (
        ("甲", "a.md"),
        ("乙", "b.md"),
    )
    assert parse("无链接的 `a[0](b)` 段落。")[0].links == ()
    assert parse("## [标题](t.md)\n")[0].links == (("标题", "t.md"),)


def test_a_paragraph_with_code_alone_needs_no_parser() -> None:
    text = "a `x_y` and ``b ` c`` with ` d ` and `e\nf`, `g`"
    assert parse(text)[0].text == "a x_y and b ` c with d and e f, g"
    assert parse("snake_case_name, R&D and a < b \\d")[0].text == "snake_case_name, R&D and a < b \\d"
    assert parse("_one_ and R&amp;D")[0].text == "one and R&D"
