"""What a run would take: exact where it can be, and near what runs take where it is measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from yuyi.errors import InputError
from yuyi.records import write_pairs
from yuyi.train.config import Course, Stage, Task
from yuyi.train.planning.estimate import Data, estimate
from yuyi.train.planning.plan import plan_run
from yuyi.train.planning.shape import Shape
from yuyi.train.planning.speed import Speed, held_bytes, measure, score_seconds
from yuyi.train.reading.sources import Column, Source
from yuyi.train.settings import read_train_config
from yuyi.train.starting.start import open_start
from yuyi.train.table import Parts, TokenTable

from .settings_files import TINY, pairs, put, settings, table_settings, write
from .tiny import learner, texts

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("name", ["bert-zh", "bert-dense", "modernbert", "gte-new"])
def test_parameters_are_those_of_the_model(name: str) -> None:
    subject = learner(name)
    counted = sum(Shape.of(subject).parameters.values())
    assert counted == sum(parameter.numel() for parameter in subject.embedder.parameters())


@pytest.mark.parametrize("name", ["bert-zh", "gte-new"])
def test_products_are_those_that_torch_counts(name: str) -> None:
    subject = learner(name, dtype=torch.float32)
    lengths = np.array([7, 12, 12, 30])
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        subject.embed(texts(lengths))
    config = subject.embedder.encoder.config
    # torch does not count what its fused attention does on a processor: two products of each pair of tokens.
    fused = 4 * config.layers * config.hidden * int((lengths**2).sum())
    assert Shape.of(subject).products(lengths) == counter.get_total_flops() + fused


def test_activations_grow_with_the_tokens_and_weights_are_no_part_of_them() -> None:
    subject = learner(dtype=torch.float32)
    few, many = (held_bytes(subject, texts([16] * count)) for count in (4, 16))
    assert many == pytest.approx(4 * few, rel=0.1)
    subject.embedder.encoder.checkpointing = True
    assert held_bytes(subject, texts([16] * 16)) < many / 2


def test_a_plan_counts_rows_tokens_and_steps(tmp_path: Path) -> None:
    config = read_train_config(write(tmp_path))
    found = plan_run(config)
    assert {(each.name, each.kind): each.rows for each in found.found} == {
        ("judged", "paraphrase"): 240, ("manual", "qa"): 120
    }  # fmt: skip
    words, pairs, judged = found.estimate.tasks
    assert (words.objective, pairs.objective, judged.objective) == ("mlm", "contrast", "judged")
    assert (pairs.rows, pairs.batch, pairs.epoch, pairs.share) == (120, 24, 5, 0.5)
    assert pairs.times == pytest.approx(12 / 2 / 5)
    assert all(task.seconds > 0 for task in found.estimate.tasks)
    assert found.estimate.seconds.keys() == {"words", "pairs"}
    # Scratch models are as large as the settings say, whatever pieces the sample has.
    table = found.estimate.parameters["token table"]
    assert table == 300 * 32
    assert found.estimate.memory["optimiser"] == 2 * found.estimate.memory["weights"]


def test_ranks_share_time_and_budgets_bound_memory(tmp_path: Path) -> None:
    def memory(budget: int) -> int:
        config = read_train_config(write(tmp_path), {"token_budget": budget})
        return plan_run(config).estimate.memory["activations"]

    assert memory(64) * 3 < memory(1 << 20)


def test_ranks_share_the_texts_and_not_the_objective() -> None:
    subject = learner(dtype=torch.float32)
    column = Column(texts([16] * 8), np.arange(8))
    data = Data([Source.of("pairs", "qa", column, column)], {("pairs", "qa"): 100_000})
    task = Task(objective="contrast", batch=4_096, negatives=0)
    course = Course(dims={32: 1.0, 8: 1.0}, stages=(Stage(name="s", steps=1, tasks=(task,)),))
    speed = Speed(1e9, 0.0, 0.0, score_seconds(subject))
    alone, many = (estimate(course, subject, data, speed, ranks).tasks[0] for ranks in (1, 4))
    assert alone.shared == many.shared > 4_096**2 * 2 * 2 * speed.score > 0
    assert alone.seconds - alone.shared == pytest.approx(4 * (many.seconds - many.shared))


def test_tasks_that_the_data_makes_are_drawn_by_all_rows(tmp_path: Path) -> None:
    tree = put(settings(), "stages", [{"name": "all", "steps": 4, "learning_rate": 0.001, "tasks": []}])
    tasks = plan_run(read_train_config(write(tmp_path, tree))).estimate.tasks
    shares = {task.objective: task.share for task in tasks}
    assert shares["judged"] / shares["contrast"] == pytest.approx((240 / 120) ** 0.5)


@pytest.mark.parametrize("size", [60, 300, 600, 3_000])
def test_a_table_of_any_size_is_planned_too(tmp_path: Path, size: int) -> None:
    config = read_train_config(write(tmp_path, put(table_settings(), "vocabulary.size", size)))
    found = plan_run(config)
    # Words share the vectors of their parts, so there are more vectors than pieces.
    assert size * 32 <= next(iter(found.estimate.parameters.values())) < 2 * (size + 300) * 32
    assert found.device == "cpu"


def test_the_vocabulary_of_a_table_is_its_pieces() -> None:
    parts = Parts.of(["护照", "借书证", "借书人", "借书", "护"])
    assert parts.count > 5
    table = TokenTable(parts, np.zeros((parts.count, 4), dtype=np.float32))
    assert Shape.of(table).vocabulary == 5


def test_the_machine_is_measured_with_the_threads_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def watched(*given: Any) -> Speed:
        seen.append(torch.get_num_threads())
        return measure(*given)

    monkeypatch.setattr("yuyi.train.planning.plan.measure", watched)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        plan_run(read_train_config(write(tmp_path)))
        assert (seen, torch.get_num_threads()) == ([1], 2)
    finally:
        torch.set_num_threads(before)


def test_what_is_kept_beside_the_weights_counts(tmp_path: Path) -> None:
    tree = put(settings(), "average", {"words": 0.2})
    put(tree, "stages.1.ema", 0.9)
    put(tree, "stages.1.patience", 3)
    memory = plan_run(read_train_config(write(tmp_path, tree))).estimate.memory
    # The average of stages, that of steps, the own weights while a probe has that one's place, and the best.
    assert memory["averages and best weights"] == 4 * memory["weights"]
    assert memory["previous model"] == 0


def test_old_data_are_planned_as_they_are_replayed(tmp_path: Path) -> None:
    tree = put(settings(), "model", {"folder": str(TINY / "bert-zh")})
    put(tree, "continual", {"previous": str(TINY / "bert-zh"), "replay": 0.25})
    put(tree, "stages", [{"name": "new", "steps": 4, "learning_rate": 0.001}])
    put(tree, "dims", {})
    write_pairs(tmp_path / "old.parquet", [pair for pair in pairs() if pair.kind == "qa"][:60])
    put(tree, "replay", [{"path": "old.parquet"}])
    found = plan_run(read_train_config(write(tmp_path, tree)))
    assert {(each.name, each.kind): each.rows for each in found.found} == {
        ("judged", "paraphrase"): 240, ("manual", "qa"): 120, ("replayed: manual", "qa"): 60
    }  # fmt: skip
    assert [task.rows for task in found.estimate.tasks] == [120, 240, 60]
    assert found.estimate.tasks[2].share == pytest.approx(0.25)
    assert found.estimate.memory["previous model"] == found.estimate.memory["weights"]


def test_the_model_that_is_planned_is_the_one_that_is_trained(tmp_path: Path) -> None:
    config = read_train_config(write(tmp_path))
    assert config.model is not None
    planned = plan_run(config).estimate.parameters
    trained = open_start(config.model, ["护照 办理 passport renew " * 20]).embedder
    layers = sum(parameter.numel() for parameter in trained.encoder.layers.parameters())
    # The norm of the embeddings is counted with the layers.
    assert planned["2 layers"] == layers + 2 * 32


def test_a_teacher_that_is_asked_about_words_alone_is_planned(tmp_path: Path) -> None:
    teacher = {"folder": str(TINY / "bert-zh"), "languages": ["fr"]}
    tree = put(table_settings(), "teacher", teacher)
    put(tree, "stages.0.tasks", [{"objective": "align", "batch": 8}])
    found = plan_run(read_train_config(write(tmp_path, tree)))
    assert found.tokens["teacher", "teacher"][0] >= 1
    put(tree, "teacher.words", False)
    with pytest.raises(InputError, match=r"teacher\.languages: fr; no text of the data is in one of them"):
        plan_run(read_train_config(write(tmp_path, tree)))
