"""The ONNX forms of a model, in `onnx/` under the names that sentence-transformers and browsers look for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from yuyi.encode.static_folder import StaticModel
from yuyi.export.form import Form
from yuyi.export.graphs.encoder import encoder_graph
from yuyi.export.graphs.graph import OPSET
from yuyi.export.graphs.table import table_graph
from yuyi.export.onnx_file import write_onnx

if TYPE_CHECKING:
    from pathlib import Path

    import onnx

    from yuyi.export.graphs.table import RowType
    from yuyi.export.settings import ExportSettings
    from yuyi.export.source import Source

FOLDER = "onnx"
# Rounding alone tells float32 in another order from float32.
_LEAST = 0.99999


def graph_of(source: Source, rows: RowType = "float32") -> onnx.ModelProto:
    """The model as a graph, in float32; only the rows of a token table may be stored as something else."""
    if isinstance(source.model, StaticModel):
        return table_graph(source.model.backend.table(), source.reference.name, rows)
    return encoder_graph(source.model.embedder, source.reference.name)


def write_float32(folder: Path, source: Source, settings: ExportSettings) -> Form:
    """Write `onnx/model.onnx`."""
    (folder / FOLDER).mkdir(exist_ok=True)
    names = write_onnx(folder / FOLDER / "model.onnx", graph_of(source))
    options = {"backend": "onnx", "dtype": "float32"}
    files = tuple(f"{FOLDER}/{name}" for name in names)
    return Form("onnx", files, _LEAST, options=options, facts={"opset": OPSET})


def told_limits(form: Form, source: Source) -> Form:
    """The form, whose facts tell what a graph cannot do: leave a prompt out of pooling."""
    if source.pools_prompts or not form.is_graph:
        return form
    limit = "right for texts without a prompt alone, since the model leaves prompts out of pooling"
    return replace(form, facts={**form.facts, "sentence_embedding": limit})
