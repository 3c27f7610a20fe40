"""A name or a folder to an encoder."""

from __future__ import annotations

from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from yuyi.artifacts import hash_file, hash_json
from yuyi.encode.encoder import Encoder
from yuyi.encode.facts import Facts
from yuyi.encode.static_folder import STATIC_READERS
from yuyi.errors import InputError, ModelError
from yuyi.extras import require
from yuyi.layout import TRANSFORMER_LAYOUTS, find_layout, has_onnx_weights, has_torch_weights
from yuyi.text.prompts import Prompts
from yuyi.text.tokenizer import BatchTokenizer

if TYPE_CHECKING:
    import os

    from yuyi.encode.backend import Backend
    from yuyi.pipeline import Pipeline

EMBEDDED = Path(__file__).parent.parent / "embedded" / "static-zh-en"

BackendName = Literal["auto", "torch", "onnx", "static"]
Dtype = Literal["auto", "float32", "bfloat16", "float16", "int8"]


def load(
    name_or_folder: str | os.PathLike[str] | None = None,
    *,
    revision: str | None = None,
    backend: BackendName = "auto",
    device: str | None = None,
    dtype: Dtype = "auto",
    pooling: str | None = None,
    truncate_dim: int | None = None,
    max_tokens: int | None = None,
) -> Encoder:
    """An encoder for a model; without an argument, for the one inside the package.

    A folder is never looked for on the network. A name is, when it is not on this machine and neither
    YUYI_OFFLINE nor HF_HUB_OFFLINE is set. Code in a model folder is never run.

    Args:
        name_or_folder: path of a model folder (sentence-transformers, Hugging Face, ONNX, or yuyi's own), a
            short name that `yuyi models` lists, or a hub id "owner/name".
        revision: branch, tag or commit of a name; without it, the main branch.
        backend: the engine; `auto` is `static` for a token table, `torch` for weights where torch is
            installed, and otherwise `onnx`.
        device: where to compute, as torch names it; without it, a GPU if there is one.
        dtype: what to compute in; `auto` is the fastest whose vectors stay within 0.0001 of float32's.
        pooling: replaces the folder's own; needed for a plain Hugging Face folder of an unknown model.
        truncate_dim: keep only this many leading dimensions (Matryoshka); vectors are normalised after the
            cut.
        max_tokens: read this many tokens of a text at most, special ones included; not more than the model's
            own limit.

    Raises:
        ModelError: the model is missing, damaged or of an unknown kind.
        InputError: `truncate_dim` is not between 1 and the model's dimension, `max_tokens` leaves no room for
            text or goes beyond the model's limit, or an option does not fit.
        MissingExtra: the engine's package is not installed.

    Examples:
        >>> import yuyi
        >>> yuyi.load().dims
        (256, 128, 64)
        >>> yuyi.load(truncate_dim=64).encode("语义").shape
        (64,)
    """
    if backend not in get_args(BackendName):
        raise InputError(f"backend={backend!r}: choose one of {', '.join(get_args(BackendName))}.")
    if dtype not in get_args(Dtype):
        raise InputError(f"dtype={dtype!r}: choose one of {', '.join(get_args(Dtype))}.")
    return _open_folder(
        find_folder(name_or_folder, revision, backend, dtype), str(name_or_folder),
        backend=backend, device=device, dtype=dtype, pooling=pooling, truncate_dim=truncate_dim,
        max_tokens=max_tokens,
    )  # fmt: skip


def reopen(arguments: dict[str, Any], shared: str | None) -> Encoder:
    """The encoder that another process has, in this one.

    Args:
        arguments: its `Encoder.arguments`.
        shared: path of what its `share` has written; None where it wrote nothing.
    """
    return _open_folder(**arguments, shared=shared)


