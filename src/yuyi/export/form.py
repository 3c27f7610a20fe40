"""A form of a model: what is in a folder after an export, and how it is opened."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, get_args

Target = Literal["onnx", "onnx-int8", "onnx-fp16", "browser", "static", "folder"]
TARGETS: tuple[Target, ...] = get_args(Target)
DTYPES: dict[Target, str] = {"onnx": "fp32", "onnx-int8": "q8", "onnx-fp16": "fp16", "browser": "q8"}
"""What Transformers.js calls the forms that it opens."""


@dataclass(frozen=True, slots=True)
class Form:
    """One way to run the exported model.

    Attributes:
        target: what it was asked for by.
        files: what it needs beside tokenizer and settings, as paths in the folder; the first is the weights.
        least: the least mean cosine to the model that it is a form of, with which it may be published; None
            for a form whose vectors have a space of their own, in which nothing can be compared with it.
        folder: where in the folder it is opened; "" for the folder itself.
        options: of `yuyi.load`, for instance `{"backend": "onnx", "dtype": "int8"}`.
        facts: what else its maker knows, for the report: the opset, the products that were kept wider.
    """

    target: Target
    files: tuple[str, ...]
    least: float | None
    folder: str = ""
    options: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def is_graph(self) -> bool:
        """Whether it is an ONNX file."""
        return self.options.get("backend") == "onnx"
