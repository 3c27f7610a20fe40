from __future__ import annotations

import json
import os
import resource
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from train.runs import learner, sources
from yuyi.artifacts import hash_file
from yuyi.errors import InputError, RecipeError, YuyiWarning
from yuyi.train.config import Course, Stage, Task
from yuyi.train.distributed import ALONE
from yuyi.train.loop import CHECKPOINTS, Trainer
from yuyi.train.reading.sources import Column, Source
from yuyi.train.running.checkpoint import Checkpoints
from yuyi.train.running.probe import Probe
from yuyi.train.table import Parts, TokenTable
from yuyi.train.tasks import EmbeddingRunner
from yuyi.types import TokenBatch

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

PIECES = [*(f"p{number}" for number in range(30)), "胡", "子", "胡子", "大胡子", "passport", "passports"]
PARTS = Parts.of(PIECES)
START = np.random.default_rng(0).normal(size=(PARTS.count, 8)).astype(np.float32)
TEACHER = np.random.default_rng(1).normal(size=(40, 8)).astype(np.float32)


def texts(rows: int, seed: int) -> TokenBatch:
    generator = np.random.default_rng(seed)
    lengths = generator.integers(0, 6, rows)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return TokenBatch(generator.integers(0, len(PIECES), offsets[-1]).astype(np.int32), offsets)


def source(name: str, kind: str, rows: int, labels: list[float] | None = None) -> Source:
    values = np.full(rows, np.nan) if labels is None else np.resize(labels, rows)
    keys = np.arange(rows, dtype=np.int64) // 2
    seed = len(name)
    queries, documents = Column(texts(rows, seed), keys), Column(texts(rows, seed + 50), -1 - keys[::-1])
    return Source.of(name, kind, queries, documents, values.astype(np.float32))


SOURCES = (
    source("qa", "qa", 70),
    source("titles", "title_body", 41),
    source("judged", "paraphrase", 50, [0, 1, 1]),
    source("sts", "sts", 30, [0, 2.5, 5]),
    source("reviews", "classification", 33, [0, 1, 2]),
    source("teacher", "teacher", 40),
)
CONFIG = Course(
    dims={8: 1.0, 4: 0.5},
    threads=1,
    average={"weak": 0.25},
    stages=(
        Stage(
            name="weak",
            steps=7,
            warmup=2,
            tasks=(Task(objective="contrast", batch=16), Task(objective="align", batch=16)),
        ),
        Stage(
            name="judged",
            steps=6,
            learning_rate=0.02,
            final_rate=0.1,
            tasks=(
                Task(objective="judged", batch=16),
                Task(objective="labels", batch=16),
                Task(objective="contrast", batch=16, emphasis={"qa": 3.0}),
            ),
        ),
    ),
)
STEPS = sum(stage.steps for stage in CONFIG.stages)


class Training:
    """A token table on its way through a course."""

    def __init__(
        self,
        course: Course = CONFIG,
        start: NDArray[np.float32] = START,
        sources: Sequence[Source] = SOURCES,
        teacher: NDArray[np.float32] = TEACHER,
        probe: Probe | None = None,
    ) -> None:
        self.table = TokenTable(PARTS, start)

        def open_task(task: Task, seed: Sequence[int]) -> EmbeddingRunner:
            return EmbeddingRunner(task, self.table, sources, course.dims, course.exponent, seed, teacher)

        self.trainer = Trainer(course, self.table, open_task, probe=probe)

    def run(self, *args: Any, **options: Any) -> NDArray[np.float32]:
        self.trainer.run(*args, **options)
        return self.table.fold()


WHOLE = Training().run()


def _at(values: dict[str, Any]) -> int:
    """Step of a checkpoint, counted over both stages."""
    return int(values["step"]) + 7 * int(values["stage"])


