"""Scores: equal to a direct computation and every time, refused where they mean nothing, never done twice."""

from __future__ import annotations

import gc
import json
import shutil
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import yuyi
from yuyi.errors import InputError, TaskError, YuyiWarning
from yuyi.evaluate import EvalTask, Result, Sweep, evaluate, local_tasks, settings
from yuyi.evaluate.offline import import_mteb
from yuyi.evaluate.results import read_results
from yuyi.evaluate.tasks.kinds import KINDS

from .bigrams import BigramEncoder
from .sets import THINGS, write

TINY = Path(__file__).parent.parent / "tiny"
MAIN = {
    "similar": "cosine_spearman",
    "same": "cosine_ap",
    "topic": "accuracy",
    "translated": "accuracy",
    "found": "ndcg_at_10",
}


def values(results: list[Result], dim: int | None = None) -> dict[str, float]:
    """Main score x 100 by task, at a dimension or whole."""
    return {
        result.task: 100 * result.main_score
        for result in results
        if result.setting.dim == (dim or result.model.dim)
    }


def tasks_of(folder: Path, *names: str) -> list[EvalTask]:
    wanted = names or tuple(MAIN)
    return sorted(local_tasks(folder, wanted), key=lambda task: wanted.index(task.name))


@pytest.fixture(scope="module")
def results(folder: Path) -> list[Result]:
    return evaluate(BigramEncoder(), tasks_of(folder), Sweep(dims=(32, 64)))


def test_every_task_is_scored_at_every_dimension(results: list[Result]) -> None:
    assert {(result.task, result.metric) for result in results} == set(MAIN.items())
    assert [(result.task, result.setting.dim) for result in results] == [
        (name, dim) for name in MAIN for dim in (64, 32)
    ]
    for result in results:
        assert (result.model.name, result.model.fingerprint, result.model.dim) == ("bigrams", "b16", 64)
        assert result.seed == 42
        assert set(result.versions) >= {"yuyi", "mteb", "numpy", "scikit-learn", "torch", "python"}
        assert result.scores["test"]["default"][result.metric] == result.main_score


def test_two_runs_agree(folder: Path, results: list[Result]) -> None:
    again = evaluate(BigramEncoder(), tasks_of(folder), Sweep(dims=(64, 32)))
    assert [replace(result, made="", seconds=0) for result in again] == [
        replace(result, made="", seconds=0) for result in results
    ]


def test_what_is_drawn_does_not_depend_on_the_settings_before(tmp_path: Path) -> None:
    """mteb's clustering draws anew each time that it is asked."""
    rows = [
        {"text": f"{number} {thing}", "label": str(len(thing) % 3)} for number in range(8) for thing in THINGS
    ]
    write(tmp_path / "clusters.parquet", rows)
    (task,) = local_tasks(tmp_path)
    both = evaluate(BigramEncoder(), [task], Sweep(dims=(64, 16)))
    alone = evaluate(BigramEncoder(), [task], Sweep(dims=(16,)))
    assert both[1].scores == alone[0].scores


def test_cut_vectors_are_those_of_a_smaller_model(folder: Path, results: list[Result]) -> None:
    class Halved(BigramEncoder):
        def _encode(self, inputs: Any) -> Any:
            self.dim = 64
            vectors = super()._encode(inputs)[:, :32]
            self.dim = 32
            return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    halved = values(evaluate(Halved(32), tasks_of(folder, "similar", "found")))
    for name, value in halved.items():
        assert value == pytest.approx(values(results, 32)[name], abs=0.01)


def test_texts_go_their_own_ways_and_once(folder: Path) -> None:
    encoder = BigramEncoder()
    evaluate(encoder, tasks_of(folder, "found"), Sweep(dims=(64, 32, 16)))
    assert sorted(encoder.calls) == [("document", 10), ("query", 10)]
    encoder = BigramEncoder()
    evaluate(encoder, tasks_of(folder, "similar"))
    assert encoder.calls == [("", len(THINGS))]


def test_the_last_bit_of_a_vector_moves_nothing(tmp_path: Path) -> None:
    class Letters(BigramEncoder):
        """Order-free, so many texts are equal but for the noise, which stands for another machine."""

        noise = np.random.default_rng(0)

        def _encode(self, inputs: Any) -> Any:
            vectors = super()._encode("".join(sorted(text)) for text in inputs)
            return (vectors * (1 + self.noise.uniform(-1e-7, 1e-7, vectors.shape))).astype(np.float32)

    rows = [
        {
            "sentence1": left,
            "sentence2": (right * 2)[cut : cut + len(right)],
            "score": float(left == right) + cut / 9,
        }
        for left in THINGS
        for right in THINGS
        for cut in range(4)
    ]
    write(tmp_path / "turned.parquet", rows)
    first, second = (
        evaluate(Letters(), tasks_of(tmp_path, "turned"))[0].scores["test"]["default"] for _ in range(2)
    )
    assert first["spearman"] == pytest.approx(second["spearman"], abs=1e-4)
    # The noise is felt where nothing ties.
    assert first["cosine_spearman"] != second["cosine_spearman"]


