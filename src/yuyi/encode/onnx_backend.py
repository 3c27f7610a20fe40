"""A folder's ONNX file to vectors, with onnxruntime and numpy alone; torch is never imported.

onnxruntime knows rectangular batches only, so rows of nearly one length are padded together here and nowhere
else; the padding is a few hundredths of the work. Each padded batch keeps one core busy and several run side
by side: for texts that is more work in the same time than one batch spread over all cores, and waits for no
slow core.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from yuyi.encode.heads import load_head, pool
from yuyi.errors import InputError, ModelError
from yuyi.extras import require
from yuyi.layout import ONNX_FILES
from yuyi.machine import available_memory
from yuyi.pipeline import Dense, read_json, usable_positions
from yuyi.types import TokenBatch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from yuyi.pipeline import Pipeline

    Vectors = NDArray[np.float32]
    Integers = NDArray[np.int64]

_INPUTS = ("input_ids", "attention_mask", "token_type_ids", "position_ids")
_STATES = ("last_hidden_state", "token_embeddings")
_VECTORS = ("sentence_embedding", "sentence_embeddings", "text_embeds")
# Padded tokens in a batch: enough to keep the matrix products busy, few enough that what a layer holds stays
# small (a thread's buffers grow to its largest batch and stay).
_BATCH_TOKENS = 1_024
# The share of a batch that may be padding; below a number of tokens a batch costs the same, padded or not.
_PADDING = 0.03
_SMALL_BATCH = 128
# Up to this length, scores of attention are a few megabytes. Copies that a layer holds of longer texts' ones.
_SHORT = 1_024
_SCORES = 3


def open_backend(pipeline: Pipeline, *, device: str | None, dtype: str) -> OnnxBackend:
    """The ONNX model of a folder, ready to embed.

    Args:
        pipeline: the folder's own description.
        device: None or `cpu`.
        dtype: `auto` or `float32` for `model.onnx`; `float16` for `model_fp16.onnx`, `int8` for
            `model_quantized.onnx`.

    Raises:
        ModelError: there is no such file, it is damaged, or it asks for inputs that a text does not have.
        InputError: another device or dtype.
        MissingExtra: onnxruntime is not installed.
    """
    if device not in (None, "cpu"):
        raise InputError(f"device={device!r}: the ONNX backend computes on the CPU. Choose backend='torch'.")
    dtype = "float32" if dtype == "auto" else dtype
    if dtype not in ONNX_FILES:
        raise InputError(
            f"dtype={dtype!r}: the ONNX backend has {', '.join(ONNX_FILES)}. Choose one of them."
        )
    return OnnxBackend(pipeline, dtype)


class OnnxBackend:
    """An ONNX model, followed by the folder's pooling and heads in numpy."""

    name = "onnx"
    device = "cpu"
    # One call at a time: `embed` spreads a block over the cores itself, sorted by length.
    threads = 1
    block_texts = 1_024
    block_characters = 400_000
    token_budget: int | None = None

    def __init__(self, pipeline: Pipeline, dtype: str, *, by_itself: bool = False) -> None:
        """Open the model and try it on one short text.

        Args:
            pipeline: the folder's own description.
            dtype: `float32`, `float16` or `int8`.
            by_itself: read the file's own vector a text, pooled and shaped, instead of token states.
        """
        self.dtype = dtype
        # How an int8 file rounds is its exporter's choice.
        self.arithmetic = "int8 of the file" if dtype == "int8" else dtype
        self._file = _find_file(pipeline, dtype)
        self._session = _open_session(self._file)
        self._inputs = _read_inputs(self._session, self._file)
        self._output, self._pooled = _choose_output(self._session, self._file, by_itself)
        self._pooling = pipeline.pooling
        self._heads = [] if by_itself else [load_head(head) for head in pipeline.heads]
        config = read_json(pipeline.transformer / "config.json")
        # RoBERTa numbers positions from behind the padding id.
        limit = usable_positions(config)
        self._attention_heads = int(config.get("num_attention_heads", 1)) or 1
        self._first_position = int(config.get("max_position_embeddings", limit)) - limit
        dense = [head.folder / "model.safetensors" for head in pipeline.heads if isinstance(head, Dense)]
        self.files = (self._file, *_external_data(self._file), *dense)
        self.dim = self._try_out()

    def _try_out(self) -> int:
        """Length of the vectors, from embedding one short text; damage shows here and not later."""
        batch = TokenBatch(np.zeros(2, dtype=np.int32), np.array([0, 2], dtype=np.int64))
        vector = self._embed_rows(batch, np.zeros(1, dtype=np.int64), skip=0)[0]
        if not np.isfinite(vector).all():
            raise ModelError(f"{self._file}: gives values that are no numbers (NaN). Fetch the file again.")
        return len(vector)

    def embed(self, batch: TokenBatch, *, cores: int, prompt_tokens: int = 0) -> Vectors:
        """(rows, dim) float32, pooled and with the folder's heads applied; zeros for a text without tokens.

        In float32 a text's vector does not depend on its company beyond rounding. Most int8 files scale their
        activations by the greatest value of a whole batch, so there it does.

        Args:
            batch: the texts' ids, special tokens included.
            cores: how many padded batches run side by side. A batch keeps one core busy, so a lone long text
                gains nothing from more.
            prompt_tokens: how many leading tokens of each text pooling leaves out.

        Raises:
            ModelError: the model cannot take these ids, or pools by itself and so cannot leave a prompt out.
        """
        if prompt_tokens and self._pooled:
            raise ModelError(
                f"{self._file}: pools by itself, so the prompt cannot be left out as the folder asks. "
                "Choose backend='torch', or an ONNX file with last_hidden_state."
            )
        vectors = np.zeros((len(batch), self.dim), dtype=np.float32)
        groups = list(_groups(batch.lengths))
        embed = partial(self._embed_rows, batch, skip=prompt_tokens)
        side_by_side = min(cores, len(groups), self._fitting(int(batch.lengths.max(initial=0))))
        with ThreadPoolExecutor(max(1, side_by_side)) as pool:
            for rows, found in zip(groups, pool.map(embed, groups), strict=True):
                vectors[rows] = found
        return vectors

    def _fitting(self, longest: int) -> int:
        """How many texts of this length fit in memory: a layer holds scores of all pairs of tokens."""
        if longest <= _SHORT:
            return sys.maxsize
        return available_memory() // (_SCORES * 4 * self._attention_heads * longest**2)

    def _embed_rows(self, batch: TokenBatch, rows: Integers, skip: int) -> Vectors:
        """(len(rows), dim) float32, for rows of nearly one length, longest first."""
        lengths = batch.lengths[rows]
        columns = np.arange(lengths[0])
        mask = columns < lengths[:, None]
        ids = np.zeros(mask.shape, dtype=np.int64)
        ids[mask] = np.concatenate([batch.ids[batch.offsets[row] : batch.offsets[row + 1]] for row in rows])
        values = {
            "input_ids": ids,
            "attention_mask": mask,
            "token_type_ids": np.zeros_like(ids),
            "position_ids": np.broadcast_to(columns + self._first_position, ids.shape),
        }
        feeds = {name: values[name].astype(dtype) for name, dtype in self._inputs.items()}
        found = _run(self._session, self._output, feeds, self._file).astype(np.float32, copy=False)
        if not self._pooled:
            texts = zip(found, lengths, strict=True)
            found = np.stack([pool(states[:length], self._pooling, skip) for states, length in texts])
        for head in self._heads:
            found = head(found)
        return found


