"""The step from blocks to pairs: files that meet, links, translations, ready pairs, and what always holds."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yuyi.config import check_settings
from yuyi.data.clean import clean, match_key
from yuyi.data.clean_documents import CleanConfig, _blocks, clean_documents
from yuyi.data.folder import DataFolder
from yuyi.data.pairs import PairsConfig, Rules, _candidates, make_pairs
from yuyi.data.rules.candidates import PairMaker, pair_id
from yuyi.data.rules.linked_rules import is_telling, name_in_any_language
from yuyi.data.showing.trace import trace
from yuyi.data.step import run_step
from yuyi.errors import InputError, RecipeError
from yuyi.records import Document, Pair, read_pairs, write_documents, write_pairs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from yuyi.data.step import Counts, StepRecord, Workplace

LINES = st.sampled_from(
    [
        "# 使用手册",
        "## 安装方法说明",
        "### 概述",
        "## Overview",
        "## How do I install it?",
        "## 怎么卸载？",
        "先下载安装包，再双击运行，照提示完成即可。安装包下载以后要核对大小，然后再运行安装包。",
        "Download the package, run it, and follow the steps. When the package is done, restart and rerun it.",
        "安装包的大小大约是三百兆，下载以前请先确认磁盘有足够的空间。",
        "问：需要重启吗？",
        "答：安装完成以后需要重新启动一次电脑，才能正常使用。",
        "- 安装介质：准备好光盘和序列号，序列号在包装盒的背面。",
        "| 键 | 值 |\n|---|---|\n| 内存容量 | 八吉字节以上为宜，十六吉字节更好 |",
        "```\ncode that is no prose\n```",
        "一句很长的话，" * 300,
        "短。",
        "其他章节里说得更为详细，请看[安装方法说明](#安装方法说明)",
    ]
)
EVERY_RULE = PairsConfig()


def pairs_of(text: str) -> list[Pair]:
    """The pairs of one document alone, by all rules but those that follow links."""
    document = Document("books", "a.md", "使用手册", text, "zh")
    config = replace(EVERY_RULE, rules=Rules(anchor_target=False))
    blocks = list(_blocks(0, document, CleanConfig()))
    maker = PairMaker(config.longest)
    return list(maker.pairs(document, _candidates(document, blocks, [], None, config)))  # type: ignore[arg-type]


@given(st.lists(LINES, max_size=25).map("\n\n".join))
def test_every_pair_keeps_the_promises(text: str) -> None:
    pairs = pairs_of(text)
    assert len(pairs) == len({(match_key(pair.text_a), match_key(pair.text_b)) for pair in pairs})
    for pair in pairs:
        assert 0 < len(pair.text_a) <= 1_000 and 0 < len(pair.text_b) <= 1_000
        assert match_key(pair.text_a) != match_key(pair.text_b)
        assert pair.pair_id == pair_id("books", pair.kind, "a.md", pair.text_a, pair.text_b)
        assert not pair.text_b.startswith(pair.text_a)
        assert "code that is no prose" not in pair.text_b
        for words, start, end in (
            (pair.text_b, pair.start, pair.end),
            (pair.text_a, pair.start_a, pair.end_a),
        ):
            if (start, end) == (-1, -1):
                assert words == pair.text_a
                continue
            assert 0 <= start < end <= len(text)
            held = match_key(clean(text[start:end]))
            assert all(match_key(clean(line)) in held for line in re.split(r"[\n|]|: ", words))


DOCUMENTS = {
    "0000-0000": [
        Document(
            "docs",
            "guide/start.md",
            "开始使用",
            "# 开始使用\n\n先照[水壶除垢手册](../care/descale.md)清洗一遍，再看[这里](../care/descale.md)。"
            "\n\n更换方法见[更换加热盘的步骤](../care/descale.md#更换加热盘)。\n",
            "zh",
        ),
        Document(
            "docs",
            "care/rinse.md",
            "Rinsing",
            "# Rinsing\n\nRinse the kettle twice with clean water."
            "\n\n## Drying\n\nDry it with a soft cloth.\n",
            "en",
        ),
    ],
    "0001-0000": [
        Document(
            "docs",
            "care/descale.md",
            "除垢",
            "# 除垢\n\n水壶用久了会积水垢，每个月用白醋清洗一次，加热就会变快。\n\n## 更换加热盘\n\n"
            "先拔掉电源，再拧下底座的三颗螺丝，取出旧的加热盘换上新的。\n",
            "zh",
        ),
        Document(
            "docs",
            "care/rinse.md",
            "冲洗",
            "# 冲洗\n\n用清水把水壶冲洗两遍。\n\n## 擦干\n\n用柔软的布把它擦干。\n",
            "zh",
        ),
    ],
}  # fmt: skip
READY = [
    Pair("ready", "qa", "水垢　是什么？", "碳酸钙\u200b。", 1.0, "zh"),
    Pair("ready", "classification", "很好用的水壶", "", 2.0, "zh"),
    Pair("ready", "qa", "空的？", " ", 1.0, "zh"),
]


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    return folder_of(tmp_path, DOCUMENTS, READY)


def folder_of(path: Path, parts: dict[str, list[Document]], ready: Sequence[Pair] = ()) -> DataFolder:
    found = DataFolder(path)

    def write(place: Workplace) -> Counts:
        for name, documents in parts.items():
            write_documents(place.folder / f"{name}.parquet", documents)
        if ready:
            write_pairs(place.folder / "0002-0000.pairs.parquet", ready)
        return {}

    run_step(path / "documents", write, settings={}, inputs={}, code=())
    clean_documents(found, CleanConfig(), workers=1)
    return found


def made(folder: DataFolder, record: StepRecord) -> list[Pair]:
    return [pair for part in record.parts for pair in read_pairs(folder.path / "pairs" / part)]


def only(*rules: str) -> PairsConfig:
    return PairsConfig(
        rules=check_settings(Rules, dict.fromkeys(Rules.__slots__, False) | dict.fromkeys(rules, True), "")
    )


def test_a_link_asks_for_what_it_leads_to_in_another_part(folder: DataFolder) -> None:
    record = make_pairs(folder, only("anchor_target"), workers=1)
    found = [pair for pair in made(folder, record) if pair.source == "docs"]
    assert [(pair.text_a, pair.text_b[:6], pair.doc_id, pair.doc_a) for pair in found] == [
        ("水壶除垢手册", "水壶用久了会", "care/descale.md", "guide/start.md"),
        ("更换加热盘的步骤", "先拔掉电源，", "care/descale.md", "guide/start.md"),
    ]
    traced = trace(folder, found[0].pair_id).text_a
    assert traced is not None and "[水壶除垢手册]" in traced.text
    start = DOCUMENTS["0000-0000"][0].text
    assert "水壶除垢手册" in start[found[0].start_a : found[0].end_a]


def test_documents_of_one_name_in_two_languages_are_aligned(folder: DataFolder) -> None:
    record = make_pairs(folder, only("parallel"), workers=1)
    found = [pair for pair in made(folder, record) if pair.kind == "parallel"]
    assert [(pair.text_a, pair.text_b) for pair in found] == [
        ("Rinsing", "冲洗"),
        ("Rinse the kettle twice with clean water.", "用清水把水壶冲洗两遍。"),
        ("Drying", "擦干"),
        ("Dry it with a soft cloth.", "用柔软的布把它擦干。"),
    ]
    assert {(pair.lang, pair.doc_id, pair.doc_a) for pair in found} == {
        ("en-zh", "care/rinse.md", "care/rinse.md")
    }
    for pair in found:
        traced = trace(folder, pair.pair_id)
        for span, words, lang in ((traced.text_a, pair.text_a, "en"), (traced.text_b, pair.text_b, "zh")):
            assert span is not None and span.lang == lang
            assert clean(span.text.lstrip("# ")) == words


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("en/kettle.md", "zh/kettle.md", True),
        ("docs/en/care/kettle.md", "docs/zh-cn/care/kettle.md", True),
        ("pot.en.md", "pot.zh.md", True),
        ("pot.md", "pot.zh-CN.md", True),
        ("pot.md", "pot_zh.md", True),
        ("README.md", "README_CN.md", True),
        ("pot.md", "kettle_zh.md", False),
        ("docs/pot.md", "pot.zh.md", False),
        ("zh.md", "en.md", False),
        ("pot_en_api.md", "pot.md", False),
        ("guide/zh_Hans_CN/pot.md", "guide/en-US/pot.md", True),
        ("pot.en.jsonl#1", "pot.zh.jsonl#1", False),
        ("blow.md", "blow-en.md", True),
        ("garden.md", "gard.en.md", False),
    ],
)
def test_names_that_differ_in_the_language_alone(one: str, other: str, alike: bool) -> None:
    assert (name_in_any_language(one) == name_in_any_language(other)) is alike


def test_documents_of_two_folders_are_aligned_unless_a_third_has_the_name(tmp_path: Path) -> None:
    english = "# Rinsing\n\nRinse the kettle twice with clean water.\n"
    chinese = "# 冲洗\n\n用清水把水壶冲洗两遍。\n"
    several = [
        Document("docs", "docs/en/rinse.md", "Rinsing", english, "en"),
        Document("docs", "docs/zh-cn/rinse.md", "冲洗", chinese, "zh"),
        Document("docs", "dry.md", "Rinsing", english.replace("ins", "oll"), "en"),
        Document("docs", "dry_zh.md", "冲洗", chinese.replace("洗", "刷"), "zh"),
        Document("docs", "zh-tw/dry.md", "冲洗", chinese.replace("洗", "走"), "zh"),
    ]
    folder = folder_of(tmp_path, {"0000-0000": several[:1], "0001-0000": several[1:]})
    record = make_pairs(folder, only("parallel"), workers=1)
    assert [(pair.text_a, pair.text_b, pair.doc_a, pair.doc_id) for pair in made(folder, record)] == [
        ("Rinsing", "冲洗", "docs/en/rinse.md", "docs/zh-cn/rinse.md"),
        (
            "Rinse the kettle twice with clean water.",
            "用清水把水壶冲洗两遍。",
            "docs/en/rinse.md",
            "docs/zh-cn/rinse.md",
        ),
    ]
    found = [trace(folder, pair.pair_id).text_a for pair in made(folder, record)]
    assert [span.text for span in found if span] == ["# Rinsing", "Rinse the kettle twice with clean water."]


def test_ready_pairs_are_cleaned_and_keep_kind_and_label(folder: DataFolder) -> None:
    record = make_pairs(folder, PairsConfig(), workers=1)
    found = list(read_pairs(folder.path / "pairs" / "0002-0000.parquet"))
    assert [(pair.kind, pair.text_a, pair.text_b, pair.label) for pair in found] == [
        ("qa", "水垢 是什么？", "碳酸钙。", 1.0),
        ("classification", "很好用的水壶", "", 2.0),
    ]
    assert all(len(pair.pair_id) == 16 and pair.tokens_a > 0 for pair in found)
    assert record.counts["dropped"]["ready"] == {"empty": 1}


def test_counts_agree_and_the_number_of_workers_changes_nothing(folder: DataFolder) -> None:
    one = make_pairs(folder, PairsConfig(), workers=1)
    pairs = made(folder, one)
    assert (
        one.counts["rows"]
        == len(pairs)
        == sum(number for rules in one.counts["pairs"].values() for number in rules.values())
    )
    assert {pair.kind for pair in pairs if pair.source == "docs"} >= {"path_section", "anchor_target"}
    assert all(pair.tokens_a > 0 and (pair.tokens_b > 0 or not pair.text_b) for pair in pairs)
    assert make_pairs(folder, PairsConfig(), workers=1).kept
    (folder.path / "pairs" / "step.json").unlink()
    assert make_pairs(folder, PairsConfig(), workers=2).digest == one.digest


def test_another_tokenizer_counts_otherwise(folder: DataFolder, tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers

    letters = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    letters.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    letters.save(str(tmp_path / "tokenizer.json"))
    record = make_pairs(folder, PairsConfig(tokenizer=str(tmp_path / "tokenizer.json")), workers=1)
    assert all(pair.tokens_a == len(pair.text_a) for pair in made(folder, record))
    letters.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    letters.save(str(tmp_path / "tokenizer.json"))
    again = make_pairs(folder, PairsConfig(tokenizer=str(tmp_path / "tokenizer.json")), workers=1)
    assert not again.kept and again.fingerprint != record.fingerprint
    assert all(pair.tokens_a == len(pair.text_a.split()) for pair in made(folder, again))
    with pytest.raises(InputError, match="no such tokenizer"):
        make_pairs(folder, PairsConfig(tokenizer=str(tmp_path / "none.json")))


def test_an_unknown_rule_lists_the_allowed_ones() -> None:
    with pytest.raises(RecipeError, match=r"rules\.headline: no such key\. Choose from qa, post_comment"):
        check_settings(PairsConfig, {"rules": {"headline": True}}, "settings")


@pytest.mark.parametrize("text", ["配置连接池", "the retry policy", "Redis 持久化"])
def test_links_that_say_where_they_lead(text: str) -> None:
    assert is_telling(text)


@pytest.mark.parametrize(
    "text",
    [
        "点击这里",
        "这篇文章",
        "文档",
        "here",
        "this page",
        "read more",
        "第三章",
        "https://a.cn/b",
        "概述",
        "1.2",
    ],
)
def test_links_that_do_not(text: str) -> None:
    assert not is_telling(text)
