"""Filters mark what is unfit, leave what is fit, and say which number decided."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yuyi.config import check_settings
from yuyi.data.filters import FiltersConfig, filter_pairs, marks_of
from yuyi.data.folder import DataFolder
from yuyi.data.step import run_step
from yuyi.errors import InputError, RecipeError
from yuyi.records import Pair, write_pairs

if TYPE_CHECKING:
    from pathlib import Path

ZH = "首先打开设置，找到网络选项，然后关闭代理；如果仍然不能连接，请重新启动路由器再试一次。"
EN = "Open the settings first, find the network panel and turn the proxy off. Restart the router if it fails."


def pair(text_a: str, text_b: str, kind: str = "path_section", **values: object) -> Pair:
    return replace(Pair("s", kind, text_a, text_b, None, "zh"), **values)


def reasons(text_a: str, text_b: str, config: FiltersConfig | None = None, **values: object) -> list[str]:
    return [reason for reason, _ in marks_of(pair(text_a, text_b, **values), config or FiltersConfig())]


@pytest.mark.parametrize(
    ("text_a", "text_b"),
    [
        ("网络连接失败怎么办", ZH),
        ("How to fix a failed connection", EN),
        ("git rebase", ZH),
        ("Kubernetes", "Kubernetes 是一个容器编排平台，用于自动部署、扩缩和管理容器化应用程序。"),
        (
            "扫码登录的实现",
            "扫码登录用 Redis 的集合实现：键为文章编号，值为用户编号，写入后再异步落库。" + ZH,
        ),
        (
            "1998 年大事记",
            "1998年6月，长江流域发生特大洪水，29个省受灾，直接经济损失达2551亿元，官兵参加抢险。",
        ),
        ("如何安装", ZH + "完整的命令如下："),
    ],
)
def test_good_pairs_have_no_marks(text_a: str, text_b: str) -> None:
    assert reasons(text_a, text_b) == []


@pytest.mark.parametrize(
    ("reason", "text_a", "text_b"),
    [
        ("empty", " \n", ZH),
        ("empty", "为什么", "\u3000"),
        ("too short", "如何安装", "请看下文。"),
        ("too short", "How to install it", "See below."),
        ("too short", "C", EN),
        ("copied", "如何在服务器上安装并且配置数据库", "如何在服务器上安装，并且配置：数据库！"),
        ("copied", "How do I install the new database server?", "How do I install the new database server"),
        ("repetition", "促销", "全场五折优惠快来抢购吧" * 8),
        ("repetition", "Offer", "Buy one and get another one for free today! " * 8),
        ("symbols", "进度", "====>>>>---- 进度条的一种写法说明文字在这里 ====>>>>----====>>>>----"),
        ("digits", "电话", "联系电话 13800138000 13900139000 02012345678 请在工作时间拨打我们"),
        ("boilerplate", "关于我们", "扫码关注微信公众号，第一时间获取最新的技术文章与资讯。"),
        ("boilerplate", "About", "Subscribe to our newsletter and follow us on Twitter for more."),
        ("language mismatch", "How to fix a failed connection to the server in the office?", ZH),
        ("language mismatch", "网络连接失败怎么办", EN),
        ("incomplete", "如何安装数据库", "要安装该数据库服务，请在命令行里依次运行下面的命令："),
        ("incomplete", "How to install", "To install the database server, the commands are as follows:"),
        ("code", "示例", "for (int i = 0; i < n; i++) { sum += a[i]; } return f(sum, &b->next);"),
        ("links", "参考", "https://example.com/a/very/long/address/of/a/page 参见这里的说明"),
    ],
)  # fmt: skip
def test_what_is_unfit_is_marked_with_its_reason(reason: str, text_a: str, text_b: str) -> None:
    assert reason in reasons(text_a, text_b)


def test_a_lead_may_begin_with_its_title() -> None:
    assert reasons("网络连接失败怎么办", "网络连接失败怎么办？" + ZH) == []
    assert reasons("Failed connections", "Failed connections: " + EN) == []


BOILERPLATE = """
扫码关注|扫描下方二维码加入我们|关注我们的公众号|公众号后台回复“资料”|微信公众号：某某
点击下方蓝字|点击左下角阅读原文|转载请注明出处|转载自：某某网|版权所有|本文版权归作者
如有侵权请删除|欢迎订阅|点个赞再收藏|求点赞|QQ群：12345678|添加微信|责任编辑：某某
本文首发于某某|上一篇：某某|返回首页|登录后可见|敬请期待|未完待续|待补充|全文完
此页面尚未翻译|本文档正在编写
Subscribe to our list|Get our newsletter|All rights reserved|This website uses cookies
Enable JavaScript to go on|Lorem ipsum dolor sit|Please read our privacy policy
You accept the terms of use|Follow us on X|Edit this page|Back to top|Was this page helpful?
Thanks for reading|Log in to comment|Login to reply|Skip to main content|Click here to download
More coming soon!|To be done|Share this post|Share on Facebook|This file was automatically generated
"""


@pytest.mark.parametrize("sentence", BOILERPLATE.strip().replace("\n", "|").split("|"))
def test_each_phrase_of_boilerplate_is_known(sentence: str) -> None:
    assert "boilerplate" in reasons("网络", sentence)


def test_the_number_that_decided_is_told() -> None:
    assert marks_of(pair("如何安装", "请看下文。"), FiltersConfig()) == [("too short", pytest.approx(8 / 3))]
    assert marks_of(pair("如何安装", "请看下文。", tokens_b=5), FiltersConfig()) == [("too short", 5)]
    assert marks_of(pair("如何安装", "请看下文。", tokens_b=12), FiltersConfig()) == []


def test_long_sides_are_measured_in_tokens() -> None:
    limit = FiltersConfig(longest_b=20, repetition=None)
    assert reasons("网络", ZH, limit) == ["too long"]
    assert reasons("网络", ZH, limit, tokens_b=20) == []


def test_each_kind_has_its_least_length() -> None:
    assert reasons("捉班做势", "装腔作势。", kind="idiom_definition") == []
    assert reasons("打蛇随棍上", "因势利导，", kind="idiom_definition") == []
    assert reasons("捉班做势", "装腔作势。", kind="title_lead") == ["too short"]
    assert reasons("怎么", "好", FiltersConfig(shortest_a=None, shortest_of={"x": None}), kind="x") == []


def test_judged_pairs_are_short_on_purpose() -> None:
    short = pair("开灯", "关灯", kind="paraphrase", label=0.0)
    assert marks_of(short, FiltersConfig()) == []
    assert marks_of(short, FiltersConfig(judged="all", shortest_b=9, shortest_of={})) != []
    assert marks_of(replace(short, text_b=""), FiltersConfig()) == [("empty", 0.0)]
    assert marks_of(pair("很好的酒店", "", kind="classification", label=1.0), FiltersConfig()) == []


def test_translations_may_differ_in_language() -> None:
    assert reasons(EN, ZH, kind="parallel") == []
    assert reasons(EN, ZH, lang="en-zh") == []


def test_only_wanted_languages_and_scripts() -> None:
    russian = "Откройте настройки и отключите прокси, затем перезагрузите маршрутизатор и повторите попытку."
    assert reasons("Настройки сети", russian) == []
    assert reasons("Настройки сети", russian, FiltersConfig(languages=("zh", "en"))) == ["unwanted language"]
    assert reasons("How is the net set up here?", EN, FiltersConfig(languages=("zh",))) == [
        "unwanted language"
    ]
    traditional = "首先打開設置，找到網絡選項，然後關閉代理；如果仍然不能連接，請重新啟動路由器。"
    assert reasons("網絡連接", traditional) == []
    assert reasons("網絡連接", traditional, FiltersConfig(script="simplified")) == ["traditional script"]
    assert reasons("网络连接", ZH, FiltersConfig(script="simplified")) == []


def test_a_list_of_words_blocks(tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("赌博\nCasino\n\n", "utf-8")
    config = FiltersConfig(blocklist=str(words))
    assert marks_of(pair("推荐", "线上赌博平台，赌博送彩金。" + ZH), config) == [("blocklist", 2.0)]
    assert marks_of(pair("Where to play", "The casino is open. " + EN), config) == [("blocklist", 1.0)]
    assert marks_of(pair("Where to play", "Two casinos are open. " + EN), config) == []


def share_of_vowels(text: str) -> float:
    return sum(letter in "aeiou" for letter in text) / len(text)


def test_a_function_blocks_and_a_wrong_one_is_named() -> None:
    config = FiltersConfig(blocklist=f"{__name__}:share_of_vowels", blocked=0.2)
    assert reasons("网络", ZH, config) == [] and reasons("Network", EN, config) == ["blocklist"]
    with pytest.raises(InputError, match="no_module:f: no such function"):
        reasons("网络", ZH, FiltersConfig(blocklist="no_module:f"))
    with pytest.raises(InputError, match=r"words\.txt: no such blocklist"):
        reasons("网络", ZH, FiltersConfig(blocklist="no/words.txt"))


def test_judged_pairs_are_blocked_too(tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("赌博\ncasino\n", "utf-8")
    config = FiltersConfig(blocklist=str(words))
    for text in ("线上赌博", "A casino"):
        assert marks_of(pair("推荐", text, label=1.0), config) == [("blocklist", 1.0)]
        assert marks_of(pair(text, "", kind="classification", label=1.0), config) == [("blocklist", 1.0)]


def fails(text: str) -> float:
    raise KeyError(text)


def says(text: str) -> str:
    return "yes"


def knows_nothing(text: str) -> float:
    return float("nan")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fails", "fails on the text '网络' (KeyError: '网络')"),
        ("says", "returns 'yes' for the text '网络'"),
        ("knows_nothing", "returns nan for the text '网络'"),
        ("ZH", "fails on the text '网络' (TypeError: 'str' object is not callable)"),
    ],
)
def test_a_function_that_fails_or_returns_no_number_is_named(tmp_path: Path, name: str, message: str) -> None:
    config = FiltersConfig(blocklist=f"{__name__}:{name}")
    with pytest.raises(InputError, match=re.escape(f"{__name__}:{name}: {message}")):
        reasons("网络", ZH, config)
    with pytest.raises(InputError, match=f"{__name__}:{name}: "):
        filter_pairs(folder_of_pairs(tmp_path), config, workers=1)


def test_a_module_that_fails_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_list.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match=r"broken_list:f: its module fails .ZeroDivisionError"):
        reasons("网络", ZH, FiltersConfig(blocklist="broken_list:f"))


def test_settings_name_what_is_allowed() -> None:
    with pytest.raises(RecipeError, match="'few' or 'all'"):
        check_settings(FiltersConfig, {"judged": "none"}, "x.yaml")
    with pytest.raises(RecipeError, match="copied"):
        check_settings(FiltersConfig, {"copied": 1.5}, "x.yaml")
    assert check_settings(FiltersConfig, {"copied": None}, "x.yaml").copied is None


OFF = FiltersConfig(
    shortest_a=None, shortest_b=None, shortest_of={}, longest_a=None, longest_b=None, copied=None,
    repetition=None, symbols=None, digits=None, boilerplate=None, language_mismatch=False, incomplete=None,
    code=None, links=None,
)  # fmt: skip


@given(st.text(max_size=80), st.text(max_size=200), st.sampled_from(["qa", "parallel", "title_lead"]))
def test_any_text_is_measured_and_limits_turned_off_mark_nothing(text_a: str, text_b: str, kind: str) -> None:
    found = marks_of(pair(text_a, text_b, kind=kind), FiltersConfig(languages=("zh",), script="simplified"))
    assert len({reason for reason, _ in found}) == len(found)
    assert {reason for reason, _ in marks_of(pair(text_a, text_b, kind=kind), OFF)} <= {"empty"}


@pytest.mark.parametrize(
    "text", ["$" * 60_000, "没有句号的长文本" * 9_000, "word " * 15_000, "a" * 60_000 + "："]
)
def test_long_lines_take_no_longer_than_their_length(text: str) -> None:
    begin = time.monotonic()
    marks_of(pair("网络", text), FiltersConfig(languages=("zh",), script="simplified"))
    assert time.monotonic() - begin < 2.0


def folder_of_pairs(path: Path) -> DataFolder:
    rows = [
        pair("网络连接失败怎么办", ZH, pair_id="1"),
        pair("如何安装", "请看下文。", pair_id="2"),
        pair("Offer", "Buy one and get another one for free today! " * 8, pair_id="3", source="t"),
    ]
    run_step(
        path / "pairs",
        lambda place: {"rows": sum(write_pairs(place.folder / f"{n}.parquet", rows) for n in ("0", "1"))},
        settings={},
        inputs={},
        code=(),
    )
    return DataFolder(path)


def test_the_step_marks_each_part_and_counts_by_source_and_reason(tmp_path: Path) -> None:
    folder = folder_of_pairs(tmp_path)
    record = filter_pairs(folder, FiltersConfig(), workers=1)
    assert record.counts == {
        "rows": 6,
        "seen": {"s": 4, "t": 2},
        "marked": {"s": {"too short": 2}, "t": {"repetition": 2}},
    }
    assert [(mark.row, mark.id, mark.reason) for mark in folder.marks("1", folder.mark_steps())] == [
        (1, "2", "too short"),
        (2, "3", "repetition"),
    ]
    assert folder.dropped_rows("0") == {1, 2}
    assert filter_pairs(folder, FiltersConfig(), workers=1).kept
    again = filter_pairs(folder, replace(FiltersConfig(), repetition=None), workers=2)
    assert not again.kept and again.counts["marked"] == {"s": {"too short": 2}}


def test_a_changed_blocklist_marks_anew(tmp_path: Path) -> None:
    folder, words = folder_of_pairs(tmp_path / "data"), tmp_path / "words.txt"
    words.write_text("路由器\n", "utf-8")
    config = FiltersConfig(blocklist=str(words))
    assert filter_pairs(folder, config, workers=1).counts["marked"]["s"]["blocklist"] == 2
    words.write_text("别的词\n", "utf-8")
    assert "blocklist" not in filter_pairs(folder, config, workers=1).counts["marked"]["s"]
