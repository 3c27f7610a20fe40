"""The same folder gives the same vectors as transformers and sentence-transformers give."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from yuyi.model.embedder import Embedder, load_embedder
from yuyi.pipeline import Pipeline, read_pipeline

from .oracles import FOLDERS, PEERS, TEXTS, TINY, flat, token_ids


@pytest.fixture(scope="module")
def embedders() -> dict[str, Embedder]:
    return {name: load_embedder(_pipeline(name)) for name in FOLDERS}


def _pipeline(name: str) -> Pipeline:
    return read_pipeline(TINY / name)


def _vectors(embedder: Embedder, rows: list[list[int]]) -> np.ndarray:
    with torch.inference_mode():
        return embedder(*flat(rows)).numpy()


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Unit length, since absolute tolerances are meant for it; zeros stay zeros."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def _cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


@pytest.mark.parametrize("name", PEERS)
def test_sentence_transformers_gives_the_same_vectors(name: str, embedders: dict[str, Embedder]) -> None:
    from sentence_transformers import SentenceTransformer

    peer = SentenceTransformer(str(TINY / name), device="cpu")
    wanted = peer.encode(list(TEXTS), batch_size=4)
    pipeline = _pipeline(name)
    assert pipeline.max_tokens == peer.max_seq_length
    got = _vectors(embedders[name], token_ids(pipeline, TEXTS))
    assert got.shape == wanted.shape
    assert np.abs(got - wanted).max() <= 1e-5
    assert _cosines(got, wanted).min() >= 0.999999
    # Equal answers say something only where the texts differ.
    assert np.abs(wanted[3] - wanted[4]).max() > 0.01


@pytest.mark.parametrize("name", PEERS)
def test_transformers_gives_the_same_states(name: str, embedders: dict[str, Embedder]) -> None:
    from transformers import AutoModel

    embedder = embedders[name]
    peer = AutoModel.from_pretrained(TINY / name).eval()
    limit = _pipeline(name).max_tokens
    generator = torch.Generator().manual_seed(3)
    for length in (1, 2, 17, 40, limit):
        row = torch.randint(5, embedder.encoder.config.vocabulary - 1, (length,), generator=generator)
        with torch.inference_mode():
            wanted = peer(row[None]).last_hidden_state[0]
            got = embedder.encoder(row, torch.tensor([0, length]))
        assert (got - wanted).abs().max() <= 1e-5


@pytest.mark.parametrize("name", FOLDERS)
def test_the_longest_text_and_what_no_table_has_room_for(name: str, embedders: dict[str, Embedder]) -> None:
    embedder = embedders[name]
    rows = token_ids(_pipeline(name), TEXTS)
    assert max(map(len, rows)) == _pipeline(name).max_tokens
    too_long = [[5] * (embedder.encoder.config.max_positions + 1)]
    with pytest.raises(ValueError, match=f"{len(too_long[0])} tokens"):
        _vectors(embedder, too_long)
    for strange in (-1, embedder.encoder.config.vocabulary):
        with pytest.raises(ValueError, match="tokenizer belongs to another model"):
            _vectors(embedder, [[5, strange]])


@pytest.mark.parametrize("name", FOLDERS)
def test_alone_as_in_a_batch(name: str, embedders: dict[str, Embedder]) -> None:
    rows = token_ids(_pipeline(name), TEXTS)
    together = _vectors(embedders[name], rows)
    alone = np.concatenate([_vectors(embedders[name], [row]) for row in rows])
    assert np.abs(_unit(together) - _unit(alone)).max() <= 1e-6


@given(data=st.data())
@settings(max_examples=25)
@pytest.mark.parametrize("name", FOLDERS)
def test_any_order_and_any_company(name: str, embedders: dict[str, Embedder], data: st.DataObject) -> None:
    embedder = embedders[name]
    token = st.integers(5, embedder.encoder.config.vocabulary - 2)
    row = st.lists(token, min_size=0, max_size=_pipeline(name).max_tokens)
    rows = data.draw(st.lists(row, min_size=1, max_size=6))
    order = data.draw(st.permutations(range(len(rows))))
    straight = _vectors(embedder, rows)
    shuffled = _vectors(embedder, [rows[index] for index in order])
    assert np.abs(_unit(straight[order]) - _unit(shuffled)).max() <= 1e-6
    assert np.abs(_unit(_vectors(embedder, rows[:1])) - _unit(straight[:1])).max() <= 1e-6


@pytest.mark.parametrize("name", FOLDERS)
def test_gradients_reach_every_parameter(name: str) -> None:
    embedder = load_embedder(_pipeline(name))
    rows = token_ids(_pipeline(name), TEXTS)
    vectors = embedder(*flat(rows))
    (vectors * torch.arange(vectors.shape[1])).sum().backward()
    for parameter_name, parameter in embedder.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.abs().sum() > 0, parameter_name


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_close(dtype: torch.dtype, embedders: dict[str, Embedder]) -> None:
    rows = token_ids(_pipeline("bert-zh"), TEXTS)
    half = load_embedder(_pipeline("bert-zh"), dtype=dtype)
    vectors = _vectors(half, rows)
    assert vectors.dtype == np.float32
    assert _cosines(vectors, _vectors(embedders["bert-zh"], rows)).min() > 0.999
