"""A settings file to a model folder: open what it names, see that it fits together, train, save."""

from __future__ import annotations

import warnings
from contextlib import nullcontext
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol

import torch

from yuyi.errors import InputError, RecipeError, YuyiWarning
from yuyi.extras import EXTRAS
from yuyi.train.checks import check_data, warn_of_kinds
from yuyi.train.distributed import open_world
from yuyi.train.loop import JOURNAL, Trainer
from yuyi.train.materials import Materials
from yuyi.train.mlm import MaskedRunner
from yuyi.train.record import training_record
from yuyi.train.retromae import RetroRunner
from yuyi.train.running.curves import draw_curves
from yuyi.train.running.monitor import tell, tensorboard_log, trackio_log
from yuyi.train.running.run_folder import RunFolder, run_facts
from yuyi.train.tasks import EmbeddingRunner
from yuyi.train.teaching.continual import Previous
from yuyi.train.trainees import begin, open_trainee
from yuyi.train.transformer import TransformerLearner
from yuyi.training_record import read_record

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from yuyi.train.config import Course, Task
    from yuyi.train.distributed import World
    from yuyi.train.learner import Learner
    from yuyi.train.reading.sources import Source
    from yuyi.train.running.monitor import Entry, Log
    from yuyi.train.settings import TrainConfig
    from yuyi.train.stage_run import OpenTask
    from yuyi.train.tasks import Runner
    from yuyi.train.trainees import Trainee, WriteTable


class Shown(Protocol):
    """Whom a run tells what it does."""

    def say(self, line: str) -> None:
        """Take a line at each turn."""
        ...

    def log(self, entry: Entry) -> None:
        """Take a log line; see `yuyi.train.running.monitor`."""
        ...


def run_training(
    config: TrainConfig,
    folder: Path,
    shown: Shown,
    *,
    resume: bool = False,
    write_table: WriteTable | None = None,
) -> Path:
    """The folder of the model that a run makes.

    Started by `torchrun`, each process calls this, and all train one model together.

    Args:
        config: all that decides the run.
        folder: where the run lies, or is to lie.
        shown: whom to tell.
        resume: go on with the run in `folder` from its last checkpoint.
        write_table: writes a token table into an empty folder; needed for one.

    Raises:
        RecipeError: settings and model or data do not fit each other, the run to resume was begun otherwise,
            or a loss is not finite.
        InputError: a run is there already, or none to resume; a file is missing, damaged or empty.
        ModelError: the model's folder cannot be used.
    """
    device = choose_device(config)
    run = RunFolder(folder, config.name)
    run.check(resume)
    with open_world(device.type) as world:
        if config.vocabulary is not None and world.size > 1:
            raise InputError(
                f"WORLD_SIZE is {world.size}: a token table is trained by one process. Start without "
                "torchrun."
            )
        facts = run_facts(config, world.size)
        if resume:
            run.compare(facts)
            if run.model.exists():
                return run.model
        if device.type == "cuda":
            device = torch.device("cuda", world.local)
        with run.alone() if world.rank == 0 else nullcontext():
            if world.rank == 0:
                run.check(resume)  # Another process may have been here a moment ago.
            with warnings.catch_warnings():
                if world.rank:  # The first tells.
                    warnings.simplefilter("ignore", YuyiWarning)
                _Run(config, run, world, device, shown, write_table, resume=resume).train(facts)
    return run.model


def choose_device(config: TrainConfig) -> torch.device:
    """Where a run computes.

    Raises:
        RecipeError: there is no such device, or it does not compute in the precision that is asked for.
    """
    there = torch.cuda.is_available()
    if config.device == "cuda" and not there:
        raise RecipeError("device: cuda, and torch sees no GPU here. Choose cpu or auto.")
    on_gpu = there and config.device != "cpu" and config.model is not None
    device = torch.device("cuda" if on_gpu else "cpu")
    if device.type == "cpu" and config.precision == "float16":
        raise RecipeError(
            "precision: float16 is for GPUs, and there is none here. Choose bfloat16 or float32."
        )
    return device


