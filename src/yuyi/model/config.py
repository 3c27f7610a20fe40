"""One description that covers every encoder yuyi runs, read from a model folder's `config.json`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from yuyi.errors import ModelError
from yuyi.pipeline import read_json, usable_positions

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Activation = Literal["gelu", "gelu_tanh", "relu", "silu"]

# No size of a model comes near this; a larger number is a mistake.
_LARGEST = 1 << 24
_ACTIVATIONS: dict[str, Activation] = {
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
}


@dataclass(frozen=True, slots=True)
class Rope:
    """Rotary positions: pair `i` of a head turns by `theta ** (-2 * i / head_dim) / divisor` a position.

    Attributes:
        theta: the base of the frequencies.
        divisor: slows every frequency; linear and fixed-NTK scaling are both a `theta` and a `divisor`.
    """

    theta: float
    divisor: float = 1.0


@dataclass(frozen=True, slots=True)
class EncoderConfig:
    """The shape of an encoder.

    Attributes:
        architecture: `model_type` of the config; decides the names of the tensors on disk.
        vocabulary: rows of the token table.
        hidden: length of a token's state.
        layers: number of layers.
        heads: attention heads of a layer; each has `hidden / heads` dimensions.
        intermediate: width inside the feed-forward part.
        activation: its function; `gelu_tanh` is the tanh approximation.
        glu: feed-forward as a gated linear unit: `down(activation(gate) * up)`, gate and up in one product.
        pre_norm: normalise before each part and once at the end, instead of after each part.
        norm_eps: added to the variance in each layer norm.
        norm_bias: whether layer norms add a bias.
        attention_bias: whether the products before and after attention add a bias.
        up_bias: whether the first product of the feed-forward part adds a bias.
        down_bias: whether the last one does.
        token_types: rows of the token type table, of which row 0 is added to each token; 0 without a table.
        max_positions: the longest text the positions leave room for, in tokens.
        position_offset: row of the position table for a text's first token; None without a table (rotary).
            Above 0, the row before it is that of padding tokens (`yuyi.model.positions`).
        ropes: rotary positions of each layer; empty with a position table.
        windows: for each layer, how many tokens to either side a token attends to; None means all.
        pad_id: id of the padding token, which occurs only where a text itself has it written out.
    """

    architecture: str
    vocabulary: int
    hidden: int
    layers: int
    heads: int
    intermediate: int
    activation: Activation
    glu: bool
    pre_norm: bool
    norm_eps: float
    norm_bias: bool
    attention_bias: bool
    up_bias: bool
    down_bias: bool
    token_types: int
    max_positions: int
    position_offset: int | None
    ropes: tuple[Rope, ...]
    windows: tuple[int | None, ...]
    pad_id: int

    @property
    def head_dim(self) -> int:
        """Dimensions of one attention head."""
        return self.hidden // self.heads


def read_config(folder: Path) -> EncoderConfig:
    """The shape of the encoder that `config.json` in `folder` describes.

    Raises:
        ModelError: the file is missing or damaged, names an architecture or an option that yuyi does not
            have, or its numbers contradict one another.
    """
    path = folder / "config.json"
    raw = read_json(path)
    architecture = raw.get("model_type")
    if not isinstance(architecture, str) or architecture not in _READERS:
        remote = " The folder asks for code of its own, which is never run." if "auto_map" in raw else ""
        raise ModelError(
            f"{path}: architecture {architecture!r} is not one that yuyi runs ({', '.join(_READERS)})."
            f"{remote} Choose another model."
        )
    fields = _Fields(path, raw)
    config = _READERS[architecture](fields)
    _check(fields, config)
    return config


class _Fields:
    """The values of a config file, checked as they are taken."""

    def __init__(self, path: Path, values: dict[str, Any]) -> None:
        self.path = path
        self.values = values

    def get(self, name: str, default: Any = None) -> Any:
        """A value as it stands; null is the same as nothing."""
        value = self.values.get(name)
        return default if value is None else value

    def count(self, name: str, default: int | None = None, smallest: int = 1) -> int:
        """A whole number that is at least `smallest`."""
        value = self.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or not smallest <= value <= _LARGEST:
            raise self.wrong(f"{name} is {value!r}, not a whole number from {smallest} to {_LARGEST}")
        return value

    def number(self, name: str, default: float) -> float:
        """A number above zero."""
        value = self.get(name, default)
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < 1e30:
            raise self.wrong(f"{name} is {value!r}, not a number above zero")
        return float(value)

    def flag(self, name: str, default: bool = False) -> bool:
        """A truth value."""
        value = self.get(name, default)
        if not isinstance(value, bool):
            raise self.wrong(f"{name} is {value!r}, neither true nor false")
        return value

    def activation(self, name: str) -> Activation:
        """A feed-forward activation."""
        value = self.get(name, "gelu")
        if not isinstance(value, str) or value not in _ACTIVATIONS:
            raise self.wrong(f"{name} is {value!r}, not one of {', '.join(_ACTIVATIONS)}")
        return _ACTIVATIONS[value]

    def table(self, name: str) -> _Fields:
        """The values of an object inside the file; none where it is absent or null."""
        value = self.values.get(name)
        if not isinstance(value, dict | None):
            raise self.wrong(f"{name} is {value!r}, not an object")
        return _Fields(self.path, value or {})

    def only(self, name: str, wanted: Any) -> None:
        """Raise when an option has another value than the one yuyi has."""
        value = self.get(name, wanted)
        if value != wanted:
            raise self.wrong(f"{name} is {value!r}, and yuyi has {wanted!r} only")

    def wrong(self, cause: str) -> ModelError:
        """The error that names the file and the cause."""
        return ModelError(f"{self.path}: {cause}. Fetch the file again or choose another model.")


def _read_bert(fields: _Fields) -> EncoderConfig:
    """BERT, RoBERTa and XLM-RoBERTa: one shape; the latter two leave the first positions unused."""
    fields.only("position_embedding_type", "absolute")
    fields.only("is_decoder", False)
    layers = fields.count("num_hidden_layers")
    positions = usable_positions(fields.values)
    offset = fields.count("max_position_embeddings") - positions
    return EncoderConfig(
        architecture=fields.values["model_type"],
        vocabulary=fields.count("vocab_size"),
        hidden=fields.count("hidden_size"),
        layers=layers,
        heads=fields.count("num_attention_heads"),
        intermediate=fields.count("intermediate_size"),
        activation=fields.activation("hidden_act"),
        glu=False,
        pre_norm=False,
        norm_eps=fields.number("layer_norm_eps", 1e-12),
        norm_bias=True,
        attention_bias=True,
        up_bias=True,
        down_bias=True,
        token_types=fields.count("type_vocab_size", 2, smallest=0),
        max_positions=positions,
        position_offset=offset,
        ropes=(),
        windows=(None,) * layers,
        pad_id=fields.count("pad_token_id", max(offset - 1, 0), smallest=0),
    )


def _read_modernbert(fields: _Fields) -> EncoderConfig:
    """ModernBERT: pre-norm, gated, rotary, most layers local; in both forms of its config."""
    layers = fields.count("num_hidden_layers")
    local = _local_layers(fields, layers)
    everywhere, nearby = _modernbert_ropes(fields)
    half = fields.count("local_attention", 128) // 2
    return EncoderConfig(
        architecture="modernbert",
        vocabulary=fields.count("vocab_size"),
        hidden=fields.count("hidden_size"),
        layers=layers,
        heads=fields.count("num_attention_heads"),
        intermediate=fields.count("intermediate_size"),
        activation=fields.activation("hidden_activation"),
        glu=True,
        pre_norm=True,
        norm_eps=fields.number("norm_eps", 1e-5),
        norm_bias=fields.flag("norm_bias"),
        attention_bias=fields.flag("attention_bias"),
        up_bias=fields.flag("mlp_bias"),
        down_bias=fields.flag("mlp_bias"),
        token_types=0,
        max_positions=fields.count("max_position_embeddings", 8192),
        position_offset=None,
        ropes=tuple(nearby if is_local else everywhere for is_local in local),
        windows=tuple(half if is_local else None for is_local in local),
        pad_id=fields.count("pad_token_id", 0, smallest=0),
    )


def _local_layers(fields: _Fields, layers: int) -> list[bool]:
    """For each layer, whether it attends within a window only."""
    types = fields.values.get("layer_types")
    if types is None:
        every = fields.count("global_attn_every_n_layers", 3)
        return [bool(layer % every) for layer in range(layers)]
    known = ("full_attention", "sliding_attention")
    if not isinstance(types, list) or len(types) != layers or any(kind not in known for kind in types):
        raise fields.wrong(f"layer_types must name one of {', '.join(known)} for each of {layers} layers")
    return [kind == "sliding_attention" for kind in types]


def _modernbert_ropes(fields: _Fields) -> tuple[Rope, Rope]:
    """The rotary positions of global and of local layers."""
    fields.only("rope_scaling", None)
    everywhere = fields.number("global_rope_theta", 160_000.0)
    nearby = fields.number("local_rope_theta", 10_000.0)
    if "local_rope_theta" in fields.values and fields.values["local_rope_theta"] is None:
        nearby = everywhere
    parameters = fields.table("rope_parameters")
    unknown = parameters.values.keys() - {"full_attention", "sliding_attention"}
    if unknown:
        raise fields.wrong(
            f"rope_parameters has {', '.join(sorted(unknown))}, and yuyi has it by full_attention and "
            "sliding_attention only"
        )
    return (
        _rope(fields, parameters.table("full_attention"), everywhere),
        _rope(fields, parameters.table("sliding_attention"), nearby),
    )


def _read_gte(fields: _Fields) -> EncoderConfig:
    """GTE's own encoder ("new", in transformers "gte"): BERT's order of norms, gated, rotary.

    Shape from the published configurations of gte-multilingual-base and gte-*-en-v1.5.
    """
    fields.only("position_embedding_type", "rope")
    fields.only("layer_norm_type", "layer_norm")
    fields.only("logn_attention_scale", False)
    layers = fields.count("num_hidden_layers")
    rope = _gte_rope(fields)
    return EncoderConfig(
        architecture=fields.values["model_type"],
        vocabulary=fields.count("vocab_size"),
        hidden=fields.count("hidden_size"),
        layers=layers,
        heads=fields.count("num_attention_heads"),
        intermediate=fields.count("intermediate_size"),
        activation=fields.activation("hidden_act"),
        glu=True,
        pre_norm=False,
        norm_eps=fields.number("layer_norm_eps", 1e-12),
        norm_bias=True,
        attention_bias=True,
        up_bias=False,
        down_bias=True,
        token_types=fields.count("type_vocab_size", 1, smallest=0),
        max_positions=fields.count("max_position_embeddings", 8192),
        position_offset=None,
        ropes=(rope,) * layers,
        windows=(None,) * layers,
        pad_id=fields.count("pad_token_id", 0, smallest=0),
    )


def _gte_rope(fields: _Fields) -> Rope:
    """The rotary positions, in GTE's own form or in that of transformers."""
    if fields.get("rope_parameters") is None:
        return _rope(fields, fields.table("rope_scaling"), fields.number("rope_theta", 10_000.0))
    return _rope(fields, fields.table("rope_parameters"), fields.number("rope_theta", 160_000.0))


