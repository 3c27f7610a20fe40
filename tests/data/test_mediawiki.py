"""Dumps of wikis become documents: wikitext as Markdown, links by the title that they lead to."""

from __future__ import annotations

import bz2
import gzip
import lzma
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yuyi.data.readers import mediawiki
from yuyi.data.readers.skipped import Skipped
from yuyi.data.readers.wikitext import wikitext_to_markdown
from yuyi.errors import InputError
from yuyi.records import Document
from yuyi.text.markdown import parse

if TYPE_CHECKING:
    from pathlib import Path


HEAD = """<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" xml:lang="{lang}">
  <siteinfo>
    <sitename>Wikipedia</sitename><dbname>{lang}wiki</dbname>
    <namespaces>
      <namespace key="0" case="first-letter" />
      <namespace key="6" case="first-letter">{file}</namespace>
      <namespace key="12" case="first-letter">Help</namespace>
      <namespace key="10" case="first-letter">Template</namespace>
    </namespaces>
  </siteinfo>
"""
PAGE = """  <page>
    <title>{title}</title>
    <ns>{ns}</ns>
    <id>7</id>{redirect}
    <revision>
      <id>99</id>
      <contributor><username>Someone</username><id>3</id></contributor>
      <comment>An edit</comment>
      <text bytes="1" xml:space="preserve">{text}</text>
    </revision>
  </page>
"""
KETTLE = """{{Infobox|name=水壶|image=[[File:a.jpg]]|x={{nested|{{deep}}}}}}
&lt;!-- hidden --&gt;'''水壶'''（{{lang|en|kettle}}；{{unknown}}）是用来[[沸騰|烧开]][[水]]的'''容器'''&lt;ref
name="a"&gt;{{cite|[[x]]}}&lt;/ref&gt;。
[[File:Kettle.jpg|thumb|一个[[不锈钢]]水壶]]
== 历史 ==
早期的-{zh-hans:水壶;zh-hant:水壺}-由[[青铜器_(中国)#商代|青铜]]制成&lt;ref&gt;书&lt;/ref&gt;。&lt;br&gt;后来用铁。

=== 种类 ===
* 电水壶：{{le|自动断电|Auto shut-off}}
** 带''恒温''
# 第一
# 第二
; 壶嘴 : 出水的部分
; 壶盖
: 盖住壶口的部分

{| class="wikitable"
|+ 材料
! 材料 !! colspan="2" | 导热
|-
| rowspan=2 | [[铜]] || 高 || 401
|-
| 很高
| 385
|}
[[Category:容器]][[en:Kettle]]
"""


def read_mediawiki(path: Path, source: str) -> list[Document | Skipped]:
    return list(mediawiki.read_mediawiki(path, name=path.name, source=source))


def write(path: Path, *pages: str, lang: str = "zh", file: str = "文件") -> Path:
    path.write_text(HEAD.format(lang=lang, file=file) + "".join(pages) + "</mediawiki>\n", "utf-8")
    return path


def page(title: str, text: str, ns: int = 0, redirect: str = "") -> str:
    return PAGE.format(title=title, text=text, ns=ns, redirect=redirect)


def test_articles_alone_become_documents(tmp_path: Path) -> None:
    file = write(
        tmp_path / "zhwiki.xml",
        page("水壶", KETTLE),
        page("茶壶", "#REDIRECT [[水壶]]", redirect='\n    <redirect title="水壶" />'),
        page("旧壶", "#重定向 [[水壶]]"),
        page("Talk:水壶", "你好", ns=1),
        page("空", "{{stub}}"),
    )
    document, *skipped = read_mediawiki(file, "wiki")
    assert skipped == [
        Skipped("zhwiki.xml", "redirect"),
        Skipped("zhwiki.xml", "redirect"),
        Skipped("zhwiki.xml", "page of another namespace"),
        Skipped("zhwiki.xml", "page without text"),
    ]
    assert isinstance(document, Document)
    assert (document.source, document.doc_id, document.title, document.lang) == ("wiki", "水壶", "水壶", "zh")
    assert document.text == (
        "水壶（kettle）是用来[烧开](沸騰)[水](水)的容器。\n\n"
        "## 历史\n\n早期的水壶由[青铜](<青铜器 (中国)>)制成。\n后来用铁。\n\n"
        "### 种类\n\n- 电水壶：自动断电\n   - 带恒温\n1. 第一\n2. 第二\n"
        "- 壶嘴：出水的部分\n- 壶盖：盖住壶口的部分\n\n"
        "材料\n\n| 材料 | 导热 |  |\n| --- | --- | --- |\n| [铜](铜) | 高 | 401 |\n| [铜](铜) | 很高 | 385 |"
    )


def test_an_english_wiki(tmp_path: Path) -> None:
    text = (
        "A '''kettle''' is a [[vessel (container)|vessel]] for [[boiling]] water.{{citation needed}}\n"
        "It has a&amp;nbsp;[https://example.org/spout spout] and weighs {{nowrap|2 kg}} ({{IPA|x}}).\n"
        "==See also==\n*[[teapot]]s\n*[[Help:Contents|help]]\n*[[:Category:Kettles]]\n\n"
        '&lt;syntaxhighlight lang="python"&gt;\nx = [[1]]\n&lt;/syntaxhighlight&gt;\n'
        "&lt;math&gt;\\frac{a}{{b}}&lt;/math&gt;"
    )
    (document,) = read_mediawiki(
        write(tmp_path / "en.xml", page("Kettle", text), lang="en", file="File"), "wiki"
    )
    assert isinstance(document, Document) and document.lang == "en"
    assert document.text == (
        "A kettle is a [vessel](<Vessel (container)>) for [boiling](Boiling) water.\n"
        "It has a [spout](https://example.org/spout) and weighs 2 kg.\n\n"
        "## See also\n\n- [teapot](Teapot)s\n- help\n- Category:Kettles\n\n"
        "```python\nx = [[1]]\n```\n\n$\\frac{a}{{b}}$"
    )


