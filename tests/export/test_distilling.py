"""An encoder as a token table that follows it."""

from __future__ import annotations

import json
import shutil
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model2vec import StaticModel as Model2Vec
from sentence_transformers import SentenceTransformer

import yuyi
from yuyi.encode.static_backend import StaticBackend
from yuyi.errors import InputError
from yuyi.export.distilling.distil import distil
from yuyi.export.distilling.follow import Lesson, follow
from yuyi.export.distilling.pieces import counted_pieces, own_pieces
from yuyi.export.distilling.settings import Distilling
from yuyi.export.settings import ExportSettings
from yuyi.export.smaller import Smaller
from yuyi.export.source import Source, open_source
from yuyi.export.static_forms import check_static, write_static_form, write_table
from yuyi.text.tokenizer import SEPARATOR, BatchTokenizer
from yuyi.text.tokenizer_folder import read_tokenizer
from yuyi.train.static import frequency_weights, pieces_of
from yuyi.train.teaching.teacher_vectors import turn

TINY = Path(__file__).parent.parent / "tiny"
WHO = ("我们", "老师", "她的朋友", "The teacher", "My neighbour", "他们")
DOES = ("喜欢", "讨论", "看见", "likes", "forgot", "写")
WHAT = ("天气", "苹果", "这本书", "music", "the weather", "电影", "history", "火车")
SENTENCES = [" ".join(words) for words in product(WHO, DOES, WHAT)]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("corpus") / "texts.txt"
    path.write_text("\n".join(SENTENCES), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def source() -> Source:
    return open_source(TINY / "bert-zh", Smaller())


def distilling(corpus: Path | None, **changes: int) -> Distilling:
    pieces = {} if corpus is None else {"pieces": 400}
    return Distilling(**{"corpus": corpus, "dim": 16, "epochs": 8, **pieces, **changes})  # type: ignore[arg-type]


def test_learning_brings_a_table_nearer_on_texts_that_it_has_not_seen(source: Source, corpus: Path) -> None:
    _, facts = distil(source.reference, source.model.tokenizer, distilling(corpus))
    assert facts["texts"] == len(SENTENCES)
    assert facts["held_out"] == 14
    assert facts["after"] > facts["before"]
    assert facts["after"] > 0.9
    assert 1 <= facts["epochs"] <= 8


def test_the_same_texts_give_the_same_table(source: Source, corpus: Path) -> None:
    first, again = (distil(source.reference, source.model.tokenizer, distilling(corpus)) for _ in range(2))
    np.testing.assert_array_equal(first[0].backend.table(), again[0].backend.table())
    assert first[1] == again[1]


@pytest.mark.parametrize("name", ["bert-zh", "xlm-roberta", "roberta"])
def test_without_texts_the_pieces_are_the_encoders_own(name: str) -> None:
    source = open_source(TINY / name, Smaller())
    table, facts = distil(source.reference, source.model.tokenizer, distilling(None, dim=8))
    assert facts["texts"] == 0
    assert facts["pieces"] == source.model.tokenizer.get_vocab_size()
    ids = table.tokenizer.encode("今天天气很好 weather").ids
    assert ids == source.model.tokenizer.encode("今天天气很好 weather", add_special_tokens=False).ids


def test_without_texts_what_is_on_every_line_weighs_less() -> None:
    source = open_source(TINY / "bert-zh", Smaller())
    table, _ = distil(source.reference, source.model.tokenizer, distilling(None))
    lengths = np.linalg.norm(table.backend.table(), axis=1)
    frequent = lengths[[table.tokenizer.token_to_id(piece) for piece in ("的", "，", "。")]]
    assert frequent.max() < np.median(lengths[lengths > 0])


def test_the_three_libraries_open_what_is_written_to_equal_vectors(
    source: Source, corpus: Path, tmp_path: Path
) -> None:
    form = write_static_form(
        tmp_path, source, ExportSettings(targets=("static",), distilling=distilling(corpus))
    )
    assert form.least is None
    assert form.facts["dim"] == 16
    texts = ["我们喜欢天气", "The teacher likes music", "", "从未见过 unseen", "x" * 3000]
    encoder = yuyi.load(tmp_path / form.folder)
    expected = encoder.encode(texts)
    assert encoder.name == "bert-zh-static"
    np.testing.assert_allclose(
        SentenceTransformer(str(tmp_path / "static"), device="cpu").encode(texts), expected, atol=1e-5
    )
    np.testing.assert_allclose(
        Model2Vec.from_pretrained(tmp_path / "static").encode(texts), expected, atol=1e-5
    )


def test_words_of_the_texts_are_pieces() -> None:
    pieces = counted_pieces(SENTENCES, TINY / "bert-zh", 400)
    assert {"老师", "天气", "weather", "neighbour"} <= set(pieces.texts)
    assert pieces.tokenizer.encode("老师讨论天气").tokens == ["老师", "讨论", "天气"]
    quiet = [
        piece for piece, silent in zip(pieces_of(pieces.tokenizer), pieces.silent, strict=True) if silent
    ]
    assert sorted(quiet) == sorted(["[UNK]", SEPARATOR])


def test_an_encoders_special_tokens_mean_nothing_and_its_inner_pieces_are_asked_as_words() -> None:
    pieces = own_pieces(read_tokenizer(TINY / "bert-zh"))
    asked = dict(zip(pieces_of(pieces.tokenizer), pieces.texts, strict=True))
    assert not any(asked[token] for token in ("[CLS]", "[SEP]", "[PAD]", "[UNK]", "[MASK]"))
    inner = [piece for piece in asked if piece.startswith("##")]
    assert inner
    assert all(asked[piece] == piece[2:] for piece in inner)


def test_pieces_that_mean_nothing_stay_zeros(source: Source, corpus: Path) -> None:
    table, _ = distil(source.reference, source.model.tokenizer, distilling(corpus))
    rows = table.backend.table()
    assert not rows[table.tokenizer.token_to_id("[UNK]")].any()
    assert not rows[table.tokenizer.token_to_id(SEPARATOR)].any()
    assert rows[table.tokenizer.token_to_id("天气")].any()


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(1, 11))
def test_principal_axes_keep_products_best(seed: int, dim: int) -> None:
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(40, 12)).astype(np.float32) * np.geomspace(1, 0.1, 12, dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    whole = vectors @ vectors.T
    turned = np.zeros((40, 12), dtype=np.float32)
    turn(vectors, turned)
    np.testing.assert_allclose(turned @ turned.T, whole, atol=1e-5)
    other = vectors @ np.linalg.qr(random.normal(size=(12, 12)))[0].astype(np.float32)
    lost = [
        np.linalg.norm(whole - part @ part.T) for part in (turned[:, :dim], vectors[:, :dim], other[:, :dim])
    ]
    assert lost[0] <= min(lost) + 1e-5


def test_learning_that_does_not_help_leaves_the_table_as_it_was() -> None:
    random = np.random.default_rng(0)
    table = random.normal(size=(30, 8)).astype(np.float32)
    tokenizer = counted_pieces(SENTENCES, TINY / "bert-zh", 400).tokenizer
    batch = BatchTokenizer(tokenizer)(["天气", "苹果", "音乐"])
    batch.ids[:] %= 30
    perfect = StaticBackend(table, None).embed(batch)
    perfect /= np.linalg.norm(perfect, axis=1, keepdims=True)
    wrong = Lesson(batch, -perfect)
    followed = follow(table, wrong, Lesson(batch, perfect), 5, 0)
    np.testing.assert_array_equal(followed.table, table)
    assert (followed.epochs, followed.after) == (0, followed.before)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=20))
