from __future__ import annotations

import pytest

from yuyi.data.rules.headings import is_question, is_specific, question_of, without_number


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
        ("02-CSS 属性", "CSS 属性"),
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
