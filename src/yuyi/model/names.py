"""What each architecture's files call the tensors that yuyi's encoder holds.

Keys are yuyi's names of modules with `{n}` for the layer; values are the names on disk, which follow the
classes of transformers (and, for "new", the published weights of gte-multilingual). Several names are stacked
in order.
"""

from __future__ import annotations

from dataclasses import dataclass

Names = dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Naming:
    """How one architecture's files name things.

    Attributes:
        modules: yuyi's module to the modules on disk that make it up.
        alternatives: other forms of some of `modules`, tried where the first is absent.
        gate_first: whether the gate's rows come before the up rows in the product that holds both.
    """

    modules: Names
    alternatives: Names
    gate_first: bool = True


_BERT_EMBEDDINGS: Names = {
    "embeddings.tokens": ("embeddings.word_embeddings",),
    "embeddings.positions": ("embeddings.position_embeddings",),
    "embeddings.types": ("embeddings.token_type_embeddings",),
    "embeddings.norm": ("embeddings.LayerNorm",),
}

_BERT = Naming(
    modules={
        **_BERT_EMBEDDINGS,
        "layers.{n}.qkv": (
            "encoder.layer.{n}.attention.self.query",
            "encoder.layer.{n}.attention.self.key",
            "encoder.layer.{n}.attention.self.value",
        ),
        "layers.{n}.attention_out": ("encoder.layer.{n}.attention.output.dense",),
        "layers.{n}.attention_norm": ("encoder.layer.{n}.attention.output.LayerNorm",),
        "layers.{n}.up": ("encoder.layer.{n}.intermediate.dense",),
        "layers.{n}.down": ("encoder.layer.{n}.output.dense",),
        "layers.{n}.feed_forward_norm": ("encoder.layer.{n}.output.LayerNorm",),
    },
    alternatives={},
)

_MODERNBERT = Naming(
    modules={
        "embeddings.tokens": ("embeddings.tok_embeddings",),
        "embeddings.norm": ("embeddings.norm",),
        "layers.{n}.qkv": ("layers.{n}.attn.Wqkv",),
        "layers.{n}.attention_out": ("layers.{n}.attn.Wo",),
        "layers.{n}.attention_norm": ("layers.{n}.attn_norm",),
        "layers.{n}.up": ("layers.{n}.mlp.Wi",),
        "layers.{n}.down": ("layers.{n}.mlp.Wo",),
        "layers.{n}.feed_forward_norm": ("layers.{n}.mlp_norm",),
        "final_norm": ("final_norm",),
    },
    alternatives={},
)

_GTE = Naming(
    modules={
        **_BERT_EMBEDDINGS,
        "layers.{n}.qkv": ("encoder.layer.{n}.attention.qkv_proj",),
        "layers.{n}.attention_out": ("encoder.layer.{n}.attention.o_proj",),
        "layers.{n}.attention_norm": ("encoder.layer.{n}.attn_ln",),
        "layers.{n}.up": ("encoder.layer.{n}.mlp.up_gate_proj",),
        "layers.{n}.down": ("encoder.layer.{n}.mlp.down_proj",),
        "layers.{n}.feed_forward_norm": ("encoder.layer.{n}.mlp_ln",),
    },
    alternatives={
        "layers.{n}.qkv": (
            "encoder.layer.{n}.attention.q_proj",
            "encoder.layer.{n}.attention.k_proj",
            "encoder.layer.{n}.attention.v_proj",
        ),
    },
    gate_first=False,
)

NAMINGS = {
    "bert": _BERT,
    "roberta": _BERT,
    "xlm-roberta": _BERT,
    "modernbert": _MODERNBERT,
    "new": _GTE,
    "gte": _GTE,
}

# What training heads leave in a file beside the encoder, by the start of the name; no vector needs it.
HEADS = (
    "pooler.",
    "cls.",
    "lm_head.",
    "classifier.",
    "qa_outputs.",
    "head.",
    "decoder.",
    "embeddings.position_ids",
)
