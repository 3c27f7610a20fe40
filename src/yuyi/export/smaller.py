"""What is cut off a model before it is written: dimensions, layers, vocabulary.

A cut to fewer dimensions goes into the weights, so that every library sees it: the last dense layer loses
rows, and where there is none, one is put in that passes the first values on.
"""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

import numpy as np
import torch

from yuyi.artifacts import hash_json
from yuyi.encode.static_backend import StaticBackend
from yuyi.errors import InputError, RecipeError, YuyiWarning
from yuyi.model.embedder import Embedder, Pooler
from yuyi.model.heads import DenseHead, UnitLength
from yuyi.text.rows import read_texts
from yuyi.train.starting.cut_layers import cut_layers
from yuyi.train.starting.cut_vocabulary import choose_pieces, count_pieces, cut_tokenizer, cut_vocabulary
from yuyi.train.starting.model_config import KeepVocabulary, ModelConfig
from yuyi.train.starting.start import open_start

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
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

    def __post_init__(self) -> None:
        for name in ("dim", "layers", "pieces"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"--{name} {value}: nothing would be left. Give a number from 1 on.")
        if self.pieces is not None and self.corpus is None:
            raise InputError(
                f"--pieces {self.pieces}: which pieces are rare is for texts to say. Name a file of them: "
                "--corpus."
            )


def check_dim(dim: int | None, dims: Sequence[int], name: str) -> None:
    """Return when vectors can be cut to `dim`; warn where the model does not declare that dimension.

    Args:
        dim: what is wanted; None for all of them.
        dims: length of the model's vectors, then the smaller ones that it declares.
        name: of the model.

    Raises:
        InputError: the model has fewer.
    """
    if dim is None or dim in dims:
        return
    declared = ", ".join(map(str, dims))
    if dim > dims[0]:
        raise InputError(f"--dim {dim}: {name} has {dims[0]} dimensions. Choose one of {declared}.")
    warnings.warn(
        f"--dim {dim}: {name} was not trained for it, but for {declared}; expect worse vectors.",
        YuyiWarning,
        stacklevel=2,
    )


def smaller_encoder(folder: Path, smaller: Smaller, pooling: Pooling | None = None) -> TextModel:
    """What is left of the encoder in a folder.

    Raises:
        ModelError: the folder cannot be used.
        InputError: it has not so many layers, or the vocabulary cannot be cut so far.
    """
    model = open_start(ModelConfig(folder=str(folder), pooling=(pooling,) if pooling else ()))
    encoder, tokenizer, pooler = model.embedder.encoder, model.tokenizer, model.embedder.pooler
    if smaller.layers is not None:
        if smaller.layers > encoder.config.layers:
            raise InputError(
                f"--layers {smaller.layers}: {folder.name} has {encoder.config.layers}. Ask for fewer."
            )
        encoder = cut_layers(encoder, smaller.layers)
    if smaller.corpus is not None:
        with _naming_options():
            encoder, tokenizer = cut_vocabulary(
                encoder,
                tokenizer,
                _texts(smaller.corpus),
                KeepVocabulary(most=smaller.pieces),
                model.prompts.values(),
            )
    if smaller.dim is not None and smaller.dim < pooler.dim:
        pooler = _cut_pooler(pooler, smaller.dim, encoder.config.hidden)
    return replace(model, embedder=Embedder(encoder, pooler).eval(), tokenizer=tokenizer)


def _cut_pooler(pooler: Pooler, dim: int, hidden: int) -> Pooler:
    """The pooler with vectors of their first `dim` values, scaled to unit length where they were."""
    heads = [cast("DenseHead | UnitLength", head) for head in pooler.heads]
    dense = [place for place, head in enumerate(heads) if isinstance(head, DenseHead)]
    if dense:
        heads[dense[-1]] = _cut_dense(cast("DenseHead", heads[dense[-1]]), dim)
    else:
        width = len(pooler.pooling) * hidden
        first = DenseHead(width, dim, bias=False)
        first.linear.weight.data = torch.eye(dim, width)
        heads.insert(0, first)
    return Pooler(pooler.pooling, tuple(heads), hidden, include_prompt=pooler.include_prompt)


def _cut_dense(head: DenseHead, dim: int) -> DenseHead:
    bias = head.linear.bias
    cut = DenseHead(head.in_features, dim, bias=bias is not None, activation=head.activation)
    cut.linear.weight.data = head.linear.weight.data[:dim].clone()
    if bias is not None:
        cut.linear.bias.data = bias.data[:dim].clone()
    return cut


def smaller_table(model: StaticModel, smaller: Smaller) -> StaticModel:
    """What is left of a token table.

    Raises:
        InputError: it has no layers, or the vocabulary cannot be cut so far.
    """
    if smaller.layers is not None:
        raise InputError(f"--layers {smaller.layers}: {model.card.name} is a token table. Leave it out.")
    dim = smaller.dim or model.backend.dim
    if smaller.corpus is not None:
        model = _cut_rows(model, smaller.corpus, smaller.pieces)
    if dim >= model.backend.dim:
        return model
    card = replace(model.card, dims=(dim, *(each for each in model.card.dims if each < dim)))
    digest = hash_json([model.digest, "dim", dim])
    return replace(model, card=card, backend=model.backend.cut(dim), digest=digest)


def _cut_rows(model: StaticModel, corpus: Path, pieces: int | None) -> StaticModel:
    counts = count_pieces(_texts(corpus), model.tokenizer)
    of_prompts = np.flatnonzero(count_pieces(model.prompts.texts.values(), model.tokenizer)).tolist()
    with _naming_options():
        kept = choose_pieces(model.tokenizer, counts, KeepVocabulary(most=pieces), of_prompts)
    return replace(
        model,
        tokenizer=cut_tokenizer(model.tokenizer, kept),
        backend=StaticBackend(model.backend.table()[kept], None),
        digest=hash_json([model.digest, "pieces", kept]),
    )


def _texts(corpus: Path) -> Iterator[str]:
    empty = True
    for block in read_texts(str(corpus)):
        empty = empty and not any(text.strip() for text in block.texts)
        yield from block.texts
    if empty:
        raise InputError(f"--corpus {corpus}: there is no text in it. Name a file of texts like yours.")


@contextmanager
def _naming_options() -> Iterator[None]:
    """Say `--pieces` where the settings of training have a key."""
    try:
        yield
    except RecipeError as error:
        said = str(error).removeprefix("model.keep_vocabulary.most: ")
        raise InputError(f"--pieces {said}") from error
