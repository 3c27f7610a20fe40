"""A settings file to a model folder: open what it names, see that it fits together, train, save."""

from __future__ import annotations

import shutil
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch

from yuyi.artifacts import publish_folder
from yuyi.errors import InputError, RecipeError
from yuyi.extras import EXTRAS
from yuyi.text.tokenizer import BatchTokenizer
from yuyi.train.checks import check_data, check_model
from yuyi.train.distributed import open_world
from yuyi.train.loop import JOURNAL, Trainer
from yuyi.train.materials import Materials
from yuyi.train.mlm import MaskedRunner
from yuyi.train.planning.survey import read_entries
from yuyi.train.reading.passages import read_texts
from yuyi.train.retromae import RetroRunner
from yuyi.train.running.curves import draw_curves
from yuyi.train.running.monitor import tell, tensorboard_log, trackio_log
from yuyi.train.running.run_folder import RunFolder, run_facts
from yuyi.train.starting.model_config import ModelConfig
from yuyi.train.starting.save import save_model
from yuyi.train.starting.start import open_start
from yuyi.train.starting.vocabulary import learn_tokenizer
from yuyi.train.static import train_table
from yuyi.train.tasks import EmbeddingRunner
from yuyi.train.teaching.continual import Previous
from yuyi.train.transformer import TransformerLearner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray
    from tokenizers import Tokenizer

    from yuyi.train.config import Course, Task
    from yuyi.train.distributed import World
    from yuyi.train.reading.sources import Source
    from yuyi.train.running.monitor import Entry, Log
    from yuyi.train.settings import TrainConfig
    from yuyi.train.tasks import Runner

    WriteTable = Callable[[Path, Tokenizer, NDArray[Any]], None]

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


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
        facts = run_facts(config, world.size)
        if resume:
            run.compare(facts)
            if run.model.exists():
                return run.model
        if config.vocabulary is not None:
            if world.size > 1:
                raise InputError(
                    f"WORLD_SIZE is {world.size}: a token table is trained by one process. Start without "
                    "torchrun."
                )
            assert write_table is not None
            _train_table(config, run, shown, facts, write_table)
            return run.model
        if device.type == "cuda":
            device = torch.device("cuda", world.local)
        fresh = not folder.exists()
        try:
            _Run(config, run, world, device, shown).train(facts)
        except BaseException:
            # What cannot be trained leaves nothing; a run that has begun leaves all.
            if fresh and world.rank == 0 and not run.facts.exists():
                shutil.rmtree(folder, ignore_errors=True)
            raise
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


def corpus_texts(config: TrainConfig) -> Iterator[str]:
    """Every text of the files, for a tokenizer to be trained on."""
    for pair in read_entries(config):
        yield pair.text_a
        yield pair.text_b
        yield from pair.negatives
    for path in config.documents:
        yield from read_texts(Path(path))


