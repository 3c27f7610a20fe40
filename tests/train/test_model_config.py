"""Sizes as published, and settings that contradict themselves."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from yuyi.config import check_settings
from yuyi.errors import RecipeError
from yuyi.known import find
from yuyi.model.encoder import TransformerEncoder
from yuyi.train.starting.initial import encoder_config
from yuyi.train.starting.model_config import SHAPES, ModelConfig


def _parameters(config: ModelConfig, vocabulary: int) -> int:
    shape = encoder_config(config, vocabulary, pad_id=0, max_tokens=512)
    with torch.device("meta"):
        encoder = TransformerEncoder(shape)
    return sum(parameter.numel() for parameter in encoder.parameters())


@pytest.mark.parametrize(
    ("size", "name", "vocabulary"),
    [
        ("small", "gte-small", 30_522),
        ("base", "gte-base", 30_522),
        ("large", "gte-large", 30_522),
        ("small-zh", "gte-small-zh", 21_128),
        ("base", "gte-base-zh", 21_128),
        ("large", "gte-large-zh", 21_128),
    ],
)
def test_sizes_have_the_published_number_of_parameters(size: Any, name: str, vocabulary: int) -> None:
    known = find(name)
    assert known is not None
    hidden = SHAPES[size].hidden
    pooler = hidden * hidden + hidden  # counted there, used by no vector
    millions = (_parameters(ModelConfig(size=size), vocabulary) + pooler) / 1e6
    assert millions == pytest.approx(known.parameters, abs=0.01)
    assert SHAPES[size].layers == known.layers
    assert hidden == known.dim


def test_gte_small_zh_to_the_last_digit() -> None:
    # 30.26 M, of which 21,128 x 512 = 10.8 M are the token table, as published with it.
    config = ModelConfig(size="small-zh")
    assert _parameters(config, 21_128) + 512 * 513 == 30_258_688


def test_numbers_given_replace_those_of_the_size() -> None:
    shape = ModelConfig(size="tiny", layers=3, heads=6).shape()
    assert (shape.layers, shape.hidden, shape.heads, shape.intermediate) == (3, 384, 6, 1536)
    assert ModelConfig(size="tiny", hidden=96).shape().intermediate == 384
    assert ModelConfig(size="base", architecture="modernbert").shape().intermediate == 1152
    assert ModelConfig(layers=1, hidden=8, heads=2).shape().intermediate == 32
    assert ModelConfig(layers=1, hidden=8, heads=2, intermediate=5).shape().intermediate == 5


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, r"model\.layers: missing\. Give model\.folder, model\.size \(tiny, small"),
        ({"layers": 2, "hidden": 8}, r"model\.heads: missing"),
        ({"size": "huge"}, r"size: .*'tiny', 'small', 'small-zh', 'base' or 'large'"),
        ({"size": "tiny", "heads": 7}, r"model\.hidden: 384 is no multiple of the 7 model\.heads"),
        ({"size": "tiny", "hidden": 36, "architecture": "gte"}, r"model\.heads: heads of 3 dimensions"),
        ({"size": "tiny", "architecture": "t5"}, r"architecture: .*'bert', 'modernbert' or 'gte'"),
        ({"size": "tiny", "folder": "x"}, r"model\.size: given beside model\.folder x"),
        ({"architecture": "bert", "folder": "x"}, r"model\.architecture: given beside"),
        ({"tokenizer": {}, "folder": "x"}, r"model\.tokenizer: given beside"),
        ({"size": "tiny", "keep_layers": 3}, r"model\.keep_layers: there is no folder to cut"),
        ({"size": "tiny", "keep_vocabulary": {}}, r"model\.keep_vocabulary: there is no folder to cut"),
        ({"folder": "x", "keep_vocabulary": {"most": 0}}, r"keep_vocabulary\.most: .*greater than 0"),
        ({"folder": "x", "pooling": ["mean", "mean"]}, r"model\.pooling: mean, mean names one twice"),
        ({"folder": "x", "pooling": ["average"]}, r"pooling\.0: .*'cls', 'mean', 'last'"),
        (
            {"folder": "x", "dense": {"dim": 9, "activation": "sine"}},
            r"dense\.activation: .*'identity', 'tanh'",
        ),
        (
            {"folder": "x", "dense": {"dim": 9, "dims": 9}},
            r"dense\.dims: no such key\. Choose from dim, activation, bias",
        ),
        ({"size": "tiny", "dropout": 1}, r"dropout: .*less than 1"),
        ({"size": "tiny", "max_tokens": 2}, r"max_tokens: .*greater than or equal to 3"),
    ],
)
def test_what_cannot_be_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        check_settings(ModelConfig, values, "train.yaml")


def test_settings_as_a_file_gives_them() -> None:
    values = {
        "folder": "models/gte-small-zh",
        "pooling": ["cls", "mean"],
        "dense": {"dim": 1792},
        "prompts": {"query": "为这个句子生成表示："},
        "keep_layers": [0, 2, 5],
        "keep_vocabulary": {"most": 8000},
    }
    config = check_settings(ModelConfig, values, "train.yaml")
    assert config.pooling == ("cls", "mean")
    assert config.keep_layers == (0, 2, 5)
    assert config.keep_vocabulary is not None
    assert (config.keep_vocabulary.at_least, config.keep_vocabulary.most) == (1, 8000)
    assert check_settings(ModelConfig, {"folder": "x", "keep_layers": 3}, "y").keep_layers == 3