@pytest.mark.parametrize(
    ("suffix", "compress"), [(".bz2", bz2.compress), (".gz", gzip.compress), (".xz", lzma.compress)]
)
def test_compressed_dumps_are_read_and_cut_off_ones_refused(
    tmp_path: Path, suffix: str, compress: Any
) -> None:
    plain = write(tmp_path / "wiki.xml", *(page(f"条目{number}", f"内容{number}") for number in range(50)))
    packed = tmp_path / f"wiki.xml{suffix}"
    packed.write_bytes(compress(plain.read_bytes()))
    documents = list(read_mediawiki(plain, "w"))
    assert len(documents) == 50 and list(read_mediawiki(packed, "w")) == documents
    packed.write_bytes(packed.read_bytes()[:-20])
    with pytest.raises(InputError, match=r"wiki\.xml.*cut"):
        list(read_mediawiki(packed, "w"))
    packed.write_bytes(b"not compressed at all")
    with pytest.raises(InputError, match="damaged"):
        list(read_mediawiki(packed, "w"))


def test_a_cut_off_dump_names_its_line(tmp_path: Path) -> None:
    file = write(tmp_path / "w.xml", page("A", "text"))
    file.write_text(file.read_text("utf-8")[:-30], "utf-8")
    with pytest.raises(InputError, match=r"w\.xml: line \d+: not well-formed XML .* cut off"):
        list(read_mediawiki(file, "w"))
    file.write_text(
        write(file, page("水壶", "水开了。"), page("B", "text")).read_text("utf-8")[:-90] + "<<", "utf-8"
    )
    documents = mediawiki.read_mediawiki(file, name="w.xml", source="w")
    assert isinstance(first := next(documents), Document) and first.title == "水壶"
    with pytest.raises(InputError, match="not well-formed"):
        next(documents)
    file.write_text("<posts/>")
    with pytest.raises(InputError, match="is <posts>, not <mediawiki>"):
        list(read_mediawiki(file, "w"))


@pytest.mark.parametrize(
    ("wikitext", "expected"),
    [
        ("2*3*4 and snake_case &lt;T&gt; # x", r"2\*3\*4 and snake_case \<T> # x"),
        ("# 一\n## 甲\n## 乙\n# 二", "1. 一\n   1. 甲\n   2. 乙\n2. 二"),
        (
            "-{A|zh-cn:软件;zh-tw:軟體}- -{zh-tw:軟體}- -{H|zh-cn:x;zh-tw:y}-原文-{不转换}-",
            "软件 軟體 原文不转换",
        ),
        ("{{#if: {{{1|}}} | yes | no}}after {{PAGENAME}}", "after"),
        ("<nowiki>[[not]] {{this}}</nowiki>", "[[not]] {{this}}"),
        ("[[File:x.png|thumb|a [[b]] c [http://d e]]]text", "text"),
        ("[[|x]] [[#part|here]] [[a|]] [[ab:Foo]]", "x here [a](A)"),
        ("{|\n|-\n| \n{| \n| in || ner\n|}\n|}", "| in | ner |\n| --- | --- |"),
        ("{|\n| only\n|-\n| one\n|}", "only\n\none"),
        ("{{box|\n{|\n| in template\n|}\n}}after", "after"),
        ("{| \n| never closed || x\nafter", "\\| never closed || x\nafter"),
        ("para\n one\n\n\n\npara two\n----\nthree", "para\none\n\npara two\n\nthree"),
        ("__NOTOC__'''''both'''''", "both"),
        ("== ==\n=== <span id='x'></span>小节 ===\n", "### 小节"),
    ],
)
def test_wikitext(wikitext: str, expected: str) -> None:
    assert wikitext_to_markdown(wikitext) == expected


pieces = st.sampled_from(
    ("[[", "]]", "{{", "}}", "|", "!!", "'''", "==", "# ", ":", ";", "<ref>", "</ref>", "<nowiki>", "<br>",
     "-{", "}-", "a", "中", "&lt;", "\x0e0\x0f",
     "&#xe;", "&#14;0&#xf;", "{|\n", "\n|}", "\n|-\n", "\n", "* ", "[http://x y]")
)  # fmt: skip


@given(st.lists(pieces, max_size=25).map("".join))
def test_no_broken_wikitext_breaks_the_reader(wikitext: str) -> None:
    text = wikitext_to_markdown(wikitext)
    assert not any(mark in text for mark in "\x0e\x0f\x02\x03\v")
    parse(text)


@pytest.mark.parametrize(
    "wikitext",
    ["[[" * 50_000, "{{" * 50_000, "{|\n" * 20_000, "<ref>" * 20_000, "{{a|" * 10_000 + "}}" * 10_000,
     "-{" * 50_000,
     "(" * 100_000, "=" * 100_000, "<a " * 50_000, "{|\n" + "|-\n| a || [[b]]\n" * 5_000 + "|}"],
)  # fmt: skip
def test_hostile_and_huge_pages_take_little_time(wikitext: str) -> None:
    begin = time.process_time()
    wikitext_to_markdown(wikitext)
    assert time.process_time() - begin < 3
