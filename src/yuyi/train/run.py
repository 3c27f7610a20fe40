"""A settings file to a model folder: open what it names, see that it fits together, train, save."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from yuyi.errors import RecipeError
from yuyi.records import read_pairs
from yuyi.text.tokenizer import BatchTokenizer
from yuyi.train.checks import check_data, check_model
from yuyi.train.corpus import read_sources
from yuyi.train.distributed import open_world
from yuyi.train.loop import Trainer
from yuyi.train.model_config import ModelConfig
from yuyi.train.passages import read_texts
from yuyi.train.run_folder import RunFolder, run_facts
from yuyi.train.save import save_model
from yuyi.train.start import open_start
from yuyi.train.survey import survey
from yuyi.train.tasks import EmbeddingRunner
from yuyi.train.transformer import TransformerLearner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from yuyi.records import Pair
    from yuyi.train.config import Task
    from yuyi.train.distributed import World
    from yuyi.train.settings import TrainConfig
    from yuyi.train.survey import Surveyed
    from yuyi.train.tasks import Runner

    Log = Callable[[dict[str, Any]], None]

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True, slots=True)
class Shown:
    """Whom a run tells what it does; rank 0 alone does.

    Attributes:
        say: told a line at each turn.
        log: told a dictionary every few steps, after it is written to `training.jsonl`.
    """

    say: Callable[[str], None] = lambda line: None
    log: Log = lambda entry: None


def run_training(config: TrainConfig, folder: Path, shown: Shown, *, resume: bool = False) -> Path:
    """The folder of the model that a run makes.

    Started by `torchrun`, each process calls this, and all train one model together.

    Args:
        config: all that decides the run.
        folder: where the run lies, or is to lie.
        shown: whom to tell.
        resume: go on with the run in `folder` from its last checkpoint.

    Raises:
        RecipeError: settings and model or data do not fit each other, or a loss is not finite.
        InputError: a run is there already, or none to resume, or one that was begun otherwise; a file is
            missing, damaged or empty.
        ModelError: the model's folder cannot be used.
    """
    device = choose_device(config)
    run = RunFolder(folder, config.name)
    run.check(resume)
    with open_world(device.type) as world:
        if device.type == "cuda":
            device = torch.device("cuda", world.local)
        facts = run_facts(config, world.size)
        if resume:
            run.compare(facts)
            if run.model.exists():
                return run.model
        found = survey(config)
        check_data(config, found)
        at_work = _Run(config, run, world, device, shown if world.rank == 0 else Shown())
        if not resume:
            at_work.begin(facts)
        at_work.train(found)
    return run.model


def choose_device(config: TrainConfig) -> torch.device:
    """Where a run computes.

    Raises:
        RecipeError: there is no such device, or it does not compute in the precision that is asked for.
    """
    if config.device == "cuda" and not torch.cuda.is_available():
        raise RecipeError("device: cuda, and torch sees no GPU here. Choose cpu or auto.")
    wanted = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(wanted if config.device == "auto" and config.model else config.device)
    if device.type == "cpu" and config.precision == "float16":
        raise RecipeError(
            "precision: float16 is for GPUs, and there is none here. Choose bfloat16 or float32."
        )
    return device


def read_entries(config: TrainConfig) -> Iterator[Pair]:
    """Each pair of the files, under the names and kinds that the settings give."""
    for entry in config.data:
        for pair in read_pairs(Path(entry.path)):
            yield replace(pair, source=entry.name or pair.source, kind=entry.kind or pair.kind)


def corpus_texts(config: TrainConfig) -> Iterator[str]:
    """Every text of the files, for a tokenizer to be trained on."""
    for pair in read_entries(config):
        yield pair.text_a
        yield pair.text_b
    for path in config.documents:
        yield from read_texts(Path(path))


class _Run:
    """A run at work in one process."""

    def __init__(
        self, config: TrainConfig, folder: RunFolder, world: World, device: torch.device, shown: Shown
    ) -> None:
        self._config = config
        self._folder = folder
        self._world = world
        self._device = device
        self._shown = shown

    def begin(self, facts: dict[str, Any]) -> None:
        """Put the model that training begins with into the run's folder; rank 0 does, the others wait."""
        if self._world.rank == 0:
            self._shown.say("model: opening")
            assert self._config.model is not None
            model = open_start(self._config.model, corpus_texts(self._config), seed=self._config.seed)
            check_model(self._config, model)
            self._folder.make()
            save_model(self._folder.start, model)
            self._folder.begin(facts)
        self._world.wait()

    def train(self, found: Sequence[Surveyed]) -> None:
        """Train from the beginning or the last checkpoint, and save the model."""
        config = self._config
        model = open_start(ModelConfig(folder=str(self._folder.start)), seed=config.seed)
        check_model(config, model)
        config = replace(config, dims=config.dims or {model.embedder.dim: 1.0})
        self._shown.say("data: reading")
        sources = read_sources(read_entries(config), model.tokenizer, config.longest)
        frame = BatchTokenizer(model.tokenizer).frame(model.max_tokens)
        learner = TransformerLearner(
            model.embedder.to(self._device), frame, config.token_budget, PRECISIONS[config.precision]
        )

        def open_task(task: Task, seed: Sequence[int]) -> Runner:
            return EmbeddingRunner(
                task, learner, sources, config.dims, config.exponent, seed, None, self._world
            )

        trainer = Trainer(config, learner, open_task, self._world)
        trainer.run(self._folder.checkpoint, config.checkpoint.every, self._log)
        if self._world.rank == 0:
            save_model(
                self._folder.model,
                model,
                dims=tuple(config.dims) if len(config.dims) > 1 else (),
                card=_card_head(config),
                training=_training_text(config, found),
            )
        self._world.wait()

    def _log(self, entry: dict[str, Any]) -> None:
        if self._world.rank == 0:
            with self._folder.log.open("a", encoding="utf-8") as file:
                file.write(json.dumps(entry, ensure_ascii=False) + "\n")
            self._shown.log(entry)


def _card_head(config: TrainConfig) -> dict[str, Any]:
    head: dict[str, Any] = {}
    if config.license:
        head["license"] = config.license.lower()
    if config.languages:
        head["language"] = list(config.languages)
    return head


def _training_text(config: TrainConfig, found: Sequence[Surveyed]) -> str:
    """Stages, settings and data, for the card."""
    lines = []
    for stage in config.stages:
        total = sum(task.share for task in stage.tasks)
        tasks = ", ".join(
            f"{task.objective} {100 * task.share / total:.0f} % (batch {task.batch:,})"
            for task in stage.tasks
        )
        lines.append(f"- {stage.name}: {stage.steps:,} steps at {stage.learning_rate:g}; {tasks}")
    lines += ["", "| source | kind | rows |", "|---|---|---:|"]
    lines += [f"| {each.name} | {each.kind} | {each.rows:,} |" for each in found]
    lines.append(
        f"\nSources are drawn in proportion to their size to the power {config.exponent:g}; texts are read "
        f"up to {config.longest} tokens; {config.precision}; seed {config.seed}."
    )
    return "\n".join(lines)
