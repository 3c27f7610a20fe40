"""Folders of the models people use, full size, random weights, built where a test wants them.

The layout of each is that of the published folder, the sizes are those of its published configuration. Real
tokenizers are taken where the reference files lie beside the checkout; elsewhere a vocabulary of the same
size is made up. `python tests/full_size.py NAME FOLDER` builds one by hand.
"""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

REFERENCE = Path(__file__).parent.parent.parent / "shared" / "reference" / "models"
# Weights are cut from one table of noise, since drawing a third of a billion numbers takes seconds. Its
# length is no multiple of a row, so that no two rows of a tensor are alike.
_NOISE = 4_194_301


@dataclass(frozen=True, slots=True)
class Shape:
    """What a model's published files say.

    Attributes:
        tokenizer: folder of the reference files with its tokenizer.
        vocabulary: rows of the token table.
        layers: number of layers.
        hidden: length of a state.
        heads: attention heads.
        positions: longest text.
        pooling: of the folder; None is a plain Hugging Face folder.
        dense: dimensions of a dense layer after pooling.
        normalize: whether the folder ends in unit length.
        half: whether the weights are stored in float16.
    """

    tokenizer: str
    vocabulary: int
    layers: int
    hidden: int
    heads: int
    positions: int
    pooling: str | None
    dense: int | None = None
    normalize: bool = True
    half: bool = False


_CHINESE = ("acge_text_embedding", 21_128)
_ENGLISH = ("gte-small", 30_522)
SHAPES = {
    "gte-small-zh": Shape(*_CHINESE, 6, 512, 8, 512, "cls", half=True),
    "gte-large-zh": Shape(*_CHINESE, 24, 1024, 16, 512, "cls", half=True),
    "Dmeta-embedding": Shape(*_CHINESE, 12, 768, 12, 1024, "cls"),
    "acge_text_embedding": Shape(*_CHINESE, 24, 1024, 16, 1024, "mean", dense=1792, normalize=False),
    "gte-small": Shape(*_ENGLISH, 12, 384, 12, 512, None),
    "Supabase-gte-small": Shape(*_ENGLISH, 12, 384, 12, 512, "mean", half=True),
}


def build(name: str, parent: Path, *, layers: int | None = None, real_tokenizer: bool = False) -> Path:
    """The folder `parent / name` with a model of that name.

    Args:
        name: one of `SHAPES`.
        parent: an existing folder.
        layers: fewer layers than the real model has, where the test is about something else.
        real_tokenizer: copy the tokenizer of the reference files, which must be there.
    """
    shape = SHAPES[name] if layers is None else replace(SHAPES[name], layers=layers)
    folder = parent / name
    folder.mkdir()
    if real_tokenizer:
        for file in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"):
            shutil.copy(REFERENCE / shape.tokenizer / file, folder / file)
    else:
        _write_tokenizer(folder, shape)
    _write_config(folder, shape)
    _write_weights(folder / "model.safetensors", _bert_shapes(shape), shape.half)
    if shape.pooling is not None:
        _write_modules(folder, shape)
    return folder


def _write_config(folder: Path, shape: Shape) -> None:
    config = {
        "architectures": ["BertModel"],
        "attention_probs_dropout_prob": 0.1,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "hidden_size": shape.hidden,
        "initializer_range": 0.02,
        "intermediate_size": 4 * shape.hidden,
        "layer_norm_eps": 1e-12,
        "max_position_embeddings": shape.positions,
        "model_type": "bert",
        "num_attention_heads": shape.heads,
        "num_hidden_layers": shape.layers,
        "pad_token_id": 0,
        "position_embedding_type": "absolute",
        "torch_dtype": "float16" if shape.half else "float32",
        "type_vocab_size": 2,
        "vocab_size": shape.vocabulary,
    }
    _write(folder / "config.json", config)


