"""Scores: equal to a direct computation and every time, refused where they mean nothing, never done twice."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

import yuyi
from yuyi.errors import InputError, TaskError
from yuyi.evaluate import EvalTask, Result, Sweep, evaluate, local_tasks, settings
from yuyi.evaluate.comparing.examples import examples_path, read_examples
from yuyi.evaluate.offline import import_mteb
from yuyi.evaluate.results import read_result, read_results, result_path
from yuyi.evaluate.tasks.kinds import ALL_ROWS
from yuyi.records import read_rows

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


def test_scores_follow_the_meaning_of_the_sets(results: list[Result]) -> None:
    found = values(results)
    assert found["found"] == pytest.approx(100, abs=0.01)
    assert found["translated"] == pytest.approx(100, abs=0.01)
    assert 50 < found["similar"] < 100
    assert found["topic"] > 90


def test_all_metrics_of_the_cards_are_there(results: list[Result]) -> None:
    scores = {result.task: result.scores["test"]["default"] for result in results}
    functions = ("cosine", "dot", "euclidean", "manhattan", "max")
    pairs = {f"{function}_{metric}" for function in functions for metric in ("accuracy", "ap", "f1")}
    assert pairs <= set(scores["same"])
    assert {"cosine_pearson", "euclidean_spearman", "manhattan_spearman"} <= set(scores["similar"])
    assert {"map_at_1", "ndcg_at_1000", "mrr_at_3", "precision_at_5", "recall_at_100"} <= set(scores["found"])
    assert {"accuracy", "f1"} <= set(scores["topic"])


def test_spearman_is_that_of_scipy(folder: Path, results: list[Result]) -> None:
    rows = list(read_rows(folder / "similar.parquet", ("sentence1", "sentence2", "score")))
    for dim in (64, 32):
        left, right = (
            BigramEncoder().encode([row[side] for row in rows])[:, :dim].astype(np.float64)
            for side in ("sentence1", "sentence2")
        )
        cosines = (left * right).sum(1) / np.linalg.norm(left, axis=1) / np.linalg.norm(right, axis=1)
        expected = spearmanr(cosines.round(6), [row["score"] for row in rows])[0]
        (found,) = (one for one in results if one.task == "similar" and one.setting.dim == dim)
        assert found.scores["test"]["default"]["spearman"] == pytest.approx(expected, abs=1e-4)


def test_ndcg_is_the_formula(folder: Path) -> None:
    encoder = BigramEncoder(3)  # small enough to make mistakes
    queries, corpus = (
        list(read_rows(folder / f"found.{part}.parquet", ("id", "text"))) for part in ("queries", "corpus")
    )
    scores = encoder.encode_query([row["text"] for row in queries]) @ (
        encoder.encode_document([row["text"] for row in corpus]).T
    )
    ranks = (scores > np.diag(scores)[:, None] + 1e-6).sum(1)
    expected = (1 / np.log2(ranks + 2)).mean()
    assert 0 < expected < 1
    value = values(evaluate(encoder, tasks_of(folder, "found")))["found"]
    assert value == pytest.approx(100 * expected, abs=0.01)


def test_two_runs_agree(folder: Path, results: list[Result]) -> None:
    again = evaluate(BigramEncoder(), tasks_of(folder), Sweep(dims=(64, 32)))
    assert [replace(result, made="", seconds=0) for result in again] == [
        replace(result, made="", seconds=0) for result in results
    ]


def test_what_is_drawn_does_not_depend_on_the_settings_before(folder: Path) -> None:
    """mteb's clustering draws anew each time that it is asked."""
    clustered = folder / "clusters.jsonl"
    rows = [
        {"text": f"{number} {thing}", "label": str(len(thing) % 3)} for number in range(8) for thing in THINGS
    ]
    clustered.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), "utf-8")
    try:
        (task,) = tasks_of(folder, "clusters")
        both = evaluate(BigramEncoder(), [task], Sweep(dims=(64, 16)))
        alone = evaluate(BigramEncoder(), [task], Sweep(dims=(16,)))
    finally:
        clustered.unlink()
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
    """mteb's tasks for tests, those of text, as a suite would give them."""
    import_mteb()
    from mteb.mocks import MOCK_TASK_TEST_GRID

    texts = [task for task in MOCK_TASK_TEST_GRID if task.metadata.modalities == ["text"]]
    chosen = {task.metadata.name: type(task) for task in texts}.values()
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
    mocks: list[EvalTask], tmp_path: Path
) -> None:
    assert len(mocks) > 20
    found = evaluate(BigramEncoder(), mocks, results=tmp_path)
    for task, result in zip(mocks, found, strict=True):
        parts = [metrics for subsets in result.scores.values() for metrics in subsets.values()]
        assert len(parts) == len(task.splits) * len(task.languages)
        assert result.main_score == pytest.approx(np.mean([metrics[task.metric] for metrics in parts]))
    encoder = BigramEncoder()
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


