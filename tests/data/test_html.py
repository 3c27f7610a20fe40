"""Pages become Markdown that says what they say, and nothing of what stands around it."""

from __future__ import annotations

import html
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yuyi.data.readers.html import fragment_to_markdown, html_to_markdown
from yuyi.text.markdown import parse

PAGES = Path(__file__).parent / "pages"


def page(name: str) -> tuple[str, str]:
    return html_to_markdown((PAGES / f"{name}.html").read_text("utf-8"))


def blocks(markdown: str) -> list[tuple[str, str]]:
    return [(block.kind, block.text) for block in parse(markdown)]


def test_a_sphinx_page_keeps_its_definitions_and_references() -> None:
    title, text = page("sphinx")
    assert title == "json — JSON encoder and decoder"
    assert text.startswith("# `json` — JSON encoder and decoder\n\nSource code: [Lib/json/")
    assert "specified by [RFC 7159](https://datatracker.ietf.org/doc/html/rfc7159.html), is a" in text
    assert "```python3\n>>> import json\n>>> json.dumps(['foo'])\n'[\"foo\"]'\n```" in text
    assert "\n## Basic Usage\n\n- json.dump(obj, fp): Serialize obj as a JSON formatted stream" in text
    assert "    - obj ([object](functions.html#object)) – The Python object to be serialized." in text
    assert text.endswith("| JSON | Python |\n| --- | --- |\n| object | dict |\n| array | list |")
    assert not any(word in text for word in ("¶", "Navigation", "Copyright", "Table of Contents", "modules"))


def test_a_docusaurus_page_is_its_article() -> None:
    title, text = page("docusaurus")
    assert title == "安装"
    assert text == (
        "# 安装\n\n本框架需要 [Node.js](https://nodejs.org/) 18.0 或更高版本。推荐使用长期支持版本。\n\n"
        "## 开始使用\n\n运行下面的命令即可创建一个新的站点：\n\n"
        "```bash\nnpx create-docs my-website\ncd my-website\n```\n\n提示\n\n也可以使用 `yarn`。\n\n"
        "- 第一项\n- 第二项\n  - 子项\n\n"
        "| 选项 | 说明 |\n| --- | --- |\n| `--port` | 端口，默认 `3000` |"
    )


def test_a_vuepress_page_keeps_code_inside_its_list() -> None:
    title, text = page("vuepress")
    assert title == "快速上手"
    assert (
        "1. 创建并进入一个新目录\n\n   ```bash\n   mkdir vuepress-starter && cd vuepress-starter\n   ```\n2. "
        in text
    )
    assert text.endswith("## 配置\n\n```js\nmodule.exports = {\n}\n```")


def test_an_old_news_page_without_an_article_is_found_by_its_text() -> None:
    title, text = page("news_zh")
    assert title == "城市地铁新线今日开通 方便市民出行"
    assert text.count("\n\n") == 3
    assert text.startswith("某某日报5月1日电（记者 李四）今天上午") and text.endswith(
        "计划于2028年前全部完工。"
    )


def test_a_news_page_loses_notices_stories_and_comments() -> None:
    title, text = page("news_en")
    assert title == "River cleanup nears its goal"
    assert "removed 400 tonnes of waste,” the group’s leader" in text
    assert (
        "[vote on funding](</council?id=(3)>)" in text and "\n\n> It is a good day for everyone.\n\n" in text
    )
    assert not any(
        word in text for word in ("cookie", "newsletter", "Another story", "First!", "Daily Example")
    )


@pytest.mark.parametrize("slug", ["cookies", "copyright", "pagination", "comments", "related", "sidebar"])
def test_a_section_about_cookies_is_no_cookie_notice(slug: str) -> None:
    text = html_to_markdown(
        f"<main><h1>Settings of the server</h1><section id='{slug}'><h2>{slug}</h2>"
        "<p>How the server handles them is set here, in its own section.</p></section></main>"
    )[1]
    assert f"## {slug}" in text and "handles them" in text


@pytest.mark.parametrize(
    ("head", "body", "title"),
    [
        ("安装 - 某某手册", "<h1 class='site'>某某手册</h1><main><h2>安装</h2><p>{text}</p></main>", "安装"),
        ("安装 | 某某手册", "<main><p>{text}</p></main>", "安装"),
        ("Rust Handbook", "<main><p>{text}</p><h1>Setting up</h1></main>", "Setting up"),
        ("State-of-the-art parsing_Some Site", "<div>{text}</div>", "State-of-the-art parsing"),
        ("", "<div>{text}</div>", ""),
    ],
)
def test_the_title_is_the_page_s_and_not_the_site_s(head: str, body: str, title: str) -> None:
    text = "这里是正文，说明如何安装，以及安装之后应当做什么，请逐步照做。" * 3
    source = f"<html><head><title>{head}</title></head><body>{body.format(text=text)}</body></html>"
    assert html_to_markdown(source)[0] == title
    assert text in html_to_markdown(source)[1]


