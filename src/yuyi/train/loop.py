"""The training loop: stages of steps, a checkpoint now and then, one log line a while."""

from __future__ import annotations

import json
import warnings
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

import torch

from yuyi.artifacts import publish_file
from yuyi.errors import RecipeError, YuyiWarning
from yuyi.train.config import Course
from yuyi.train.distributed import ALONE
from yuyi.train.running.averaging import add_share, put
from yuyi.train.running.checkpoint import Checkpoints, check_same_run
from yuyi.train.running.monitor import Journal, tell
from yuyi.train.stage_run import NotFinite, StageRun, named

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor

    from yuyi.train.distributed import World
    from yuyi.train.learner import Learner
    from yuyi.train.running.checkpoint import Saved
    from yuyi.train.running.monitor import Log
    from yuyi.train.running.probe import Probe
    from yuyi.train.stage_run import OpenTask

CHECKPOINTS, JOURNAL, BAD_BATCH = "checkpoints", "training.jsonl", "bad-batch.json"


class Trainer:
    """Takes a learner through a course; `run` goes on from the checkpoint where there is one."""

    def __init__(
        self,
        course: Course,
        learner: Learner,
        open_task: OpenTask,
        world: World = ALONE,
        *,
        probe: Probe | None = None,
        corpus: str = "",
    ) -> None:
        """Take everything a run depends on.

        Args:
            course: stages and seed.
            learner: what is trained; it holds the result.
            open_task: a task at work, from the task and the numbers that seed it.
            world: the ranks that train together.
            probe: scores the model on held-out rows, in the stages that ask for it.
            corpus: digest of the rows that are learned from; a run goes on with the same alone.
        """
        torch.set_num_threads(course.threads)
        self._course = course
        self._learner = learner
        self._open_task = open_task
        self._world = world
        self._probe = probe
        self._corpus = corpus
        self._checked = False

    def run(
        self,
        folder: Path | None = None,
        every: int = 500,
        log: Log | None = None,
        *,
        keep: int = 2,
        log_every: int = 20,
        stop_after: int | None = None,
        stage_over: Callable[[str], None] | None = None,
    ) -> bool:
        """Whether the course came to its end; the learner then holds the final weights.

        Args:
            folder: where the run leaves `checkpoints`, from the newest of which it goes on, `training.jsonl`
                and, when a loss is no number, `bad-batch.json`; made when it is missing. None leaves nothing.
            every: steps between checkpoints; there is one at the end of each stage, too.
            log: called with each log line beside the file; see `yuyi.train.running.monitor`. By the first
                rank alone.
            keep: how many checkpoints stay.
            log_every: steps between log lines.
            stop_after: end early after this many steps of this call, as if killed (for tests): what was done
                since the last checkpoint is lost.
            stage_over: called with the name of each stage when the learner has the weights that it ends with,
                on every rank; once more where the run is resumed at this very point.

        Raises:
            RecipeError: a task finds no rows, a loss or gradient is not finite, or the checkpoint is of a
                run with other settings.
            InputError: no checkpoint is whole, or the disk is full.
        """
        checkpoints = None if folder is None else Checkpoints(folder / CHECKPOINTS, keep)
        saved = self._resume(checkpoints) if checkpoints else None
        first = saved.values["stage"] if saved else 0
        averaged = self._on_device(named(saved.tensors, "averaged")) if saved else {}
        log = self._open_log(folder, saved, log)
        done = 0
        for number in range(first, len(self._course.stages)):
            stage = self._open_stage(number)
            if saved:
                stage.restore(saved.tensors, saved.values)
                saved = None
            while not stage.over:
                try:
                    stage.advance()
                    done += 1
                    if log and (stage.step % log_every == 0 or stage.scored or stage.over):
                        log(self._entry(stage, number))
                    if checkpoints and (stage.step % every == 0 or stage.over):
                        self._save(checkpoints, stage, number, averaged)
                except NotFinite as error:
                    raise self._refusal(error, stage, folder, checkpoints) from None
                if done == stop_after:
                    return False
            stage.finish()
            if stage_over:
                stage_over(stage.stage.name)
            share = self._course.average.get(stage.stage.name, 0.0)
            averaged = add_share(averaged, self._learner.model(), share)
        rest = 1.0 - sum(self._course.average.values())
        put(self._learner.model(), add_share(averaged, self._learner.model(), rest))
        return True

    def check(self) -> None:
        """Open every stage once, so that what does not fit is refused before the first step of all.

        Raises:
            RecipeError: a stage cannot be opened with this learner and what its tasks draw from.
            InputError: the labels of a source make no sense.
            ModelError: the tokenizer lacks what a task needs.
        """
        for number in range(len(self._course.stages)):
            self._open_stage(number)
        self._checked = True

    def _resume(self, checkpoints: Checkpoints) -> Saved | None:
        """The checkpoint to go on from, the same on every rank.

        Raises:
            RecipeError: it belongs to another run, or the ranks see different ones.
            InputError: none is whole.
        """
        saved = checkpoints.newest()
        if saved:
            check_same_run(saved, self._settings())
        place = [saved.values["stage"], saved.values["step"]] if saved else [0, 0]
        own = self._learner.zeros(1).new_tensor(place, dtype=torch.float64)
        total = own.clone()
        self._world.sum_(total)
        if not torch.equal(total, own * self._world.size):
            raise RecipeError(
                f"rank {self._world.rank} goes on from stage {place[0]}, step {place[1]}, and others from "
                "elsewhere. Put the run's folder where every machine sees it."
            )
        return saved

    def _open_log(self, folder: Path | None, saved: Saved | None, log: Log | None) -> Log | None:
        """What takes log lines: the run's own file and `log`; nothing on other ranks than the first."""
        if self._world.rank:
            return None
        if folder is None:
            return log
        folder.mkdir(parents=True, exist_ok=True)
        journal = Journal(folder / JOURNAL)
        journal.begin(self._before(saved.values["stage"]) + saved.values["step"] if saved else 0)
        return tell(journal, log)

    def _open_stage(self, number: int) -> StageRun:
        with warnings.catch_warnings():
            if self._checked:  # Then it has been warned of.
                warnings.simplefilter("ignore", YuyiWarning)
            return StageRun(
                self._course.stages[number],
                self._learner,
                self._open_task,
                [self._course.seed, number],
                self._world,
                self._probe,
            )

    def _save(
        self, checkpoints: Checkpoints, stage: StageRun, number: int, averaged: dict[str, Tensor]
    ) -> None:
        stage.check_weights()
        if self._world.rank:
            return
        tensors, values = stage.state()
        tensors |= {f"averaged/{name}": tensor for name, tensor in averaged.items()}
        values |= {"stage": number, "run": self._settings()}
        checkpoints.write(number, stage.step, tensors, values)

    def _settings(self) -> dict[str, Any]:
        """All that a run has to share with the one that it goes on from, as JSON values."""
        course = asdict(self._course)
        return {
            "course": {each.name: course[each.name] for each in fields(Course)},
            "learner": self._learner.settings(),
            "model": {name: list(tensor.shape) for name, tensor in self._learner.model().items()},
            "corpus": self._corpus,
            "world size": self._world.size,
        }

    def _entry(self, stage: StageRun, number: int) -> dict[str, Any]:
        """A log line; the time that is left counts as if every step took as long as this stage's so far."""
        entry = stage.entry()
        at, total = self._before(number) + stage.step, self._before(len(self._course.stages))
        ahead = total - (self._before(number + 1) if stage.over else at)
        left = round(ahead * entry.pop("seconds_a_step"), 1)
        return {**entry, "at": at, "total": total, "seconds_left": left}

    def _before(self, number: int) -> int:
        """Steps of all stages before this one."""
        return sum(stage.steps for stage in self._course.stages[:number])

    def _on_device(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        device = self._learner.zeros(0).device
        return {name: tensor.to(device) for name, tensor in tensors.items()}

    def _refusal(
        self, error: NotFinite, stage: StageRun, folder: Path | None, checkpoints: Checkpoints | None
    ) -> RecipeError:
        """The error that ends the run, its batch saved for inspection."""
        message = f"{error}."
        if folder is not None and checkpoints is not None:
            path = folder / BAD_BATCH
            if not self._world.rank:
                content = {"stage": stage.stage.name, "step": stage.step, "batches": error.batches}
                with publish_file(path) as temporary:
                    temporary.write_text(json.dumps(content, ensure_ascii=False, indent=1), "utf-8")
            last = (
                f"the last good checkpoint is {checkpoints.last}"
                if checkpoints.last
                else "no checkpoint was saved"
            )
            message += f" Its batch is in {path}; {last}."
        return RecipeError(
            f"{message} Lower the learning rate (here {stage.rate:.3g}, at most "
            f"{stage.stage.highest_rate:g}), or take out such rows."
        )
