"""A trained model as a sentence-transformers folder, which yuyi and sentence-transformers open alike."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal, get_args

import safetensors
import safetensors.torch
import torch
from tokenizers import models, normalizers, pre_tokenizers

from yuyi.artifacts import publish_folder, sealed, write_json
from yuyi.errors import InputError
from yuyi.model.heads import DenseHead
from yuyi.model.write import config_values, disk_tensors
from yuyi.pipeline import DIMS_KEY, POOLING_FLAGS, POOLING_NAMES
from yuyi.train.record import training_text, write_record

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tokenizers import Tokenizer
    from torch import nn

    from yuyi.model.embedder import Pooler
    from yuyi.model.encoder import TransformerEncoder
    from yuyi.train.starting.start import TextModel

SavedType = Literal["float32", "bfloat16", "float16"]

_WEIGHTS = "model.safetensors"
_WITH_POOLER = ("bert", "roberta", "xlm-roberta")


def save_model(
    folder: Path,
    model: TextModel,
    *,
    dims: Sequence[int] = (),
    dtype: SavedType = "float32",
    card: Mapping[str, Any] | None = None,
    training: str | Mapping[str, Any] = "",
    record: Mapping[str, Any] | None = None,
) -> None:
    """Write the whole model, or nothing; a folder that is there is replaced.

    In float32 the folder gives the very vectors that `model` gives.

    Args:
        folder: its last part is the model's name; what it lies in exists.
        model: what is written; it stays as it is.
        dims: Matryoshka dimensions that it was trained for.
        dtype: of the weights of the encoder; heads are float32.
        card: further keys of the card's head, such as `license` and `language`.
        training: how the model was made, for the card: text, or values by name.
        record: how it was made, for programs; without `training` the card says it, too.

    Raises:
        InputError: the folder cannot be written, the disk is full, or a dimension or a weight is impossible.
    """
    if dtype not in get_args(SavedType):
        raise InputError(f"dtype={dtype!r}: choose one of {', '.join(get_args(SavedType))}.")
    if wrong := [dim for dim in dims if not 0 < dim <= model.embedder.dim]:
        raise InputError(f"dims: {wrong[0]}, and the vectors have {model.embedder.dim}. Leave it out.")
    bad = next((name for name, each in model.embedder.named_parameters() if not each.isfinite().all()), None)
    if bad is not None:
        raise InputError(
            f"{folder}: not written, since {bad} holds values that are no numbers (NaN or infinite)."
        )
    with publish_folder(folder) as temporary:
        write_model(temporary, model, dims=dims, dtype=dtype)
        if record is not None:
            write_record(temporary, record)
            training = training or training_text(record)
        text = card_text(folder.name, model, dims=dims, dtype=dtype, card=card or {}, training=training)
        (temporary / "README.md").write_text(sealed(text), encoding="utf-8")


def write_model(
    folder: Path,
    model: TextModel,
    *,
    dims: Sequence[int] = (),
    dtype: SavedType = "float32",
    weights: bool = True,
) -> None:
    """Write the files of a model into a folder that exists, to be published together with others.

    Args:
        folder: empty.
        model: what is written; it stays as it is.
        dims: Matryoshka dimensions that it was trained for.
        dtype: of the weights of the encoder.
        weights: whether the encoder's are written; those of heads always are.
    """
    _write_settings(folder, model, dims, dtype)
    if weights:
        _write_weights(folder, model.embedder.encoder, dtype)
    _write_tokenizer(folder, model)
    write_modules(folder, model.embedder.pooler, model.embedder.encoder.config.hidden)
    prompts = {"prompts": model.prompts, "default_prompt_name": model.default_prompt}
    write_json(
        folder / "config_sentence_transformers.json", {**prompts, "similarity_fn_name": model.similarity}
    )


def card_text(
    name: str,
    model: TextModel,
    *,
    dims: Sequence[int],
    dtype: str,
    card: Mapping[str, Any],
    training: str | Mapping[str, Any],
) -> str:
    """The model card: a head that hubs read, the model's facts, and how it was made."""
    embedder, config = model.embedder, model.embedder.encoder.config
    head = {
        "library_name": "sentence-transformers",
        "pipeline_tag": "sentence-similarity",
        "tags": ["sentence-transformers", "feature-extraction", *(["matryoshka"] if dims else [])],
        **card,
    }
    facts = {
        "architecture": f"{config.architecture}, {config.layers} layers of {config.hidden}",
        "parameters": f"{sum(parameter.numel() for parameter in embedder.parameters()):,}",
        "vocabulary": f"{config.vocabulary:,}",
        "longest text": f"{model.max_tokens:,} tokens",
        "pooling": ", ".join(embedder.pooler.pooling),
        "dimensions": ", ".join(map(str, sorted({embedder.dim, *dims}, reverse=True))),
        "weights": dtype,
        **{f"prompt {key}": json.dumps(text, ensure_ascii=False) for key, text in model.prompts.items()},
    }
    # JSON is YAML.
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in head.items()]
    parts = ["---", *lines, "---", f"\n# {name}\n", *_listed(facts)]
    if training:
        parts += ["\n## Training\n", *([training] if isinstance(training, str) else _listed(training))]
    return "\n".join(parts) + "\n"


def _listed(values: Mapping[str, Any]) -> list[str]:
    return [f"- {key}: {value}" for key, value in values.items()]


