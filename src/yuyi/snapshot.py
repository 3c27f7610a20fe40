"""Which files make a model folder whole, and which files of a repository are worth fetching."""

from __future__ import annotations

import json
import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Literal

from yuyi.layout import ONNX_FILES, has_onnx_weights

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

# The forms of weights, the better one first; an index names the parts of weights that fill several files.
_FORMS = (
    re.compile(r"(model(-\d+-of-\d+)?|table)\.safetensors|model\.safetensors\.index\.json"),
    re.compile(r"pytorch_model(-\d+-of-\d+)?\.bin|pytorch_model\.bin\.index\.json"),
)
# What lies beside an ONNX file of more than 2 GB: its tensors, in one file or several.
_ONNX_DATA = re.compile(r"(.+\.onnx)[._]data(_\d+)?")
_SETTINGS = re.compile(r".+(?<!\.index)\.json|.+\.txt|.+\.model|README\.md")
_MODULE_FOLDER = re.compile(r"\.|\d+_\w+")

Engine = Literal["torch", "onnx"]

# What `find_lack` says of a folder that does not exist.
NOTHING = "not there"


def choose_files(names: Collection[str], *, engine: Engine, dtype: str = "auto") -> list[str]:
    """The files of a repository that a model needs: settings, tokenizer and one form of its weights.

    Code is never among them, nor a second form of the same weights.

    Args:
        names: paths inside the repository, with "/".
        engine: what is to run the model. An ONNX file is taken for `onnx` where there is one, for `torch`
            where there is nothing else.
        dtype: what an ONNX file is to compute in; there are several of one model.
    """
    folders: dict[str, list[PurePosixPath]] = {}
    for path in map(PurePosixPath, names):
        folders.setdefault(str(path.parent), []).append(path)
    modules = [paths for folder, paths in folders.items() if _MODULE_FOLDER.fullmatch(folder)]
    chosen = {str(path) for paths in modules for path in paths if _SETTINGS.fullmatch(path.name)}
    weights = {str(path) for paths in modules for path in _best_form(paths)}
    encoder = {name for name in weights if "/" not in name or name.startswith("0_")}
    onnx = _onnx_files(names, dtype)
    if onnx and not (encoder and engine == "torch"):
        weights = weights - encoder | onnx
    return sorted(chosen | weights)


def _best_form(paths: list[PurePosixPath]) -> list[PurePosixPath]:
    """The weights among the files of one folder, in the best form there is."""
    forms = ([path for path in paths if form.fullmatch(path.name)] for form in _FORMS)
    return next(filter(None, forms), [])


def _onnx_files(names: Collection[str], dtype: str) -> set[str]:
    """The ONNX file for a dtype, the preferred one of several, with its data files."""
    for name in ONNX_FILES.get(dtype, ONNX_FILES["float32"]):
        for model in (f"onnx/{name}", name):
            if model in names:
                beside = (_ONNX_DATA.fullmatch(found) for found in names)
                return {model} | {match[0] for match in beside if match and match[1] == model}
    return set()


def find_lack(folder: Path, dim: int | None = None, engine: Engine | None = None, dtype: str = "auto") -> str:
    """What a model folder lacks, in a few words; "" when it is whole.

    A download that was stopped, or a program that fetched only what it needed itself, leaves a part.

    Args:
        folder: a folder that may not exist.
        dim: dimension of the model's vectors where it is known. A folder that gives vectors of another
            length lacks the layers that should follow the encoder.
        engine: what must be able to run it; None for any.
        dtype: what it must compute in, where ONNX runs it.
    """
    if not folder.is_dir():
        return NOTHING
    try:
        return ", ".join(f"no {part}" for part in _missing(folder, dim, engine, dtype))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return "its settings cannot be read"


def _missing(folder: Path, dim: int | None, engine: Engine | None, dtype: str) -> Iterator[str]:
    if (folder / "yuyi.json").is_file():
        yield from (name for name in ("tokenizer.json", "table.safetensors") if not (folder / name).is_file())
    elif (folder / "modules.json").is_file():
        modules = json.loads((folder / "modules.json").read_bytes())
        if not modules:
            yield "modules in modules.json"
        for module in modules:
            kind = module["type"].rpartition(".")[2]
            yield from _missing_of_module(folder, module["path"], kind, engine, dtype)
    else:
        yield from _missing_of_module(folder, "", "Transformer", engine, dtype)
        config = folder / "config.json"
        if dim and config.is_file() and json.loads(config.read_bytes()).get("hidden_size", dim) != dim:
            yield "modules.json"


def _missing_of_module(
    folder: Path, path: str, kind: str, engine: Engine | None, dtype: str
) -> Iterator[str]:
    """What one module of a sentence-transformers folder lacks; a kind without files lacks nothing."""
    inner = folder / path
    place = f" in {path}" if path else ""
    if kind in ("Transformer", "Pooling", "Dense") and not (inner / "config.json").is_file():
        yield f"config.json{place}"
    if kind in ("Transformer", "StaticEmbedding"):
        if not any((inner / name).is_file() for name in ("tokenizer.json", "vocab.txt")):
            yield f"tokenizer.json{place}"
        yield from _missing_weights(folder, inner, place, engine if kind == "Transformer" else None, dtype)
    elif kind == "Dense" and not _has_weights(inner):
        yield f"weights{place}"


def _missing_weights(
    folder: Path, inner: Path, place: str, engine: Engine | None, dtype: str
) -> Iterator[str]:
    """What the engine lacks of an encoder's weights; a token table needs none."""
    torch, onnx = _has_weights(inner), has_onnx_weights(folder)
    if not torch and not onnx:
        yield f"weights{place}"
    elif engine == "torch" and not torch:
        yield f"weights for torch{place}"
    elif engine == "onnx" and not onnx:
        yield "ONNX file"
    elif engine == "onnx" and not has_onnx_weights(folder, dtype):
        yield f"ONNX file in {dtype}"


def _has_weights(folder: Path) -> bool:
    """Whether weights are there in one form, all parts of them."""
    for name in ("model.safetensors", "pytorch_model.bin"):
        if (folder / name).is_file():
            return True
        index = folder / f"{name}.index.json"
        if index.is_file():
            parts = set(json.loads(index.read_bytes())["weight_map"].values())
            return all((folder / part).is_file() for part in parts)
    return False
