"""A graph whose weights are int8, and most of its products too.

A narrow product is one of integers. Each token's values are rounded with a scale of its own, so that a text's
vector does not depend on the texts beside it, as it would with the usual scale for the whole batch; each
column of the weights has a scale too. Before that, each input channel is multiplied by a factor and the
weights that read it are divided by it, so that both share the difficulty of outliers (SmoothQuant, Xiao et
al. 2022, arXiv 2211.10438, section 4).

Activations take eight bits, unsigned around 128. Weights take seven: processors without VNNI add two products
in 16 bits, which 255 x 64 x 2 still fits into, and WebAssembly's relaxed instructions promise no more. So the
same file gives the same sums everywhere.

A wide product is one of floats, with weights stored in 8 bits in blocks of 32, each with a scale; runtimes
make floats of them once, when they open the file.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from yuyi.export.quantizing.integers import to_integers
from yuyi.export.quantizing.rebuilt import rebuilt
from yuyi.model.int8 import smoothing

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

_LEVELS = 127
# Two products of these with 255 stay within 16 bits.
_WEIGHT_LEVELS = 64
_MIDDLE = 128
_BLOCK = 32
# Where a token has nothing but zeros.
_TINY = 1e-30


def products_of(model: onnx.ModelProto) -> dict[str, onnx.NodeProto]:
    """The products of states with weights, by the names of their operations."""
    weights = {tensor.name for tensor in model.graph.initializer if len(tensor.dims) == 2}
    return {
        node.name: node
        for node in model.graph.node
        if node.op_type == "MatMul" and node.input[1] in weights and node.input[0] not in weights
    }


def wide_bytes(model: onnx.ModelProto) -> dict[str, int]:
    """How many bytes each product takes more when it is wide: the scales of its blocks."""
    shapes = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    more = {}
    for name, node in products_of(model).items():
        inputs, outputs = shapes[node.input[1]]
        more[name] = 4 * (inputs // math.gcd(inputs, _BLOCK) * outputs - outputs - inputs)
    return more


def int8_graph(
    model: onnx.ModelProto,
    peaks: Mapping[str, Floats],
    wide: Collection[str] = (),
    rounded: dict[str, onnx.TensorProto] | None = None,
) -> onnx.ModelProto:
    """The model with int8 tables and products.

    Args:
        model: in float32; stays as it is.
        peaks: for each product, by its name, the largest magnitudes (inputs,) of what goes into it.
        wide: products that are to stay products of floats.
        rounded: what earlier graphs of this model left here, which is not rounded again; empty at first.
    """
    rewriting = _Rewriting(model, {} if rounded is None else rounded)
    products = products_of(model)
    for node in model.graph.node:
        if node.name in products and node.name in wide:
            rewriting.wide(node)
        elif node.name in products:
            rewriting.narrow(node, peaks[node.name])
        elif node.op_type == "Gather" and len(rewriting.shape(node.input[0])) == 2:
            rewriting.table(node)
        else:
            rewriting.nodes.append(node)
    return rewriting.finished()


class _Rewriting:
    """A graph on its way from floats to integers."""

    def __init__(self, model: onnx.ModelProto, rounded: dict[str, onnx.TensorProto]) -> None:
        self._model = model
        self._old = {tensor.name: tensor for tensor in model.graph.initializer}
        self._new = rounded
        self.nodes: list[onnx.NodeProto] = []

    def shape(self, name: str) -> tuple[int, ...]:
        """Of a weight; () of everything else."""
        return tuple(self._old[name].dims) if name in self._old else ()

    def table(self, node: onnx.NodeProto) -> None:
        """Rows of a table in 8 bits, each with a scale."""
        stored, scales = f"{node.input[0]}.int8", f"{node.input[0]}.scales"
        if stored not in self._new:
            self._put((stored, scales), to_integers(self._values(node.input[0]), _LEVELS, axis=1))
        found = self._add("Gather", f"{node.name}.int8", stored, node.input[1])
        found = self._add("Cast", f"{node.name}.whole", found, to=TensorProto.FLOAT)
        step = self._add("Gather", f"{node.name}.steps", scales, node.input[1])
        self._add("Mul", node.output[0], found, step)

    def narrow(self, node: onnx.NodeProto, peaks: Floats) -> None:
        """A product of integers."""
        name = node.name
        stored, scales, factors = f"{node.input[1]}.int8", f"{node.input[1]}.scales", f"{name}.smoothing"
        if stored not in self._new:
            weight = self._values(node.input[1])
            smooth = smoothing(torch.tensor(peaks), torch.tensor(weight.T)).numpy()
            whole, steps = to_integers(weight / smooth[:, None], _WEIGHT_LEVELS, axis=0)
            self._put((stored, scales, factors), (whole, steps[0], smooth))
        x = self._add("Mul", f"{name}.smooth", node.input[0], factors)
        peak = self._add("Abs", f"{name}.magnitudes", x)
        peak = self._add("ReduceMax", f"{name}.greatest", peak, axes=[-1], keepdims=1)
        peak = self._add("Max", f"{name}.peak", peak, self._number("tiny", np.float32(_TINY)))
        step = self._add("Div", f"{name}.step", peak, self._number("levels", np.float32(_LEVELS)))
        x = self._add("Div", f"{name}.ratio", x, step)
        # Rounding and narrowing in one operation, which runtimes have fast code for.
        middle = self._number("middle", np.uint8(_MIDDLE))
        x = self._add("QuantizeLinear", f"{name}.uint8", x, self._number("one", np.float32(1)), middle)
        sums = self._add("MatMulInteger", f"{name}.sums", x, stored, middle)
        sums = self._add("Cast", f"{name}.whole", sums, to=TensorProto.FLOAT)
        sums = self._add("Mul", f"{name}.steps", sums, step)
        self._add("Mul", node.output[0], sums, scales)

    def wide(self, node: onnx.NodeProto) -> None:
        """A product of floats, by weights whose blocks are stored in 8 bits."""
        name = node.input[1]
        stored, scales = f"{name}.blocks.int8", f"{name}.blocks.scales"
        inputs, outputs = self.shape(name)
        if stored not in self._new:
            blocks = self._values(name).reshape(-1, math.gcd(inputs, _BLOCK), outputs)
            self._put((stored, scales), to_integers(blocks, _LEVELS, axis=1))
        found = self._add("Cast", f"{name}.whole", stored, to=TensorProto.FLOAT)
        found = self._add("Mul", f"{name}.blocks", found, scales)
        shape = self._number(f"{name}.shape", np.array([inputs, outputs], dtype=np.int64))
        found = self._add("Reshape", f"{name}.floats", found, shape)
        self._add("MatMul", node.output[0], node.input[0], found)

    def finished(self) -> onnx.ModelProto:
        """The model, with those weights that its operations take, in their order."""
        weights = self._old | self._new
        taken = dict.fromkeys(name for node in self.nodes for name in node.input if name in weights)
        return rebuilt(self._model, self.nodes, (weights[name] for name in taken))

    def _values(self, name: str) -> Floats:
        return cast("Floats", numpy_helper.to_array(self._old[name]))

    def _put(self, names: Sequence[str], values: Sequence[NDArray[np.generic]]) -> None:
        for name, part in zip(names, values, strict=True):
            self._new[name] = numpy_helper.from_array(np.ascontiguousarray(part), name)

    def _number(self, name: str, value: np.generic | NDArray[np.int64]) -> str:
        name = f"int8.{name}"
        if name not in self._new:
            self._new[name] = numpy_helper.from_array(np.asarray(value), name)
        return name

    def _add(self, kind: str, name: str, *inputs: str, **attributes: int | list[int]) -> str:
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name
