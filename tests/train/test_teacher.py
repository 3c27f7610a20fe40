from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import yuyi
from yuyi.encode.static_folder import read_static, save_sentence_transformers
from yuyi.errors import InputError, RecipeError, YuyiWarning
from yuyi.records import Pair
from yuyi.train.teaching import teacher
from yuyi.train.teaching.asked import open_asked
from yuyi.train.teaching.teacher import (
    TeacherConfig,
    teacher_folder,
    teacher_texts,
    teacher_words,
    translations,
)
from yuyi.train.teaching.teacher_vectors import embed_with_teacher, read_vectors, teacher_vectors

TINY = Path(__file__).parent.parent / "tiny" / "static"
PAIRS = [
    Pair("a", "qa", "renew my passport", "in the  park", None, "en"),
    Pair("a", "qa", "renew my passport", "护照", None, "en-zh"),
    Pair("b", "qa", "胡子", "向量", None, "zh"),
    Pair("b", "sts", "x", "a long text about vectors", 1.0, "en"),
    Pair("b", "parallel", "散步", "take a walk", None, "zh-en"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("teacher")
    save_sentence_transformers(folder, read_static(TINY))
    return folder


def test_texts_of_the_wanted_languages_once_each_and_cut() -> None:
    config = TeacherConfig(folder="f", characters=12)
    texts = teacher_texts(PAIRS, config)
    assert sorted(texts) == ["a long text", "in the park", "renew my", "take a walk"]
    assert teacher_texts(reversed(PAIRS), config) == texts
    assert set(teacher_texts(PAIRS, TeacherConfig(folder="f", languages=("zh",)))) == {
        *("护照", "胡子", "向量", "散步"),
    }


def test_sources_take_turns_where_texts_are_too_many() -> None:
    pairs = [
        Pair(name, "qa", f"{name} text {n}", f"{name} text {n}", None, "en")
        for n in range(50)
        for name in "xyz"
    ]
    texts = teacher_texts(pairs, TeacherConfig(folder="f", most=9))
    assert len(texts) == 9
    assert sorted(text[0] for text in texts) == sorted("xyz" * 3)


def test_sources_of_many_texts_are_bounded_whatever_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    held = []

    def watched(texts: dict[str, None], most: int) -> dict[str, None]:
        held.append(len(texts))
        return fewer(texts, most)

    fewer = teacher._fewer
    monkeypatch.setattr(teacher, "_fewer", watched)
    pairs = [Pair("x", "qa", f"text {n}", f"护照 {n}", None, "en-zh") for n in range(500)]
    config = TeacherConfig(folder="f", most=20, languages=("en", "zh"))
    texts = teacher_texts(pairs, config)
    assert (len(texts), len(set(texts))) == (20, 20)
    assert max(held) <= 41
    assert teacher_texts(pairs[::-1], config) == texts
    # Of every part of the source alike.
    assert 3 < sum(text.startswith("text") for text in texts) < 17


def test_one_teacher_and_no_more() -> None:
    with pytest.raises(RecipeError, match=r"teacher: none is given"):
        TeacherConfig()
    with pytest.raises(RecipeError, match=r"teacher: folder and vectors are given"):
        TeacherConfig(folder="a", vectors="b.npy")


def test_a_teacher_computes_where_it_is_told(tmp_path: Path) -> None:
    config = TeacherConfig(folder=str(TINY.parent / "bert-zh"), languages=("zh",), words=False)
    with pytest.raises((RuntimeError, AssertionError, NotImplementedError)):
        teacher_vectors(config, lambda: PAIRS, tmp_path, device="meta")
    assert not list(tmp_path.glob("*.npy"))


def test_translations_share_the_vector_of_what_they_translate() -> None:
    config = TeacherConfig(folder="f", translations=True)
    texts = teacher_texts(PAIRS, config)
    translated, originals = translations(PAIRS, texts, config)
    assert translated == ["护照"]
    assert [texts[place] for place in originals] == ["renew my passport"]


def test_vectors_keep_their_cosines_on_fewer_axes(folder: Path) -> None:
    texts = ["renew my passport", "a walk in the park", "vectors of texts", "", "buy a watch"] * 20
    done: list[int] = []
    whole = embed_with_teacher(folder, texts, 32, done.append)
    assert done == [100]
    expected = yuyi.load(TINY).encode(texts)
    np.testing.assert_allclose(whole @ whole.T, expected @ expected.T, atol=1e-5)
    assert not whole[3].any()
    cut = embed_with_teacher(folder, texts, 4)
    assert (cut.shape, cut.dtype) == ((100, 4), np.float32)
    # Four different texts lie in four dimensions: the leading axes hold them.
    np.testing.assert_allclose(cut @ cut.T, expected @ expected.T, atol=1e-5)


TEXTS = ["护照挂失怎么补办？", "renew my passport", "向量", "", "a walk in the park " * 40]


@pytest.mark.parametrize("name", ["bert-zh", "bert-dense", "modernbert", "roberta", "gte-new", "xlm-roberta"])
def test_a_transformer_is_asked_as_it_is_served(name: str) -> None:
    with pytest.warns(YuyiWarning, match="1 of 5 texts was cut"):
        expected = yuyi.load(TINY.parent / name).encode(TEXTS)
    np.testing.assert_allclose(open_asked(TINY.parent / name).vectors(TEXTS), expected, atol=1e-5)


def test_prompts_of_a_teacher() -> None:
    served, plain = yuyi.load(TINY.parent / "bert-zh"), open_asked(TINY.parent / "bert-zh").vectors(TEXTS[:4])
    found = open_asked(TINY.parent / "bert-zh", prompt="query").vectors(TEXTS[:4])
    np.testing.assert_allclose(found, served.encode(TEXTS[:4], prompt_name="query"), atol=1e-5)
    assert not np.allclose(found, plain, atol=1e-3)
    with pytest.raises(InputError, match="no prompt of this name"):
        open_asked(TINY.parent / "bert-zh", prompt="frage")


def test_a_token_table_of_yuyi_is_asked_too(folder: Path) -> None:
    np.testing.assert_allclose(open_asked(TINY).vectors(TEXTS), open_asked(folder).vectors(TEXTS), atol=1e-5)


def test_vectors_are_computed_once_and_mapped(tmp_path: Path) -> None:
    config = TeacherConfig(folder=str(TINY.parent / "bert-zh"), languages=("zh", "en"), words=False)
    done: list[int] = []
    texts, vectors = teacher_vectors(config, lambda: PAIRS, tmp_path, on_done=done.append)
    assert isinstance(vectors, np.memmap)
    assert (len(vectors), done) == (len(texts), [len(texts)])
    own = open_asked(TINY.parent / "bert-zh").vectors(texts)
    np.testing.assert_allclose(vectors @ vectors.T, own @ own.T, atol=1e-5)
    again = teacher_vectors(config, lambda: PAIRS, tmp_path, on_done=done.append)
    assert len(done) == 1
    assert again[1].tobytes() == vectors.tobytes()
    # Other texts, another width, the teacher's own space: other files.
    short, cut = teacher_vectors(replace(config, languages=("zh",)), lambda: PAIRS, tmp_path, 4)
    assert cut.shape == (len(short), 4)
    _, kept = teacher_vectors(replace(config, turn=False), lambda: PAIRS, tmp_path, 4)
    np.testing.assert_allclose(kept, own, atol=1e-6)
    assert len(list(tmp_path.glob("*.npy"))) == 3


def test_many_that_ask_a_teacher_at_once_are_served_by_one(tmp_path: Path) -> None:
    config = TeacherConfig(folder=str(TINY.parent / "bert-zh"), languages=("zh", "en"), words=False)
    done: list[int] = []

    def ask(_: int) -> bytes:
        return teacher_vectors(config, lambda: PAIRS, tmp_path, on_done=done.append)[1].tobytes()

    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(ask, range(4)))
    assert (len(found), len(done)) == (1, 1)


def test_translations_and_words_of_a_teacher(folder: Path, tmp_path: Path) -> None:
    config = TeacherConfig(folder=str(folder), translations=True)
    texts, vectors = teacher_vectors(config, lambda: PAIRS, tmp_path)
    assert texts[-1] == "护照"
    np.testing.assert_array_equal(vectors[-1], vectors[texts.index("renew my passport")])
    assert "the" in texts


def test_vectors_from_a_file(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    given = np.random.default_rng(0).normal(size=(len(TEXTS), 6)).astype(np.float32)
    pq.write_table(pa.table({"text": TEXTS, "embedding": given.tolist()}), tmp_path / "said.parquet")
    np.save(tmp_path / "said.npy", given)
    (tmp_path / "said.txt").write_text("\n".join(TEXTS) + "\n", encoding="utf-8")
    unit = given / np.linalg.norm(given, axis=1, keepdims=True)
    for name in ("said.parquet", "said.npy"):
        config = TeacherConfig(vectors=str(tmp_path / name), turn=False)
        texts, vectors = teacher_vectors(config, list, tmp_path)
        assert texts == TEXTS
        np.testing.assert_allclose(vectors, unit, atol=1e-6)
    turned = teacher_vectors(replace(config, turn=True), list, tmp_path, 6)[1]
    np.testing.assert_allclose(turned @ turned.T, unit @ unit.T, atol=1e-5)


def test_a_file_of_vectors_that_cannot_be_used(tmp_path: Path) -> None:
    np.save(tmp_path / "said.npy", np.zeros((3, 4), dtype=np.float32))
    with pytest.raises(
        InputError, match=r"said\.npy: cannot be read as vectors with their texts in said\.txt"
    ):
        read_vectors(tmp_path / "said.npy")
    (tmp_path / "said.txt").write_text("一\n二\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"has the shape \(3, 4\), and said\.txt has 2 lines"):
        read_vectors(tmp_path / "said.npy")
    with pytest.raises(InputError, match=r"no text of the data is in one of them"):
        teacher_vectors(
            TeacherConfig(folder=str(TINY), languages=("fr",), words=False), lambda: PAIRS, tmp_path
        )
    assert {path.name for path in tmp_path.iterdir()} == {"said.npy", "said.txt"}


def test_words_in_the_order_of_the_vocabulary(folder: Path, tmp_path: Path) -> None:
    words = teacher_words(folder)
    assert words[:3] == ["the", "and", "in"]
    assert all(word.isascii() and word.isalpha() for word in words)
    with pytest.raises(RecipeError, match="no tokenizer"):
        teacher_words(tmp_path)


def test_where_a_teacher_is(folder: Path, tmp_path: Path) -> None:
    assert teacher_folder(TeacherConfig(folder=str(folder))) == folder
    assert teacher_folder(TeacherConfig(package="json")) == Path(json.__file__).parent / "model"
    with pytest.raises(RecipeError, match=r"teacher\.folder .*modules\.json"):
        teacher_folder(TeacherConfig(folder=str(tmp_path)))
    with pytest.raises(RecipeError, match=r"teacher\.package no_such: not installed"):
        teacher_folder(TeacherConfig(package="no_such"))


def test_more_dimensions_than_the_teacher_has(folder: Path) -> None:
    with pytest.raises(RecipeError, match=r"table\.dims 33: more than the 32"):
        embed_with_teacher(folder, ["text"], 33)
