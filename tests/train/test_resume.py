from __future__ import annotations

import json
import multiprocessing
import os
import signal
import socket
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from train.runs import COURSE, STEPS, Training, die_at, digest, learner, run_rank
from yuyi.errors import RecipeError
from yuyi.train.loop import JOURNAL
from yuyi.train.running.monitor import read_journal

TESTS = Path(__file__).parent.parent
PRELOADED = ["train.runs", "torch._dynamo", "scipy.stats", "pyarrow.parquet"]
KILLS = 20
SHORT = replace(
    COURSE,
    stages=(
        replace(COURSE.stages[0], steps=3),
        replace(COURSE.stages[1], steps=5, freeze={"layers.0": 2}, probe=2),
    ),
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The digest of the run that nobody stopped."""
    return Training(tmp_path_factory.mktemp("whole")).run(every=1_000)


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> str:
    return Training(tmp_path_factory.mktemp("short"), SHORT).run(every=1_000)


@pytest.mark.skipif(os.name != "posix", reason="sends SIGKILL to processes")
def test_a_run_killed_at_twenty_steps_ends_with_the_weights_of_one_never_killed(
    tmp_path: Path, whole: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Processes are forked from one that has imported everything, and so live for the training alone.
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(PRELOADED)
    generator = np.random.default_rng()
    steps = sorted((1 + generator.choice(STEPS - 1, KILLS, replace=False)).tolist())
    for step in steps:
        # Up to 20 ms behind a log line: in the next step, or while a checkpoint is written.
        process = processes.Process(target=die_at, args=(tmp_path, step, float(generator.uniform(0, 0.02))))
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL, f"at step {step} of {steps}"
    last = processes.Process(target=die_at, args=(tmp_path, 0, 0.0))
    last.start()
    last.join()
    assert last.exitcode == 0
    assert (tmp_path / "result").read_text() == whole, f"killed at {steps}"
    lines = (tmp_path / "run" / "training.jsonl").read_text().splitlines()
    assert [json.loads(line)["at"] for line in lines] == list(range(1, STEPS + 1))


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stops=st.lists(st.integers(1, 8), min_size=1, max_size=2), every=st.integers(1, 5))
def test_stopped_and_resumed_is_uninterrupted(
    tmp_path_factory: pytest.TempPathFactory, short: str, stops: list[int], every: int
) -> None:
    folder = tmp_path_factory.mktemp("run")
    for stop in stops:
        Training(folder, SHORT).run(every=every, stop_after=stop)
    assert Training(folder, SHORT).run(every=every) == short


def test_a_run_that_is_over_gives_its_weights_again(tmp_path: Path, short: str) -> None:
    assert Training(tmp_path, SHORT).run() == short
    before = (tmp_path / "run" / "training.jsonl").read_bytes()
    assert Training(tmp_path, SHORT).run() == short
    assert (tmp_path / "run" / "training.jsonl").read_bytes() == before


def test_other_settings_are_refused_by_name(tmp_path: Path) -> None:
    Training(tmp_path, SHORT).run(every=2, stop_after=2)
    other = replace(SHORT, stages=(replace(SHORT.stages[0], learning_rate=0.5), SHORT.stages[1]))
    with pytest.raises(
        RecipeError, match=r"step-0-2: saved with course\.stages\.0\.learning_rate 0\.01, and now it is 0\.5"
    ):
        Training(tmp_path, other).run()
    with pytest.raises(RecipeError, match=r"course\.dims\.8 0\.5, and now it is missing"):
        Training(tmp_path, replace(SHORT, dims={32: 1.0})).run()
    again = Training(tmp_path, SHORT)
    again.learner.token_budget = 91
    with pytest.raises(RecipeError, match=r"learner\.token_budget 90, and now it is 91"):
        again.run()
    again = Training(tmp_path, SHORT)
    again.trainer._corpus = "another"
    with pytest.raises(RecipeError, match=r'corpus "made", and now it is "another"'):
        again.run()


def test_two_ranks_stop_and_go_on_with_equal_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(PRELOADED)
    Training(tmp_path, SHORT)  # Its corpus is written by one process.
    for stop in (4, 6, None):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            (tmp_path / "port").write_text(str(free.getsockname()[1]))
        ranks = [
            processes.Process(target=run_rank, args=(tmp_path, SHORT, rank, 2, stop)) for rank in range(2)
        ]
        for rank in ranks:
            rank.start()
        for rank in ranks:
            rank.join()
        assert [rank.exitcode for rank in ranks] == [0, 0]
    first, second = (torch.load(tmp_path / f"rank-{rank}.pt") for rank in range(2))
    assert digest(first) == digest(second)
    # One rank sees the same losses, without dropout, which falls otherwise where chunks are others.
    alone = Training(tmp_path / "alone", SHORT, dropout=0.0)
    alone.run(log_every=1)
    both, one = read_journal(tmp_path / "run" / JOURNAL), read_journal(alone.folder / JOURNAL)
    assert [entry["at"] for entry in both] == list(range(1, 9))
    for found, expected in zip(both, one, strict=True):
        assert found["loss"] == pytest.approx(expected["loss"], rel=1e-3)
        assert found["norm"] == pytest.approx(expected["norm"], rel=1e-2)


def test_another_number_of_ranks_is_refused(tmp_path: Path) -> None:
    from yuyi.train.distributed import World
    from yuyi.train.loop import Trainer

    Training(tmp_path, SHORT).run(every=2, stop_after=2)
    trainer = Trainer(SHORT, learner(), lambda task, seed: pytest.fail("begins"), World(0, 2), corpus="made")
    with pytest.raises(RecipeError, match=r"world size 1, and now it is 2\. Set it back"):
        trainer.run(tmp_path / "run")
