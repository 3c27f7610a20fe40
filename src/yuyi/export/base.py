"""What every exported folder holds, whatever its forms: tokenizer, settings, pooling and heads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from yuyi.encode.static_folder import StaticModel
from yuyi.train.starting.save import write_model

if TYPE_CHECKING:
    from pathlib import Path

    from yuyi.export.source import Source


def write_base(folder: Path, source: Source, *, weights: bool) -> None:
    """Write the sentence-transformers folder of a model into one that exists, with its weights or without."""
    if isinstance(source.model, StaticModel):
        raise NotImplementedError
    write_model(folder, source.model, dims=source.dims[1:], weights=weights)
