"""The whole model, encoder, pooling and heads: token ids in, one vector a text out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from yuyi.model.config import read_config
from yuyi.model.heads import DenseHead, load_heads
from yuyi.model.pooling import pool
from yuyi.model.weights import load_encoder

if TYPE_CHECKING:
    from torch import Tensor

    from yuyi.model.encoder import TransformerEncoder
    from yuyi.model.heads import UnitLength
    from yuyi.pipeline import Pipeline, Pooling


class Embedder(nn.Module):
    """Token ids to vectors. Made by `load_embedder`; what is trained is what is served."""

    def __init__(self, encoder: TransformerEncoder, pooler: Pooler) -> None:
        super().__init__()
        self.encoder = encoder
        self.pooler = pooler

    @property
    def dim(self) -> int:
        """Length of the vectors."""
        return self.pooler.dim

    def forward(self, ids: Tensor, offsets: Tensor, prompt_tokens: int = 0) -> Tensor:
        """(rows, dim) float32.

        Args:
            ids: (tokens,) int, token ids of all texts one after another.
            offsets: (rows + 1,) int64; text `i` owns `ids[offsets[i]:offsets[i + 1]]`.
            prompt_tokens: how many tokens at the start of each text are the prompt's, the first special
                token included; they are left out of pooling where the model says so.

        Raises:
            InputError: a text is longer than the model's positions.
        """
        vectors: Tensor = self.pooler(self.encoder(ids, offsets), offsets, prompt_tokens)
        return vectors


class Pooler(nn.Module):
    """Token states to vectors: pooling, then the heads.

    Attributes:
        pooling: how token states become one vector; the results of several are concatenated.
        include_prompt: whether the tokens of a prompt take part in pooling.
        heads: what follows, each a `DenseHead` or a `UnitLength`.
        dim: length of the vectors.
    """

    def __init__(
        self,
        pooling: tuple[Pooling, ...],
        heads: tuple[DenseHead | UnitLength, ...],
        hidden: int,
        *,
        include_prompt: bool = True,
    ) -> None:
        super().__init__()
        self.pooling = pooling
        self.include_prompt = include_prompt
        self.heads = nn.Sequential(*heads)
        dense = [head.out_features for head in heads if isinstance(head, DenseHead)]
        self.dim: int = dense[-1] if dense else len(pooling) * hidden

    def forward(self, states: Tensor, offsets: Tensor, prompt_tokens: int = 0) -> Tensor:
        """(rows, dim) float32 from states (tokens, hidden), whoever computed them; see `Embedder.forward`."""
        skip = 0 if self.include_prompt else prompt_tokens
        vectors: Tensor = self.heads(pool(states, offsets, self.pooling, skip))
        return vectors


def load_embedder(pipeline: Pipeline, *, device: str = "cpu", dtype: torch.dtype = torch.float32) -> Embedder:
    """The model of a folder, in evaluation mode.

    Args:
        pipeline: what the folder says of itself, from `read_pipeline`.
        device: where it computes, as torch names devices.
        dtype: of the encoder; pooling and heads are float32.

    Raises:
        ModelError: a file is damaged, or config and weights contradict each other.
    """
    config = read_config(pipeline.transformer)
    heads = load_heads(pipeline.heads, len(pipeline.pooling) * config.hidden)
    pooler = Pooler(pipeline.pooling, heads, config.hidden, include_prompt=pipeline.include_prompt)
    encoder = load_encoder(pipeline.transformer, config, dtype)
    return Embedder(encoder, pooler).eval().to(device)
