"""A token table in every form, opened by the libraries that it is made for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from model2vec import StaticModel as Model2Vec
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, StaticEmbedding
from tokenizers import Tokenizer, pre_tokenizers
from transformers import AutoTokenizer

import yuyi
from yuyi.encode.static_folder import read_static, save_sentence_transformers
from yuyi.errors import ModelError
from yuyi.export.base import in_any_language, plain_tokenizer, write_base
from yuyi.export.onnx_forms import write_float32
from yuyi.export.settings import ExportSettings
from yuyi.export.smaller import Smaller
from yuyi.export.source import Source, open_source
from yuyi.export.static_forms import write_folder, write_static_form

if TYPE_CHECKING:
    from numpy.typing import NDArray

TINY = Path(__file__).parent.parent / "tiny"
TEXTS = [
    "今天天气很好", "The weather is nice", "", "   ", "混合 mixed 文本 😀 𠀀", "天气 weather " * 300,
    "[UNK] [PAD]",
]  # fmt: skip
SETTINGS = ExportSettings(targets=("onnx", "static"))


def written(folder: Path, source: Source) -> Path:
    write_base(folder, source, ("onnx", "static"))
    write_float32(folder, source, SETTINGS)
    write_static_form(folder, source, SETTINGS)
    return folder


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("table"), open_source(TINY / "static", Smaller()))


@pytest.fixture(scope="module")
def expected() -> NDArray[np.float32]:
    return yuyi.load(TINY / "static").encode(TEXTS)


def test_the_onnx_form_gives_the_vectors_of_the_table(exported: Path, expected: NDArray[np.float32]) -> None:
    encoder = yuyi.load(exported, backend="onnx")
    np.testing.assert_allclose(encoder.encode(TEXTS), expected, atol=1e-5)
    assert encoder.dims == (32, 16, 8)
    assert not encoder.encode("").any()


def test_without_a_backend_it_is_the_onnx_form_that_opens(exported: Path) -> None:
    assert yuyi.load(exported).backend_name == "onnx"


def test_the_table_form_is_the_table(exported: Path, expected: NDArray[np.float32]) -> None:
    encoder = yuyi.load(exported / "static")
    assert encoder.backend_name == "static"
    assert (encoder.dims, encoder.languages, encoder.license) == ((32, 16, 8), ("zh", "en"), "Apache-2.0")
    np.testing.assert_allclose(encoder.encode(TEXTS), expected, atol=1e-6)


def test_sentence_transformers_opens_the_table_form(exported: Path, expected: NDArray[np.float32]) -> None:
    model = SentenceTransformer(str(exported / "static"), device="cpu")
    assert [type(module).__name__ for module in model] == ["StaticEmbedding", "Normalize"]
    np.testing.assert_allclose(model.encode(TEXTS), expected, atol=1e-5)


def test_model2vec_opens_the_table_form(exported: Path, expected: NDArray[np.float32]) -> None:
    model = Model2Vec.from_pretrained(exported / "static")
    np.testing.assert_allclose(model.encode(TEXTS), expected, atol=1e-5)


def test_transformers_cuts_texts_into_the_same_pieces(exported: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(exported)
    own = read_static(TINY / "static").tokenizer
    for text in TEXTS[:-1]:
        assert tokenizer(text)["input_ids"] == own.encode(text, add_special_tokens=False).ids
    assert tokenizer(["天气", "The weather is nice"], padding=True)["attention_mask"][0][-1] == 0


def test_a_table_with_berts_tokenizer_gets_no_special_tokens(tmp_path: Path) -> None:
    tokenizer = Tokenizer.from_file(str(TINY / "bert-zh" / "tokenizer.json"))
    rows = np.random.default_rng(3).normal(size=(tokenizer.get_vocab_size(), 8)).astype(np.float32)
    folder = tmp_path / "given"
    SentenceTransformer(
        modules=[StaticEmbedding(tokenizer, embedding_weights=rows), Normalize()], device="cpu"
    ).save(str(folder))
    out = tmp_path / "out"
    out.mkdir()
    written(out, open_source(folder, Smaller()))
    expected = yuyi.load(folder).encode(TEXTS)
    np.testing.assert_allclose(yuyi.load(out, backend="onnx").encode(TEXTS), expected, atol=1e-5)
    # The rows were rounded to int8 on their way.
    rounded = yuyi.load(out / "static").encode(TEXTS)
    np.testing.assert_allclose(rounded, expected, atol=2e-2)
    others = SentenceTransformer(str(out / "static"), device="cpu").encode(TEXTS)
    np.testing.assert_allclose(others, rounded, atol=1e-5)


@pytest.fixture(scope="module")
def prompted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of sentence-transformers with prompts and another similarity."""
    folder = tmp_path_factory.mktemp("prompted") / "模型"
    save_sentence_transformers(folder, read_static(TINY / "static"))
    told = {
        "prompts": {"query": "搜索 weather ", "document": ""},
        "default_prompt_name": "query",
        "similarity_fn_name": "dot",
    }
    (folder / "config_sentence_transformers.json").write_text(json.dumps(told), encoding="utf-8")
    return folder


