"""Settings held against the data and the model that they name, before anything is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from yuyi.errors import RecipeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from yuyi.train.settings import TrainConfig
    from yuyi.train.start import TextModel
    from yuyi.train.survey import Surveyed


def check_data(config: TrainConfig, found: Sequence[Surveyed]) -> None:
    """Refuse tasks that the data cannot serve, before anything is read whole.

    Raises:
        RecipeError: a task names a source or kind that there is not, or wants negatives that no row brings.
    """
    names, kinds = ({getattr(each, key) for each in found} for key in ("name", "kind"))
    for where, _, task in config.tasks():
        if task.objective in ("mlm", "retromae", "align"):
            continue
        for key, asked, there in (
            ("sources", task.sources, names),
            ("kinds", task.kinds, kinds),
            ("emphasis", tuple(task.emphasis), names | kinds),
        ):
            if unknown := [name for name in asked if name not in there]:
                raise RecipeError(
                    f"{where}.{key}: {unknown[0]} is not in the data. Choose from {', '.join(sorted(there))}."
                )
        wanted = task.negatives > 1 or (task.hardness and task.hardness_on == "hard_negatives")
        drawn = [
            each
            for each in found
            if (not task.sources or each.name in task.sources) and (not task.kinds or each.kind in task.kinds)
        ]
        if task.objective == "contrast" and wanted and not any(each.with_negatives for each in drawn):
            raise RecipeError(
                f"{where}.negatives: {task.negatives} hard negatives are wanted, and no row of "
                f"{', '.join(sorted({each.name for each in drawn}))} brings any. Mine some (`yuyi data "
                "mine`), or write negatives: 0."
            )


def check_model(config: TrainConfig, model: TextModel) -> None:
    """Refuse settings that the model cannot serve.

    Raises:
        RecipeError: a dimension is larger than the model's, or a prompt is not one of its own.
    """
    dim = model.embedder.dim
    if config.dims and max(config.dims) > dim:
        raise RecipeError(f"dims: {max(config.dims)}, and the model gives {dim} dimensions. Lower it.")
    for where, _, task in config.tasks():
        for key in ("query_prompt", "document_prompt"):
            prompt = getattr(task, key)
            for name in prompt.values() if isinstance(prompt, dict) else [prompt]:
                if name and name not in model.prompts:
                    there = ", ".join(model.prompts) or "none"
                    raise RecipeError(
                        f"{where}.{key}: {name!r} is no prompt of the model, which has {there}. Choose one "
                        "of these, or give model.prompts."
                    )
        for key in ("query_tokens", "document_tokens"):
            limit = getattr(task, key)
            if limit is not None and limit > model.max_tokens:
                raise RecipeError(
                    f"{where}.{key}: {limit}, and the model takes {model.max_tokens} tokens. Lower it."
                )
