"""The compiled kernels give what torch's operators give, in every number type and any company."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import yuyi
from yuyi.encode.sample import sample_tokens
from yuyi.errors import InputError
from yuyi.model import onednn
from yuyi.model.embedder import Embedder, load_embedder
from yuyi.model.encoder import TransformerEncoder
from yuyi.model.int8 import calibrate, quantize_encoder
from yuyi.model.kernels import engine
from yuyi.model.kernels.engine import CompiledEncoder, supports
from yuyi.model.kernels.packing import Kind
from yuyi.pipeline import read_pipeline

from .oracles import FOLDERS, TEXTS, TINY, flat, token_ids

ACTIVATIONS = ("gelu", "gelu_tanh", "silu", "relu")
# Lowest cosine of a text's vector to float32's.
FIDELITY = {Kind.FLOAT32: 0.999999, Kind.BFLOAT16: 0.9999, Kind.INT8: 0.998}
KINDS = [
    pytest.param(
        kind,
        marks=pytest.mark.skipif(
            not supports(load_embedder(read_pipeline(TINY / "bert-zh")).encoder.config, kind),
            reason=f"this machine has no compiler, or no instruction for {kind.name}",
        ),
    )
    for kind in Kind
]


@cache
def embedder(name: str) -> Embedder:
    return load_embedder(read_pipeline(TINY / name))


@cache
def rows_of(name: str) -> list[list[int]]:
    return token_ids(read_pipeline(TINY / name), TEXTS)


@cache
def compiled(name: str, kind: Kind) -> CompiledEncoder:
    encoder = embedder(name).encoder
    return CompiledEncoder(encoder, kind, factors(name, embedder(name)))


def factors(name: str, model: Embedder) -> dict[str, torch.Tensor]:
    """Smoothing factors from the package's own sample, as `yuyi.load` takes them."""
    sample = sample_tokens(read_pipeline(TINY / name))
    return calibrate(model.encoder, torch.from_numpy(sample.ids), torch.from_numpy(sample.offsets))


def states(runner: CompiledEncoder, rows: list[list[int]], cores: int = 1) -> np.ndarray:
    ids, offsets = flat(rows)
    return runner(ids.int().numpy(), offsets.numpy(), cores).numpy()


@torch.inference_mode()
def vectors(name: str, found: np.ndarray, rows: list[list[int]]) -> np.ndarray:
    pooled = embedder(name).pooler(torch.from_numpy(found), flat(rows)[1])
    return torch.nn.functional.normalize(pooled).numpy()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", FOLDERS)
def test_the_vectors_are_those_of_torch(name: str, kind: Kind) -> None:
    rows = rows_of(name)
    with torch.inference_mode():
        wanted = embedder(name).encoder(*flat(rows)).numpy()
    found = vectors(name, states(compiled(name, kind), rows), rows)
    exact = vectors(name, wanted, rows)
    assert (found * exact).sum(1).min() >= FIDELITY[kind]
    if kind is Kind.FLOAT32:
        assert np.abs(found - exact).max() <= 1e-5
    else:
        assert np.abs(found - exact).max() > 0  # It is another arithmetic, not float32 under another name.


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", FOLDERS)
def test_cores_and_company_change_no_bit(name: str, kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_CORE_WORK", 1)  # These models are too small to be worth a second core.
    rows = rows_of(name)
    together = states(compiled(name, kind), rows)
    assert np.array_equal(together, states(compiled(name, kind), rows, cores=3))
    alone = np.concatenate([states(compiled(name, kind), [row]) for row in rows])
    assert np.array_equal(together, alone)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", FOLDERS)
def test_the_states_of_some_tokens_alone(name: str, kind: Kind) -> None:
    rows = rows_of(name)
    ids, offsets = (part.numpy() for part in flat(rows))
    keep = np.concatenate([offsets[:-1], offsets[1:] - 1])
    some = compiled(name, kind)(ids, offsets, keep=keep).numpy()
    assert np.array_equal(some, states(compiled(name, kind), rows)[keep])


@given(data=st.data())
@settings(max_examples=20)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["bert-zh", "modernbert"])
def test_any_texts_in_any_order(name: str, kind: Kind, data: st.DataObject) -> None:
    token = st.integers(0, embedder(name).encoder.config.vocabulary - 1)
    longest = min(70, embedder(name).encoder.config.max_positions)
    rows = data.draw(st.lists(st.lists(token, max_size=longest), min_size=1, max_size=5))
    order = data.draw(st.permutations(range(len(rows))))
    straight = np.split(states(compiled(name, kind), rows), np.cumsum([len(row) for row in rows])[:-1])
    shuffled = states(compiled(name, kind), [rows[number] for number in order])
    assert np.array_equal(np.concatenate([straight[number] for number in order]), shuffled)
    assert np.isfinite(shuffled).all()


