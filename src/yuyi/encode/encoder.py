"""The encoder: texts in, vectors out, with any engine."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sized
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Unpack, overload

import numpy as np

from yuyi.encode import output
from yuyi.encode.flow import Block, blocks, in_order
from yuyi.encode.options import Way, settle
from yuyi.encode.tensors import as_tensor
from yuyi.errors import InputError, ModelError, WorkerError, YuyiWarning
from yuyi.extras import require
from yuyi.machine import available_cores
from yuyi.progress import progress
from yuyi.text.overflow import EncodeInfo, Frame, Overflow, fit, mean_of_chunks
from yuyi.text.plan import plan, select
from yuyi.text.prompts import DOCUMENT, QUERY

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from typing import BinaryIO

    from numpy.typing import NDArray

    from yuyi.encode.backend import Backend
    from yuyi.encode.devices import Workers
    from yuyi.encode.facts import Facts
    from yuyi.encode.options import EncodeOptions, VectorOptions
    from yuyi.encode.output import Precision
    from yuyi.text.tokenizer import BatchTokenizer
    from yuyi.types import TokenBatch

    Vectors = NDArray[np.float32]


class _Done(NamedTuple):
    """A block's vectors, and what became of its tokens."""

    vectors: NDArray[Any]
    info: EncodeInfo


