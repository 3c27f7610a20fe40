"""One transformer encoder for every architecture yuyi runs; the config says which parts a layer has.

Shapes: T tokens of all texts together, R texts, H hidden, N heads, D dimensions of a head.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from yuyi.model.attention import attention, find_spans
from yuyi.model.limits import check_batch
from yuyi.model.positions import positions_of
from yuyi.model.products import Linear

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from torch import Tensor

    from yuyi.model.attention import Spans
    from yuyi.model.config import Activation, EncoderConfig, Rope

    Rotation = tuple[Tensor, Tensor]

# Tokens per thread that go through the layers together on a CPU. What a layer computes of as many stays in
# the cache and is small enough for the C library to use the same memory again; of all tokens of a step it is
# neither, which made training an eighth slower. Fewer leave the matrix products too little to do at once.
_BLOCK_TOKENS = 1024


class TransformerEncoder(nn.Module):
    """Token ids of texts laid end to end to one state a token.

    The parts, under the names their parameters have: `embeddings` (`tokens`, `positions` and `types`, the
    last two None where the architecture has none, and `norm`), `layers` (see `EncoderLayer`) and `final_norm`
    (an identity without `pre_norm`). `load_encoder` fills them.

    Attributes:
        config: the shape.
        checkpointing: in training, keep each layer's input alone and compute the layer again in the backward
            pass: the memory of one layer in place of all, for a third more time. Gradients are the same.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.checkpointing = False
        self.embeddings = Embeddings(config)
        self.layers = nn.ModuleList(EncoderLayer(config, index) for index in range(config.layers))
        self.final_norm = _norm(config) if config.pre_norm else nn.Identity()

    def set_dropout(self, hidden: float, attention: float) -> None:
        """Drop, in training mode, these shares from now on; a new encoder drops nothing.

        Args:
            hidden: of the states after the embeddings, after attention and after the feed-forward part, each
                before the residual is added.
            attention: of the attention weights.
        """
        self.embeddings.dropout = hidden
        for layer in cast("list[EncoderLayer]", list(self.layers)):
            layer.hidden_dropout, layer.attention_dropout = hidden, attention

    def forward(self, ids: Tensor, offsets: Tensor) -> Tensor:
        """(T, H), the last layer's state of each token.

        Args:
            ids: (T,) int, token ids of all texts one after another.
            offsets: (R + 1,) int64; text `i` owns `ids[offsets[i]:offsets[i + 1]]`.

        Raises:
            InputError: a text is longer than the model's positions, or an id is not in its vocabulary.
        """
        lengths = offsets.diff()
        if bool((lengths[1:] >= lengths[:-1]).all()):
            return self._encode(ids, offsets)
        # Texts of equal length side by side: attention takes them in one call.
        lengths, order = lengths.sort(stable=True)
        sorted_offsets = functional.pad(lengths.cumsum(0), (1, 0))
        take = torch.repeat_interleave(offsets[order] - sorted_offsets[:-1], lengths)
        take += torch.arange(len(ids), device=ids.device)
        states = self._encode(ids[take], sorted_offsets)
        return states[take.argsort()]

    def _encode(self, ids: Tensor, offsets: Tensor) -> Tensor:
        host_ids, host_offsets = ids.cpu().numpy(), offsets.cpu().numpy()
        check_batch(host_ids, host_offsets, self.config)
        positions = torch.from_numpy(positions_of(host_ids, host_offsets, self.config)).to(ids.device)
        on_cpu = ids.device.type == "cpu"
        bounds = _blocks(
            host_offsets, _BLOCK_TOKENS * max(2, torch.get_num_threads()) if on_cpu else len(ids)
        )
        sizes = np.diff(host_offsets[bounds]).tolist()
        states = self.embeddings(ids, positions).split_with_sizes(sizes)
        places = positions.split_with_sizes(sizes)
        parts = [
            self._through_layers(states[block], places[block], find_spans(offsets[first : last + 1]))
            for block, (first, last) in enumerate(pairwise(bounds))
        ]
        normed: Tensor = self.final_norm(torch.cat(parts) if len(parts) != 1 else parts[0])
        return normed

    def _through_layers(self, states: Tensor, positions: Tensor, spans: Spans) -> Tensor:
        """The last layer's states (tokens, H) of some of the texts, from their embeddings."""
        rotations = {rope: rotation(rope, positions, self.config.head_dim) for rope in set(self.config.ropes)}
        again = self.checkpointing and self.training and torch.is_grad_enabled()
        for index, layer in enumerate(self.layers):
            turn = rotations[self.config.ropes[index]] if rotations else None
            if again:
                states = checkpoint(layer, states, spans, turn, use_reentrant=False)
            else:
                states = layer(states, spans, turn)
        return states


class Embeddings(nn.Module):
    """Token, position and type vectors summed and normalised."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.dropout = 0.0
        offset = config.position_offset
        self.tokens = _table(config.vocabulary, config.hidden)
        self.positions = None if offset is None else _table(offset + config.max_positions, config.hidden)
        self.types = _table(config.token_types, config.hidden) if config.token_types else None
        self.norm = _norm(config)

    def forward(self, ids: Tensor, positions: Tensor) -> Tensor:
        """(T, H) from ids (T,) and each token's position (T,), as `positions_of` gives them."""
        states = self.tokens(ids)
        if self.types is not None:
            states = states + self.types.weight[0]
        if self.positions is not None:
            states = states + self.positions(positions)
        return _drop(self.norm(states), self.dropout, self.training)


