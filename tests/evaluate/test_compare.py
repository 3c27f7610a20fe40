"""Comparisons of columns: differences on shared tasks, intervals where there are examples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from yuyi.errors import InputError
from yuyi.evaluate.comparing.bootstrap import SEED, draw, mean_difference, score_of
from yuyi.evaluate.comparing.columns import columns, published_column
from yuyi.evaluate.comparing.compare import compare, open_columns
from yuyi.evaluate.comparing.examples import Examples, examples_path, write_examples
from yuyi.evaluate.results import Setting, find_results, read_results, write_result
from yuyi.evaluate.showing.differences import verdict, verdict_in_chinese
from yuyi.evaluate.suites import find_suite

from .made import made, made_of

if TYPE_CHECKING:
    from pathlib import Path

TASKS = {"AFQMC": "STS", "文本": "STS", "retrieval_docs_zh": "Retrieval", "Waimai": "Classification"}


def _examples(task: str, model: str, better: float = 0.0, count: int = 80) -> Examples:
    """The same pairs or queries for every model, with scores that are a little higher for a better one."""
    random = np.random.default_rng([len(task), len(model)])
    truth = np.random.default_rng(len(task)).integers(0, 6, count).astype(float)
    if TASKS[task] == "STS":
        values = truth + random.normal(scale=3 - better, size=count)
        return Examples("spearman", "cosine_spearman", values, truth, "pairs")
    metric = {"Retrieval": "ndcg_at_10", "Classification": "accuracy"}[TASKS[task]]
    return Examples("mean", metric, random.random(count) + better / 5, np.empty(0), "rows")


def _write(
    folder: Path, model: str, better: float = 0.0, *, without: str = "", setting: Setting | None = None
) -> Path:
    """A folder of results of a model, with examples of every task but one."""
    for task, kind in TASKS.items():
        examples = _examples(task, model, better)
        result = made(task, score_of(examples), kind, model=model, setting=setting or Setting(256))
        path = write_result(folder, result)
        if task != without:
            write_examples(examples_path(path), examples)
    return folder


def test_differences_are_those_of_the_bootstrap(tmp_path: Path) -> None:
    _write(tmp_path / "a", "a")
    _write(tmp_path / "b", "bb", 2.0)
    [found] = compare(open_columns([tmp_path / "a", tmp_path / "b"]))
    assert (found.first.name, found.other.name) == ("a", "bb")
    assert [change.name for change in found.tasks] == ["Waimai", "retrieval_docs_zh", "AFQMC", "文本"]
    for place, change in enumerate(found.tasks):
        sides = _examples(change.name, "bb", 2.0), _examples(change.name, "a")
        assert change.interval == mean_difference([draw(*sides, seed=(SEED, place))])
        assert change.value == pytest.approx(100 * change.interval.difference)
    assert [change.name for change in found.types] == ["STS"]
    assert found.overall.tasks == 4
    assert found.overall.interval
    assert found.overall.interval.real
    assert found.overall.interval.n == 320


def test_a_task_without_examples_has_no_interval_nor_has_its_mean(tmp_path: Path) -> None:
    _write(tmp_path / "a", "a")
    _write(tmp_path / "b", "bb", without="文本")
    [found] = compare(open_columns([tmp_path / "a", tmp_path / "b"]))
    told = {
        change.name: change.interval is not None for change in (*found.tasks, *found.types, found.overall)
    }
    assert told == {
        "Waimai": True,
        "retrieval_docs_zh": True,
        "AFQMC": True,
        "文本": False,
        "STS": False,
        "all tasks": False,
    }
    assert "–: no examples beside the result" in verdict(found)
    assert "–：成绩旁没有逐例结果" in verdict_in_chinese(found)
    _write(tmp_path / "b", "bb")
    [found] = compare(open_columns([tmp_path / "a", tmp_path / "b"]))
    assert "–" not in verdict(found) + verdict_in_chinese(found)


def test_examples_of_another_metric_say_so(tmp_path: Path) -> None:
    for model in ("a", "bb"):
        metrics = {"cosine_ap": 0.7}
        result = made("Ocnli", 0.6, "PairClassification", metric="max_accuracy", model=model, metrics=metrics)
        values, truth = np.random.default_rng(len(model)).random(30), np.arange(30) % 2.0
        examples = Examples("average_precision", "cosine_ap", values, truth, "pairs")
        write_examples(examples_path(write_result(tmp_path, result)), examples)
    [found] = compare(open_columns([tmp_path]))
    [change] = found.tasks
    assert (change.metric, change.by) == ("max_accuracy", "cosine_ap")
    assert change.interval
    assert found.overall.interval is None


def test_every_setting_is_compared_with_the_first(tmp_path: Path) -> None:
    for dim in (64, 256, 128):
        _write(tmp_path, "a", dim / 256, setting=Setting(dim))
    found = compare(open_columns([tmp_path]))
    assert [(each.first.name, each.other.name) for each in found] == [
        ("256 dim", "128 dim"),
        ("256 dim", "64 dim"),
    ]
    assert found[0].overall.value < 0
    assert found[1].overall.value < found[0].overall.value


def test_only_shared_tasks_are_compared() -> None:
    results = [made("AFQMC", 0.5, model="a"), made("BQ", 0.1, model="a"), made("AFQMC", 0.6, model="b")]
    [found] = compare(columns(results))
    assert [change.name for change in found.tasks] == ["AFQMC"]
    assert found.overall.value == pytest.approx(10)


def test_against_published_figures() -> None:
    pinned = next(task for task in find_suite("C-MTEB (35)").tasks if task.name == "STSB").revision
    results = [
        made("STSB", 0.80, data=pinned, model="mine"),
        made("AFQMC", 0.30, data="0123", model="mine"),
        made("STSB_zh_test", 0.9, model="mine"),
    ]
    [found] = compare([*columns(results), published_column("gte-small-zh")])
    assert found.first.source
    assert [(change.name, change.pinned) for change in found.tasks] == [("AFQMC", False), ("STSB", True)]
    assert found.tasks[1].value == pytest.approx(80 - 76.5142)
    assert found.tasks[1].interval is None


def test_only_the_published_part_is_as_the_suite_pins() -> None:
    zh, en, sentiment, both = (
        next(task for task in find_suite(suite).tasks if task.name == name)
        for suite, name in (
            ("C-MTEB (35)", "STS22"),
            ("MTEB(eng, v1)", "STS22"),
            ("C-MTEB (35)", "MultilingualSentiment"),
            ("MTEB(cmn, v1)", "MultilingualSentiment"),
        )
    )
    published = published_column("gte-small-zh")
    own = [made_of(zh, part="zh"), made_of(en, part="en"), made_of(sentiment)]
    [found] = compare([*columns(own), published])
    assert {change.name: change.pinned for change in found.tasks} == {
        "STS22 (zh)": True,
        "MultilingualSentiment": True,
    }
    [found] = compare([*columns([made_of(both), made_of(en)]), published])
    assert {change.name: change.pinned for change in found.tasks} == {
        "STS22": False,
        "MultilingualSentiment": False,
    }


def test_published_averages_alone_are_for_the_table() -> None:
    sides = [*columns([made("STSB")]), published_column("bge-small-zh-v1.5")]
    assert compare(sides) == []


def test_nothing_to_compare() -> None:
    with pytest.raises(InputError, match=r"gte-small-zh: one model under one setting.*--against"):
        compare(columns([made()]))
    with pytest.raises(InputError, match=r"a \(AFQMC\) and b \(BQ\) share no task"):
        compare(columns([made("AFQMC", model="a"), made("BQ", model="b")]))
    with pytest.raises(InputError, match=r"published.*STSB_zh_test.*tasks\.yaml"):
        compare([*columns([made("STSB_zh_test")]), published_column("gte-small-zh")])


def test_examples_of_other_data_are_refused(tmp_path: Path) -> None:
    _write(tmp_path / "a", "a")
    _write(tmp_path / "b", "bb")
    path = next(path for path in find_results(tmp_path / "b") if path.stem == "AFQMC")
    write_examples(examples_path(path), _examples("AFQMC", "bb", count=79))
    with pytest.raises(InputError, match=r"AFQMC: the pairs of both sides are not the same \(79 and 80"):
        compare(open_columns([tmp_path / "a", tmp_path / "b"]))
    write_examples(examples_path(path), _examples("AFQMC", "bb", 1.0))
    with pytest.raises(InputError, match=r"AFQMC: scores differ by .* examples are of another run"):
        compare(open_columns([tmp_path / "a", tmp_path / "b"]))
    examples_path(path).write_bytes(b"PK")
    with pytest.raises(InputError, match=r"AFQMC\.examples\.npz: not the examples of a result"):
        compare(open_columns([tmp_path / "a", tmp_path / "b"]))


def test_results_and_where_they_lie(tmp_path: Path) -> None:
    _write(tmp_path, "a")
    found = find_results(tmp_path)
    assert list(found.values()) == read_results(tmp_path)
    assert {path.stem for path in found} == set(TASKS)