class _Run:
    """The run of a transformer in one process."""

    def __init__(
        self, config: TrainConfig, folder: RunFolder, world: World, device: torch.device, shown: Shown
    ) -> None:
        self._config = config
        self._folder = folder
        self._world = world
        self._device = device
        self._shown = shown

    def train(self, facts: dict[str, Any]) -> None:
        """Train from the beginning or the last checkpoint, and save the model."""
        config = self._config
        assert config.model is not None
        if self._world.rank == 0 and not self._folder.start.exists():
            self._shown.say("model: opening")
            model = open_start(config.model, corpus_texts(config), seed=config.seed)
            check_model(config, model)
            self._folder.make()
            save_model(self._folder.start, model)
        self._world.wait()
        start = ModelConfig(
            folder=str(self._folder.start),
            dropout=config.model.dropout,
            attention_dropout=config.model.attention_dropout,
        )
        model = open_start(start)
        config = replace(config, dims=config.dims or {model.embedder.dim: 1.0})
        model.embedder.encoder.checkpointing = config.checkpointing
        frame = BatchTokenizer(model.tokenizer).frame(model.max_tokens)
        learner = TransformerLearner(
            model.embedder.to(self._device), frame, config.token_budget, PRECISIONS[config.precision]
        )
        self._shown.say("data: opening")
        materials = Materials(config, model, self._folder, self._shown.say)
        course = materials.course()
        if self._world.rank == 0 and config.documents:
            materials.passages(frame)  # The others find them written.
        self._world.wait()
        opened = self._open_all(course, materials)
        if self._world.rank == 0 and not self._folder.facts.exists():
            self._folder.begin(facts)
        previous = Previous(learner) if config.continual else None

        def open_task(task: Task, seed: Sequence[int]) -> Runner:
            if task.objective in ("mlm", "retromae"):
                passages = materials.passages(frame)
                whole = (task, learner, passages, model.tokenizer, config.masking)
                if task.objective == "mlm":
                    return MaskedRunner(*whole, seed, self._world)
                return RetroRunner(*whole, config.decoding, seed, self._world)
            vectors = materials.teacher()[1] if task.objective == "align" else None
            return EmbeddingRunner(
                task, learner, materials.sources(task), config.dims, config.exponent, seed, vectors,
                self._world, previous=previous,
            )  # fmt: skip

        trainer = Trainer(
            course, learner, open_task, self._world, probe=materials.probe(course), corpus=materials.digest()
        )
        trainer.run(
            self._folder.path,
            config.checkpoint.every,
            keep=config.checkpoint.keep,
            log=self._log() if self._world.rank == 0 else None,
            log_every=config.log.every,
        )
        if previous is not None and config.continual is not None:
            previous.merge_into(learner, config.continual.merge)
        if self._world.rank == 0:
            self._draw()
            save_model(
                self._folder.model,
                model,
                dims=tuple(config.dims) if len(config.dims) > 1 else (),
                card=_card_head(config),
                training=_training_text(course, config, opened),
            )
        self._world.wait()

    def _open_all(self, course: Course, materials: Materials) -> list[Source]:
        """Every source that a task draws from, after checking all tasks of all stages."""
        found: dict[tuple[str, str], Source] = {}
        for number, stage in enumerate(course.stages):
            for place, task in enumerate(stage.tasks):
                if task.objective in ("mlm", "retromae"):
                    continue
                sources = materials.sources(task)
                check_data(f"stages.{number}.tasks.{place}", task, sources)
                found |= {(each.name, each.kind): each for each in sources}
        return [found[key] for key in sorted(found)]

    def _log(self) -> Log:
        config = self._config
        board = tensorboard_log(self._folder.path / "tensorboard") if config.log.tensorboard else None
        trackio = trackio_log(config.log.trackio, config.name) if config.log.trackio else None
        return tell(self._shown.log, board, trackio)

    def _draw(self) -> None:
        """The curves, where matplotlib is installed."""
        if all(find_spec(name) is not None for name in EXTRAS["report"]):
            draw_curves(self._folder.path / JOURNAL, self._folder.curves)


def _train_table(
    config: TrainConfig, run: RunFolder, shown: Shown, facts: dict[str, Any], write_table: WriteTable
) -> None:
    """Count the vocabulary, train the table, write it."""
    assert config.vocabulary is not None
    shown.say("vocabulary: counting words")
    tokenizer = learn_tokenizer(read_entries(config), config.vocabulary)
    run.make()
    run.begin(facts)
    shown.say("table: training")
    table = train_table(config, tokenizer, read_entries(config), None, run.path, shown.log)
    with publish_folder(run.model) as folder:
        write_table(folder, tokenizer, table)


def _card_head(config: TrainConfig) -> dict[str, Any]:
    head: dict[str, Any] = {}
    if config.license:
        head["license"] = config.license.lower()
    if config.languages:
        head["language"] = list(config.languages)
    return head


def _training_text(course: Course, config: TrainConfig, sources: Sequence[Source]) -> str:
    """Stages, settings and data, for the card."""
    lines = []
    for stage in course.stages:
        total = sum(task.share for task in stage.tasks)
        tasks = ", ".join(
            f"{task.objective} {100 * task.share / total:.0f} % (batches of up to {task.batch:,})"
            for task in stage.tasks
        )
        lines.append(f"- {stage.name}: {stage.steps:,} steps at {stage.learning_rate:g}; {tasks}")
    lines += ["", "| source | kind | rows |", "|---|---|---:|"]
    lines += [f"| {each.name} | {each.kind} | {len(each):,} |" for each in sources]
    lines.append(
        f"\nSources are drawn in proportion to their size to the power {config.exponent:g}; texts are read "
        f"up to {config.longest} tokens; {config.precision}; seed {config.seed}."
    )
    return "\n".join(lines)