@pytest.mark.parametrize("kind", KINDS)
def test_threads_do_not_disturb_one_another(kind: Kind) -> None:
    runner, rows = compiled("bert-zh", kind), rows_of("bert-zh")
    wanted = states(runner, rows)
    found: list[np.ndarray] = []
    threads = [threading.Thread(target=lambda: found.append(states(runner, rows))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert all(np.array_equal(states_found, wanted) for states_found in found)


@pytest.mark.parametrize("kind", KINDS)
def test_no_texts_and_no_tokens(kind: Kind) -> None:
    runner = compiled("bert-zh", kind)
    hidden = embedder("bert-zh").encoder.config.hidden
    assert states(runner, []).shape == (0, hidden)
    assert states(runner, [[], []]).shape == (0, hidden)
    row = rows_of("bert-zh")[3]
    assert np.array_equal(states(runner, [[], row, []]), states(runner, [row]))


@pytest.mark.parametrize("kind", KINDS)
def test_what_would_read_outside_the_tables_is_refused(kind: Kind) -> None:
    config = embedder("bert-zh").encoder.config
    for wrong in (config.vocabulary, -1):
        with pytest.raises(InputError, match="another model"):
            states(compiled("bert-zh", kind), [[5, wrong]])
    with pytest.raises(InputError, match=f"{config.max_positions + 1} tokens"):
        states(compiled("bert-zh", kind), [[5] * (config.max_positions + 1)])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "changes",
    [
        *({"activation": activation, "glu": glu} for activation in ACTIVATIONS for glu in (False, True)),
        {"windows": (0, 3)},
        {"windows": (1, None)},
    ],
    ids=str,
)
def test_every_activation_and_window(kind: Kind, changes: dict[str, Any]) -> None:
    torch.manual_seed(5)
    config = replace(embedder("bert-zh").encoder.config, **changes)
    encoder = TransformerEncoder(config)
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    ids, offsets = flat(rows_of("bert-zh"))
    runner = CompiledEncoder(encoder.eval(), kind, calibrate(encoder, ids, offsets))
    with torch.inference_mode():
        wanted = encoder(ids, offsets)
    found = runner(ids.int().numpy(), offsets.numpy())
    cosines = torch.nn.functional.cosine_similarity(found, wanted)
    assert cosines.mean() >= {Kind.FLOAT32: 0.999999, Kind.BFLOAT16: 0.9998, Kind.INT8: 0.995}[kind]


def test_a_channel_silent_in_the_sample_keeps_to_the_others() -> None:
    encoder = embedder("bert-zh").encoder
    ids, offsets = flat(rows_of("bert-zh"))
    silent = load_embedder(read_pipeline(TINY / "bert-zh")).encoder
    with torch.no_grad():
        silent.layers[0].attention_norm.weight[3] = 0
        silent.layers[0].attention_norm.bias[3] = 0
    before, after = calibrate(encoder, ids, offsets), calibrate(silent, ids, offsets)
    ratio = after["layers.0.up"][3] / before["layers.0.up"][3]
    assert 0.3 < ratio < 3


def test_smoothing_brings_outliers_within_reach() -> None:
    """A channel a hundred times the others' size costs 8 bits their precision, unless it is smoothed."""
    name = "bert-zh"
    rows = rows_of(name)
    outlying = load_embedder(read_pipeline(TINY / name))
    layer = outlying.encoder.layers[0]
    with torch.no_grad():
        # The same function: a norm's output is made larger, and what reads it smaller.
        layer.attention_norm.weight[3] *= 100
        layer.attention_norm.bias[3] *= 100
        layer.up.weight[:, 3] /= 100
    with torch.inference_mode():
        wanted = outlying.encoder(*flat(rows))
        errors = []
        for smooth in (calibrate(outlying.encoder, *flat(rows)), None):
            encoder = load_embedder(read_pipeline(TINY / name)).encoder
            encoder.load_state_dict(outlying.encoder.state_dict())
            factors = smooth or {
                key: torch.ones_like(value) for key, value in calibrate(encoder, *flat(rows)).items()
            }
            quantize_encoder(encoder, factors)
            errors.append(float((encoder(*flat(rows)) - wanted).norm()))
    assert 0 < errors[0] < errors[1] / 2


@pytest.mark.parametrize("name", FOLDERS)
def test_eight_bits_in_torch_alone(name: str) -> None:
    rows = rows_of(name)
    other = load_embedder(read_pipeline(TINY / name))
    quantize_encoder(other.encoder, factors(name, other))
    with torch.inference_mode():
        wanted, found = embedder(name)(*flat(rows)), other(*flat(rows))
    cosines = torch.nn.functional.cosine_similarity(wanted, found)
    assert cosines.min() >= 0.998
    assert cosines.min() < 0.9999999


PROGRAM = """
import logging, sys
logging.basicConfig(format="LOG %(message)s")
import numpy as np, yuyi
model = yuyi.load(sys.argv[1], backend="torch", device="cpu", dtype=sys.argv[2])
vectors = model.encode(["今天天气很好", "How do I renew my passport?"])
print(model._backend.compiled, *vectors.ravel())
"""


@cache
def exact_vectors() -> np.ndarray:
    model = yuyi.load(TINY / "bert-zh", backend="torch", device="cpu", dtype="float32")
    return model.encode(["今天天气很好", "How do I renew my passport?"]).ravel()


def run(cache_folder: Path, dtype: str = "float32", **environment: str) -> tuple[bool, np.ndarray, str]:
    clean = {name: value for name, value in os.environ.items() if name not in ("YUYI_KERNELS", "CXX")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(TINY / "bert-zh"), dtype],
        env={**clean, "XDG_CACHE_HOME": str(cache_folder), **environment},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    compiled_there, *values = done.stdout.split()
    return compiled_there == "True", np.array(values, dtype=np.float64), done.stderr


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"PATH": ""}, "no C++ compiler found"),
        ({"CXX": "false"}, "cannot build the kernels"),
        ({"CXX": "/nowhere/g++"}, "cannot build the kernels"),
        ({"YUYI_KERNELS": "off"}, ""),
    ],
)
def test_without_the_kernels_torch_gives_the_same(
    tmp_path: Path, environment: dict[str, str], says: str
) -> None:
    there, found, log = run(tmp_path, **environment)
    assert not there
    assert (says in log) if says else ("LOG" not in log)
    assert np.abs(found - exact_vectors()).max() <= 1e-5


