"""What is published about the models people use: one record a model, read from `models.toml`.

Facts only: what a folder says of itself always comes first, and what is not certain is left out.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Known:
    """What is published about one model. None, or an empty tuple, stands for "not known for certain".

    Attributes:
        name: the short name that people use; unique.
        id: the name on the Hugging Face hub, "owner/name"; None for a model without public weights.
        architecture: `model_type` of the model's config.json.
        parameters: millions, embeddings included.
        layers: of the encoder.
        dim: of the vectors, after every layer of the folder.
        dims: dimensions the vectors may be cut to, largest first, `dim` among them.
        pooling: "cls", "mean" or "last".
        max_tokens: special tokens included.
        languages: two-letter codes; "multilingual" stands for many more than those beside it.
        license: SPDX identifier in lower case.
        prompts: what the model's card puts before a text, by "query" and "document".
        scores: published averages by board; on each board "average" and the means by kind of task, in
            percent. "pair_classification" is average precision.
        opens: whether yuyi can open the weights; the others are listed for their scores.
        notes: what a user should know beside this.
    """

    name: str
    id: str | None = None
    architecture: str | None = None
    parameters: float | None = None
    layers: int | None = None
    dim: int | None = None
    dims: tuple[int, ...] = ()
    pooling: str | None = None
    max_tokens: int | None = None
    languages: tuple[str, ...] = ()
    license: str | None = None
    prompts: Mapping[str, str] = field(default_factory=dict)
    scores: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    opens: bool = True
    notes: str = ""


@cache
def all_models() -> tuple[Known, ...]:
    """Every known model, in the order of the file: Chinese, English, several languages."""
    records = tomllib.loads((files(__name__) / "models.toml").read_text("utf-8"))["model"]
    return tuple(_known(record) for record in records)


def find(name: str) -> Known | None:
    """The model of that short name, hub id or last part of a hub id, in upper or lower case; else None."""
    return _index().get(name.casefold())


@cache
def _index() -> dict[str, Known]:
    """Models by each name they go by; a short name weighs more than the last part of another's id."""
    models = all_models()
    ids = [model for model in models if model.id]
    return {
        **{str(model.id).rpartition("/")[2].casefold(): model for model in ids},
        **{str(model.id).casefold(): model for model in ids},
        **{model.name.casefold(): model for model in models},
    }


def _known(record: dict[str, object]) -> Known:
    lists = {key: tuple(value) for key, value in record.items() if isinstance(value, list)}
    return Known(**{"dims": (record["dim"],), **record, **lists})  # type: ignore[arg-type]
