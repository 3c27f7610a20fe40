"""The forms of a model that the contenders of `benchmarks/encode.py` load, made by each package's own tools.

python benchmarks/encode_forms.py FORM HOME   # from HOME/model to HOME/FORM
"""

from __future__ import annotations

import json
import shutil
import sys
import warnings
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def make_onnx(home: Path, target: Path) -> None:
    """`onnx/model.onnx` beside copies of the small files of the model's folder."""
    import torch
    from transformers import AutoModel

    class States(torch.nn.Module):
        def __init__(self, model: torch.nn.Module) -> None:
            super().__init__()
            self.model = model

        def forward(self, ids: torch.Tensor, mask: torch.Tensor, types: torch.Tensor) -> torch.Tensor:
            states: torch.Tensor = self.model(
                input_ids=ids, attention_mask=mask, token_type_ids=types
            ).last_hidden_state
            return states

    shutil.copytree(home / "model", target, ignore=shutil.ignore_patterns("*.safetensors"))
    (target / "onnx").mkdir()
    # The traced form of eager attention is the pattern that onnxruntime's optimiser knows how to fuse.
    model = AutoModel.from_pretrained(home / "model", attn_implementation="eager").eval()
    names = ["input_ids", "attention_mask", "token_type_ids"]
    example = torch.ones(2, 5, dtype=torch.long)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            States(model),
            (example, example, torch.zeros_like(example)),
            str(target / "onnx" / "model.onnx"),
            input_names=names,
            output_names=["last_hidden_state"],
            dynamic_axes={name: {0: "rows", 1: "tokens"} for name in [*names, "last_hidden_state"]},
            opset_version=17,
            dynamo=False,
        )


def make_fused(home: Path, target: Path) -> None:
    """The ONNX graph with attention, layer norms and GELU fused by onnxruntime's optimiser for BERT."""
    from onnxruntime.transformers import optimizer

    config = json.loads((home / "model" / "config.json").read_text())
    fused = optimizer.optimize_model(
        str(home / "onnx" / "onnx" / "model.onnx"),
        model_type="bert",
        num_heads=config["num_attention_heads"],
        hidden_size=config["hidden_size"],
    )
    attention = fused.get_fused_operator_statistics()["Attention"]
    if attention != config["num_hidden_layers"]:
        raise RuntimeError(f"only {attention} attentions of {config['num_hidden_layers']} layers were fused")
    target.mkdir()
    fused.save_model_to_file(str(target / "model.onnx"))


def make_quantised(home: Path, target: Path) -> None:
    """The fused graph with int8 weights, a scale a channel, and activations scaled while running."""
    from onnx import TensorProto
    from onnxruntime.quantization import QuantType, quantize_dynamic

    target.mkdir()
    quantize_dynamic(
        home / "fused" / "model.onnx",
        target / "model.onnx",
        per_channel=True,
        weight_type=QuantType.QInt8,
        # The types of what fused operators give cannot be inferred; they are all float32.
        extra_options={"DefaultTensorType": TensorProto.FLOAT},
    )


def make_ctranslate2(home: Path, target: Path) -> None:
    """CTranslate2's form, float32; it quantises while loading."""
    from ctranslate2.converters import TransformersConverter

    TransformersConverter(str(home / "model")).convert(str(target))


def make_exported(home: Path, target: Path) -> None:
    """The files of `yuyi export`: `onnx/model.onnx` and `onnx/model_quantized.onnx`."""
    from yuyi.export.base import write_base
    from yuyi.export.onnx_forms import write_float32
    from yuyi.export.quantizing.forms import write_int8
    from yuyi.export.settings import ExportSettings
    from yuyi.export.smaller import Smaller
    from yuyi.export.source import open_source

    # Without the comparison of forms that goes before publishing: cosines are in this benchmark's tables.
    settings = ExportSettings(targets=("onnx", "onnx-int8"))
    source = open_source(home / "model", Smaller())
    target.mkdir()
    write_base(target, source, settings.targets)
    write_float32(target, source, settings)
    write_int8(target, source, settings)


FORMS: dict[str, Callable[[Path, Path], None]] = {
    "onnx": make_onnx,
    "fused": make_fused,
    "quantised": make_quantised,
    "ctranslate2": make_ctranslate2,
    "exported": make_exported,
}


def main() -> None:
    """Write the form that the command line names."""
    name, home = sys.argv[1], Path(sys.argv[2])
    with redirect_stdout(sys.stderr):  # Some packages print.
        FORMS[name](home, home / name)
    print("{}")


if __name__ == "__main__":
    main()