def test_progress_is_told_before_each_task(folder: Path) -> None:
    told: list[tuple[str, int, int]] = []
    evaluate(
        BigramEncoder(), tasks_of(folder, "similar", "translated"), on_task=lambda *where: told.append(where)
    )
    assert told == [("similar", 0, 2), ("translated", 1, 2)]


def test_settings_that_come_to_the_same_are_one(folder: Path) -> None:
    sweep = Sweep(max_lengths=(48, 16, 48), dims=(8, 8), device="cpu")
    found = evaluate(TINY / "bert-zh", tasks_of(folder, "similar"), sweep)
    assert [(one.setting.max_length, one.setting.dim) for one in found] == [(48, 8), (16, 8)]


def test_one_model_is_open_at_a_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[weakref.ref[Any]] = []

    def load(*given: Any, **options: Any) -> Any:
        gc.collect()
        assert [ref for ref in opened if ref() is not None] == []
        encoder = yuyi.load(*given, **options)
        opened.append(weakref.ref(encoder))
        return encoder

    monkeypatch.setattr(settings, "load", load)
    sweep = Sweep(dtypes=("float32", "bfloat16"), max_lengths=(8, 16), device="cpu")
    assert len(evaluate(TINY / "bert-zh", tasks_of(folder, "similar"), sweep)) == len(opened) == 4


@pytest.fixture(scope="module")
def mocks() -> list[EvalTask]:
    """mteb's tasks for tests, one of each type and those of many languages, as a suite would give them."""
    import_mteb()
    from mteb.mocks import MOCK_TASK_TEST_GRID

    texts = [task for task in MOCK_TASK_TEST_GRID if task.metadata.modalities == ["text"]]
    many = [task for task in texts if len(task.metadata.hf_subsets) > 1]
    first = {task.metadata.type: task for task in reversed(texts)}.values()
    chosen = {task.metadata.name: type(task) for task in (*first, *many)}.values()
    return [
        EvalTask(
            name=kind.metadata.name,
            type=kind.metadata.type,
            metric=kind.metadata.main_score,
            data=kind.metadata.revision,
            splits=kind.metadata.eval_splits,
            languages=kind.metadata.hf_subsets_to_langscripts,
            rows=0,
            sources=(),
            open=lambda kind=kind: _loaded(kind()),  # type: ignore[misc]
        )
        for kind in chosen
    ]


def _loaded(task: Any) -> Any:
    task.load_data()
    return task


@pytest.mark.filterwarnings("ignore")
def test_tasks_of_every_type_with_many_languages_are_scored_and_kept(
    mocks: list[EvalTask], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Some draw 16,384 rows of 3, ten times.
    monkeypatch.setattr(import_mteb().abstasks.AbsTaskClustering, "max_documents_per_cluster", 256)
    assert {task.type for task in mocks} >= set(KINDS)
    assert sum(len(task.languages) > 1 for task in mocks) > 5
    found = evaluate(BigramEncoder(8), mocks, results=tmp_path)
    for task, result in zip(mocks, found, strict=True):
        parts = [metrics for subsets in result.scores.values() for metrics in subsets.values()]
        assert len(parts) == len(task.splits) * len(task.languages)
        assert result.main_score == pytest.approx(np.mean([metrics[task.metric] for metrics in parts]))
    encoder = BigramEncoder(8)
    assert evaluate(encoder, mocks, results=tmp_path) == found
    assert encoder.calls == []


@pytest.mark.filterwarnings("ignore")
def test_subsets_that_are_not_asked_for_are_left_out(mocks: list[EvalTask]) -> None:
    (task,) = (task for task in mocks if task.name == "MockMultilingualSTSTask")
    assert len(task.languages) > 1
    name, languages = next(iter(task.languages.items()))
    encoder = BigramEncoder()
    (one,) = evaluate(encoder, [replace(task, languages={name: languages})])
    assert list(one.scores["test"]) == [name]
    with pytest.raises(TaskError, match=r"MockMultilingualSTSTask: no subset of it is among xyz"):
        evaluate(encoder, [replace(task, languages={"xyz": ("xyz-Latn",)})])
    with pytest.raises(TaskError, match=r"ndcg_at_10 has no value at dimension 64"):
        evaluate(encoder, [replace(task, metric="ndcg_at_10")])


def test_a_finished_result_takes_the_sources_that_its_task_has_now(folder: Path, tmp_path: Path) -> None:
    (task,) = tasks_of(folder, "similar")
    (before,) = evaluate(BigramEncoder(), [task], results=tmp_path)
    encoder = BigramEncoder()
    (after,) = evaluate(encoder, [replace(task, sources=("mine",))], results=tmp_path)
    assert encoder.calls == []
    assert (after, read_results(tmp_path)) == (replace(before, sources=("mine",)), [after])


# What is refused.


def test_impossible_dimensions_and_names_are_refused_before_the_work(folder: Path) -> None:
    encoder = BigramEncoder()
    with pytest.raises(InputError, match="dimension 65: the model gives 64"):
        evaluate(encoder, tasks_of(folder), Sweep(dims=(64, 65)))
    with pytest.raises(InputError, match="similar: two tasks have this name"):
        evaluate(encoder, tasks_of(folder, "similar") * 2)
    with pytest.raises(InputError, match="No tasks"):
        evaluate(encoder, [])
    assert encoder.calls == []


class Broken(BigramEncoder):
    """Right but for what is done to its vectors."""

    def __init__(self, change: Any) -> None:
        super().__init__()
        self.change = change

    def _encode(self, inputs: Any) -> Any:
        return self.change(super()._encode(inputs))


def _with_nan(vectors: Any) -> Any:
    vectors[3, 5] = np.nan
    return vectors


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            _with_nan,
            rf"similar: bigrams: gave a text of similar, '{THINGS[3]}', a vector that is not a number",
        ),
        (lambda vectors: vectors * np.inf, "a vector that is not a number"),
        (lambda vectors: vectors[1:], r"shape \(9, 64\) for 10 texts of similar, the first of them"),
        (lambda vectors: vectors[:, 1:], r"shape \(10, 63\) .* not \(10, 64\)"),
        (lambda vectors: vectors * 0, "similar: cosine_spearman has no value at dimension 64"),
        (lambda vectors: vectors.reshape(2, 5, 64), r"shape \(2, 5, 64\)"),
    ],
    ids=["nan", "inf", "rows", "dim", "zero", "shape"],
)
@pytest.mark.filterwarnings("ignore:invalid value encountered")
def test_models_that_give_no_vectors_are_refused(folder: Path, change: Any, message: str) -> None:
    with pytest.raises(TaskError, match=message):
        evaluate(Broken(change), tasks_of(folder, "similar"))


