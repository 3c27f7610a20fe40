from __future__ import annotations

import itertools
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import yuyi
from yuyi import extras
from yuyi.encode.static_folder import read_static
from yuyi.errors import InputError, MissingExtra, YuyiWarning
from yuyi.types import Encoder

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(__file__).parent.parent / "tiny" / "static"
TINY = yuyi.load(FOLDER)
MODEL = read_static(FOLDER)

WORDS = (
    *("胡子", "长得", "太快", "怎么办", "？", "how", "do", "i", "renew", "my", "passport", "zzz"),
    *("\x1e", "\x00", "\t", "\u3000", "😀", "👩\u200d👧", "é", "e\u0301", "Ａ", "ﬁ"),
)
TEXTS = st.lists(
    st.one_of(
        st.text(max_size=20),
        st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join),
        st.sampled_from(["", "   ", "\n\n", "？！", "今天天气很好，我们去公园散步。" * 40]),
    ),
    max_size=8,
)


def direct_mean(text: str) -> np.ndarray:
    """The mean of a text's rows by the definition, in double precision."""
    ids = MODEL.tokenizer.encode(text.replace("\x1e", " "), add_special_tokens=False).ids
    rows = MODEL.backend.table().astype(np.float64)[ids]
    return rows.mean(axis=0) if len(ids) else np.zeros(TINY.dim)


@given(TEXTS)
@example(["a\x1eb", "\x1e", "a", "b" * 500])
def test_a_text_encodes_alike_alone_and_in_any_company(texts: list[str]) -> None:
    together = TINY.encode(texts)
    assert together.shape == (len(texts), 32)
    assert together.dtype == np.float32
    np.testing.assert_allclose(TINY.encode(texts[::-1]), together[::-1], rtol=0, atol=1e-6)
    for text, vector in zip(texts, together, strict=True):
        alone = TINY.encode(text)
        assert alone.shape == (32,)
        np.testing.assert_allclose(alone, vector, rtol=0, atol=1e-6)


@given(TEXTS)
def test_vectors_are_means_of_unit_length_or_zero(texts: list[str]) -> None:
    expected = np.array([direct_mean(text) for text in texts]).reshape(-1, 32)
    np.testing.assert_allclose(TINY.encode(texts, normalize=False), expected, rtol=0, atol=1e-5)
    norms = np.linalg.norm(TINY.encode(texts), axis=1)
    np.testing.assert_allclose(norms, np.any(expected != 0, axis=1), rtol=0, atol=1e-6)


def test_texts_without_a_known_token_are_zero() -> None:
    assert not TINY.encode(["", " \n\u3000", "\x1e", "龘龘", "？！。"]).any()
    assert TINY.encode("胡子").any()


@given(TEXTS, st.integers(1, 32))
@pytest.mark.filterwarnings("ignore:truncate_dim=.*does not declare:yuyi.errors.YuyiWarning")
def test_cut_then_normalised(texts: list[str], dim: int) -> None:
    cut = yuyi.load(FOLDER, truncate_dim=dim)
    means = TINY.encode(texts, normalize=False)[:, :dim]
    norms = np.linalg.norm(means, axis=1, keepdims=True)
    expected = means / np.where(norms > 0, norms, 1)
    np.testing.assert_allclose(cut.encode(texts), expected, rtol=0, atol=2e-6)
    np.testing.assert_allclose(TINY.encode(texts, truncate_dim=dim), expected, rtol=0, atol=2e-6)
    assert cut.dim == cut.dims[0] == dim
    assert (cut.fingerprint == TINY.fingerprint) == (dim == 32)


def test_a_dimension_that_is_not_declared_is_warned_of() -> None:
    for dim in (32, 16, 8):
        assert TINY.encode("胡子", truncate_dim=dim).shape == (dim,)
    with pytest.warns(YuyiWarning, match="tiny-static does not declare this dimension, but 32, 16, 8"):
        TINY.encode("胡子", truncate_dim=12)
    with pytest.warns(YuyiWarning, match="does not declare") as caught:
        yuyi.load(FOLDER, truncate_dim=12)
    assert len(caught) == 1


