"""All that decides a run of `yuyi train`: one YAML file, every key checked before anything runs."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import NonNegativeInt, PositiveFloat, PositiveInt  # noqa: TC002 (pydantic reads them)

from yuyi.config import REFUSE_UNKNOWN, check_settings, read_yaml, with_settings
from yuyi.errors import RecipeError
from yuyi.train.config import Continual, Course, Stage, Task
from yuyi.train.reading.masking import Decoding, Masking
from yuyi.train.reading.passages import PassageConfig
from yuyi.train.starting.model_config import ModelConfig  # noqa: TC001 (pydantic reads the annotation)
from yuyi.train.starting.vocabulary import VocabularyConfig  # noqa: TC001 (pydantic reads the annotation)
from yuyi.train.teaching.teacher import TeacherConfig  # noqa: TC001 (pydantic reads the annotation)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Precision = Literal["float32", "bfloat16", "float16"]
Device = Literal["auto", "cpu", "cuda"]

_OF_TEACHER = ("align",)
# What may be the name of a folder.
_FOLDER = r"\w[\w.-]*"
# What else lies in the folder of a run.
_TAKEN = (
    "bad-batch.json",
    "checkpoints",
    "corpus",
    "curves.png",
    "passages",
    "run.json",
    "stages",
    "start",
    "tensorboard",
    "training.jsonl",
)
# Keys under which a recipe of `yuyi run` stands apart from a run of `yuyi train`.
_OF_RECIPE = ("table", "prepare", "left_out", "evaluation")


@dataclass(frozen=True, slots=True, kw_only=True)
class DataEntry:
    """A file of pairs.

    Attributes:
        path: Parquet or JSONL file, as `yuyi data mix` writes it or as other tools train on
            (`yuyi.train.reading.pair_files`).
        name: of the collection, in place of the rows' own `source`.
        kind: what the two texts of a pair are to each other, in place of the rows' own `kind`.
    """

    __pydantic_config__: ClassVar = REFUSE_UNKNOWN

    path: str
    name: str = ""
    kind: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointConfig:
    """When the state of a run is saved.

    Attributes:
        every: steps between checkpoints.
        keep: how many stay on disk, the newest.
    """

    __pydantic_config__: ClassVar = REFUSE_UNKNOWN

    every: PositiveInt = 500
    keep: PositiveInt = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class LogConfig:
    """Where the log goes, beside `training.jsonl` in the folder of the run.

    Attributes:
        every: steps between its lines.
        tensorboard: whether TensorBoard's files are written, into `tensorboard` in the folder of the run.
        trackio: project of trackio that shows it; empty for none.
    """

    __pydantic_config__: ClassVar = REFUSE_UNKNOWN

    every: PositiveInt = 20
    tensorboard: bool = False
    trackio: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig(Course):
    """A training run. Paths are relative to the file that they stand in.

    Attributes:
        name: of the model, and of its folder.
        model: the transformer that training starts from; this or `vocabulary`.
        vocabulary: of a token table, counted in the pairs.
        data: files of pairs.
        hold_out: rows of each source that are never trained on, at most a tenth of its distinct pairs; probes
            score them. Their texts stay out of all other rows, new and old, of negatives, of pairs among
            `documents`, and of what a teacher is asked, but for labels and for answers that more than ten
            rows have. Whole texts are compared: a document that quotes one is read, and so is a file of
            `teacher.vectors`. Data of which most would go for the sake of these rows are refused.
        documents: Parquet files of documents or pairs whose texts `mlm` and `retromae` read.
        dims: Matryoshka dimensions with their weights, largest first; empty for the model's own alone.
        passages: how documents become rows of tokens.
        masking: how much of a row is hidden.
        decoding: what the decoder of `retromae` is given.
        teacher: an encoder whose vectors `align` follows; a token table begins with its words, too.
        continual: what keeps a model from forgetting what it knew.
        replay: files of pairs that the model learned from before, for `continual`.
        precision: of the products; weights, pooling and losses are float32. The others need less memory and
            on a fitting device less time.
        token_budget: tokens whose activations are in memory at once; fewer need less memory and more time.
            Else it changes rounding alone, but with dropout, which is drawn by chunk, other values are left
            out.
        checkpointing: whether each layer's inside is computed again for its gradient; less memory, a third
            more time.
        device: where it computes; `auto` takes a GPU if there is one.
        checkpoint: when the state is saved.
        log: where the log goes.
        keep_stages: whether the model that each stage ends with is saved, as `stages/STAGE` in the folder of
            the run, before any average of stages.
        license: SPDX identifier for the model's card.
        languages: codes for the model's card.
    """

    __pydantic_config__: ClassVar = REFUSE_UNKNOWN

    name: str
    model: ModelConfig | None = None
    vocabulary: VocabularyConfig | None = None
    data: tuple[DataEntry, ...] = ()
    hold_out: NonNegativeInt = 0
    documents: tuple[str, ...] = ()
    dims: dict[PositiveInt, PositiveFloat] = field(default_factory=dict)
    passages: PassageConfig = field(default_factory=PassageConfig)
    masking: Masking = field(default_factory=Masking)
    decoding: Decoding = field(default_factory=Decoding)
    teacher: TeacherConfig | None = None
    continual: Continual | None = None
    replay: tuple[DataEntry, ...] = ()
    precision: Precision = "float32"
    token_budget: PositiveInt = 16_384
    checkpointing: bool = False
    device: Device = "auto"
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    log: LogConfig = field(default_factory=LogConfig)
    keep_stages: bool = False
    license: str = ""
    languages: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what no key by itself can be blamed for.

        Raises:
            RecipeError: keys contradict each other; the message names them.
        """
        if not re.fullmatch(_FOLDER, self.name):
            raise RecipeError(
                f"name: {self.name!r} cannot be the name of a folder. Use letters, digits, - and _."
            )
        if self.name.lower() in _TAKEN:
            raise RecipeError(
                f"name: {self.name} is what something else in the folder of a run is called. Choose another."
            )
        if (self.model is None) == (self.vocabulary is None):
            given = "neither is there" if self.model is None else "both are there"
            raise RecipeError(
                f"model, vocabulary: {given}. Give model for a transformer, or vocabulary for a token table."
            )
        self._check_course()
        for where, stage, task in self.tasks():
            self._check_task(where, stage, task)

    def tasks(self) -> Iterator[tuple[str, Stage, Task]]:
        """Each task with its stage and the dotted key under which it stands."""
        for number, stage in enumerate(self.stages):
            for place, task in enumerate(stage.tasks):
                yield f"stages.{number}.tasks.{place}", stage, task
            for kind, route in stage.routes.items():
                if route is not None:
                    yield f"stages.{number}.routes.{kind}", stage, route

    def _check_course(self) -> None:
        if list(self.dims) != sorted(self.dims, reverse=True):
            raise RecipeError(f"dims: {list(self.dims)} do not fall. Put the largest first.")
        odd = next((path for path in self.documents if Path(path).suffix.lower() != ".parquet"), None)
        if odd is not None:
            raise RecipeError(
                f"documents: {odd} is no Parquet file. Documents are read from Parquet alone; `yuyi data` "
                "makes it of other files."
            )
        names = [stage.name for stage in self.stages]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise RecipeError(f"stages: two are called {twice!r}. Give each a name of its own.")
        unfit = [name for name in names if not re.fullmatch(_FOLDER, name)]
        if self.keep_stages and unfit:
            raise RecipeError(
                f"keep_stages: {unfit[0]!r} cannot be the name of a folder. Give the stage another name."
            )
        unknown = [name for name in self.average if name not in names]
        if unknown:
            raise RecipeError(f"average.{unknown[0]}: no such stage. Choose from {', '.join(names)}.")
        if sum(self.average.values()) > 1:
            raise RecipeError(
                f"average: {self.average} are more than 1 together; the last stage has the rest. Lower one."
            )
        for number, stage in enumerate(self.stages):
            self._check_stage(f"stages.{number}", stage)
        if self.precision == "float16" and self.device == "cpu":
            raise RecipeError(
                "precision: float16 is for GPUs; processors have bfloat16 or float32. Choose one of these."
            )
        if self.continual is not None:
            self._check_continual(self.continual)
        elif self.replay:
            raise RecipeError(
                f"replay: {self.replay[0].path}, and no key says how it is replayed. Give continual, or put "
                "the file under data."
            )
        if self.vocabulary is not None:
            self._check_table(self.vocabulary)

    def _check_stage(self, where: str, stage: Stage) -> None:
        if stage.probe and not self.hold_out:
            raise RecipeError(f"{where}.probe: {stage.probe}, and no rows are held out. Write hold_out: 500.")
        if not stage.tasks and not self.data:
            raise RecipeError(f"{where}.tasks: none, and there are no pairs to make some from. Name one.")
        if stage.learning_rate is None and self.model is not None:
            raise RecipeError(
                f"{where}.learning_rate: missing. A transformer needs one; write, say, 0.00002 "
                "for a trained one and 0.0005 for one from its first weights."
            )
        if stage.warmup >= stage.steps:
            raise RecipeError(
                f"{where}.warmup: {stage.warmup} of {stage.steps} steps; the learning rate would "
                "never fall. Lower it."
            )

    def _check_table(self, vocabulary: VocabularyConfig) -> None:
        """Refuse what a token table has not."""
        if not self.dims:
            raise RecipeError("dims: empty. A token table needs at least one; write, say, dims: {256: 1}")
        if self.device == "cuda":
            raise RecipeError("device: cuda; a token table is trained on the processor. Leave it out.")
        if self.precision != "float32":
            raise RecipeError(
                f"precision: {self.precision}; a token table is trained in float32. Leave it out."
            )
        for key, why in (
            ("checkpointing", "a token table has no layers"),
            ("documents", "a token table learns from pairs alone"),
        ):
            if getattr(self, key):
                raise RecipeError(f"{key}: is set, and {why}. Leave it out.")
        if not self.data:
            raise RecipeError("data: empty; the vocabulary of a token table is counted in pairs. Add a file.")
        if vocabulary.lexicon and (self.teacher is None or self.teacher.vectors):
            raise RecipeError(
                f"vocabulary.lexicon: {vocabulary.lexicon:,} words of a teacher, and there is no "
                "teacher that has words. Give teacher.folder or teacher.package, or leave it out."
            )

    def _check_continual(self, continual: Continual) -> None:
        if self.model is not None and self.model.folder not in ("", continual.previous):
            raise RecipeError(
                f"continual.previous: {continual.previous}, and model.folder is {self.model.folder}. A run "
                "starts from the previous model: make them equal."
            )
        if self.model is None or not self.model.folder:
            raise RecipeError("continual: goes on from a transformer's folder. Give model.folder.")
        if continual.replay and not self.replay:
            raise RecipeError(
                f"continual.replay: {continual.replay}, and no file of old pairs is named. Give replay, or "
                "set it to 0."
            )

    def _check_task(self, where: str, stage: Stage, task: Task) -> None:
        if task.reads_documents:
            if self.vocabulary is not None:
                raise RecipeError(
                    f"{where}.objective: {task.objective} hides words from a transformer; a token table has "
                    "nothing to guess them from. Drop the task."
                )
            if not self.documents:
                raise RecipeError(
                    f"{where}.objective: {task.objective} reads documents, and there are none. Add some."
                )
        elif task.objective in _OF_TEACHER and self.teacher is None:
            raise RecipeError(
                f"{where}.objective: {task.objective} follows a teacher, and there is none. Name one under "
                "teacher, or drop the task."
            )
        elif not self.data and not (task.objective in _OF_TEACHER and self.teacher and self.teacher.vectors):
            raise RecipeError(
                f"{where}.objective: {task.objective} reads pairs, and data is empty. Add a file of pairs."
            )
        self._check_rows(where, task)
        for key in ("query_prompt", "document_prompt"):
            if getattr(task, key) and self.vocabulary is not None:
                raise RecipeError(
                    f"{where}.{key}: {getattr(task, key)!r}; a token table has no prompts. Leave it out."
                )
        if task.projection and self.vocabulary is not None:
            raise RecipeError(
                f"{where}.projection: true; a token table has rows alone, and no layer beside them. Leave it "
                "out, and let dims be no more than the teacher's dimensions."
            )
        if task.hardness and task.hardness_on == "hard_negatives" and not task.negatives:
            raise RecipeError(
                f"{where}.hardness: {task.hardness} weighs hard negatives, and negatives is 0. Raise "
                "negatives, or choose hardness_on: in_batch_negatives."
            )
        for key in ("query_tokens", "document_tokens"):
            limit = getattr(task, key)
            if limit is not None and limit > self.longest:
                raise RecipeError(
                    f"{where}.{key}: {limit}, and longest cuts every text at {self.longest}. Raise longest."
                )

    @staticmethod
    def _check_rows(where: str, task: Task) -> None:
        """Refuse tasks that learn nothing whatever the data."""
        in_batch = (
            task.objective in ("labels", "judged")
            or (task.objective == "contrast" and not task.negatives)
            or (task.objective == "align" and task.relation == 1)
        )
        if in_batch and task.batch < 2:
            raise RecipeError(
                f"{where}.batch: {task.batch}; {task.objective} compares the rows of a batch. Raise it to 2."
            )
        if task.objective == "labels" and task.labels_by == "negatives" and not task.negatives:
            raise RecipeError(
                f"{where}.negatives: 0; labels_by: negatives compares a text with those of other labels. "
                "Raise it to 1, or choose labels_by: contrast."
            )
        if task.objective == "judged" and not (task.ranking or task.pairing):
            raise RecipeError(f"{where}.ranking: 0, and pairing is 0 too, so nothing is learned. Raise one.")


