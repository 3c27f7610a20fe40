"""Whether a difference of scores is real: the paired bootstrap over examples.

The same examples are drawn with replacement for both sides, as many as there are, and the difference of their
scores is found anew; how it varies from draw to draw is how it might have varied had the test been made of
other examples of the same kind. The interval is that of percentiles.

Sources: B. Efron and R. Tibshirani, An Introduction to the Bootstrap (1993), chapter 13, for the interval and
15.4 for what a test by bootstrap says; P. Koehn, Statistical Significance Tests for Machine Translation
Evaluation (EMNLP 2004), for drawing both systems' examples together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from yuyi.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from yuyi.evaluate.comparing.examples import Examples

DRAWS = 1_000
SEED = 42

_Floats: TypeAlias = NDArray[np.float64]
Seed: TypeAlias = int | tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """The score of one side less that of the other, in the unit of the scores.

    Attributes:
        difference: on all examples.
        low: lower end of the interval that holds 95 of 100 draws.
        high: its upper end.
        p: how likely draws fall on the other side of no difference, both sides counted: 0 to 1.
        n: number of examples.
        draws: number of draws; so many can tell no p below 2 / (draws + 1).
    """

    difference: float
    low: float
    high: float
    p: float
    n: int
    draws: int

    @property
    def real(self) -> bool:
        """Whether the interval leaves out no difference at all."""
        return self.low > 0 or self.high < 0

    @property
    def rarest(self) -> bool:
        """Whether no draw fell on the other side, so that `p` may be any number up to what it says."""
        return self.p <= 2 / (self.draws + 1)


@dataclass(frozen=True, slots=True)
class Drawn:
    """The differences of two sides on one task.

    Attributes:
        whole: on all examples.
        drawn: (draws,) float64, on those of each draw; NaN where the draw had no score.
        n: number of examples.
        metric: mteb's name of the score.
        of: what an example is, as in `Examples`; of "draws" the interval tells how drawing varies, not texts.
    """

    whole: float
    drawn: _Floats
    n: int
    metric: str
    of: str


def draw(a: Examples, b: Examples, draws: int = DRAWS, seed: Seed = SEED) -> Drawn:
    """The score of `a` less that of `b` in each draw; for means over tasks, give each its own seed.

    Raises:
        InputError: the examples are not the same.
    """
    _check_same(a, b)
    first, second, count = _by_weights(a), _by_weights(b), len(a.values)
    random, found = np.random.default_rng(seed), np.empty(draws)
    for place in range(draws):
        weights = np.bincount(random.integers(0, count, count), minlength=count).astype(np.float64)
        found[place] = first(weights) - second(weights)
    return Drawn(score_of(a) - score_of(b), found, count, a.metric, a.of)


def mean_difference(tasks: Sequence[Drawn]) -> Difference:
    """The mean over tasks of their differences; all have the same number of draws.

    Raises:
        InputError: a score has no value.
    """
    whole = float(np.mean([task.whole for task in tasks]))
    drawn = np.mean([task.drawn for task in tasks], axis=0)
    drawn = drawn[np.isfinite(drawn)]  # A draw of a few examples may be of one label alone.
    if not (np.isfinite(whole) and len(drawn)):
        raise InputError("a score of the examples has no value: all of one side are alike. Evaluate again.")
    low, high = np.percentile(drawn, [2.5, 97.5])
    # One is added to both, as the examples themselves are a draw, too; so no p is 0.
    rarer = min((drawn <= 0).sum(), (drawn >= 0).sum())
    p = min(1.0, 2 * (rarer + 1) / (len(drawn) + 1))
    return Difference(whole, float(low), float(high), float(p), sum(task.n for task in tasks), len(drawn))


def score_of(examples: Examples) -> float:
    """The score that the examples make together; NaN where they make none."""
    return _by_weights(examples)(np.ones(len(examples.values)))


def _check_same(a: Examples, b: Examples) -> None:
    if (a.statistic, a.metric, a.of) != (b.statistic, b.metric, b.of):
        raise InputError(
            f"examples of {a.metric} over {a.of} and of {b.metric} over {b.of} cannot be compared. "
            "Evaluate both with the same version."
        )
    if len(a.values) != len(b.values) or not np.array_equal(a.truth, b.truth):
        raise InputError(
            f"the {a.of} of both sides are not the same ({len(a.values):,} and {len(b.values):,} of them, "
            "or judged differently). Evaluate both on the same data."
        )


def _by_weights(examples: Examples) -> Callable[[_Floats], float]:
    """The score as a function of how often each example counts.

    What does not depend on that, the order of similarities above all, is found once and not in every draw.
    """
    match examples.statistic:
        case "mean":
            return lambda weights: float(weights @ examples.values / weights.sum())
        case "spearman":
            return _spearman(examples.values, examples.truth)
        case "average_precision":
            return _average_precision(examples.values, examples.truth)


def _spearman(values: _Floats, truth: _Floats) -> Callable[[_Floats], float]:
    sides = [np.unique(side, return_inverse=True)[1] for side in (values, truth)]

    def of(weights: _Floats) -> float:
        x, y = (_centred_ranks(places, weights) for places in sides)
        with np.errstate(invalid="ignore"):
            return float(np.divide(weights @ (x * y), np.sqrt((weights @ (x * x)) * (weights @ (y * y)))))

    return of


def _centred_ranks(places: NDArray[np.intp], weights: _Floats) -> _Floats:
    """Rank of each example less the mean rank, where equal values share the mean of their ranks."""
    counts = np.bincount(places, weights)
    ends: _Floats = np.cumsum(counts)
    ranks: _Floats = ends - counts / 2 - ends[-1] / 2
    return ranks[places]


def _average_precision(values: _Floats, truth: _Floats) -> Callable[[_Floats], float]:
    places = np.unique(-values, return_inverse=True)[1]

    def of(weights: _Floats) -> float:
        found = np.bincount(places, weights * truth)
        seen = np.cumsum(np.bincount(places, weights))
        with np.errstate(invalid="ignore"):
            precision = np.cumsum(found) / np.maximum(seen, 1)
            return float(np.divide(found @ precision, found.sum()))

    return of
