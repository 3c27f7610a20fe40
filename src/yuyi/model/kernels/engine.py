"""An encoder's forward pass with the compiled kernels: the steps of `TransformerEncoder`, fused.

Between two steps lie rows in one of three kinds: float32; bfloat16; or bytes, each row with a scale and a
zero point of its own. The residual stream and the layer norms are float32 in all three.
"""

from __future__ import annotations

import threading
from ctypes import byref
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from yuyi.errors import InputError
from yuyi.model.encoder import rotation
from yuyi.model.kernels.build import library
from yuyi.model.kernels.packing import ACTIVATIONS, Kind, PackedLinear, pointer

if TYPE_CHECKING:
    from ctypes import CDLL

    from numpy.typing import NDArray
    from torch import Tensor

    from yuyi.model.config import EncoderConfig, Rope
    from yuyi.model.encoder import EncoderLayer, TransformerEncoder

_LONGEST_ROW = 1 << 14


def supports(config: EncoderConfig, kind: Kind) -> bool:
    """Whether the kernels are there, and can run this shape of encoder in this number type."""
    kernels = library()
    if kernels is None or not kernels.kinds() >> kind & 1:
        return False
    lanes = kernels.lanes()
    fits = all(width % lanes == 0 for width in (config.head_dim, config.hidden, config.intermediate))
    return fits and 2 * config.intermediate <= _LONGEST_ROW and 3 * config.hidden <= _LONGEST_ROW


class CompiledEncoder:
    """A `TransformerEncoder` packed for the kernels; a copy, so that the encoder may be dropped."""

    def __init__(self, encoder: TransformerEncoder, kind: Kind, smooth: dict[str, Tensor] | None = None) -> None:
        """Pack an encoder that `supports` accepts.

        Args:
            encoder: in float32 on the CPU.
            kind: the number type of its matrix products.
            smooth: for INT8, what `calibrate` gave.
        """
        kernels = library()
        if kernels is None:
            raise AssertionError("the kernels are not there; ask `supports` first")
        config = encoder.config
        embeddings = encoder.embeddings
        self.config = config
        self._kernels = kernels
        self._kind = kind
        # Attention multiplies in float32 or bfloat16; so do rows that wait to be rounded to bytes.
        self._half = Kind.FLOAT32 if kind is Kind.FLOAT32 else Kind.BFLOAT16
        self._tokens = _copied(embeddings.tokens.weight)
        self._places = None if embeddings.positions is None else _copied(embeddings.positions.weight[embeddings.offset :])
        self._type = None if embeddings.types is None else _copied(embeddings.types.weight[0])
        self._layers = [
            _Layer(layer, config, kind, kernels.panel(), _own(smooth or {}, f"layers.{index}."))
            for index, layer in enumerate(encoder.layers)
        ]
        # The norm before each layer, and the one after the last.
        firsts = [layer.attention_norm for layer in encoder.layers] if config.pre_norm else []
        lasts = [encoder.final_norm] if config.pre_norm else [layer.feed_forward_norm for layer in encoder.layers]
        self._norms = [_Norm(norm) for norm in (*firsts[1:], *lasts)]
        self._middle_norms = [
            _Norm(layer.feed_forward_norm if config.pre_norm else layer.attention_norm) for layer in encoder.layers
        ]
        self._embedding_norm = _Norm(embeddings.norm)
        self._turns: dict[Rope, tuple[Tensor, Tensor]] = {}
        self._space = threading.local()

    def __call__(self, ids: NDArray[np.int32], offsets: NDArray[np.int64], cores: int = 1) -> Tensor:
        """(tokens, hidden) float32, the last layer's state of each token. Several threads may call at a time.

        Args:
            ids: (tokens,) token ids of all texts one after another.
            offsets: (rows + 1,) boundaries of the texts.
            cores: how many cores to keep busy.

        Raises:
            InputError: a text is longer than the model's positions, or an id is not in its vocabulary.
        """
        positions = self._positions(ids, offsets)
        run = _Run(self, ids, offsets, positions, cores)
        return run.states()

    def _positions(self, ids: NDArray[np.int32], offsets: NDArray[np.int64]) -> NDArray[np.int32]:
        lengths = np.diff(offsets)
        if len(ids) and not 0 <= int(ids.min()) <= int(ids.max()) < self.config.vocabulary:
            raise InputError(
                f"token ids from {ids.min()} to {ids.max()}: the model has {self.config.vocabulary} tokens. "
                "The tokenizer belongs to another model."
            )
        if lengths.max(initial=0) > self.config.max_positions:
            raise InputError(
                f"a text of {lengths.max()} tokens: the model's positions end at "
                f"{self.config.max_positions}. Cut the text or split it."
            )
        starts = np.repeat(offsets[:-1], lengths)
        return (np.arange(len(ids)) - starts).astype(np.int32)

    def _turn(self, rope: Rope, longest: int) -> tuple[Tensor, Tensor]:
        """Cosines and sines, (at least longest, head_dim / 2) float32."""
        turn = self._turns.get(rope)
        if turn is None or len(turn[0]) < longest:
            room = min(self.config.max_positions, max(512, 2 * longest))
            cosines, sines = rotation(rope, torch.arange(room), self.config.head_dim)
            turn = self._turns[rope] = (cosines[:, 0].contiguous(), sines[:, 0].contiguous())
        return turn
