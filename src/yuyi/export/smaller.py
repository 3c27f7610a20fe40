"""What is cut off a model before it is written: dimensions, layers, vocabulary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from yuyi.errors import InputError
from yuyi.train.starting.model_config import ModelConfig
from yuyi.train.starting.start import open_start

if TYPE_CHECKING:
    from pathlib import Path

    from yuyi.encode.static_folder import StaticModel
    from yuyi.pipeline import Pooling
    from yuyi.train.starting.start import TextModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Smaller:
    """How much of a model is left; what is None stays whole.

    Attributes:
        dim: leading dimensions of a vector (Matryoshka).
        layers: how many layers, spread evenly from the first to the last.
        corpus: a file of texts; pieces that do not occur in them go, but for special ones and single
            characters.
        pieces: size of the vocabulary at most, the rarest going first; needs `corpus`.
    """

    dim: int | None = None
    layers: int | None = None
    corpus: Path | None = None
    pieces: int | None = None

    def __bool__(self) -> bool:
        return (self.dim, self.layers, self.corpus) != (None, None, None)


def smaller_encoder(folder: Path, smaller: Smaller, pooling: Pooling | None = None) -> TextModel:
    """What is left of the encoder in a folder."""
    if smaller:
        raise InputError("cutting is not written yet")
    return open_start(ModelConfig(folder=str(folder), pooling=(pooling,) if pooling else ()))


def smaller_table(model: StaticModel, smaller: Smaller) -> StaticModel:
    """What is left of a token table."""
    if smaller:
        raise InputError("cutting is not written yet")
    return model
