"""Posts are HTML or Markdown by how they are written, and what they leave open ends with them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yuyi.data.readers.posts import close_code, post_to_markdown
from yuyi.text.markdown import parse


@pytest.mark.parametrize(
    "text",
    [
        "Use `</p>` to end a paragraph.\n\n- one\n- two",
        "**为什么** 我的 </div> 不起作用？\n\n    <div>x</div>\n\n试试 *这个*。",
        "看这里：\n\n```html\n<p>你好</p>\n```\n\n> 引文",
        '<p align="center"><b>Kettle</b></p>\n\n# Kettle\n\nA [link](there.md).',
        "a < b and c > d",
        "第一段。\n\n第二段。\n\n<table><tr><td>甲</td></tr></table>",
        "Write <b>bold</b>, and **this** too.\n\n1. one",
        "I wrote `<p>text</p>`",
        "```\n<p>x</p>",
    ],
)
def test_markdown_that_holds_tags_stays(text: str) -> None:
    assert post_to_markdown(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<p>你好，<b>世界</b>。</p>\n<pre><code># not a heading\n</code></pre>",
         "你好，世界。\n\n```\n# not a heading\n```"),
        ("What now?<p>Use <code>x</code>.</p>", "What now?\n\nUse `x`."),
        ('<a href="http://example.org/a">甲</a><br><a href="http://example.org/b">乙</a>',
         "[甲](http://example.org/a)\n[乙](http://example.org/b)"),
        ("<!DOCTYPE html><html><nav>menu</nav><main><p>" + "正文在此。" * 20 + "</p></main></html>",
         "正文在此。" * 20),
        ("<p> </p>", ""),
    ],
)  # fmt: skip
def test_html_is_converted(text: str, expected: str) -> None:
    assert post_to_markdown(text) == expected


pieces = st.sampled_from(
    ("```", "~~~", "<!--", "-->", "<pre>", "</pre>", "<script", ">", "\n", " ", "-", "1.", "中", "a")
)


@given(st.lists(pieces, max_size=12).map("".join))
def test_nothing_open_reaches_into_what_follows(text: str) -> None:
    closed = close_code(f"x\n{text}".strip())
    last = parse(f"{closed}\n\n---\n\n答案在此。")[-1]
    assert (last.kind, last.text) == ("paragraph", "答案在此。")


@pytest.mark.parametrize(
    "text", ["<!" * 50_000, "<p>" * 50_000, "`" * 50_000 + "<p>", "<a " * 50_000 + ">", "<pre>" * 20_000]
)
def test_hostile_posts_take_little_time(text: str) -> None:
    assert isinstance(post_to_markdown(text), str)
    # What stands there stays: only an end is added.
    assert close_code(text).startswith(text)