@given(TEXTS, st.integers(0, 2_500))
def test_a_stream_is_the_list_in_blocks(texts: list[str], repeat: int) -> None:
    texts = [*texts, *["胡子长得太快", "passport"] * repeat]
    blocks = list(TINY.encode_stream(iter(texts)))
    assert all(0 < len(block) <= 1_024 for block in blocks)
    np.testing.assert_allclose(
        np.concatenate([np.zeros((0, 32)), *blocks]), TINY.encode(texts), rtol=0, atol=1e-6
    )


def test_an_endless_stream_yields_and_reads_little_ahead() -> None:
    taken = itertools.count()
    texts = (f"向量 {next(taken)}" for _ in itertools.count())
    stream = TINY.encode_stream(texts)
    assert [block.shape for block in itertools.islice(stream, 3)] == [(1_024, 32)] * 3
    stream.close()
    assert next(taken) < 1_024 * 200


def test_a_text_of_many_blocks() -> None:
    text = "今天天气很好，我们去公园散步。How do I renew my passport? " * 7_000
    assert len(MODEL.tokenizer.encode(text).ids) > 100_000
    mean = direct_mean(text)
    assert np.abs(TINY.encode(text, normalize=False) - mean).max() < 1e-5
    among = TINY.encode(["胡子", text, "", text + "胡子", "passport"])
    np.testing.assert_allclose(among[1], mean / np.linalg.norm(mean), rtol=0, atol=1e-5)
    np.testing.assert_allclose(among[[0, 4]], TINY.encode(["胡子", "passport"]), rtol=0, atol=1e-6)


def test_many_texts_keep_their_order() -> None:
    texts = [f"{'向量' * (number % 70)} {WORDS[number % 10]}" for number in range(10_000)]
    vectors = TINY.encode(texts)
    for number in (0, 1_023, 1_024, 5_000, 9_999):
        np.testing.assert_allclose(vectors[number], TINY.encode(texts[number]), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "inputs", [["胡子", None], ["胡子", 3.0, "ok"], [b"bytes"], b"bytes", [["nested"]], None, 5]
)
def test_what_is_not_text_is_refused(inputs: object) -> None:
    with pytest.raises(InputError, match=r"not a string|not a list"):
        TINY.encode(inputs)  # type: ignore[arg-type]


def test_the_refusal_names_the_place() -> None:
    with pytest.raises(InputError, match="input 3000: None is not a string"):
        TINY.encode([*["passport"] * 3_000, None])  # type: ignore[list-item]
    with pytest.raises(InputError, match="Give several texts"):
        list(TINY.encode_stream("a text alone"))


def test_similarity_is_the_cosine() -> None:
    a, b = TINY.encode(["胡子", "passport", ""], normalize=False), TINY.encode(["胡子", "watch"])
    found = TINY.similarity(a, b)
    assert (found.shape, found.dtype) == ((3, 2), np.float32)
    cosine = float(a[1] @ b[1] / np.linalg.norm(a[1]) / np.linalg.norm(b[1]))
    assert found[1, 1] == pytest.approx(cosine, abs=1e-6)
    assert found[0, 0] == pytest.approx(1, abs=1e-6)
    assert not found[2].any()
    assert TINY.similarity(a[0], b[0]).shape == (1, 1)


def test_what_a_model_says_of_itself() -> None:
    assert (TINY.name, TINY.dim, TINY.dims) == ("tiny-static", 32, (32, 16, 8))
    assert (TINY.languages, TINY.license, TINY.folder) == (("zh", "en"), "Apache-2.0", FOLDER)
    assert TINY.vocabulary_size == len(MODEL.backend.table())
    assert TINY.tokens("胡子长得太快怎么办？") == ["胡子", "长得", "太快", "怎么办", "?"]
    assert TINY.tokens("How do I renew") == ["how", "do", "i", "renew"]
    assert TINY.tokens("") == []
    assert isinstance(TINY, Encoder)
    np.testing.assert_array_equal(TINY.encode_query("胡子"), TINY.encode("胡子"))
    np.testing.assert_array_equal(TINY.encode_document(["胡子"]), TINY.encode(["胡子"]))

    assert (TINY.backend_name, TINY.dtype, TINY.device) == ("static", "int8", "cpu")
    assert (TINY.max_tokens, TINY.prompts) == (None, {})


