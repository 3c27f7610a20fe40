"""The page of scores: whole without a network, true to the figures, safe against names, light and dark."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import numpy as np
import pytest

from yuyi.evaluate.comparing.columns import columns, published_column
from yuyi.evaluate.comparing.compare import compare, open_columns
from yuyi.evaluate.comparing.domain import Overlap, Trained
from yuyi.evaluate.comparing.examples import Examples, examples_path, write_examples
from yuyi.evaluate.comparing.sheet import lay_out
from yuyi.evaluate.results import Setting, write_result
from yuyi.evaluate.showing.charts import bar, interval, over_dimensions
from yuyi.evaluate.showing.differences import signed, verdict, verdict_in_chinese
from yuyi.evaluate.showing.page import page, sheet_page
from yuyi.evaluate.suites import find_suite

from .made import made, made_of
from .test_columns import SIX
from .test_score_table import TASKS

if TYPE_CHECKING:
    from pathlib import Path

    from yuyi.evaluate.results import Result

VOID = {"meta", "br"}


class Tags(HTMLParser):
    """Which elements a page has, after checking that each is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.names: set[str] = set()
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def _results(*settings: Setting, model: str = "acge_text_embedding") -> list[Result]:
    return [
        made(task, 0.5 + place / 100 - number / 1000, kind, setting=setting, model=model)
        for number, setting in enumerate(settings)
        for place, (task, kind) in enumerate(TASKS.items())
    ]


def _text(html: str) -> str:
    return " ".join(re.sub(r"<style>.*?</style>|<[^>]+>", " ", html, flags=re.DOTALL).split())


def test_a_page_of_one_setting() -> None:
    stsb = next(task for task in find_suite("C-MTEB (35)").tasks if task.name == "STSB")
    html = page(
        [each if each.task != "STSB" else replace(each, data=stsb.revision) for each in _results(SIX[0])]
    )
    Tags(html)
    text = _text(html)
    assert "acge_text_embedding" in text
    assert "retrieval_cmrc2018_zh nDCG@10 54.00" in text
    assert "mean of 8 tasks 53.50" in text
    assert "C-MTEB (35) pairs: AP 1 of 35" in text
    assert 'id="dimensions"' not in html
    assert 'id="differences"' not in html
    assert 'class="key"' not in html


def test_nothing_comes_from_elsewhere() -> None:
    html = page(_results(*SIX))
    assert "default-src 'none'" in html
    assert not re.search(r'(?:src|href)="(?!#)', html)
    assert "script" not in Tags(html).names
    assert "url(" not in html
    assert "prefers-color-scheme: dark" in html
    assert "PingFang SC" in html
    for anchor in re.findall(r'href="#(\w+)"', html):
        assert f'id="{anchor}"' in html


def test_strange_names_are_shown_and_not_obeyed() -> None:
    evil = '<script>alert(1)</script>"\u202e&'
    html = page([made(evil, model=evil, setting=Setting(8, prompts={"query": evil}), data=evil)])
    assert "script" not in Tags(html).names
    assert "\u202e" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&quot;⟨202E⟩&amp;" in html


def test_settings_that_all_have_stand_there_once() -> None:
    html = page(_results(*SIX))
    assert '<td class="value" colspan="6">acge_text_embedding</td>' in html
    assert html.count('<td class="value">float16</td>') == 2
    assert "for texts" not in html
    prompt = "为这个句子生成表示以用于检索相关文章："
    assert f"query: {prompt}" in page([made(setting=Setting(8, prompts={"query": prompt}))])


def test_dimensions_have_a_chart_where_there_are_several() -> None:
    html = page(_results(*(Setting(dim, "float32") for dim in (1024, 512, 256))))
    assert html.count("<figure>") == 7  # six types, and all tasks
    assert ">1024</text>" in html
    assert html.count("<polyline") == 7
    six = page(_results(*SIX))
    # Of six settings, three and two differ from each other in the dimension alone.
    assert six.count("<circle") == 5 * 7
    assert six.count("<polyline") == 2 * 7
    assert "<figure>" not in page(_results(Setting(512, "float32"), Setting(256, "float16")))


def test_the_best_of_a_line_is_bold() -> None:
    html = page(_results(SIX[0], SIX[1]))
    row = re.search(r"<tr[^>]*><td[^>]*>AFQMC.*?</tr>", html)
    assert row
    assert '<td class="num best">50.00</td><td class="num">49.90</td>' in row[0]


