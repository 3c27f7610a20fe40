"""The limit of the machine in `benchmarks/encode.py`: how fast its matrix products alone would be.

python benchmarks/encode_limit.py HOME N   # tokens a second by dtype, on N cores
"""

from __future__ import annotations

import json
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Callable

# Seconds of repeated calls: many calls long, and short enough to fit between two interruptions.
_SERIES = 0.03


def main() -> None:
    """Print a JSON object."""
    home, cores = Path(sys.argv[1]), int(sys.argv[2])
    torch.set_num_threads(cores)
    config = json.loads((home / "model" / "config.json").read_text())
    rates = matrix_products(config["hidden_size"], config["intermediate_size"], config["num_hidden_layers"])
    print(json.dumps(rates))


def matrix_products(hidden: int, inner: int, layers: int) -> dict[str, float]:
    """Tokens a second, by dtype, if the linear layers' matrix products were all there is to do.

    Each product of a layer ((hidden, hidden) four times, (hidden, inner), (inner, hidden)) is timed by itself
    at several numbers of tokens; the fastest counts. Products for attention scores are left out.
    """
    products: dict[str, tuple[Any, Callable[[Any, Any], Any]]] = {
        "float32": (torch.float32, _float32_product),
        "bfloat16": (torch.bfloat16, lambda a, b: functional.linear(a, b.T)),
        "int8": (torch.int8, torch._int_mm),
    }
    shapes = ((hidden, hidden), (hidden, inner), (inner, hidden))
    rates = {}
    for dtype, (kind, product) in products.items():
        seconds = 0.0
        for count, (rows, columns) in zip((4, 1, 1), shapes, strict=True):
            weight = _random(columns, rows, kind).T
            per_token = []
            for tokens in (512, 1024, 2048):
                states = _random(tokens, rows, kind)
                per_token.append(_fastest(partial(product, states, weight)) / tokens)
            seconds += count * min(per_token)
        rates[dtype] = 1 / (seconds * layers)
    return rates


def _float32_product(a: Any, b: Any) -> Any:
    """Through oneDNN, which on some processors is twice as fast as the library behind torch.mm."""
    return torch.ops.mkldnn._linear_pointwise(a, b.T, None, "none", [], "none")


def _fastest(product: Callable[[], Any]) -> float:
    """Seconds of one call, in the fastest of several short series."""
    product()
    series = []
    for _ in range(5):
        begin, calls = time.perf_counter(), 0
        while time.perf_counter() - begin < _SERIES:
            product()
            calls += 1
        series.append((time.perf_counter() - begin) / calls)
    return min(series)


def _random(rows: int, columns: int, kind: Any) -> Any:
    values = torch.randn(rows, columns)
    return (values * 40).clamp(-127, 127).to(kind) if kind is torch.int8 else values.to(kind)


if __name__ == "__main__":
    main()
