"""Token states to one vector a text, in float32 at least, over texts laid end to end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from yuyi.pipeline import Pooling


def pool(states: Tensor, offsets: Tensor, modes: tuple[Pooling, ...], skip: int = 0) -> Tensor:
    """(rows, len(modes) * hidden), the results of `modes` side by side; zeros for a text without tokens.

    The type is float32, or that of `states` where it is wider.

    Args:
        states: (tokens, hidden), the states of all texts' tokens one after another.
        offsets: (rows + 1,) int64; text `i` owns `states[offsets[i]:offsets[i + 1]]`.
        modes: which poolings, in order.
        skip: how many tokens at the start of each text, those of a prompt, are left out.
    """
    starts, stops = offsets[:-1], offsets[1:]
    starts = torch.where(stops - starts > skip, starts + skip, starts) if skip else starts
    states = states.to(torch.promote_types(states.dtype, torch.float32))
    return torch.cat([_pool_one(states, starts, stops, mode) for mode in modes], dim=-1)


def _pool_one(states: Tensor, starts: Tensor, stops: Tensor, mode: Pooling) -> Tensor:
    lengths = stops - starts
    if mode in ("cls", "last"):
        chosen = starts if mode == "cls" else stops - 1
        filled = lengths > 0
        vectors = states.new_zeros((len(lengths), states.shape[1]))
        return vectors.masked_scatter(filled[:, None], states[chosen[filled]])
    total = _reduce(states, starts, stops, "max" if mode == "max" else "sum")
    if mode == "max":
        return torch.where(lengths[:, None] > 0, total, 0.0)
    count = lengths.clamp(min=1)[:, None].to(states.dtype)
    return total / (count.sqrt() if mode == "mean_sqrt_len" else count)


def _reduce(states: Tensor, starts: Tensor, stops: Tensor, how: str) -> Tensor:
    """(rows, hidden), the sum or the greatest value over each text's tokens."""
    if len(starts) == 0:
        return states.new_zeros((0, states.shape[1]))
    # Whatever lies between two texts (skipped tokens) is a segment of its own, dropped afterwards.
    edges = torch.stack((starts, stops), dim=1).flatten()
    segments = torch.nn.functional.pad(edges, (1, 0))
    reduced = torch.segment_reduce(states, how, offsets=segments, axis=0, unsafe=True)
    return reduced[1::2]