def _instructions() -> set[str]:
    about = Path("/proc/cpuinfo")
    lines = about.read_text().splitlines() if about.exists() else []
    return {word for line in lines if line.startswith("flags") for word in line.split()}


@pytest.mark.skipif(not supports(embedder("bert-zh").encoder.config, Kind.FLOAT32), reason="no compiler here")
@pytest.mark.parametrize(
    ("processor", "needs", "dtype"),
    [
        ("x86-64-v2", "sse4_2", "float32"),
        ("x86-64-v3", "avx2", "float32"),
        ("alderlake", "avx_vnni", "int8"),
        ("icelake-server", "avx512_vnni", "int8"),
    ],
)
def test_other_processors_give_the_same(tmp_path: Path, processor: str, needs: str, dtype: str) -> None:
    if needs not in _instructions():
        pytest.skip(f"this processor lacks {needs}")
    there, found, log = run(tmp_path, dtype, YUYI_KERNELS=processor)
    assert there, log
    assert np.abs(found - exact_vectors()).max() <= (1e-5 if dtype == "float32" else 0.02)
    assert len(list((tmp_path / "yuyi" / "kernels").glob("*.so"))) == 1


@pytest.mark.skipif(not onednn.available(), reason="this torch was built without oneDNN")
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_onednn_applies_the_activation(activation: Any) -> None:
    torch.manual_seed(6)
    x, linear = torch.randn(7, 32), torch.nn.Linear(32, 48)
    named = {"gelu": torch.nn.functional.gelu, "silu": torch.nn.functional.silu, "relu": torch.relu}
    tanh = partial(torch.nn.functional.gelu, approximate="tanh")
    wanted = named.get(activation, tanh)(linear(x))
    assert torch.allclose(onednn.OneDnnLinear(linear, activation)(x), wanted, atol=1e-6)


@pytest.mark.skipif(not onednn.available(), reason="this torch was built without oneDNN")
@pytest.mark.parametrize("name", FOLDERS)
def test_onednn_gives_what_torch_gives(name: str) -> None:
    rows = rows_of(name)
    other = load_embedder(read_pipeline(TINY / name))
    onednn.use_onednn(other.encoder)
    assert isinstance(other.encoder.layers[0].up, onednn.OneDnnLinear)
    with torch.inference_mode():
        wanted, found = embedder(name)(*flat(rows)), other(*flat(rows))
    assert (torch.nn.functional.normalize(wanted) - torch.nn.functional.normalize(found)).abs().max() <= 1e-5