def test_differences_with_intervals(tmp_path: Path) -> None:
    for model, shift in (("甲", 0.0), ("乙", 0.1)):
        for task in ("AFQMC", "BQ"):
            noise = np.random.default_rng(len(task)).normal(scale=0.01 if task == "BQ" else 2.0, size=99)
            values = 0.5 + shift + noise * (shift > 0)
            examples = Examples("mean", "cosine_spearman", values, np.empty(0), "rows")
            path = write_result(tmp_path, made(task, float(values.mean()), model=model))
            write_examples(examples_path(path), examples)
    sides = open_columns([tmp_path])
    [found] = compare(sides)
    html = sheet_page(lay_out(sides), [found])
    Tags(html)
    text = _text(html)
    low, high = (100 * end for end in (found.tasks[1].interval.low, found.tasks[1].interval.high))  # type: ignore[union-attr]
    assert f"{signed(low)} to {signed(high)}" in text
    better = "1 higher and 0 lower" if found.first.name == "甲" else "0 higher and 1 lower"
    assert f"Of 2 tasks with examples, {better} beyond chance" in text
    assert "all tasks, mean of 2" in text
    assert "2 个任务有逐例结果" in text
    assert "≤ 0.002" in text
    assert html.count('class="unsure"') >= 2
    assert 'class="above"' in html or 'class="below"' in html


def test_an_interval_of_another_metric_is_no_difference_beyond_chance(tmp_path: Path) -> None:
    for model, shift in (("甲", 0.0), ("乙", 0.3)):
        metrics = {"cosine_ap": 0.5 + shift}
        result = made("Ocnli", 0.6, "PairClassification", metric="max_accuracy", model=model, metrics=metrics)
        truth = np.arange(40) % 2.0
        values = truth * shift + np.random.default_rng(1).random(40)
        examples = Examples("average_precision", "cosine_ap", values, truth, "pairs")
        write_examples(examples_path(write_result(tmp_path, result)), examples)
    [found] = compare(open_columns([tmp_path]))
    assert found.tasks[0].interval
    assert found.tasks[0].interval.real
    assert verdict(found).startswith("Without examples of both sides by the score shown")
    assert verdict_in_chinese(found).startswith("双方没有所示指标的逐例结果")


def test_a_dash_is_explained_where_there_is_one() -> None:
    whole = [made("AFQMC", model="a"), made("AFQMC", model="b")]
    assert "–: no score" not in _text(page(whole))
    assert "–: no score" in _text(page([*whole, made("BQ", model="b")]))


def test_published_figures_stand_beside() -> None:
    pinned = next(task for task in find_suite("C-MTEB (35)").tasks if task.name == "STSB").revision
    results = [made("STSB", 0.8, data=pinned, model="mine"), made("AFQMC", 0.3, model="mine", data="0123")]
    found = compare([*columns(results), published_column("gte-small-zh")])
    html = page(results, found)
    Tags(html)
    text = _text(html)
    assert "STSB Spearman +3.49 as the suite pins" in text
    assert "AFQMC Spearman −6.69 other" in text
    assert "Published: model-index of thenlper/gte-small-zh" in text
    assert "gte-small-zh · published" in text


def test_training_data() -> None:
    trained = {
        "acge_text_embedding": Trained(frozenset({"afqmc", "x"}), {"STSB": Overlap(found=1200, kept=3)}),
    }
    text = _text(page(_results(SIX[0]), trained=trained))
    assert "2 names of training sources are declared." in text
    assert "In-domain: AFQMC, STSB. Not told: " in text
    assert "STSB 1,200 1,197 3" in text
    assert "not told (6 tasks)" in text
    assert "训练句对" not in _text(page(_results(SIX[0])))


def _commands(*results: Result) -> list[str]:
    """What the page says about how to make the results again, one command a line."""
    return unescape(re.findall(r"<pre>(.*?)</pre>", page(results), re.DOTALL)[0]).splitlines()