def _open_folder(
    folder: Path,
    name: str,
    *,
    backend: BackendName,
    device: str | None,
    dtype: Dtype,
    pooling: str | None,
    truncate_dim: int | None,
    max_tokens: int | None,
    shared: str | None = None,
) -> Encoder:
    """An encoder with the arguments by which other processes open the very same folder."""
    # Absolute and without a revision: neither a change of folder nor a newer revision moves it.
    arguments = {
        "folder": folder.absolute(), "name": name, "backend": backend, "device": device, "dtype": dtype,
        "pooling": pooling, "truncate_dim": truncate_dim, "max_tokens": max_tokens,
    }  # fmt: skip
    layout = find_layout(folder)
    if layout.name in TRANSFORMER_LAYOUTS:
        encoder = _load_transformer(
            folder, name, backend, device, dtype, pooling, truncate_dim, max_tokens, shared
        )
        found = {"backend": encoder.backend_name, "device": encoder.device, "dtype": encoder.dtype}
        encoder.arguments = {**arguments, **found}
        return encoder
    for option, value, fitting in (
        ("backend", backend, ("auto", "static")),
        ("device", device, (None, "cpu")),
        ("dtype", dtype, ("auto",)),
        ("pooling", pooling, (None, "mean")),
    ):
        if value not in fitting:
            raise InputError(
                f"{option}={value!r}: {folder.name} is a token table, which has but one way. Leave it out."
            )
    encoder = _load_static(folder, layout.name, truncate_dim, max_tokens)
    encoder.arguments = arguments
    return encoder


def find_folder(
    name_or_folder: str | os.PathLike[str] | None,
    revision: str | None = None,
    backend: BackendName = "auto",
    dtype: Dtype = "auto",
) -> Path:
    """The folder of a model as `load` finds it, fetched where it is not on this machine.

    Raises:
        ModelError: there is no such model.
        MissingExtra: it is not here, and what fetches it is not installed.
    """
    if name_or_folder is None:
        return EMBEDDED
    from yuyi.hub import resolve

    engine = backend if backend in ("torch", "onnx") else None
    return resolve(name_or_folder, revision=revision, engine=engine, dtype=dtype)


def _load_static(folder: Path, layout: str, truncate_dim: int | None, max_tokens: int | None) -> Encoder:
    model = STATIC_READERS[layout](folder)
    facts = Facts(
        name=model.card.name,
        folder=folder,
        dims=model.card.dims,
        digest=lambda: model.digest,
        prompts=model.prompts,
        languages=model.card.languages,
        license=model.card.license,
    )
    backend = model.backend
    if truncate_dim is not None and truncate_dim != backend.dim:
        facts.check_dim(truncate_dim)
        facts, backend = facts.cut(truncate_dim), backend.cut(truncate_dim)
    if max_tokens is not None:
        facts = facts.limit(max_tokens)
    return Encoder(backend, BatchTokenizer(model.tokenizer), facts)


def _load_transformer(
    folder: Path,
    name: str,
    backend: str,
    device: str | None,
    dtype: Dtype,
    pooling: str | None,
    truncate_dim: int | None,
    max_tokens: int | None,
    shared: str | None = None,
) -> Encoder:
    from yuyi.known import find
    from yuyi.pipeline import read_pipeline
    from yuyi.text.tokenizer_folder import read_tokenizer

    pipeline = read_pipeline(folder, pooling=pooling, known=find(name.partition("@")[0]))
    engine = _choose_engine(pipeline, backend)
    tokenizer = BatchTokenizer(read_tokenizer(pipeline.transformer, lower_case=pipeline.lower_case))
    _check_vocabulary(pipeline, tokenizer)
    opened = _open(engine, pipeline, device, dtype, shared)
    facts = Facts(
        name=pipeline.name,
        folder=folder,
        dims=(opened.dim, *(dim for dim in pipeline.dims if dim < opened.dim)),
        digest=lambda: _digest(pipeline, opened),
        max_tokens=pipeline.max_tokens,
        pooling="+".join(pipeline.pooling),
        special_tokens=True,
        prompts=Prompts(pipeline.prompts, pipeline.default_prompt),
        include_prompt=pipeline.include_prompt,
        languages=pipeline.languages,
        license=pipeline.license,
    )
    if truncate_dim is not None:
        facts.check_dim(truncate_dim)
        facts = facts.cut(truncate_dim)
    if max_tokens is not None:
        facts = _limited(facts, tokenizer, max_tokens)
    return Encoder(opened, tokenizer, facts)


