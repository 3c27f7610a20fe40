"""The ONNX backend on files exported from the tiny models, against sentence-transformers and torch."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from onnx_export import Pooled, States, export
from onnxruntime.transformers.float16 import convert_float_to_float16
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer
from torch import nn
from transformers import AutoModel

from yuyi.encode.heads import load_head, pool
from yuyi.encode.onnx_backend import OnnxBackend, _groups, open_backend
from yuyi.errors import InputError, MissingExtra, ModelError
from yuyi.model.heads import load_heads
from yuyi.model.pooling import pool as pool_in_torch
from yuyi.pipeline import POOLINGS, Dense, Normalize, read_pipeline
from yuyi.types import TokenBatch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

TINY = Path(__file__).parent.parent / "tiny"
MODELS = ("bert-zh", "bert-dense", "roberta")
TEXTS = (
    "",
    "我",
    "今天天气很好，我们去公园散步。",
    "How do I renew my passport?",
    "语义搜索 turns text into 向量, then compares them 😀",
    "向量数据库保存这些向量。" * 40,
    "Where can I buy a good watch in Hong Kong? " * 40,
)


def tiny(name: str) -> nn.Module:
    model: nn.Module = AutoModel.from_pretrained(TINY / name, attn_implementation="eager")
    return model


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of some tiny models with ONNX files, as Supabase/gte-small lays them out."""
    from onnxruntime.quantization import quantize_dynamic

    home = tmp_path_factory.mktemp("onnx")
    for name in MODELS:
        shutil.copytree(TINY / name, home / name)
        names = ("input_ids", "attention_mask", "token_type_ids")[: 2 if name == "roberta" else 3]
        export(States(tiny(name), names), home / name / "onnx" / "model.onnx")
    onnx = home / "bert-zh" / "onnx"
    quantize_dynamic(onnx / "model.onnx", onnx / "model_quantized.onnx", per_channel=True)
    return home


def opened(folder: Path, dtype: str = "float32", pooling: str | None = None) -> OnnxBackend:
    return open_backend(read_pipeline(folder, pooling=pooling), device=None, dtype=dtype)


def batch_of(rows: Sequence[Sequence[int]]) -> TokenBatch:
    ids = np.array([token for row in rows for token in row], dtype=np.int32)
    return TokenBatch(ids, np.cumsum([0, *map(len, rows)]))