def test_what_is_frequent_weighs_less(shares: list[float]) -> None:
    weights = frequency_weights(np.sort(np.array(shares)))
    assert (np.diff(weights) <= 0).all()
    assert ((weights > 0) & (weights <= 1)).all()


def test_a_dimension_above_the_encoders_is_the_encoders(source: Source, corpus: Path) -> None:
    table, facts = distil(source.reference, source.model.tokenizer, distilling(corpus, dim=512, epochs=1))
    assert facts["dim"] == table.backend.dim == source.reference.dim


def test_too_few_texts_are_refused(source: Source, tmp_path: Path) -> None:
    few = tmp_path / "few.txt"
    few.write_text("天气\n\nweather\n天气\n", encoding="utf-8")
    with pytest.raises(InputError, match="holds 2 different texts"):
        distil(source.reference, source.model.tokenizer, distilling(few))


def test_numbers_that_leave_nothing_are_refused() -> None:
    for name, said in (
        ("epochs", r"distilling\.epochs"),
        ("dim", "--distil-dim"),
        ("pieces", "--distil-pieces"),
    ):
        with pytest.raises(InputError, match=f"{said} 0: give a number"):
            Distilling(**{name: 0})  # type: ignore[arg-type]


def test_options_that_nothing_heeds_are_refused(source: Source, corpus: Path) -> None:
    for targets, changes, said in (
        (("onnx",), {"distilling": Distilling(corpus=corpus)}, "--distil: for static alone"),
        (("onnx",), {"distilling": Distilling(dim=8)}, "--distil-dim: for static alone"),
        (("onnx", "static"), {"calibration": corpus}, "--calibration: for onnx-int8 and browser alone"),
    ):
        with pytest.raises(InputError, match=said):
            ExportSettings(targets=targets, **changes)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="--distil-pieces 90: without texts"):
        Distilling(pieces=90)
    table = open_source(TINY / "static", Smaller())
    with pytest.raises(InputError, match="--distil: tiny-static is a token table already"):
        check_static(table, ExportSettings(targets=("static",), distilling=Distilling(corpus=corpus)))
    for smaller, said in ((Smaller(layers=1), "--layers 1"), (Smaller(corpus=corpus), "--corpus")):
        with pytest.raises(InputError, match=f"{said}.* the table follows the whole of bert-zh"):
            check_static(source, ExportSettings(targets=("static",), smaller=smaller))
        check_static(source, ExportSettings(targets=("static", "onnx"), smaller=smaller))


