"""The writers of the forms in fewer bits."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from yuyi.encode.output import unit
from yuyi.encode.ranges import write_ranges
from yuyi.encode.static_folder import StaticModel
from yuyi.export.form import Form
from yuyi.export.graphs.graph import OPSET
from yuyi.export.onnx_file import write_onnx
from yuyi.export.onnx_forms import FOLDER, graph_of
from yuyi.export.quantizing.half import half_graph, too_large
from yuyi.export.quantizing.int8_graph import products_of
from yuyi.export.quantizing.outputs import calibrated_outputs
from yuyi.export.quantizing.running import peaks_of, vectors_of
from yuyi.export.quantizing.texts import calibration_texts, ids_of
from yuyi.export.quantizing.widening import widen

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    import numpy as np
    import onnx
    from numpy.typing import NDArray

    from yuyi.export.quantizing.running import Ids
    from yuyi.export.settings import ExportSettings
    from yuyi.export.source import Source

# The mean cosine on texts that were not calibrated on, for which products are kept wide. It is a little more
# than the 0.998 that is promised, since other texts are rounded a little worse.
_WANTED = 0.9985
# Far below what is aimed at: a model that falls short of this ranks texts otherwise.
LEAST_INT8 = 0.99
# Half precision has eleven bits; what it rounds away is a thousandth of what int8 does.
_LEAST_HALF = 0.9999
_SCHEME = "uint8 by token x int8 (7 bits) by column, smoothed; wide: int8 in blocks of 32, product in float32"


def write_int8(folder: Path, source: Source, settings: ExportSettings) -> Form:
    """Write `onnx/model_quantized.onnx` and, beside the settings, the ranges of the model's vectors.

    Raises:
        InputError: the file of calibration texts cannot be used.
    """
    options = {"backend": "onnx", "dtype": "int8"}
    texts = _halves(calibration_texts(settings.calibration))
    vectors: list[NDArray[np.float32]]
    if isinstance(source.model, StaticModel):
        model = graph_of(source, "int8")
        vectors = [unit(source.reference.encode(half)[:, : source.dim]) for half in texts]
        facts: dict[str, Any] = {"opset": OPSET, "scheme": "int8 by row", "wider": []}
    else:
        whole = graph_of(source)
        ids = tuple(ids_of(source.model, half) for half in texts)
        vectors = [vectors_of(whole, half) for half in ids]
        model, facts = _rounded(whole, *ids)
    ranges, losses = calibrated_outputs(*vectors)
    files = _write(folder, "model_quantized.onnx", model)
    write_ranges(folder, ranges)
    facts |= {"calibration_texts": sum(map(len, texts)), "stored_vectors": losses}
    return Form("onnx-int8", files, LEAST_INT8, options=options, facts=facts)


def _halves(texts: list[str]) -> tuple[list[str], list[str]]:
    """Texts for ranges, and texts that judge.

    Two by two, since files often have languages or the sides of a pair by turns.
    """
    halves: tuple[list[str], list[str]] = ([], [])
    for row, text in enumerate(texts):
        halves[row // 2 % 2].append(text)
    return halves


def _rounded(model: onnx.ModelProto, ranged: Ids, judging: Ids) -> tuple[onnx.ModelProto, dict[str, Any]]:
    """The int8 graph and what is known of it."""
    inputs = {name: node.input[0] for name, node in products_of(model).items()}
    made, mean, wider = widen(model, peaks_of(model, inputs, ranged), judging, _WANTED)
    return made, {
        "opset": OPSET,
        "scheme": _SCHEME,
        "products": len(inputs),
        "mean_on_held_out": round(mean, 6),
        "wider": [asdict(product) for product in wider],
    }


def write_half(folder: Path, source: Source, settings: ExportSettings) -> Form:
    """Write `onnx/model_fp16.onnx`.

    Raises:
        InputError: the file of calibration texts cannot be used.
    """
    facts: dict[str, Any] = {"opset": OPSET}
    if isinstance(source.model, StaticModel):
        model = graph_of(source, "float16")
    else:
        whole = graph_of(source)
        wide = too_large(whole, ids_of(source.model, calibration_texts(settings.calibration)))
        model = half_graph(whole, wide)
        facts |= {"kept_float32": wide} if wide else {}
    files = _write(folder, "model_fp16.onnx", model)
    options = {"backend": "onnx", "dtype": "float16"}
    return Form("onnx-fp16", files, _LEAST_HALF, options=options, facts=facts)


def _write(folder: Path, name: str, model: onnx.ModelProto) -> tuple[str, ...]:
    (folder / FOLDER).mkdir(exist_ok=True)
    return tuple(f"{FOLDER}/{file}" for file in write_onnx(folder / FOLDER / name, model))
