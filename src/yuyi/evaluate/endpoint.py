"""Any endpoint for embeddings that speaks OpenAI's protocol, as an encoder."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from yuyi.artifacts import hash_json
from yuyi.encode.output import unit
from yuyi.errors import InputError, ModelError
from yuyi.server import Later, Refused, Server

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

_PATH = "/embeddings"
# What tells one model from another, whatever they are called: how alike it takes these to be.
_PROBE = ["今天天气很好", "The weather is nice today", "如何更换护照", "def add(a, b): return a + b"]
# Servers differ from answer to answer in the last decimals. The wider a step, the less often a likeness lies
# so near to its edge that an answer falls to this side and the next one to the other.
_STEPS = 4  # to a likeness of 1


class Endpoint:
    """A model behind an address; texts go there in batches, several at a time.

    Args:
        server: the address and the model's name there.
        dimensions: vectors of this length are asked for; without it, of the model's own.
        batch: texts in a request.
        concurrency: requests on their way at a time.

    Raises:
        InputError: the server does not answer, or refuses.
        ModelError: what it answers are not vectors.
    """

    backend_name = "endpoint"

    def __init__(
        self, server: Server, *, dimensions: int | None = None, batch: int = 64, concurrency: int = 4
    ) -> None:
        self._server = server
        self._asked = {} if dimensions is None else {"dimensions": dimensions}
        self._batch = batch
        self._concurrency = concurrency
        self._probe = self._vectors(_PROBE)

    @property
    def name(self) -> str:
        """The model's name at the endpoint."""
        return self._server.model

    @property
    def dim(self) -> int:
        """Length of the vectors, as the first answer had it."""
        return len(self._probe[0])

    @cached_property
    def fingerprint(self) -> str:
        """Hex digest of the address, the model's name, its dimension and its answer to a few texts.

        Another model behind the same address and name is noticed where it is of another dimension, or takes
        these texts to be alike otherwise by about a quarter; one that was trained a little further is not:
        give it another name.
        """
        vectors = unit(self._probe)
        likeness = np.rint((vectors @ vectors.T)[np.triu_indices(len(vectors), 1)] * _STEPS)
        return hash_json([self._server.url(_PATH), self.name, self.dim, likeness.astype(int).tolist()])

    @property
    def role_prompts(self) -> dict[str, str]:
        """What is put before texts by their role: nothing, unless the server does so itself."""
        return {"": "", "query": "", "document": ""}

    def encode(self, inputs: str | Iterable[str], *, prompt: str = "", normalize: bool = True) -> Vectors:
        """(rows, dim) float32, of unit length unless `normalize` is false.

        Args:
            inputs: a text, or an iterable of texts.
            prompt: a text to put before each.
            normalize: scale each vector to unit length; otherwise they are as the server gives them.

        Raises:
            InputError: the server does not answer, or refuses a text; the message names it.
            ModelError: what it answers are not vectors of the right number and length.
        """
        texts = [prompt + text for text in ([inputs] if isinstance(inputs, str) else inputs)]
        batches = [texts[start : start + self._batch] for start in range(0, len(texts), self._batch)]
        with ThreadPoolExecutor(self._concurrency) as pool:
            try:
                found = list(pool.map(self._vectors, batches))
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        vectors = np.concatenate([np.empty((0, self.dim), np.float32), *found])
        return unit(vectors) if normalize else vectors

    def encode_query(self, inputs: str | Iterable[str]) -> Vectors:
        """(rows, dim) float32 of unit length, like `encode`."""
        return self.encode(inputs)

    def encode_document(self, inputs: str | Iterable[str]) -> Vectors:
        """(rows, dim) float32 of unit length, like `encode`."""
        return self.encode(inputs)

    def _vectors(self, texts: list[str]) -> Vectors:
        """(rows, dim) float32; where the server refuses, in halves, until the text that it minds is found."""
        try:
            body = {"input": texts, **self._asked}
            vectors = self._server.ask(_PATH, body, _read, first=not hasattr(self, "_probe"))
        except Refused as refused:
            if len(texts) == 1:
                raise InputError(
                    f"{self._server.url(_PATH)}: {refused}. It refuses the text {texts[0]!r:.80} of "
                    f"{len(texts[0])} characters. Shorten or leave out the text, or check the model."
                ) from refused
            half = len(texts) // 2
            return np.concatenate([self._vectors(texts[:half]), self._vectors(texts[half:])])
        self._check(texts, vectors)
        return vectors

    def _check(self, texts: list[str], vectors: Vectors) -> None:
        where = f"{self._server.url(_PATH)}: {self.name}"
        if len(vectors) != len(texts):
            raise ModelError(
                f"{where} gave {len(vectors)} vectors for {len(texts)} texts. Check that the server embeds "
                "lists of texts."
            )
        if hasattr(self, "_probe") and vectors.shape[1] != self.dim:
            raise ModelError(
                f"{where} gave vectors of {vectors.shape[1]} values, and before of {self.dim}. Check that "
                "one model answers alone."
            )
        finite = np.isfinite(vectors).all(axis=1)
        if not finite.all():
            text = texts[int(np.argmin(finite))]
            raise ModelError(
                f"{where} gave {text!r:.60} a vector that is not a number. Check the server's number type."
            )


def _read(body: bytes) -> Vectors:
    """(rows, dim) float32 of an answer, in the order of the texts."""
    try:
        data = json.loads(body)["data"]
        rows = [entry["embedding"] for entry in sorted(data, key=lambda entry: int(entry["index"]))]
        vectors = np.array(rows, np.float32)
        if vectors.ndim != 2:
            raise ValueError(f"vectors of shape {vectors.shape}")
    except (ValueError, LookupError, TypeError, OverflowError, RecursionError) as error:
        raise Later(f"no embeddings but {body[:80]!r}") from error
    return vectors
