"""Which files on disk mean which kind of model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from yuyi.errors import ModelError

if TYPE_CHECKING:
    from pathlib import Path

# Weights of a transformer beside its config.json: in one file, or in parts that an index names.
TORCH_WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
# ONNX files by what they compute in, in the order of preference; in `onnx/` or beside the config.
ONNX_FILES = {
    "float32": ("model.onnx",),
    "float16": ("model_fp16.onnx",),
    "int8": ("model_quantized.onnx", "model_int8.onnx"),
}


@dataclass(frozen=True, slots=True)
class Layout:
    """A kind of model folder, known by the files that only it has.

    Attributes:
        name: what the rest of the package calls it.
        marks: paths inside the folder that must all exist.
        absent: paths that must not, since with them the folder is of another kind.
    """

    name: str
    marks: tuple[str, ...]
    absent: tuple[str, ...] = ()

    def fits(self, folder: Path) -> bool:
        """Whether the folder is of this kind."""
        return all((folder / mark).is_file() for mark in self.marks) and not any(
            (folder / mark).exists() for mark in self.absent
        )


# No folder should fit two of them; one that does holds two models.
LAYOUTS = (
    Layout("yuyi-static", ("yuyi.json", "tokenizer.json", "table.safetensors")),
    Layout("sentence-transformers-static", ("modules.json", "0_StaticEmbedding/model.safetensors")),
    Layout(
        "sentence-transformers-static",
        ("modules.json", "model.safetensors", "tokenizer.json"),
        absent=("config.json", "0_StaticEmbedding"),
    ),
    # A token table that yuyi wrote for other libraries too.
    Layout("sentence-transformers", ("modules.json", "config.json"), absent=("yuyi.json",)),
    Layout("sentence-transformers", ("modules.json", "0_Transformer/config.json")),
    Layout("transformers", ("config.json",), absent=("modules.json",)),
)
TRANSFORMER_LAYOUTS = ("sentence-transformers", "transformers")


def find_layout(folder: Path) -> Layout:
    """The layout whose marks are in `folder`.

    Raises:
        ModelError: the folder does not exist, no layout fits it, or two do.
    """
    if not folder.is_dir():
        raise ModelError(f"{folder}: no such model folder. Give the path of a folder that holds a model.")
    found = [layout for layout in LAYOUTS if layout.fits(folder)]
    if len(found) == 1:
        return found[0]
    if found:
        names = "; ".join(f"{layout.name}: {', '.join(layout.marks)}" for layout in found)
        raise ModelError(
            f"{folder}: holds {len(found)} models, and which one is meant cannot be known ({names}). "
            "Move one of them to a folder of its own."
        )
    inside = sorted(entry.name for entry in folder.iterdir() if any(layout.fits(entry) for layout in LAYOUTS))
    if inside:
        raise ModelError(
            f"{folder}: no model itself, but it holds {', '.join(inside)}. Give the path of one of them."
        )
    known = "; ".join(f"{layout.name}: {', '.join(layout.marks)}" for layout in LAYOUTS)
    raise ModelError(
        f"{folder}: not a model folder that yuyi can open. It needs one of these sets of files: {known}"
    )


def has_torch_weights(transformer: Path) -> bool:
    """Whether weights that torch reads lie beside a transformer's config.json."""
    return any((transformer / name).is_file() for name in TORCH_WEIGHTS)


def has_onnx_weights(folder: Path, dtype: str = "auto") -> bool:
    """Whether an ONNX file, any or one for a dtype, lies in a model folder or in its `onnx/`."""
    names = ONNX_FILES.get(dtype, ("*.onnx",))
    places = (folder, folder / "onnx")
    return any(path.is_file() for place in places for name in names for path in place.glob(name))
