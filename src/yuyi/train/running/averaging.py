"""Weights put together from several: a moving average, a mean, and a walk along the arc between two.

All functions take tensors by name. Averages of models are models only where the models are relatives, trained
from the same start; weights that were found apart from one another have no common meaning.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.optim.swa_utils import get_ema_multi_avg_fn

from yuyi.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    Weights = Mapping[str, Tensor]

# Below this sine of the angle two tensors lie on one line, and the arc between them is not defined.
_LINE = 1e-6


def follow(average: dict[str, Tensor], weights: Weights, past: float, step: int) -> None:
    """Take a step's weights into their moving average: average = p * average + (1 - p) * weights.

    p is `past`, but at most 1 - 1 / step, so that the average is the plain mean of the first steps rather
    than one in which the first weights of all linger (the warm-up of Polyak averages).

    Args:
        average: changed in place; filled where it is empty.
        weights: of this step.
        past: share that the past has, 0 to 1.
        step: number of the step, from 1.
    """
    known = [name for name in weights if name in average]
    if known:  # All of them in a few kernels.
        mix = get_ema_multi_avg_fn(min(past, 1 - 1 / step))  # type: ignore[no-untyped-call]
        mix([average[name] for name in known], [weights[name] for name in known], step)
    average |= {name: tensor.clone() for name, tensor in weights.items() if name not in average}


def add_share(total: Weights, weights: Weights, share: float) -> dict[str, Tensor]:
    """The sum so far plus `share` of these weights; an empty sum is zero."""
    if not total:
        return {name: tensor.detach() * share for name, tensor in weights.items()} if share else {}
    return {name: total[name] + tensor.detach() * share for name, tensor in weights.items()}


def put(target: Weights, source: Weights) -> None:
    """Copy the values of `source` into the tensors of `target`."""
    with torch.no_grad():
        for name, tensor in target.items():
            tensor.copy_(source[name])


def mean(models: Sequence[Weights], shares: Sequence[float]) -> dict[str, Tensor]:
    """Tensor by tensor the sum of share * tensor, the shares divided by their sum.

    Source: Wortsman et al. 2022, "Model soups", arXiv 2203.05482 (uniform soup, with shares).

    Args:
        models: with equal names and shapes.
        shares: one for each model, none negative and not all 0.

    Raises:
        InputError: names or shapes differ, or the shares cannot be used.
    """
    parts = _check(models, shares)
    return {
        name: sum(
            (share * model[name].double() for share, model in zip(parts, models, strict=True)),
            start=torch.zeros_like(tensor, dtype=torch.float64),
        ).to(tensor.dtype)
        for name, tensor in models[0].items()
    }


def slerp(models: Sequence[Weights], shares: Sequence[float]) -> dict[str, Tensor]:
    """Tensor by tensor a point on the arc between two models; of several, one taken in after the other.

    For tensors a and b, flattened, with the angle w between them, and t the share of b:

        slerp(a, b, t) = sin((1 - t) w) / sin(w) * a + sin(t w) / sin(w) * b

    Unlike a mean it does not shorten what lies between: of two tensors of length 1 every point has length 1.
    The model taken in as number k has t = share_k / (share_1 + ... + share_k), hence equal shares weigh
    equally, up to the order of the models, on which the result depends from three models on.

    Limits: for w towards 0 it becomes the mean, which is also taken where the sine is below 1e-6 (tensors on
    one line, w = 180 degrees included, where no arc is the shortest) and where a tensor is all zeros.

    Source: Shoemake 1985, "Animating rotation with quaternion curves"; for checkpoints of an embedding model
    Zhang et al. 2025, "Qwen3 Embedding", arXiv 2506.05176, section 3.

    Args:
        models: with equal names and shapes.
        shares: one for each model, none negative and not all 0.

    Raises:
        InputError: names or shapes differ, or the shares cannot be used.
    """
    parts = _check(models, shares)
    result: dict[str, Tensor] = {}
    for name, tensor in models[0].items():
        point, weight = tensor.double(), parts[0]
        for model, share in zip(models[1:], parts[1:], strict=True):
            weight += share
            if share:
                point = _arc(point, model[name].double(), share / weight)
        result[name] = point.to(tensor.dtype)
    return result


def _arc(a: Tensor, b: Tensor, t: float) -> Tensor:
    lengths = a.norm() * b.norm()
    if lengths > 0:
        angle = torch.arccos(torch.clamp((a * b).sum() / lengths, -1, 1))
        sine = torch.sin(angle)
        if sine > _LINE:
            return (torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / sine
    return torch.lerp(a, b, t)


def _check(models: Sequence[Weights], shares: Sequence[float]) -> list[float]:
    """The shares divided by their sum.

    Raises:
        InputError: see `mean`.
    """
    if not models or len(models) != len(shares):
        raise InputError(f"{len(models)} models and {len(shares)} shares. Give each model a share.")
    if min(shares) < 0 or not 0 < sum(shares) < float("inf"):
        raise InputError(f"shares {list(shares)}: negative, or nothing together. Give positive numbers.")
    first = {name: tuple(tensor.shape) for name, tensor in models[0].items()}
    for number, model in enumerate(models[1:], 2):
        shapes = {name: tuple(tensor.shape) for name, tensor in model.items()}
        differing = sorted(
            name for name in first.keys() | shapes.keys() if first.get(name) != shapes.get(name)
        )
        if differing:
            name = differing[0]
            raise InputError(
                f"{name}: {first.get(name, 'missing')} in the first model, {shapes.get(name, 'missing')} in "
                f"model {number}. Only models of one shape can be merged."
            )
    return [share / sum(shares) for share in shares]
