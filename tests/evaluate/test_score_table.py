"""Tables of scores in the terminal and in Markdown."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from yuyi.evaluate.comparing.columns import columns, published_column
from yuyi.evaluate.comparing.domain import Trained
from yuyi.evaluate.comparing.sheet import lay_out
from yuyi.evaluate.results import Setting
from yuyi.evaluate.showing.report import cell, markdown, metric_name, table
from yuyi.evaluate.suites import CMTEB_35, MTEB_CMN_V1, MTEB_ENG_V1, MTEB_ENG_V2, find_suite
from yuyi.known.published import published, runs

from .made import made, made_of
from .test_columns import SIX

if TYPE_CHECKING:
    from yuyi.evaluate.results import Result

TASKS = {
    "AFQMC": "STS",
    "STSB": "STS",
    "Ocnli": "PairClassification",
    "FewCLUE_eprstmt": "Classification",
    "retrieval_cmrc2018_zh": "Retrieval",
    "CMedQAv1-reranking": "Reranking",
    "CLSClusteringP2P": "Clustering",
    "句子相似度": "STS",
}


def _results(*settings: Setting, model: str = "acge_text_embedding") -> list[Result]:
    return [
        made(task, 0.5 + place / 100 + number / 1000, kind, setting=setting, model=model)
        for number, setting in enumerate(settings)
        for place, (task, kind) in enumerate(TASKS.items())
    ]


def _printed(results: list[Result], width: int = 80, trained: dict[str, Trained] | None = None) -> str:
    console = Console(width=width, color_system=None)
    with console.capture() as found:
        console.print(table(results, trained))
    return found.get()


def _suite(name: str, model: str = "gte-small-zh") -> list[Result]:
    """Results equal to the published scores, for every task of a suite."""
    known = published(model)
    return [
        made_of(
            task,
            known[task.name][task.metric] / 100,
            metrics={metric: value / 100 for metric, value in known[task.name].items()},
        )
        for task in find_suite(name).tasks
    ]


def test_six_settings_fit_into_80_columns() -> None:
    text = _printed(_results(*SIX))
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    assert [" ".join(line.split()) for line in lines[:3]] == [
        "dimension 1792 1792 1792 1024 512 256",
        "number type float16 float32 float32 float16 float32 float32",
        "longest text 512 1,024 512 512 512 512",
    ]
    [row] = [line for line in lines if "retrieval_cmrc2018_zh" in line]
    assert row.split()[1:] == ["54.00", "54.10", "54.20", "54.30", "54.40", "54.50"]
    assert "Retrieval · nDCG@10" in text
    assert "acge" not in text


def test_more_settings_continue_below() -> None:
    text = _printed(_results(*(Setting(dim) for dim in range(13, 0, -1))))
    assert max(map(len, text.splitlines())) <= 80
    assert text.count("AFQMC") == 2
    headings = [line.split()[1:] for line in text.splitlines() if line.startswith("dimension")]
    assert [int(dim) for dims in headings for dim in dims] == list(range(13, 0, -1))


def test_types_have_means_and_so_has_everything() -> None:
    text = _printed(_results(SIX[0]))
    [mean] = [line for line in text.splitlines() if "mean of 3 tasks" in line]
    assert mean.split()[-1] == "52.67"
    [mean] = [line for line in text.splitlines() if "mean of 8 tasks" in line]
    assert mean.split()[-1] == "53.50"


def test_means_are_over_what_all_columns_have() -> None:
    results = _results(SIX[0], SIX[1])
    text = _printed([result for result in results if (result.task, result.setting) != ("STSB", SIX[1])])
    [mean] = [line for line in text.splitlines() if "mean of 2 of 3 tasks" in line]
    assert mean.split()[-2:] == ["53.50", "53.60"]
    [row] = [line for line in text.splitlines() if "STSB" in line]
    assert row.split()[-1] == "–"


def _averages(*results: Result) -> dict[str, tuple[float | None, str]]:
    """Value and note of each average of one column."""
    return {line.name: (line.values[0], line.notes[0]) for line in lay_out(columns(results)).averages}


def test_named_averages_where_all_tasks_are_there() -> None:
    both = next(task for task in find_suite(MTEB_CMN_V1).tasks if task.name == "MultilingualSentiment")
    results = _suite(CMTEB_35)
    sheet = _averages(*results)
    assert sheet[CMTEB_35] == (pytest.approx(60.08, abs=0.02), "")
    assert sheet[MTEB_CMN_V1] == (None, "30 of 31")  # It scores a further split.
    score = published("gte-small-zh")[both.name][both.metric] / 100
    sheet = _averages(*(each for each in results if each.task != both.name), made_of(both, score))
    assert sheet[CMTEB_35] == (pytest.approx(60.08, abs=0.02), "")
    assert sheet[MTEB_CMN_V1][0] is not None
    assert _averages(*results[1:])[CMTEB_35] == (None, "34 of 35")


@pytest.mark.parametrize("name", ["STS22", "MassiveIntentClassification", "AmazonReviewsClassification"])
def test_english_texts_do_not_count_for_a_chinese_average(name: str) -> None:
    english = next(task for task in find_suite(MTEB_ENG_V1).tasks if task.name == name)
    results = [
        made_of(english, 0.9, part=english.subset) if each.task == name else each for each in _suite(CMTEB_35)
    ]
    sheet = _averages(*results)
    assert sheet[CMTEB_35] == (None, "34 of 35")
    assert sheet[MTEB_ENG_V1] == (None, "1 of 56")
    # Both parts in one folder count each for its own.
    chinese = next(each for each in _suite(CMTEB_35) if each.task == name)
    sheet = _averages(*results, replace(chinese, part=next(iter(chinese.languages))))
    assert sheet[CMTEB_35] == (pytest.approx(60.08, abs=0.02), "")
    assert sheet[MTEB_ENG_V1] == (None, "1 of 56")


def test_chinese_figures_do_not_count_for_an_english_average() -> None:
    names = {line.name for line in lay_out(columns(_suite(CMTEB_35))).averages}
    assert names == {"mean of 35 tasks", CMTEB_35, MTEB_CMN_V1}
    beside = lay_out(
        [*columns([made_of(find_suite(MTEB_ENG_V1).tasks[0])]), published_column("gte-small-zh")]
    )
    [line] = [line for line in beside.averages if line.name == MTEB_ENG_V1]
    assert line.notes == ("1 of 56", "0 of 56")


def test_local_data_under_the_names_of_a_suite_are_no_suite() -> None:
    local = [replace(result, data="6f1c9a20d5") for result in _suite(CMTEB_35)]
    assert set(_averages(*local)) == {"mean of 35 tasks"}
    assert _averages(*local[:3], *_suite(CMTEB_35)[3:])[CMTEB_35] == (None, "32 of 35")


def test_published_figures_leave_ones_own_mean_whole() -> None:
    alone = _averages(made("STSB", 0.8), made("mine", 0.7))
    beside = lay_out([*columns([made("STSB", 0.8), made("mine", 0.7)]), published_column("gte-small-zh")])
    assert alone["mean of 2 tasks"][0] == beside.averages[0].values[0]
    assert beside.averages[0].name == "mean of 2 tasks"
    assert beside.averages[0].values[1] is None


def test_the_table_of_acge() -> None:
    """Its result files under several settings give the averages that its card prints."""
    told = [run for run in runs("acge_text_embedding") if run.scores and run.printed]
    tasks = {task.name: task for task in find_suite(CMTEB_35).tasks}
    results = [
        made_of(
            tasks[task],
            metrics[tasks[task].metric] / 100,
            model="acge_text_embedding",
            setting=Setting(1792, device=run.setting),
        )
        for run in told
        for task, metrics in run.scores.items()
    ]
    sheet = lay_out(columns(results))
    assert [column.name for column in sheet.columns] == [run.setting for run in told]
    [line] = [line for line in sheet.averages if line.name == CMTEB_35]
    assert len(line.values) == 5
    assert line.values == pytest.approx([run.printed["average"] for run in told], abs=0.011)
    for section, key in ((sheet.sections[-1], "sts"), (sheet.sections[-2], "retrieval")):
        assert section.mean.values == pytest.approx([run.printed[key] for run in told], abs=0.011)


def test_suites_without_any_of_the_tasks_are_left_out() -> None:
    sts12 = next(task for task in find_suite(MTEB_ENG_V1).tasks if task.name == "STS12")
    names = {line.name for line in lay_out(columns([made_of(sts12)])).averages}
    assert names == {"1 task", MTEB_ENG_V1, MTEB_ENG_V2}
    assert len(lay_out(columns([made("mine")])).averages) == 1


def test_published_figures_stand_beside() -> None:
    results = [made("STSB", 0.8, metric="spearman", metrics={"cosine_spearman": 0.75}), made("mine", 0.7)]
    sheet = lay_out([*columns(results), published_column("gte-small-zh")])
    lines = {line.name: line for section in sheet.sections for line in section.lines}
    assert lines["STSB"].metric == "cosine_spearman"  # What is published is compared with its like.
    assert lines["STSB"].values == pytest.approx((75.0, 76.5142))
    assert lines["mine"].values == (pytest.approx(70.0), None)
    assert "AFQMC" not in lines
    assert sheet.sections[0].mean.name == "mean of 2 tasks"


def test_printed_averages_stand_where_tasks_are_not_published() -> None:
    sheet = lay_out([*columns(_suite(CMTEB_35)), published_column("bge-small-zh-v1.5")])
    [line] = [line for line in sheet.averages if line.name == CMTEB_35]
    assert line.values == (pytest.approx(60.08, abs=0.02), pytest.approx(57.82, abs=0.01))
    assert sheet.averages[0].name == "mean of 35 tasks"
    assert sheet.averages[0].values == (pytest.approx(60.08, abs=0.02), None)


def test_a_type_of_which_nothing_is_published_keeps_its_mean() -> None:
    results = [made("STSB", 0.8), made("mine", 0.6, "Retrieval"), made("ours", 0.7, "Retrieval")]
    sheet = lay_out([*columns(results), published_column("gte-small-zh")])
    assert [section.mean.name for section in sheet.sections] == ["mean of 2 tasks", "1 task"]
    assert sheet.sections[0].mean.values == (pytest.approx(65.0), None)
    assert sheet.averages[0].name == "mean of 3 tasks"


def test_domains_stand_apart() -> None:
    told = replace(_results(SIX[0])[0], task="LCQMC", sources=("lcqmc_train",))
    alone = {"acge_text_embedding": Trained(frozenset({"afqmc"}))}
    lines = lay_out(columns([*_results(SIX[0]), told]), alone).averages
    names = ["in-domain (1 task)", "zero-shot (1 task)", "not told (7 tasks)"]
    assert [line.name for line in lines[-3:]] == names

    trained = {"acge_text_embedding": Trained(frozenset({"afqmc", "句子相似度"}))}
    text = _printed(_results(SIX[0]), trained=trained)
    assert "in-domain (2 tasks)" in text
    [line] = [line for line in text.splitlines() if "not told (6 tasks)" in line]
    assert line.split()[-1] == "53.50"
    both = _printed([*_results(SIX[0]), *_results(SIX[0], model="gte-small-zh")], trained=trained)
    [line] = [line for line in both.splitlines() if "in-domain (2 tasks)" in line]
    assert line.split()[-2:] == ["53.50", "–"]
    trained["gte-small-zh"] = Trained(frozenset({"AFQMC"}))
    both = _printed([*_results(SIX[0]), *_results(SIX[0], model="gte-small-zh")], trained=trained)
    [line] = [line for line in both.splitlines() if "in-domain" in line]
    assert line.split()[1:] == ["53.50", "(2)", "50.00", "(1)"]


def test_models_stand_apart_where_their_columns_fill_a_table() -> None:
    text = _printed([*_results(*SIX), *_results(SIX[0], model="gte-small-zh")])
    lines = [line.strip() for line in text.splitlines()]
    assert max(map(len, text.splitlines())) <= 80
    assert lines[0] == "acge_text_embedding"
    assert lines[lines.index("") + 1 :].count("gte-small-zh") == 1
    both = _printed([*_results(SIX[0]), *_results(SIX[0], model="gte-small-zh")])
    assert both.splitlines()[0].split() == ["model", "acge_text_embedding", "gte-small-zh"]


def test_markdown() -> None:
    text = markdown(_results(SIX[0], SIX[1]))
    lines = text.splitlines()
    assert lines[0] == "| task | metric | float16<br>512 tokens | float32<br>1,024 tokens |"
    assert lines[1] == "| --- | --- | ---: | ---: |"
    assert "| 句子相似度 | Spearman | 57.00 | 57.10 |" in lines
    assert "| **STS** |  |  |  |" in lines
    assert "| *mean of 3 tasks* |  | *52.67* | *52.77* |" in lines
    assert {line.count("|") for line in text.split("\n\n")[0].splitlines()} == {5}
    assert lines[-1].endswith(
        " dimensions · float32 · texts of up to 1,024 tokens · mteb 2.26.24 · 2026-11-26"
    )


def test_names_cannot_break_the_markdown() -> None:
    assert "| a\\|b | Spearman | 50.00 |" in markdown([made("a|b")])


def test_metrics_are_written_as_people_write_them() -> None:
    assert [metric_name(each) for each in ("ndcg_at_10", "map_at_1000", "recall_at_100", "f1")] == [
        "nDCG@10",
        "MAP",
        "recall@100",
        "f1",
    ]
    assert (cell(None), cell(1.005), cell(None, "3 of 35"), cell(50.0, "(7)")) == (
        "–",
        "1.00",
        "3 of 35",
        "50.00 (7)",
    )


def test_how_a_single_column_was_made_stands_below() -> None:
    usual = Setting(512, "int8", backend="static")
    line = "512 dimensions · int8 · texts of any length · mteb 2.26.24 · 2026-11-26"
    assert markdown([made(setting=usual)]).endswith(f" |\n\ngte-small-zh · gte-small-zh · {line}\n")
    assert _printed([made(setting=usual)]).splitlines()[-1].startswith("1 task")
    prompts = {"query": "查询：\n", "document": ""}
    other = replace(usual, dim=64, max_length=128, prompts=prompts, normalize=False)
    told = "texts of up to 128 tokens · prompts “query: 查询：” · raw vectors"
    assert " ".join(_printed([made(setting=other)]).split()).endswith(f" 64 of 512 dimensions · {told}")
    assert f"64 of 512 dimensions · int8 · {told}" in markdown([made(setting=other)])
    both = [made(setting=other), made(setting=replace(other, dim=32))]
    assert " ".join(_printed(both).split()).endswith(f" {told}")
    assert markdown(both).count(told) == 2
