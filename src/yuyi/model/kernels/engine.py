"""An encoder's forward pass with the compiled kernels: the steps of `TransformerEncoder`, fused.

Between two steps lie rows in one of three kinds: float32; bfloat16; or bytes, each row with a scale and a
zero point of its own. The residual stream and the layer norms are float32 in all three.
"""

from __future__ import annotations

import threading
from ctypes import byref
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import nn

from yuyi.model.encoder import rotation
from yuyi.model.kernels.build import library
from yuyi.model.kernels.packing import ACTIVATIONS, Kind, PackedLinear, pointer
from yuyi.model.limits import check_batch
from yuyi.model.positions import positions_of

if TYPE_CHECKING:
    from ctypes import CDLL

    from numpy.typing import NDArray
    from torch import Tensor

    from yuyi.model.config import EncoderConfig, Rope
    from yuyi.model.encoder import EncoderLayer, TransformerEncoder

# Tokens for which a thread's buffers stay allocated.
_MOST_KEPT = 4_096
# Weights times tokens that are worth another core: below, threads cost more than they bring.
_CORE_WORK = 1 << 28


def supports(config: EncoderConfig, kind: Kind) -> bool:
    """Whether the kernels are there, and can run this shape of encoder in this number type."""
    kernels = library()
    if kernels is None or not kernels.kinds() >> kind & 1:
        return False
    lanes = kernels.lanes()
    fits = config.hidden % lanes == 0 and config.intermediate % lanes == 0 and config.head_dim % 2 == 0
    return fits and max(config.hidden, config.intermediate) <= kernels.longest_row()


def _needed_library() -> CDLL:
    kernels = library()
    if kernels is None:
        raise AssertionError("the kernels are not there; ask `supports` first")
    return kernels


@dataclass(frozen=True, slots=True)
class _Norm:
    """A layer norm's parameters, float32."""

    weight: Tensor
    bias: Tensor | None
    eps: float


@dataclass(frozen=True, slots=True)
class _Layer:
    """One layer, packed. The norms are named by what comes before them."""

    qkv: PackedLinear
    attention_out: PackedLinear
    up: PackedLinear
    down: PackedLinear
    after_attention: _Norm
    after_feed_forward: _Norm
    # Neighbours on either side that a token attends to; negative for all of its text.
    window: int
    rope: Rope | None

    @property
    def weights(self) -> int:
        """How many numbers its four matrices hold."""
        packed = (self.qkv, self.attention_out, self.up, self.down)
        return sum(part.struct.inputs * part.struct.outputs for part in packed)


