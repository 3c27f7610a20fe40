"""Settings held against the data and the model that they name, before anything is trained."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from yuyi.errors import RecipeError, YuyiWarning
from yuyi.text.tokenizer import BatchTokenizer
from yuyi.train.drawing.prepared import prepare
from yuyi.train.routes import KINDS, check, fits, task_kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from yuyi.train.config import Task
    from yuyi.train.reading.sources import Source
    from yuyi.train.settings import TrainConfig
    from yuyi.train.starting.start import TextModel


def check_data(where: str, task: Task, sources: Sequence[Source]) -> list[Source]:
    """The sources that a task can learn from, after refusing one that the data cannot serve.

    What `prepare` warns of is not told here: it is when the task is opened.

    Args:
        where: the dotted key of the task.
        task: what is wanted.
        sources: all that there is to draw from.

    Raises:
        RecipeError: it names a source or kind that there is not, finds nothing that fits, wants negatives
            that no row brings, or can learn nothing from any source.
        InputError: the labels of a source make no sense.
    """
    for each in sources:
        check(each)
    names, kinds = {each.name for each in sources}, {each.kind for each in sources}
    for key, asked, there in (
        ("sources", task.sources, names),
        ("kinds", task.kinds, kinds),
        ("emphasis", tuple(task.emphasis), names | kinds),
    ):
        if unknown := [name for name in asked if name not in there]:
            raise RecipeError(
                f"{where}.{key}: {unknown[0]} is not in the data. Choose from {', '.join(sorted(there))}."
            )
    drawn = [each for each in sources if fits(task, each)]
    if not drawn:
        every = ", ".join(sorted(f"{each.name} ({each.kind})" for each in sources))
        raise RecipeError(
            f"{where}.objective: no rows are for {task.objective}; there are {every}. Drop the task, or add "
            "data."
        )
    wanted = task.negatives > 1 or (task.hardness and task.hardness_on == "hard_negatives") or task.refresh
    if task.objective == "contrast" and wanted and not any(len(each.negatives) for each in drawn):
        raise RecipeError(
            f"{where}.negatives: {task.negatives} hard negatives are wanted, and no row of "
            f"{', '.join(sorted({each.name for each in drawn}))} brings any. Mine some (`yuyi data "
            "mine`), or write negatives: 0."
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", YuyiWarning)
        try:
            return prepare(task, drawn)
        except RecipeError as error:
            raise RecipeError(f"{where}: {error}") from None


def warn_of_kinds(config: TrainConfig, sources: Sequence[Source]) -> None:
    """Warn of kinds that nobody knows and no task names: what becomes of such rows is a guess."""
    named = {kind for _, _, task in config.tasks() for kind in task.kinds}
    for each in sources:
        if each.kind not in KINDS and each.kind not in named:
            warnings.warn(
                f"source {each.name}: kind {each.kind!r} is unknown, so its rows are taken for those of "
                f"{task_kind(each)!r}. To choose another, write kind beside the path of the file.",
                YuyiWarning,
                stacklevel=2,
            )


def check_model(config: TrainConfig, model: TextModel) -> None:
    """Refuse settings that the model cannot serve.

    Raises:
        RecipeError: a dimension is larger than the model's, a prompt is not one of its own, or texts are cut
            to more tokens than it takes or to none beside the special ones.
    """
    specials = BatchTokenizer(model.tokenizer).frame(model.max_tokens).specials
    dim = model.embedder.dim
    if config.dims and max(config.dims) > dim:
        raise RecipeError(f"dims: {max(config.dims)}, and the model gives {dim} dimensions. Lower it.")
    for where, _, task in config.tasks():
        for key in ("query_prompt", "document_prompt"):
            prompt = getattr(task, key)
            for name in prompt.values() if isinstance(prompt, dict) else [prompt]:
                if name and name not in model.prompts:
                    there = f"Choose from {', '.join(model.prompts)}, or add" if model.prompts else "Add"
                    raise RecipeError(
                        f"{where}.{key}: {name!r} is no prompt of the model. {there} it under model.prompts."
                    )
        for key in ("query_tokens", "document_tokens"):
            limit = getattr(task, key)
            if limit is not None and limit > model.max_tokens:
                raise RecipeError(
                    f"{where}.{key}: {limit}, and the model takes {model.max_tokens} tokens. Lower it."
                )
            if limit is not None and limit <= specials:
                raise RecipeError(
                    f"{where}.{key}: {limit}, of which {specials} are special tokens, so nothing of a text "
                    "is left. Raise it."
                )
