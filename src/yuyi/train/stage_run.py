"""A stage at work: which task comes next, one step after the other, and what its end leaves."""

from __future__ import annotations

import math
import time
import warnings
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from yuyi.errors import RecipeError, YuyiWarning
from yuyi.train.running.averaging import follow, put
from yuyi.train.running.probe import Patience
from yuyi.train.running.schedule import rate_at
from yuyi.train.seeds import seed_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from torch import Tensor

    from yuyi.train.config import Stage, Task
    from yuyi.train.distributed import World
    from yuyi.train.learner import Learner
    from yuyi.train.running.probe import Probe
    from yuyi.train.tasks import Runner

    OpenTask = Callable[[Task, Sequence[int]], Runner]

# Steps in a row without any gradient, after which there is a warning.
_IDLE = 10


class NotFinite(RecipeError):
    """A loss or a gradient that is no number, and the batches that it came from.

    Attributes:
        batches: what each task says of its batch, as JSON values.
    """

    def __init__(self, what: str, batches: list[dict[str, Any]]) -> None:
        super().__init__(what)
        self.batches = batches


class StageRun:
    """A stage at work.

    Attributes:
        stage: its settings.
        step: the last step that was done, from 1; 0 before the first.
        rate: the learning rate of that step.
    """

    def __init__(
        self,
        stage: Stage,
        learner: Learner,
        open_task: OpenTask,
        seed: Sequence[int],
        world: World,
        probe: Probe | None = None,
    ) -> None:
        """Begin at step 0.

        Args:
            stage: what to do.
            learner: what is trained.
            open_task: as `Trainer` takes it.
            seed: names this stage of the run.
            world: the ranks that train together.
            probe: scores the model where the stage asks for it.

        Raises:
            RecipeError: there are no tasks, a task finds no rows, or the stage asks for scores and there is
                no probe.
        """
        if not stage.tasks:
            raise RecipeError(f"stages.{stage.name}.tasks: empty. Say what is to be learned.")
        if stage.probe is not None and probe is None:
            raise RecipeError(
                f"stages.{stage.name}.probe: {stage.probe}, and no rows are held out to score. Hold some "
                "out, or leave it away."
            )
        self.stage = stage
        self.step = 0
        self.rate = 0.0
        self._learner = learner
        self._world = world
        self._probe = probe
        self._seed = list(seed)
        shares = np.asarray([task.share for task in stage.tasks])
        self._shares = shares / shares.sum()
        # What a task's loss is multiplied by for being one of several in a step.
        self._factors = self._shares if stage.balanced else np.ones(len(shares))
        self._names = _names(stage.tasks)
        learner.begin(stage)
        self._runners = [
            open_task(replace(task, weight=task.weight * float(factor)), [*self._seed, place])
            for place, (task, factor) in enumerate(zip(stage.tasks, self._factors, strict=True))
        ]
        learner.ready()
        self._chooser = np.random.default_rng(seed_of("chooser", self._seed))
        self._average: dict[str, Tensor] = {}
        self._patience = Patience(stage.patience)
        self._started, self._first = time.perf_counter(), 0
        self._idle, self._warned = 0, world.rank > 0
        # Since the last log line.
        self._losses: dict[str, list[float]] = {}
        self._norms: list[float] = []
        self._scores: dict[str, float] = {}
        self._rows = self._tokens = self._skipped = 0
        self._busy = 0.0

    @property
    def over(self) -> bool:
        """Whether no step is left."""
        return self.step >= self.stage.steps or self._patience.over

    def advance(self) -> None:
        """One step, and a probe where one is due; with patience there is one before the first step, too.

        Ten steps in a row whose gradient is exactly 0 are warned of: they learn nothing, while weight decay
        goes on.

        Raises:
            NotFinite: a loss or the gradient is no number; the weights are those before the step.
        """
        if not self.step and self.stage.patience is not None:
            self._score()
            self._scores = {}
        started = time.perf_counter()
        self.step += 1
        self.rate = rate_at(self.stage, self.step)
        chosen = self._choose()
        for place in chosen:
            runner = self._runners[place]
            extra = [place] if self.stage.balanced else []
            loss = runner.run(seed_of("step", [*self._seed, self.step, *extra]))
            if not math.isfinite(loss):
                raise self._not_finite(f"the {runner.task.objective} loss is {loss}", [place])
            self._losses.setdefault(self._names[place], []).append(loss / float(self._factors[place]))
            self._rows += runner.size.rows
            self._tokens += runner.size.tokens
        norm = self._learner.step(self.rate, self._world)
        if norm is None:
            self._skipped += 1
        elif not math.isfinite(norm):
            raise self._not_finite(f"the norm of the gradient is {norm}", chosen)
        else:
            self._norms.append(norm)
            self._watch(norm)
        if self.stage.ema:
            follow(self._average, self._learner.model(), self.stage.ema, self.step)
        self._busy += time.perf_counter() - started
        if self.stage.probe and (self.step % self.stage.probe == 0 or self.step == self.stage.steps):
            self._score()

    def check_weights(self) -> None:
        """Return when the model's weights are numbers.

        Raises:
            NotFinite: some are not, so that they are no state to go on from.
        """
        weights = self._learner.model()
        # One question to the device for all of them.
        whole = torch.stack([tensor.isfinite().all() for tensor in weights.values()]).tolist()
        if not all(whole):
            name = list(weights)[whole.index(False)]
            raise self._not_finite(f"{name} has values that are no numbers", range(len(self._runners)))

    def finish(self) -> None:
        """Put into the learner what the stage ends with: the best weights, the average, or the last."""
        put(self._learner.model(), self._patience.weights or self._average or self._learner.model())

    def entry(self) -> dict[str, Any]:
        """What the log says of the steps since the last entry; see `yuyi.train.running.monitor`."""
        seconds = time.perf_counter() - self._started
        busy = max(self._busy, 1e-9)
        entry = {
            "stage": self.stage.name,
            "step": self.step,
            "of": self.stage.steps,
            "seconds": round(seconds, 1),
            "seconds_a_step": seconds / max(1, self.step - self._first),
            "loss": {name: round(float(np.mean(values)), 4) for name, values in self._losses.items()},
            "rate": self.rate,
            "examples_per_second": round(self._rows / busy, 1),
            "tokens_per_second": round(self._tokens / busy),
        }
        if self._norms:
            entry["norm"] = float(f"{np.mean(self._norms):.4g}")
        if self._skipped:
            entry["skipped"] = self._skipped
        if self._scores:
            entry["probe"] = {name: round(score, 4) for name, score in self._scores.items()}
            if self.stage.patience is not None:
                entry["best"] = round(self._patience.best, 4)
        self._clear()
        return entry

    @property
    def scored(self) -> bool:
        """Whether there was a probe since the last entry."""
        return bool(self._scores)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors and JSON values from which `restore` goes on."""
        parts: dict[str, Mapping[str, Tensor]] = {
            "weights": self._learner.weights(),
            "moments": self._learner.moments(),
            "ema": self._average,
            "best": self._patience.weights,
        }
        parts |= {f"task{place}": runner.tensors() for place, runner in enumerate(self._runners)}
        tensors = {
            f"{part}/{name}": tensor for part, named in parts.items() for name, tensor in named.items()
        }
        return tensors, {
            "step": self.step,
            "tasks": [runner.state() for runner in self._runners],
            "chooser": self._chooser.bit_generator.state,
            "best": None if math.isinf(self._patience.best) else self._patience.best,
            "waited": self._patience.waited,
        }

    def restore(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        """Go on where `state` was taken."""
        self.step = self._first = values["step"]
        self._learner.restore(named(tensors, "weights"), named(tensors, "moments"))
        device = self._learner.zeros(0).device
        self._average = {name: tensor.to(device) for name, tensor in named(tensors, "ema").items()}
        self._patience.weights = {name: each.to(device) for name, each in named(tensors, "best").items()}
        self._patience.best = float("-inf") if values["best"] is None else values["best"]
        self._patience.waited = values["waited"]
        for place, (runner, state) in enumerate(zip(self._runners, values["tasks"], strict=True)):
            runner.restore(state, named(tensors, f"task{place}"))
        self._chooser.bit_generator.state = values["chooser"]

    def _choose(self) -> list[int]:
        """The tasks of this step."""
        if self.stage.balanced:
            return list(range(len(self._runners)))
        return [int(self._chooser.choice(len(self._runners), p=self._shares))]

    def _watch(self, norm: float) -> None:
        """Warn once where step after step there is nothing to learn."""
        self._idle = 0 if norm else self._idle + 1
        if self._idle >= _IDLE and not self._warned:
            self._warned = True
            tasks = ", ".join(self._names)
            warnings.warn(
                f"stage {self.stage.name}, step {self.step}: the gradient was 0 for {_IDLE} steps, so "
                f"nothing is learned by {tasks}. Look at batch, negatives and labels of these tasks.",
                YuyiWarning,
                2,
            )

    def _score(self) -> None:
        """Probe the weights that the stage would end with now."""
        assert self._probe is not None
        with self._averaged():
            scores = self._probe.score(self._learner, self._world)
            self._patience.see(scores["score"], self._learner.model())
        self._scores = scores

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """Inside the block the model has its average weights, where they are kept."""
        if not self._average:
            yield
            return
        own = {name: tensor.clone() for name, tensor in self._learner.model().items()}
        put(self._learner.model(), self._average)
        try:
            yield
        finally:
            put(self._learner.model(), own)

    def _not_finite(self, what: str, places: Sequence[int]) -> NotFinite:
        batches = [{"task": self._names[place], **self._runners[place].describe()} for place in places]
        return NotFinite(f"stage {self.stage.name}, step {self.step}: {what}", batches)

    def _clear(self) -> None:
        self._losses, self._norms, self._scores = {}, [], {}
        self._rows = self._tokens = self._skipped = 0
        self._busy = 0.0


def named(tensors: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    """The tensors of one part of a checkpoint, by their own names."""
    return {
        name.removeprefix(f"{part}/"): each for name, each in tensors.items() if name.startswith(f"{part}/")
    }


def _names(tasks: Sequence[Task]) -> list[str]:
    """What the log calls each task: its objective, and its number where two have the same."""
    objectives = [task.objective for task in tasks]
    return [
        f"{objective} {objectives[: place + 1].count(objective)}"
        if objectives.count(objective) > 1
        else objective
        for place, objective in enumerate(objectives)
    ]
