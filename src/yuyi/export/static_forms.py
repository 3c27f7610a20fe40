"""Forms that no graph is needed for: a token table that three libraries open, and an encoder's own folder.

A table's folder is yuyi's own (int8 rows with scales) and model2vec's and sentence-transformers' at once:
these two find the same rows as float32, so that all three give equal vectors.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import safetensors
import safetensors.numpy

from yuyi.artifacts import write_json
from yuyi.encode.static_backend import StaticBackend
from yuyi.encode.static_folder import StaticModel, quantize, write_static
from yuyi.errors import InputError
from yuyi.export.base import plain_tokenizer
from yuyi.export.distilling.distil import distil
from yuyi.export.distilling.settings import Distilling
from yuyi.export.form import Form
from yuyi.pipeline import read_modules

if TYPE_CHECKING:
    from pathlib import Path

    from yuyi.export.form import Target
    from yuyi.export.settings import ExportSettings
    from yuyi.export.source import Source

FOLDER = "static"
_WEIGHTS = "model.safetensors"
# Rounding alone tells float32 in another order from float32, and int8 rows from float32 ones.
_LEAST = 0.99999
_LEAST_ROUNDED = 0.999
_MODULES = (("StaticEmbedding", "."), ("Normalize", "1_Normalize"))


def write_folder(folder: Path, source: Source, settings: ExportSettings) -> Form:
    """The model's own folder; the weights of an encoder are in it already, a table's are written."""
    if isinstance(source.model, StaticModel):
        return _write_table(folder, source.model, "folder")
    modules = [PurePosixPath(path) / _WEIGHTS for _, path in read_modules(folder)]
    weights = [path.as_posix() for path in modules if (folder / path).is_file()]
    return Form("folder", tuple(weights), _LEAST, options={"backend": "torch", "dtype": "float32"})


def _write_table(folder: Path, model: StaticModel, target: Target) -> Form:
    """Write a table into `static/`, unless it is there already."""
    inner = folder / FOLDER
    if not inner.exists():
        inner.mkdir()
        write_table(inner, model)
    files = tuple(f"{FOLDER}/{name}" for name in ("table.safetensors", "tokenizer.json", "yuyi.json"))
    copy = f"{FOLDER}/{_WEIGHTS}, {(inner / _WEIGHTS).stat().st_size / 1e6:.1f} MB"
    facts = {"the same in float32 for other libraries": copy}
    return Form(target, files, _LEAST_ROUNDED, folder=FOLDER, facts=facts)


def write_table(folder: Path, model: StaticModel) -> None:
    """Write a table as yuyi, sentence-transformers and model2vec open it, into a folder that exists."""
    table = model.backend.table()
    settings = model.settings if model.prompts.texts else None
    write_static(folder, model.card, plain_tokenizer(model.tokenizer), table, settings)
    # What the int8 rows mean, to the last digit.
    rows = StaticBackend(*quantize(table)).table()
    try:
        safetensors.numpy.save_file({"embeddings": rows}, folder / _WEIGHTS)
    except safetensors.SafetensorError as error:  # a full disk, for one
        raise OSError(str(error)) from error
    modules = [
        {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for number, (kind, path) in enumerate(_MODULES)
    ]
    write_json(folder / "modules.json", modules)
    write_json(folder / "config.json", {
        "model_type": "model2vec",
        "architectures": ["StaticModel"],
        "hidden_dim": rows.shape[1],
        "embedding_dtype": "float32",
        "normalize": True,
        "max_length": None,
    })  # fmt: skip
    if settings is None:
        write_json(folder / "config_sentence_transformers.json", model.settings)


def write_static_form(folder: Path, source: Source, settings: ExportSettings) -> Form:
    """A token table, distilled where the model is an encoder."""
    if isinstance(source.model, StaticModel):
        return _write_table(folder, source.model, "static")
    distilling = replace(settings.distilling, dim=min(settings.distilling.dim, source.dim))
    table, facts = distil(source.reference, source.model.tokenizer, distilling)
    form = _write_table(folder, table, "static")
    # The encoder's space is not the table's, which is turned and learned.
    return replace(form, least=None, facts={**facts, **form.facts})


def check_static(source: Source, settings: ExportSettings) -> None:
    """Return when a model's table depends on all that is asked for.

    Raises:
        InputError: a table is to be distilled, or an encoder cut of which nothing but a table is made, which
            follows the whole encoder.
    """
    smaller, name = settings.smaller, source.reference.name
    if isinstance(source.model, StaticModel):
        if settings.distilling != Distilling():
            raise InputError(f"--distil: {name} is a token table already. Leave out what begins so.")
        return
    cut = {"--layers": smaller.layers, "--corpus": smaller.corpus}
    given = next((option for option, value in cut.items() if value is not None), None)
    if given is not None and set(settings.targets) == {"static"}:
        raise InputError(
            f"{given} {cut[given]}: the table follows the whole of {name}, whatever is cut off it. Leave it "
            "out; --distil-dim and --distil-pieces say how large the table is."
        )
