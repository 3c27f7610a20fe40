"""Token states to one vector a text, and the folder's heads, in numpy: the path that never imports torch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from safetensors import SafetensorError, safe_open

from yuyi.errors import ModelError
from yuyi.pipeline import Dense

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from yuyi.pipeline import Activation, Normalize, Pooling

    Vectors = NDArray[np.float32]


# The types of a dense layer's tensors that numpy reads, by their names in the safetensors format.
_DTYPES = ("F16", "F32", "F64")


def pool(states: Vectors, modes: tuple[Pooling, ...], skip: int = 0) -> Vectors:
    """(len(modes) * hidden,) float32, the results of `modes` side by side, for one text.

    Args:
        states: (tokens, hidden) float32, the states of its tokens, at least one.
        modes: which poolings, in order.
        skip: how many leading tokens, those of a prompt, are left out; none, when the text has no others.
    """
    states = states[skip:] if len(states) > skip else states
    return np.concatenate([_POOLINGS[mode](states) for mode in modes])


_POOLINGS: dict[Pooling, Callable[[Vectors], Vectors]] = {
    "cls": lambda states: states[0],
    "mean": lambda states: states.mean(axis=0),
    "last": lambda states: states[-1],
    "max": lambda states: states.max(axis=0),
    "mean_sqrt_len": lambda states: states.sum(axis=0) / np.float32(math.sqrt(len(states))),
}


def load_head(head: Dense | Normalize) -> Callable[[Vectors], Vectors]:
    """A function from (rows, dim) float32 to (rows, dim of the head) float32.

    Raises:
        ModelError: a dense layer's weights are missing, damaged, of another shape or no safetensors file.
    """
    if not isinstance(head, Dense):
        return _normalize
    weight, bias = _read_dense(head)
    activation = _ACTIVATIONS[head.activation]

    def apply(vectors: Vectors) -> Vectors:
        if vectors.shape[1] != head.in_features:
            raise ModelError(
                f"{head.folder}: takes vectors of {head.in_features} dimensions, and what comes before gives "
                f"{vectors.shape[1]}. The parts belong to different models; fetch them again."
            )
        return activation(vectors @ weight.T + bias)

    return apply


def _read_dense(head: Dense) -> tuple[Vectors, Vectors]:
    """(out_features, in_features) weight and (out_features,) bias, zeros where the layer has none."""
    path = head.folder / "model.safetensors"
    if not path.is_file():
        raise ModelError(
            f"{head.folder}: the dense layer has no model.safetensors; another format needs torch. "
            "Choose backend='torch'."
        )
    try:
        with safe_open(path, "numpy") as file:
            types = {name: file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118
            if other := next((kind for kind in types.values() if kind not in _DTYPES), None):
                raise ModelError(
                    f"{path}: holds tensors of type {other}, which numpy does not have. Choose "
                    "backend='torch', or save the layer as float32."
                )
            tensors = {name: file.get_tensor(name) for name in types}
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path}: damaged or cut short ({error}). Fetch the file again.") from error
    weight = tensors.get("linear.weight")
    bias = tensors.get("linear.bias") if head.bias else np.zeros(head.out_features, dtype=np.float32)
    shapes = (head.out_features, head.in_features), (head.out_features,)
    if weight is None or bias is None or (weight.shape, bias.shape) != shapes:
        held = ", ".join(f"{name} {tensor.shape}" for name, tensor in tensors.items())
        raise ModelError(
            f"{path}: holds {held}, and the config asks for linear.weight {shapes[0]} and linear.bias "
            f"{shapes[1]}. The config and the weights belong to different models; fetch both again."
        )
    return weight.astype(np.float32), bias.astype(np.float32)


def _normalize(vectors: Vectors) -> Vectors:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Vectors = vectors / np.maximum(norms, np.float32(1e-12))
    return unit


def _sigmoid(values: Vectors) -> Vectors:
    result: Vectors = np.reciprocal(1 + np.exp(-values))
    return result


def _gelu(values: Vectors) -> Vectors:
    distribution: Vectors = _ERF(values / np.float32(math.sqrt(2))).astype(np.float32)
    return values * (1 + distribution) * np.float32(0.5)


_ERF = np.frompyfunc(math.erf, 1, 1)
_ACTIVATIONS: dict[Activation, Callable[[Vectors], Vectors]] = {
    "identity": lambda values: values,
    "tanh": np.tanh,
    "relu": lambda values: np.maximum(values, 0),
    "gelu": _gelu,
    "silu": lambda values: values * _sigmoid(values),
    "sigmoid": _sigmoid,
}