def tokens(folder: Path, texts: Sequence[str] = TEXTS) -> TokenBatch:
    pipeline = read_pipeline(folder, pooling="mean")
    tokenizer = Tokenizer.from_file(str(pipeline.transformer / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(pipeline.max_tokens)
    return batch_of([encoding.ids for encoding in tokenizer.encode_batch(list(texts))])


@pytest.mark.parametrize("name", MODELS)
def test_vectors_are_those_of_sentence_transformers(models: Path, name: str) -> None:
    backend = opened(models / name)
    oracle = SentenceTransformer(str(models / name), device="cpu")
    wanted = oracle.encode(list(TEXTS), batch_size=3)
    found = backend.embed(tokens(models / name), cores=2)
    assert found.dtype == np.float32
    assert (backend.name, backend.device, backend.dtype) == ("onnx", "cpu", "float32")
    assert found.shape == (len(TEXTS), backend.dim) == wanted.shape
    np.testing.assert_allclose(found, wanted, atol=1e-5)


@pytest.mark.parametrize("cores", [1, 4])
def test_alone_is_as_in_a_batch(models: Path, cores: int) -> None:
    backend = opened(models / "bert-dense")
    together = backend.embed(tokens(models / "bert-dense"), cores=cores)
    for text, vector in zip(TEXTS, together, strict=True):
        alone = backend.embed(tokens(models / "bert-dense", [text]), cores=cores)
        np.testing.assert_allclose(alone[0], vector, atol=1e-6)


def test_rows_without_tokens_and_no_rows(models: Path) -> None:
    backend = opened(models / "bert-zh")
    found = backend.embed(batch_of([[], [2, 5, 3], []]), cores=2)
    assert not found[0].any()
    assert not found[2].any()
    np.testing.assert_allclose(np.linalg.norm(found[1]), 1, atol=1e-6)
    assert backend.embed(batch_of([]), cores=2).shape == (0, 32)


def test_a_prompt_is_left_out_of_pooling(models: Path) -> None:
    pipeline = replace(read_pipeline(models / "bert-zh"), pooling=("mean",), heads=())
    rows = [[2, 7, 8, 9, 3], [2, 7, 3]]
    found = OnnxBackend(pipeline, "float32").embed(batch_of(rows), cores=1, prompt_tokens=3)
    with torch.no_grad():
        states = tiny("bert-zh")(torch.tensor(rows[:1])).last_hidden_state[0].numpy()
    np.testing.assert_allclose(found[0], states[3:].mean(axis=0), atol=1e-5)
    assert found[1].any()  # A text that is all prompt keeps its tokens.


def test_int8_takes_the_quantised_file(models: Path) -> None:
    whole, quantised = opened(models / "bert-zh"), opened(models / "bert-zh", "int8")
    assert [file.name for file in quantised.files] == ["model_quantized.onnx"]
    batch = tokens(models / "bert-zh")
    cosines = (whole.embed(batch, cores=1) * quantised.embed(batch, cores=1)).sum(axis=1)
    assert cosines.min() > 0.98
    assert cosines.mean() < 0.999999


def test_float16_takes_its_own_file_and_gives_float32(models: Path, tmp_path: Path) -> None:
    folder = copied(models, tmp_path) / "onnx"
    half = convert_float_to_float16(onnx.load(folder / "model.onnx"))
    onnx.save(half, folder / "model_fp16.onnx")
    found, whole = opened(tmp_path / "model", "float16"), opened(models / "bert-zh")
    assert [file.name for file in found.files] == ["model_fp16.onnx"]
    batch = tokens(models / "bert-zh")
    vectors = found.embed(batch, cores=1)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, whole.embed(batch, cores=1), atol=5e-3)


def test_the_onnx_file_may_lie_beside_the_config(models: Path, tmp_path: Path) -> None:
    shutil.copytree(TINY / "bert-plain", tmp_path / "model")
    shutil.copy(models / "bert-zh" / "onnx" / "model.onnx", tmp_path / "model")
    backend = opened(tmp_path / "model", pooling="mean")
    assert backend.files == (tmp_path / "model" / "model.onnx",)


def test_a_vector_that_the_file_pools_itself_is_taken_as_it_is(tmp_path: Path) -> None:
    shutil.copytree(TINY / "bert-plain", tmp_path / "model")
    names = ("input_ids", "attention_mask")
    export(
        Pooled(tiny("bert-plain"), names), tmp_path / "model" / "onnx" / "model.onnx", "sentence_embedding"
    )
    backend = opened(tmp_path / "model", pooling="cls")
    batch = tokens(tmp_path / "model")
    found = backend.embed(batch, cores=2)
    for start, stop, vector in zip(batch.offsets, batch.offsets[1:], found, strict=False):
        with torch.no_grad():
            ids = torch.from_numpy(batch.ids[start:stop].astype(np.int64))
            wanted = tiny("bert-plain")(ids[None]).last_hidden_state[0].mean(dim=0)
        np.testing.assert_allclose(vector, wanted, atol=1e-5)
    with pytest.raises(ModelError, match=r"pools by itself.*backend='torch'"):
        backend.embed(batch, cores=2, prompt_tokens=2)


@pytest.mark.parametrize("name", ["bert-zh", "roberta"])
def test_positions_and_narrow_integers_are_fed_when_asked_for(
    models: Path, tmp_path: Path, name: str
) -> None:
    shutil.copytree(TINY / name, tmp_path / "model")
    names = ("input_ids", "attention_mask", "position_ids")
    export(States(tiny(name), names), tmp_path / "model" / "onnx" / "model.onnx", dtype=torch.int32)
    batch = tokens(models / name)
    found = opened(tmp_path / "model").embed(batch, cores=2)
    np.testing.assert_allclose(found, opened(models / name).embed(batch, cores=2), atol=1e-5)


def test_neither_torch_nor_the_network_is_touched(models: Path) -> None:
    code = (
        "import socket, sys\n"
        "for name in ('torch', 'transformers', 'pyarrow', 'scipy', 'pandas'): sys.modules[name] = None\n"
        "def refuse(*_, **__): raise AssertionError('a socket was opened')\n"
        "socket.socket = refuse\n"
        "from pathlib import Path\n"
        "import numpy as np\n"
        "from yuyi.encode.onnx_backend import open_backend\n"
        "from yuyi.pipeline import read_pipeline\n"
        "from yuyi.types import TokenBatch\n"
        f"pipeline = read_pipeline(Path({str(models / 'bert-dense')!r}))\n"
        "backend = open_backend(pipeline, device='cpu', dtype='auto')\n"
        "batch = TokenBatch(np.array([2, 9, 3], dtype=np.int32), np.array([0, 3]))\n"
        "print(backend.embed(batch, cores=2).shape)\n"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert answer.stdout == "(1, 56)\n", answer.stderr


# Grouping.

LENGTHS = st.lists(st.integers(0, 600), max_size=80).map(lambda values: np.array(values, dtype=np.int64))


@given(LENGTHS)
def test_groups_hold_every_row_with_tokens_once_and_little_padding(lengths: NDArray[np.int64]) -> None:
    groups = list(_groups(lengths))
    assert sorted(np.concatenate([[], *groups])) == np.flatnonzero(lengths).tolist()
    for rows in groups:
        padded = lengths[rows[0]] * len(rows)
        assert lengths[rows].max() == lengths[rows[0]]
        assert padded <= 1024 or len(rows) == 1
        assert padded <= 128 or padded - lengths[rows].sum() <= 0.03 * padded


def test_padding_is_a_few_hundredths_of_the_work() -> None:
    lengths = np.random.default_rng(0).lognormal(3.3, 1.1, 1024).astype(np.int64).clip(3, 512)
    padded = sum(int(lengths[rows[0]]) * len(rows) for rows in _groups(lengths))
    assert 1 - lengths.sum() / padded < 0.03


def test_long_texts_run_beside_each_other_as_far_as_memory_allows(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = opened(models / "bert-zh")
    scores = 3 * 4 * 4 * 8_192**2  # Three copies, float32, four heads: 3.2 GB.
    for memory, fitting in ((16 << 30, 5), (scores, 1), (scores - 1, 0)):
        monkeypatch.setattr("yuyi.encode.onnx_backend.available_memory", lambda memory=memory: memory)
        assert backend._fitting(8_192) == fitting
        assert backend._fitting(512) > 1_000
    # Where not one fits, one is tried.
    monkeypatch.setattr("yuyi.encode.onnx_backend._SHORT", 0)
    batch = tokens(models / "bert-zh")
    monkeypatch.setattr("yuyi.encode.onnx_backend.available_memory", lambda: 0)
    assert backend.embed(batch, cores=4).any(axis=1).all()


# Pooling and heads in numpy, against torch.


@pytest.mark.parametrize("skip", [0, 1, 4])
def test_pooling_is_that_of_torch(skip: int) -> None:
    states = torch.randn(7, 5, generator=torch.Generator().manual_seed(0))
    wanted = pool_in_torch(states, torch.tensor([0, 3, 7]), POOLINGS, skip)
    found = [pool(part.numpy(), POOLINGS, skip) for part in (states[:3], states[3:])]
    np.testing.assert_allclose(np.stack(found), wanted, atol=1e-6)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("activation", ["identity", "tanh", "relu", "gelu", "silu", "sigmoid"])
def test_heads_are_those_of_torch(tmp_path: Path, activation: Any, bias: bool) -> None:
    torch.manual_seed(0)
    linear = nn.Linear(6, 4, bias=bias)
    save_file(
        {f"linear.{name}": value for name, value in linear.state_dict().items()},
        tmp_path / "model.safetensors",
    )
    heads = (Dense(tmp_path, 6, 4, bias, activation), Normalize())
    vectors = torch.randn(3, 6)
    wanted = nn.Sequential(*load_heads(heads, 6))(vectors).detach()
    found = vectors.numpy()
    for head in heads:
        found = load_head(head)(found)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, atol=1e-6)


# What cannot be opened.


def copied(models: Path, tmp_path: Path, name: str = "bert-zh") -> Path:
    return Path(shutil.copytree(models / name, tmp_path / "model"))


@pytest.mark.parametrize("kept", [0, 1_000, 0.5, 0.99])
def test_a_damaged_file(models: Path, tmp_path: Path, kept: float) -> None:
    file = copied(models, tmp_path) / "onnx" / "model.onnx"
    content = file.read_bytes()
    file.write_bytes(content[: int(kept * len(content) if 0 < kept < 1 else kept)])
    with pytest.raises(ModelError, match=r"model\.onnx: .*Fetch the file again|model\.onnx: gives"):
        opened(tmp_path / "model")


def test_weights_that_are_no_numbers(tmp_path: Path) -> None:
    shutil.copytree(TINY / "bert-zh", tmp_path / "model")
    model = tiny("bert-zh")
    with torch.no_grad():
        model.encoder.layer[0].output.dense.weight[0, 0] = float("nan")  # type: ignore[union-attr,index]
    export(States(model, ("input_ids", "attention_mask")), tmp_path / "model" / "onnx" / "model.onnx")
    with pytest.raises(ModelError, match="no numbers"):
        opened(tmp_path / "model")


def test_inputs_that_a_text_does_not_have(tmp_path: Path) -> None:
    shutil.copytree(TINY / "bert-zh", tmp_path / "model")
    module = States(tiny("bert-zh"), ("input_ids", "attention_mask"))
    file = tmp_path / "model" / "onnx" / "model.onnx"
    export(module, file)
    file.write_bytes(file.read_bytes().replace(b"attention_mask", b"pixel_values_x"))
    with pytest.raises(ModelError, match=r"asks for .*pixel_values_x.*takes input_ids"):
        opened(tmp_path / "model")


def test_an_output_that_is_no_vector_of_a_text(tmp_path: Path) -> None:
    shutil.copytree(TINY / "bert-zh", tmp_path / "model")
    export(
        Pooled(tiny("bert-zh"), ("input_ids", "attention_mask")),
        tmp_path / "model" / "onnx" / "model.onnx",
        "pooler_output",
    )
    with pytest.raises(ModelError, match=r"gives pooler_output; yuyi needs token states"):
        opened(tmp_path / "model")


def test_ids_of_another_vocabulary(models: Path) -> None:
    with pytest.raises(ModelError, match="different models"):
        opened(models / "bert-zh").embed(batch_of([[2, 60_000, 3]]), cores=1)


def test_a_folder_without_the_file_that_a_dtype_needs(models: Path) -> None:
    with pytest.raises(ModelError, match=r"no model_quantized\.onnx .*it holds model\.onnx"):
        opened(models / "roberta", "int8")
    with pytest.raises(ModelError, match=r"no model\.onnx .*it holds no ONNX file"):
        opened(TINY / "roberta")


def test_dtypes_and_devices_that_it_lacks(models: Path) -> None:
    pipeline = read_pipeline(models / "bert-zh")
    with pytest.raises(InputError, match=r"dtype='bfloat16': the ONNX backend has float32, float16, int8"):
        open_backend(pipeline, device=None, dtype="bfloat16")
    for device in ("cuda:0", "auto"):
        with pytest.raises(InputError, match=rf"device='{device}': .*on the CPU"):
            open_backend(pipeline, device=device, dtype="auto")


def test_a_dense_layer_that_only_torch_can_read(models: Path, tmp_path: Path) -> None:
    (copied(models, tmp_path, "bert-dense") / "2_Dense" / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"no model\.safetensors; another format needs torch"):
        opened(tmp_path / "model")


def test_a_dense_layer_that_does_not_fit(models: Path, tmp_path: Path) -> None:
    folder = copied(models, tmp_path, "bert-dense") / "2_Dense"
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"out_features": 57}))
    with pytest.raises(ModelError, match=r"linear\.weight \(56, 32\).*\(57, 32\)"):
        opened(tmp_path / "model")
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[:-100])
    with pytest.raises(ModelError, match="damaged or cut short"):
        opened(tmp_path / "model")


