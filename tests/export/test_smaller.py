"""Cut models: what is left gives the vectors that the whole model gave, as far as they go."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from model.oracles import FOLDERS, PEERS, TINY
from sentence_transformers import SentenceTransformer

import yuyi
from yuyi.encode.static_folder import StaticModel, read_static, write_static
from yuyi.errors import InputError, YuyiWarning
from yuyi.export.smaller import Smaller, check_dim, smaller_encoder, smaller_table
from yuyi.export.source import open_source
from yuyi.train.starting.save import write_model

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

TEXTS = ("向量数据库保存这些向量。", "How do I renew my passport?", "如何安装 Python 和 numpy？")
DIM = 12


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    units: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return units


def _written(folder: Path, name: str, smaller: Smaller) -> Path:
    folder.mkdir(exist_ok=True)
    write_model(folder, smaller_encoder(TINY / name, smaller))
    return folder


def _corpus(folder: Path, texts: tuple[str, ...] = TEXTS) -> Path:
    path = folder / "语料.txt"
    path.write_text("\n".join(texts) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("name", FOLDERS)
def test_a_cut_vector_is_the_beginning_of_the_whole_one(name: str, tmp_path: Path) -> None:
    folder = _written(tmp_path / "cut", name, Smaller(dim=DIM))
    whole = yuyi.load(TINY / name, backend="torch", dtype="float32", device="cpu").encode(list(TEXTS))
    found = yuyi.load(folder, backend="torch", dtype="float32", device="cpu").encode(list(TEXTS))
    assert found.shape == (len(TEXTS), DIM)
    assert np.allclose(found, _unit(whole[:, :DIM]), atol=1e-5)


@pytest.mark.parametrize("name", PEERS)
def test_other_libraries_see_the_cut(name: str, tmp_path: Path) -> None:
    folder = _written(tmp_path / "cut", name, Smaller(dim=DIM))
    whole = SentenceTransformer(str(TINY / name), device="cpu").encode(list(TEXTS))
    found = SentenceTransformer(str(folder), device="cpu").encode(list(TEXTS))
    assert found.shape == (len(TEXTS), DIM)
    assert np.allclose(_unit(found), _unit(whole[:, :DIM]), atol=1e-5)
    if name == "bert-dense":  # It does not normalise, whole or cut.
        assert np.allclose(found, whole[:, :DIM], atol=1e-5)


@pytest.mark.parametrize("name", FOLDERS)
def test_texts_of_the_corpus_keep_their_vectors(name: str, tmp_path: Path) -> None:
    folder = _written(tmp_path / "cut", name, Smaller(corpus=_corpus(tmp_path)))
    whole = yuyi.load(TINY / name, backend="torch", dtype="float32", device="cpu")
    cut = yuyi.load(folder, backend="torch", dtype="float32", device="cpu")
    assert (folder / "tokenizer.json").stat().st_size < (TINY / name / "tokenizer.json").stat().st_size
    assert np.allclose(cut.encode(list(TEXTS)), whole.encode(list(TEXTS)), atol=1e-5)


def test_layers_are_spread(tmp_path: Path) -> None:
    whole = smaller_encoder(TINY / "modernbert", Smaller())
    cut = smaller_encoder(TINY / "modernbert", Smaller(layers=1))
    assert len(cut.embedder.encoder.layers) == 1 < len(whole.embedder.encoder.layers)
    assert yuyi.load(_written(tmp_path / "cut", "modernbert", Smaller(layers=1))).encode("向量").any()


def test_a_table_is_cut_to_dimensions_and_pieces(tmp_path: Path) -> None:
    model = read_static(TINY / "static")
    dim = model.backend.dim // 2
    cut = smaller_table(model, Smaller(dim=dim, corpus=_corpus(tmp_path)))
    assert cut.tokenizer.get_vocab_size() == len(cut.backend.table()) < len(model.backend.table())
    assert cut.card.dims[0] == cut.backend.dim == dim
    assert cut.digest != model.digest
    folder = tmp_path / "cut"
    folder.mkdir()
    write_static(folder, cut.card, cut.tokenizer, cut.backend.table())
    whole = yuyi.load(TINY / "static").encode(list(TEXTS))
    assert np.allclose(yuyi.load(folder).encode(list(TEXTS)), _unit(whole[:, :dim]), atol=1e-2)


def test_the_embedded_table_keeps_the_vectors_of_its_corpus(tmp_path: Path) -> None:
    source = open_source(None, Smaller(corpus=_corpus(tmp_path), dim=128))
    assert source.dims[0] == source.dim == 128
    cut, whole = source.model, open_source(None, Smaller()).model
    assert isinstance(cut, StaticModel)
    assert isinstance(whole, StaticModel)
    rows = [
        [model.backend.table()[model.tokenizer.encode(text).ids] for text in TEXTS] for model in (cut, whole)
    ]
    for less, all_of_it in zip(*rows, strict=True):
        assert np.array_equal(less, all_of_it[:, :128])


def test_undeclared_dimensions_are_warned_of() -> None:
    check_dim(None, (32, 16), "m")
    check_dim(16, (32, 16), "m")
    with pytest.warns(YuyiWarning, match=r"--dim 12: m was not trained for it, but for 32, 16"):
        check_dim(12, (32, 16), "m")
    with pytest.raises(InputError, match=r"--dim 64: m has 32 dimensions\. Choose one of 32, 16"):
        check_dim(64, (32, 16), "m")


def test_what_cannot_be_cut_is_refused(tmp_path: Path) -> None:
    for wrong in ({"dim": 0}, {"layers": 0}, {"pieces": 9}):
        with pytest.raises(InputError, match=f"--{next(iter(wrong))} "):
            Smaller(**wrong)
    with pytest.raises(InputError, match=r"--layers 9: bert-zh has 2"):
        smaller_encoder(TINY / "bert-zh", Smaller(layers=9))
    with pytest.raises(InputError, match=r"--layers 1: .* is a token table"):
        smaller_table(read_static(TINY / "static"), Smaller(layers=1))
    corpus = _corpus(tmp_path)
    with pytest.raises(InputError, match=r"^--pieces 9, and special tokens and single characters alone"):
        smaller_encoder(TINY / "bert-zh", Smaller(corpus=corpus, pieces=9))
    with pytest.raises(InputError, match=r"^--pieces 9, and special tokens"):
        smaller_table(read_static(TINY / "static"), Smaller(corpus=corpus, pieces=9))
    for model in (TINY / "bert-zh", None):
        with pytest.raises(InputError, match=r"--corpus .*there is no text in it"):
            open_source(model, Smaller(corpus=_corpus(tmp_path, ("", " "))))
    with pytest.raises(InputError, match=r"nowhere\.txt"):
        smaller_encoder(TINY / "bert-zh", Smaller(corpus=tmp_path / "nowhere.txt"))