def test_two_runs_give_the_same_bits() -> None:
    again = Training().run()
    assert again.tobytes() == WHOLE.tobytes()
    assert again.shape == (len(PIECES), 8)
    assert Training(replace(CONFIG, seed=1)).run().tobytes() != WHOLE.tobytes()
    assert not np.array_equal(WHOLE, Training(teacher=-TEACHER).run())


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stops=st.lists(st.integers(1, STEPS), min_size=1, max_size=3), every=st.integers(1, 9))
def test_stopped_and_resumed_is_uninterrupted(
    tmp_path_factory: pytest.TempPathFactory, stops: list[int], every: int
) -> None:
    """Stops may fall between checkpoints, or on the last step of a stage, and follow each other."""
    folder = tmp_path_factory.mktemp("run")
    for stop in stops:
        newest = Checkpoints(folder / CHECKPOINTS).newest()
        before = _at(newest.values) if newest else 0
        Training().run(folder, every, stop_after=stop)
        # What came after the last checkpoint is lost.
        newest = Checkpoints(folder / CHECKPOINTS).newest()
        marks = {*range(every, 8, every), 7, *(7 + step for step in (*range(every, 7, every), 6))}
        assert (_at(newest.values) if newest else 0) == max(
            [before, *(mark for mark in marks if mark <= min(before + stop, STEPS))]
        )
    assert Training().run(folder, every).tobytes() == WHOLE.tobytes()


@pytest.mark.parametrize("stop", [7, 13])
def test_a_stop_at_the_end_of_a_stage(tmp_path: Path, stop: int) -> None:
    Training().run(tmp_path, stop_after=stop)
    assert Training().run(tmp_path).tobytes() == WHOLE.tobytes()
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoints", "training.jsonl"}
    assert {path.name for path in (tmp_path / "checkpoints").iterdir()} == {"step-0-7", "step-1-6"}


def test_killed_between_checkpoints(tmp_path: Path) -> None:
    """What came after the last checkpoint is done again, to the same bits."""

    def kill(entry: dict[str, Any]) -> None:
        if entry["stage"] == "judged":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Training().run(tmp_path, every=4, log=kill)
    assert Training().run(tmp_path, every=4).tobytes() == WHOLE.tobytes()


def test_the_average_of_stages_is_of_their_last_vectors() -> None:
    plain = replace(CONFIG, average={})
    first = Training(replace(plain, stages=CONFIG.stages[:1])).run()
    last = Training(plain).run()
    np.testing.assert_allclose(WHOLE, 0.25 * first + 0.75 * last, atol=1e-4)


def test_the_log_tells_of_each_stage() -> None:
    entries: list[dict[str, Any]] = []
    long = replace(CONFIG, stages=(replace(CONFIG.stages[0], steps=45),), average={})
    Training(long).run(log=entries.append)
    assert [(entry["stage"], entry["step"], entry["of"]) for entry in entries] == [
        ("weak", 20, 45),
        ("weak", 40, 45),
        ("weak", 45, 45),
    ]
    assert set(entries[0]["loss"]) == {"contrast", "align"}
    assert entries[-1]["loss"]["align"] < entries[0]["loss"]["align"]


def test_a_loss_that_is_not_finite_stops_the_run() -> None:
    broken = Training(start=np.full_like(START, np.nan))
    with pytest.raises(RecipeError, match=r"stage weak, step 1: the (contrast|align) loss is nan\. Lower"):
        broken.run()


def test_a_task_without_sources_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"task labels .*no source has pairs"):
        Training(sources=SOURCES[:4] + SOURCES[5:]).run()


def test_a_loss_that_is_no_number_names_the_last_good_checkpoint_and_keeps_the_batch(tmp_path: Path) -> None:
    Training().run(tmp_path, every=2, stop_after=4)
    broken = Training()

    def break_it(entry: dict[str, Any]) -> None:
        if entry["at"] == 5:
            broken.table.vectors.fill_(float("inf"))

    with pytest.raises(
        RecipeError,
        match=r"stage weak, step 6: the (contrast|align) loss is nan\. Its batch is in .*bad-batch\.json; "
        r"the last good checkpoint is .*checkpoints/step-0-4\. Lower the learning rate \(here 0\.02, "
        r"at most 0\.1\)",
    ):
        broken.run(tmp_path, every=2, log=break_it, log_every=1)
    content = json.loads((tmp_path / "bad-batch.json").read_text("utf-8"))
    assert content["stage"] == "weak" and content["step"] == 6
    (batch,) = content["batches"]
    assert batch["task"] in ("contrast", "align")
    assert batch["source"] in ("qa", "titles", "teacher") and len(batch["rows"]) > 1
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["step-0-2", "step-0-4"]


