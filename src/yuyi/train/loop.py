"""The training loop: stages of steps, a checkpoint now and then, one log line a while."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from yuyi.errors import RecipeError
from yuyi.train.checkpoint import read_checkpoint, write_checkpoint
from yuyi.train.distributed import ALONE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from torch import Tensor

    from yuyi.train.config import Course, Stage, Task
    from yuyi.train.distributed import World
    from yuyi.train.learner import Learner
    from yuyi.train.tasks import Runner

    Log = Callable[[dict[str, Any]], None]

_LOG_EVERY = 20


class Trainer:
    """Takes a learner through a course; `run` goes on from the checkpoint where there is one."""

    def __init__(
        self,
        course: Course,
        learner: Learner,
        open_task: Callable[[Task, Sequence[int]], Runner],
        world: World = ALONE,
    ) -> None:
        """Take everything a run depends on.

        Args:
            course: stages and seed.
            learner: what is trained; it holds the result.
            open_task: a task at work, from the task and the numbers that seed it.
            world: the ranks that train together.
        """
        torch.set_num_threads(course.threads)
        self._course = course
        self._learner = learner
        self._open_task = open_task
        self._world = world

    def run(
        self,
        checkpoint: Path | None = None,
        every: int = 500,
        log: Log | None = None,
        stop_after: int | None = None,
    ) -> bool:
        """Whether the course came to its end; the learner then holds the final weights.

        Args:
            checkpoint: file that holds the state, read at the start where it exists and written as the run
                goes.
            every: steps between checkpoints.
            log: called with one dictionary every few steps.
            stop_after: end early after this many steps in all, as if killed (for tests).

        Raises:
            RecipeError: a task finds no rows, or a loss is not finite.
            InputError: the checkpoint is damaged.
        """
        saved = read_checkpoint(checkpoint) if checkpoint and checkpoint.exists() else None
        first = saved[1]["stage"] if saved else 0
        averaged = _named(saved[0], "averaged") if saved else {}
        done = 0
        for number in range(first, len(self._course.stages)):
            stage = _StageRun(self, self._course.stages[number], number, averaged)
            if saved:
                stage.restore(*saved)
                saved = None
            while stage.step < stage.stage.steps:
                stage.advance(log)
                done += 1
                if checkpoint and (stage.step % every == 0 or done == stop_after):
                    write_checkpoint(checkpoint, *stage.state())
                if done == stop_after:
                    return False
            share = self._course.average.get(stage.stage.name, 0.0)
            averaged = _blend(averaged, self._learner.weights(), share)
        rest = 1.0 - sum(self._course.average.values())
        self._learner.restore(_blend(averaged, self._learner.weights(), rest), {})
        return True


class _StageRun:
    """A stage at work."""

    def __init__(self, trainer: Trainer, stage: Stage, number: int, averaged: dict[str, Tensor]) -> None:
        course = trainer._course
        self.stage = stage
        self.step = 0
        self._number = number
        self._averaged = averaged
        self._learner = trainer._learner
        self._world = trainer._world
        self._seed = [course.seed, number]
        self._learner.begin(stage)
        self._runners = [
            trainer._open_task(task, [*self._seed, place]) for place, task in enumerate(stage.tasks)
        ]
        shares = np.asarray([task.share for task in stage.tasks])
        self._shares = shares / shares.sum()
        self._chooser = np.random.default_rng(self._seed)
        self._losses: dict[str, list[float]] = {}
        self._started = time.perf_counter()

    def advance(self, log: Log | None) -> None:
        """One step."""
        self.step += 1
        runner = self._runners[int(self._chooser.choice(len(self._runners), p=self._shares))]
        loss = runner.run([*self._seed, self.step])
        if not math.isfinite(loss):
            raise RecipeError(
                f"stage {self.stage.name}, step {self.step}: the {runner.task.objective} loss is {loss}. "
                f"Lower the learning rate (now {self.stage.learning_rate})."
            )
        self._learner.step(_rate(self.stage, self.step), self._world)
        self._losses.setdefault(runner.task.objective, []).append(loss)
        if log and (self.step % _LOG_EVERY == 0 or self.step == self.stage.steps):
            log(self._entry())

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """The tensors and the JSON values of a checkpoint."""
        parts = {
            "weights": self._learner.weights(),
            "moments": self._learner.moments(),
            "averaged": self._averaged,
        }
        tensors = {
            f"{part}/{name}": tensor for part, named in parts.items() for name, tensor in named.items()
        }
        return tensors, {
            "stage": self._number,
            "step": self.step,
            "runners": [runner.state() for runner in self._runners],
            "chooser": self._chooser.bit_generator.state,
        }

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Go on where `state` was taken."""
        self.step = values["step"]
        self._learner.restore(_named(tensors, "weights"), _named(tensors, "moments"))
        for runner, state in zip(self._runners, values["runners"], strict=True):
            runner.restore(state)
        self._chooser.bit_generator.state = values["chooser"]

    def _entry(self) -> dict[str, Any]:
        means = {name: round(float(np.mean(values)), 4) for name, values in self._losses.items()}
        self._losses = {}
        seconds = round(time.perf_counter() - self._started, 1)
        return {
            "stage": self.stage.name,
            "step": self.step,
            "of": self.stage.steps,
            "seconds": seconds,
            "loss": means,
        }


def _named(tensors: dict[str, Tensor], part: str) -> dict[str, Tensor]:
    """The tensors of one part of a checkpoint, by their own names."""
    return {
        name.removeprefix(f"{part}/"): each for name, each in tensors.items() if name.startswith(f"{part}/")
    }


def _blend(averaged: dict[str, Tensor], weights: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    """The average so far plus `share` of these weights."""
    if not averaged:
        return {name: tensor.detach() * share for name, tensor in weights.items()} if share else {}
    return {name: averaged[name] + tensor.detach() * share for name, tensor in weights.items()}


def _rate(stage: Stage, step: int) -> float:
    """Learning rate of a step: a rise over the warm-up, then a straight fall."""
    if step <= stage.warmup:
        return stage.learning_rate * step / stage.warmup
    left = 1 - (step - 1 - stage.warmup) / max(1, stage.steps - stage.warmup)
    return stage.learning_rate * (stage.final_rate + (1 - stage.final_rate) * left)
