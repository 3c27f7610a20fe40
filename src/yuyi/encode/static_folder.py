"""The two folder forms of a token table: yuyi's own, and sentence-transformers' StaticEmbedding.

yuyi's folder holds `tokenizer.json`, `table.safetensors` (int8 `rows`, float32 `scales`) and `yuyi.json`,
which names the model and carries the SHA-256 of the other files and of itself, so that a single flipped byte
is found. A table with prompts has them where sentence-transformers does, in a file of its settings that
`yuyi.json` names as well.
"""

from __future__ import annotations

import hashlib
import json
import mmap
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import safetensors
import safetensors.numpy
from tokenizers import Tokenizer

from yuyi.artifacts import hash_file, hash_json, publish_folder, write_json
from yuyi.encode.static_backend import StaticBackend
from yuyi.errors import ModelError
from yuyi.pipeline import read_modules, read_prompts, read_similarity
from yuyi.text.prompts import Prompts
from yuyi.text.tokenizer_folder import load_tokenizer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

_FORMAT = "yuyi-static"
_VERSION = 1
# A row below this counts as zeros; its scale would be too small for float32 to hold exactly.
_ZERO = 1e-30
# The weights of sentence-transformers' StaticEmbedding: in a folder of their own before its version 5.
_TABLE = "model.safetensors"
# Where sentence-transformers keeps prompts.
_SETTINGS = "config_sentence_transformers.json"
# The types a token table may have, by their names in the safetensors format.
_DTYPES = {"I8": np.int8, "F16": np.float16, "F32": np.float32, "F64": np.float64}


@dataclass(frozen=True, slots=True)
class StaticCard:
    """What a model says of itself in `yuyi.json`.

    Attributes:
        name: its name.
        dims: its Matryoshka dimensions, largest first; the first is the length of a row.
        languages: codes of the languages it was trained on.
        license: SPDX identifier.
    """

    name: str
    dims: tuple[int, ...]
    languages: tuple[str, ...] = ()
    license: str = ""


@dataclass(frozen=True, slots=True)
class StaticModel:
    """A token table as read from disk.

    Attributes:
        card: what it says of itself.
        tokenizer: its tokenizer.
        backend: its table.
        digest: hex SHA-256 of everything that decides the vectors.
        prompts: its prompts.
        similarity: by what its vectors are compared, as sentence-transformers calls it.
    """

    card: StaticCard
    tokenizer: Tokenizer
    backend: StaticBackend
    digest: str
    prompts: Prompts = field(default_factory=Prompts)
    similarity: str = "cosine"

    @property
    def settings(self) -> dict[str, Any]:
        """What sentence-transformers' file of settings says of it."""
        prompts = {"prompts": dict(self.prompts.texts), "default_prompt_name": self.prompts.default}
        return {**prompts, "similarity_fn_name": self.similarity}


def quantize(table: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """(vocabulary, dim) int8 and (vocabulary,) float32 scales; no value is off by more than half a scale."""
    peaks = np.abs(table).max(axis=1)
    scales = np.where(peaks > _ZERO, peaks / 127, 1).astype(np.float32)
    return np.rint(table / scales[:, None]).astype(np.int8), scales


def save_static(folder: Path, card: StaticCard, tokenizer: Tokenizer, table: NDArray[np.float32]) -> None:
    """Write a yuyi folder; the table is stored as int8 rows with scales. Published whole or not at all."""
    with publish_folder(folder) as temporary:
        write_static(temporary, card, tokenizer, table)


def write_static(
    folder: Path,
    card: StaticCard,
    tokenizer: Tokenizer,
    table: NDArray[np.float32],
    settings: Mapping[str, Any] | None = None,
) -> None:
    """Write the files of a yuyi folder into a folder that exists, to be published together with others.

    Args:
        folder: where they go.
        card: what the model says of itself.
        tokenizer: its tokenizer.
        table: (pieces, dim), stored as int8 rows with scales.
        settings: `StaticModel.settings` of a model with prompts, which decide its vectors too.
    """
    rows, scales = quantize(table)
    contents = {
        "tokenizer.json": tokenizer.to_str(pretty=False).encode(),
        "table.safetensors": safetensors.numpy.save({"rows": rows, "scales": scales}),
    }
    if settings is not None:
        contents[_SETTINGS] = json.dumps(settings, ensure_ascii=False, indent=2).encode()
    about: dict[str, Any] = {"format": _FORMAT, "version": _VERSION, **asdict(card)}
    about["files"] = {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()}
    contents["yuyi.json"] = _sealed(about)
    for name, data in contents.items():
        (folder / name).write_bytes(data)


def read_static(folder: Path) -> StaticModel:
    """The model in a yuyi folder, after checking every byte against `yuyi.json`.

    Raises:
        ModelError: a file is damaged, or the folder was written by a newer version.
    """
    about = _read_about(folder / "yuyi.json")
    contents = {}
    for name, digest in about["files"].items():
        contents[name] = _map(folder / name)
        if hashlib.sha256(contents[name]).hexdigest() != digest:
            raise ModelError(
                f"{folder / name}: damaged, its SHA-256 is not the one in yuyi.json. Copy it again."
            )
    rows, scales = _tensors(folder / "table.safetensors", "rows", "scales")
    card = StaticCard(about["name"], tuple(about["dims"]), tuple(about["languages"]), about["license"])
    backend = StaticBackend(rows, scales)
    tokenizer = Tokenizer.from_str(bytes(contents["tokenizer.json"]).decode())
    prompts = Prompts(*read_prompts(folder)) if _SETTINGS in about["files"] else Prompts()
    return StaticModel(card, tokenizer, backend, hash_json(about["files"]), prompts, read_similarity(folder))


def _map(path: Path) -> memoryview:
    """The bytes of a file, which are in memory once for all processes that read it."""
    with path.open("rb") as file:
        if not path.stat().st_size:
            return memoryview(b"")  # It cannot be mapped.
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def _tensors(path: Path, *names: str) -> list[NDArray[Any]]:
    """The tensors of these names in a safetensors file, mapped; the library would copy them.

    Raises:
        safetensors.SafetensorError: the file is damaged.
        KeyError: a tensor is not there.
        ModelError: a tensor is of a type that numpy does not have.
    """
    with safetensors.safe_open(path, "numpy"):
        data = _map(path)  # Opening it has checked that all tensors lie within.
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(bytes(data[8:start]))
    tensors = []
    for name in names:
        about = header[name]
        if about["dtype"] not in _DTYPES:
            raise ModelError(
                f"{path}: {name} is of type {about['dtype']}; a token table may be {', '.join(_DTYPES)}. "
                "Save it as float32: SentenceTransformer(folder).float().save(folder)."
            )
        first, stop = about["data_offsets"]
        values = np.frombuffer(data[start + first : start + stop], _DTYPES[about["dtype"]])
        tensors.append(values.reshape(about["shape"]))
    return tensors


def _sealed(about: dict[str, Any]) -> bytes:
    """What `yuyi.json` holds: a description, and at its end the digest of it."""
    return json.dumps({**about, "digest": hash_json(about)}, ensure_ascii=False, indent=2).encode()


def _read_about(path: Path) -> dict[str, Any]:
    data = path.read_bytes()
    try:
        about: dict[str, Any] = json.loads(data)
        written_by = about["format"], about["version"]
        del about["digest"]
        intact = _sealed(about) == data
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{path}: damaged, it cannot be read as a model description. Copy it again."
        ) from error
    if written_by != (_FORMAT, _VERSION):
        kind, version = written_by
        raise ModelError(
            f"{path}: {kind!r} of version {version!r}; this yuyi reads {_FORMAT!r} of version {_VERSION}. "
            "Upgrade yuyi."
        )
    if not intact:
        raise ModelError(f"{path}: damaged or edited, its digest does not fit. Copy it again.")
    return about


