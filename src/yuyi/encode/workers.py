"""An encoder in several processes: each holds the same model, and the death of one loses no other's work.

A worker is a fresh Python that reads requests from its standard input and answers on its standard output. It
ends with its input, so none outlives the process that started it, however that one ends; a terminal's Ctrl-C
does not reach it. Weights are in memory once for all workers: a token table's are mapped from its folder, and
those of torch on a CPU from memory that the parent has filled. ONNX holds a copy in each worker.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import traceback
import warnings
from typing import IO, TYPE_CHECKING, Any, Unpack, cast

import numpy as np

from yuyi.encode.devices import worker_devices
from yuyi.encode.flow import in_order
from yuyi.errors import WorkerError, YuyiError, YuyiWarning
from yuyi.machine import available_cores
from yuyi.text.overflow import EncodeInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from yuyi.encode.devices import Workers
    from yuyi.encode.encoder import Encoder
    from yuyi.encode.flow import Block
    from yuyi.encode.options import VectorOptions
    from yuyi.progress import Done

    Encoded = tuple[NDArray[Any], EncodeInfo]

# A block that has killed this many workers is given up: the fault is in its texts.
_ATTEMPTS = 2


class LostTexts(Exception):
    """A block that no worker survived. Who hands out the blocks gathers these and names them at the end."""

    def __init__(self, first: int, count: int) -> None:
        super().__init__(f"texts {first:,} to {first + count - 1:,}")
        self.span = (first, first + count)


def _ignore(texts: int, tokens: int = 0) -> None:
    pass


def encode_shard(
    encoder: Encoder, texts: list[str], first: int, done: Done = _ignore, **options: Unpack[VectorOptions]
) -> Encoded:
    """(rows, width) vectors of the texts, and what became of their tokens.

    Args:
        encoder: makes them.
        texts: the texts, at least one.
        first: number of the first one among all texts, for messages.
        done: called with each block's texts and tokens.
        **options: of `Encoder.encode_stream`.
    """
    found = []
    for vectors, info in encoder.encode_stream(texts, return_info=True, first=first, **options):
        found.append((vectors, info))
        done(len(vectors), int(info.used.sum()))
    return np.concatenate([vectors for vectors, _ in found]), EncodeInfo.joined(info for _, info in found)


class WorkerPool:
    """Processes that each hold the same model. A context manager; leaving it ends them.

    Threads share it: each call of `encode` occupies one worker.
    """

    def __init__(self, encoder: Encoder, workers: Workers) -> None:
        """Start the workers; they open the encoder's model side by side.

        Args:
            encoder: whose vectors are wanted.
            workers: how many, or a device for each, or `auto` for as many as cores and memory allow.

        Raises:
            InputError: `workers` is none of these.
        """
        devices = worker_devices(workers, encoder)
        self._model = encoder.arguments
        self._home = encoder.device
        self._shared = _share(encoder) if {None, self._home} & {*devices} else None
        self._cores = max(1, available_cores() // len(devices))
        # Texts for fewer blocks than a worker's engine takes at a time would leave some of its cores idle.
        self.side_by_side = min(encoder.side_by_side, self._cores)
        self._deaths = 0  # Since a worker last answered.
        self._closing = False
        self._lock = threading.Lock()
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        self._all: list[_Worker] = []
        for device in devices:
            self._idle.put(self._start(device))
        self._size = len(devices)

    def __len__(self) -> int:
        return self._size

    @property
    def processes(self) -> list[int]:
        """Process ids of the workers."""
        return [worker.process for worker in self._all]

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._closing = True
            for worker in self._all:
                worker.end()
        if self._shared is not None:
            os.close(self._shared)
            self._shared = None

    def encode(
        self, texts: list[str], first: int, done: Done = _ignore, **options: Unpack[VectorOptions]
    ) -> Encoded:
        """What `encode_shard` gives, made by a worker that is free.

        If the worker dies, another takes its place and does the texts again, once.

        Args:
            texts: the texts.
            first: number of the first one among all texts, for messages.
            done: called with the texts and their tokens at the end.
            **options: of `Encoder.encode_stream`.

        Raises:
            LostTexts: the second worker died too.
            WorkerError: so many workers have died in a row that something else than the texts must be wrong.
        """
        for _ in range(_ATTEMPTS):
            worker = self._idle.get()
            try:
                vectors, info = worker.ask(texts, first, options)
                self._deaths = 0
                done(len(vectors), int(info.used.sum()))
                return vectors, info
            except _Death as death:
                last = first + len(texts) - 1
                worker = self._replace(worker, f"{death} while it encoded texts {first:,} to {last:,}")
            finally:
                self._idle.put(worker)
        raise LostTexts(first, len(texts))

    def _start(self, device: str | None) -> _Worker:
        model = self._model if device is None else {**self._model, "device": device}
        shared = self._shared if device in (None, self._home) else None
        worker = _Worker(model, device, self._cores, shared)
        self._all.append(worker)
        return worker

    def _replace(self, dead: _Worker, what_happened: str) -> _Worker:
        with self._lock:
            self._deaths += 1
            if self._closing:
                return dead
            if self._deaths > 2 * self._size + _ATTEMPTS:
                raise WorkerError(
                    f"{self._deaths} worker processes died in a row; the last {what_happened}. "
                    "Take fewer workers: memory may be short."
                )
            warnings.warn(f"{what_happened}; another one takes over", YuyiWarning, stacklevel=2)
            dead.end()
            self._all.remove(dead)
            return self._start(dead.device)


def encode_in_workers(
    encoder: Encoder,
    cut: Callable[[int], Iterator[Block]],
    workers: Workers,
    **options: Unpack[VectorOptions],
) -> Iterator[Encoded]:
    """The vectors and the info of each block, in order; bounded memory however many there are.

    Where no worker survived a block its rows are NaN (zeros in precisions that have none), so that row i
    stays text i; which they are is raised at the end.

    Args:
        encoder: whose vectors are wanted.
        cut: gives the texts in blocks, each as large as so many blocks of the encoder's engine.
        workers: as for `WorkerPool`.
        **options: of `Encoder.encode_stream`.

    Raises:
        WorkerError: texts were lost.
    """

    def work(block: Block, cores: int) -> Encoded:
        try:
            return pool.encode(block.texts, block.first, **options)
        except LostTexts as loss:
            lost.append(loss.span)
            nothing = encoder.encode([], **options)
            blank = np.nan if nothing.dtype.kind == "f" else 0
            tokens = np.zeros(len(block.texts), dtype=np.int64)
            rows = np.full((len(block.texts), nothing.shape[1]), blank, dtype=nothing.dtype)
            return rows, EncodeInfo(tokens, tokens, tokens)

    with naming_lost_texts() as lost, WorkerPool(encoder, workers) as pool:
        yield from in_order(cut(pool.side_by_side), work, len(pool))


@contextlib.contextmanager
def naming_lost_texts() -> Iterator[list[tuple[int, int]]]:
    """A list to gather lost texts in, the first and one past the last of each block that was given up.

    Raises:
        WorkerError: at the end, if there are any; the message and its `ranges` name them. If the block ends
            in a `WorkerError` of its own, they are added to that one.
    """
    lost: list[tuple[int, int]] = []
    try:
        yield lost
    except WorkerError as error:
        if lost:
            raise WorkerError(f"{error} Before, {_no_survivor(lost)}.", tuple(sorted(lost))) from error
        raise
    if lost:
        raise WorkerError(
            f"{_no_survivor(lost)}; all others are done. Encode these apart to find the one that is at "
            "fault.",
            tuple(sorted(lost)),
        )


def _no_survivor(lost: list[tuple[int, int]]) -> str:
    names = ", ".join(f"{first:,} to {stop - 1:,}" for first, stop in sorted(lost))
    return f"no worker process survived texts {names}, counted from 0"


class _Death(Exception):
    """A worker ended without an answer; the message says how."""


class _Worker:
    """One process, seen from the one that started it."""

    def __init__(self, model: dict[str, Any], device: str | None, cores: int, shared: int | None) -> None:
        self.device = device
        self._is_open = False
        self._refusal: Exception | None = None
        code = f"import sys; sys.path[:] = {sys.path!r}; from yuyi.encode.workers import serve; serve()"
        # What yuyi, numpy, torch and tokenizers ask for the number of their threads.
        names = ("YUYI_CORES", "OMP_NUM_THREADS", "RAYON_NUM_THREADS")
        self._process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **dict.fromkeys(names, str(cores))},
            start_new_session=True,
            pass_fds=() if shared is None else (shared,),
        )
        self._requests = cast("IO[bytes]", self._process.stdin)
        self._answers = cast("IO[bytes]", self._process.stdout)
        self.process = self._process.pid
        self._send((model, None if shared is None else f"/proc/self/fd/{shared}"))

    def ask(self, texts: list[str], first: int, options: VectorOptions) -> Encoded:
        """What `encode_shard` gives, made in the process.

        Raises:
            _Death: the process has ended.
            Exception: what was raised in the process.
        """
        if self._refusal is not None:
            raise self._refusal
        if not self._is_open:
            try:
                self._receive()
            except _Death:
                raise
            except Exception as error:  # Whatever kept the model from being opened: it answers nothing else.
                self._refusal = error
                raise
            self._is_open = True
        self._send((texts, first, options))
        answer: Encoded = self._receive()
        return answer

    def end(self) -> None:
        """End the process, whatever it is doing."""
        self._process.kill()
        self._process.wait()
        with contextlib.suppress(OSError):  # What was not sent cannot be sent any more.
            self._requests.close()
        self._answers.close()

    def _send(self, message: Any) -> None:
        try:
            pickle.dump(message, self._requests, protocol=5)
            self._requests.flush()
        except OSError as error:
            raise self._death() from error

    def _receive(self) -> Any:
        try:
            kind, content, trace = pickle.load(self._answers)
        except (OSError, EOFError, pickle.UnpicklingError) as error:
            raise self._death() from error
        if kind == "error":
            if not isinstance(content, YuyiError):
                content.add_note(f"This happened in a worker process:\n{trace}")
            raise content
        return content

    def _death(self) -> _Death:
        self._process.kill()
        code = self._process.wait()
        reason = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return _Death(f"worker process {self.process} {reason}")


def serve() -> None:
    """Be a worker: open the model that the first request names, then encode what the others hold."""
    from yuyi.encode.load import reopen

    warnings.simplefilter("ignore", YuyiWarning)  # The process that asked has opened the same model.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # What a library prints must not end up between the answers.
    requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(requests,), daemon=True).start()
    encoder = None
    while True:
        request = requests.get()
        try:
            if encoder is None:
                encoder = reopen(*request)
                answer: tuple[str, Any, str] = "value", None, ""
            else:
                texts, first, options = request
                answer = "value", encode_shard(encoder, texts, first, **options), ""
        except Exception as error:  # Whatever it is, it belongs to the process that asked.
            answer = "error", _portable(error), traceback.format_exc()
        try:
            pickle.dump(answer, answers, protocol=5)
            answers.flush()
        except OSError:  # Nobody listens any more.
            os._exit(0)


def _listen(requests: queue.SimpleQueue[Any]) -> None:
    """Queue the requests; end the process, in the middle of its work too, when there can be no more."""
    while True:
        try:
            requests.put(pickle.load(sys.stdin.buffer))
        except (EOFError, OSError, pickle.UnpicklingError):
            os._exit(0)


def _share(encoder: Encoder) -> int | None:
    """An open file in memory that holds the encoder's engine; None where each worker opens the folder."""
    if not hasattr(os, "memfd_create"):  # Linux has it. It goes away with the last process that has it open.
        return None
    place = os.memfd_create("yuyi")
    with os.fdopen(place, "wb", closefd=False) as file:
        if encoder.share(file):
            return place
    os.close(place)
    return None


def _portable(error: Exception) -> Exception:
    """The error itself, or its text where it cannot be sent to another process."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # Classes may fail to be rebuilt in any way of their own.
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