def test_commands_that_give_the_scores_again() -> None:
    suite = [
        made_of(task, setting=Setting(dim, "float32", 512))
        for task in find_suite("MTEB(cmn, v1)").tasks
        for dim in (512, 256)
    ]
    mine = made("mine", data="6f1c9a", setting=Setting(512, "float16", 512, prompts={"query": "问 题："}))
    assert _commands(*suite, mine) == [
        "yuyi evaluate gte-small-zh --dtype float16 --max-length 512 --query-prompt '问 题：' "
        "--data FOLDER --results RESULTS",
        "yuyi evaluate gte-small-zh --dtype float32 --max-length 512 --suite 'MTEB(cmn, v1)' "
        "--dim 512,256 --results RESULTS",
    ]
    once = made("mine", data="6f1c9a", setting=Setting(256, "float32", 512))
    assert _commands(*suite, once)[1].endswith("--data FOLDER --dim 256 --results RESULTS")


def test_commands_name_the_suite_that_scored_a_task() -> None:
    zh, en, pairs = (
        next(task for task in find_suite(suite).tasks if task.name == name)
        for suite, name in (("C-MTEB (35)", "STS22"), ("MTEB(eng, v1)", "STS22"), ("MTEB(cmn, v1)", "Ocnli"))
    )
    results = [made_of(zh, part="zh"), made_of(en, part="en"), made_of(pairs), made("SICK-R", data="0" * 40)]
    start = "yuyi evaluate gte-small-zh --dtype float32 --max-length 512"
    assert _commands(*results) == [
        f"{start} --suite 'C-MTEB (35)' --task STS22 --results RESULTS",
        f"{start} --suite 'MTEB(cmn, v1)' --task Ocnli --results RESULTS",
        f"{start} --suite 'MTEB(eng, v1)' --task STS22 --results RESULTS",
        f"{start} --task SICK-R --results RESULTS",
    ]


@pytest.mark.parametrize(
    ("setting", "options"),
    [
        (Setting(512, overflow="", backend="endpoint"), "--endpoint URL --model gte-small-zh"),
        (
            Setting(512, "bfloat16", 128, pooling="cls", backend="torch", device="cuda:1"),
            "gte-small-zh --dtype bfloat16 --pooling cls --device cuda:1 --max-length 128",
        ),
        (
            Setting(512, "float32", pooling="mean+max", backend="torch", device="cpu", normalize=False),
            "gte-small-zh --dtype float32 --raw",
        ),
        (Setting(512, "int8", pooling="mean", backend="static", device="cpu"), "gte-small-zh"),
        (Setting(512, prompts={"query": "问：", "STS": "比较："}), "gte-small-zh"),
    ],
)
def test_commands_ask_for_the_same_setting(setting: Setting, options: str) -> None:
    result = made("问答", data="6f1c9a", setting=setting)
    assert _commands(result) == [f"yuyi evaluate {options} --data FOLDER --results RESULTS"]


def test_libraries_of_several_versions() -> None:
    results = [
        made("A", versions={"mteb": "2.26.24"}),
        made("B", versions={"mteb": "2.27.0", "numpy": "2.4"}),
    ]
    assert "mteb 2.26.24 and 2.27.0 · numpy 2.4" in _text(page(results))


@pytest.mark.parametrize("value", [-12.0, 0.0, 50.0, 100.0])
def test_bars_are_as_long_as_their_scores(value: float) -> None:
    assert f'class="c1" width="{max(value, 0) * 10:.1f}"' in bar(value, 1)


def test_intervals_stay_on_their_axis() -> None:
    for svg in (
        interval(2.0, (-9.0, 9.0), 3.0, real=False),
        interval(0.0, None, 0.0, real=False),
        interval(-3.0, (-3.0, -1.0), 3.0, real=True),
    ):
        for left, width in re.findall(r' x="([\d.-]+)"[^>]* width="([\d.]+)"', svg):
            assert 0 <= float(left) <= float(left) + float(width) <= 1000


def test_a_chart_of_equal_scores_is_drawn() -> None:
    svg = over_dimensions("同分", "平均", {"a": {64: 50.0, 32: 50.0}, "b": {64: 50.0}}, [0, 1])
    assert "nan" not in svg
    assert svg.count("<circle") == 3


def test_a_score_below_0_has_no_bar_and_says_so() -> None:
    assert "<title>-3.00: below 0</title>" in bar(-3.0, 0)
    assert '<rect class="c0" width="0.0"' in bar(-3.0, 0)
    assert "<title>" not in bar(0.0, 0) + bar(3.0, 0)