class CompiledEncoder:
    """A `TransformerEncoder` packed for the kernels; a copy, so that the encoder may be dropped."""

    def __init__(
        self, encoder: TransformerEncoder, kind: Kind, smooth: dict[str, Tensor] | None = None
    ) -> None:
        """Pack an encoder that `supports` accepts.

        Args:
            encoder: in float32 on the CPU.
            kind: the number type of its matrix products.
            smooth: for INT8, what `calibrate` gave.
        """
        self._kernels = kernels = _needed_library()
        self.config = encoder.config
        self.kind = kind
        # Attention has no bytes: what waits between two products of bytes is as narrow as it can be.
        narrow = kind is not Kind.FLOAT32 and kernels.kinds() >> Kind.BFLOAT16 & 1
        self._half = Kind.BFLOAT16 if narrow else Kind.FLOAT32
        embeddings = encoder.embeddings
        places, types = embeddings.positions, embeddings.types
        # Not copied: a table of 250,000 rows stays in its file until a row is read.
        self._tokens = embeddings.tokens.weight.detach().float().contiguous()
        self._places = None if places is None else _copied(places.weight)
        self._type = None if types is None else _copied(types.weight[0])
        self._embedding_norm = _read_norm(embeddings.norm)
        self._layers = _pack_layers(encoder, kind, kernels.panel(), smooth or {})
        self._weights = sum(layer.weights for layer in self._layers)
        self._turns: dict[Rope, tuple[Tensor, Tensor]] = {}
        self._threads = threading.local()

    def __getstate__(self) -> dict[str, Any]:
        own = ("_kernels", "_threads")
        return {name: value for name, value in vars(self).items() if name not in own}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._kernels = _needed_library()
        self._threads = threading.local()

    def __call__(
        self,
        ids: NDArray[np.int32],
        offsets: NDArray[np.int64],
        cores: int = 1,
        keep: NDArray[np.int64] | None = None,
    ) -> Tensor:
        """(tokens, hidden) float32, the last layer's state of each token. Several threads may call at a time.

        Args:
            ids: (tokens,) token ids of all texts one after another.
            offsets: (rows + 1,) boundaries of the texts.
            cores: how many cores it may keep busy.
            keep: numbers of the tokens whose states are wanted, and no others; the last layer, whose states
                no other token reads, then computes only these.

        Raises:
            InputError: a text is longer than the model's positions, or an id is not in its vocabulary.
        """
        states = torch.empty(len(ids) if keep is None else len(keep), self.config.hidden)
        if len(states):
            ids, offsets = np.ascontiguousarray(ids, np.int32), np.ascontiguousarray(offsets, np.int64)
            check_batch(ids, offsets, self.config)
            positions = positions_of(ids, offsets, self.config)
            worthwhile = 1 + self._weights * len(ids) // _CORE_WORK
            run = _Run(self._kernels, self._space(len(ids)), len(ids), min(cores, worthwhile))
            self._encode(run, ids, offsets, positions, states, keep)
        return states

    def _encode(
        self,
        run: _Run,
        ids: NDArray[np.int32],
        offsets: NDArray[np.int64],
        positions: NDArray[np.int32],
        states: Tensor,
        keep: NDArray[np.int64] | None,
    ) -> None:
        config, space, kernels = self.config, run.space, self._kernels
        tables = map(pointer, (self._tokens, self._places, self._type, space.sums))
        kernels.embed(run.tokens, config.hidden, ids.ctypes.data, positions.ctypes.data, *tables)
        first, last = self._layers[0], self._layers[-1]
        run.norm(self._embedding_norm, first.qkv, normed=space.stream, residual=None, added=None)
        rows = space.stream
        # Before a norm, the residual stream is what is added up; after it, in a post-norm encoder.
        added = space.stream if config.pre_norm else None
        normed = space.normed if config.pre_norm else space.stream
        for layer, following in zip(self._layers, [*self._layers[1:], None], strict=True):
            run.linear(layer.qkv, rows, space.wide)
            if layer.rope is not None:
                self._rotate(run, layer.rope, positions)
            kernels.attention(
                space.half, len(offsets) - 1, offsets.ctypes.data, config.heads, config.head_dim,
                pointer(space.wide), config.head_dim**-0.5, layer.window, pointer(space.context), run.cores,
            )  # fmt: skip
            if layer is last and keep is not None:
                run = run.narrowed(torch.from_numpy(keep))
            run.linear(layer.attention_out, run.ready(layer.attention_out, space.context), space.sums)
            run.norm(layer.after_attention, layer.up, normed=normed, residual=space.stream, added=added)
            run.linear(layer.up, normed, space.wide)
            inner = run.ready(layer.down, space.wide, config.activation if config.glu else None)
            run.linear(layer.down, inner, space.sums)
            reader = following.qkv if following else None
            target = states if layer is last else normed
            run.norm(layer.after_feed_forward, reader, normed=target, residual=space.stream, added=added)
            rows = normed

    def _rotate(self, run: _Run, rope: Rope, positions: NDArray[np.int32]) -> None:
        cosines, sines = self._turn(rope, int(positions.max()) + 1)
        self._kernels.rotate(
            run.space.half, run.tokens, self.config.heads, self.config.head_dim, positions.ctypes.data,
            pointer(cosines), pointer(sines), pointer(run.space.wide), run.cores,
        )  # fmt: skip

    def _turn(self, rope: Rope, longest: int) -> tuple[Tensor, Tensor]:
        """Cosines and sines, (at least longest, head_dim / 2) float32."""
        turn = self._turns.get(rope)
        if turn is None or len(turn[0]) < longest:
            room = min(self.config.max_positions, max(512, 2 * longest))
            cosines, sines = rotation(rope, torch.arange(room), self.config.head_dim)
            turn = self._turns[rope] = (cosines[:, 0].contiguous(), sines[:, 0].contiguous())
        return turn

    def _space(self, tokens: int) -> _Space:
        """This thread's buffers, made larger when they must be; those of a very long text are not kept."""
        space: _Space | None = getattr(self._threads, "space", None)
        if space is None or len(space.stream) < tokens:
            space = _Space(self.config, self.kind, self._half, tokens)
            if tokens <= _MOST_KEPT:
                self._threads.space = space
        return space


class _Space:
    """What one thread keeps between two steps, for so many tokens.

    Attributes:
        half: the kind in which queries, keys, values and the feed-forward's inside are kept.
        stream: (tokens, hidden) float32, the residual stream.
        normed: (tokens, hidden) float32, what a pre-norm layer reads.
        sums: (tokens, hidden) float32, what a product adds to the stream.
        wide: (tokens, widest) of kind `half`.
        context: (tokens, hidden) of kind `half`, what attention gathered.
        cast: (tokens, widest input) rows as the next product wants them.
        scale: (tokens,) float32, of rows of bytes.
        zero: (tokens,) float32, their zero points.
    """

    def __init__(self, config: EncoderConfig, kind: Kind, half: Kind, tokens: int) -> None:
        hidden, inner = config.hidden, config.intermediate
        self.half = half
        self.stream = torch.empty(tokens, hidden)
        self.normed = torch.empty(tokens, hidden) if config.pre_norm else self.stream
        self.sums = torch.empty(tokens, hidden)
        self.wide = torch.empty(
            tokens, max(3 * hidden, 2 * inner if config.glu else inner), dtype=self.half.dtype
        )
        self.context = torch.empty(tokens, hidden, dtype=self.half.dtype)
        self.cast = torch.empty(tokens, max(hidden, inner), dtype=kind.dtype)
        self.scale = torch.empty(tokens)
        self.zero = torch.empty(tokens)


