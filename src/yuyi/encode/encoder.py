"""The encoder: texts in, unit vectors out."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Sized
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from yuyi.errors import InputError
from yuyi.text.tokenizer import BatchTokenizer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from yuyi.encode.static_folder import StaticModel

    Vectors = NDArray[np.float32]

# A block of texts is the unit of work of one thread: large enough to hide the hand-over, small enough
# to stream.
_BLOCK_TEXTS = 1_024
_BLOCK_CHARACTERS = 200_000


class Encoder:
    """Encodes Chinese and English texts with a token table. Made by `yuyi.load`."""

    def __init__(self, model: StaticModel, folder: Path) -> None:
        self._model = model
        self._tokenize = BatchTokenizer(model.tokenizer)
        self.folder = folder

    @property
    def name(self) -> str:
        """The model's name."""
        return self._model.card.name

    @property
    def languages(self) -> tuple[str, ...]:
        """Codes of the languages the model was trained on."""
        return self._model.card.languages

    @property
    def license(self) -> str:
        """SPDX identifier of the model's licence, or the empty string."""
        return self._model.card.license

    @property
    def dim(self) -> int:
        """Length of the vectors."""
        return self._model.backend.dim

    @property
    def dims(self) -> tuple[int, ...]:
        """The Matryoshka dimensions that the model declares, largest first."""
        return self._model.card.dims

    @property
    def vocabulary_size(self) -> int:
        """Number of pieces in the vocabulary."""
        return int(self._model.tokenizer.get_vocab_size())

    @property
    def fingerprint(self) -> str:
        """Hex digest of everything that decides the vectors: table, tokenizer, dimension."""
        return self._model.digest

    def encode(
        self, inputs: str | Iterable[str], *, normalize: bool = True, show_progress: bool = False
    ) -> Vectors:
        """(rows, dim) float32 of unit length, one row a text in the order given; (dim,) for a single string.

        A text with no known token (empty, or signs alone that the vocabulary lacks) gives the zero vector.

        Args:
            inputs: a text, or an iterable of texts.
            normalize: scale each vector to unit length; otherwise it is the plain mean of its tokens'
                vectors.
            show_progress: draw a progress bar on standard error.

        Raises:
            InputError: an input is not a string.

        Examples:
            >>> import yuyi
            >>> vectors = yuyi.load().encode(["今天天气很好", "The weather is nice"])
            >>> vectors.shape, vectors.dtype
            ((2, 256), dtype('float32'))
        """
        if isinstance(inputs, str):
            single: Vectors = self.encode([inputs], normalize=normalize)[0]
            return single
        blocks = self.encode_stream(inputs, normalize=normalize)
        if show_progress:
            blocks = _with_progress(blocks, len(inputs) if isinstance(inputs, Sized) else None)
        return np.concatenate([np.zeros((0, self.dim), dtype=np.float32), *blocks])

    def encode_query(self, inputs: str | Iterable[str], *, normalize: bool = True) -> Vectors:
        """(rows, dim) float32 like `encode`, for texts that ask; a token table has no prompts."""
        return self.encode(inputs, normalize=normalize)

    def encode_document(self, inputs: str | Iterable[str], *, normalize: bool = True) -> Vectors:
        """(rows, dim) float32 like `encode`, for texts that answer; a token table has no prompts."""
        return self.encode(inputs, normalize=normalize)

    def encode_stream(self, inputs: Iterable[str], *, normalize: bool = True) -> Iterator[Vectors]:
        """Blocks of vectors, (rows, dim) float32, in order; millions of texts pass in bounded memory.

        Raises:
            InputError: an input is not a string.
        """
        blocks = _blocks(inputs)
        first, second = next(blocks, None), next(blocks, None)
        if first is None:
            return
        if second is None:
            yield self._embed(first, normalize)
            return
        threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        with ThreadPoolExecutor(threads) as pool:
            waiting: deque[Future[Vectors]] = deque(
                pool.submit(self._embed, block, normalize) for block in (first, second)
            )
            for block in blocks:
                waiting.append(pool.submit(self._embed, block, normalize))
                if len(waiting) > 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def similarity(self, a: Vectors, b: Vectors) -> Vectors:
        """(rows of a, rows of b) float32, the cosine of each pair; a single vector counts as one row."""
        return _unit(np.atleast_2d(a)) @ _unit(np.atleast_2d(b)).T

    def tokens(self, text: str) -> list[str]:
        """The pieces that a text is cut into.

        Examples:
            >>> import yuyi
            >>> yuyi.load().tokens("胡子长得太快")
            ['胡子', '长得', '太快']
        """
        return self._tokenize.tokens(text)

    def _embed(self, texts: list[str], normalize: bool) -> Vectors:
        vectors = self._model.backend.embed(self._tokenize(texts))
        return _unit(vectors) if normalize else vectors


def _unit(vectors: Vectors) -> Vectors:
    """Each row scaled to unit length; zero rows stay zero."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Vectors = (vectors / np.where(norms > 0, norms, 1)).astype(np.float32, copy=False)
    return unit


def _blocks(inputs: Iterable[str]) -> Iterator[list[str]]:
    """Lists of consecutive texts, bounded in number and, past the first text, in characters."""
    if isinstance(inputs, str) or not isinstance(inputs, Iterable):
        raise InputError(f"{inputs!r}: not a list or another iterable of texts. Give several texts.")
    iterator = iter(inputs)
    position = 0
    while taken := list(islice(iterator, _BLOCK_TEXTS)):
        for offset, text in enumerate(taken):
            if not isinstance(text, str):
                raise InputError(f"input {position + offset}: {text!r} is not a string. Give texts only.")
        position += len(taken)
        start = characters = 0
        for offset, text in enumerate(taken):
            characters += len(text)
            if characters > _BLOCK_CHARACTERS and offset > start:
                yield taken[start:offset]
                start, characters = offset, len(text)
        yield taken[start:]


def _with_progress(blocks: Iterator[Vectors], total: int | None) -> Iterator[Vectors]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("encoding", total=total)
        for block in blocks:
            yield block
            progress.advance(task, len(block))
