"""tasks.yaml: what it may say, and how it says no."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from yuyi.errors import InputError, RecipeError
from yuyi.evaluate.tasks.kinds import KINDS
from yuyi.evaluate.tasks.local import local_tasks
from yuyi.evaluate.tasks.manifest import JudgedFiles, LocalTask, Manifest, read_manifest

from .sets import write

if TYPE_CHECKING:
    from pathlib import Path

TASK = {"name": "shop", "type": "PairClassification", "files": "pairs.jsonl"}
JUDGED = {"queries": "q.jsonl", "corpus": "c.jsonl", "qrels": "r.jsonl"}


def manifest(folder: Path, *tasks: Any, **more: Any) -> Path:
    path = folder / "tasks.yaml"
    path.write_text(yaml.safe_dump({"tasks": list(tasks), **more}, allow_unicode=True), "utf-8")
    return path


def lines(path: Path, *rows: dict[str, Any]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")


def test_a_task_as_its_manifest_says(tmp_path: Path) -> None:
    lines(
        tmp_path / "pairs.jsonl",
        {"问题": "怎么退货", "另一个": "退货流程", "相同": "是"},
        {"问题": "怎么退货", "另一个": "几点开门", "相同": "否"},
    )
    columns = {"sentence1": "问题", "sentence2": "另一个", "label": "相同"}
    more = {"labels": {"是": 1, "否": 0}, "languages": ["zh"], "sources": ["客服问答"], "metric": "max_f1"}
    manifest(tmp_path, {**TASK, "columns": columns, **more})
    [task] = local_tasks(tmp_path)
    assert (task.name, task.type, task.rows, task.metric) == ("shop", "PairClassification", 2, "max_f1")
    assert (task.languages, task.sources) == ({"default": ("zho-Hans",)}, ("客服问答",))
    assert task.open().dataset["test"][:] == {
        "sentence1": ["怎么退货", "怎么退货"],
        "sentence2": ["退货流程", "几点开门"],
        "label": [1, 0],
    }
    assert local_tasks(tmp_path / "tasks.yaml", ["shop"])[0].data == task.data


def test_what_the_manifest_does_not_name_is_left_alone(tmp_path: Path) -> None:
    write(tmp_path / "named.parquet", [{"sentence1": "a", "sentence2": "b", "score": 1.0}])
    (tmp_path / "other.parquet").write_text("no Parquet at all")
    manifest(tmp_path, {"name": "one", "type": "STS", "files": "named.parquet"})
    assert [task.name for task in local_tasks(tmp_path)] == ["one"]


def test_what_scores_depend_on_names_the_data(tmp_path: Path) -> None:
    lines(tmp_path / "pairs.jsonl", {"sentence1": "a", "sentence2": "b", "label": 1})

    def data(**more: Any) -> str:
        manifest(tmp_path, {**TASK, **more})
        return local_tasks(tmp_path)[0].data

    plain = data()
    assert data(sources=["x"], languages=["en"], name="y", metric="max_ap") == plain
    assert len({plain, data(labels={"1": 0}), data(labels={1: 0})}) == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"typ": "STS"}, "tasks.0.typ: no such key. Choose from name, type"),
        ({"type": "Sts"}, "tasks.0.type: Input should be 'STS', 'PairClassification', .*it is 'Sts'"),
        ({"name": "a/b"}, "task a/b: a result is a file of this name"),
        ({"name": ""}, "task : a result is a file of this name"),
        ({"files": JUDGED}, "task shop: files: PairClassification has one file"),
        ({"type": "Retrieval"}, "task shop: files: Retrieval has several. Write files: {queries: FILE"),
        ({"type": "Reranking", "files": JUDGED}, "Reranking needs top_ranked"),
        ({"type": "Retrieval", "files": {**JUDGED, "top_ranked": "t"}}, "top_ranked belongs to Reranking"),
        ({"type": "Retrieval", "files": JUDGED, "splits": ["a", "b"]}, "several files are one split"),
        ({"columns": {"text": "t"}}, "columns: PairClassification has no column text. It has sentence1"),
        ({"train": "t.jsonl"}, "train: PairClassification learns from no rows"),
        ({"labels": {"yes": 2}}, "labels"),
        (
            {"labels": {True: 1, False: 0}},
            "YAML takes yes, no, on, off for true or false. Put them in quotes",
        ),
        ({"type": "STS", "labels": {"a": 1}}, "labels: these are for PairClassification; STS takes any"),
        ({"all_rows": True}, "all_rows: PairClassification fits no classifier. Leave it out"),
        ({"metric": "cosine_app"}, "PairClassification has no cosine_app. Choose one of cosine_ap"),
        ({"languages": ["chinese"]}, "languages: chinese is not known. Write zh, en"),
        ({"languages": "zh"}, "'zh' is no list. Write a list"),
        ({"type": "Classification", "n_experiments": 0}, "at least 1 is needed"),
        ({"files": ["a.jsonl"]}, "files.* is not keys with values"),
        ({"files": {"queris": "q"}}, "files.*: missing. Add this key"),
        ({"files": {**JUDGED, "queris": "q"}}, "files.*queris: no such key"),
    ],
)
def test_settings_that_cannot_be(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = manifest(tmp_path, {**TASK, **change})
    with pytest.raises(RecipeError, match=f"{path}: .*{message}") as error:
        read_manifest(path)
    assert "\n" not in str(error.value)


def test_manifests_that_say_nothing(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="names no task"):
        read_manifest(manifest(tmp_path))
    with pytest.raises(RecipeError, match="two tasks have the name shop"):
        read_manifest(manifest(tmp_path, TASK, TASK))
    with pytest.raises(RecipeError, match=r"nowhere\.yaml: no such file"):
        local_tasks(tmp_path / "nowhere.yaml")
    (tmp_path / "tasks.yaml").write_text("tasks: [")
    with pytest.raises(RecipeError, match=r"tasks\.yaml: cannot be read as YAML"):
        local_tasks(tmp_path)


def test_missing_files_are_named(tmp_path: Path) -> None:
    manifest(tmp_path, TASK)
    with pytest.raises(InputError, match=r"pairs\.jsonl: no such file, but task shop needs it"):
        local_tasks(tmp_path)


WORDS = st.text("abc中文语义", min_size=1, max_size=6)
SINGLE = st.sampled_from([kind for kind in KINDS.values() if kind.columns])


@st.composite
def tasks(draw: st.DrawFn) -> LocalTask:
    kind = draw(SINGLE)
    several = kind.name == "Reranking" and draw(st.booleans())
    columns = {} if several else draw(st.dictionaries(st.sampled_from([*kind.columns, "split"]), WORDS))
    labels = st.dictionaries(WORDS | st.integers(), st.sampled_from([0, 1]))
    return LocalTask(
        name=draw(WORDS),
        type=kind.name,
        files=JudgedFiles(**dict.fromkeys(kind.parts, "f")) if several else draw(WORDS),
        train=draw(WORDS) if kind.name == "Classification" else "",
        columns=columns,
        labels=draw(labels) if kind.name == "PairClassification" else {},
        splits=tuple(draw(st.lists(WORDS, max_size=1))),
        metric=draw(st.sampled_from(["", *kind.metrics])),
        languages=tuple(draw(st.lists(st.sampled_from(["zh", "en", "deu-Latn"])))),
        sources=tuple(draw(st.lists(WORDS))),
    )


@given(st.lists(tasks(), min_size=1, max_size=3, unique_by=lambda task: task.name))
def test_a_manifest_comes_back_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, found: list[LocalTask]
) -> None:
    path = tmp_path_factory.mktemp("manifest") / "tasks.yaml"
    written = json.loads(json.dumps(asdict(Manifest(tasks=tuple(found))), ensure_ascii=False))
    for record, task in zip(written["tasks"], found, strict=True):
        record["labels"] = task.labels  # JSON makes texts of numbers.
    path.write_text(yaml.safe_dump(written, allow_unicode=True), "utf-8")
    assert read_manifest(path) == tuple(found)
