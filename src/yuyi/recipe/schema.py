"""The recipe file: YAML whose every key is checked before anything runs."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from yuyi.config import REFUSE_UNKNOWN, check_settings, read_yaml
from yuyi.data.config import DataConfig
from yuyi.errors import RecipeError
from yuyi.extras import require
from yuyi.train.config import Course  # noqa: TC001 (pydantic reads the annotation)
from yuyi.train.starting.vocabulary import VocabularyConfig
from yuyi.train.teaching.teacher import TeacherConfig  # noqa: TC001 (pydantic reads the annotation)

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceEntry:
    """A file of training data, and by what right it is used.

    Attributes:
        path: Parquet file, text file or folder, relative to the data folder.
        origin: where it comes from, owner/name.
        licence: as its origin states it.
    """

    __pydantic_config__: ClassVar = REFUSE_UNKNOWN

    path: str
    origin: str
    licence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A file that could have been used and was not.

    Attributes:
        path: as in `SourceEntry`.
        reason: why not.
    """

    __pydantic_config__: ClassVar = REFUSE_UNKNOWN

    path: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """All that decides a model.

    Attributes:
        name: of the model.
        license: SPDX identifier of the model.
        languages: codes, for the card.
        data: data folder, relative to the recipe's own folder.
        documents: files that pairs are taken from.
        pairs: files of ready pairs.
        table: dimensions and stages.
        vocabulary: sizes of the vocabulary.
        teacher: a sentence encoder to learn from, or None.
        prepare: settings of the steps of `yuyi data`, but for what they read and keep out, which stands here;
            all that no step marks is taken, since training draws by shares itself.
        evaluation: folder of evaluation sets below the data folder: kept out of training, scored at the end.
        left_out: what was not used, and why.
        limits: sentences for the card on what the model cannot do.
    """

    __pydantic_config__: ClassVar = REFUSE_UNKNOWN

    name: str
    license: str
    languages: tuple[str, ...]
    data: str
    table: Course
    documents: tuple[SourceEntry, ...] = ()
    pairs: tuple[SourceEntry, ...] = ()
    vocabulary: VocabularyConfig = field(default_factory=VocabularyConfig)
    teacher: TeacherConfig | None = None
    prepare: DataConfig = field(default_factory=DataConfig)
    evaluation: str = ""
    left_out: tuple[LeftOut, ...] = ()
    limits: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what no key by itself can be blamed for.

        Raises:
            RecipeError: a name that cannot name a folder, nothing to learn from, dimensions out of order, an
                average over a stage that there is not, a task that needs a teacher where there is none.
        """
        if not re.fullmatch(r"\w[\w.-]*", self.name):
            raise RecipeError(
                f"name: {self.name!r} cannot be the name of a folder. Use letters, digits, - and _."
            )
        if self.prepare.extract.sources or self.prepare.decontaminate:
            raise RecipeError(
                "prepare: what is read and kept out stands in documents, pairs and evaluation. Name it there."
            )
        mix = self.prepare.mix
        if (mix.size, mix.columns, mix.format) != (None, "yuyi", "parquet"):
            raise RecipeError(
                "prepare.mix: size, columns and format are fixed here: training reads every pair, and draws "
                "by table.exponent. Leave them out."
            )
        if not self.documents and not self.pairs:
            raise RecipeError("documents, pairs: both are empty. Name at least one file to learn from.")
        table = self.table
        if list(table.dims) != sorted(table.dims, reverse=True):
            raise RecipeError(f"table.dims: {list(table.dims)} do not fall. Put the largest first.")
        names = [stage.name for stage in table.stages]
        unknown = [name for name in table.average if name not in names]
        if unknown or sum(table.average.values()) > 1:
            raise RecipeError(
                f"table.average: {table.average} are no shares of the stages {', '.join(names)}. "
                "Mend their names, or lower them to 1 in all."
            )
        aligned = any(task.objective == "align" for stage in table.stages for task in stage.tasks)
        if aligned and self.teacher is None:
            raise RecipeError(
                "table.stages: a task is to align, and there is no teacher. Name one, or drop it."
            )


def read_recipe(path: Path) -> Recipe:
    """The recipe in a YAML file.

    Raises:
        RecipeError: the file is missing or no YAML, a key is unknown, a value is impossible.
        MissingExtra: a package of the `train` extra is not installed.
    """
    require("train")
    return check_settings(Recipe, read_yaml(path), str(path))
