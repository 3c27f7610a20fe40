"""The encoder over transformer folders, against sentence-transformers on the same folder, in float32."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sentence_transformers import SentenceTransformer

import yuyi
from yuyi.errors import InputError, ModelError, YuyiWarning
from yuyi.model.config import read_config
from yuyi.model.kernels.engine import supports
from yuyi.model.kernels.packing import Kind
from yuyi.types import Encoder

TINY = Path(__file__).parent.parent / "tiny"
FOLDERS = ("bert-zh", "bert-dense", "roberta", "xlm-roberta", "modernbert")
TEXTS = [
    *("", " ", "a", "今天天气很好，我们去公园散步。", "How do I renew my passport?", "中文English混排123"),
    *("😀👩\u200d👧 𠮷野家", "\x00\x1e\ufeff", "passport " * 4, "胡子长得太快怎么办？", "e\u0301 é É"),
]
LONG = "向量数据库保存这些向量。How do I renew my passport? " * 20


@cache
def ours(name: str) -> yuyi.Encoder:
    return yuyi.load(TINY / name, backend="torch", device="cpu", dtype="float32")


@cache
def theirs(folder: Path) -> SentenceTransformer:
    return SentenceTransformer(str(folder), device="cpu", local_files_only=True)


def expected(name: str, texts: list[str], **options: Any) -> np.ndarray:
    return theirs(TINY / name).encode(texts, normalize_embeddings=True, **options)


@pytest.mark.parametrize("name", FOLDERS)
def test_vectors_are_those_of_sentence_transformers(name: str) -> None:
    found = ours(name).encode(TEXTS)
    np.testing.assert_allclose(found, expected(name, TEXTS), rtol=0, atol=1e-5)
    with pytest.warns(YuyiWarning, match="1 of 2 texts was cut"):
        cut = ours(name).encode([LONG, "a"])
    np.testing.assert_allclose(cut, expected(name, [LONG, "a"]), rtol=0, atol=1e-5)
    assert ours(name).max_tokens == theirs(TINY / name).max_seq_length
    assert isinstance(ours(name), Encoder)


@pytest.mark.parametrize("name", FOLDERS)
@given(st.lists(st.one_of(st.text(max_size=30), st.sampled_from(TEXTS)), max_size=9), st.integers(1, 200))
@settings(max_examples=20)
def test_alone_is_as_in_any_company_and_budget(name: str, texts: list[str], budget: int) -> None:
    encoder = ours(name)
    together = encoder.encode(texts, token_budget=budget, overflow="cut", return_info=True)[0]
    assert together.shape == (len(texts), encoder.dim)
    backwards = encoder.encode(texts[::-1], overflow="cut", return_info=True)[0]
    np.testing.assert_allclose(backwards[::-1], together, rtol=0, atol=1e-6)
    for text, vector in zip(texts, together, strict=True):
        alone = encoder.encode(text, return_info=True)[0]
        np.testing.assert_allclose(alone, vector, rtol=0, atol=1e-6)


def test_lengths_around_the_limit() -> None:
    encoder = ours("bert-zh")
    limit = encoder.max_tokens
    assert limit == 48
    texts = ["今" * count for count in (0, 1, limit - 3, limit - 2, limit - 1, limit)]
    vectors, info = encoder.encode(texts, return_info=True)
    assert info.tokens.tolist() == [2, 3, limit - 1, limit, limit + 1, limit + 2]
    assert info.used.tolist() == [2, 3, limit - 1, limit, limit, limit]
    assert info.cut.tolist() == [4, 5]
    np.testing.assert_allclose(vectors[4], vectors[3], rtol=0, atol=1e-6)
    np.testing.assert_allclose(vectors, expected("bert-zh", texts), rtol=0, atol=1e-5)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        encoder.encode(texts[:4])
        assert caught == []
        encoder.encode(texts)
        assert [str(warning.message).split(".")[0] for warning in caught] == [
            "2 of 6 texts were cut; 3 of 199 tokens dropped"
        ]


def test_a_long_text_may_be_refused_or_pooled() -> None:
    encoder = ours("bert-dense")
    limit = encoder.max_tokens
    assert limit == 64
    with pytest.raises(InputError, match=r"text 1: has \d+ tokens and the model takes 64"):
        encoder.encode(["a", LONG], overflow="error")
    room = limit - 2
    words = ["passport"] * room + ["天"] * 30
    vectors, info = encoder.encode(["a", " ".join(words)], overflow="pool", normalize=False, return_info=True)
    pieces = len(encoder.tokens("passport"))
    whole = pieces * room + 30
    assert info.tokens.tolist() == info.used.tolist() == [3, whole + 2]
    assert info.chunks.tolist() == [1, -(-whole // room)]
    if pieces == 1:
        parts = encoder.encode([" ".join(words[:room]), " ".join(words[room:])], normalize=False)
        mean = (parts[0] * room + parts[1] * 30) / (room + 30)
        np.testing.assert_allclose(vectors[1], mean, rtol=0, atol=1e-5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        encoder.encode([LONG], overflow="pool")  # Nothing is lost, so nothing is warned of.


def test_a_stream_warns_once_and_keeps_its_order() -> None:
    encoder = ours("roberta")
    texts = [*TEXTS, LONG] * 250
    with pytest.warns(YuyiWarning, match="so far, .* were cut") as caught:
        blocks = list(encoder.encode_stream(iter(texts)))
    assert len(caught) == 1
    assert len(blocks) > 1
    once = encoder.encode([*TEXTS, LONG], return_info=True)[0]
    np.testing.assert_allclose(np.concatenate(blocks), np.tile(once, (250, 1)), rtol=0, atol=1e-6)
    infos = [info for _, info in encoder.encode_stream(texts, return_info=True)]
    assert sum(len(info.cut) for info in infos) == 250


def with_prompts(tmp_path: Path, base: str, prompts: dict[str, str], default: str | None) -> Path:
    folder = Path(shutil.copytree(TINY / base, tmp_path / base))
    about = {"prompts": prompts, "default_prompt_name": default}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(about))
    return folder


@pytest.mark.parametrize("default", ["sts", None])
@pytest.mark.parametrize("roles", [{}, {"query": "查询："}, {"document": "文章："}, {"passage": "文章："}])
def test_a_role_without_a_prompt_has_none(tmp_path: Path, roles: dict[str, str], default: str | None) -> None:
    folder = with_prompts(tmp_path, "bert-dense", {"sts": "same:", **roles}, default)
    encoder, oracle = yuyi.load(folder, dtype="float32", device="cpu"), theirs(folder)
    for method in ("encode", "encode_query", "encode_document"):
        # sentence-transformers passes over `passage`, for an empty `document` that it adds itself.
        named = {"prompt_name": "passage"} if method == "encode_document" and "passage" in roles else {}
        want = getattr(oracle, method)(TEXTS, normalize_embeddings=True, **named)
        np.testing.assert_allclose(getattr(encoder, method)(TEXTS), want, rtol=0, atol=1e-5, err_msg=method)


@pytest.mark.parametrize("include_prompt", [True, False])
@pytest.mark.parametrize("base", ["bert-dense", "roberta", "xlm-roberta", "modernbert"])
def test_prompts_are_used_as_sentence_transformers_does(
    tmp_path: Path, base: str, include_prompt: bool
) -> None:
    prompts = {"query": "查询 query: ", "document": "文章：", "sts": "same:"}
    folder = with_prompts(tmp_path, base, prompts, "sts")
    pooling = folder / "1_Pooling" / "config.json"
    pooling.write_text(json.dumps({**json.loads(pooling.read_text()), "include_prompt": include_prompt}))
    encoder, oracle = yuyi.load(folder, dtype="float32", device="cpu"), theirs(folder)
    assert encoder.prompts == prompts
    texts = TEXTS[2:]
    for method in ("encode", "encode_query", "encode_document"):
        found = getattr(encoder, method)(texts)
        want = getattr(oracle, method)(texts, normalize_embeddings=True)
        np.testing.assert_allclose(found, want, rtol=0, atol=1e-5, err_msg=method)
    for options in ({"prompt_name": "query"}, {"prompt": "Represent this: "}, {"prompt": ""}):
        want = oracle.encode(texts, normalize_embeddings=True, **options)
        np.testing.assert_allclose(encoder.encode(texts, **options), want, rtol=0, atol=1e-5)
        np.testing.assert_allclose(encoder.encode_query(texts, **options), want, rtol=0, atol=1e-5)
    with pytest.raises(InputError, match="it has query, document, sts"):
        encoder.encode(texts, prompt_name="passage")


def test_every_chunk_has_its_prompt() -> None:
    encoder = ours("bert-dense")
    room = 64 - 2 - len(encoder.tokens("查询"))
    vectors, info = encoder.encode(
        ["天" * (room + 9)], prompt="查询", overflow="pool", normalize=False, return_info=True
    )
    parts = encoder.encode(["天" * room, "天" * 9], prompt="查询", normalize=False)
    np.testing.assert_allclose(vectors[0], (parts[0] * room + parts[1] * 9) / (room + 9), rtol=0, atol=1e-5)
    assert info.chunks.tolist() == [2]
    with pytest.raises(InputError, match="leave no room"):
        encoder.encode([LONG], prompt="天" * 62, overflow="pool")


def test_a_model_without_smaller_dimensions_warns_when_it_is_cut() -> None:
    reason = "bert-dense declares no dimension below {}, so it was not trained for this one"
    with pytest.warns(YuyiWarning, match="truncate_dim=16: " + reason.format(56)) as caught:
        assert ours("bert-dense").encode(TEXTS, truncate_dim=16).shape == (len(TEXTS), 16)
    assert len(caught) == 1
    with pytest.warns(YuyiWarning, match=reason.format(56)) as caught:
        cut = yuyi.load(TINY / "bert-dense", dtype="float32", device="cpu", truncate_dim=16)
    assert len(caught) == 1
    with pytest.warns(YuyiWarning, match="truncate_dim=8: " + reason.format(16)):
        cut.encode(TEXTS, truncate_dim=8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cut.encode(TEXTS, truncate_dim=16)


@pytest.mark.filterwarnings("always::yuyi.errors.YuyiWarning")
def test_workers_do_not_warn_again() -> None:
    with pytest.warns(YuyiWarning, match="declares no dimension below 32") as caught:
        ours("bert-zh").encode(TEXTS, truncate_dim=16, workers=1)
    assert len(caught) == 1


@pytest.mark.filterwarnings("ignore:truncate_dim=.*declares no dimension:yuyi.errors.YuyiWarning")
def test_cut_then_normalised() -> None:
    whole = ours("bert-dense").encode(TEXTS, normalize=False)
    for dim in (1, 8, 56):
        want = expected("bert-dense", TEXTS, truncate_dim=dim)
        np.testing.assert_allclose(
            ours("bert-dense").encode(TEXTS, truncate_dim=dim), want, rtol=0, atol=1e-5
        )
        loaded = yuyi.load(TINY / "bert-dense", dtype="float32", device="cpu", truncate_dim=dim)
        np.testing.assert_allclose(loaded.encode(TEXTS), want, rtol=0, atol=1e-5)
        assert (loaded.dim, loaded.dims) == (dim, (dim,))
        norms = np.linalg.norm(whole[:, :dim], axis=1, keepdims=True)
        np.testing.assert_allclose(want, whole[:, :dim] / norms, rtol=0, atol=1e-5)
    with pytest.raises(InputError, match="has 56 dimensions"):
        yuyi.load(TINY / "bert-dense", truncate_dim=57)


def test_stored_precisions() -> None:
    encoder = ours("modernbert")
    exact = encoder.encode(TEXTS)
    assert encoder.encode(TEXTS, precision="float16").dtype == np.float16
    small = encoder.encode(TEXTS, precision="int8")
    assert small.dtype == np.int8
    np.testing.assert_allclose(encoder.similarity(small, exact), exact @ exact.T, rtol=0, atol=0.05)
    bits = encoder.encode(TEXTS, precision="binary")
    np.testing.assert_array_equal(bits, np.packbits(exact > 0, axis=1))
    np.testing.assert_allclose(np.diag(encoder.similarity(bits, bits)), 1)


def test_half_a_surrogate_pair_and_a_text_of_megabytes() -> None:
    encoder = ours("bert-zh")
    with pytest.raises(InputError, match=r"text 1 .*half of a surrogate pair"):
        encoder.encode(["a", "\ud83d"])
    vector, info = encoder.encode("今天天气很好。" * 150_000, return_info=True)
    assert (info.tokens.tolist(), info.used.tolist()) == ([1_050_002], [48])
    np.testing.assert_allclose(vector, encoder.encode("今天天气很好。" * 6 + "今天天气")[:32], atol=1e-6)


def test_weights_that_are_no_numbers(tmp_path: Path) -> None:
    import safetensors.numpy

    shutil.copytree(TINY / "bert-zh", tmp_path / "model")
    path = tmp_path / "model" / "model.safetensors"
    tensors = safetensors.numpy.load_file(path)
    name = next(name for name in tensors if name.endswith("encoder.layer.0.output.dense.weight"))
    tensors[name] = np.full_like(tensors[name], np.nan)
    safetensors.numpy.save_file(tensors, path)
    with pytest.raises(ModelError, match=r"not a number|NaN|not finite"):
        yuyi.load(tmp_path / "model", dtype="float32", device="cpu").encode(["a"])


def test_the_fingerprint_tells_models_apart(tmp_path: Path) -> None:
    def fingerprint(**options: Any) -> str:
        return yuyi.load(tmp_path / "model", device="cpu", **{"dtype": "float32", **options}).fingerprint

    shutil.copytree(TINY / "xlm-roberta", tmp_path / "model")
    first = fingerprint()
    shutil.copytree(TINY / "xlm-roberta", tmp_path / "other")
    assert yuyi.load(tmp_path / "other", device="cpu", dtype="float32").fingerprint == first
    found = {first, fingerprint(pooling="cls")}
    with pytest.warns(YuyiWarning, match="truncate_dim=8"):
        found.add(fingerprint(truncate_dim=8))
    for path, key, value in (
        ("config_sentence_transformers.json", "prompts", {"query": "q: "}),
        ("tokenizer_config.json", "model_max_length", 17),
        # No file but this one says these, and each gives other vectors.
        ("config.json", "hidden_act", "relu"),
        ("config.json", "num_attention_heads", 2),
        ("config.json", "layer_norm_eps", 0.1),
    ):
        file = tmp_path / "model" / path
        file.write_text(json.dumps({**json.loads(file.read_text()), key: value}))
        found.add(fingerprint())
    assert len(found) == 8


def test_the_fingerprint_tells_ways_of_computing_apart() -> None:
    code = (
        "import yuyi\n"
        "for dtype in ('float32', 'int8'):\n"
        f"    print(yuyi.load({str(TINY / 'bert-zh')!r}, device='cpu', dtype=dtype).fingerprint)\n"
    )

    def fingerprints(**settings: str) -> list[str]:
        environment = {**os.environ, **settings}
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
        )
        return done.stdout.split()

    by_torch = fingerprints(YUYI_KERNELS="off")
    by_default = [ours("bert-zh").fingerprint, fingerprints()[1]]
    # In float32 torch and the compiled kernels agree to five decimals; in int8 they scale differently.
    assert by_torch[0] == by_default[0]
    assert len({*by_torch, *by_default}) == 2 + supports(read_config(TINY / "bert-zh"), Kind.INT8)


def test_a_text_of_ten_megabytes() -> None:
    """Cut, it costs its tokens alone, and has the vector of its beginning."""
    sentence = "今天天气很好，我们去公园散步。"
    text = sentence * (10_000_000 // len(sentence.encode()) + 1)
    vectors, info = ours("bert-zh").encode([text, text[:200], "a"], return_info=True)
    assert info.tokens[0] > 3_000_000
    assert info.used[0] == info.used[1] == ours("bert-zh").max_tokens
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-6)
