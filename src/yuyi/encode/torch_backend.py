"""A transformer's weights to vectors: compiled kernels on a CPU, torch's own operators elsewhere.

On a CPU whose compiler and instructions allow it, `yuyi.model.kernels` runs the encoder: each call keeps one
core busy with a batch that stays in its cache, and calls run side by side. Everywhere else torch runs it, a
large batch at a time. Pooling and heads are the same code for both.
"""

from __future__ import annotations

import copy
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn.functional import cosine_similarity

from yuyi.encode.sample import sample_tokens
from yuyi.errors import InputError
from yuyi.machine import available_cores
from yuyi.model import onednn
from yuyi.model.embedder import load_embedder
from yuyi.model.int8 import calibrate, quantize_encoder
from yuyi.model.kernels.engine import CompiledEncoder, supports
from yuyi.model.kernels.packing import Kind
from yuyi.model.tensors import weight_files
from yuyi.pipeline import Dense

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import BinaryIO

    from numpy.typing import NDArray
    from torch import Tensor

    from yuyi.model.embedder import Embedder, Pooler
    from yuyi.model.encoder import TransformerEncoder
    from yuyi.pipeline import Pipeline, Pooling
    from yuyi.types import TokenBatch

log = logging.getLogger("yuyi")

# `auto` takes the fastest number type whose vectors are at least this close to float32's, on average.
FIDELITY = 0.9999
_KINDS = {"float32": Kind.FLOAT32, "bfloat16": Kind.BFLOAT16, "int8": Kind.INT8}
# For poolings that read one token of each text: which, from the boundaries of the texts.
_SINGLE: dict[tuple[Pooling, ...], Callable[[NDArray[np.int64]], NDArray[np.int64]]] = {
    ("cls",): lambda offsets: offsets[:-1],
    ("last",): lambda offsets: offsets[1:] - 1,
}
# Values of hidden state in a batch of the kernels: what a step writes stays in a core's cache.
_BATCH_VALUES = 400_000


@dataclass(frozen=True, slots=True)
class _Flow:
    """How much a backend is given at a time; see `yuyi.encode.backend.Backend`."""

    threads: int
    block_texts: int
    block_characters: int
    token_budget: int


def open_backend(pipeline: Pipeline, *, device: str | None, dtype: str) -> TorchBackend:
    """The model of a folder, ready to embed.

    Args:
        pipeline: the folder's own description.
        device: as torch names it; None is a GPU if there is one.
        dtype: `float32`, `bfloat16`, `float16` (on a GPU), `int8`, or `auto`, which is the fastest of the
            first three whose vectors of a sample are within `FIDELITY` of float32's.

    Raises:
        ModelError: the folder's weights or config cannot be used.
        InputError: the device is unknown or not there, or has no such dtype.
    """
    place = _find_device(device)
    if dtype == "float16" and place.type == "cpu":
        raise InputError("dtype='float16': a CPU is slow in it. Choose bfloat16, or auto.")
    embedder = load_embedder(pipeline)
    if dtype != "auto":
        return _open(embedder, pipeline, place, dtype)
    if candidates := _fast_dtypes(embedder, place):
        sample = sample_tokens(pipeline)
        with torch.inference_mode():
            exact = embedder(torch.from_numpy(sample.ids), torch.from_numpy(sample.offsets))
        for candidate in candidates:
            backend = _open(embedder, pipeline, place, candidate)
            vectors = torch.from_numpy(backend.embed(sample, cores=available_cores()))
            if cosine_similarity(vectors, exact).mean() >= FIDELITY:
                return backend
    return _open(embedder, pipeline, place, "float32")


def open_shared(path: str) -> TorchBackend:
    """The backend that `share` wrote; its weights are mapped, and so there once for all who open it.

    Args:
        path: of what this very program has written: it may run any code.
    """
    backend: TorchBackend = torch.load(path, mmap=True, weights_only=False)
    if backend.compiled:
        backend.threads = available_cores()
    return backend


def _find_device(device: str | None) -> torch.device:
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        place = torch.device(device)
        torch.empty(0, device=place)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"device={device!r}: not to be had here ({reason}). Choose cpu.") from error
    if place.type not in ("cpu", "cuda"):
        raise InputError(f"device={device!r}: yuyi computes on cpu or cuda. Choose one of them.")
    return place


def _fast_dtypes(embedder: Embedder, place: torch.device) -> tuple[str, ...]:
    """What is faster than float32 there, best first."""
    if place.type != "cpu":
        return ("float16", "bfloat16")
    config = embedder.encoder.config
    if supports(config, Kind.FLOAT32):
        return ("bfloat16",) if supports(config, Kind.BFLOAT16) else ()
    return ("bfloat16",) if onednn.has_bfloat16() else ()


