from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import yuyi
from yuyi.encode.static_folder import read_static, save_sentence_transformers
from yuyi.errors import RecipeError
from yuyi.records import Pair
from yuyi.train.teacher import (
    TeacherConfig,
    embed_with_teacher,
    teacher_folder,
    teacher_texts,
    teacher_words,
    translations,
)

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
    np.testing.assert_allclose(
        whole @ whole.T, expected @ expected.T, atol=0.03
    )  # The teacher runs in bfloat16.
    assert not whole[3].any()
    cut = embed_with_teacher(folder, texts, 4)
    assert (cut.shape, cut.dtype) == ((100, 4), np.float32)
    # Four different texts lie in four dimensions: the leading axes hold them.
    np.testing.assert_allclose(cut @ cut.T, expected @ expected.T, atol=0.03)


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