def _write_modules(folder: Path, shape: Shape) -> None:
    kinds = ["Transformer", "Pooling"]
    kinds += ["Dense"] if shape.dense else []
    kinds += ["Normalize"] if shape.normalize else []
    modules = [
        {
            "idx": index,
            "name": str(index),
            "path": f"{index}_{kind}" if index else "",
            "type": f"sentence_transformers.models.{kind}",
        }
        for index, kind in enumerate(kinds)
    ]
    _write(folder / "modules.json", modules)
    _write(folder / "sentence_bert_config.json", {"max_seq_length": shape.positions, "do_lower_case": False})
    (folder / "1_Pooling").mkdir()
    _write(
        folder / "1_Pooling" / "config.json",
        {
            "word_embedding_dimension": shape.hidden,
            "pooling_mode_cls_token": shape.pooling == "cls",
            "pooling_mode_mean_tokens": shape.pooling == "mean",
            "pooling_mode_max_tokens": False,
            "pooling_mode_mean_sqrt_len_tokens": False,
        },
    )
    if shape.dense:
        (folder / "2_Dense").mkdir()
        _write(
            folder / "2_Dense" / "config.json",
            {
                "in_features": shape.hidden,
                "out_features": shape.dense,
                "bias": True,
                "activation_function": "torch.nn.modules.linear.Identity",
            },
        )
        dense = {"linear.weight": (shape.dense, shape.hidden), "linear.bias": (shape.dense,)}
        _write_weights(folder / "2_Dense" / "model.safetensors", dense, half=False)


def _bert_shapes(shape: Shape) -> dict[str, tuple[int, ...]]:
    hidden, inner = shape.hidden, 4 * shape.hidden
    tensors: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (shape.vocabulary, hidden),
        "embeddings.position_embeddings.weight": (shape.positions, hidden),
        "embeddings.token_type_embeddings.weight": (2, hidden),
        "embeddings.LayerNorm.weight": (hidden,),
        "embeddings.LayerNorm.bias": (hidden,),
        "pooler.dense.weight": (hidden, hidden),
        "pooler.dense.bias": (hidden,),
    }
    products = {
        "attention.self.query": (hidden, hidden),
        "attention.self.key": (hidden, hidden),
        "attention.self.value": (hidden, hidden),
        "attention.output.dense": (hidden, hidden),
        "intermediate.dense": (inner, hidden),
        "output.dense": (hidden, inner),
    }
    for layer in range(shape.layers):
        at = f"encoder.layer.{layer}"
        for product, size in products.items():
            tensors[f"{at}.{product}.weight"] = size
            tensors[f"{at}.{product}.bias"] = size[:1]
        for norm in ("attention.output.LayerNorm", "output.LayerNorm"):
            tensors[f"{at}.{norm}.weight"] = tensors[f"{at}.{norm}.bias"] = (hidden,)
    return tensors


def _write_weights(path: Path, shapes: dict[str, tuple[int, ...]], half: bool) -> None:
    noise = torch.randn(2 * _NOISE, generator=torch.Generator().manual_seed(11)) * 0.04
    state, start = {}, 0
    for name, size in shapes.items():
        count = torch.Size(size).numel()
        start = (start + 1_000_003) % _NOISE
        piece = noise[start : start + _NOISE].repeat(-(-count // _NOISE))[:count].view(size)
        if "LayerNorm.weight" in name:
            piece = piece + 1
        state[name] = piece.half() if half else piece.clone()
    safetensors.torch.save_file(state, path, metadata={"format": "pt"})


def _write_tokenizer(folder: Path, shape: Shape) -> None:
    """BERT's kind of tokenizer with the ids of the published vocabularies' special pieces."""
    pieces = ["[PAD]", *(f"[unused{row}]" for row in range(1, 100)), "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    pieces += [chr(code) for code in range(0x21, 0x7F) if not chr(code).isupper()]
    pieces += [f"##{letter}" for letter in letters]
    pieces += ["，", "。", "？", "！", "：", "、", "😀", "𠮷"]
    pieces += [chr(code) for code in range(0x4E00, 0x9FA6)]
    pieces += [f"{first}{second}{third}" for first in letters for second in letters for third in letters]
    pieces = pieces[: shape.vocabulary]
    tokenizer = Tokenizer(
        models.WordPiece({piece: row for row, piece in enumerate(pieces)}, unk_token="[UNK]")
    )
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B [SEP]",
        special_tokens=[("[CLS]", 101), ("[SEP]", 102)],
    )
    tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    assert tokenizer.get_vocab_size() == shape.vocabulary
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n", encoding="utf-8")
    special = {f"{kind}_token": f"[{kind.upper()}]" for kind in ("pad", "unk", "cls", "sep", "mask")}
    settings = {
        "tokenizer_class": "BertTokenizer",
        "do_lower_case": True,
        "model_max_length": shape.positions,
    }
    _write(folder / "tokenizer_config.json", {**special, **settings})


def _write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    build(sys.argv[1], Path(sys.argv[2]), real_tokenizer=REFERENCE.is_dir())