def _write_settings(folder: Path, model: TextModel, dims: Sequence[int], dtype: str) -> None:
    encoder = model.embedder.encoder
    values = {**config_values(encoder.config), "dtype": dtype}
    if encoder.config.architecture == "modernbert":
        # Its own ids are those of its first vocabulary.
        for token in ("cls", "sep", "bos", "eos"):
            usual = {"bos": "cls", "eos": "sep"}.get(token, token)
            piece = model.specials.get(f"{token}_token", model.specials.get(f"{usual}_token", ""))
            values[f"{token}_token_id"] = model.tokenizer.token_to_id(piece)
    if dims:
        values |= {"is_matryoshka": True, DIMS_KEY: sorted({*dims, model.embedder.dim}, reverse=True)}
    write_json(folder / "config.json", values)
    write_json(
        folder / "sentence_bert_config.json", {"max_seq_length": model.max_tokens, "do_lower_case": False}
    )


def _write_weights(folder: Path, encoder: TransformerEncoder, dtype: str) -> None:
    tensors = disk_tensors(encoder)
    if encoder.config.architecture in _WITH_POOLER:
        # No vector needs it, but transformers would draw a random one and report it.
        hidden = encoder.config.hidden
        tensors |= {"pooler.dense.weight": torch.eye(hidden), "pooler.dense.bias": torch.zeros(hidden)}
    _write_tensors(folder, tensors, getattr(torch, dtype))


def _write_tokenizer(folder: Path, model: TextModel) -> None:
    tokenizer = model.tokenizer
    # How long texts are cut or padded is for whoever opens it to say.
    whole = {**json.loads(tokenizer.to_str()), "truncation": None, "padding": None}
    write_json(folder / "tokenizer.json", whole)
    write_json(folder / "special_tokens_map.json", model.specials)
    settings: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": model.max_tokens,
        **model.specials,
    }
    pieces = _plain_bert(tokenizer)
    if pieces is not None:
        settings |= {
            "tokenizer_class": "BertTokenizer",
            "do_lower_case": tokenizer.normalizer.lowercase,
            "strip_accents": tokenizer.normalizer.strip_accents,
            "tokenize_chinese_chars": tokenizer.normalizer.handle_chinese_chars,
        }
        (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece in pieces), encoding="utf-8")
    write_json(folder / "tokenizer_config.json", settings)


def _plain_bert(tokenizer: Tokenizer) -> list[str] | None:
    """The pieces in the order of their ids, where BERT's tokenizer made of them is this one; else None."""
    numbers = tokenizer.get_vocab(with_added_tokens=True)
    pieces = sorted(numbers, key=numbers.__getitem__)
    plain = (
        isinstance(tokenizer.model, models.WordPiece)
        and isinstance(tokenizer.normalizer, normalizers.BertNormalizer)
        and isinstance(tokenizer.pre_tokenizer, pre_tokenizers.BertPreTokenizer)
        and tokenizer.normalizer.clean_text
        and [numbers[piece] for piece in pieces] == list(range(len(pieces)))
        and not any("\n" in piece or "\r" in piece for piece in pieces)
    )
    return pieces if plain else None


def write_modules(folder: Path, pooler: Pooler, hidden: int) -> None:
    """Write `modules.json`, and a folder for the pooling and for each head, into a folder that exists."""
    modules = ["Transformer", "Pooling"]
    (folder / "1_Pooling").mkdir()
    write_json(folder / "1_Pooling" / "config.json", _pooling_values(pooler, hidden))
    for number, head in enumerate(pooler.heads, 2):
        modules.append("Dense" if isinstance(head, DenseHead) else "Normalize")
        inner = folder / f"{number}_{modules[-1]}"
        inner.mkdir()
        if isinstance(head, DenseHead):
            _write_dense(inner, head)
    entries = [
        {
            "idx": number,
            "name": str(number),
            "path": f"{number}_{kind}" if number else "",
            "type": f"sentence_transformers.models.{kind}",
        }
        for number, kind in enumerate(modules)
    ]
    write_json(folder / "modules.json", entries)


def _pooling_values(pooler: Pooler, hidden: int) -> dict[str, Any]:
    """In the older form, which every version reads, where it can express the order of several poolings."""
    names = [name for wanted in pooler.pooling for name, ours in POOLING_NAMES.items() if ours == wanted]
    flags = {flag: name in names for flag, name in POOLING_FLAGS.items()}
    include = {"include_prompt": pooler.include_prompt}
    if [POOLING_FLAGS[flag] for flag, chosen in flags.items() if chosen] == names:
        return {"word_embedding_dimension": hidden, **flags, **include}
    return {"embedding_dimension": hidden, "pooling_mode": names, **include}


def _write_dense(folder: Path, head: DenseHead) -> None:
    function = type(head[1])
    settings = {
        "in_features": head.in_features,
        "out_features": head.out_features,
        "bias": head.linear.bias is not None,
        "activation_function": f"{function.__module__}.{function.__qualname__}",
    }
    write_json(folder / "config.json", settings)
    _write_tensors(folder, _state(head.linear), torch.float32)


def _state(linear: nn.Linear) -> dict[str, torch.Tensor]:
    return {f"linear.{name}": parameter.detach() for name, parameter in linear.named_parameters()}


def _write_tensors(folder: Path, tensors: dict[str, torch.Tensor], dtype: torch.dtype) -> None:
    held = {name: tensor.to("cpu", dtype).contiguous() for name, tensor in tensors.items()}
    try:
        safetensors.torch.save_file(held, folder / _WEIGHTS, metadata={"format": "pt"})
    except safetensors.SafetensorError as error:  # a full disk, for one
        raise OSError(str(error)) from error