def test_weights_that_are_no_numbers_are_not_saved(tmp_path: Path) -> None:
    broken = Training()

    def break_it(entry: dict[str, Any]) -> None:
        if entry["at"] == 4:
            broken.table.vectors[0] = float("nan")

    with pytest.raises(RecipeError, match=r"step 4: vectors has values that are no numbers.*step-0-2"):
        broken.run(tmp_path, every=2, log=break_it, log_every=1)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-0-2"]


def test_a_gradient_that_is_no_number_stops_the_run_before_the_weights_are_touched(tmp_path: Path) -> None:
    """This loss is still a number in float32, and the square of its gradient is not."""
    stage = replace(CONFIG.stages[0], tasks=(Task(objective="align", batch=16, weight=1e30),))
    short = Training(replace(CONFIG, stages=(stage,), average={}))
    before = short.table.vectors.clone()
    with pytest.raises(
        RecipeError, match=r"step 1: the norm of the gradient is (nan|inf)\. .* no checkpoint was saved"
    ):
        short.run(tmp_path)
    assert torch.equal(short.table.vectors, before)
    assert len(json.loads((tmp_path / "bad-batch.json").read_text())["batches"]) == 1


BALANCED = replace(
    CONFIG,
    average={},
    stages=(
        Stage(
            name="balanced",
            steps=1,
            balanced=True,
            tasks=(
                Task(objective="contrast", batch=16, kinds=("qa",), share=3.0),
                Task(objective="judged", batch=16, kinds=("sts",), weight=2.0),
                Task(objective="contrast", batch=16, kinds=("title_body",), share=2.0),
            ),
        ),
    ),
)


def test_a_balanced_step_adds_every_task_by_its_share() -> None:
    """The first Adam mean is a tenth of the gradient, which is that of the tasks one by one."""
    entries: list[dict[str, Any]] = []
    whole = Training(BALANCED)
    whole.run(log=entries.append)
    (stage,) = BALANCED.stages
    gradient, losses = torch.zeros_like(whole.table.vectors), []
    for place, task in enumerate(stage.tasks):
        table = TokenTable(PARTS, START)
        table.begin(stage)
        runner = EmbeddingRunner(task, table, SOURCES, BALANCED.dims, BALANCED.exponent, [0, 0, place])
        losses.append(runner.run([0, 0, 1, place]))
        table.step(0.0)
        gradient += table.moments()["mean"] * 10 * task.share / 6
    torch.testing.assert_close(whole.table.moments()["mean"] * 10, gradient, rtol=1e-4, atol=1e-7)
    assert entries[0]["loss"] == {
        "contrast 1": pytest.approx(losses[0], abs=1e-4),
        "judged": pytest.approx(losses[1], abs=1e-4),
        "contrast 2": pytest.approx(losses[2], abs=1e-4),
    }
    assert gradient.norm() > 0


def test_balanced_runs_resume(tmp_path: Path) -> None:
    course = replace(BALANCED, stages=(replace(BALANCED.stages[0], steps=9),))
    whole = Training(course).run()
    Training(course).run(tmp_path, every=4, stop_after=6)
    assert Training(course).run(tmp_path, every=4).tobytes() == whole.tobytes()


def test_a_stage_ends_with_its_moving_average() -> None:
    stage = replace(CONFIG.stages[0], steps=12)
    plain = replace(CONFIG, average={}, stages=(stage,))
    steps = [Training(replace(plain, stages=(stage,))).run(stop_after=step + 1) for step in range(12)]
    expected = steps[0]
    for step, vectors in enumerate(steps[1:], 2):
        share = min(0.6, 1 - 1 / step)
        expected = share * expected + (1 - share) * vectors
    found = Training(replace(plain, stages=(replace(stage, ema=0.6),))).run()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    assert not np.allclose(found, steps[-1], atol=1e-3)