def test_a_page_that_sends_its_reader_elsewhere_says_nothing() -> None:
    source = "<meta http-equiv=Refresh content='0; URL=n'><title>Moved</title><p>Go <a href=n>on</a>"
    assert html_to_markdown(source) == ("Moved", "")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("<p>a &amp; b&nbsp;c</p>", "a & b c"),
        ("<p>第一行<br>第二行<br><br>第二段</p>", "第一行\n第二行\n\n第二段"),
        ("<p>在这里\n  换行，也\n  不加空格</p>", "在这里换行，也不加空格"),
        ("<p>snake_case and 2*3*4 &lt;T&gt; [x](y)", r"snake_case and 2\*3\*4 \<T> \[x](y)"),
        ("<p># no heading", r"\# no heading"),
        ("<ol start=3><li>c<li>d</ol>", "3. c\n4. d"),
        ("<ul><li>one<ul><li>inner</ul><li><p>two<p>more</ul>", "- one\n  - inner\n- two\n\n  more"),
        ("<dl><dt>词嵌入</dt><dd>把词表示为向量。</dd></dl>", "- 词嵌入：把词表示为向量。"),
        ("<dl><dt>a</dt><dt>b:</dt><dd><p>both</p><p>more</p></dd></dl>", "- a, b: both\n\n  more"),
        ("<dl><dt>alone</dt><dt>x</dt></dl>", "- alone, x"),
        ("<pre><code class='hljs language-c++'>int x;\n\n  y</code></pre>", "```c++\nint x;\n\n  y\n```"),
        ("<pre>a ``` b</pre>", "````\na ``` b\n````"),
        ("<code>a`b</code>", "``a`b``"),
        ("<a href='/x y'>go [1]</a> <a href='#top'>up</a> <a href='javascript:x()'>run</a>",
         r"[go \[1\]](</x y>) up run"),
        ("<a href='/card'><h3>Title</h3><p>Text</p></a>", "### Title\n\nText"),
        ("<h2><a href='/x'>A <b>link</b></a></h2>", "## [A link](/x)"),
        ("<ruby>汉<rp>(</rp><rt>hàn</rt><rp>)</rp></ruby>字", "汉字"),
        ("<table><tr><td>layout<table><tr><td>1<td>2</table></table>", "layout\n\n| 1 | 2 |\n| --- | --- |"),
        ("<table><tr><th>A<th>B<tr><td rowspan=2>x|y<td>1<br>2<tr><td>3</table>",
         "| A | B |\n| --- | --- |\n| x\\|y | 1 2 |\n| x\\|y | 3 |"),
        ("<table><tr><td colspan=2>all<td>c<tr><td>1<td>2<td>3</table>",
         "| all |  | c |\n| --- | --- | --- |\n| 1 | 2 | 3 |"),
        ("<blockquote><p>a</p><ul><li>b</ul></blockquote>", "> a\n\n> - b"),
        ("<p>a<div>b</p>c</div></li></ul></table>d", "a\n\nb\n\nc\n\nd"),
        ("<p>x<script>1</script><style>y{}</style><!-- no -->z", "xz"),
        ("<math alttext='x^2'><mi>x</mi></math>", "$x^2$"),
        ("", ""),
    ],
)  # fmt: skip
def test_fragments(source: str, expected: str) -> None:
    assert fragment_to_markdown(source) == expected


@given(st.text(alphabet=st.sampled_from("ab 1.#*_`~<>[]()!&;|\\-+=:中文，。\n"), max_size=40))
def test_a_paragraph_reads_back_as_what_it_said(text: str) -> None:
    said = " ".join(text.replace("\n", " ").split())
    found = blocks(fragment_to_markdown(f"<p>x{html.escape(said)}</p>"))
    assert found == [("paragraph", f"x{said}")]


@given(st.text(alphabet=st.sampled_from("ab#*_`~<>[]()&|\\-+= 中"), max_size=30))
def test_code_and_cells_read_back(text: str) -> None:
    said = " ".join(text.split())
    source = f"<pre>x{html.escape(text)}</pre><table><tr><td>x{html.escape(said)}<td>y</table>"
    code, table = blocks(fragment_to_markdown(source))
    assert code == ("code", f"x{text}".rstrip() + "\n")
    assert table == ("table", f"x{said} | y")


tags = st.sampled_from(
    ("p", "ul", "li", "a href=x", "/p", "table", "td", "dl", "dt", "dd", "pre", "b", "/div", "h1",
     "blockquote", "tr", "code", "/a", "ol start=2", "br", "th rowspan=3")
)  # fmt: skip
broken = st.recursive(
    st.text("a中<>&", max_size=3),
    lambda inner: st.builds("<{0}>{1}".format, tags, st.lists(inner).map("".join)),
    max_leaves=30,
)


@given(broken)
def test_no_broken_html_breaks_the_reader(source: str) -> None:
    title, text = html_to_markdown(source)
    assert isinstance(title, str) and text == text.strip("\n")
    assert html_to_markdown(source) == (title, text)


@pytest.mark.parametrize(
    "source", ["<div>" * 30_000, "<ul><li>x" * 3_000, "<table><tr><td>" * 5_000, "<b><i>" * 5_000]
)
def test_deep_nesting_takes_little_time(source: str) -> None:
    begin = time.process_time()
    fragment_to_markdown(source + "end")
    assert time.process_time() - begin < 3


def test_a_sign_alone_is_no_title() -> None:
    source = "<title>安装指南</title><main><h1>🔗</h1><h2>说明</h2><p>{}</p></main>".format("正文在此。" * 30)
    assert html_to_markdown(source)[0] == "安装指南"
