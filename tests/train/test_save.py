"""Saved models: the same bits in yuyi, the same vectors in sentence-transformers, whole or not there."""

from __future__ import annotations

import contextlib
import json
import logging
import re
import resource
import shutil
from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

import pytest
import torch
import yaml
from model.oracles import FOLDERS, PEERS, TEXTS, TINY, flat

import yuyi
from yuyi.errors import InputError
from yuyi.model.embedder import load_embedder
from yuyi.pipeline import POOLINGS, read_pipeline
from yuyi.text.tokenizer_folder import read_specials, read_tokenizer
from yuyi.train.starting.model_config import DenseConfig, KeepVocabulary, ModelConfig, TokenizerConfig
from yuyi.train.starting.save import save_model
from yuyi.train.starting.start import TextModel, open_start

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sentence_transformers import SentenceTransformer
    from torch import Tensor

SMALL: dict[str, Any] = {
    "layers": 3,
    "hidden": 32,
    "heads": 4,
    "max_tokens": 64,
    "tokenizer": TokenizerConfig(pieces=300, smallest_count=1),
}


def _vectors(model: TextModel, texts: tuple[str, ...] = TEXTS, prompt: str = "") -> Tensor:
    model.tokenizer.enable_truncation(model.max_tokens)
    rows = [encoding.ids for encoding in model.tokenizer.encode_batch([prompt + text for text in texts])]
    prompt_tokens = len(model.tokenizer.encode(prompt).ids) - 1 if prompt else 0
    model.tokenizer.no_truncation()
    with torch.inference_mode():
        return model.embedder(*flat(rows), prompt_tokens)


def _opened(folder: Path) -> TextModel:
    pipeline = read_pipeline(folder)
    tokenizer = read_tokenizer(folder, lower_case=pipeline.lower_case)
    embedder = load_embedder(pipeline)
    return TextModel(embedder, tokenizer, pipeline.max_tokens, read_specials(folder), pipeline.prompts)


def _peer(folder: Path, caplog: pytest.LogCaptureFixture, told: str = "^$") -> SentenceTransformer:
    """The folder in sentence-transformers, which says what `told` matches at most."""
    from sentence_transformers import SentenceTransformer

    with caplog.at_level(logging.WARNING):
        peer = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    assert all(re.search(told, record.getMessage()) for record in caplog.records)
    return peer


