"""The weights of several model folders as one folder."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from yuyi.errors import InputError
from yuyi.pipeline import read_pipeline
from yuyi.train.record import merged
from yuyi.train.running.averaging import mean, put, slerp
from yuyi.train.starting.model_config import ModelConfig
from yuyi.train.starting.save import save_model
from yuyi.train.starting.start import open_start
from yuyi.training_record import read_record

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from yuyi.train.starting.start import TextModel


def merge_folders(
    folders: Sequence[Path], out: Path, shares: Sequence[float], *, along_arc: bool = False
) -> None:
    """Write the mean of models, or a point on the arc between them; the rest is the first model's.

    Args:
        folders: models that were trained from the same start; of others a mean means nothing.
        out: the new folder.
        shares: of each model in the result.
        along_arc: by `slerp` in place of `mean`.

    Raises:
        InputError: there is one model, or they differ in shape or vocabulary, or the shares cannot be used.
        ModelError: a folder cannot be opened.
    """
    if len(folders) < 2:
        raise InputError(f"{len(folders)} model: there is nothing to merge. Give two or more folders.")
    if out.exists():
        raise InputError(f"{out}: is there already. Choose another place with --out.")
    models = [open_start(ModelConfig(folder=str(folder))) for folder in folders]
    first = models[0]
    for folder, model in zip(folders[1:], models[1:], strict=True):
        differing = _differing(_shape(first), _shape(model))
        if differing:
            raise InputError(f"{folder}: {differing} in {folders[0]}. Merge models of one shape.")
        if model.tokenizer.get_vocab() != first.tokenizer.get_vocab():
            raise InputError(
                f"{folder}: its vocabulary is not that of {folders[0]}. Merge models that were trained from "
                "the same start."
            )
    weights = [dict(model.embedder.named_parameters()) for model in models]
    put(weights[0], (slerp if along_arc else mean)(weights, shares))
    kinds = "slerp" if along_arc else "mean"
    records = [record for record in map(read_record, folders) if record]
    dims = set.intersection(*(set(read_pipeline(folder).dims) for folder in folders))
    save_model(
        out,
        first,
        dims=sorted(dims, reverse=True),
        training={
            f"{kinds} of {folder.resolve().name}": f"share {share:g}"
            for folder, share in zip(folders, shares, strict=True)
        },
        record=merged(records) if records else None,
    )


def _shape(model: TextModel) -> dict[str, Any]:
    """What the weights alone do not tell: how they are computed with."""
    pooler = model.embedder.pooler
    heads = [str(head) for head in pooler.heads]
    return asdict(model.embedder.encoder.config) | {"pooling": pooler.pooling, "heads behind it": heads}


def _differing(first: dict[str, Any], other: dict[str, Any]) -> str:
    """The first key whose values differ, with both; empty where none does."""
    for key, value in first.items():
        if other[key] != value:
            return f"{key.replace('_', ' ')} {_plain(other[key])}, and {_plain(value)}"
    return ""


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) or "nothing" if isinstance(value, list | tuple) else str(value)
