"""The ways people use these models give yuyi's vectors, on full-size folders with random weights.

Each test is the kind of snippet that a model's card shows: transformers with pooling by hand,
sentence-transformers, LangChain, Matryoshka dimensions cut and made unit length again.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from full_size import REFERENCE, SHAPES, build
from onnx_export import States, export
from torch.nn.functional import normalize

import yuyi
from yuyi.errors import YuyiWarning

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

TEXTS = [
    "胡子长得太快怎么办？在香港哪里买手表好",
    "在香港哪里买手表好",
    "",
    "That is a happy person",
    "语义搜索把文字变成向量 😀，then compares them. " * 3,
    "今天天气很好，我们去公园散步。" * 30,
]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A temporary folder that is emptied at once: these models are large."""
    yield tmp_path
    shutil.rmtree(tmp_path)


def _close(ours: Vectors, wanted: Vectors) -> None:
    assert ours.shape == wanted.shape
    assert np.abs(ours - wanted).max() <= 1e-5
    assert (ours * wanted).sum(1).min() >= 0.999999
    # Random weights still tell the texts apart, or equality would say little.
    assert np.abs(wanted[0] - wanted[3]).max() > 1e-3


def _by_sentence_transformers(folder: Path, texts: list[str]) -> Vectors:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(folder), device="cpu", model_kwargs={"dtype": torch.float32})
    return model.encode(texts, normalize_embeddings=True)


def _by_transformers(folder: Path, texts: list[str], pooling: str) -> Vectors:
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    batch = tokenizer(texts, max_length=512, padding=True, truncation=True, return_tensors="pt")
    with torch.no_grad():
        states = model(**batch).last_hidden_state
    if pooling == "cls":
        vectors = states[:, 0]
    else:
        mask = batch["attention_mask"][..., None]
        vectors = (states * mask).sum(1) / mask.sum(1)
    return normalize(vectors, dim=1).numpy()


def test_gte_small_zh(place: Path) -> None:
    folder = build("gte-small-zh", place)
    ours = yuyi.load(folder, dtype="float32").encode(TEXTS)
    assert ours.shape == (len(TEXTS), 512)
    _close(ours, _by_transformers(folder, TEXTS, "cls"))
    _close(ours, _by_sentence_transformers(folder, TEXTS))


def test_gte_small_as_a_plain_folder_pools_by_what_is_known(place: Path) -> None:
    folder = build("gte-small", place)
    _close(yuyi.load(folder, dtype="float32").encode(TEXTS), _by_transformers(folder, TEXTS, "mean"))


def _add_onnx(folder: Path) -> None:
    from transformers import AutoModel

    model = AutoModel.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    names = ("input_ids", "attention_mask", "token_type_ids")
    export(States(model, names), folder / "onnx" / "model.onnx")


def _check_supabase(folder: Path) -> None:
    """The folder with weights and onnx/, and with onnx/ alone, under `auto`."""
    wanted = _by_sentence_transformers(folder, TEXTS)
    _add_onnx(folder)
    both = yuyi.load(folder, dtype="float32", device="cpu")
    assert (both.backend_name, both.dim, both.max_tokens) == ("torch", 384, 512)
    _close(both.encode(TEXTS), wanted)
    _close(yuyi.load(folder, backend="onnx").encode(TEXTS), wanted)
    (folder / "model.safetensors").unlink()
    alone = yuyi.load(folder)
    assert alone.backend_name == "onnx"
    _close(alone.encode(TEXTS), wanted)


def test_supabase_gte_small_with_weights_and_onnx_and_with_onnx_alone(place: Path) -> None:
    _check_supabase(build("Supabase-gte-small", place, layers=2))


def test_dmeta_reads_texts_of_a_thousand_tokens(place: Path) -> None:
    folder = build("Dmeta-embedding", place, layers=2)
    model = yuyi.load(folder, dtype="float32")
    assert model.max_tokens == 1024
    texts = [*TEXTS, "向量数据库保存这些向量。" * 80]
    _close(model.encode(texts), _by_sentence_transformers(folder, texts))
    # What lies beyond 512 tokens counts.
    assert np.abs(model.encode(texts[-1]) - model.encode(texts[-1][:500])).max() > 1e-3


def test_acge_cut_to_fewer_dimensions(place: Path) -> None:
    folder = build("acge_text_embedding", place, layers=2)
    wanted = _by_sentence_transformers(folder, TEXTS)
    assert wanted.shape == (len(TEXTS), 1792)
    model = yuyi.load(folder, dtype="float32")
    _close(model.encode(TEXTS), wanted)
    # With fewer layers it is not the published model, whose dimensions are known.
    with pytest.warns(YuyiWarning, match="declares no dimension below 1792"):
        cut = model.encode(TEXTS, truncate_dim=1024)
    _close(cut, normalize(torch.tensor(wanted)[:, :1024]).numpy())


def test_langchain(place: Path) -> None:
    langchain = pytest.importorskip("langchain_huggingface")
    folder = build("gte-small-zh", place, layers=2)
    peer = langchain.HuggingFaceEmbeddings(
        model_name=str(folder),
        model_kwargs={"device": "cpu", "model_kwargs": {"dtype": torch.float32}},
        encode_kwargs={"normalize_embeddings": True},
    )
    model = yuyi.load(folder, dtype="float32")
    _close(model.encode(TEXTS), np.array(peer.embed_documents(TEXTS), dtype=np.float32))
    query = np.array(peer.embed_query(TEXTS[0]), dtype=np.float32)
    assert np.abs(model.encode_query(TEXTS[0]) - query).max() <= 1e-5


@pytest.mark.shared
@pytest.mark.parametrize("name", SHAPES)
def test_every_model_at_full_size_with_its_real_tokenizer(name: str, place: Path) -> None:
    assert REFERENCE.is_dir(), f"{REFERENCE} is missing; tests marked `shared` need it"
    folder = build(name, place, real_tokenizer=True)
    shape = SHAPES[name]
    model = yuyi.load(folder, dtype="float32")
    assert model.max_tokens == shape.positions
    assert model.dim == (shape.dense or shape.hidden)
    ours = model.encode(TEXTS)
    if name == "acge_text_embedding":
        assert model.dims == (1792, 1024)
        cut = model.encode(TEXTS, truncate_dim=1024)
        _close(cut, normalize(torch.tensor(ours)[:, :1024]).numpy())
    if shape.dense is None:
        _close(ours, _by_transformers(folder, TEXTS, shape.pooling or "mean"))
    if shape.pooling is not None:
        _close(ours, _by_sentence_transformers(folder, TEXTS))
    if name == "Supabase-gte-small":
        _check_supabase(folder)