@pytest.mark.filterwarnings("ignore:--dim")
def test_dimensions_cut_off_the_model_are_cut_off_its_table(tmp_path: Path) -> None:
    smaller = Smaller(dim=8)
    settings = ExportSettings(targets=("static",), smaller=smaller)
    form = write_static_form(tmp_path, open_source(TINY / "bert-zh", smaller), settings)
    assert form.facts["dim"] == yuyi.load(tmp_path / "static").dim == 8


def test_a_table_has_the_names_of_its_encoders_prompts(corpus: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(TINY / "bert-zh", tmp_path / "bert-zh")
    (folder / "config_sentence_transformers.json").write_text("{}", encoding="utf-8")
    plain = open_source(folder, Smaller())
    prompts = {"prompts": {"query": "为这个句子生成表示：", "web": "web: "}, "default_prompt_name": "web"}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(prompts), encoding="utf-8")
    prompted = open_source(folder, Smaller())
    settings = distilling(corpus, epochs=1)
    tables = [distil(each.reference, each.model.tokenizer, settings) for each in (plain, prompted)]
    np.testing.assert_array_equal(tables[0][0].backend.table(), tables[1][0].backend.table())
    assert [facts.get("prompts") for _, facts in tables] == [None, "left out"]
    (tmp_path / "static").mkdir()
    write_table(tmp_path / "static", tables[1][0])
    encoder = yuyi.load(tmp_path / "static")
    expected = encoder.encode("天气 weather")
    assert expected.any()
    np.testing.assert_array_equal(encoder.encode("天气 weather", prompt_name="web"), expected)
    np.testing.assert_array_equal(encoder.encode_query("天气 weather"), expected)
