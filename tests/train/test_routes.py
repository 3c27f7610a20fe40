from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from train.small_tasks import NAN, column, source, with_negatives
from yuyi.data.pairs import Rules
from yuyi.errors import InputError, RecipeError
from yuyi.records import read_batches
from yuyi.train.config import Course, Stage, Task
from yuyi.train.reading.sources import EMPTY_KEY, Column, Source
from yuyi.train.routes import DEFAULTS, KINDS, check, fits, is_labelled, made_tasks, routed, task_kind
from yuyi.types import TokenBatch

if TYPE_CHECKING:
    from pathlib import Path

SIZES = {
    "qa": 4,
    "path_section": 9,
    "parallel": 16,
    "nli": 25,
    "sts": 4,
    "paraphrase": 4,
    "classification": 4,
}
LABELS = {"nli": [2.0, 0.0], "sts": [4.5, 1.0], "paraphrase": [1.0, 0.0], "classification": [3.0, 5.0]}


def made(kind: str, rows: int, name: str = "") -> Source:
    labels = np.resize(LABELS.get(kind, [NAN]), rows).tolist()
    return source(kind, labels, list(range(rows)), list(range(rows, 2 * rows)), name or f"{kind}s")


SOURCES = [made(kind, rows) for kind, rows in SIZES.items()]
ROUTED = {
    "retrieval": {"qa", "path_section"},
    "parallel": {"parallel"},
    "nli": {"nli"},
    "sts": {"sts"},
    "pair": {"paraphrase"},
    "classification": {"classification"},
}


def test_every_rule_that_makes_pairs_has_a_route() -> None:
    assert {field.name for field in fields(Rules)} <= KINDS.keys()
    assert set(KINDS.values()) == DEFAULTS.keys()


def test_a_stage_without_tasks_gets_them_from_the_data() -> None:
    course = routed(Course(dims={6: 1.0}, stages=(Stage(name="s", steps=1),)), SOURCES)
    (stage,) = course.stages
    by_kinds = {frozenset(task.kinds): task for task in stage.tasks}
    assert by_kinds.keys() == {frozenset(kinds) for kinds in ROUTED.values()}
    for kind, kinds in ROUTED.items():
        task, default = by_kinds[frozenset(kinds)], DEFAULTS[kind]  # type: ignore[index]
        assert replace(task, share=1.0, kinds=(), sources=()) == default
        assert task.share == pytest.approx(sum(SIZES[each] ** 0.5 for each in kinds))
    # piccolo2's weights, as published.
    weights = {task.objective: task.weight for task in stage.tasks}
    assert weights == {"contrast": 1.0, "judged": 0.04, "labels": 0.2}
    assert {task.temperature for task in stage.tasks} == {0.05}


def test_each_source_goes_to_one_task() -> None:
    tasks = made_tasks(SOURCES, {}, {}, 0.5)
    for each in SOURCES:
        assert [fits(task, each) for task in tasks].count(True) == 1


def test_routes_are_replaced_and_left_out() -> None:
    own = Task(objective="judged", batch=7, share=2.0)
    routes = {"sts": own, "nli": None, "clustering": own}
    tasks = made_tasks(SOURCES, routes, {}, 0.5)  # type: ignore[arg-type]
    assert not any("nli" in task.kinds for task in tasks)
    (sts,) = [task for task in tasks if task.kinds == ("sts",)]
    assert sts == replace(own, share=2.0 * 4**0.5, kinds=("sts",), sources=("stss",))


def test_prompts_of_the_model_go_where_they_belong() -> None:
    prompts = {"query": "查询：", "passage": "", "classification": "分类：", "default": ""}
    tasks = {task.kinds: task for task in made_tasks(SOURCES, {}, prompts, 0.5)}
    retrieval = tasks["path_section", "qa"]
    assert (retrieval.query_prompt, retrieval.document_prompt) == ("query", "passage")
    labels = tasks[("classification",)]
    assert (labels.query_prompt, labels.document_prompt) == ("classification", "classification")
    assert tasks[("parallel",)].query_prompt == tasks[("sts",)].document_prompt == ""


def test_kinds_that_nobody_knows_go_by_their_labels() -> None:
    assert task_kind(source("诗", [NAN] * 2, [0, 1], [2, 3])) == "retrieval"
    assert task_kind(source("诗", [1.0, 0.0], [0, 1], [2, 3])) == "pair"
    assert task_kind(source("paraphrase", [NAN] * 2, [0, 1], [2, 3])) == "parallel"
    assert task_kind(with_negatives([0, 1], [2, 3], [[4], [5]], scores=True)) == "distillation"