def test_prompts_and_similarity_of_a_table_go_along(prompted: Path, tmp_path: Path) -> None:
    written(tmp_path, open_source(prompted, Smaller()))
    model, whole = yuyi.load(prompted), yuyi.load(tmp_path / "static")
    theirs = SentenceTransformer(str(tmp_path / "static"), device="cpu")
    for method in ("encode", "encode_query", "encode_document"):
        expected = getattr(model, method)(TEXTS)
        for encoder in (whole, yuyi.load(tmp_path, backend="onnx"), theirs):
            np.testing.assert_allclose(getattr(encoder, method)(TEXTS), expected, atol=1e-5)
    assert np.abs(model.encode(TEXTS) - model.encode_document(TEXTS)).max() > 0.1
    assert theirs.similarity_fn_name == "dot"
    assert SentenceTransformer(str(tmp_path / "static"), device="cpu").prompts == dict(whole.prompts)
    top = json.loads((tmp_path / "config_sentence_transformers.json").read_text("utf-8"))
    assert top["similarity_fn_name"] == "dot"


def test_prompts_are_part_of_what_yuyi_checks(prompted: Path, tmp_path: Path) -> None:
    source = open_source(prompted, Smaller())
    write_static_form(tmp_path, source, SETTINGS)
    plain = yuyi.load(TINY / "static")
    assert yuyi.load(tmp_path / "static").fingerprint != plain.fingerprint
    about = tmp_path / "static" / "config_sentence_transformers.json"
    about.write_text(about.read_text("utf-8").replace("搜索", "查找"), "utf-8")
    with pytest.raises(ModelError, match=r"config_sentence_transformers\.json: damaged"):
        yuyi.load(tmp_path / "static")


def test_a_table_without_prompts_keeps_its_fingerprint(exported: Path) -> None:
    assert yuyi.load(exported / "static").fingerprint == yuyi.load(TINY / "static").fingerprint


def test_a_plain_tokenizer_adds_cuts_and_pads_nothing() -> None:
    tokenizer = Tokenizer.from_file(str(TINY / "bert-zh" / "tokenizer.json"))
    expected = tokenizer.encode("今天天气很好", add_special_tokens=False).ids
    tokenizer.enable_truncation(3)
    tokenizer.enable_padding(length=9)
    assert plain_tokenizer(tokenizer).encode("今天天气很好").ids == expected
    assert len(tokenizer.encode("今天天气很好").ids) == 9


@given(st.text())
def test_browsers_are_given_the_same_cuts_in_other_words(text: str) -> None:
    own = read_static(TINY / "static").tokenizer
    assert isinstance(own.pre_tokenizer, pre_tokenizers.Whitespace)
    rewritten = in_any_language(read_static(TINY / "static").tokenizer)
    assert isinstance(rewritten.pre_tokenizer, pre_tokenizers.Split)
    for each in (text, f"a{text}。{text}"):
        expected = own.pre_tokenizer.pre_tokenize_str(each)
        assert rewritten.pre_tokenizer.pre_tokenize_str(each) == expected


def test_a_folder_of_tables_alone_has_nothing_at_its_top(tmp_path: Path) -> None:
    source = open_source(TINY / "static", Smaller())
    write_base(tmp_path, source, ("static", "folder"))
    forms = [write(tmp_path, source, SETTINGS) for write in (write_static_form, write_folder)]
    assert [path.name for path in tmp_path.iterdir()] == ["static"]
    assert [form.target for form in forms] == ["static", "folder"]
    assert forms[0].files == forms[1].files
    assert all((tmp_path / name).is_file() for name in forms[0].files)


def test_an_encoders_own_folder_is_opened_by_torch(tmp_path: Path) -> None:
    source = open_source(TINY / "bert-dense", Smaller())
    write_base(tmp_path, source, ("folder",))
    form = write_folder(tmp_path, source, ExportSettings(targets=("folder",)))
    assert form.files[0] == "model.safetensors"
    assert any(name.startswith("2_Dense/") for name in form.files)
    encoder = yuyi.load(tmp_path, backend="torch", device="cpu", dtype="float32")
    np.testing.assert_allclose(encoder.encode(TEXTS[:5]), source.reference.encode(TEXTS[:5]), atol=1e-6)


def test_tables_beside_an_encoder_are_no_weights_of_its_own(tmp_path: Path) -> None:
    source, settings = open_source(TINY / "bert-zh", Smaller()), ExportSettings(targets=("static", "folder"))
    write_base(tmp_path, source, ("static", "folder"))
    table = write_static_form(tmp_path, source, settings)
    assert table.files[0] == "static/table.safetensors"
    assert "static/model.safetensors" in str(table.facts)
    assert write_folder(tmp_path, source, settings).files == ("model.safetensors",)


def test_an_encoders_folder_without_that_form_has_no_weights(tmp_path: Path) -> None:
    write_base(tmp_path, open_source(TINY / "bert-zh", Smaller()), ("onnx",))
    assert (tmp_path / "config.json").is_file()
    assert not (tmp_path / "model.safetensors").exists()


def test_the_configuration_says_what_readers_ask_for(exported: Path) -> None:
    config = json.loads((exported / "config.json").read_text(encoding="utf-8"))
    assert config["vocab_size"] == len(read_static(TINY / "static").backend.table())
    assert (config["hidden_size"], config["matryoshka_dimensions"]) == (32, [32, 16, 8])
