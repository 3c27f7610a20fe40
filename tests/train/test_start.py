"""What training starts from: weights, heads and tokenizers as the settings say."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import torch
from model.oracles import FOLDERS, TEXTS, TINY, flat, token_ids

from yuyi.errors import InputError, ModelError, RecipeError
from yuyi.model.embedder import load_embedder
from yuyi.model.heads import DenseHead, UnitLength
from yuyi.pipeline import read_pipeline
from yuyi.train.starting.model_config import DenseConfig, KeepVocabulary, ModelConfig, TokenizerConfig
from yuyi.train.starting.start import TextModel, open_start

if TYPE_CHECKING:
    from pathlib import Path

PIECES = TokenizerConfig(pieces=300, smallest_count=1)
SMALL: dict[str, Any] = {"layers": 2, "hidden": 32, "heads": 4, "tokenizer": PIECES}
TUNED = ("bert-zh", "bert-dense", "roberta", "xlm-roberta", "modernbert", "gte-new")


def _weights(model: TextModel) -> dict[str, torch.Tensor]:
    return dict(model.embedder.named_parameters())


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_as_it_is(name: str) -> None:
    model = open_start(ModelConfig(folder=str(TINY / name)))
    pipeline = read_pipeline(TINY / name)
    ids = flat(token_ids(pipeline, TEXTS))
    with torch.inference_mode():
        assert torch.equal(model.embedder(*ids), load_embedder(pipeline)(*ids))
    assert (model.max_tokens, model.prompts) == (pipeline.max_tokens, pipeline.prompts)
    assert model.default_prompt == pipeline.default_prompt
    assert not model.embedder.training
    assert all(parameter.requires_grad for parameter in model.embedder.parameters())
    assert model.specials["pad_token"] in ("[PAD]", "<pad>")
    assert model.tokenizer.token_to_id(model.specials["cls_token"]) is not None


def test_training_leaves_the_folder_alone(tmp_path: Path) -> None:
    folder = shutil.copytree(TINY / "bert-zh", tmp_path / "model")
    before = (folder / "model.safetensors").read_bytes()
    model = open_start(ModelConfig(folder=str(folder)))
    with torch.no_grad():
        for parameter in model.embedder.parameters():
            parameter.fill_(7.0)
    assert (folder / "model.safetensors").read_bytes() == before


@pytest.mark.parametrize("architecture", ["bert", "modernbert", "gte"])
def test_weights_from_scratch_follow_the_seed_alone(architecture: Any) -> None:
    config = ModelConfig(architecture=architecture, dense=DenseConfig(dim=24), **SMALL)
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = _weights(open_start(config, TEXTS, seed=5))
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    again = _weights(open_start(config, TEXTS, seed=5))
    other = _weights(open_start(config, TEXTS, seed=6))
    assert all(torch.equal(first[name], again[name]) for name in first)
    for name, weight in first.items():
        if weight.ndim > 1:
            assert not torch.equal(weight, other[name]), name
            assert float(weight.detach().std()) == pytest.approx(0.02, rel=0.25), name
            assert abs(float(weight.detach().mean())) < 0.005
        else:
            constant = 1.0 if "norm" in name and name.endswith("weight") else 0.0
            assert bool((weight == constant).all()), name


def test_a_model_from_scratch_has_what_was_asked_for() -> None:
    model = open_start(
        ModelConfig(
            max_tokens=70,
            pooling=("cls", "mean"),
            dense=DenseConfig(dim=24, activation="tanh", bias=False),
            include_prompt=False,
            prompts={"query": "查询："},
            **SMALL,
        ),
        TEXTS,
    )
    embedder, shape = model.embedder, model.embedder.encoder.config
    dense, unit = embedder.pooler.heads
    assert isinstance(dense, DenseHead)
    assert isinstance(unit, UnitLength)
    assert (dense.in_features, dense.out_features, dense.linear.bias) == (64, 24, None)
    assert embedder.dim == 24
    assert (embedder.pooler.pooling, embedder.pooler.include_prompt) == (("cls", "mean"), False)
    assert (shape.max_positions, model.max_tokens, model.prompts) == (70, 70, {"query": "查询："})
    assert shape.vocabulary == model.tokenizer.get_vocab_size()
    assert shape.pad_id == model.tokenizer.token_to_id("[PAD]")
    ids = model.tokenizer.encode(TEXTS[3]).ids
    with torch.inference_mode():
        assert embedder(*flat([ids])).norm(dim=-1) == pytest.approx(1.0)


def test_defaults_from_scratch() -> None:
    model = open_start(ModelConfig(**SMALL), TEXTS)
    assert model.embedder.pooler.pooling == ("mean",)
    assert [type(head) for head in model.embedder.pooler.heads] == [UnitLength]
    assert model.max_tokens == 512
    assert model.prompts == {}
    bare = open_start(ModelConfig(normalize=False, **SMALL), TEXTS)
    assert len(bare.embedder.pooler.heads) == 0


@pytest.mark.parametrize("name", ["bert-zh", "xlm-roberta", "roberta"])
def test_a_tokenizer_from_a_folder(name: str) -> None:
    settings = {**SMALL, "tokenizer": TokenizerConfig(folder=str(TINY / name))}
    model = open_start(ModelConfig(**settings))
    wanted = token_ids(read_pipeline(TINY / name), TEXTS[:6])
    assert [encoding.ids for encoding in model.tokenizer.encode_batch(list(TEXTS[:6]))] == wanted
    shape = model.embedder.encoder.config
    assert shape.vocabulary == model.tokenizer.get_vocab_size()
    assert shape.pad_id == model.tokenizer.token_to_id(model.specials["pad_token"])


def test_what_is_given_takes_the_place_of_what_the_folder_says() -> None:
    model = open_start(
        ModelConfig(
            folder=str(TINY / "bert-zh"),
            pooling=("mean", "max"),
            normalize=False,
            max_tokens=20,
            prompts={"query": "问："},
        )
    )
    assert model.embedder.pooler.pooling == ("mean", "max")
    assert len(model.embedder.pooler.heads) == 0
    assert (model.embedder.dim, model.max_tokens, model.prompts) == (64, 20, {"query": "问："})
    dense = open_start(ModelConfig(folder=str(TINY / "bert-dense"), normalize=True))
    assert [type(head) for head in dense.embedder.pooler.heads] == [DenseHead, UnitLength]
    assert dense.embedder.dim == 56
    fresh = open_start(ModelConfig(folder=str(TINY / "bert-zh"), dense=DenseConfig(dim=48)), seed=3)
    assert [type(head) for head in fresh.embedder.pooler.heads] == [DenseHead, UnitLength]
    assert fresh.embedder.dim == 48
    replaced = open_start(
        ModelConfig(folder=str(TINY / "bert-dense"), pooling=("cls", "mean"), dense=DenseConfig(dim=9))
    )
    assert [type(head) for head in replaced.embedder.pooler.heads] == [DenseHead]
    assert replaced.embedder.dim == 9


@pytest.mark.parametrize("name", TUNED)
def test_layers_and_vocabulary_cut_together(name: str) -> None:
    whole = open_start(ModelConfig(folder=str(TINY / name)))
    config = ModelConfig(folder=str(TINY / name), keep_layers=1, keep_vocabulary=KeepVocabulary())
    model = open_start(config, iter(TEXTS[3:5]))
    shape = model.embedder.encoder.config
    assert shape.layers == 1
    assert shape.vocabulary == model.tokenizer.get_vocab_size() < whole.tokenizer.get_vocab_size()
    text = TEXTS[3]
    assert model.tokenizer.encode(text).tokens == whole.tokenizer.encode(text).tokens
    first = open_start(ModelConfig(folder=str(TINY / name), keep_layers=(0,)))
    with torch.inference_mode():
        wanted = first.embedder(*flat([first.tokenizer.encode(text).ids]))
        assert torch.equal(model.embedder(*flat([model.tokenizer.encode(text).ids])), wanted)


@pytest.mark.parametrize("config", [ModelConfig(**SMALL), ModelConfig(folder=str(TINY / "bert-zh"))])
def test_dropout_is_that_of_the_settings_and_of_training_alone(config: ModelConfig) -> None:
    for share in (0.0, 0.3):
        model = open_start(replace(config, dropout=share), TEXTS)
        rows = flat([model.tokenizer.encode(TEXTS[3]).ids])
        with torch.no_grad():
            still = model.embedder(*rows)
            assert torch.equal(model.embedder(*rows), still)
            assert torch.equal(model.embedder.train()(*rows), still) == (share == 0)


def test_the_corpus_is_read_only_where_it_is_needed() -> None:
    def never() -> Any:
        raise AssertionError
        yield ""

    open_start(ModelConfig(folder=str(TINY / "bert-zh")), never())
    open_start(ModelConfig(**{**SMALL, "tokenizer": TokenizerConfig(folder=str(TINY / "bert-zh"))}), never())


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"folder": "nowhere"}, ModelError, r"nowhere/config\.json: cannot be read"),
        ({"folder": str(TINY / "static")}, ModelError, r"config\.json: cannot be read"),
        ({"folder": str(TINY / "bert-plain")}, ModelError, r"does not say how token states"),
        (
            {"folder": str(TINY / "bert-dense"), "pooling": ("cls", "mean")},
            RecipeError,
            r"model\.pooling: cls, mean gives 64 dimensions, and the folder's dense layer takes 32",
        ),
        (
            {"folder": str(TINY / "bert-zh"), "max_tokens": 65},
            RecipeError,
            r"model\.max_tokens: 65, and .* has positions for 64",
        ),
        ({"folder": str(TINY / "bert-zh"), "keep_layers": 5}, RecipeError, r"model\.keep_layers: 5"),
        ({"folder": str(TINY / "bert-zh"), "keep_vocabulary": KeepVocabulary()}, InputError, "no texts"),
        ({"size": "tiny"}, InputError, r"model\.tokenizer: there are no texts"),
        (
            {**SMALL, "tokenizer": TokenizerConfig(folder=str(TINY / "static"))},
            RecipeError,
            r"model\.tokenizer\.folder: .* names no padding token",
        ),
        (
            {**SMALL, "tokenizer": TokenizerConfig(folder="nowhere")},
            ModelError,
            "nowhere: the tokenizer is missing",
        ),
    ],
)
def test_what_cannot_be_started_from(values: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        open_start(ModelConfig(**values))


def test_prompts_stay_whole_in_a_model_that_is_cut_or_new() -> None:
    prompt = "为这个句子生成表示以用于检索相关文章："
    folder = str(TINY / "bert-zh")
    whole = open_start(ModelConfig(folder=folder)).tokenizer.encode(prompt).tokens
    cut = ModelConfig(folder=folder, prompts={"query": prompt}, keep_vocabulary=KeepVocabulary(at_least=9))
    assert open_start(cut, TEXTS[3:5]).tokenizer.encode(prompt).tokens == whole
    rare = {**SMALL, "tokenizer": replace(PIECES, smallest_count=2)}
    fresh = open_start(ModelConfig(prompts={"query": "檢索：Ξ"}, **rare), TEXTS * 2)
    assert "[UNK]" not in fresh.tokenizer.encode("檢索：Ξ").tokens


def test_a_vocabulary_with_gaps_fits_a_table_as_long_as_its_last_id(tmp_path: Path) -> None:
    folder = shutil.copytree(TINY / "bert-zh", tmp_path / "model")
    raw = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    last = max(raw["model"]["vocab"], key=raw["model"]["vocab"].__getitem__)
    raw["model"]["vocab"][last] += 7
    (folder / "tokenizer.json").write_text(json.dumps(raw), "utf-8")
    with pytest.raises(ModelError, match=r"model.folder: the tokenizer of .* numbers its pieces up to"):
        open_start(ModelConfig(folder=str(folder)))


def test_a_folder_that_is_no_model_is_named_by_its_key(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"^model\.folder: "):
        open_start(ModelConfig(folder=str(tmp_path)))
