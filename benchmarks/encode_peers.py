"""The contenders of `benchmarks/encode.py`. Each runs in a process of its own, which this file is.

    python benchmarks/encode_peers.py PEER HOME N SET...   # encode HOME/<set>.json of each set with N cores

HOME is a folder with `model` (sentence-transformers' layout) and the forms made from it. Contenders without
an encoder of their own (onnxruntime, OpenVINO, CTranslate2) get what sentence-transformers gives its model:
texts sorted by length, batches of 32 padded to the longest, mean over the mask, unit length. Those called
plain get batches of 32 in the order given, as short examples have it, and the vector that the file itself
gives; yuyi runs the same file.
"""

from __future__ import annotations

import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]
    Encode = Callable[[list[str]], Vectors]

BATCH = 32
MAX_TOKENS = 512


@dataclass(frozen=True, slots=True)
class Peer:
    """A contender.

    Attributes:
        dtype: what it computes in.
        form: the form of the model that it loads, as `encode_forms.py` names them, or `model`.
        packages: what it imports; the time is measured apart from loading.
        load: from HOME and a number of cores to a function from texts to unit vectors.
    """

    dtype: str
    form: str
    packages: tuple[str, ...]
    load: Callable[[Path, int], Encode]


# Contenders with an encoder of their own.


def load_sentence_transformers(home: Path, cores: int, dtype: str) -> Encode:
    """As its documentation shows it, batches of 32 (its default)."""
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(cores)
    model = SentenceTransformer(
        str(home / "model"), device="cpu", model_kwargs={"dtype": getattr(torch, dtype)}
    )
    return partial(model.encode, batch_size=BATCH, show_progress_bar=False)


def load_fastembed(home: Path, cores: int) -> Encode:
    """The class of fastembed itself, with a model from a folder; batches of 256 in the order given."""
    from fastembed import TextEmbedding
    from fastembed.common.model_description import ModelSource, PoolingType

    config = json.loads((home / "model" / "config.json").read_text())
    TextEmbedding.add_custom_model(
        model="local/model",
        pooling=PoolingType.MEAN,
        normalization=True,
        sources=ModelSource(hf="local/model"),
        dim=config["hidden_size"],
        model_file="onnx/model.onnx",
    )
    model = TextEmbedding("local/model", specific_model_path=str(home / "onnx"), threads=cores)
    return lambda texts: np.stack(list(model.embed(texts, batch_size=256)))


def load_yuyi(home: Path, cores: int, dtype: str, kernels: bool = True) -> Encode:
    """`yuyi.load(folder, dtype=...)`, nothing else set; or as it is where there is no C++ compiler."""
    import yuyi

    if not kernels:
        os.environ["YUYI_KERNELS"] = "off"

    return yuyi.load(home / "model", dtype=dtype, backend="torch").encode


def load_yuyi_onnx(home: Path, cores: int, dtype: str) -> Encode:
    """The ONNX backend, on the file that yuyi has exported."""
    import yuyi

    return yuyi.load(home / "exported", dtype=dtype, backend="onnx").encode


# Contenders that take token ids.