class EncoderLayer(nn.Module):
    """Attention and feed-forward, each with a residual and a norm.

    Parts: `qkv` (queries, keys and values in one product, in this order), `attention_out`, `attention_norm`
    (an identity in the first layer of a pre-norm encoder, whose input is normalised already), `up` (with
    `glu`: the gate's rows, then the up rows), `down`, `feed_forward_norm`.
    """

    def __init__(self, config: EncoderConfig, index: int) -> None:
        super().__init__()
        inner = config.intermediate * 2 if config.glu else config.intermediate
        self.heads = config.heads
        self.hidden_dropout = self.attention_dropout = 0.0
        self.glu = config.glu
        self.pre_norm = config.pre_norm
        self.window = config.windows[index]
        self.activation = _ACTIVATIONS[config.activation]
        self.qkv = Linear(config.hidden, 3 * config.hidden, bias=config.attention_bias)
        self.attention_out = Linear(config.hidden, config.hidden, bias=config.attention_bias)
        self.attention_norm = nn.Identity() if config.pre_norm and index == 0 else _norm(config)
        self.up = Linear(config.hidden, inner, bias=config.up_bias)
        self.down = Linear(config.intermediate, config.hidden, bias=config.down_bias)
        self.feed_forward_norm = _norm(config)

    def forward(self, states: Tensor, spans: Spans, turn: Rotation | None) -> Tensor:
        """(T, H) from (T, H)."""
        if self.pre_norm:
            states = states + self._attend(self.attention_norm(states), spans, turn)
            return states + self._feed_forward(self.feed_forward_norm(states))
        states = self.attention_norm(states + self._attend(states, spans, turn))
        normed: Tensor = self.feed_forward_norm(states + self._feed_forward(states))
        return normed

    def _attend(self, states: Tensor, spans: Spans, turn: Rotation | None) -> Tensor:
        q, k, v = self.qkv(states).unflatten(-1, (3, self.heads, -1)).unbind(1)  # (T, N, D) each
        if turn is not None:
            q, k = rotate(q, turn), rotate(k, turn)
        dropout = self.attention_dropout if self.training else 0.0
        mixed = attention(q, k, v, spans, window=self.window, dropout=dropout)
        return _drop(self.attention_out(mixed.flatten(1)), self.hidden_dropout, self.training)

    def _feed_forward(self, states: Tensor) -> Tensor:
        inner = self.up(states)
        if self.glu:
            gate, inner = inner.chunk(2, dim=-1)
            inner = self.activation(gate) * inner
        else:
            inner = self.activation(inner)
        return _drop(self.down(inner), self.hidden_dropout, self.training)


def rotation(rope: Rope, positions: Tensor, head_dim: int) -> Rotation:
    """Cosines and sines, each (T, 1, D / 2) float32, by which each token's queries and keys are turned."""
    pairs = torch.arange(0, head_dim, 2, device=positions.device, dtype=torch.float32)
    frequencies = 1.0 / (rope.theta ** (pairs / head_dim) * rope.divisor)
    angles = positions.float()[:, None, None] * frequencies
    return angles.cos(), angles.sin()


def rotate(x: Tensor, turn: Rotation) -> Tensor:
    """(T, N, D) with dimension `i` and `i + D / 2` of each head turned as a pair; computed in float32."""
    cosines, sines = turn
    first, second = x.float().chunk(2, dim=-1)
    turned = torch.cat((first * cosines - second * sines, second * cosines + first * sines), dim=-1)
    return turned.to(x.dtype)


def _blocks(offsets: NDArray[np.int64], most: int) -> list[int]:
    """Numbers of the texts at which blocks of at most `most` tokens begin, and of the end of the last.

    A longer text is a block of its own.
    """
    rows = len(offsets) - 1
    bounds = [0]
    while bounds[-1] < rows or len(bounds) == 1:
        fitting = int(np.searchsorted(offsets, offsets[bounds[-1]] + most, side="right")) - 1
        bounds.append(min(max(fitting, bounds[-1] + 1), rows))
    return bounds


def _drop(states: Tensor, share: float, training: bool) -> Tensor:
    # Dropout of nothing would copy the states.
    return functional.dropout(states, share) if share and training else states


def _table(rows: int, hidden: int) -> nn.Embedding:
    # Empty, since a random table on the meta device makes torch import for two seconds.
    return nn.Embedding(rows, hidden, _weight=torch.empty(rows, hidden))


def _norm(config: EncoderConfig) -> nn.LayerNorm:
    return nn.LayerNorm(config.hidden, eps=config.norm_eps, bias=config.norm_bias)


def _gelu_tanh(x: Tensor) -> Tensor:
    return functional.gelu(x, approximate="tanh")


_ACTIVATIONS: dict[Activation, Callable[[Tensor], Tensor]] = {
    "gelu": functional.gelu,
    "gelu_tanh": _gelu_tanh,
    "relu": functional.relu,
    "silu": functional.silu,
}
