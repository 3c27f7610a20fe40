from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from yuyi.errors import RecipeError
from yuyi.train.config import Course, Stage, Task
from yuyi.train.loop import Trainer
from yuyi.train.sources import Column, Source
from yuyi.train.table import Parts, TokenTable
from yuyi.train.tasks import EmbeddingRunner
from yuyi.types import TokenBatch

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

PIECES = [*(f"p{number}" for number in range(30)), "胡", "子", "胡子", "大胡子", "passport", "passports"]
PARTS = Parts.of(PIECES)
START = np.random.default_rng(0).normal(size=(len(PARTS.owners), 8)).astype(np.float32)
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
    ) -> None:
        self.table = TokenTable(PARTS, start)

        def open_task(task: Task, seed: Sequence[int]) -> EmbeddingRunner:
            return EmbeddingRunner(task, self.table, sources, course.dims, course.exponent, seed, teacher)

        self.trainer = Trainer(course, self.table, open_task)

    def run(self, *args: Any, **options: Any) -> NDArray[np.float32]:
        self.trainer.run(*args, **options)
        return self.table.fold()


WHOLE = Training().run()


def test_two_runs_give_the_same_bits() -> None:
    again = Training().run()
    assert again.tobytes() == WHOLE.tobytes()
    assert again.shape == (len(PIECES), 8)
    assert Training(replace(CONFIG, seed=1)).run().tobytes() != WHOLE.tobytes()
    assert not np.array_equal(WHOLE, Training(teacher=-TEACHER).run())


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stops=st.lists(st.integers(1, STEPS), min_size=1, max_size=3), every=st.integers(1, 9))
def test_stopped_and_resumed_is_uninterrupted(
    tmp_path_factory: pytest.TempPathFactory, stops: list[int], every: int
) -> None:
    """Stops may fall on the last step of a stage, and follow each other."""
    folder = tmp_path_factory.mktemp("run")
    for stop in stops:
        Training().run(folder, every, stop_after=stop)
        assert list(folder.glob("checkpoints/step-*"))
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