class Failing(BigramEncoder):
    """Fails in place of giving vectors."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def _encode(self, inputs: Any) -> Any:
        raise self.error


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            RuntimeError("CUDA error\nAdvice: none"),
            r"\(RuntimeError: CUDA error\)\. Check",
        ),
        (
            OSError(28, "No space left on device"),
            r"refused \(OSError: \[Errno 28\] No space .*\)\. Make room",
        ),
        (MemoryError(), r"refused \(MemoryError\)\. Make room on its disk or in its memory"),
    ],
)
def test_whatever_else_goes_wrong_is_one_line(folder: Path, error: Exception, message: str) -> None:
    with pytest.raises(TaskError, match=f"^similar: could not be scored.*{message}") as caught:
        evaluate(Failing(error), tasks_of(folder, "similar"))
    assert "\n" not in str(caught.value)


def test_a_later_model_that_cannot_be_opened_keeps_what_is_finished(folder: Path) -> None:
    tasks = tasks_of(folder, "similar")
    with pytest.raises(TaskError, match="max_tokens=99999: bert-zh reads 48 tokens") as caught:
        evaluate(TINY / "bert-zh", tasks, Sweep(max_lengths=(16, 99999), device="cpu"))
    assert [one.setting.max_length for one in caught.value.finished] == [16]
    with pytest.raises(InputError, match="max_tokens=99999") as first:
        evaluate(TINY / "bert-zh", tasks, Sweep(max_lengths=(99999, 16), device="cpu"))
    assert not isinstance(first.value, TaskError)


def test_a_model_of_dot_products_is_told_of_once(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(TINY / "bert-zh", tmp_path / "dot")
    path = tmp_path / "dot" / "config_sentence_transformers.json"
    path.write_text(json.dumps({"similarity_fn_name": "dot"}), "utf-8")
    sweep = Sweep(max_lengths=(16, 32), device="cpu", normalize=False)
    with pytest.warns(YuyiWarning, match=r"dot: compares by dot, .* by the cosine.*--raw.* dot_\*") as told:
        evaluate(tmp_path / "dot", tasks_of(folder, "same"), sweep)
    assert len([each for each in told if each.category is YuyiWarning]) == 1


def test_an_error_keeps_what_is_finished(folder: Path, tmp_path: Path) -> None:
    class Late(BigramEncoder):
        def _encode(self, inputs: Any) -> Any:
            if len(self.calls) >= 1:
                raise RuntimeError("the machine is on fire")
            return super()._encode(inputs)

    with pytest.raises(TaskError, match=r"same: .*RuntimeError: the machine is on fire") as caught:
        evaluate(Late(), tasks_of(folder, "similar", "same"), results=tmp_path)
    assert [result.task for result in caught.value.finished] == ["similar"]
    assert list(caught.value.finished) == read_results(tmp_path)
