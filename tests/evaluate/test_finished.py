"""Results on disk: read where they are of this task, model and setting, whole or not there at all."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from yuyi.errors import InputError
from yuyi.evaluate import Sweep, evaluate, local_tasks, run
from yuyi.evaluate.comparing.examples import examples_path, read_examples
from yuyi.evaluate.results import find_results, read_result, read_results, result_path, write_result
from yuyi.evaluate.tasks.kinds import ALL_ROWS

from .bigrams import BigramEncoder

if TYPE_CHECKING:
    from yuyi.evaluate import EvalTask


def tasks_of(folder: Path, *names: str) -> list[EvalTask]:
    """The tasks in the order of the names."""
    return sorted(local_tasks(folder, names), key=lambda task: names.index(task.name))


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


def test_folders_may_be_text_and_a_file_is_refused_before_the_work(folder: Path, tmp_path: Path) -> None:
    tasks = tasks_of(folder, "similar")
    evaluate(BigramEncoder(), tasks, results=str(tmp_path / "r"), vectors=str(tmp_path / "v"))
    assert len(read_results(tmp_path / "r")) == len(list((tmp_path / "v").glob("*.sqlite"))) == 1
    (tmp_path / "file").touch()
    encoder = BigramEncoder()
    with pytest.raises(InputError, match=r"file: cannot be made .* another folder for vectors"):
        evaluate(encoder, tasks, vectors=str(tmp_path / "file"))
    assert encoder.calls == []


def test_results_are_of_these_data_and_libraries(folder: Path, tmp_path: Path) -> None:
    (task,) = tasks_of(folder, "similar")
    (first,) = evaluate(BigramEncoder(), [task], results=tmp_path)
    path = result_path(tmp_path, first.model, first.setting, first.task)
    for other in (replace(task, data="other"), replace(task, metric="pearson")):
        encoder = BigramEncoder()
        evaluate(encoder, [other], results=tmp_path)
        assert encoder.calls != []
    for library, calls in (("mteb", 1), ("scikit-learn", 1), ("numpy", 0)):
        write_result(tmp_path, replace(first, versions={**first.versions, library: "1.0"}))
        encoder = BigramEncoder()
        evaluate(encoder, [task], results=tmp_path)
        assert len(encoder.calls) == calls, library
    assert replace(read_result(path), made="", seconds=0, versions={}) == replace(
        first, made="", seconds=0, versions={}
    )


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


def test_a_result_of_more_splits_and_subsets_is_narrowed(folder: Path, tmp_path: Path) -> None:
    (task,) = tasks_of(folder, "similar")
    (one,) = evaluate(BigramEncoder(), [task])
    metrics = one.scores["test"]["default"]
    half = {**metrics, task.metric: one.main_score / 2}
    languages = {"default": ("zho-Hans",), "en": ("eng-Latn",)}
    scores = {"test": {"default": metrics, "en": half}, "dev": {"default": half, "en": half}}
    more = replace(one, scores=scores, languages=languages, main_score=0.625 * one.main_score, rows=9)
    write_result(tmp_path, more)

    def found(**change: Any) -> Any:
        encoder = BigramEncoder()
        (result,) = evaluate(encoder, [replace(task, **change)], results=tmp_path)
        return encoder.calls == [] and result

    assert found(languages=languages, splits=("test", "dev")) == more
    narrow = found(languages={"default": ("zho-Hans",)})
    assert narrow == replace(one, languages={"default": ("zho-Hans",)}, rows=task.rows)
    assert found(splits=("dev",), languages=languages).main_score == pytest.approx(one.main_score / 2)
    assert not found(further=("accuracy_of_another",))


def test_examples_are_kept_beside_the_result(folder: Path, tmp_path: Path) -> None:
    for result in evaluate(BigramEncoder(), local_tasks(folder), results=tmp_path):
        path = result_path(tmp_path, result.model, result.setting, result.task)
        examples = read_examples(examples_path(path))
        assert examples is not None
        if examples.statistic == "mean":
            assert examples.values.mean() == pytest.approx(result.main_score)


def test_examples_of_an_older_result_are_taken_away(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (task,) = tasks_of(folder, "similar")
    (result,) = evaluate(BigramEncoder(), [task], results=tmp_path)
    path = result_path(tmp_path, result.model, result.setting, result.task)
    assert examples_path(path).exists()
    # As for a metric that mteb writes no predictions of.
    monkeypatch.setattr(run, "examples_of", lambda *_: None)
    evaluate(BigramEncoder(), [replace(task, metric="pearson")], results=tmp_path)
    assert path.exists() and not examples_path(path).exists()


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


def test_parts_of_the_data_have_files_of_their_own_that_mteb_reads(folder: Path, tmp_path: Path) -> None:
    from mteb.results import TaskResult

    (task,) = tasks_of(folder, "same")
    encoder = BigramEncoder()
    first = [evaluate(encoder, [replace(task, part=part)], results=tmp_path)[0] for part in ("zh", "en", "")]
    paths = {path.name: path for path in find_results(tmp_path)}
    assert set(paths) == {"same@zh.json", "same@en.json", "same.json"}
    assert {TaskResult.from_disk(path).task_name for path in paths.values()} == {"same"}
    assert {examples_path(path).exists() for path in paths.values()} == {True}
    calls = len(encoder.calls)
    assert [
        evaluate(encoder, [replace(task, part=part)], results=tmp_path)[0] for part in ("zh", "en", "")
    ] == first
    assert len(encoder.calls) == calls