def _limited(facts: Facts, tokenizer: BatchTokenizer, max_tokens: int) -> Facts:
    """The facts with a shorter limit that still has room for text between the special tokens."""
    limited, specials = facts.limit(max_tokens), tokenizer.frame(None).specials
    if max_tokens <= specials:
        raise InputError(
            f"max_tokens={max_tokens}: {facts.name} puts {specials} special tokens around a text. Give more."
        )
    return limited


def _check_vocabulary(pipeline: Pipeline, tokenizer: BatchTokenizer) -> None:
    """Raise when the tokenizer knows pieces that the model has no rows for."""
    from yuyi.pipeline import read_json

    rows = read_json(pipeline.transformer / "config.json").get("vocab_size")
    if isinstance(rows, int) and tokenizer.vocabulary_size > rows:
        raise ModelError(
            f"{pipeline.folder}: its tokenizer knows {tokenizer.vocabulary_size} pieces, its config.json "
            f"{rows}. Copy both files again, from one model."
        )


def _choose_engine(pipeline: Pipeline, backend: str) -> Literal["torch", "onnx"]:
    """The engine for a transformer's folder, with its package installed.

    Raises:
        ModelError: the folder has no weights that the engine could read.
        MissingExtra: the package is not installed.
        InputError: the static engine was asked for.
    """
    if backend == "static":
        raise InputError(f"backend='static': {pipeline.folder} holds no token table. Choose torch or onnx.")
    torch, onnx = has_torch_weights(pipeline.transformer), has_onnx_weights(pipeline.folder)
    if not torch and not onnx:
        raise ModelError(
            f"{pipeline.folder}: holds no weights, neither model.safetensors or pytorch_model.bin nor "
            "onnx/model.onnx. Copy the folder again."
        )
    if backend == "auto":
        can_torch, can_onnx = find_spec("torch") is not None, find_spec("onnxruntime") is not None
        backend = "torch" if torch and (can_torch or not (onnx and can_onnx)) else "onnx"
    if backend == "torch" and not torch:
        raise ModelError(f"{pipeline.folder}: holds an ONNX file alone. Choose backend='onnx'.")
    if backend == "onnx" and not onnx:
        raise ModelError(f"{pipeline.folder}: holds no ONNX file. Choose backend='torch'.")
    engine: Literal["torch", "onnx"] = "torch" if backend == "torch" else "onnx"
    require(engine)
    return engine


def _open(
    engine: Literal["torch", "onnx"],
    pipeline: Pipeline,
    device: str | None,
    dtype: Dtype,
    shared: str | None,
) -> Backend:
    if shared is not None:
        from yuyi.encode.torch_backend import open_shared

        return open_shared(shared)
    if engine == "torch":
        from yuyi.encode.torch_backend import open_backend as open_torch

        return open_torch(pipeline, device=device, dtype=dtype)
    from yuyi.encode.onnx_backend import open_backend as open_onnx

    return open_onnx(pipeline, device=device, dtype=dtype)


def _digest(pipeline: Pipeline, backend: Backend) -> str:
    """Hex digest of the files and settings that decide the vectors."""
    from yuyi.text.tokenizer_folder import TOKENIZER_FILES

    tokenizer = (pipeline.transformer / name for name in TOKENIZER_FILES)
    # The config decides vectors too: the activation, the number of heads, the base of rotary positions.
    config = pipeline.transformer / "config.json"
    files = [*backend.files, config, *(path for path in tokenizer if path.is_file())]
    return hash_json(
        {
            "files": [[path.name, hash_file(path)] for path in files],
            "pooling": [pipeline.pooling, pipeline.include_prompt],
            "heads": [[type(head).__name__, {**asdict(head), "folder": None}] for head in pipeline.heads],
            "lengths": [pipeline.max_tokens, pipeline.lower_case],
            "prompts": [pipeline.prompts, pipeline.default_prompt],
            "arithmetic": backend.arithmetic,
        }
    )
