from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from yuyi.errors import InputError
from yuyi.train.running.averaging import add_share, follow, mean, put, slerp

SHARES = st.floats(0.05, 5)


def model(seed: int, dtype: torch.dtype = torch.float64) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        "layers.0.weight": torch.randn(4, 3, generator=generator, dtype=dtype),
        "norm.bias": torch.randn(5, generator=generator, dtype=dtype),
    }


def angle(a: torch.Tensor, b: torch.Tensor) -> float:
    return math.acos(max(-1.0, min(1.0, float((a * b).sum() / (a.norm() * b.norm())))))


def test_the_mean_is_weighted() -> None:
    a, b, c = (model(seed) for seed in range(3))
    found = mean([a, b, c], [2, 1, 1])
    for name, tensor in found.items():
        torch.testing.assert_close(tensor, (2 * a[name] + b[name] + c[name]) / 4)
    half = {name: tensor.bfloat16() for name, tensor in a.items()}
    assert mean([half, half], [1, 3])["norm.bias"].dtype == torch.bfloat16
    torch.testing.assert_close(mean([half, half], [1, 3])["norm.bias"], half["norm.bias"])


@given(t=st.floats(0, 1), seed=st.integers(0, 50))
def test_slerp_goes_along_the_arc_at_even_speed(t: float, seed: int) -> None:
    a, b = model(seed), model(seed + 100)
    unit = [{name: tensor / tensor.norm() for name, tensor in each.items()} for each in (a, b)]
    found = slerp(unit, [1 - t, t])
    for name, tensor in found.items():
        assert float(tensor.norm()) == pytest.approx(1.0, abs=1e-9)
        whole = angle(unit[0][name], unit[1][name])
        assert angle(unit[0][name], tensor) == pytest.approx(t * whole, abs=1e-6)
        assert angle(unit[1][name], tensor) == pytest.approx((1 - t) * whole, abs=1e-6)


@given(seed=st.integers(0, 30), shares=st.lists(SHARES, min_size=3, max_size=3))
def test_of_three_orthogonal_models_each_has_its_part(seed: int, shares: list[float]) -> None:
    generator = torch.Generator().manual_seed(seed)
    basis = torch.linalg.qr(torch.randn(3, 3, generator=generator, dtype=torch.float64)).Q
    found = slerp([{"w": row} for row in basis], shares)["w"]
    parts = basis @ found
    t, u = shares[1] / (shares[0] + shares[1]), shares[2] / sum(shares)
    quarter = math.pi / 2
    expected = [
        math.cos(u * quarter) * math.cos(t * quarter),
        math.cos(u * quarter) * math.sin(t * quarter),
        math.sin(u * quarter),
    ]
    assert parts.tolist() == pytest.approx(expected, abs=1e-9)


def test_limits_of_slerp() -> None:
    a = model(0)
    for other, t in ((dict(a), 0.3), ({name: 2 * each for name, each in a.items()}, 0.3)):
        for name, tensor in slerp([a, other], [1 - t, t]).items():
            torch.testing.assert_close(tensor, torch.lerp(a[name], other[name], t))
    opposite = {name: -each for name, each in a.items()}
    zero = {name: torch.zeros_like(each) for name, each in a.items()}
    for other in (opposite, zero):
        for name, tensor in slerp([a, other], [3, 1]).items():
            torch.testing.assert_close(tensor, torch.lerp(a[name], other[name], 0.25))
    near = {name: each + 1e-12 for name, each in a.items()}
    for name, tensor in slerp([a, near], [1, 1]).items():
        torch.testing.assert_close(tensor, a[name])
    ends = slerp([a, model(1)], [0, 1])
    for name, tensor in ends.items():
        torch.testing.assert_close(tensor, model(1)[name])


@pytest.mark.parametrize("merge", [mean, slerp])
def test_what_cannot_be_merged_is_refused(merge: object) -> None:
    assert callable(merge)
    a, other = model(0), model(1)
    with pytest.raises(InputError, match=r"2 models and 1 shares\. Give each"):
        merge([a, other], [1])
    with pytest.raises(InputError, match=r"shares \[1, -1\]: negative"):
        merge([a, other], [1, -1])
    with pytest.raises(InputError, match=r"shares \[0, 0\]: negative, or nothing"):
        merge([a, other], [0, 0])
    other["norm.bias"] = torch.zeros(6)
    with pytest.raises(InputError, match=r"norm\.bias: \(5,\) in the first model, \(6,\) in model 2"):
        merge([a, other], [1, 1])
    del other["norm.bias"]
    with pytest.raises(InputError, match=r"norm\.bias: \(5,\) in the first model, missing in model 2"):
        merge([a, other], [1, 1])


@given(past=st.floats(0.01, 0.99), steps=st.integers(1, 30))
def test_the_moving_average_begins_as_a_mean(past: float, steps: int) -> None:
    models = [model(step) for step in range(1, steps + 1)]
    average: dict[str, torch.Tensor] = {}
    expected = {name: torch.zeros_like(each) for name, each in models[0].items()}
    for step, each in enumerate(models, 1):
        follow(average, each, past, step)
        share = min(past, (step - 1) / step)
        expected = {name: share * expected[name] + (1 - share) * each[name] for name in each}
    for name, tensor in average.items():
        torch.testing.assert_close(tensor, expected[name])
    if steps < 1 / (1 - past):
        for name, tensor in average.items():
            torch.testing.assert_close(tensor, mean(models, [1.0] * steps)[name])
    torch.testing.assert_close(models[0], model(1))  # The weights are copied, not taken over.


def test_shares_add_up() -> None:
    a, b = model(0), model(1)
    total = add_share(add_share({}, a, 0.25), b, 0.75)
    torch.testing.assert_close(total, mean([a, b], [0.25, 0.75]))
    assert add_share({}, a, 0.0) == {}
    put(a, b)
    torch.testing.assert_close(a, b)
