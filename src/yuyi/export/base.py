"""What every exported folder holds, whatever its forms: tokenizer, settings, pooling and heads."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tokenizers import Regex, Tokenizer, pre_tokenizers

from yuyi.artifacts import write_json
from yuyi.encode.static_folder import StaticModel
from yuyi.model.embedder import Pooler
from yuyi.model.heads import UnitLength
from yuyi.pipeline import DIMS_KEY
from yuyi.text.tokenizer import SEPARATOR
from yuyi.train.starting.save import write_model, write_modules

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from yuyi.export.form import Target
    from yuyi.export.source import Source

# What of a model lies at the top of the folder beside its files; a table is in a folder of its own.
_OF_ENCODERS = frozenset({"onnx", "onnx-int8", "onnx-fp16", "browser", "folder"})
_OF_TABLES = _OF_ENCODERS - {"folder"}
# A table reads any length; readers of transformers want a number.
_LONGEST = 1 << 20
# The piece that fills short rows up: none that means something, and a row of zeros where there is one.
_PADS = ("[PAD]", "<pad>", SEPARATOR, "[UNK]", "<unk>")
# What the pre-tokenizer "Whitespace" parts a text into, runs of \w and of other signs; in JavaScript \w is
# ASCII.
_WORD = r"\p{Alphabetic}\p{M}\p{Nd}\p{Pc}" + "\u200c\u200d"
_RUNS = rf"[{_WORD}]+|[^{_WORD}\s]+"


def write_base(folder: Path, source: Source, targets: Iterable[Target]) -> None:
    """Write what the forms at the top of a folder share into one that exists; nothing where there are none.

    That is a sentence-transformers folder, with the weights of an encoder where `folder` is asked for. A
    table's is one of a transformer, since there is no other kind that has an ONNX file.
    """
    if isinstance(source.model, StaticModel):
        if _OF_TABLES.intersection(targets):
            _write_table_base(folder, source.model, source.dims)
    elif _OF_ENCODERS.intersection(targets):
        write_model(folder, source.model, dims=source.dims[1:], weights="folder" in targets)


def _write_table_base(folder: Path, model: StaticModel, dims: tuple[int, ...]) -> None:
    """Files by which a table's ONNX form is opened as a transformer without layers."""
    tokenizer = in_any_language(plain_tokenizer(model.tokenizer))
    pieces, dim = tokenizer.get_vocab(with_added_tokens=True), dims[0]
    pad = next((piece for piece in _PADS if piece in pieces), min(pieces, key=pieces.__getitem__))
    config = {
        "model_type": "bert",
        "architectures": ["BertModel"],
        "vocab_size": len(model.backend.table()),
        "hidden_size": dim,
        "num_hidden_layers": 0,
        "num_attention_heads": 1,
        "intermediate_size": dim,
        "max_position_embeddings": _LONGEST,
        "type_vocab_size": 1,
        "pad_token_id": pieces[pad],
    }
    if len(dims) > 1:
        config |= {"is_matryoshka": True, DIMS_KEY: list(dims)}
    write_json(folder / "config.json", config)
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": _LONGEST, "do_lower_case": False})
    write_json(folder / "config_sentence_transformers.json", model.settings)
    write_json(folder / "tokenizer_config.json", {
        "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": _LONGEST, "pad_token": pad,
    })  # fmt: skip
    write_json(folder / "special_tokens_map.json", {})
    (folder / "tokenizer.json").write_text(tokenizer.to_str(), encoding="utf-8")
    write_modules(folder, Pooler(("mean",), (UnitLength(),), dim), dim)


def plain_tokenizer(tokenizer: Tokenizer) -> Tokenizer:
    """A tokenizer that gives the ids that a token table reads: no special tokens, no limit, no padding."""
    settings = {**json.loads(tokenizer.to_str()), "truncation": None, "padding": None, "post_processor": None}
    return Tokenizer.from_str(json.dumps(settings, ensure_ascii=False))


def in_any_language(tokenizer: Tokenizer) -> Tokenizer:
    """The same cuts, where JavaScript too sees letters beyond those of English in a word."""
    if isinstance(tokenizer.pre_tokenizer, pre_tokenizers.Whitespace):
        tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(_RUNS), "removed", invert=True)
    return tokenizer
