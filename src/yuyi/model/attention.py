"""Attention over texts of unequal length laid end to end, without a single padding token.

On a GPU in half precision one call of torch's variable-length flash attention takes the boundaries. Elsewhere
texts of equal length that lie side by side are one call of scaled dot-product attention without a mask; the
encoder sorts texts by length so that those runs are long.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from inspect import signature
from itertools import groupby
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import scaled_dot_product_attention

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Run:
    """Neighbouring texts of equal length.

    Attributes:
        start: position of their first token.
        rows: number of texts.
        length: tokens of each.
    """

    start: int
    rows: int
    length: int


@dataclass(frozen=True, slots=True)
class Spans:
    """The boundaries of texts laid end to end, in the forms that attention needs.

    Attributes:
        offsets: (rows + 1,) int32, on the device of the tokens.
        longest: tokens of the longest text.
        runs: neighbouring texts of equal length; texts without tokens are left out.
    """

    offsets: Tensor
    longest: int
    runs: tuple[Run, ...]


def find_spans(offsets: Tensor) -> Spans:
    """The boundaries (rows + 1,) of texts as `Spans`, from 0 on; made once a batch, used by every layer."""
    lengths = offsets.diff().tolist()
    runs, start = [], 0
    for length, group in groupby(lengths):
        rows = len(list(group))
        if length:
            runs.append(Run(start, rows, length))
        start += rows * length
    return Spans((offsets - offsets[:1]).to(torch.int32), max(lengths, default=0), tuple(runs))


def attention(
    q: Tensor, k: Tensor, v: Tensor, spans: Spans, *, window: int | None = None, dropout: float = 0.0
) -> Tensor:
    """(tokens, heads, head_dim): what each token gathers from the tokens of its own text.

    Args:
        q: (tokens, heads, head_dim) queries, rotary positions already applied.
        k: keys, of the same shape.
        v: values, of the same shape.
        spans: the texts' boundaries.
        window: how many tokens to either side a token attends to; None means all of its text.
        dropout: the share of attention weights set to zero, the others scaled up; above 0 texts are attended
            to in runs on a GPU too, since variable-length flash attention has no dropout.
    """
    if not spans.runs:
        return v
    flash = _variable_length_attention() if _is_flash(q) and not dropout else None
    if flash is not None:
        reach = (-1, -1) if window is None else (window, window)
        offsets, longest = spans.offsets, spans.longest
        mixed: Tensor = flash(q, k, v, offsets, offsets, longest, longest, window_size=reach)
        return mixed
    # Split, not sliced: the gradient of a slice is as large as all texts together, that of a split is not.
    sizes = [run.rows * run.length for run in spans.runs]
    queries, keys, values = (x.split_with_sizes(sizes) for x in (q, k, v))
    parts = [
        _attend_run(queries[i], keys[i], values[i], run, window, dropout) for i, run in enumerate(spans.runs)
    ]
    return torch.cat(parts) if len(parts) != 1 else parts[0]


def _is_flash(q: Tensor) -> bool:
    """Whether flash attention takes queries of this kind."""
    head_dim = q.shape[-1]
    if not q.is_cuda or q.dtype not in (torch.float16, torch.bfloat16) or head_dim % 8 or head_dim > 256:
        return False
    return _has_flash(q.device)


@cache
def _has_flash(device: torch.device) -> bool:
    """Whether the GPU is of the generation that flash attention is written for (Ampere) or a later one."""
    return torch.cuda.get_device_capability(device) >= (8, 0)


@cache
def _variable_length_attention() -> Callable[..., Any] | None:
    """Torch's variable-length flash attention, or None and a warning where torch is too old for it."""
    if find_spec("torch.nn.attention.varlen") is not None:
        from torch.nn.attention.varlen import varlen_attn

        # The first torch that had the function could not limit it to a window.
        if "window_size" in signature(varlen_attn).parameters:
            return varlen_attn
    warnings.warn(
        f"torch {torch.__version__} has no variable-length attention with windows; texts are attended to in "
        "groups of equal length, which is slower. A newer torch has it.",
        RuntimeWarning,
        stacklevel=3,
    )
    return None


def _attend_run(q: Tensor, k: Tensor, v: Tensor, run: Run, window: int | None, dropout: float) -> Tensor:
    """(rows * length, heads, head_dim), attention inside each text of a run, whose tokens alone are given."""
    heads, head_dim = q.shape[1:]
    q, k, v = (
        x.view(run.rows, run.length, heads, head_dim).transpose(1, 2) for x in (q, k, v)
    )  # (rows, heads, length, head_dim)
    if window is None or window >= run.length - 1:
        mixed = scaled_dot_product_attention(q, k, v, dropout_p=dropout)
    else:
        mixed = _attend_window(q, k, v, window, dropout)
    return mixed.transpose(1, 2).reshape(-1, heads, head_dim)


def _attend_window(q: Tensor, k: Tensor, v: Tensor, window: int, dropout: float) -> Tensor:
    """(rows, heads, length, head_dim); queries in blocks, each against the keys within its reach."""
    length = q.shape[2]
    block = max(window, 64)
    positions = torch.arange(length, device=q.device)
    parts = []
    for start in range(0, length, block):
        stop = min(start + block, length)
        first, last = max(start - window, 0), min(stop + window, length)
        distance = positions[start:stop, None] - positions[None, first:last]
        mask = distance.abs() <= window
        parts.append(
            scaled_dot_product_attention(
                q[:, :, start:stop],
                k[:, :, first:last],
                v[:, :, first:last],
                attn_mask=mask,
                dropout_p=dropout,
            )
        )
    return torch.cat(parts, dim=2)
