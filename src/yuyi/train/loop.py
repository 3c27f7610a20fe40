"""The training loop of a token table: stages of steps, a checkpoint now and then, one log line a while."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import safetensors.torch
import torch

from yuyi.artifacts import publish_file
from yuyi.errors import InputError, RecipeError
from yuyi.train.table import TokenTable
from yuyi.train.tasks import Drawer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from yuyi.train.batches import Source
    from yuyi.train.config import Stage, TableConfig
    from yuyi.train.table import Parts

_LOG_EVERY = 20


class Trainer:
    """Trains a token table; `run` goes on from the checkpoint where there is one."""

    def __init__(
        self,
        config: TableConfig,
        parts: Parts,
        start: NDArray[np.float32],
        sources: Sequence[Source],
        teacher: NDArray[np.float32] | None = None,
    ) -> None:
        """Take everything a run depends on.

        Args:
            config: stages, dimensions, seed.
            parts: of the vocabulary's pieces.
            start: (parts, dim) float32 first vectors.
            sources: tokenised pairs; teacher texts are a source of kind `teacher`.
            teacher: (teacher texts, dim) float32, row by row for that source.
        """
        torch.set_num_threads(config.threads)
        self._config = config
        self._parts = parts
        self._start = start
        self._sources = sources
        self._teacher = teacher

    def run(
        self,
        checkpoint: Path | None = None,
        every: int = 500,
        log: Callable[[dict[str, Any]], None] | None = None,
        stop_after: int | None = None,
    ) -> NDArray[np.float32]:
        """(pieces, dim) float32, the folded table after the last stage.

        Args:
            checkpoint: file that holds the state, read at the start where it exists and written as the run
                goes.
            every: steps between checkpoints.
            log: called with one dictionary every few steps.
            stop_after: end early after this many steps in all, as if killed (for tests).
        """
        vectors, averaged, first_stage, state = self._resume(checkpoint)
        done = 0
        for number in range(first_stage, len(self._config.stages)):
            stage = self._config.stages[number]
            table = TokenTable(self._parts, vectors)
            drawers = self._drawers(stage, number)
            chooser = np.random.default_rng([self._config.seed, number])
            begin = self._restore(table, drawers, chooser, state) if state else 0
            state = None
            for step in self._steps(stage, begin, table, drawers, chooser, log):
                done += 1
                if checkpoint and (step % every == 0 or done == stop_after):
                    self._save(checkpoint, number, step, table, averaged, drawers, chooser)
                if done == stop_after:
                    return table.fold()
            vectors = table.vectors.numpy()
            averaged = averaged + vectors * self._config.average.get(stage.name, 0.0)
        rest = 1.0 - sum(self._config.average.values())
        final = TokenTable(self._parts, (averaged + vectors * rest).astype(np.float32))
        return final.fold()

    def _steps(
        self,
        stage: Stage,
        begin: int,
        table: TokenTable,
        drawers: Sequence[Drawer],
        chooser: np.random.Generator,
        log: Callable[[dict[str, Any]], None] | None,
    ) -> Iterator[int]:
        """Run the steps of one stage, giving the number of each when it is done."""
        shares = np.asarray([drawer.task.share for drawer in drawers])
        shares = shares / shares.sum()
        started = time.perf_counter()
        losses: dict[str, list[float]] = {}
        for step in range(begin + 1, stage.steps + 1):
            drawer = drawers[int(chooser.choice(len(drawers), p=shares))]
            loss = drawer.loss(table)
            if not torch.isfinite(loss):
                raise RecipeError(
                    f"stage {stage.name}, step {step}: the {drawer.task.objective} loss is {loss.item()}. "
                    f"Lower the learning rate (now {stage.learning_rate})."
                )
            loss.backward()  # type: ignore[no-untyped-call]
            table.update(_rate(stage, step))
            losses.setdefault(drawer.task.objective, []).append(loss.item())
            if log and (step % _LOG_EVERY == 0 or step == stage.steps):
                means = {name: round(float(np.mean(values)), 4) for name, values in losses.items()}
                seconds = round(time.perf_counter() - started, 1)
                log({"stage": stage.name, "step": step, "of": stage.steps, "seconds": seconds, "loss": means})
                losses = {}
            yield step

    def _drawers(self, stage: Stage, number: int) -> list[Drawer]:
        config = self._config
        return [
            Drawer(
                task, self._sources, config.dims, config.exponent, [config.seed, number, place], self._teacher
            )
            for place, task in enumerate(stage.tasks)
        ]

    def _save(
        self,
        path: Path,
        number: int,
        step: int,
        table: TokenTable,
        averaged: NDArray[np.float32],
        drawers: Sequence[Drawer],
        chooser: np.random.Generator,
    ) -> None:
        tensors = {"vectors": table.vectors, "mean": table.mean, "square": table.square}
        tensors["averaged"] = torch.from_numpy(averaged)
        state = {
            "stage": number,
            "step": step,
            "samplers": [drawer.sampler.state() for drawer in drawers],
            "chooser": chooser.bit_generator.state,
        }
        with publish_file(path) as temporary:
            safetensors.torch.save_file(tensors, temporary, {"state": json.dumps(state)})

    def _resume(
        self, path: Path | None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], int, dict[str, Any] | None]:
        if path is None or not path.exists():
            return self._start, np.zeros_like(self._start), 0, None
        try:
            with safetensors.safe_open(path, "pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no dictionary)
                state = json.loads(file.metadata()["state"])
        except safetensors.SafetensorError as error:
            raise InputError(f"{path}: damaged checkpoint ({error}). Delete it to start again.") from error
        state["tensors"] = tensors
        return tensors["vectors"].numpy(), tensors["averaged"].numpy(), state["stage"], state

    def _restore(
        self,
        table: TokenTable,
        drawers: Sequence[Drawer],
        chooser: np.random.Generator,
        state: dict[str, Any],
    ) -> int:
        """Put the state of a checkpoint into a stage's objects; returns the steps already done."""
        table.mean, table.square = state["tensors"]["mean"], state["tensors"]["square"]
        table.step = state["step"]
        for drawer, sampler in zip(drawers, state["samplers"], strict=True):
            drawer.sampler.restore(sampler)
        chooser.bit_generator.state = state["chooser"]
        return int(state["step"])


def _rate(stage: Stage, step: int) -> float:
    """Learning rate of a step: a rise over the warm-up, then a straight fall."""
    if step <= stage.warmup:
        return stage.learning_rate * step / stage.warmup
    left = 1 - (step - 1 - stage.warmup) / max(1, stage.steps - stage.warmup)
    return stage.learning_rate * (stage.final_rate + (1 - stage.final_rate) * left)