# Results on disk.


def test_finished_tasks_are_read_and_nothing_else_is(folder: Path, tmp_path: Path) -> None:
    tasks = tasks_of(folder, "similar", "found")
    first = evaluate(BigramEncoder(), tasks, Sweep(dims=(64, 32)), results=tmp_path)

    def refuse() -> Any:
        raise AssertionError("opened")

    encoder = BigramEncoder()
    closed = [replace(task, open=refuse) for task in tasks]
    assert evaluate(encoder, closed, Sweep(dims=(64, 32)), results=tmp_path) == first
    assert encoder.calls == []
    # A dimension more is scored alone.
    more = evaluate(encoder, tasks, Sweep(dims=(64, 32, 16)), results=tmp_path)
    assert [result for result in more if result.setting.dim > 16] == first
    assert encoder.calls != []


def test_results_are_of_this_model_and_these_data(folder: Path, tmp_path: Path) -> None:
    (task,) = tasks_of(folder, "similar")
    (first,) = evaluate(BigramEncoder(), [task], results=tmp_path)
    path = result_path(tmp_path, first.model, first.setting, first.task)
    for other in (replace(task, data="other"), replace(task, metric="pearson")):
        encoder = BigramEncoder()
        evaluate(encoder, [other], results=tmp_path)
        assert encoder.calls != []
    record = json.loads(path.read_text("utf-8"))
    record["yuyi"]["versions"]["mteb"] = "1.0"
    path.write_text(json.dumps(record), "utf-8")
    encoder = BigramEncoder()
    evaluate(encoder, [task], results=tmp_path)
    assert encoder.calls != []
    assert replace(read_result(path), made="", seconds=0) == replace(first, made="", seconds=0)


def test_a_result_that_has_more_is_taken_and_one_that_has_less_is_not(folder: Path, tmp_path: Path) -> None:
    (plain,), (more,) = (local_tasks(folder, ["topic"], all_rows=each) for each in (False, True))
    encoder = BigramEncoder()
    (less,) = evaluate(encoder, [plain], results=tmp_path)
    assert ALL_ROWS not in less.scores["test"]["default"]
    before = len(encoder.calls)
    (richer,) = evaluate(encoder, [more], results=tmp_path)
    assert len(encoder.calls) > before
    assert richer.scores["test"]["default"][ALL_ROWS] > 0
    before = len(encoder.calls)
    assert evaluate(encoder, [plain], results=tmp_path) == [richer]
    assert len(encoder.calls) == before


def test_examples_are_kept_beside_the_result(folder: Path, tmp_path: Path) -> None:
    for result in evaluate(BigramEncoder(), tasks_of(folder), results=tmp_path):
        path = result_path(tmp_path, result.model, result.setting, result.task)
        examples = read_examples(examples_path(path))
        assert examples is not None
        if examples.statistic == "mean":
            assert examples.values.mean() == pytest.approx(result.main_score)


