"""An encoder from scratch: a shape made whole, and BERT's first weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from yuyi.model.config import EncoderConfig, Rope
from yuyi.model.encoder import TransformerEncoder

if TYPE_CHECKING:
    from yuyi.train.starting.model_config import ModelConfig

# Standard deviation of new weights, as transformers draws BERT's.
_SPREAD = 0.02
# Rotary positions and windows as published with ModernBERT (Warner et al. 2024, arXiv 2412.13663).
_GLOBAL, _LOCAL, _WINDOW, _GLOBAL_EVERY = Rope(160_000.0), Rope(10_000.0), 64, 3


def encoder_config(config: ModelConfig, vocabulary: int, pad_id: int, max_tokens: int) -> EncoderConfig:
    """The whole description of an encoder from scratch.

    Args:
        config: without a folder.
        vocabulary: number of pieces.
        pad_id: id of the padding token.
        max_tokens: the longest text that it has positions for.
    """
    shape, architecture = config.shape(), config.architecture or "bert"
    modern, plain = architecture == "modernbert", architecture == "bert"
    local = [modern and layer % _GLOBAL_EVERY > 0 for layer in range(shape.layers)]
    ropes = tuple(_LOCAL if near or not modern else _GLOBAL for near in local)
    return EncoderConfig(
        architecture=architecture,
        vocabulary=vocabulary,
        hidden=shape.hidden,
        layers=shape.layers,
        heads=shape.heads,
        intermediate=shape.intermediate,
        activation="gelu",
        glu=not plain,
        pre_norm=modern,
        norm_eps=1e-5 if modern else 1e-12,
        norm_bias=not modern,
        attention_bias=not modern,
        up_bias=plain,
        down_bias=not modern,
        token_types={"bert": 2, "modernbert": 0, "gte": 1}[architecture],
        max_positions=max_tokens,
        position_offset=0 if plain else None,
        ropes=() if plain else ropes,
        windows=tuple(_WINDOW if near else None for near in local),
        pad_id=pad_id,
    )


def new_encoder(config: EncoderConfig, generator: torch.Generator) -> TransformerEncoder:
    """An encoder with weights from `generator`, in evaluation mode on the CPU, float32."""
    with torch.device("meta"):
        encoder = TransformerEncoder(config)
    draw_weights(encoder.to_empty(device="cpu"), generator)
    return encoder.eval()


def draw_weights(module: nn.Module, generator: torch.Generator) -> None:
    """Fill a module's tables, linear layers and norms as BERT does; torch's own generator is not touched.

    Tables and matrices are drawn from a normal distribution of standard deviation 0.02; biases are zeros,
    norms do nothing. (BERT's first code cut the distribution off at 0.04, which takes 17 times as long.)
    """
    for part in module.modules():
        if isinstance(part, nn.Linear | nn.Embedding):
            nn.init.normal_(part.weight, std=_SPREAD, generator=generator)
        elif isinstance(part, nn.LayerNorm):
            nn.init.ones_(part.weight)
        if isinstance(part, nn.Linear | nn.LayerNorm) and part.bias is not None:
            nn.init.zeros_(part.bias)
