"""What runs an exported folder, and what makes one, in processes without any package but the extra's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import yuyi
from yuyi.encode.load import find_folder
from yuyi.encode.static_folder import read_static
from yuyi.export.base import write_base
from yuyi.export.onnx_forms import write_float32
from yuyi.export.settings import ExportSettings
from yuyi.export.smaller import Smaller
from yuyi.export.source import open_source

TINY = Path(__file__).parent.parent / "tiny"
TEXTS = ["今天天气很好，我们去公园散步。", "The weather is nice today.", "退款多久到账 😀", ""]
# Of the other extras, and of what those bring.
FOREIGN = (
    "accelerate", "bm25s", "datasets", "fastembed", "ftfy", "langchain_huggingface", "matplotlib",
    "model2vec", "mteb", "pandas", "pyarrow", "rensa", "selectolax",
    "sentence_transformers", "sklearn", "sparse_dot_topn", "tensorboard", "transformers",
)  # fmt: skip
HEAVY = (*FOREIGN, "huggingface_hub", "onnx", "pydantic", "rjieba", "scipy", "torch", "yaml")
BLOCK = "import sys; sys.modules.update(dict.fromkeys(sys.argv.pop(1).split(',')))\n"
# Every time is measured once, since each costs a process.
ONCE = (
    "from functools import partial; import yuyi.export.export as export\n"
    "export.verify = partial(export.verify, rounds=1)\n"
)
COMMAND = BLOCK + "from yuyi.cli.app import run; run()"


def run(code: str, without: tuple[str, ...], *arguments: object, **environment: str) -> str:
    """What a process prints in which these packages cannot be imported."""
    command = [sys.executable, "-c", code, ",".join(without), *map(str, arguments)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an ONNX file and no other weights."""
    folder = tmp_path_factory.mktemp("exported")
    settings = ExportSettings(targets=("onnx",))
    source = open_source(find_folder(TINY / "bert-dense"), Smaller())
    write_base(folder, source, settings.targets)
    write_float32(folder, source, settings)
    return folder


@pytest.fixture(scope="module")
def wanted() -> Any:
    return yuyi.load(TINY / "bert-dense", backend="torch", dtype="float32").encode(TEXTS)


def test_loading_and_encoding_need_no_torch(exported: Path, wanted: Any) -> None:
    code = (
        BLOCK + "import json, yuyi\n"
        "encoder = yuyi.load(sys.argv[1])\n"
        "print(json.dumps([encoder.backend_name, encoder.encode(json.loads(sys.argv[2])).tolist()]))\n"
        "assert not any(name.split('.')[0] == 'torch' for name, module in sys.modules.items() if module)"
    )
    backend, vectors = json.loads(run(code, HEAVY, exported, json.dumps(TEXTS)))
    assert backend == "onnx"
    np.testing.assert_allclose(vectors, wanted, atol=1e-5)


def test_the_verbs_need_no_torch(exported: Path, wanted: Any, tmp_path: Path) -> None:
    answer = run(COMMAND, HEAVY, "similarity", *TEXTS[:3], "--model", exported, "--json")
    scores = {each["text"]: each["score"] for each in json.loads(answer)["others"]}
    assert set(scores) == set(TEXTS[1:3])
    for text, vector in zip(TEXTS[1:3], wanted[1:3], strict=True):
        assert scores[text] == pytest.approx(wanted[0] @ vector, abs=1e-4)
    (tmp_path / "文本.txt").write_text("".join(f"{text}\n" for text in TEXTS[:3]), encoding="utf-8")
    run(COMMAND, HEAVY, "embed", tmp_path / "文本.txt", "-o", tmp_path / "向量.npy", "--model", exported)
    np.testing.assert_allclose(np.load(tmp_path / "向量.npy"), wanted[:3], atol=1e-5)


def test_exporting_needs_its_extra_alone(tmp_path: Path) -> None:
    out, some = tmp_path / "out", tmp_path / "some.txt"
    some.write_text("".join(f"{text} {number}\n" for number in range(20) for text in TEXTS), encoding="utf-8")
    forms = "onnx,onnx-int8,onnx-fp16,static,folder"
    texts = ("--passages", some, "--calibration", some, "--distil", some)
    options = ("--to", forms, "--least", "0", *texts)
    run(COMMAND.replace(BLOCK, BLOCK + ONCE), FOREIGN, "export", TINY / "bert-zh", "-o", out, *options)
    written = {path.name for path in (out / "onnx").iterdir()}
    assert written == {"model.onnx", "model_fp16.onnx", "model_quantized.onnx"}
    pieces = read_static(out / "static").tokenizer.get_vocab()
    assert {"公园", "散步", "weather"} <= set(pieces)


WATCH = """
import json, os, re, threading, time, yuyi

def threads():
    return int(re.search(r"Threads:\\s+(\\d+)", open("/proc/self/status").read())[1])

def watch():
    while busy:
        seen.append(threads())
        time.sleep(0.002)

encoder = yuyi.load(sys.argv[1], backend="onnx")
texts = [f"今天天气很好 {number} times the weather is nice. " * (number % 9 + 1) for number in range(2_000)]
encoder.encode(texts[:200])  # Tokenizers begin their threads with the first texts, and keep them.
before, seen, busy = threads(), [], True
watcher = threading.Thread(target=watch)
watcher.start()
begin, worked = time.perf_counter(), time.process_time()
encoder.encode(texts)
spent, worked = time.perf_counter() - begin, time.process_time() - worked
busy = False
watcher.join()
print(json.dumps([before, max(seen), worked / spent]))
"""


@pytest.mark.parametrize("cores", [1, 3])
@pytest.mark.filterwarnings("ignore::yuyi.errors.YuyiWarning")
def test_threads_are_bounded_by_the_cores_that_it_may_use(exported: Path, cores: int) -> None:
    answer = run(BLOCK + WATCH, HEAVY, exported, YUYI_CORES=str(cores), OMP_NUM_THREADS="1")
    before, most, busy = json.loads(answer)
    # The watcher, one for the blocks of texts, and one for each core.
    assert most - before <= cores + 2 + 3
    # Tokenizers aside, which are quick.
    assert busy <= cores + 0.5