def _check(model: TextModel, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Equal bits in yuyi, equal vectors and ids in sentence-transformers."""
    save_model(folder, model)
    ours = _vectors(model)
    assert torch.equal(_vectors(_opened(folder)), ours)
    peer = _peer(folder, caplog)
    wanted = peer.encode(list(TEXTS), batch_size=4, convert_to_tensor=True)
    assert wanted.shape == ours.shape
    assert (wanted - ours).abs().max() <= 1e-5 * max(1.0, float(ours.abs().max()))
    assert (wanted[3] - wanted[4]).abs().max() > 1e-3
    assert peer.max_seq_length == model.max_tokens
    for text in TEXTS[:-2]:
        assert peer.tokenizer(text)["input_ids"] == model.tokenizer.encode(text).ids


@pytest.mark.parametrize("name", FOLDERS)
def test_folders_of_every_architecture_come_back_bit_by_bit(name: str, tmp_path: Path) -> None:
    model = open_start(ModelConfig(folder=str(TINY / name)))
    save_model(tmp_path / "model", model)
    assert torch.equal(_vectors(_opened(tmp_path / "model")), _vectors(model))
    first, second = read_pipeline(TINY / name), read_pipeline(tmp_path / "model")
    for field in ("pooling", "include_prompt", "max_tokens", "prompts", "default_prompt"):
        assert getattr(first, field) == getattr(second, field)


@pytest.mark.parametrize("name", PEERS)
def test_folders_open_in_sentence_transformers(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _check(open_start(ModelConfig(folder=str(TINY / name))), tmp_path / "model", caplog)


@pytest.mark.parametrize("architecture", ["bert", "modernbert", "gte"])
@pytest.mark.parametrize("dense", [None, DenseConfig(dim=24, activation="tanh")])
def test_models_from_scratch_open_in_sentence_transformers(
    architecture: Any, dense: DenseConfig | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = ModelConfig(architecture=architecture, dense=dense, pooling=("cls", "mean"), **SMALL)
    _check(_trained(config), tmp_path / "model", caplog)


@pytest.mark.parametrize("pooling", [*combinations(POOLINGS, 1), *combinations(POOLINGS, 2), ("mean", "cls")])
def test_every_pooling(pooling: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = ModelConfig(folder=str(TINY / "bert-zh"), pooling=pooling, normalize=False)
    _check(open_start(config), tmp_path / "model", caplog)


@pytest.mark.parametrize("activation", ["identity", "tanh", "relu", "gelu", "silu", "sigmoid"])
@pytest.mark.parametrize("bias", [True, False])
def test_every_dense_layer(
    activation: Any, bias: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dense = DenseConfig(dim=48, activation=activation, bias=bias)
    config = ModelConfig(folder=str(TINY / "bert-zh"), dense=dense, normalize=bias)
    model = open_start(config)
    with torch.no_grad():
        for parameter in model.embedder.pooler.parameters():
            parameter.add_(0.1)
    _check(model, tmp_path / "model", caplog)


@pytest.mark.parametrize("name", PEERS)
def test_cut_models(name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = ModelConfig(folder=str(TINY / name), keep_layers=(0, 1), keep_vocabulary=KeepVocabulary())
    _check(open_start(config, TEXTS[3:6]), tmp_path / "model", caplog)


@pytest.mark.parametrize("include", [True, False])
def test_prompts(include: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    prompts = {"query": "为这个句子生成表示：", "passage": "passage: "}
    config = ModelConfig(folder=str(TINY / "xlm-roberta"), prompts=prompts, include_prompt=include)
    model = replace(open_start(config), default_prompt="passage")
    save_model(tmp_path / "model", model)
    assert read_pipeline(tmp_path / "model").prompts == prompts
    peer = _peer(tmp_path / "model", caplog, "Default prompt name is set to 'passage'|include_prompt")
    for name, prompt in prompts.items():
        wanted = peer.encode(list(TEXTS[3:8]), prompt_name=name, convert_to_tensor=True)
        ours = _vectors(model, TEXTS[3:8], prompt)
        assert (wanted - ours).abs().max() <= 1e-5
    plain = peer.encode(list(TEXTS[3:8]), convert_to_tensor=True)
    assert (plain - wanted).abs().max() <= 1e-6


def test_what_vectors_are_compared_by_goes_along(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    start = shutil.copytree(TINY / "bert-zh", tmp_path / "start")
    (start / "config_sentence_transformers.json").write_text('{"similarity_fn_name": "dot"}')
    save_model(tmp_path / "model", open_start(ModelConfig(folder=str(start))))
    assert _peer(tmp_path / "model", caplog).similarity_fn_name == "dot"


def test_dimensions_are_declared_with_the_whole_one(tmp_path: Path) -> None:
    save_model(tmp_path / "model", open_start(ModelConfig(folder=str(TINY / "bert-zh"))), dims=(8, 16))
    config = json.loads((tmp_path / "model" / "config.json").read_text("utf-8"))
    assert config["matryoshka_dimensions"] == [32, 16, 8]


def test_yuyi_loads_it_with_its_dimensions(tmp_path: Path) -> None:
    model = open_start(ModelConfig(folder=str(TINY / "bert-zh")))
    save_model(tmp_path / "model", model, dims=(8, 32, 16))
    encoder = yuyi.load(tmp_path / "model", backend="torch", dtype="float32")
    assert encoder.dims == (32, 16, 8)
    vectors = torch.from_numpy(encoder.encode(list(TEXTS[:6])))
    assert (vectors - _vectors(model, TEXTS[:6])).abs().max() <= 1e-5
    with pytest.raises(InputError, match="dims: 64, and the vectors have 32"):
        save_model(tmp_path / "model", model, dims=(64,))


def test_a_tokenizer_that_lower_cases_in_its_folder_s_own_way(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # A folder whose lower case is set beside the tokenizer is written with it inside.
    folder = shutil.copytree(TINY / "modernbert", tmp_path / "start")
    path = folder / "sentence_bert_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"do_lower_case": True}))
    model = open_start(ModelConfig(folder=str(folder)))
    assert model.tokenizer.encode("PASSPORT").ids == model.tokenizer.encode("passport").ids
    _check(model, tmp_path / "model", caplog)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision(dtype: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = open_start(ModelConfig(folder=str(TINY / "bert-dense")))
    save_model(tmp_path / "whole", model)
    save_model(tmp_path / "half", model, dtype=dtype)
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("half", "whole")]
    assert sizes[0] < 0.6 * sizes[1]
    again = _vectors(_opened(tmp_path / "half"))
    assert torch.cosine_similarity(again, _vectors(model)).min() > 0.999
    wanted = (
        _peer(tmp_path / "half", caplog, f"loaded in torch.{dtype} on CPU")
        .encode(list(TEXTS), convert_to_tensor=True)
        .float()
    )
    assert torch.cosine_similarity(again, wanted).min() > 0.999
    assert all(parameter.dtype == torch.float32 for parameter in model.embedder.parameters())
    with pytest.raises(InputError, match="dtype='int8': choose one of float32, bfloat16, float16"):
        save_model(tmp_path / "half", model, dtype="int8")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["bert-dense", "xlm-roberta", "modernbert"])
def test_the_same_model_is_the_same_bytes(name: str, tmp_path: Path) -> None:
    start = ModelConfig(folder=str(TINY / name))
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    save_model(tmp_path / "a" / "model", open_start(start), dims=(16,))
    saved = ModelConfig(folder=str(tmp_path / "a" / "model"))
    save_model(tmp_path / "b" / "model", open_start(saved), dims=(16,))
    assert _files(tmp_path / "a" / "model") == _files(tmp_path / "b" / "model")


def test_the_files_of_the_folder(tmp_path: Path) -> None:
    model = open_start(ModelConfig(dense=DenseConfig(dim=24), **SMALL), TEXTS)
    save_model(tmp_path / "model", model)
    assert sorted(_files(tmp_path / "model")) == [
        "1_Pooling/config.json",
        "2_Dense/config.json",
        "2_Dense/model.safetensors",
        "README.md",
        "config.json",
        "config_sentence_transformers.json",
        "model.safetensors",
        "modules.json",
        "sentence_bert_config.json",
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "vocab.txt",
    ]
    pieces = (tmp_path / "model" / "vocab.txt").read_text("utf-8").splitlines()
    assert {piece: number for number, piece in enumerate(pieces)} == model.tokenizer.get_vocab()
    # The same ids from vocab.txt alone.
    (tmp_path / "model" / "tokenizer.json").unlink()
    alone = read_tokenizer(tmp_path / "model")
    for text in TEXTS:
        assert alone.encode(text).ids == model.tokenizer.encode(text).ids


def test_how_the_tokenizer_was_used_last_is_not_written(tmp_path: Path) -> None:
    model = open_start(ModelConfig(folder=str(TINY / "roberta")))
    save_model(tmp_path / "model", model)
    before = _files(tmp_path / "model")
    model.tokenizer.enable_truncation(9)
    model.tokenizer.enable_padding(length=9)
    save_model(tmp_path / "model", model)
    assert _files(tmp_path / "model") == before
    assert len(model.tokenizer.encode("a").ids) == 9


def test_the_card_says_what_it_is_told(tmp_path: Path) -> None:
    model = open_start(ModelConfig(folder=str(TINY / "bert-zh")))
    told = {"license": "apache-2.0", "language": ["zh", "en"], "base_model": 'a "quoted": name'}
    save_model(tmp_path / "model", model, dims=(16, 8), card=told, training={"步数": 300, "batch": 64})
    text = (tmp_path / "model" / "README.md").read_text("utf-8")
    _, head, body = text.split("---\n", 2)
    values = yaml.safe_load(head)
    assert told.items() <= values.items()
    assert values["library_name"] == "sentence-transformers"
    assert "matryoshka" in values["tags"]
    for line in (
        "# model",
        "- dimensions: 32, 16, 8",
        "- longest text: 48 tokens",
        "- 步数: 300",
        "为这个句子",
    ):
        assert line in body
    save_model(tmp_path / "model", model, training="Three hundred steps.")
    assert "\nThree hundred steps.\n" in (tmp_path / "model" / "README.md").read_text("utf-8")


def test_all_or_nothing(tmp_path: Path) -> None:
    model = open_start(ModelConfig(folder=str(TINY / "bert-zh")))
    folder = tmp_path / "model"
    save_model(folder, model)
    before = _files(folder)
    with _room_for(20_000), pytest.raises(InputError, match=r"model: cannot be written .*room"):
        save_model(folder, model)
    assert _files(folder) == before
    with pytest.raises(InputError, match="cannot be written"):
        save_model(tmp_path / "nowhere" / "model", model)
    with torch.no_grad():
        model.embedder.encoder.layers[1].down.bias[3] = float("nan")
    with pytest.raises(InputError, match=r"not written, since encoder\.layers\.1\.down\.bias holds values"):
        save_model(folder, model)
    assert _files(folder) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]


@contextlib.contextmanager
def _room_for(size: int) -> Iterator[None]:
    """Files may have this many bytes inside the block: a disk that fills up."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _trained(config: ModelConfig) -> TextModel:
    """A model from scratch whose every weight has moved, as training would."""
    model = open_start(config, TEXTS)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.embedder.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)
    return model
