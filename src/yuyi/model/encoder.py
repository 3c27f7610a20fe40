"""One transformer encoder for every architecture yuyi runs; the config says which parts a layer has.

Shapes: T tokens of all texts together, R texts, H hidden, N heads, D dimensions of a head.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from yuyi.model.attention import attention, find_spans
from yuyi.model.limits import check_batch
from yuyi.model.positions import positions_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from yuyi.model.attention import Spans
    from yuyi.model.config import Activation, EncoderConfig, Rope

    Rotation = tuple[Tensor, Tensor]


class TransformerEncoder(nn.Module):
    """Token ids of texts laid end to end to one state a token.

    The parts, under the names their parameters have: `embeddings` (`tokens`, `positions` and `types`, the
    last two None where the architecture has none, and `norm`), `layers` (see `EncoderLayer`) and `final_norm`
    (an identity without `pre_norm`). `load_encoder` fills them.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.embeddings = Embeddings(config)
        self.layers = nn.ModuleList(EncoderLayer(config, index) for index in range(config.layers))
        self.final_norm = _norm(config) if config.pre_norm else nn.Identity()

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
        spans = find_spans(offsets)
        positions = torch.from_numpy(positions_of(host_ids, host_offsets, self.config)).to(ids.device)
        states = self.embeddings(ids, positions)
        rotations = {rope: rotation(rope, positions, self.config.head_dim) for rope in set(self.config.ropes)}
        for index, layer in enumerate(self.layers):
            turn = rotations[self.config.ropes[index]] if rotations else None
            states = layer(states, spans, turn)
        normed: Tensor = self.final_norm(states)
        return normed


class Embeddings(nn.Module):
    """Token, position and type vectors summed and normalised."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
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
        normed: Tensor = self.norm(states)
        return normed


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
        self.glu = config.glu
        self.pre_norm = config.pre_norm
        self.window = config.windows[index]
        self.activation = _ACTIVATIONS[config.activation]
        self.qkv = nn.Linear(config.hidden, 3 * config.hidden, bias=config.attention_bias)
        self.attention_out = nn.Linear(config.hidden, config.hidden, bias=config.attention_bias)
        self.attention_norm = nn.Identity() if config.pre_norm and index == 0 else _norm(config)
        self.up = nn.Linear(config.hidden, inner, bias=config.up_bias)
        self.down = nn.Linear(config.intermediate, config.hidden, bias=config.down_bias)
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
        mixed: Tensor = self.attention_out(attention(q, k, v, spans, window=self.window).flatten(1))
        return mixed

    def _feed_forward(self, states: Tensor) -> Tensor:
        inner = self.up(states)
        if self.glu:
            gate, inner = inner.chunk(2, dim=-1)
            inner = self.activation(gate) * inner
        else:
            inner = self.activation(inner)
        out: Tensor = self.down(inner)
        return out


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
