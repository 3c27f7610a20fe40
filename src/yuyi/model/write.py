"""An encoder as transformers finds it on disk: the inverse of `read_config` and `load_encoder`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import torch

from yuyi.model.config import Rope
from yuyi.model.names import NAMINGS

if TYPE_CHECKING:
    from torch import Tensor

    from yuyi.model.config import Activation, EncoderConfig
    from yuyi.model.encoder import TransformerEncoder

_CLASSES = {
    "bert": "BertModel",
    "roberta": "RobertaModel",
    "xlm-roberta": "XLMRobertaModel",
    "modernbert": "ModernBertModel",
    "gte": "GteModel",
}
_ACTIVATIONS: dict[Activation, str] = {
    "gelu": "gelu",
    "gelu_tanh": "gelu_pytorch_tanh",
    "relu": "relu",
    "silu": "silu",
}
# "new" needs code from the hub, which is not for a folder to ask for; transformers from 5.23 on has the same
# encoder, with the same names on disk.
_NAMES = {"new": "gte"}
_LOCAL, _GLOBAL = "sliding_attention", "full_attention"
# What transformers takes for a ModernBERT that does not say.
_LOCAL_ATTENTION = 128


def config_values(config: EncoderConfig) -> dict[str, Any]:
    """What `config.json` holds, from which `read_config` gives `config` again; "new" is called "gte" then."""
    architecture = _NAMES.get(config.architecture, config.architecture)
    values = {
        "architectures": [_CLASSES[architecture]],
        "model_type": architecture,
        "vocab_size": config.vocabulary,
        "hidden_size": config.hidden,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "intermediate_size": config.intermediate,
        "max_position_embeddings": config.max_positions + (config.position_offset or 0),
        "pad_token_id": config.pad_id,
    }
    if architecture == "modernbert":
        return values | _modernbert_values(config)
    values |= {
        "hidden_act": _ACTIVATIONS[config.activation],
        "layer_norm_eps": config.norm_eps,
        "type_vocab_size": config.token_types,
    }
    if architecture == "gte":
        return values | _gte_values(config)
    return values | {"position_embedding_type": "absolute"}


def disk_tensors(encoder: TransformerEncoder) -> dict[str, Tensor]:
    """Every tensor by its name on disk, each with memory of its own."""
    config = encoder.config
    naming = NAMINGS[config.architecture]
    tensors: dict[str, Tensor] = {}
    for name, parameter in encoder.named_parameters():
        module, _, kind = name.rpartition(".")
        layer = re.search(r"\d+", module)
        key = re.sub(r"\d+", "{n}", module)
        targets = naming.modules[key]
        values = parameter.detach()
        if key == "layers.{n}.up" and config.glu and not naming.gate_first:
            gate, up = values.chunk(2)
            values = torch.cat([up, gate])
        for target, piece in zip(targets, values.chunk(len(targets)), strict=True):
            tensors[f"{target}.{kind}".format(n=layer[0] if layer else "")] = piece.clone()
    return tensors


def _modernbert_values(config: EncoderConfig) -> dict[str, Any]:
    types = [_GLOBAL if window is None else _LOCAL for window in config.windows]
    ropes = {_GLOBAL: Rope(160_000.0), _LOCAL: Rope(10_000.0), **dict(zip(types, config.ropes, strict=True))}
    half = next((window for window in config.windows if window is not None), _LOCAL_ATTENTION // 2)
    return {
        "hidden_activation": _ACTIVATIONS[config.activation],
        "norm_eps": config.norm_eps,
        "norm_bias": config.norm_bias,
        "attention_bias": config.attention_bias,
        "mlp_bias": config.up_bias,
        "local_attention": 2 * half,
        "layer_types": types,
        "rope_parameters": {kind: _rope_values(rope) for kind, rope in ropes.items()},
    }


def _gte_values(config: EncoderConfig) -> dict[str, Any]:
    return {
        "position_embedding_type": "rope",
        "layer_norm_type": "layer_norm",
        "logn_attention_scale": False,
        "rope_parameters": _rope_values(config.ropes[0]),
    }


def _rope_values(rope: Rope) -> dict[str, Any]:
    if rope.divisor == 1:
        return {"rope_type": "default", "rope_theta": rope.theta}
    return {"rope_type": "linear", "rope_theta": rope.theta, "factor": rope.divisor}
