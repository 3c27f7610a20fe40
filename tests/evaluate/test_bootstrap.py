"""The paired bootstrap: equal to the plain way of doing it, and what it must never get wrong."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import bootstrap, spearmanr
from sklearn.metrics import average_precision_score

from yuyi.errors import InputError
from yuyi.evaluate.comparing.bootstrap import DRAWS, SEED, Difference, Seed, draw, mean_difference, score_of
from yuyi.evaluate.comparing.examples import Examples, Statistic

if TYPE_CHECKING:
    from numpy.typing import NDArray

OF = {"mean": "queries", "spearman": "pairs", "average_precision": "pairs"}


def _examples(statistic: Statistic, values: NDArray[np.float64], truth: NDArray[np.float64]) -> Examples:
    return Examples(statistic, statistic, values, truth, OF[statistic])


def _sides(statistic: Statistic, count: int = 60, seed: int = 0) -> tuple[Examples, Examples]:
    """Two models on the same examples, one a little better, with similarities that often tie."""
    random = np.random.default_rng(seed)
    truth = {
        "mean": np.empty(0),
        "spearman": random.integers(0, 6, count).astype(float),
        "average_precision": (random.random(count) < 0.4).astype(float),
    }[statistic]
    signal = truth if len(truth) else random.random(count)
    noise = [random.normal(scale=scale, size=count) for scale in (1.0, 1.5)]
    first, second = (_examples(statistic, (signal + part).round(1), truth) for part in noise)
    return first, second


def paired(a: Examples, b: Examples, draws: int = DRAWS, seed: Seed = SEED) -> Difference:
    """The difference on one task alone."""
    return mean_difference([draw(a, b, draws, seed)])


def _plain(statistic: Statistic, values: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
    if statistic == "mean":
        return float(values.mean())
    if statistic == "spearman":
        return float(spearmanr(values, truth).statistic)
    return float(average_precision_score(truth, values))


STATISTICS: list[Statistic] = ["mean", "spearman", "average_precision"]


@pytest.mark.parametrize("statistic", STATISTICS)
def test_every_draw_is_that_of_the_plain_way(statistic: Statistic) -> None:
    a, b = _sides(statistic)
    found = paired(a, b, draws=200, seed=7)
    random, drawn = np.random.default_rng(7), []
    for _ in range(200):
        rows = random.integers(0, 60, 60)
        truth = a.truth[rows] if len(a.truth) else a.truth
        drawn.append(_plain(statistic, a.values[rows], truth) - _plain(statistic, b.values[rows], truth))
    low, high = np.percentile(drawn, [2.5, 97.5])
    whole = _plain(statistic, a.values, a.truth) - _plain(statistic, b.values, b.truth)
    assert found.difference == pytest.approx(whole, abs=1e-12)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-12)
    rarer = min(sum(one <= 0 for one in drawn), sum(one >= 0 for one in drawn))
    assert found.p == pytest.approx(min(1, 2 * (rarer + 1) / 201))
    assert found.n == 60


def test_the_interval_is_that_of_scipy() -> None:
    a, b = _sides("mean", 300)
    theirs = bootstrap(
        (a.values, b.values),
        lambda x, y, axis: x.mean(axis) - y.mean(axis),
        paired=True,
        n_resamples=20_000,
        method="percentile",
        vectorized=True,
        rng=np.random.default_rng(1),
    ).confidence_interval
    ours = paired(a, b, draws=20_000)
    width = theirs.high - theirs.low
    assert ours.low == pytest.approx(theirs.low, abs=0.03 * width)
    assert ours.high == pytest.approx(theirs.high, abs=0.03 * width)


@pytest.mark.parametrize("statistic", STATISTICS)
@given(seed=st.integers(0, 10_000), count=st.integers(2, 40))
def test_a_model_does_not_differ_from_itself(statistic: Statistic, seed: int, count: int) -> None:
    a, _ = _sides(statistic, count, seed)
    if not np.isfinite(score_of(a)):
        return
    found = paired(a, a, draws=20)
    assert (found.difference, found.low, found.high, found.p) == (0, 0, 0, 1)
    assert not found.real


@pytest.mark.parametrize("statistic", STATISTICS)
@given(seed=st.integers(0, 10_000))
def test_turned_round_everything_changes_its_sign(statistic: Statistic, seed: int) -> None:
    a, b = _sides(statistic, 30, seed)
    there, back = paired(a, b, draws=40), paired(b, a, draws=40)
    assert back.difference == -there.difference
    assert (back.low, back.high) == pytest.approx((-there.high, -there.low), abs=1e-12)
    assert (back.p, back.real) == (there.p, there.real)


@given(seed=st.integers(0, 10_000), shift=st.floats(-10, 10))
def test_what_is_added_to_both_sides_changes_nothing(seed: int, shift: float) -> None:
    a, b = _sides("mean", 25, seed)
    moved = paired(replace(a, values=a.values + shift), replace(b, values=b.values + shift), draws=30)
    still = paired(a, b, draws=30)
    for name in ("difference", "low", "high"):
        assert getattr(moved, name) == pytest.approx(getattr(still, name), abs=1e-9)


@given(seed=st.integers(0, 10_000), scale=st.floats(0.01, 100))
def test_ranks_alone_count_for_correlations(seed: int, scale: float) -> None:
    a, b = _sides("spearman", 25, seed)
    bent = replace(a, values=np.exp(scale * a.values / 100))
    if len(np.unique(bent.values)) == len(np.unique(a.values)):
        assert paired(bent, b, draws=30) == paired(a, b, draws=30)


def test_a_clear_difference_is_real_and_noise_is_not() -> None:
    random = np.random.default_rng(3)
    better = _examples("mean", random.random(400) + 0.1, np.empty(0))
    worse = replace(better, values=better.values - 0.1 + random.normal(scale=0.2, size=400))
    found = paired(better, worse)
    assert found.real
    assert found.p < 0.01
    assert found.low < 0.1 < found.high
    same = replace(better, values=better.values + random.normal(scale=0.2, size=400))
    same = replace(same, values=same.values - (same.values - better.values).mean())
    assert not paired(better, same).real


def test_how_often_nothing_is_taken_for_something() -> None:
    """Two equally good models differ "really" in about 5 of 100 comparisons."""
    random = np.random.default_rng(0)
    wrong = sum(
        paired(*(_examples("mean", random.random(100), np.empty(0)) for _ in "ab"), draws=200, seed=seed).real
        for seed in range(400)
    )
    assert 8 <= wrong <= 36


def test_means_over_tasks() -> None:
    sides = [_sides(statistic, 200) for statistic in STATISTICS]
    found = mean_difference([draw(a, b, 300, (1, place)) for place, (a, b) in enumerate(sides)])
    alone = [paired(a, b, draws=300) for a, b in sides]
    assert found.difference == pytest.approx(np.mean([each.difference for each in alone]))
    assert found.n == 600
    # Independent errors: the variance of the mean of three is a ninth of the sum of theirs.
    spread = np.sqrt(sum((each.high - each.low) ** 2 for each in alone)) / 3
    assert found.high - found.low == pytest.approx(spread, rel=0.2)


def test_draws_without_a_value_are_left_out() -> None:
    truth = np.array([0.0, 0, 0, 0, 1])  # A third of the draws have no positive pair.
    a = _examples("average_precision", np.array([0.1, 0.2, 0.3, 0.4, 0.5]), truth)
    b = replace(a, values=np.array([0.1, 0.2, 0.3, 0.5, 0.4]))
    found = paired(a, b)
    assert found.difference == 0.5
    assert 0 <= found.low < found.difference < found.high <= 1


def test_the_same_seed_gives_the_same_figures() -> None:
    a, b = _sides("spearman")
    assert paired(a, b) == paired(a, b)
    assert paired(a, b, seed=1).low != paired(a, b, seed=2).low


def test_pairs_of_other_data_are_refused() -> None:
    a, b = _sides("spearman")
    with pytest.raises(InputError, match=r"pairs of both sides are not the same \(60 and 60"):
        paired(a, replace(b, truth=b.truth[::-1]))
    with pytest.raises(InputError, match="60 and 59"):
        paired(a, replace(b, values=b.values[1:], truth=b.truth[1:]))
    with pytest.raises(InputError, match="spearman over pairs and of mean over queries"):
        paired(a, _sides("mean")[0])
    with pytest.raises(InputError, match="has no value"):
        paired(a, replace(b, values=np.ones(60)))


def test_many_pairs_are_done_soon() -> None:
    a, b = _sides("spearman", 12_500)
    start = time.perf_counter()
    found = paired(a, b)
    assert time.perf_counter() - start < 10
    assert isinstance(found, Difference)


def test_no_p_is_below_what_the_draws_can_tell() -> None:
    a, _ = _sides("mean", seed=3)
    for draws in (50, 400):
        found = paired(replace(a, values=a.values + 9), a, draws=draws)
        assert (found.draws, found.p, found.rarest) == (draws, 2 / (draws + 1), True)
    assert not paired(a, a, draws=50).rarest
