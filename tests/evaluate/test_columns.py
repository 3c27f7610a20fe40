"""Columns of results: one for each model and setting, named by what sets it apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from yuyi.errors import InputError
from yuyi.evaluate.comparing.columns import columns, published_column
from yuyi.evaluate.results import Judged, Setting
from yuyi.evaluate.suites import find_suite

from .made import made, made_of

SIX = [
    Setting(1792, "float16", 512),
    Setting(1792, "float32", 1024),
    Setting(1792, "float32", 512),
    Setting(1024, "float16", 512),
    Setting(512, "float32", 512),
    Setting(256, "float32", 512),
]


def test_one_column_bears_the_name_of_the_model() -> None:
    [column] = columns([made("AFQMC"), made("BQ")])
    assert column.label == {"model": "gte-small-zh"}
    assert list(column.results) == ["AFQMC", "BQ"]


def test_settings_are_told_by_what_differs() -> None:
    found = columns([made(setting=setting) for setting in reversed(SIX)])
    assert [column.name for column in found] == [
        "1792 dim · float16 · 512 tokens",
        "1792 dim · float32 · 1,024 tokens",
        "1792 dim · float32 · 512 tokens",
        "1024 dim · float16 · 512 tokens",
        "512 dim · float32 · 512 tokens",
        "256 dim · float32 · 512 tokens",
    ]
    assert [column.name for column in columns([made(setting=Setting(dim)) for dim in (64, 256)])] == [
        "256 dim",
        "64 dim",
    ]


def test_models_that_differ_in_everything_are_told_by_their_names() -> None:
    found = columns(
        [
            made(model="b", setting=Setting(256, "int8", None, pooling="mean", backend="static")),
            made(model="a", setting=Setting(512, "float32", 512, pooling="cls", backend="torch")),
        ]
    )
    assert [column.name for column in found] == ["b", "a"]


def test_models_of_one_name_are_told_by_their_fingerprints() -> None:
    found = columns([made(model=Judged("zh", print_ * 3, 512)) for print_ in ("abc123", "def456")])
    assert [column.label for column in found] == [{"fingerprint": "abc123"}, {"fingerprint": "def456"}]


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"prompts": {"query": "为这个句子生成表示：", "document": ""}}, "“query: 为这个句子生成表示：”"),
        ({"overflow": "pool"}, "pool"),
        ({"pooling": "cls"}, "cls"),
        ({"device": "cuda"}, "cuda"),
        ({"normalize": False}, "raw"),
        ({"max_length": None}, "any tokens"),
    ],
)
def test_every_setting_sets_apart(change: dict[str, object], name: str) -> None:
    usual: dict[str, object] = {"max_length": 512, "pooling": "mean", "device": "cpu"}
    found = columns([made(setting=Setting(512, **values)) for values in (usual, {**usual, **change})])  # type: ignore[arg-type]
    assert len(found) == 2
    assert name in {column.name for column in found}


def test_the_newest_result_of_a_task_counts() -> None:
    old, new = (
        made(score=score, made=f"2026-01-0{day}T00:00:00+00:00") for score, day in ((0.9, 1), (0.2, 2))
    )
    for results in ([old, new], [new, old]):
        [column] = columns(results, [Path("a.json"), Path("b.json")])
        assert column.scores["AFQMC"]["cosine_spearman"] == pytest.approx(20)
        assert column.files["AFQMC"] == Path("ab"[results.index(new)] + ".json")


def test_scores_are_means_over_parts_and_leave_out_what_is_no_number() -> None:
    parts = {
        "test": {"zh": {"cosine_spearman": 0.4, "cosine_pearson": 0.2, "draws": [1, 2], "only": 1.0}},
        "dev": {"zh": {"cosine_spearman": 0.6, "cosine_pearson": 0.4, "draws": [1]}},
    }
    [column] = columns([made(score=0.5, scores=parts)])
    assert column.scores["AFQMC"] == pytest.approx({"cosine_spearman": 50, "cosine_pearson": 30})


def test_other_data_are_refused() -> None:
    with pytest.raises(InputError, match="AFQMC: a was judged on the data 111, and b on 222"):
        columns([made(model="a", data="111"), made(model="b", data="222")])
    with pytest.raises(InputError, match="no results"):
        columns([])
    other = {split: {"default": {"cosine_spearman": 0.5}} for split in ("dev", "test")}
    with pytest.raises(InputError, match="AFQMC: a was judged on the data test, and b on dev and test"):
        columns([made(model="a"), made(model="b", scores=other)])


def test_parts_of_the_data_are_tasks_of_their_own() -> None:
    [zh, en] = [
        made_of(task, score, part=task.subset)
        for score, name in ((0.4, "C-MTEB (35)"), (0.6, "MTEB(eng, v1)"))
        for task in find_suite(name).tasks
        if task.name == "STS22"
    ]
    for results in ([zh, en], [en, zh]):
        [column] = columns(results)
        assert {name: column.scores[name]["cosine_spearman"] for name in column.results} == pytest.approx(
            {"STS22 (zh)": 40, "STS22 (en)": 60}
        )


def test_published_figures() -> None:
    found = published_column("thenlper/GTE-small-zh")
    assert found.name == "gte-small-zh · published"
    assert found.scores["STSB"] == {"cosine_spearman": 76.5142}
    assert "model-index" in found.source
    assert found.scores["STS22 (zh)"] == found.scores["STS22"]
    assert "STS22 (en)" not in found.scores
    assert published_column("acge_text_embedding").source.endswith("(A100, float16, 512 tokens)")
    printed = published_column("bge-small-zh-v1.5")
    assert not printed.scores
    assert printed.printed["C-MTEB (35)"]["average"] > 50
    for name in ("nobody", "m3e-small"):
        with pytest.raises(InputError, match=f"{name}: no published figures are known.*gte-small-zh"):
            published_column(name)
