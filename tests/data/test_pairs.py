from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yuyi.data.clean import clean, match_key
from yuyi.data.headings import is_question, is_specific, question_of, without_number
from yuyi.data.pairs import RULES, pairs_from_document, sections, what_recurs
from yuyi.data.sources import documents_from
from yuyi.errors import InputError
from yuyi.records import Document, Pair

DOCUMENTS = Path(__file__).parent / "documents"

LINES = st.sampled_from(
    [
        "# 使用手册",
        "## 安装方法说明",
        "### 概述",
        "## Overview",
        "## How do I install it?",
        "## 怎么卸载？",
        "先下载安装包，再双击运行，按照提示一步一步完成安装即可。",
        "Download the package, run it, and follow the steps on the screen until it is done.",
        "问：需要重启吗？",
        "答：安装完成以后需要重新启动一次电脑，才能正常使用。",
        "- 第一项：准备好安装介质和序列号",
        "| 键 | 值 |\n|---|---|\n| 内存容量 | 八吉字节以上为宜 |",
        "```\ncode that is no prose\n```",
        "一句很长的话，" * 300,
        "短。",
    ]
)


def document_of(text: str, title: str = "使用手册") -> Document:
    return Document("books", "a.md", title, text, "zh")


def pairs_of(name: str, *rules: str) -> list[Pair]:
    document = next(document for document in documents_from(DOCUMENTS) if document.doc_id == name)
    return list(pairs_from_document(document, rules or tuple(RULES)))


def asks_of(pairs: list[Pair]) -> list[str]:
    return [pair.text_a for pair in pairs]


def test_headings_ask_and_their_text_answers() -> None:
    pairs = pairs_of("kettle.md", "path_section")
    assert asks_of(pairs) == [
        "Descaling the spout with vinegar",
        "When the whistle is cracked",
        "Repairing a whistling kettle When the whistle is cracked Prerequisites",
        "How long does a kettle last?",
    ]
    assert (
        pairs[2].text_b == "You need pliers, a cloth, and a kettle that has been cold for at least an hour."
    )
    assert {(pair.source, pair.kind, pair.lang, pair.label) for pair in pairs} == {
        ("documents", "path_section", "en", None)
    }


def test_a_chinese_manual_gives_questions_title_and_sections() -> None:
    pairs = pairs_of("passport.md")
    assert [(pair.kind, pair.text_a) for pair in pairs] == [
        ("question_answer", "首次申请需要哪些材料"),
        ("question_answer", "护照丢了怎么办"),
        ("title_lead", "护照办理指南"),
        ("path_section", "护照办理指南 费用"),
        ("path_section", "异地办理的前提条件"),
    ]
    assert "curl" not in pairs[1].text_b
    assert pairs[2].text_b.startswith("本指南适用于在本市有户口的居民")


def test_marked_questions_find_their_answers() -> None:
    pairs = pairs_of("faq.md", "question_answer")
    assert asks_of(pairs) == [
        "借书证可以给家人用吗？",
        "书弄丢了要赔多少钱？",
        "Can I renew a book that somebody else has reserved?",
    ]
    assert pairs[1].text_b.startswith("按书价的一点五倍赔偿")
    assert pairs[2].text_b.startswith("No. A reserved book")


def test_neighbours_stay_in_their_section() -> None:
    (pair,) = pairs_of("kettle.md", "neighbours")
    assert pair.text_a.startswith("Fill the kettle")
    assert pair.text_b.startswith("Lime that is older")


def test_restructured_and_gb18030_files_give_pairs_too() -> None:
    assert "PEP 20" in pairs_of("notes.rst", "path_section")[0].text_b
    (pair,) = pairs_of("notice.txt", "neighbours")
    assert pair.text_a.startswith("自十一月一日起")


@given(st.lists(LINES, max_size=25).map("\n\n".join))
def test_every_pair_keeps_the_promises(text: str) -> None:
    pairs = list(pairs_from_document(document_of(text)))
    assert len(pairs) == len({(pair.text_a, pair.text_b) for pair in pairs})
    for pair in pairs:
        assert pair.kind in RULES
        assert len(pair.text_a) <= 1_000 and 0 < len(pair.text_b) <= 1_000
        assert 0 <= pair.start < pair.end <= len(text)
        held = match_key(clean(text[pair.start : pair.end]))
        assert all(match_key(clean(line)) in held for line in re.split(r"[\n|]", pair.text_b))
        assert not pair.text_b.startswith(pair.text_a)
        assert "code that is no prose" not in pair.text_b


