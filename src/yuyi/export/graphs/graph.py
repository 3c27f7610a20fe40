"""An ONNX graph, written operation by operation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from yuyi.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

# The first with layer normalisation as one operation; every runtime since 2022 has it.
OPSET = 17
# The version of the file format that came with it.
_IR_VERSION = 8


class Graph:
    """A graph in the making. Values are known by their names, which calls take and give."""

    def __init__(self) -> None:
        # Written in its place, for the helpers of onnx copy all weights, and then the graph.
        self._model = onnx.ModelProto(
            ir_version=_IR_VERSION,
            producer_name="yuyi",
            producer_version=__version__,
            opset_import=[helper.make_opsetid("", OPSET)],
        )
        self._graph = self._model.graph
        self._weights: set[str] = set()

    def input(self, name: str, shape: Sequence[str | int]) -> str:
        """The name of an int64 input; a dimension is a number or the name of one that may be any."""
        self._graph.input.append(helper.make_tensor_value_info(name, TensorProto.INT64, shape))
        return name

    def output(self, value: str, name: str, shape: Sequence[str | int]) -> None:
        """Give a float32 value out under `name`."""
        self._graph.node.append(helper.make_node("Identity", [value], [name], name=name))
        self._graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))

    def weight(self, name: str, values: NDArray[Any]) -> str:
        """The name of values that are part of the file."""
        if name in self._weights:
            raise AssertionError(f"{name} is in the graph already")
        self._weights.add(name)
        self._graph.initializer.append(numpy_helper.from_array(np.asarray(values, order="C"), name))
        return name

    def has(self, name: str) -> bool:
        """Whether an operation of this name is there."""
        return any(node.name == name for node in self._graph.node)

    def number(self, value: float) -> str:
        """The name of a constant without dimensions: float32 from a float, int64 from an int."""
        kind = np.int64 if isinstance(value, int) else np.float32
        return self._constant(f"number {value!r}", np.array(value, dtype=kind))

    def integers(self, *values: int) -> str:
        """The name of an int64 constant (n,), such as a list of axes."""
        return self._constant(f"integers {values!r}", np.array(values, dtype=np.int64))

    def _constant(self, name: str, values: NDArray[Any]) -> str:
        return name if name in self._weights else self.weight(name, values)

    def add(self, kind: str, name: str, *inputs: str, **attributes: Any) -> str:
        """The name of what an operation gives.

        Args:
            kind: the operation, as ONNX calls it.
            name: what this one is called, for instance `layers.0.qkv`; what it gives has the same name.
            inputs: names of what goes in; an empty one stands for an optional input that is left out.
            attributes: its settings.
        """
        self._graph.node.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def split(self, name: str, x: str, parts: int) -> list[str]:
        """The names of the equal parts of the last dimension."""
        names = [f"{name}.{number}" for number in range(parts)]
        self._graph.node.append(helper.make_node("Split", [x], names, name=name, axis=-1))
        return names

    def model(self, name: str, about: Mapping[str, str]) -> onnx.ModelProto:
        """The finished model, to which nothing is to be added any more.

        Args:
            name: of the model.
            about: what the file says of itself, by name.
        """
        self._graph.name = name
        helper.set_model_props(self._model, dict(about))
        return self._model
