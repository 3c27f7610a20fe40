"""What an ONNX file gives without yuyi: `sentence_embedding`, pooled and shaped inside the graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

from yuyi.encode.onnx_backend import OnnxBackend
from yuyi.pipeline import read_pipeline

if TYPE_CHECKING:
    from pathlib import Path

    from yuyi.encode import Encoder
    from yuyi.export.form import Form


def graph_by_itself(encoder: Encoder, folder: Path, form: Form) -> Encoder:
    """An encoder whose vectors are the graph's own.

    Args:
        encoder: of the form, whose engine pools and has dense layers of its own.
        folder: what holds the forms.
        form: one of them, an ONNX file.

    Raises:
        ModelError: the file has no such output.
    """
    pipeline = read_pipeline(folder / form.folder)
    return encoder.with_engine(OnnxBackend(pipeline, form.options["dtype"], by_itself=True))
