from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from yuyi.train.config import Schedule, Stage, Task
from yuyi.train.running.schedule import rate_at

TASKS = (Task(objective="contrast"),)
SCHEDULES: tuple[Schedule, ...] = ("linear", "cosine", "wsd")


def rates(schedule: Schedule, steps: int, warmup: int = 0, final: float = 0.0) -> list[float]:
    stage = Stage(
        name="s",
        steps=steps,
        tasks=TASKS,
        learning_rate=2.0,
        warmup=warmup,
        final_rate=final,
        schedule=schedule,
    )
    return [rate_at(stage, step) for step in range(1, steps + 1)]


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_the_rates_are_those_of_torch(schedule: Schedule) -> None:
    steps, warmup = 40, 8
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=2.0)
    rise = torch.optim.lr_scheduler.LinearLR(optimizer, 1 / warmup, 1.0, warmup - 1)
    falling = steps - warmup
    if schedule == "linear":
        fall = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, falling)
    else:
        fall = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, falling)
    both = torch.optim.lr_scheduler.SequentialLR(optimizer, [rise, fall], [warmup - 1])
    expected = []
    for _ in range(steps):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        both.step()
    assert rates(schedule, steps, warmup) == pytest.approx(expected, rel=1e-6)


def test_wsd_stays_and_falls_over_the_last_fifth() -> None:
    found = rates("wsd", 50, warmup=5, final=0.5)
    assert found[:5] == pytest.approx([0.4, 0.8, 1.2, 1.6, 2.0])
    assert found[4:40] == pytest.approx([2.0] * 36)
    assert found[40:] == pytest.approx([1 + (10 - n) / 10 for n in range(1, 11)])


@given(
    schedule=st.sampled_from(SCHEDULES),
    steps=st.integers(1, 60),
    warmup=st.integers(0, 70),
    final=st.floats(0, 1),
)
def test_rates_rise_to_the_highest_and_fall_no_lower_than_the_last(
    schedule: Schedule, steps: int, warmup: int, final: float
) -> None:
    found = rates(schedule, steps, warmup, final)
    top = max(1, min(warmup, steps))
    assert all(earlier < later for earlier, later in pairwise(found[:top]))
    rest = found[top - 1 :]
    assert all(earlier >= later for earlier, later in pairwise(rest))
    if warmup <= steps:
        assert all(2.0 * final <= rate or math.isclose(rate, 2.0 * final) for rate in rest)
        assert rest[0] == 2.0
    if max(1, warmup) < steps:
        assert found[-1] == 2.0 * final
        if schedule != "wsd" and final < 0.99:
            assert found.count(2.0) == 1
    assert all(0 <= rate <= 2.0 * (1 + 1e-12) for rate in found)
    assert all(found[:-1])


def test_the_highest_comes_once_and_the_last_is_the_final_one() -> None:
    assert rates("linear", 5, warmup=2, final=0.1) == pytest.approx([1.0, 2.0, 1.4, 0.8, 0.2])
    assert rates("linear", 3) == [2.0, 1.0, 0.0]
    assert rates("cosine", 1) == [2.0]
