"""The model that training starts from, made as the settings say: opened, cut down, or from scratch."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from yuyi.errors import ModelError, RecipeError
from yuyi.model.config import read_config
from yuyi.model.embedder import Embedder, Pooler, load_embedder
from yuyi.model.heads import DenseHead, UnitLength
from yuyi.pipeline import Dense, Normalize, read_pipeline, read_similarity
from yuyi.text.tokenizer_folder import BERT_SPECIALS, read_specials, read_tokenizer
from yuyi.train.starting.cut_layers import cut_layers
from yuyi.train.starting.cut_vocabulary import cut_vocabulary
from yuyi.train.starting.initial import draw_weights, encoder_config, new_encoder
from yuyi.train.starting.model_config import TokenizerConfig
from yuyi.train.starting.wordpieces import train_wordpieces

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokenizers import Tokenizer

    from yuyi.pipeline import Pipeline
    from yuyi.train.starting.model_config import DenseConfig, ModelConfig

# Tokens that a model from scratch has positions for, where nothing is said.
_POSITIONS = 512


@dataclass(frozen=True, slots=True)
class TextModel:
    """A model with all that makes vectors of texts, as `save_model` writes it.

    Attributes:
        embedder: the weights, float32.
        tokenizer: cuts texts into pieces, lower-casing included.
        max_tokens: the longest text, in tokens, special tokens included.
        specials: the special tokens by the names that transformers has for them, such as `pad_token`.
        prompts: texts put before an input, by name.
        default_prompt: name of the prompt used when none is asked for.
        similarity: by what its vectors are compared, as sentence-transformers calls it.
    """

    embedder: Embedder
    tokenizer: Tokenizer
    max_tokens: int
    specials: dict[str, str]
    prompts: dict[str, str] = field(default_factory=dict)
    default_prompt: str | None = None
    similarity: str = "cosine"


def open_start(config: ModelConfig, texts: Iterable[str] = (), *, seed: int = 0) -> TextModel:
    """The model that `config` describes, in evaluation mode on the CPU, with memory of its own.

    Args:
        config: what is wanted.
        texts: the corpus that a tokenizer is trained on or a vocabulary cut to; read only then, and once.
        seed: of fresh weights; torch's own generator is neither read nor moved.

    Raises:
        ModelError: the folder cannot be used.
        RecipeError: the folder's model has not what the settings ask for; the message names the key.
        InputError: a corpus is needed and `texts` is empty.
    """
    generator = torch.Generator().manual_seed(seed)
    model = _open(config, texts, generator) if config.folder else _make(config, texts, generator)
    model.embedder.encoder.set_dropout(config.dropout, config.attention_dropout)
    with torch.no_grad():
        for parameter in model.embedder.parameters():
            parameter.data = parameter.data.clone()
    return model


def _make(config: ModelConfig, texts: Iterable[str], generator: torch.Generator) -> TextModel:
    wanted = config.tokenizer or TokenizerConfig()
    max_tokens = config.max_tokens or _POSITIONS
    if wanted.folder:
        tokenizer, specials = read_tokenizer(Path(wanted.folder)), read_specials(Path(wanted.folder))
    else:
        prompts = (config.prompts or {}).values()
        tokenizer, specials = train_wordpieces(texts, wanted, prompts), dict(BERT_SPECIALS)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    pieces = 1 + max(tokenizer.get_vocab(with_added_tokens=True).values())
    pad = tokenizer.token_to_id(specials.get("pad_token", ""))
    if pad is None:
        raise RecipeError(
            f"model.tokenizer.folder: {wanted.folder} names no padding token among its pieces, which others "
            "need to open the model. Choose another tokenizer."
        )
    encoder = new_encoder(encoder_config(config, pieces, pad, max_tokens), generator)
    pooling = config.pooling or ("mean",)
    hidden = encoder.config.hidden
    heads = _heads(config.dense, config.normalize is not False, len(pooling) * hidden, generator)
    include = config.include_prompt is not False
    pooler = Pooler(pooling, heads, hidden, include_prompt=include)
    embedder = Embedder(encoder, pooler).eval()
    return TextModel(embedder, tokenizer, max_tokens, specials, dict(config.prompts or {}))


def _open(config: ModelConfig, texts: Iterable[str], generator: torch.Generator) -> TextModel:
    pipeline = _changed(config)
    embedder = load_embedder(pipeline)
    if config.dense is not None:
        width = len(pipeline.pooling) * embedder.encoder.config.hidden
        normalize = any(isinstance(head, Normalize) for head in pipeline.heads)
        heads = _heads(config.dense, normalize, width, generator)
        embedder.pooler = Pooler(
            pipeline.pooling, heads, embedder.encoder.config.hidden, include_prompt=pipeline.include_prompt
        )
    tokenizer = read_tokenizer(pipeline.transformer, lower_case=pipeline.lower_case)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    last = max(tokenizer.get_vocab(with_added_tokens=True).values())
    if last >= embedder.encoder.config.vocabulary:
        raise ModelError(
            f"model.folder: the tokenizer of {config.folder} numbers its pieces up to {last:,}, and its "
            f"config.json has {embedder.encoder.config.vocabulary:,}. Copy both files again, from one model."
        )
    if config.keep_layers is not None:
        embedder.encoder = cut_layers(embedder.encoder, config.keep_layers)
    if config.keep_vocabulary is not None:
        embedder.encoder, tokenizer = cut_vocabulary(
            embedder.encoder, tokenizer, texts, config.keep_vocabulary, pipeline.prompts.values()
        )
    return TextModel(
        embedder.eval(),
        tokenizer,
        pipeline.max_tokens,
        read_specials(pipeline.transformer),
        pipeline.prompts,
        pipeline.default_prompt,
        read_similarity(pipeline.folder),
    )


def _changed(config: ModelConfig) -> Pipeline:
    """What the folder says of itself, changed as the settings say; without its heads where new ones come.

    Raises:
        RecipeError: the change does not fit the folder's model.
    """
    try:
        found = read_pipeline(Path(config.folder), pooling=config.pooling[0] if config.pooling else None)
    except ModelError as error:
        raise ModelError(f"model.folder: {error}") from error
    heads = found.heads
    if config.normalize is not None:
        heads = tuple(head for head in heads if not isinstance(head, Normalize))
        heads += (Normalize(),) if config.normalize else ()
    if config.dense is not None:
        heads = tuple(head for head in heads if not isinstance(head, Dense))
    shape = read_config(found.transformer)
    pooling = config.pooling or found.pooling
    dense = next((head for head in heads if isinstance(head, Dense)), None)
    if config.pooling and dense is not None and dense.in_features != len(pooling) * shape.hidden:
        raise RecipeError(
            f"model.pooling: {', '.join(pooling)} gives {len(pooling) * shape.hidden} dimensions, and the "
            f"folder's dense layer takes {dense.in_features}. Choose another, or give model.dense."
        )
    if config.max_tokens is not None and config.max_tokens > shape.max_positions:
        raise RecipeError(
            f"model.max_tokens: {config.max_tokens:,}, and {config.folder} has positions for "
            f"{shape.max_positions:,}. Lower it."
        )
    prompts = found.prompts if config.prompts is None else dict(config.prompts)
    include = found.include_prompt if config.include_prompt is None else config.include_prompt
    return dataclasses.replace(
        found,
        pooling=pooling,
        heads=heads,
        include_prompt=include,
        max_tokens=config.max_tokens or found.max_tokens,
        prompts=prompts,
        default_prompt=found.default_prompt if found.default_prompt in prompts else None,
    )


def _heads(
    dense: DenseConfig | None, normalize: bool, width: int, generator: torch.Generator
) -> tuple[DenseHead | UnitLength, ...]:
    """Fresh heads for pooled vectors of `width`."""
    heads: list[DenseHead | UnitLength] = []
    if dense is not None:
        with torch.device("meta"):
            head = DenseHead(width, dense.dim, bias=dense.bias, activation=dense.activation)
        draw_weights(head.to_empty(device="cpu"), generator)
        heads.append(head)
    return (*heads, UnitLength()) if normalize else tuple(heads)