def load_onnxruntime(home: Path, cores: int, file: str, plain: bool = False) -> Encode:
    """The graph that onnxruntime's own optimiser has fused, or yuyi's; one session over all cores."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = cores
    session = onnxruntime.InferenceSession(home / file, options, providers=["CPUExecutionProvider"])
    types = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}
    inputs = {node.name: types[node.type] for node in session.get_inputs()}
    output = "sentence_embedding" if plain else "last_hidden_state"

    def encode(texts: list[str]) -> Vectors:
        found = []
        for rows, feeds in _batches(tokenize(texts), by_length=not plain):
            given = {name: feeds[name].astype(kind) for name, kind in inputs.items()}
            values = session.run([output], given)[0]
            found.append((rows, values if plain else _mean(values, feeds["attention_mask"])))
        return _ordered(found, len(texts))

    tokenize = _tokenizer(home)
    return encode


def load_openvino(home: Path, cores: int, dtype: str) -> Encode:
    """The exported graph, compiled for throughput, as many batches at a time as it finds best."""
    import openvino

    core = openvino.Core()
    settings = {
        "PERFORMANCE_HINT": "THROUGHPUT",
        "INFERENCE_PRECISION_HINT": {"float32": "f32", "bfloat16": "bf16"}[dtype],
        "INFERENCE_NUM_THREADS": cores,
    }
    compiled = core.compile_model(core.read_model(home / "onnx" / "onnx" / "model.onnx"), "CPU", settings)
    streams = compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
    # Its own queue of asynchronous requests has been seen to wait for ever.
    requests: SimpleQueue[Any] = SimpleQueue()
    for _ in range(streams):
        requests.put(compiled.create_infer_request())

    def infer(batch: tuple[list[int], dict[str, NDArray[np.int64]]]) -> tuple[list[int], Vectors]:
        rows, feeds = batch
        request = requests.get()
        vectors = _mean(request.infer(feeds)[0], feeds["attention_mask"])
        requests.put(request)
        return rows, vectors

    def encode(texts: list[str]) -> Vectors:
        with ThreadPoolExecutor(streams) as pool:
            return _ordered(list(pool.map(infer, _batches(tokenize(texts)))), len(texts))

    tokenize = _tokenizer(home)
    return encode


def load_ctranslate2(home: Path, cores: int, dtype: str) -> Encode:
    """Its converter's model, one batch at a time over all cores; it pads by itself."""
    import ctranslate2

    encoder = ctranslate2.Encoder(
        str(home / "ctranslate2"), device="cpu", compute_type=dtype, intra_threads=cores
    )

    def encode(texts: list[str]) -> Vectors:
        ids = tokenize(texts)
        found = []
        for rows, feeds in _batches(ids):
            states = np.array(encoder.forward_batch([ids[row] for row in rows]).last_hidden_state)
            found.append((rows, _mean(states, feeds["attention_mask"])))
        return _ordered(found, len(texts))

    tokenize = _tokenizer(home)
    return encode