class _Run:
    """A run in one process."""

    def __init__(
        self,
        config: TrainConfig,
        folder: RunFolder,
        world: World,
        device: torch.device,
        shown: Shown,
        write_table: WriteTable | None,
        *,
        resume: bool,
    ) -> None:
        self._config = config
        self._folder = folder
        self._world = world
        self._device = device
        self._shown = shown
        self._write_table = write_table
        self._resume = resume
        self._first = world.rank == 0

    def train(self, facts: dict[str, Any]) -> None:
        """Train from the beginning or the last checkpoint, and save the model."""
        self._shown.say("model: opening")
        if self._first and not self._resume:
            begin(self._config, self._folder.start)
        self._world.wait()
        trainee = open_trainee(self._config, self._folder.start, self._device, self._write_table)
        # Where no dimensions are given, they are the model's own alone.
        self._config = replace(self._config, dims=self._config.dims or {trainee.dim: 1.0})
        self._shown.say("data: opening")
        materials = Materials(self._config, trainee, self._folder, self._shown.say)
        digest = materials.digest()
        if self._resume:
            self._folder.compare({"corpus": digest})
        course = materials.course()
        if self._first and any(task.reads_documents for _, _, task in self._config.tasks()):
            materials.passages()  # The others find them written.
        self._world.wait()
        opened = self._open_all(course, materials)
        learner = trainee.learner(materials)
        previous = Previous(learner) if self._config.continual else None
        open_task = self._opener(learner, materials, trainee, previous)
        trainer = Trainer(
            course, learner, open_task, self._world, probe=materials.probe(course), corpus=digest
        )
        if not self._resume:
            trainer.check()
            if self._first:
                self._folder.begin({**facts, "corpus": digest})
        self._teach(trainer, trainee)
        if previous is not None and self._config.continual is not None:
            previous.merge_into(learner, self._config.continual.merge)
        if self._first:
            self._draw()
            before = read_record(self._folder.start) or {}
            trainee.save(self._folder.model, training_record(course, self._config, opened, before))
        self._world.wait()

    def _opener(
        self, learner: Learner, materials: Materials, trainee: Trainee, previous: Previous | None
    ) -> OpenTask:
        """What opens a task of a stage."""
        config = self._config

        def open_task(task: Task, seed: Sequence[int]) -> Runner:
            if task.reads_documents:
                assert isinstance(learner, TransformerLearner)
                whole = (task, learner, materials.passages(), trainee.tokenizer, config.masking)
                if task.objective == "mlm":
                    return MaskedRunner(*whole, seed, self._world)
                return RetroRunner(*whole, config.decoding, seed, self._world)
            vectors = materials.teacher().vectors if task.objective == "align" else None
            return EmbeddingRunner(
                task, learner, materials.sources(task), config.dims, config.exponent, seed, vectors,
                self._world, previous=previous,
            )  # fmt: skip

        return open_task

    def _teach(self, trainer: Trainer, trainee: Trainee) -> None:
        """Take the steps."""
        config = self._config

        def keep(stage: str) -> None:
            path = self._folder.stage(stage)
            if self._first and not path.exists():
                path.parent.mkdir(exist_ok=True)
                trainee.save(path)

        trainer.run(
            self._folder.path,
            config.checkpoint.every,
            keep=config.checkpoint.keep,
            log=self._log() if self._first else None,
            log_every=config.log.every,
            stage_over=keep if config.keep_stages else None,
        )

    def _open_all(self, course: Course, materials: Materials) -> list[Source]:
        """Every source that a task draws from, after checking all tasks of all stages."""
        found: dict[tuple[str, str], Source] = {}
        for number, stage in enumerate(course.stages):
            for place, task in enumerate(stage.tasks):
                if task.reads_documents:
                    continue
                drawn = check_data(f"stages.{number}.tasks.{place}", task, materials.sources(task))
                found |= {(each.name, each.kind): each for each in drawn}
        opened = [found[key] for key in sorted(found)]
        if self._first:
            warn_of_kinds(self._config, opened)
        return opened

    def _log(self) -> Log:
        config = self._config
        board = tensorboard_log(self._folder.path / "tensorboard") if config.log.tensorboard else None
        trackio = trackio_log(config.log.trackio, config.name) if config.log.trackio else None
        return tell(self._shown.log, board, trackio)

    def _draw(self) -> None:
        """The curves, where matplotlib is installed."""
        if all(find_spec(name) is not None for name in EXTRAS["report"]):
            draw_curves(self._folder.path / JOURNAL, self._folder.curves)