@given(st.lists(LINES, max_size=15).map("\n\n".join), st.sets(st.sampled_from(sorted(RULES))))
def test_each_rule_gives_the_same_with_and_without_the_others(text: str, rules: set[str]) -> None:
    everything = list(pairs_from_document(document_of(text), tuple(rules)))
    for rule in rules:
        alone = set(pairs_from_document(document_of(text), (rule,)))
        assert {pair for pair in everything if pair.kind == rule} <= alone


def test_an_unknown_rule_is_named() -> None:
    with pytest.raises(InputError, match="headline: no such rule"):
        list(pairs_from_document(document_of("text"), ("headline",)))


def test_the_question_is_taken_off_the_answer() -> None:
    text = "## 安装步骤说明\n\n安装步骤说明：先下载，再运行安装程序，最后重新启动电脑就可以了。\n"
    (pair,) = pairs_from_document(document_of(text), ("path_section",))
    assert pair.text_b == "先下载，再运行安装程序，最后重新启动电脑就可以了。"


def test_a_heading_that_a_document_repeats_is_no_question() -> None:
    text = "\n\n".join(f"## 用户的留言\n\n第{number}位用户说，这本手册写得很清楚。" for number in "一二三四")
    pairs = list(pairs_from_document(document_of(text), ("path_section",)))
    assert [pair.text_b[:2] for pair in pairs] == ["第一", "第二"]


def test_a_long_answer_ends_with_a_sentence() -> None:
    text = "## 很长的章节标题\n\n" + "这是其中的一句话，不长也不短。" * 200
    (pair,) = pairs_from_document(document_of(text), ("path_section",))
    assert 900 < len(pair.text_b) <= 1_000
    assert pair.text_b.endswith("。")


def test_what_a_source_repeats_is_left_out_or_named_with_its_title() -> None:
    notice = "本主题仅适用于企业版，社区版不提供这里所说的任何功能。"
    documents = [
        document_of(
            f"# 第{number}号手册\n\n{notice}\n\n## 连接数据库的方法\n\n"
            f"用第{number}种客户端连接，输入地址、端口和口令即可登录。\n",
            title="",
        )
        for number in "一二三四五六"
    ]
    found = [sections(document) for document in documents]
    recurring = what_recurs(found)
    assert recurring.blocks == {notice}
    pairs = list(pairs_from_document(documents[0], ("path_section", "title_lead"), recurring))
    assert asks_of(pairs) == ["第一号手册", "第一号手册 连接数据库的方法"]
    assert all(notice not in pair.text_b for pair in pairs)


@pytest.mark.parametrize(
    ("path", "question"),
    [
        (("手册", "一、连接数据库"), "连接数据库"),
        (("手册", "概述"), "手册 概述"),
        (("CString Class", "Operations", "CString::Find", "Remarks"), "CString Class CString::Find Remarks"),
        (("Git", "Undo the last commit"), "Undo the last commit"),
        (("导出数据", "示例", "语法"), "导出数据 语法"),
        (("Overview",), ""),
        (("Overview", "Remarks"), ""),
        (("Overview", "CString::Find", "Remarks"), "CString::Find Remarks"),
        (("ls",), "ls"),
        (("<valarray> operators", "operator!="), "<valarray> operators operator!="),
        (("注册账号", "注册"), "注册账号"),
    ],
)
def test_a_heading_asks_alone_only_where_it_is_clear(path: tuple[str, ...], question: str) -> None:
    assert question_of(path) == question


def test_a_common_heading_needs_its_title() -> None:
    assert question_of(("手册", "连接数据库"), common=True) == "手册 连接数据库"


@pytest.mark.parametrize(
    ("heading", "bare"),
    [
        ("1.2 安装", "安装"),
        ("三、费用", "费用"),
        ("（一）范围", "范围"),
        ("第二章 总体要求", "总体要求"),
        ("步骤 4：重启", "重启"),
        ("Step 2: Restart", "Restart"),
        ("2022 roadmap", "2022 roadmap"),
        ("1.", "1."),
    ],
)
def test_numbering_is_taken_off(heading: str, bare: str) -> None:
    assert without_number(heading) == bare


def test_questions_and_specific_headings() -> None:
    assert all(map(is_question, ["护照丢了怎么办", "什么是索引", "需要重启吗", "How to undo", "Is it safe?"]))
    assert not any(map(is_question, ["安装方法", "Howling wind", "Islands", "Notes on why it failed"]))
    assert all(
        map(is_specific, ["配置连接池", "Undo a commit", "REGEXP_SUBSTR", "CString::Find", "Git 分支管理"])
    )
    assert not any(map(is_specific, ["概述", "Overview", "安装", "See also", "注意事项"]))
