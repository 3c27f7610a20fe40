"""Which products are kept wide: found by measuring what each of them costs, not by their names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from yuyi.export.quantizing.int8_graph import int8_graph, products_of, wide_bytes
from yuyi.export.quantizing.running import vectors_of
from yuyi.progress import progress

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import onnx
    from numpy.typing import NDArray

    from yuyi.export.quantizing.running import Ids


@dataclass(frozen=True, slots=True)
class Widened:
    """A product that is kept wide.

    Attributes:
        name: of its operation.
        gained: by how much the mean cosine grew when this one alone was wide.
        bytes: that the file is larger for it.
        mean: the mean cosine with it and those before it.
    """

    name: str
    gained: float
    bytes: int
    mean: float


def widen(
    model: onnx.ModelProto, peaks: Mapping[str, NDArray[np.float32]], texts: Ids, target: float
) -> tuple[onnx.ModelProto, float, list[Widened]]:
    """The int8 graph, its mean cosine to the model, and what is wide in it.

    Everything is narrow first. Where that falls short of the target, each product is made wide alone, and
    those that gain most go on being wide, one after the other, until the target is met or nothing is narrow.

    Args:
        model: in float32.
        peaks: as `int8_graph` takes them.
        texts: ids of texts by which it is judged; others than those of the peaks.
        target: the mean cosine that is wanted.
    """
    expected = vectors_of(model, texts)
    products = products_of(model)
    rounded: dict[str, onnx.TensorProto] = {}
    # Twice as many are tried at most: each alone, and then those that gain most together.
    with progress("rounding", total=1 + 2 * len(products)) as count:

        def tried(*wide: str) -> tuple[onnx.ModelProto, float]:
            made = int8_graph(model, peaks, wide, rounded)
            mean = float((vectors_of(made, texts) * expected).sum(axis=1).mean())
            count(1)
            return made, mean

        made, reached = tried()
        kept: list[Widened] = []
        if reached >= target:
            return made, reached, kept
        gains = {name: mean - reached for name, mean in ((name, tried(name)[1]) for name in products)}
        costs = wide_bytes(model)
        for name in sorted(gains, key=lambda name: (-gains[name], name)):
            made, reached = tried(name, *(widened.name for widened in kept))
            kept.append(Widened(name, gains[name], costs[name], reached))
            if reached >= target:
                break
        return made, reached, kept
