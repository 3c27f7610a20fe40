"""Any pair leads back to its document; samples are random, and of the kind that was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from folders import data_folder, document, mark, negatives, pair

from yuyi.data.blocks import CleanBlock
from yuyi.data.showing.trace import sample, trace
from yuyi.errors import InputError
from yuyi.records import Mark

if TYPE_CHECKING:
    from pathlib import Path

    from yuyi.data.folder import DataFolder

TEXT = (
    "# 手册\n\n前言。\n\n## 安装\n\n### 旧版\n\n不再支持。\n\n### 新版\n\n先下载安装包，再运行。\n\n"
    "## 卸载\n\n删除目录。\n"
)
ENGLISH = "# Guide\n\n## Install\n\nDownload the archive, then run it.\n"


def block(kind: str, text: str, level: int = 0, row: int = 0, of: str = TEXT) -> CleanBlock:
    start = of.index(text)
    return CleanBlock(row, kind, level, text, "zh", "simplified", start, start + len(text))


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    answer = "先下载安装包，再运行。"
    start = TEXT.index(answer)
    first = pair(
        "文档",
        "path_section",
        0,
        text_a="手册 安装 新版",
        text_b=answer,
        doc_id="a",
        start=start,
        end=start + 11,
    )
    question = ENGLISH.index("Install")
    second = pair(
        "文档",
        "parallel",
        1,
        lang="en-zh",
        text_a="Install",
        text_b=answer,
        doc_id="a",
        start=start,
        end=start + 11,
        doc_a="b",
        start_a=question,
        end_a=question + 7,
    )
    blocks = [
        block("heading", "手册", 1),
        block("heading", "安装", 2),
        block("heading", "旧版", 3),
        block("heading", "新版", 3),
        block("paragraph", answer),
        block("heading", "卸载", 2),
        block("heading", "Guide", 1, 1, ENGLISH),
    ]
    data = data_folder(
        tmp_path / "data",
        {
            "0000-0000": [first, second],
            "0001-0000": [
                pair("forum", "qa" if number % 2 else "title_lead", number) for number in range(400)
            ],
        },
        {"0000-0000": [document("文档", "a", TEXT, title="手册"), document("文档", "b", ENGLISH, "en")]},
        {"0000-0000": blocks},
    )
    short = [Mark(row, f"{row}", "too short", 2.0) for row in range(0, 60)]
    mark(data, "filters", {"0001-0000": short, "0000-0000": [Mark(1, second.pair_id, "copied", 0.95)]})
    mark(data, "documents", {"0000-0000": [Mark(1, "b", "near duplicate", 0.9, "文档 a")]}, on="documents")
    negatives(data, {"0000-0000": [(0, "难负例"), (0, "hard")]})
    return data


def test_a_pair_leads_to_its_span_and_headings(folder: DataFolder) -> None:
    pairs = sample(folder, 10, kinds=["path_section"])
    assert [one.pair.text_a for one in pairs] == ["手册 安装 新版"]
    found = trace(folder, pairs[0].pair.pair_id)
    assert found.text_b is not None and found.text_a is not None
    assert found.text_b.text == found.sample.pair.text_b
    assert found.text_b.headings == ("手册", "安装", "新版")
    assert found.text_b.before.endswith("### 新版\n\n") and found.text_b.after.startswith("\n\n## 卸载")
    assert found.text_a.start == -1 and found.text_a.text == "" and found.text_a.title == "手册"
    assert found.negatives == ("难负例", "hard") and found.sample.marks == ()


def test_both_sides_may_come_from_documents_and_both_be_marked(folder: DataFolder) -> None:
    found = trace(folder, sample(folder, 1, reasons=["copied"])[0].pair.pair_id)
    assert found.text_a is not None and (found.text_a.doc_id, found.text_a.text) == ("b", "Install")
    assert found.text_a.headings == ("Guide",)
    assert {(one.reason, one.value, one.note) for one in found.sample.marks} == {
        ("copied", 0.95, ""),
        ("document: near duplicate", 0.9, "文档 a"),
    }


def test_of_two_documents_of_one_name_each_side_finds_its_own_in_any_part(tmp_path: Path) -> None:
    both = pair(
        "文档", "parallel", 0, lang="en-zh", text_a="Install", text_b="安装", doc_id="a",
        start=TEXT.index("安装"), end=TEXT.index("安装") + 2, lang_b="zh",
        doc_a="a", start_a=ENGLISH.index("Install"), end_a=ENGLISH.index("Install") + 7, lang_a="en",
    )  # fmt: skip
    quoted = pair(
        "文档", "qa", 1, lang="en", text_a="Install?", text_b="安装", doc_id="a",
        start=TEXT.index("安装"), end=TEXT.index("安装") + 2, lang_b="zh",
    )  # fmt: skip
    texts = {
        "0000-0000": [document("文档", "b", "别的。"), document("文档", "a", TEXT)],
        "0001-0000": [document("文档", "a", ENGLISH, "en")],
    }
    data = data_folder(tmp_path, {"0000-0000": [both, quoted], "0001-0000": []}, texts, {})
    found = trace(data, both.pair_id)
    assert found.text_a is not None and found.text_b is not None
    assert (found.text_a.text, found.text_a.lang) == ("Install", "en")
    assert (found.text_b.text, found.text_b.lang) == ("安装", "zh")
    found = trace(data, quoted.pair_id)
    assert found.text_b is not None and found.text_b.text == "安装"


def test_a_pair_without_a_document_has_no_span(folder: DataFolder) -> None:
    found = trace(folder, sample(folder, 1, sources=["forum"])[0].pair.pair_id)
    assert found.text_a is None and found.text_b is None and found.negatives == ()


def test_an_unknown_id_offers_those_alike(folder: DataFolder) -> None:
    known = sample(folder, 1)[0].pair.pair_id
    with pytest.raises(InputError, match=f"no pair of .* has this id. Alike are: .*{known[:8]}"):
        trace(folder, known[:15])
    with pytest.raises(InputError, match="An id has 16 hex digits"):
        trace(folder, "不存在")


def test_samples_are_random_by_seed_and_never_twice(folder: DataFolder) -> None:
    first, again, other = (sample(folder, 30, seed) for seed in (0, 0, 1))
    assert first == again != other
    assert len({one.pair.pair_id for one in first}) == 30
    assert all(not one.marks for one in sample(folder, 1000))
    assert len(sample(folder, 1000)) == 402 - 60 - 1


def test_samples_are_of_what_was_asked(folder: DataFolder) -> None:
    got = sample(folder, 1000, kinds=["qa"], sources=["forum"], reasons=["too short", "copied"])
    assert len(got) == 30
    assert all(one.pair.kind == "qa" and one.marks[0].reason == "too short" for one in got)
    assert [one.row for one in sample(folder, 9, reasons=["document: near duplicate"])] == [1]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (
            {"kinds": ["title"]},
            r"'title': no such kind in .*There are: parallel, path_section, qa, title_lead\.",
        ),
        ({"sources": ["Forum"]}, r"'Forum': no such source in .*There are: forum, 文档\."),
        ({"reasons": ["short"]}, r"'short': no such reason in .*document: near duplicate, too short\."),
    ],
)
def test_a_name_that_does_not_occur_is_an_error(folder: DataFolder, wanted: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        sample(folder, 1, **wanted)
