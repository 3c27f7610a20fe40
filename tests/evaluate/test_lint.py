from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from yuyi.errors import InputError, ModelError
from yuyi.evaluate.averages import average
from yuyi.evaluate.linting.lint import Finding, lint
from yuyi.evaluate.suites import CMTEB_35, MTEB_CMN_V1, MTEB_ENG_V1, find_suite
from yuyi.known.published import published, runs

from .cards import (
    HEADING,
    KINDS,
    TYPES,
    acge_rows,
    board_row,
    commit,
    front_matter,
    lint_with,
    old_results,
    result,
    table,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    Check = Callable[..., list[Finding]]

LOWEST = "测试了多次，选取精度最低的测试结果作为最终成绩。\n"


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """Findings about a card, with other files beside it."""
    return partial(lint_with, tmp_path / "模型")


def seed(model: str, *others: str) -> str:
    """The card of a seed: its index, and the table that it prints."""
    rows = [board_row(name) for name in (*others, model)]
    return front_matter(model, old_results(published(model))) + table(HEADING, rows)


def own(printed: Mapping[str, object], heading: Mapping[str, str] | None = None) -> str:
    """A card of the index of gte-small-zh under another name, with one row of figures."""
    names = dict(zip(("average", *KINDS), HEADING[3:], strict=True)) | dict(heading or {})
    columns = ["Model", *(names[key] for key in printed)]
    index = front_matter("某人/小模型", old_results(published("gte-small-zh")))
    return index + table(columns, [["小模型", *printed.values()]])


def rules(findings: list[Finding]) -> list[str]:
    return [finding.rule for finding in findings]


# What published cards contain.


def test_gte_small_zh_prints_two_averages_that_its_index_does_not_give(check: Check) -> None:
    overall, classification = check(seed("gte-small-zh", "gte-large-zh", "bge-small-zh-v1.5"))
    assert (overall.rule, overall.where) == ("average", "gte-small-zh, average")
    for text in ("60.04 is printed", "60.08 with cosine_ap", "60.09 with max_ap", "repeats their fault"):
        assert text in overall.message
    assert (classification.rule, classification.where) == ("average", "gte-small-zh, Classification")
    assert "64.35 is printed, the index gives 64.48." in classification.message


def test_dmeta_prints_another_digit_for_sts(check: Check) -> None:
    (finding,) = check(seed("Dmeta-embedding", "gte-large-zh"))
    assert (finding.rule, finding.where) == ("average", "Dmeta-embedding, STS")
    assert "64.09 is printed, the index gives 64.89. One digit differs" in finding.message
    assert "the average of all tasks fits" in finding.message


def test_acge_claims_its_lowest_run_and_holds_another(check: Check) -> None:
    index = front_matter("acge_text_embedding", old_results(published("acge_text_embedding")))
    lines = table((HEADING[0], "GPU", "tensor-type", *HEADING[1:]), acge_rows())
    (finding,) = check(index + LOWEST + lines)
    assert finding.rule == "lowest"
    assert "68.91" in finding.message
    assert "the index averages 69.07, as does the run A100, float16, 512" in finding.message
    assert check(index + lines) == []  # Without the claim, the index may be any of the runs.
    lower = front_matter("acge_text_embedding", old_results(_run("A10, bfloat16, 1024 tokens")))
    assert check(lower + LOWEST + lines) == []


def _run(setting: str) -> Mapping[str, Mapping[str, float]]:
    return next(run.scores for run in runs("acge_text_embedding") if run.setting == setting)


def test_a_card_of_one_row_cannot_print_the_average_of_another_run(check: Check) -> None:
    findings = check(seed("acge_text_embedding"))  # The lowest run above the index of the best.
    assert "68.91 is printed, the index gives 69.07" in findings[0].message
    figures = [finding.where.rpartition(", ")[2] for finding in findings]
    assert figures == ["average", "Clustering", "PairClassification", "Reranking", "Retrieval", "STS"]


@pytest.mark.shared
def test_the_whole_indexes_with_every_metric(check: Check, shared_data: Path) -> None:
    models = json.loads((shared_data.parent / "reference" / "published.json").read_bytes())["models"]
    wheres = {}
    for model, card in models.items():
        results = [
            result(
                task["task_type"],
                {
                    "type": task["dataset"],
                    "name": f"MTEB {task['name']}",
                    **{key: task[key] for key in ("config", "split", "revision")},
                },
                task["metrics"],
            )
            for task in card["tasks"]
        ]
        rows = [board_row(model)] if model != "acge_text_embedding" else acge_rows()
        heading = HEADING if len(rows) == 1 else (HEADING[0], "GPU", "tensor-type", *HEADING[1:])
        findings = check(front_matter(model, results) + LOWEST + table(heading, rows))
        wheres[model] = [(finding.rule, finding.where.rpartition(", ")[2]) for finding in findings]
        if model != "acge_text_embedding":
            assert "31 of 35 results name no commit" in findings[0].message
            assert "(AFQMC, ATEC, BQ, CLSClusteringP2P and 27 more)" in findings[0].message
    assert wheres == {
        "gte-small-zh": [("revision", "gte-small-zh"), ("average", "average"), ("average", "Classification")],
        "Dmeta-embedding": [("revision", "Dmeta-embedding"), ("average", "STS")],
        "acge_text_embedding": [("lowest", "average")],
    }


@pytest.mark.shared
def test_what_dmeta_prints_of_others(check: Check, shared_data: Path) -> None:
    published = json.loads((shared_data.parent / "reference" / "published.json").read_bytes())
    rows = [
        [row["model"], row["dimension"], 512, *(row[kind] for kind in ("average", *KINDS))]
        for row in published["c_mteb_table_dmeta_card"]
        if row["model"] != "Dmeta-embedding"
    ]
    findings = check(front_matter("Dmeta-embedding", []) + table(HEADING, rows))
    messages = [(finding.where, finding.message) for finding in findings if finding.rule == "other"]
    assert messages == [
        ("gte-large-zh, PairClassification", "84.41 is printed, its makers published 81.14. Mend it.")
    ]


# Averages.


def means(pair_metric: str, suite: str = CMTEB_35) -> dict[str, str]:
    """The averages of gte-small-zh as a card prints them."""
    found = average(published("gte-small-zh"), find_suite(suite), pair_metric)
    assert found.overall is not None
    by_type = {key: found.by_type[kind] for kind, key in zip(TYPES, KINDS, strict=True)}
    return {key: f"{value:.2f}" for key, value in {"average": found.overall, **by_type}.items()}


@pytest.mark.parametrize("pair_metric", ["cosine_ap", "max_ap", "cosine_accuracy", "max_accuracy"])
def test_a_table_may_follow_any_convention_throughout(check: Check, pair_metric: str) -> None:
    assert check(own(means(pair_metric))) == []


def test_a_table_of_the_31_tasks_is_judged_by_them(check: Check) -> None:
    heading = {"average": "Average (31)", "classification": "Classification", "sts": "STS"}
    assert check(own(means("max_accuracy", MTEB_CMN_V1), heading)) == []
    (finding,) = check(own({**means("cosine_ap"), "average": "60.05"}))
    assert "It is the average of MTEB(cmn, v1) with max_accuracy." in finding.message


def test_one_figure_of_another_convention_is_told_with_its_name(check: Check) -> None:
    (finding,) = check(
        own({**means("cosine_ap"), "pair_classification": means("max_accuracy")["pair_classification"]})
    )
    assert "It is the average of C-MTEB (35) with max_accuracy." in finding.message
    found = average(published("gte-small-zh"), find_suite(CMTEB_35))
    of_types = f"{sum(found.by_type.values()) / 6:.2f}"
    (finding,) = check(own({**means("cosine_ap"), "average": of_types}))
    assert "It is the mean over the types" in finding.message


def test_rounding_either_way_is_no_disagreement(check: Check) -> None:
    printed = means("cosine_ap")
    assert printed["pair_classification"] == "70.00"
    assert check(own({**printed, "pair_classification": "69.99", "sts": "49.73"})) == []
    assert rules(check(own({**printed, "sts": "49.74"}))) == ["average"]
    assert check(own({**printed, "average": "60.1"})) == []
    assert rules(check(own({**printed, "average": "60.2"}))) == ["average"]
    one_decimal = {key: f"{float(text):.1f}" for key, text in printed.items()}
    assert check(own(one_decimal)) == []


def test_fractions_and_percent_are_told_apart(check: Check) -> None:
    fractions = {key: f"{float(text) / 100:.4f}" for key, text in means("cosine_ap").items()}
    assert check(own(fractions)) == []
    (finding,) = check(own({**fractions, "sts": "0.5"}))
    assert "0.5 is printed, the index gives 0.4972" in finding.message


def test_tables_of_other_shapes(check: Check) -> None:
    index = front_matter("小模型", old_results(published("gte-small-zh")))
    printed = {**means("cosine_ap"), "sts": "55.00"}
    chinese = ["平均（35）", "分类", "聚类", "句对分类", "重排序", "检索", "语义相似度"]
    tables = [
        table(
            ["模型", *chinese],
            [["**[小模型](https://example.org)**", *(f"**{text}**" for text in printed.values())]],
        ),
        table(
            ["任务", "别的模型", "小模型"],
            [[name, 1, text] for name, text in zip(chinese, printed.values(), strict=True)],
        ),
        table(["维度", *chinese], [[512, *printed.values()]]),
    ]
    for text in tables:
        (finding,) = check(index + text)
        assert finding.where == "小模型, STS"
        assert "55.00 is printed, the index gives 49.72" in finding.message
    other = table(["模型", *chinese], [["别的模型", *printed.values()]])
    assert check(index + other) == []


def test_a_name_with_a_remark_is_still_the_name(check: Check) -> None:
    index = front_matter("小模型", old_results(published("gte-small-zh")))
    rows = [["小模型（我们的）", "60.08", "55.00"], ["小模型2", "70.00", "56.00"]]
    assert rules(check(index + table(["Model", *HEADING[3:5]], rows))) == ["average"]


def test_averages_of_other_things_are_left_alone(check: Check) -> None:
    index = front_matter("小模型", old_results(published("gte-small-zh")))
    assert check(index + table(["Model", "Average", "p99 (ms)"], [["小模型", "140.2", "310"]])) == []
    assert (
        check(index + "\n最低的延迟见下表，测试一次。\n" + table(["Model", "Size"], [["小模型", 60]])) == []
    )


def test_figures_of_other_models_are_those_that_their_makers_published(check: Check) -> None:
    card = seed("Dmeta-embedding", "gte-large-zh").replace("64.09", "64.89")
    assert check(card) == []
    (finding,) = check(card.replace("81.14", "84.41"))
    assert (finding.rule, finding.where) == ("other", "gte-large-zh, PairClassification")
    assert "84.41 is printed, its makers published 81.14" in finding.message
    anew = card
    for figure in ("66.72", "71.34", "53.07", "81.14"):
        anew = anew.replace(figure, f"{float(figure) - 1:.2f}")
    assert check(anew) == []  # A row that differs in most figures was measured, not copied.


def test_an_english_index_in_which_one_task_has_twelve_parts(check: Check) -> None:
    results = []
    for number, task in enumerate(find_suite(MTEB_ENG_V1).tasks):
        metric = task.metric.replace("cosine_", "cos_sim_").replace("max_over_subqueries_map_at_1000", "map")
        part = "" if task.subset == "default" else f" ({task.subset})"
        data = {
            "type": f"mteb/{number}",
            "name": f"MTEB {task.name}{part}",
            "config": task.subset,
            "split": task.splits[0],
            "revision": commit(number),
        }
        results.append(result(task.type, data, {metric.replace("map_at_1000", "map"): 40 + number / 4}))
    scores = {
        entry["dataset"]["name"][5:].partition(" ")[0]: entry["metrics"][0]["value"] for entry in results
    }
    parts = [score for name, score in scores.items() if name.startswith("CQADupstack")]
    whole = [score for name, score in scores.items() if not name.startswith("CQADupstack")] + [
        sum(parts) / 12
    ]
    assert (len(parts), len(whole)) == (12, 56)
    heading = ["Model", "Average (56)", "STS (10)"]
    sts = [scores[task.name] for task in find_suite(MTEB_ENG_V1).tasks if task.type == "STS"]
    printed = [f"{sum(whole) / 56:.2f}", f"{sum(sts) / 10:.2f}"]
    index = front_matter("small-en", results)
    assert check(index + table(heading, [["small-en", *printed]])) == []
    plain_mean = f"{sum(scores.values()) / 67:.2f}"
    assert rules(check(index + table(heading, [["small-en", plain_mean, printed[1]]]))) == ["average"]


def test_an_average_over_more_tasks_than_the_index_has(check: Check) -> None:
    results = old_results(published("gte-small-zh"))[1:]
    row = table(["Model", *HEADING[3:5]], [["小模型", "60.08", "64.48"]])
    (finding,) = check(front_matter("小模型", results) + row)
    assert "60.08 is said to be over 35 tasks; the index holds the 34 tasks of the index" in finding.message


def test_averages_without_an_index(check: Check) -> None:
    (finding,) = check("---\nlicense: mit\n---\n" + table(HEADING, [board_row("gte-small-zh")]))
    assert "no model-index" in finding.message
    assert check("---\nlicense: mit\n---\n" + table(["Model", "Downloads"], [["小模型", 512]])) == []


# The index itself.


def mteb2_results(scores: Mapping[str, Mapping[str, float]]) -> list[dict[str, Any]]:
    """Results as mteb 2 writes them: one metric each, as a fraction."""
    return [
        {
            "task": {"type": "sentence-similarity", "name": task.type},
            "dataset": {
                "type": task.dataset,
                "name": f"{task.name} ({task.subset})",
                "config": task.subset,
                "split": task.splits[0],
                "revision": task.revision,
            },
            "metrics": [
                {"type": task.metric, "value": scores[task.name][task.metric] / 100, "name": task.metric}
            ],
        }
        for task in find_suite(MTEB_CMN_V1).tasks
    ]


def test_an_index_in_the_shape_of_mteb_2(check: Check) -> None:
    index = front_matter("小模型", mteb2_results(published("gte-small-zh")))
    printed = means("max_accuracy", MTEB_CMN_V1)
    heading = ["Model", "Average (31)", *HEADING[4:]]
    assert check(index + table(heading, [["小模型", *printed.values()]])) == []
    (finding,) = check(index + table(heading, [["小模型", *{**printed, "sts": "40.00"}.values()]]))
    assert "40.00 is printed, the index gives 47.29" in finding.message


def one(metrics: Mapping[str, Any], **data: Any) -> dict[str, Any]:
    known = {
        "type": "C-MTEB/AFQMC",
        "name": "MTEB AFQMC",
        "config": "default",
        "split": "validation",
        "revision": commit(1),
    }
    return result("STS", {**known, **data}, metrics)


@pytest.mark.parametrize(
    ("metric", "value", "message"),
    [
        ("cos_sim_spearman", 101.5, "cos_sim_spearman is 101.5, beyond 100 percent"),
        ("cos_sim_spearman", float("nan"), "is .nan, which is no figure"),
        ("accuracy", float("inf"), "is .inf, which is no figure"),
        ("accuracy", "很好", "accuracy is 很好, which is no figure"),
        ("accuracy", None, "accuracy is empty, which is no figure"),
        ("ndcg_at_10", -3.5, "ndcg_at_10 is -3.5, below 0"),
    ],
)
def test_values_that_cannot_be(check: Check, metric: str, value: Any, message: str) -> None:
    (finding,) = check(front_matter("小模型", [one({metric: value, "cos_sim_pearson": 40.5})]))
    assert (finding.rule, finding.where) == ("value", "model-index, 小模型, AFQMC")
    assert message in finding.message


def test_correlations_may_be_negative_and_speeds_large(check: Check) -> None:
    assert check(front_matter("小模型", [one({"cos_sim_spearman": -3.5, "texts_per_second": 4000})])) == []


def test_a_result_without_metrics(check: Check) -> None:
    assert "no metric" in check(front_matter("小模型", [one({})]))[0].message


@pytest.mark.parametrize("revision", [None, "None", "main", ""])
def test_revisions_that_pin_nothing(check: Check, revision: str | None) -> None:
    (finding,) = check(front_matter("小模型", [one({"cos_sim_spearman": 40.5}, revision=revision)]))
    assert finding.rule == "revision"
    assert "1 of 1 results name no commit of their data (AFQMC)" in finding.message


def test_keys_without_a_value_are_as_good_as_missing(check: Check) -> None:
    index = "---\nmodel-index:\n- name: null\n  results:\n  - {task: ~, dataset: null, metrics: }\n---\n"
    assert rules(check(index)) == ["value", "revision"]
    assert check("---\nmodel-index: null\n---\n") == []


def test_two_measures_of_one_set_are_two_results(check: Check) -> None:
    first, second = one({"cos_sim_spearman": 40.5}), one({"accuracy": 40.5})
    second["task"]["type"] = "triplet"
    assert check(front_matter("小模型", [first, second])) == []


def test_a_revision_of_digits_alone_is_a_commit(check: Check) -> None:
    assert (
        check(front_matter("小模型", [one({"cos_sim_spearman": 40.5})]).replace(f"'{commit(1)}'", "1" * 40))
        == []
    )


def test_revisions_and_results_that_are_there_twice(check: Check) -> None:
    metrics = {"cos_sim_spearman": 40.5}
    copied = [one(metrics), one(metrics, type="C-MTEB/BQ", name="MTEB BQ")]
    (finding,) = check(front_matter("小模型", copied))
    assert finding.rule == "revision"
    assert "C-MTEB/AFQMC, C-MTEB/BQ have one revision" in finding.message
    twice = [one(metrics), one(metrics, revision=commit(2))]
    (finding,) = check(front_matter("小模型", twice))
    assert finding.rule == "repeat"
    for text in ("2 times", commit(1)[:12], commit(2)[:12]):
        assert text in finding.message
    parts = [one(metrics, config=part, name=f"MTEB STS22 ({part})") for part in ("zh", "en")]
    assert check(front_matter("小模型", parts)) == []


@pytest.mark.parametrize("text", ["102.35", "NaN"])
def test_averages_that_cannot_be_are_found_in_any_row(check: Check, text: str) -> None:
    index = front_matter("小模型", [one({"cos_sim_spearman": 40.5})])
    (finding,) = check(index + table(["Model", "Average", "STS"], [["另一个", text, 50]]))
    assert (finding.rule, finding.where) == ("value", "table, 另一个")
    assert finding.line == len(index.splitlines()) + 4


# Input that cannot be used.


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# 模型\n", "begins with no front matter"),
        ("", "begins with no front matter"),
        ("---\nlicense: mit\na: b: c\n---\n", "the front matter is no YAML (line 3: mapping values"),
        ("---\n- a\n---\n", "the front matter is ['a'], not keys with values"),
        ("---\nmodel-index: 很好\n---\n", "model-index is '很好', not a list"),
        ("---\nmodel-index: [很好]\n---\n", "model-index[0] is '很好', not keys with values"),
        ("---\nmodel-index:\n- results: {a: 1}\n---\n", "model-index[0].results is {'a': '1'}, not a list"),
        (
            "---\nmodel-index:\n- results:\n  - dataset: [1]\n---\n",
            "model-index[0].results[0].dataset is ['1']",
        ),
        (
            "---\nmodel-index:\n- results:\n  - metrics:\n    - {type: f1, value: [1]}\n---\n",
            "model-index[0].results[0].metrics[0].value is ['1'], not one value",
        ),
        ("---\n" + "a: " + "[" * 3000 + "\n---\n", "the front matter is no YAML"),
    ],
)
def test_a_card_that_cannot_be_read_is_refused_by_its_key(check: Check, text: str, message: str) -> None:
    with pytest.raises(InputError) as refusal:
        check(text)
    assert message in str(refusal.value)
    assert "README.md" in str(refusal.value)


def test_files_that_are_missing_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"README\.md: no such file"):
        lint(tmp_path)
    (tmp_path / "卡.md").write_bytes(b"---\n\xff\xfe\n---\n")
    with pytest.raises(InputError, match="cannot be read as UTF-8"):
        lint(tmp_path / "卡.md")


def test_a_damaged_config_beside_the_card(check: Check) -> None:
    with pytest.raises(ModelError, match=r"config\.json: not JSON"):
        check("---\nlicense: mit\n---\n", {"config.json": "{"})


def test_line_ends_and_a_mark_of_byte_order_do_not_matter(check: Check) -> None:
    text = "\ufeff" + seed("Dmeta-embedding").replace("\n", "\r\n")
    assert len(check(text)) == 1