@dataclass(frozen=True, slots=True)
class _Run:
    """The kernels, bound to the buffers and the tokens of one call."""

    kernels: CDLL
    space: _Space
    tokens: int
    cores: int

    def narrowed(self, keep: Tensor) -> _Run:
        """The same for some of the tokens, whose residual stream and context move to the front."""
        space = self.space
        for rows in (space.stream, space.context):
            rows[: len(keep)] = rows[keep]
        return replace(self, tokens=len(keep))

    def linear(self, layer: PackedLinear, rows: Tensor, out: Tensor) -> None:
        """A product. Its input is `rows` where the layer reads what they hold, else what was cast for it."""
        space = self.space
        source = rows if rows.dtype == layer.kind.dtype else space.cast
        self.kernels.linear(
            byref(layer.struct), self.tokens, pointer(source), pointer(space.scale), pointer(space.zero),
            Kind.FLOAT32 if out.dtype == torch.float32 else Kind.BFLOAT16, pointer(out), self.cores,
        )  # fmt: skip

    def norm(
        self,
        norm: _Norm,
        reader: PackedLinear | None,
        *,
        normed: Tensor,
        residual: Tensor | None,
        added: Tensor | None,
    ) -> None:
        """`sums` plus `residual` into `added`, and its norm into `normed` and, cast, for `reader`."""
        space = self.space
        self.kernels.norm(
            self.tokens, space.sums.shape[1], pointer(space.sums), pointer(residual), pointer(added),
            pointer(norm.weight), pointer(norm.bias), norm.eps, pointer(normed),
            None if reader is None else byref(reader.struct), pointer(space.cast), pointer(space.scale),
            pointer(space.zero), self.cores,
        )  # fmt: skip

    def ready(self, reader: PackedLinear, rows: Tensor, gate: str | None = None) -> Tensor:
        """Rows as `reader` wants them; `gate` names the activation of a gated unit, to be merged."""
        space = self.space
        if gate is None and rows.dtype == reader.kind.dtype:
            return rows
        plain = space.cast if reader.kind is Kind.FLOAT32 else None
        self.kernels.convert(
            self.tokens, byref(reader.struct), space.half, pointer(rows), gate is not None,
            ACTIVATIONS[gate or "none"], pointer(plain), pointer(space.cast), pointer(space.scale),
            pointer(space.zero), self.cores,
        )  # fmt: skip
        return space.cast


def _pack_layers(
    encoder: TransformerEncoder, kind: Kind, panel: int, smooth: dict[str, Tensor]
) -> list[_Layer]:
    config = encoder.config
    layers = [cast("EncoderLayer", layer) for layer in encoder.layers]

    def pack(index: int, name: str, activation: str = "none") -> PackedLinear:
        linear = cast("nn.Linear", layers[index].get_submodule(name))
        factors = smooth.get(f"layers.{index}.{name}")
        return PackedLinear(linear, kind, panel, activation=activation, smooth=factors)

    def packed(index: int) -> _Layer:
        layer, window = layers[index], config.windows[index]
        middle: nn.Module = layer.attention_norm
        last: nn.Module = layer.feed_forward_norm
        if config.pre_norm:
            final = index + 1 == len(layers)
            middle, last = last, encoder.final_norm if final else layers[index + 1].attention_norm
        return _Layer(
            qkv=pack(index, "qkv"),
            attention_out=pack(index, "attention_out"),
            up=pack(index, "up", "none" if config.glu else config.activation),
            down=pack(index, "down"),
            after_attention=_read_norm(middle),
            after_feed_forward=_read_norm(last),
            window=-1 if window is None else window,
            rope=config.ropes[index] if config.ropes else None,
        )

    return [packed(index) for index in range(len(layers))]


def _read_norm(norm: nn.Module) -> _Norm:
    if not isinstance(norm, nn.LayerNorm):
        raise AssertionError(f"{norm} is no layer norm")
    return _Norm(_copied(norm.weight), None if norm.bias is None else _copied(norm.bias), norm.eps)


def _copied(tensor: Tensor) -> Tensor:
    """A contiguous copy in float32."""
    return tensor.detach().float().clone(memory_format=torch.contiguous_format)