def _find_file(pipeline: Pipeline, dtype: str) -> Path:
    folders = dict.fromkeys(
        folder / inner for folder in (pipeline.folder, pipeline.transformer) for inner in ("onnx", "")
    )
    for name in ONNX_FILES[dtype]:
        for folder in folders:
            if (folder / name).is_file():
                return folder / name
    found = sorted(path.name for folder in folders for path in folder.glob("*.onnx"))
    holds = f"it holds {', '.join(found)}" if found else "it holds no ONNX file"
    raise ModelError(
        f"{pipeline.folder}: no {' or '.join(ONNX_FILES[dtype])} for dtype={dtype!r}, in it or in its onnx "
        f"folder; {holds}. Choose another dtype or backend='torch'."
    )


def _external_data(file: Path) -> list[Path]:
    """The files beside a model in which exporters keep its tensors."""
    return sorted(file.parent.glob(f"{file.name}[._]data*"))


def _open_session(file: Path) -> Any:
    require("onnx")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    # One core a call; `embed` makes as many calls at a time as it may keep cores busy.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    # Otherwise it would keep a plan of its memory for every shape of batch that ever came.
    options.enable_mem_pattern = False
    options.log_severity_level = 4  # Its errors are raised; they need not be printed too.
    try:
        return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no class in common but this one.
        raise ModelError(
            f"{file}: onnxruntime cannot open it ({_reason(error)}). Fetch the file again, with the data "
            "files beside it if it has any."
        ) from error