def test_a_stage_without_better_scores_ends_early_with_its_best_weights(tmp_path: Path) -> None:
    """At this learning rate the table is soon worse than it was."""
    held_out = Probe([source("held out", "qa", 40)])
    stage = replace(
        CONFIG.stages[0], steps=200, learning_rate=3.0, tasks=(Task(objective="align", batch=16),), probe=1,
        patience=5, warmup=0,
    )  # fmt: skip
    course = replace(CONFIG, average={}, stages=(stage, replace(CONFIG.stages[1], steps=2)))
    entries: list[dict[str, Any]] = []
    Training(course, probe=held_out).run(tmp_path, log=entries.append, stop_after=1_000)
    first = [entry for entry in entries if entry["stage"] == "weak"]
    scores = [entry["probe"]["score"] for entry in first]
    best = int(np.argmax(scores)) + 1
    assert len(scores) == best + 5 < 200
    assert [entry["at"] for entry in entries if entry["stage"] == "judged"] == [202]
    assert entries[-1]["seconds_left"] == 0
    # The next stage begins with the weights of the best probe.
    alone = replace(course, stages=(replace(stage, patience=None),))
    there = Training(alone, probe=held_out)
    there.run(stop_after=best)
    ended = Training(replace(course, stages=(stage,)), probe=held_out)
    ended.run()
    assert torch.equal(ended.table.vectors, there.table.vectors)
    for stop in (best - 1, best + 2, best + 5, best + 6):
        folder = tmp_path / str(stop)
        Training(course, probe=held_out).run(folder, every=3, stop_after=stop)
        resumed = Training(course, probe=held_out)
        resumed.run(folder, every=3)
        whole = Training(course, probe=held_out)
        whole.run()
        assert torch.equal(resumed.table.vectors, whole.table.vectors)


def test_weights_that_a_stage_only_made_worse_come_back(tmp_path: Path) -> None:
    """Each text is its own answer, so nothing is better than the beginning."""
    single = TokenBatch(np.arange(20, dtype=np.int32), np.arange(21, dtype=np.int64))
    same = Source.of("same", "qa", Column(single, np.arange(20)), Column(single, np.arange(20, 40)))
    stage = replace(CONFIG.stages[0], steps=30, warmup=0, probe=2, patience=2)
    course = replace(CONFIG, average={}, stages=(stage,))
    entries: list[dict[str, Any]] = []
    whole = Training(course, probe=Probe([same]))
    whole.run(log=entries.append, log_every=100)
    assert [entry["step"] for entry in entries] == [2, 4]
    assert [entry["best"] for entry in entries] == [1.0, 1.0]
    np.testing.assert_array_equal(whole.table.vectors.numpy(), START)
    for stop in (1, 3):
        Training(course, probe=Probe([same])).run(tmp_path, every=1, stop_after=stop)
    again = Training(course, probe=Probe([same]))
    again.run(tmp_path, every=1)
    np.testing.assert_array_equal(again.table.vectors.numpy(), START)


def test_steps_that_learn_nothing_are_warned_of_once() -> None:
    idle = replace(CONFIG.stages[0], steps=25, tasks=(Task(objective="align", batch=16, weight=0.0),))
    with pytest.warns(YuyiWarning, match=r"stage weak, step 10: the gradient was 0 .* by align\.") as told:
        Training(replace(CONFIG, average={}, stages=(idle,))).run()
    assert len(told) == 1


def test_steps_that_float16_left_out_are_counted_and_have_no_norm() -> None:
    """With such a weight gradients do not fit into half precision until the scale has fallen."""
    subject = learner(torch.float16, dropout=0.0)
    pairs = sources()[0]
    stage = Stage(
        name="half", steps=8, learning_rate=0.001, tasks=(Task(objective="contrast", batch=8, weight=30.0),)
    )
    course = Course(dims={32: 1.0}, threads=1, stages=(stage,))
    entries: list[dict[str, Any]] = []

    def open_task(task: Task, seed: Sequence[int]) -> EmbeddingRunner:
        return EmbeddingRunner(task, subject, [pairs], course.dims, course.exponent, seed)

    Trainer(course, subject, open_task).run(log=entries.append, log_every=1)
    skipped = [entry for entry in entries if "skipped" in entry]
    assert 0 < len(skipped) < 8
    assert all(entry["skipped"] == 1 and "norm" not in entry for entry in skipped)
    assert all(entry["norm"] > 0 for entry in entries if entry not in skipped)