def _open(embedder: Embedder, pipeline: Pipeline, place: torch.device, dtype: str) -> TorchBackend:
    """A backend that computes in `dtype`; the embedder itself stays as it is, in float32."""
    encoder, files = embedder.encoder, _weight_files(pipeline)
    smooth = None
    if dtype == "int8":
        sample = sample_tokens(pipeline)
        smooth = calibrate(encoder, torch.from_numpy(sample.ids), torch.from_numpy(sample.offsets))
    if place.type == "cpu":
        # torch counts the host's cores; a container may have been given fewer.
        torch.set_num_threads(min(torch.get_num_threads(), available_cores()))
    if place.type == "cpu" and supports(encoder.config, _KINDS[dtype]):
        compiled = CompiledEncoder(encoder, _KINDS[dtype], smooth)
        flow = _Flow(
            threads=available_cores(),
            block_texts=32,
            block_characters=8_000,
            token_budget=max(256, _BATCH_VALUES // encoder.config.hidden),
        )
        return TorchBackend(compiled, embedder.pooler, files, place, dtype, flow)
    runner = copy.deepcopy(encoder)
    _set_dtype(runner, place, dtype, smooth)
    large = place.type != "cpu"
    flow = _Flow(
        threads=2 if large else 1,  # One thread tokenises while the GPU computes for the other.
        block_texts=4_096 if large else 1_024,
        block_characters=1_000_000 if large else 200_000,
        token_budget=65_536 if large else 8_192,
    )
    pooler = copy.deepcopy(embedder.pooler).to(place)
    return TorchBackend(runner.to(place), pooler, files, place, dtype, flow)


def _weight_files(pipeline: Pipeline) -> tuple[Path, ...]:
    """The files that the weights of the encoder and of the heads lie in."""
    dense = [head.folder for head in pipeline.heads if isinstance(head, Dense)]
    return tuple(file for folder in (pipeline.transformer, *dense) for file in weight_files(folder))


def _set_dtype(
    encoder: TransformerEncoder, place: torch.device, dtype: str, smooth: dict[str, Tensor] | None
) -> None:
    """Make an encoder ready to compute in `dtype` with torch's operators."""
    on_cpu = place.type == "cpu"
    if on_cpu and supports(encoder.config, Kind.FLOAT32):
        log.warning("the kernels cannot compute in %s on this processor; torch does, slower", dtype)
    if smooth is not None:
        if not on_cpu:
            encoder.to(torch.float16)  # What is not a product: flash attention takes half precision alone.
        quantize_encoder(encoder, smooth)
        return
    encoder.to(getattr(torch, dtype))
    if on_cpu and onednn.available() and (dtype == "float32" or onednn.has_bfloat16()):
        onednn.use_onednn(encoder)


class TorchBackend:
    """An encoder with the folder's pooling and heads. Made by `open_backend`."""

    name = "torch"

    def __init__(
        self,
        encoder: CompiledEncoder | TransformerEncoder,
        pooler: Pooler,
        files: tuple[Path, ...],
        device: torch.device,
        dtype: str,
        flow: _Flow,
    ) -> None:
        self.files = files
        self.dim = pooler.dim
        self.dtype = dtype
        self.device = str(device)
        self.threads = flow.threads
        self.block_texts = flow.block_texts
        self.block_characters = flow.block_characters
        self.token_budget = flow.token_budget
        self._place = device
        self._encoder = encoder
        self._pooler = pooler

    @property
    def compiled(self) -> bool:
        """Whether the compiled kernels run the encoder, and not torch."""
        return isinstance(self._encoder, CompiledEncoder)

    @property
    def arithmetic(self) -> str:
        """What decides the digits beside the model: the number type, and whose 8-bit products."""
        return "int8 in torch" if self.dtype == "int8" and not self.compiled else self.dtype

    def share(self, file: BinaryIO) -> None:
        """Write it with its weights, for `open_shared` in other processes."""
        torch.save(self, file)

    @torch.inference_mode()
    def embed(self, batch: TokenBatch, *, cores: int, prompt_tokens: int = 0) -> NDArray[np.float32]:
        """(rows, dim) float32, pooled and with the folder's heads applied; see `Backend.embed`."""
        if isinstance(self._encoder, CompiledEncoder):
            return self._embed_compiled(self._encoder, batch, cores, prompt_tokens)
        ids, offsets = (torch.from_numpy(part).to(self._place) for part in (batch.ids, batch.offsets))
        vectors: Tensor = self._pooler(self._encoder(ids, offsets), offsets, prompt_tokens)
        return vectors.float().cpu().numpy()

    def _embed_compiled(
        self, encoder: CompiledEncoder, batch: TokenBatch, cores: int, prompt_tokens: int
    ) -> NDArray[np.float32]:
        offsets, keep = batch.offsets, None
        single = _SINGLE.get(self._pooler.pooling)
        if single is not None and not prompt_tokens and batch.lengths.all():
            # Pooling reads one token of each text, so the last layer computes no other.
            keep, offsets = single(offsets), np.arange(len(offsets))
        states = encoder(batch.ids, batch.offsets, cores, keep)
        vectors: Tensor = self._pooler(states, torch.from_numpy(offsets), prompt_tokens)
        return vectors.numpy()