def test_progress_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    shown = TINY.encode(["胡子"] * 2_000, show_progress=True)
    assert shown.shape == (2_000, 32)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "encoding" in captured.err
    TINY.encode(["胡子"] * 2_000)  # Standard error is no terminal here.
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("dim", [0, -1, 33, 2.0, True, "8"])
def test_an_impossible_cut_is_refused(dim: int) -> None:
    with pytest.raises(InputError, match="Choose one of 32, 16, 8"):
        yuyi.load(FOLDER, truncate_dim=dim)
    with pytest.raises(InputError, match="Choose one of 32, 16, 8"):
        TINY.encode("胡子", truncate_dim=dim)


def test_nothing_encodes_to_no_rows() -> None:
    for precision, dtype, width in (("float32", "f4", 32), ("float16", "f2", 32), ("int8", "i1", 32)):
        found = TINY.encode([], precision=precision)  # type: ignore[call-overload]
        assert (found.shape, found.dtype) == ((0, width), np.dtype(dtype))
    assert TINY.encode([], precision="binary").shape == (0, 4)
    assert TINY.encode([], truncate_dim=8).shape == (0, 8)
    vectors, info = TINY.encode(iter([]), return_info=True)
    assert (vectors.shape, len(info.tokens), info.summary()) == ((0, 32), 0, "")


def test_the_info_counts_tokens_though_nothing_is_cut() -> None:
    vectors, info = TINY.encode(["胡子长得太快怎么办？", "", "passport"], return_info=True)
    assert vectors.shape == (3, 32)
    assert info.tokens.tolist() == info.used.tolist() == [5, 0, 1]
    _, alone = TINY.encode("passport", return_info=True)
    assert (alone.tokens.tolist(), alone.chunks.tolist()) == ([1], [1])


def test_a_prompt_goes_before_the_text() -> None:
    np.testing.assert_array_equal(TINY.encode("胡子", prompt="passport "), TINY.encode("passport 胡子"))
    with pytest.raises(InputError, match="no prompt of this name; it has none"):
        TINY.encode("胡子", prompt_name="query")


@pytest.mark.parametrize(
    ("options", "cause"),
    [
        (
            {"precision": "int4"},
            "precision='int4': no such choice. Choose one of float32, float16, int8, binary",
        ),
        ({"overflow": "truncate"}, "overflow='truncate': no such choice. Choose one of error, cut, pool"),
        ({"token_budget": 0}, "token_budget=0"),
        ({"precision": "int8", "normalize": False}, "fits vectors of unit length"),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], cause: str) -> None:
    with pytest.raises(InputError, match=re.escape(cause)):
        TINY.encode("胡子", **options)
    with pytest.raises(InputError, match=re.escape(cause)):
        TINY.encode_stream(["胡子"], **options)  # Refused before the first text is read.


def test_half_a_surrogate_pair_is_named_by_its_place() -> None:
    with pytest.raises(InputError, match=r"text 2500 .*half of a surrogate pair"):
        TINY.encode([*["胡子"] * 2_500, "\ud83d"])


def test_tensors() -> None:
    import torch

    found = TINY.encode(["胡子", "passport"], convert_to_tensor=True)
    assert isinstance(found, torch.Tensor)
    np.testing.assert_array_equal(found.numpy(), TINY.encode(["胡子", "passport"]))
    assert TINY.encode("胡子", convert_to_tensor=True).shape == (32,)


def test_a_tensor_without_torch_is_refused_before_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    def texts() -> Iterator[str]:
        raise AssertionError("read")
        yield

    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="torch"):
        TINY.encode(texts(), convert_to_tensor=True)


@pytest.mark.parametrize("wrong", [None, b"", 5, ["a"]])
def test_tokens_of_what_is_no_string(wrong: object) -> None:
    with pytest.raises(InputError, match="not a string"):
        TINY.tokens(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [{"text": "a"}, b"abc", bytearray(b"abc")])
def test_what_is_no_list_of_texts(wrong: object) -> None:
    with pytest.raises(InputError, match="not a list or another iterable of texts"):
        TINY.encode(wrong)  # type: ignore[call-overload]


def test_half_a_character_in_a_prompt() -> None:
    with pytest.raises(InputError, match=r"^the prompt \(.*surrogate"):
        TINY.encode(["a"], prompt="ask \ud800: ")