def test_the_end_of_each_stage_is_told(tmp_path: Path) -> None:
    kept: dict[str, NDArray[np.float32]] = {}
    training = Training()
    training.run(stage_over=lambda name: kept.update({name: training.table.fold()}))
    assert list(kept) == ["weak", "judged"]
    np.testing.assert_allclose(WHOLE, 0.25 * kept["weak"] + 0.75 * kept["judged"], atol=1e-4)
    Training().run(tmp_path, stop_after=7)
    told: list[str] = []
    Training().run(tmp_path, stage_over=told.append)
    assert told == ["weak", "judged"]


def test_probes_need_rows_and_patience_needs_probes() -> None:
    stage = replace(CONFIG.stages[0], probe=5)
    with pytest.raises(RecipeError, match=r"stages\.weak\.probe: 5, and no rows are held out"):
        Training(replace(CONFIG, stages=(stage,))).run()
    with pytest.raises(RecipeError, match=r"stages\.weak\.patience: 3, and nothing is probed\. Give probe"):
        replace(stage, probe=None, patience=3)


def test_a_stage_without_tasks_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"stages\.weak\.tasks: empty"):
        Training(replace(CONFIG, stages=(replace(CONFIG.stages[0], tasks=()),))).run()


def test_a_table_has_no_parts_that_rest() -> None:
    with pytest.raises(RecipeError, match=r"freeze\.embeddings: a token table has no parts"):
        Training(replace(CONFIG, stages=(replace(CONFIG.stages[0], freeze={"embeddings": 3}),))).run()


def test_the_journal_has_each_step_once(tmp_path: Path) -> None:
    for stop in (3, 5):
        Training().run(tmp_path, every=2, log_every=1, stop_after=stop)
    Training().run(tmp_path, every=2, log_every=1)
    entries = [json.loads(line) for line in (tmp_path / "training.jsonl").read_text().splitlines()]
    assert [entry["at"] for entry in entries] == list(range(1, STEPS + 1))
    assert [entry["step"] for entry in entries] == [*range(1, 8), *range(1, 7)]
    last = entries[-1]
    assert last["total"] == STEPS and last["seconds_left"] == 0 and last["of"] == 6
    assert last["rate"] == pytest.approx(0.02 * 0.1) and last["norm"] > 0
    assert last["examples_per_second"] > 0 and last["tokens_per_second"] > 0
    # The same line comes from a run that nobody stopped, but for its times.
    told: list[dict[str, Any]] = []
    Training().run(log=told.append, log_every=1)
    timeless = ("stage", "step", "of", "at", "total", "loss", "rate", "norm")
    assert [[entry[name] for name in timeless] for entry in entries] == [
        [entry[name] for name in timeless] for entry in told
    ]


@pytest.mark.skipif(os.name != "posix", reason="limits the size of files")
def test_a_full_disk_ends_the_run_and_keeps_what_was_saved(tmp_path: Path) -> None:
    Training().run(tmp_path, every=2, stop_after=4)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, limits[1]))
    try:
        with pytest.raises(InputError, match=r"checkpoints/step-0-6: cannot be written .*make room"):
            Training().run(tmp_path, every=2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["step-0-2", "step-0-4"]
    assert Training().run(tmp_path, every=2).tobytes() == WHOLE.tobytes()


class Elsewhere:
    """The first of two ranks, of which the other begins anew."""

    rank, size = 0, 2

    def sum_(self, *tensors: torch.Tensor) -> None:
        pass


def test_ranks_that_see_different_checkpoints_are_stopped(tmp_path: Path) -> None:
    def run(stop: int | None) -> None:
        table = TokenTable(PARTS, START)

        def open_task(task: Task, seed: Sequence[int]) -> EmbeddingRunner:
            return EmbeddingRunner(task, table, SOURCES, CONFIG.dims, CONFIG.exponent, seed, TEACHER)

        world: Any = Elsewhere() if stop is None else ALONE
        Trainer(CONFIG, table, open_task, world).run(tmp_path, every=3, stop_after=stop)

    run(3)
    values = tmp_path / "checkpoints" / "step-0-3" / "values.json"
    content = values.read_text().replace('"world size": 1', '"world size": 2')
    values.write_text(content)
    hashes = values.with_name("hashes.json")
    hashes.write_text(json.dumps(json.loads(hashes.read_text()) | {"values.json": hash_file(values)}))
    with pytest.raises(RecipeError, match=r"rank 0 goes on from stage 0, step 3, and others from elsewhere"):
        run(None)