def _tokenizer(home: Path) -> Callable[[list[str]], list[list[int]]]:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(home / "model" / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    return lambda texts: [encoding.ids for encoding in tokenizer.encode_batch_fast(texts)]


def _batches(
    ids: list[list[int]], by_length: bool = True
) -> Iterator[tuple[list[int], dict[str, NDArray[np.int64]]]]:
    """(row numbers, inputs) of padded batches, longest texts first or in the order given."""
    order = sorted(range(len(ids)), key=lambda row: -len(ids[row]) if by_length else row)
    for start in range(0, len(order), BATCH):
        rows = order[start : start + BATCH]
        values = np.zeros((len(rows), max(len(ids[row]) for row in rows)), dtype=np.int64)
        mask = np.zeros_like(values)
        for place, row in enumerate(rows):
            values[place, : len(ids[row])] = ids[row]
            mask[place, : len(ids[row])] = 1
        yield (
            rows,
            {
                "input_ids": values,
                "attention_mask": mask,
                "token_type_ids": np.zeros_like(values),
            },
        )


def _mean(states: Vectors, mask: NDArray[np.int64]) -> Vectors:
    """(rows, dim) of unit length, the mean of each row's states where the mask is 1."""
    sums = np.einsum("rtd,rt->rd", states, mask.astype(np.float32))
    unit: Vectors = sums / np.linalg.norm(sums, axis=1, keepdims=True)
    return unit


def _ordered(found: list[tuple[list[int], Vectors]], count: int) -> Vectors:
    vectors = np.empty((count, found[0][1].shape[1]), dtype=np.float32)
    for rows, part in found:
        vectors[rows] = part
    return vectors


_SENTENCE_TRANSFORMERS = ("torch", "transformers", "sentence_transformers")
_ONNXRUNTIME = ("onnxruntime", "tokenizers")
_FLOAT32, _INT8 = "exported/onnx/model.onnx", "exported/onnx/model_quantized.onnx"
REFERENCE = "sentence-transformers float32"
PEERS = {
    REFERENCE: Peer(
        "float32", "model", _SENTENCE_TRANSFORMERS, partial(load_sentence_transformers, dtype="float32")
    ),
    "sentence-transformers bfloat16": Peer(
        "bfloat16", "model", _SENTENCE_TRANSFORMERS, partial(load_sentence_transformers, dtype="bfloat16")
    ),
    "onnxruntime float32": Peer(
        "float32", "fused", _ONNXRUNTIME, partial(load_onnxruntime, file="fused/model.onnx")
    ),
    "onnxruntime int8": Peer(
        "int8", "quantised", _ONNXRUNTIME, partial(load_onnxruntime, file="quantised/model.onnx")
    ),
    "plain onnxruntime float32": Peer(
        "float32", "exported", _ONNXRUNTIME, partial(load_onnxruntime, file=_FLOAT32, plain=True)
    ),
    "plain onnxruntime int8": Peer(
        "int8", "exported", _ONNXRUNTIME, partial(load_onnxruntime, file=_INT8, plain=True)
    ),
    "OpenVINO float32": Peer(
        "float32", "onnx", ("openvino", "tokenizers"), partial(load_openvino, dtype="float32")
    ),
    "OpenVINO bfloat16": Peer(
        "bfloat16", "onnx", ("openvino", "tokenizers"), partial(load_openvino, dtype="bfloat16")
    ),
    "CTranslate2 float32": Peer(
        "float32", "ctranslate2", ("ctranslate2", "tokenizers"), partial(load_ctranslate2, dtype="float32")
    ),
    "CTranslate2 int8": Peer(
        "int8", "ctranslate2", ("ctranslate2", "tokenizers"), partial(load_ctranslate2, dtype="int8")
    ),
    "fastembed float32": Peer("float32", "onnx", ("fastembed",), load_fastembed),
    "yuyi ONNX float32": Peer(
        "float32", "exported", ("yuyi", "onnxruntime"), partial(load_yuyi_onnx, dtype="float32")
    ),
    "yuyi ONNX int8": Peer(
        "int8", "exported", ("yuyi", "onnxruntime"), partial(load_yuyi_onnx, dtype="int8")
    ),
    "yuyi float32, no compiler": Peer(
        "float32", "model", ("yuyi", "torch"), partial(load_yuyi, dtype="float32", kernels=False)
    ),
    "yuyi bfloat16, no compiler": Peer(
        "bfloat16", "model", ("yuyi", "torch"), partial(load_yuyi, dtype="bfloat16", kernels=False)
    ),
    "yuyi float32": Peer("float32", "model", ("yuyi", "torch"), partial(load_yuyi, dtype="float32")),
    "yuyi bfloat16": Peer("bfloat16", "model", ("yuyi", "torch"), partial(load_yuyi, dtype="bfloat16")),
    "yuyi int8": Peer("int8", "model", ("yuyi", "torch"), partial(load_yuyi, dtype="int8")),
}


# The process.


def take_turn(name: str, home: Path, cores: int, sets: list[str]) -> dict[str, Any]:
    """Load a contender, warm it up, encode each set once, and keep the vectors as `<peer>.<set>.npy`.

    Returns:
        Seconds to `import` and to `load`; by set, seconds to `encode`; bytes of memory at the `peak`.
    """
    begin = time.perf_counter()
    for package in PEERS[name].packages:
        import_module(package)
    imported = time.perf_counter()
    encode = PEERS[name].load(home, cores)
    loaded = time.perf_counter()
    encode(read_texts(home, "warm-up"))
    answer: dict[str, Any] = {"import": imported - begin, "load": loaded - imported, "encode": {}}
    for texts in sets:
        inputs = read_texts(home, texts)
        begin = time.perf_counter()
        vectors = np.asarray(encode(inputs), dtype=np.float32)
        answer["encode"][texts] = time.perf_counter() - begin
        np.save(vectors_file(home, name, texts), vectors)
    return answer | {"peak": _peak_memory()}


def read_texts(home: Path, texts: str) -> list[str]:
    """The texts of a set."""
    found: list[str] = json.loads((home / f"{texts}.json").read_text())
    return found


def vectors_file(home: Path, name: str, texts: str) -> Path:
    """Where a contender's vectors of a set are kept."""
    return home / f"{name.replace(' ', '-')}.{texts}.npy"


def _peak_memory() -> int:
    """Bytes: the most physical memory that this process has held, mapped files included."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def main() -> None:
    """See the head of this file."""
    name, home, cores, *sets = sys.argv[1:]
    with redirect_stdout(sys.stderr):  # Some packages print.
        answer = take_turn(name, Path(home), int(cores), sets)
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