def test_a_dense_layer_for_other_vectors(models: Path, tmp_path: Path) -> None:
    folder = copied(models, tmp_path, "bert-dense") / "2_Dense"
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"in_features": 31}))
    weights = load_file(folder / "model.safetensors")
    weights["linear.weight"] = weights["linear.weight"][:, :31].contiguous()
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(ModelError, match=r"2_Dense: takes vectors of 31 dimensions, .* gives 32"):
        opened(tmp_path / "model")


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64, torch.bfloat16])
def test_number_types_of_a_dense_layer(models: Path, tmp_path: Path, dtype: torch.dtype) -> None:
    file = copied(models, tmp_path, "bert-dense") / "2_Dense" / "model.safetensors"
    save_file({name: tensor.to(dtype) for name, tensor in load_file(file).items()}, file)
    if dtype == torch.bfloat16:
        with pytest.raises(ModelError, match=r"of type BF16.*Choose backend='torch'"):
            opened(tmp_path / "model")
    else:
        found = opened(tmp_path / "model").embed(tokens(models / "bert-dense"), cores=1)
        wanted = opened(models / "bert-dense").embed(tokens(models / "bert-dense"), cores=1)
        np.testing.assert_allclose(found, wanted, atol=2e-3)


def test_onnxruntime_is_named_when_it_is_missing(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtra, match=r"onnxruntime.*pip install 'yuyi\[onnx\]'"):
        opened(models / "bert-zh")