def _rope(fields: _Fields, parameters: _Fields, theta: float) -> Rope:
    """Rotary positions from a table of `rope_theta`, `rope_type` (or `type`) and `factor`."""
    parameters.only("partial_rotary_factor", 1.0)
    theta = parameters.number("rope_theta", theta)
    kind = parameters.get("rope_type", parameters.get("type", "default"))
    if kind == "default":
        return Rope(theta)
    factor = parameters.number("factor", 1.0)
    if kind == "linear":
        return Rope(theta, factor)
    parameters.only("mixed_b", None)
    if kind != "ntk":
        raise fields.wrong(f"rotary scaling {kind!r} is not one that yuyi has (default, linear, ntk)")
    # NTK scaling fixed in advance (kexue.fm/archives/9706, equation 6): the slowest pair turns `factor` times
    # slower, the fastest almost as before.
    head_dim = fields.count("hidden_size") / fields.count("num_attention_heads")
    return Rope(theta * factor, factor ** (2 / head_dim))


_READERS: dict[str, Callable[[_Fields], EncoderConfig]] = {
    "bert": _read_bert,
    "roberta": _read_bert,
    "xlm-roberta": _read_bert,
    "modernbert": _read_modernbert,
    "new": _read_gte,
    "gte": _read_gte,
}


def _check(fields: _Fields, config: EncoderConfig) -> None:
    """Raise when the numbers contradict one another."""
    if config.hidden % config.heads:
        raise fields.wrong(f"hidden_size {config.hidden} is no multiple of {config.heads} attention heads")
    if config.ropes and config.head_dim % 2:
        raise fields.wrong(f"attention heads of {config.head_dim} dimensions cannot be rotated in pairs")
    if config.max_positions < 1:
        raise fields.wrong("max_position_embeddings leaves no room for a token")
    if config.pad_id >= config.vocabulary:
        raise fields.wrong(f"pad_token_id {config.pad_id} lies outside a vocabulary of {config.vocabulary}")