@pytest.mark.parametrize(
    ("objective", "fitting"),
    [
        ("contrast", {"qa", "title_body"}),
        ("judged", {"paraphrase", "sts", "relevance"}),
        ("labels", {"classification"}),
        ("align", {"teacher"}),
        ("distil", set()),
    ],
)
def test_which_sources_an_objective_draws_from(objective: str, fitting: set[str]) -> None:
    there = [
        *(source(kind, [NAN, NAN], [0, 1], [2, 3]) for kind in ("qa", "title_body", "teacher")),
        *(
            source(kind, [0, 1], [0, 1], [2, 3])
            for kind in ("paraphrase", "sts", "relevance", "classification")
        ),
    ]
    task = Task(objective=objective)  # type: ignore[arg-type]
    assert {one.kind for one in there if fits(task, one)} == fitting
    only = Task(objective=objective, kinds=("qa", "sts"))  # type: ignore[arg-type]
    assert {one.kind for one in there if fits(only, one)} == fitting & {"qa", "sts"}
    named = Task(objective=objective, sources=("other",))  # type: ignore[arg-type]
    assert not any(fits(named, one) for one in there)


def test_judged_rows_are_contrasted_only_where_they_are_named() -> None:
    judged = source("relevance", [2.0, 0.0, 1.0], [0, 0, 0], [1, 2, 3])
    assert not fits(Task(objective="contrast"), judged)
    assert fits(Task(objective="contrast", kinds=("relevance",)), judged)
    assert not fits(Task(objective="contrast", kinds=("sts",)), made("sts", 4))


@pytest.mark.parametrize(
    ("kind", "labels", "message"),
    [
        ("nli", [0, 3], r"source made: row 1 \(nli\): label 3 is unknown; there are 0 \(contradiction\), 1 "),
        ("paraphrase", [0, 0.5], r"label 0\.5 is unknown; there are 0 \(different\), 1 \(same\)\. Mend"),
        ("relevance", [2, 1.5], r"label 1\.5 is unknown; there are whole numbers"),
        ("classification", [2, float("inf")], r"label inf is unknown; there are whole numbers"),
        ("sts", [4.5, -1], r"label -1 is unknown; there are numbers from 0 up"),
        ("nli", [NAN, NAN], r"source made \(nli\): rows of this kind need labels, and have none"),
        ("qa", [1, NAN], r"source made \(qa\): 1 of 2 rows have no label, and the others have one"),
        (
            "title_body",
            [1, 1],
            r"source made \(title_body\): label 1 in row 0, where every row is a positive",
        ),
        ("parallel", [0, 1], "where every row is a positive pair"),
        ("paraphrase", [0, 0], "every label is 0, so no row is a positive one"),
    ],
)
def test_labels_that_make_no_sense(kind: str, labels: list[float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        check(source(kind, labels, [0, 1], [2, 3]))


def test_rows_without_a_second_text() -> None:
    nothing = TokenBatch(np.zeros(0, dtype=np.int32), np.zeros(3, dtype=np.int64))
    empty = Column(nothing, np.array([EMPTY_KEY] * 2))
    with pytest.raises(
        InputError, match=r"source a \(qa\): 2 of 2 rows have no text_b, the first is source a: row 0"
    ):
        check(Source.of("a", "qa", column([0, 1]), empty))
    check(Source.of("a", "classification", column([0, 1]), empty, np.array([0, 1], dtype=np.float32)))


@given(kind=st.sampled_from(sorted(KINDS)), labels=st.lists(st.sampled_from([NAN, 0.0, 1.0]), max_size=4))
def test_what_is_not_refused_has_one_route(kind: str, labels: list[float]) -> None:
    rows = list(range(len(labels)))
    made = source(kind, labels, rows, rows)
    try:
        check(made)
    except InputError:
        return
    if len(made):
        (task,) = made_tasks([made], {}, {}, 0.5)
        assert fits(task, made)
        assert is_labelled(made) or task.objective not in ("judged", "labels")


def test_nothing_to_draw_from_and_tasks_beside_routes() -> None:
    course = Course(dims={6: 1.0}, stages=(Stage(name="weak", steps=1),))
    with pytest.raises(RecipeError, match="stage weak: names no tasks, and there are no rows"):
        routed(course, [])
    own = Stage(name="weak", steps=1, tasks=(Task(objective="contrast"),), routes={"sts": None})
    with pytest.raises(RecipeError, match="stage weak: has tasks and routes"):
        routed(replace(course, stages=(own,)), SOURCES)
    kept = replace(own, routes={})
    assert routed(replace(course, stages=(kept,)), []).stages == (kept,)


@pytest.mark.shared
def test_the_shared_pairs_have_the_labels_of_their_kinds(shared_data: Path) -> None:
    for path in sorted((shared_data / "train" / "pairs").glob("*.parquet")):
        for batch in read_batches(path, ["kind", "label"]):
            (kind,) = batch.column("kind").unique().to_pylist()
            assert kind in KINDS
            labels = batch.column("label").to_numpy(zero_copy_only=False).astype(np.float32)
            zeros = column([0] * len(labels))
            check(Source.of(path.stem, kind, zeros, zeros, labels))