def save_sentence_transformers(folder: Path, model: StaticModel) -> None:
    """Write the folder that sentence-transformers opens as StaticEmbedding + Normalize, to equal vectors."""
    modules = [
        {
            "idx": 0,
            "name": "0",
            "path": "0_StaticEmbedding",
            "type": "sentence_transformers.models.StaticEmbedding",
        },
        {"idx": 1, "name": "1", "path": "1_Normalize", "type": "sentence_transformers.models.Normalize"},
    ]
    with publish_folder(folder) as temporary:
        inner = temporary / "0_StaticEmbedding"
        inner.mkdir()
        (temporary / "1_Normalize").mkdir()
        (temporary / "modules.json").write_text(json.dumps(modules, indent=2))
        write_json(temporary / _SETTINGS, model.settings)
        (inner / "tokenizer.json").write_text(model.tokenizer.to_str(pretty=False), encoding="utf-8")
        safetensors.numpy.save_file({"embedding.weight": model.backend.table()}, inner / "model.safetensors")


def read_sentence_transformers(folder: Path) -> StaticModel:
    """The token table in a sentence-transformers StaticEmbedding folder.

    A Normalize after it says no more than `encode` does by itself.

    Raises:
        ModelError: the weights or the tokenizer cannot be read, or do not belong together; or another module
            follows the table.
    """
    others = [kind for kind, _ in read_modules(folder) if kind not in ("StaticEmbedding", "Normalize")]
    if others:
        raise ModelError(
            f"{folder / 'modules.json'}: {', '.join(others)} beside a StaticEmbedding; yuyi can follow that "
            "with Normalize alone. Choose another model."
        )
    inner = next(
        (part for part in (folder / "0_StaticEmbedding", folder) if (part / _TABLE).is_file()), folder
    )
    weights = inner / _TABLE
    try:
        (table,) = _tensors(weights, "embedding.weight")
    except (OSError, KeyError, safetensors.SafetensorError) as error:
        raise ModelError(
            f"{weights}: damaged, no embedding table can be read from it. Copy it again."
        ) from error
    tokenizer = load_tokenizer(inner / "tokenizer.json")
    pieces = 1 + max(tokenizer.get_vocab().values(), default=-1)
    if pieces > len(table):
        raise ModelError(
            f"{folder}: its tokenizer knows {pieces} pieces, its table has {len(table)} rows. "
            "Copy both files again, from one model."
        )
    prompts, default = read_prompts(folder)
    digest = hash_json([hash_file(weights), hash_file(inner / "tokenizer.json"), prompts, default])
    card = StaticCard(folder.resolve().name, (table.shape[1],))
    backend = StaticBackend(table.astype(np.float32, copy=False), None)
    return StaticModel(card, tokenizer, backend, digest, Prompts(prompts, default), read_similarity(folder))


# The reader of each layout of a token table.
STATIC_READERS = {
    "yuyi-static": read_static,
    "sentence-transformers-static": read_sentence_transformers,
}
