"""What a run would take: exact where it can be, and near what runs take where it is measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from yuyi.train.planning.estimate import Shape, held_bytes
from yuyi.train.planning.plan import plan_run
from yuyi.train.settings import read_train_config
from yuyi.train.starting.start import open_start

from .settings_files import put, settings, table_settings, write
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


def test_tasks_that_the_data_makes_are_drawn_by_all_rows(tmp_path: Path) -> None:
    tree = put(settings(), "stages", [{"name": "all", "steps": 4, "tasks": []}])
    tasks = plan_run(read_train_config(write(tmp_path, tree))).estimate.tasks
    shares = {task.objective: task.share for task in tasks}
    assert shares["judged"] / shares["contrast"] == pytest.approx((240 / 120) ** 0.5)


def test_a_table_is_planned_too(tmp_path: Path) -> None:
    found = plan_run(read_train_config(write(tmp_path, table_settings())))
    assert next(iter(found.estimate.parameters.values())) >= 300 * 32
    assert found.device == "cpu"


def test_the_model_that_is_planned_is_the_one_that_is_trained(tmp_path: Path) -> None:
    config = read_train_config(write(tmp_path))
    assert config.model is not None
    planned = plan_run(config).estimate.parameters
    trained = open_start(config.model, ["护照 办理 passport renew " * 20]).embedder
    layers = sum(parameter.numel() for parameter in trained.encoder.layers.parameters())
    # The norm of the embeddings is counted with the layers.
    assert planned["2 layers"] == layers + 2 * 32