def _run(session: Any, output: str, feeds: dict[str, NDArray[Any]], file: Path) -> NDArray[Any]:
    try:
        found: NDArray[Any] = session.run([output], feeds)[0]
    except Exception as error:  # onnxruntime's errors have no class in common but this one.
        raise ModelError(
            f"{file}: onnxruntime failed on a text ({_reason(error)}). The file and the tokenizer may belong "
            "to different models; fetch both again."
        ) from error
    return found


def _reason(error: Exception) -> str:
    """What onnxruntime says, on one line and without the codes before it."""
    return " ".join(str(error).split(" : ")[-1].split())[:300]


def _read_inputs(session: Any, file: Path) -> dict[str, np.dtype[Any]]:
    """The integer type of each input that the model asks for."""
    asked = {node.name: node.type for node in session.get_inputs()}
    types: dict[str, np.dtype[Any]] = {
        "tensor(int64)": np.dtype(np.int64),
        "tensor(int32)": np.dtype(np.int32),
    }
    wrong = [name for name in asked if name not in _INPUTS or asked[name] not in types]
    if wrong or "input_ids" not in asked:
        inputs = ", ".join(f"{name} {kind}" for name, kind in asked.items())
        raise ModelError(
            f"{file}: asks for {inputs}; a model of texts takes input_ids and any of "
            f"{', '.join(_INPUTS[1:])}, as integers. Choose another file."
        )
    return {name: types[kind] for name, kind in asked.items()}


def _choose_output(session: Any, file: Path, by_itself: bool) -> tuple[str, bool]:
    """The output to read, and whether it is a vector a text already; token states go before those."""
    ranks = {node.name: len(node.shape or ()) for node in session.get_outputs()}
    kinds = [(_VECTORS, True, 2)] if by_itself else [(_STATES, False, 3), (_VECTORS, True, 2)]
    for names, pooled, _ in kinds:
        if name := next((name for name in names if name in ranks), None):
            return name, pooled
    # BERT's pooler_output, made for another task, is no vector of the text.
    for _, pooled, rank in kinds:
        fitting = [name for name in ranks if ranks[name] == rank and name != "pooler_output"]
        if len(fitting) == 1:
            return fitting[0], pooled
    raise ModelError(
        f"{file}: gives {', '.join(ranks)}; yuyi needs token states ({', '.join(_STATES)}) or one vector "
        f"a text ({', '.join(_VECTORS)}). Export the model again."
    )


def _groups(lengths: Integers) -> Iterator[Integers]:
    """Row numbers of each padded batch, longest first; rows without tokens are left out."""
    order = np.argsort(-lengths, kind="stable")
    order = order[: np.count_nonzero(lengths)]
    start = tokens = 0
    for stop, row in enumerate(order):
        padded = int(lengths[order[start]]) * (stop + 1 - start)
        too_hollow = padded > _SMALL_BATCH and padded - tokens - lengths[row] > _PADDING * padded
        if stop > start and (padded > _BATCH_TOKENS or too_hollow):
            yield order[start:stop]
            start, tokens = stop, 0
        tokens += int(lengths[row])
    if len(order):
        yield order[start:]
