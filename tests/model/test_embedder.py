"""The whole model: heads, prompts left out of pooling, plain folders, several poolings side by side."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
import safetensors.torch
import torch

from yuyi.errors import ModelError
from yuyi.model.embedder import load_embedder
from yuyi.pipeline import POOLINGS, Pipeline, read_pipeline

from .oracles import TEXTS, TINY, flat, token_ids

if TYPE_CHECKING:
    from pathlib import Path


def _copy(name: str, folder: Path, path: str, **values: Any) -> Path:
    """A copy of a tiny model with some values of one of its JSON files changed."""
    copied = shutil.copytree(TINY / name, folder / name)
    config = json.loads((copied / path).read_text()) | values
    (copied / path).write_text(json.dumps(config))
    return copied


def _vectors(pipeline: Pipeline, texts: tuple[str, ...] = TEXTS, prompt_tokens: int = 0) -> torch.Tensor:
    with torch.inference_mode():
        return load_embedder(pipeline)(*flat(token_ids(pipeline, texts)), prompt_tokens)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_plain_folder_pools_as_it_is_told(pooling: str) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling

    names = {"mean_sqrt_len": "mean_sqrt_len_tokens", "last": "lasttoken"}
    folder = str(TINY / "bert-plain")
    peer = SentenceTransformer(
        modules=[Transformer(folder), Pooling(32, names.get(pooling, pooling))], device="cpu"
    )
    pipeline = read_pipeline(TINY / "bert-plain", pooling=pooling)
    assert pipeline.max_tokens == peer.max_seq_length == 64
    wanted = peer.encode(list(TEXTS), convert_to_tensor=True)
    got = _vectors(pipeline)
    scale = max(1.0, float(wanted.abs().max()))
    assert (got - wanted).abs().max() <= 1e-5 * scale
    assert torch.cosine_similarity(got, wanted).min() >= 0.999999


def test_several_poolings_side_by_side(tmp_path: Path) -> None:
    folder = _copy("bert-zh", tmp_path, "1_Pooling/config.json", pooling_mode=["cls", "mean"])
    pipeline = read_pipeline(folder)
    assert load_embedder(pipeline).dim == 64
    vectors = _vectors(pipeline)
    cls = _vectors(read_pipeline(TINY / "bert-zh"))
    assert vectors.shape == (len(TEXTS), 64)
    half = torch.nn.functional.normalize(vectors[:, :32], dim=-1)
    assert (half - cls).abs().max() <= 1e-6


def test_a_prompt_is_left_out_of_pooling_where_the_folder_says_so(tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    folder = _copy("xlm-roberta", tmp_path, "1_Pooling/config.json", include_prompt=False)
    pipeline = read_pipeline(folder)
    peer = SentenceTransformer(str(folder), device="cpu")
    texts = TEXTS[3:8]
    wanted = peer.encode(list(texts), prompt_name="query", convert_to_tensor=True)
    prompt = pipeline.prompts["query"]
    # The prompt's own tokens and the special one before them, not the one after.
    prompt_tokens = len(token_ids(pipeline, [prompt])[0]) - 1
    prompted = tuple(prompt + text for text in texts)
    got = _vectors(pipeline, prompted, prompt_tokens)
    assert (got - wanted).abs().max() <= 1e-5
    assert (got - _vectors(pipeline, prompted)).abs().max() > 1e-3


@pytest.mark.parametrize("name", ["Tanh", "ReLU", "GELU", "SiLU", "Sigmoid", "Identity"])
def test_activations_of_a_dense_layer(name: str, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    path = f"torch.nn.modules.activation.{name}" if name != "Identity" else "torch.nn.modules.linear.Identity"
    folder = _copy("bert-dense", tmp_path, "2_Dense/config.json", activation_function=path)
    wanted = SentenceTransformer(str(folder), device="cpu").encode(list(TEXTS), convert_to_tensor=True)
    pipeline = read_pipeline(folder)
    assert load_embedder(pipeline).dim == 56
    assert (_vectors(pipeline) - wanted).abs().max() <= 1e-5


def test_states_computed_elsewhere_pool_to_the_same_vectors() -> None:
    pipeline = read_pipeline(TINY / "bert-dense")
    embedder = load_embedder(pipeline)
    ids, offsets = flat(token_ids(pipeline, TEXTS))
    with torch.inference_mode():
        states = embedder.encoder(ids, offsets)
        assert torch.equal(embedder.pooler(states, offsets), embedder(ids, offsets))


def test_no_texts() -> None:
    embedder = load_embedder(read_pipeline(TINY / "bert-dense"))
    vectors = embedder(torch.zeros(0, dtype=torch.int32), torch.zeros(1, dtype=torch.int64))
    assert vectors.shape == (0, 56)


def test_a_dense_layer_that_does_not_fit(tmp_path: Path) -> None:
    folder = _copy("bert-dense", tmp_path, "2_Dense/config.json", in_features=48)
    with pytest.raises(ModelError, match="takes vectors of 48 dimensions, and what comes before gives 32"):
        load_embedder(read_pipeline(folder))
    folder = _copy("bert-dense", tmp_path / "again", "2_Dense/config.json", out_features=48)
    with pytest.raises(ModelError, match=r"linear\.weight has shape \(56, 32\).*\(48, 32\)"):
        load_embedder(read_pipeline(folder))


def test_a_dense_layer_without_its_weights(tmp_path: Path) -> None:
    folder = shutil.copytree(TINY / "bert-dense", tmp_path / "model")
    weights = folder / "2_Dense" / "model.safetensors"
    tensors = safetensors.torch.load_file(weights)
    safetensors.torch.save_file({"linear.weight": tensors["linear.weight"]}, weights)
    with pytest.raises(ModelError, match=r"lack linear\.bias"):
        load_embedder(read_pipeline(folder))
    weights.unlink()
    with pytest.raises(ModelError, match="no weights"):
        load_embedder(read_pipeline(folder))
    torch.save(tensors, folder / "2_Dense" / "pytorch_model.bin")
    whole = read_pipeline(TINY / "bert-dense")
    assert torch.equal(_vectors(read_pipeline(folder)), _vectors(whole))
