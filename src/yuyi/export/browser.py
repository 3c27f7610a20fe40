"""The folder that Transformers.js opens: float32 and int8 under its names, and settings that it reads.

As of its version 4: `onnx/model.onnx` is its `fp32`, `onnx/model_quantized.onnx` its `q8`, which it takes in
a browser when nothing else is asked for. Two things are otherwise there than in Python. A text that is too
long loses its last special token, since it is cut with it on. Unknown words that follow one another are one
unknown piece of a Unigram tokenizer.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from yuyi.artifacts import write_json
from yuyi.encode.static_folder import StaticModel
from yuyi.export.form import Form
from yuyi.export.graphs.graph import OPSET
from yuyi.export.onnx_forms import FOLDER
from yuyi.export.quantizing.forms import LEAST_INT8, write_int8

if TYPE_CHECKING:
    from pathlib import Path

    from yuyi.export.settings import ExportSettings
    from yuyi.export.source import Source

# What a page downloads beside the model.
_BESIDE = ("tokenizer.json", "tokenizer_config.json", "config.json")

# As the library's own converter describes its files, where its words fit.
_QUANTIZED = {
    "modes": ["q8"],
    "per_channel": True,
    "block_size": None,
    "is_symmetric": True,
    "quant_type": 1,
}


def write_browser(folder: Path, source: Source, settings: ExportSettings) -> Form:
    """Write the settings, and `onnx/model_quantized.onnx` where it is not there; `onnx/model.onnx` is.

    Raises:
        InputError: the file of calibration texts cannot be used.
    """
    rounded = folder / FOLDER / "model_quantized.onnx"
    # Where it is there, the report tells elsewhere how it was made.
    facts = {"opset": OPSET} if rounded.is_file() else write_int8(folder, source, settings).facts
    files = tuple(f"{FOLDER}/{path.name}" for path in sorted(rounded.parent.glob(f"{rounded.name}*")))
    _write_settings(folder, reduced=not isinstance(source.model, StaticModel))
    _squeeze(folder / "tokenizer.json")
    download = sum((folder / name).stat().st_size for name in (*files, *_BESIDE))
    options = {"backend": "onnx", "dtype": "int8"}
    return Form("browser", files, LEAST_INT8, options=options, facts={**facts, "download": download})


def _write_settings(folder: Path, *, reduced: bool) -> None:
    """Say in `config.json` whose weights lie in a second file, and in another how others are rounded."""
    with_data = {path.name.removesuffix("_data"): 1 for path in (folder / FOLDER).glob("*.onnx_data")}
    if with_data:
        path = folder / "config.json"
        config = json.loads(path.read_text(encoding="utf-8"))
        write_json(path, {**config, "transformers.js_config": {"use_external_data_format": with_data}})
    # Rows of a table are no factors of sums that could overflow, and have all eight bits.
    write_json(folder / "quantize_config.json", {**_QUANTIZED, "reduce_range": reduced})


def _squeeze(path: Path) -> None:
    """Write a file of JSON without its line ends, which a browser would have to fetch."""
    values = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(values, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")