def test_mteb_reads_the_results(folder: Path, tmp_path: Path) -> None:
    from mteb.results import TaskResult

    (result,) = evaluate(BigramEncoder(), tasks_of(folder, "same"), results=tmp_path)
    path = result_path(tmp_path, result.model, result.setting, result.task)
    loaded = TaskResult.from_disk(path)
    assert loaded.task_name == "same"
    assert loaded.scores["test"][0]["main_score"] == pytest.approx(result.main_score)


def test_a_damaged_result_is_named(folder: Path, tmp_path: Path) -> None:
    tasks = tasks_of(folder, "similar")
    (result,) = evaluate(BigramEncoder(), tasks, results=tmp_path)
    path = result_path(tmp_path, result.model, result.setting, result.task)
    # One that was being written when its run was killed is none.
    path.with_name(".similar.json.a1b2.json").write_bytes(path.read_bytes()[:40])
    assert read_results(tmp_path) == [result]
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(InputError, match=r"similar\.json: not a result that yuyi wrote .* Remove it"):
        evaluate(BigramEncoder(), tasks, results=tmp_path)


def test_a_folder_that_cannot_be_written(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for where in ("results", "vectors"):
        with pytest.raises(InputError, match=r"file.*: cannot be made .* Choose another folder"):
            evaluate(BigramEncoder(), tasks_of(folder, "similar"), **{where: tmp_path / "file"})


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from evaluate.bigrams import BigramEncoder
from yuyi.evaluate import evaluate, local_tasks

class Killed(BigramEncoder):
    def encode_document(self, inputs):
        os.kill(os.getpid(), signal.SIGKILL)

tasks = local_tasks(Path(sys.argv[2]), ["similar", "same", "found"])
tasks.sort(key=lambda task: task.name == "found")
evaluate(Killed(), tasks, results=Path(sys.argv[3]), vectors=Path(sys.argv[3]) / "vectors")
"""


def test_a_killed_run_repeats_no_finished_task(folder: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(Path(__file__).parent.parent), str(folder), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    left = read_results(tmp_path)
    tasks = tasks_of(folder, "similar", "same", "found")
    finished = {result.task for result in left}
    assert finished == {task.name for task in tasks if task.name != "found"}
    encoder = BigramEncoder()
    again = evaluate(encoder, tasks, results=tmp_path, vectors=tmp_path / "vectors")
    # The queries were encoded and kept before the end.
    assert encoder.calls == [("document", 10)]
    assert [result for result in again if result.task in finished] == [
        result for task in tasks for result in left if result.task == task.name
    ]
    hidden = [path for path in tmp_path.rglob(".*") if path.is_file()]
    assert hidden == []


OFFLINE = """
import os, socket, sys
from pathlib import Path

def refuse(*where):
    raise SystemExit(f"network touched: {where}")

socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
sys.path.insert(0, sys.argv[1])
names = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE", "MTEB_CACHE")
before = [os.environ.get(name) for name in names]
from evaluate.bigrams import BigramEncoder
from yuyi.evaluate import evaluate, local_tasks
heavy = {"mteb", "torch", "pyarrow"} & set(sys.modules)
assert not heavy, heavy
results = evaluate(BigramEncoder(), local_tasks(Path(sys.argv[2])))
assert [os.environ.get(name) for name in names] == before
assert {result.task for result in results} >= {"found", "same", "similar", "topic", "translated"}
"""


def test_no_network_no_files_at_home_and_a_light_import(folder: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    names = ("MTEB_CACHE", "HF_HOME", "XDG_CACHE_HOME")
    environment = {name: value for name, value in os.environ.items() if name not in names}
    command = [sys.executable, "-c", OFFLINE, str(Path(__file__).parent.parent), str(folder)]
    result = subprocess.run(command, env={**environment, "HOME": str(home)}, capture_output=True, text=True)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert [path for path in home.rglob("*") if path.is_file()] == []