class Encoder:
    """Encodes texts with a model. Made by `yuyi.load`; may be used from several threads."""

    def __init__(self, backend: Backend, tokenizer: BatchTokenizer, facts: Facts) -> None:
        self._backend = backend
        self._tokenize = tokenizer
        self._facts = facts
        self._cores = available_cores()
        # Of `yuyi.load`, by which worker processes open the same model.
        self.arguments: dict[str, Any] = {}
        specials = tokenizer.frame(None) if facts.special_tokens else Frame()
        self._frame = specials.limited(facts.max_tokens)

    @property
    def name(self) -> str:
        """The model's name."""
        return self._facts.name

    @property
    def folder(self) -> Path:
        """Where the model was read from."""
        return self._facts.folder

    @property
    def languages(self) -> tuple[str, ...]:
        """Codes of the model's languages, as far as it tells."""
        return self._facts.languages

    @property
    def license(self) -> str:
        """SPDX identifier of the model's licence, or the empty string."""
        return self._facts.license

    @property
    def dim(self) -> int:
        """Length of the vectors."""
        return self._facts.dims[0]

    @property
    def dims(self) -> tuple[int, ...]:
        """The Matryoshka dimensions that the model declares, largest first; `dim` is the first."""
        return self._facts.dims

    @property
    def max_tokens(self) -> int | None:
        """The longest text that the model reads whole, special tokens included; None for any length."""
        return self._facts.max_tokens

    @property
    def prompts(self) -> dict[str, str]:
        """What the model puts before texts, by the names that `prompt_name` takes."""
        return dict(self._facts.prompts.texts)

    @property
    def role_prompts(self) -> dict[str, str]:
        """What stands before texts by their role: `query`, `document`, and the empty string for neither."""
        choose = self._facts.prompts.choose
        roles = {"": (), "query": QUERY, "document": DOCUMENT}
        return {name: choose(None, None, role) for name, role in roles.items()}

    @property
    def pooling(self) -> str:
        """How the vectors of tokens become one: `cls`, `mean`, `last` and so on."""
        return self._facts.pooling

    @property
    def vocabulary_size(self) -> int:
        """Number of pieces in the vocabulary."""
        return self._tokenize.vocabulary_size

    @property
    def backend_name(self) -> str:
        """The engine: `static`, `torch` or `onnx`."""
        return self._backend.name

    @property
    def dtype(self) -> str:
        """What the engine computes in: `float32`, `bfloat16`, `float16` or `int8`."""
        return self._backend.dtype

    @property
    def device(self) -> str:
        """Where the engine computes: `cpu`, `cuda:0`."""
        return self._backend.device

    @property
    def side_by_side(self) -> int:
        """How many blocks of texts the engine works on at a time."""
        return self._backend.threads

    @property
    def weight_bytes(self) -> int:
        """Size of the files that hold the weights; 0 for a token table, which is mapped from its file."""
        return sum(path.stat().st_size for path in self._backend.files)

    @cached_property
    def fingerprint(self) -> str:
        """Hex digest of everything that decides the vectors: weights, tokenizer, pooling, prompts, dimension.

        Vectors can be compared when the fingerprints of their encoders are equal. The first call reads all
        weights.
        """
        return self._facts.digest()

    @overload
    def encode(
        self, inputs: str | Iterable[str], *, return_info: Literal[True], **options: Unpack[EncodeOptions]
    ) -> tuple[NDArray[Any], EncodeInfo]: ...

    @overload
    def encode(
        self,
        inputs: str | Iterable[str],
        *,
        return_info: Literal[False] = ...,
        **options: Unpack[EncodeOptions],
    ) -> NDArray[Any]: ...

    @overload
    def encode(
        self, inputs: str | Iterable[str], *, return_info: bool, **options: Unpack[EncodeOptions]
    ) -> Any: ...

    def encode(
        self,
        inputs: str | Iterable[str],
        *,
        prompt_name: str | None = None,
        prompt: str | None = None,
        truncate_dim: int | None = None,
        normalize: bool = True,
        precision: Precision = "float32",
        overflow: Overflow = "cut",
        token_budget: int | None = None,
        show_progress: bool | None = None,
        convert_to_tensor: bool = False,
        return_info: bool = False,
        workers: Workers | None = None,
    ) -> Any:
        """(rows, dim) of unit length, one row a text in the order given; (dim,) for a single string.

        An empty text is encoded like any other: a transformer reads its special tokens alone, and a token
        table, which has none, gives the zero vector.

        Args:
            inputs: a text, or an iterable of texts.
            prompt_name: which of the model's prompts stands before each text; without it, its default one.
            prompt: a text to put before each text instead.
            truncate_dim: keep only this many leading values (Matryoshka); cut before scaled to unit length.
            normalize: scale each vector to unit length.
            precision: `float32`, `float16`, `int8` or `binary`, explained in `yuyi.encode.output`.
            overflow: what happens to a text with more tokens than the model takes. `cut` drops the rest and
                warns; `pool` reads it in chunks and averages their vectors by their tokens; `error` refuses.
            token_budget: the most tokens the engine gets at a time; without it, what suits the engine.
            show_progress: draw a progress bar on standard error, or never; without it, for work of more than
                two seconds at a terminal.
            convert_to_tensor: give a `torch.Tensor` instead of a numpy array.
            return_info: give (vectors, info), where `EncodeInfo` tells for each text how many tokens it has
                and how many were used; nothing is warned of then.
            workers: share the texts among this many processes, or one for each device named, as in
                `["cuda:0", "cuda:1"]`, or (`"auto"`) one for each GPU or as many as cores and memory allow.

        Raises:
            InputError: an input is not a string, or an option does not fit the model.
            MissingExtra: a tensor is asked for and torch is not installed.
            WorkerError: no worker survived some of the texts; it holds the vectors of the others.

        Examples:
            >>> import yuyi
            >>> vectors = yuyi.load().encode(["今天天气很好", "The weather is nice"])
            >>> vectors.shape, vectors.dtype
            ((2, 256), dtype('float32'))
        """
        way = self._way(
            prompt_name=prompt_name, prompt=prompt, truncate_dim=truncate_dim, normalize=normalize,
            precision=precision, overflow=overflow, token_budget=token_budget,
        )  # fmt: skip
        if convert_to_tensor:
            require("torch")  # Before an hour's work, not after it.
        texts = [inputs] if isinstance(inputs, str) else inputs
        total = len(texts) if isinstance(texts, Sized) else None
        nothing = output.store(np.zeros((0, way.dim), dtype=np.float32), way.precision)
        found = [_Done(nothing, EncodeInfo.joined([]))]
        with progress("encoding", total=total, shown=show_progress) as count:
            try:
                for done in self._run(texts, way, workers):
                    found.append(done)
                    count(len(done.vectors), int(done.info.used.sum()))
            except WorkerError as error:
                error.vectors = np.concatenate([done.vectors for done in found])
                raise
        info = EncodeInfo.joined(done.info for done in found)
        if not return_info and len(info.cut):
            _warn_of_cuts(info)
        vectors = np.concatenate([done.vectors for done in found])
        if isinstance(inputs, str):
            vectors = vectors[0]
        given = as_tensor(vectors) if convert_to_tensor else vectors
        return (given, info) if return_info else given

    def encode_query(
        self, inputs: str | Iterable[str], *, return_info: bool = False, **options: Unpack[EncodeOptions]
    ) -> Any:
        """(rows, dim) like `encode`, for texts that ask: after the prompt named `query`, if there is one."""
        return self.encode(inputs, return_info=return_info, **self._in_role(QUERY, options))

    def encode_document(
        self, inputs: str | Iterable[str], *, return_info: bool = False, **options: Unpack[EncodeOptions]
    ) -> Any:
        """(rows, dim) like `encode`, for texts that answer.

        The prompt named `document`, `passage` or `corpus` stands before them, where the model has one.
        """
        return self.encode(inputs, return_info=return_info, **self._in_role(DOCUMENT, options))

    def encode_stream(
        self,
        inputs: Iterable[str],
        *,
        return_info: bool = False,
        workers: Workers | None = None,
        first: int = 0,
        **options: Unpack[VectorOptions],
    ) -> Iterator[Any]:
        """Blocks of vectors, (rows, dim), in order; millions of texts pass in bounded memory.

        With `return_info`, pairs of a block and its `EncodeInfo`; otherwise the first cut text is warned of.
        Messages number the texts from `first`.

        Raises:
            InputError: an input is not a string, or an option does not fit the model.
            WorkerError: no worker survived some of the texts, whose rows were given as NaN; raised at the
                end, it names them.
        """
        done = self._run(inputs, self._way(**options), workers, first)
        return done if return_info else _vectors_of(done)

    def similarity(self, a: NDArray[Any], b: NDArray[Any]) -> Vectors:
        """(rows of a, rows of b) float32, the cosine of each pair; a single vector counts as one row.

        Binary vectors are compared by their equal bits; `yuyi.encode.output.similarity` says how.
        """
        return output.similarity(a, b)

    def tokens(self, text: str) -> list[str]:
        """The pieces that a text is cut into, special tokens left out.

        Raises:
            InputError: it is not a string, or no text.

        Examples:
            >>> import yuyi
            >>> yuyi.load().tokens("胡子长得太快")
            ['胡子', '长得', '太快']
        """
        if not isinstance(text, str):
            raise InputError(f"{text!r:.80}: not a string. Give one text.")
        return self._tokenize.tokens(text)

    def share(self, file: BinaryIO) -> bool:
        """Write the engine and its weights for worker processes to map into memory; False if it need not be.

        Only torch on the CPU needs it, which keeps weights in a form of its own: a token table is mapped from
        its folder, a GPU's weights are on the GPU.
        """
        share = getattr(self._backend, "share", None)
        if share is None or self.device != "cpu":
            return False
        share(file)
        return True

    def with_engine(self, backend: Backend) -> Encoder:
        """The same model with its tokenizer, prompts and limits, computed by another engine."""
        return Encoder(backend, self._tokenize, self._facts)

    def _in_role(self, role: Sequence[str], options: EncodeOptions) -> EncodeOptions:
        """The options with the prompt that fits the role, where none is asked for."""
        prompt = self._facts.prompts.choose(options.get("prompt_name"), options.get("prompt"), role)
        return {**options, "prompt_name": None, "prompt": prompt}

    def _way(self, **options: Unpack[VectorOptions]) -> Way:
        def count(prompt: str) -> int:
            try:
                return len(self._tokenize([prompt]).ids) if prompt else 0
            except InputError as error:
                raise InputError(str(error).replace("text 0", "the prompt", 1)) from error

        return settle(self._facts, count, len(self._frame.prefix), self._backend.token_budget, **options)

    def _run(
        self, inputs: Iterable[str], way: Way, workers: Workers | None, first: int = 0
    ) -> Iterator[_Done]:
        backend = self._backend

        def cut(count: int) -> Iterator[Block]:
            return blocks(inputs, count * backend.block_texts, count * backend.block_characters, first)

        if workers is not None:
            from yuyi.encode.workers import encode_in_workers

            done = encode_in_workers(self, cut, workers, **way.options)
            return (_Done(*parts) for parts in done)
        return in_order(cut(1), partial(self._encode_block, way), backend.threads, self._cores)

    def _encode_block(self, way: Way, block: Block, cores: int) -> _Done:
        texts = [way.prompt + text for text in block.texts] if way.prompt else block.texts
        ids = self._tokenize(texts, block.first)
        fitted = fit(ids, self._frame, way.overflow, head=way.head, first=block.first)
        vectors = mean_of_chunks(self._embed(fitted.batch, cores, way), fitted)[:, : way.dim]
        if not np.isfinite(vectors).all():
            row = int(np.argmin(np.isfinite(vectors).all(axis=1)))
            raise ModelError(
                f"{self.folder}: gives text {block.first + row} ({block.texts[row]!r:.40}) a vector that is "
                f"not a number. Its weights are damaged, or {self.dtype} is too narrow for them: copy the "
                "folder again, or load with dtype='float32'."
            )
        if way.normalize:
            vectors = output.unit(vectors)
        return _Done(output.store(vectors, way.precision), fitted.info)

    def _embed(self, batch: TokenBatch, cores: int, way: Way) -> Vectors:
        if way.token_budget is None:
            return self._backend.embed(batch, cores=cores, prompt_tokens=way.prompt_tokens)
        vectors = np.empty((len(batch), self._backend.dim), dtype=np.float32)
        for rows in plan(batch.lengths, way.token_budget):
            part = select(batch, rows)
            vectors[rows] = self._backend.embed(part, cores=cores, prompt_tokens=way.prompt_tokens)
        return vectors


def _vectors_of(blocks: Iterator[_Done]) -> Iterator[NDArray[Any]]:
    """The vectors alone, after a warning at the first block in which a text was cut."""
    warned = False
    for vectors, info in blocks:
        if not warned and len(info.cut):
            warned = True
            _warn_of_cuts(info, "so far, ")
        yield vectors


def _warn_of_cuts(info: EncodeInfo, reach: str = "") -> None:
    warnings.warn(
        f"{reach}{info.summary()}. overflow='pool' reads long texts whole, in chunks; overflow='error' "
        "refuses them; return_info=True tells which they are.",
        YuyiWarning,
        stacklevel=3,
    )