def read_train_config(path: Path, assignments: Mapping[str, Any] | None = None) -> TrainConfig:
    """The run that a YAML file describes, changed by single assignments.

    Args:
        path: the file; paths in it become relative to the current folder.
        assignments: values by dotted key, such as `{"stages.0.steps": 100}`.

    Raises:
        RecipeError: the file is missing or no YAML, a key is unknown, a value is impossible, or keys
            contradict each other.
    """
    values = read_yaml(path)
    if any(name in values for name in _OF_RECIPE) and "stages" not in values:
        raise RecipeError(
            f"{path}: a recipe, which makes its own data. Run it with `yuyi run {path}`; `yuyi train` takes "
            "a file with model, data and stages."
        )
    config = check_settings(TrainConfig, with_settings(values, assignments or {}), str(path))
    return _relative_to(config, path.parent)


def _relative_to(config: TrainConfig, base: Path) -> TrainConfig:
    """The same run with every path as seen from the current folder."""
    changes: dict[str, Any] = {
        name: tuple(replace(entry, path=_under(base, entry.path)) for entry in getattr(config, name))
        for name in ("data", "replay")
    }
    changes["documents"] = tuple(_under(base, path) for path in config.documents)
    model = config.model
    if model is not None:
        tokenizer = model.tokenizer
        if tokenizer is not None:
            tokenizer = replace(tokenizer, folder=_under(base, tokenizer.folder))
        changes["model"] = replace(model, folder=_under(base, model.folder), tokenizer=tokenizer)
    if config.teacher is not None:
        folder, vectors = (_under(base, path) for path in (config.teacher.folder, config.teacher.vectors))
        changes["teacher"] = replace(config.teacher, folder=folder, vectors=vectors)
    if config.continual is not None:
        changes["continual"] = replace(config.continual, previous=_under(base, config.continual.previous))
    return replace(config, **changes)


def _under(base: Path, path: str) -> str:
    return str(base / Path(path).expanduser()) if path else ""
