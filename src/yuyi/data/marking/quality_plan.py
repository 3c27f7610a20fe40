"""What a language model is asked about: which pairs, in which batches, and about how much that costs."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from yuyi.artifacts import hash_json
from yuyi.data.clean import weight
from yuyi.data.hashing import hash64
from yuyi.data.marking.rubric import RUBRICS, rubric_for
from yuyi.data.step import add_counts
from yuyi.records import read_pairs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from yuyi.data.folder import DataFolder
    from yuyi.data.marking.judgments import Judgments
    from yuyi.data.quality import QualityConfig
    from yuyi.data.reasons import Reasons
    from yuyi.data.step import Counts
    from yuyi.records import Pair

# For estimates: tokens of an answer for a pair, and of the braces and ids around a pair.
_TOKENS_PER_SCORE, _TOKENS_AROUND = 6, 12
_WEIGHT_PER_TOKEN = 3
# Pairs that the cache is asked about at a time, and the greatest number that a pair can draw.
_BLOCK, _GREATEST = 1_000, 2**64 - 1


@dataclass(frozen=True, slots=True)
class QualityPlan:
    """What a run would do.

    Attributes:
        pairs: pairs to be graded.
        cached: those of them that are graded already.
        batches: requests, where all goes well.
        tokens_in: estimate of the tokens sent.
        tokens_out: estimate of the tokens received.
        cost: estimate of the money, in the currency of the prices.
    """

    pairs: int
    cached: int
    batches: int
    tokens_in: int
    tokens_out: int
    cost: float


class Choice:
    """The pairs that are to be graded: those that have no label and no mark and are in the sample.

    Args:
        folder: where the pairs are.
        reasons: the marks of other steps.
        config: how large the sample is, and who grades.
    """

    def __init__(self, folder: DataFolder, reasons: Reasons, config: QualityConfig) -> None:
        self._folder, self._reasons, self._config = folder, reasons, config
        # The greatest number that a pair of the sample draws.
        self._limit = _GREATEST
        self._limit = self._find_limit()

    def rows(self, part: str) -> Iterator[tuple[int, Pair]]:
        """Row number and pair of what is to be graded in a part."""
        dropped = self._reasons.rows(part)
        for row, pair in enumerate(read_pairs(self._folder.parts("pairs")[part])):
            if pair.label is None and row not in dropped and _draw(pair) <= self._limit:
                yield row, pair

    def batches(self, judgments: Judgments, known: Counts) -> Iterator[list[Pair]]:
        """The pairs without a score in batches of one language; `known` counts the others as `cached`.

        Texts that come twice are asked about once.
        """
        waiting: dict[str, dict[str, Pair]] = {rubric: {} for rubric in RUBRICS}
        for part in self._folder.parts("pairs"):
            rows = self.rows(part)
            while block := [pair for _, pair in islice(rows, _BLOCK)]:
                by_key = {key_of(pair, self._config): pair for pair in block}
                scores = judgments.scores(by_key)
                add_counts(known, {"cached": len(scores)})
                for key, pair in by_key.items():
                    if key in scores:
                        continue
                    batch = waiting[rubric_for(pair)]
                    batch[key] = pair
                    if len(batch) == self._config.batch:
                        yield list(batch.values())
                        batch.clear()
        yield from (list(batch.values()) for batch in waiting.values() if batch)

    def _find_limit(self) -> int:
        sample = self._config.sample
        if sample is None:
            return _GREATEST
        if sample < 1:
            return int(sample * _GREATEST)
        import numpy as np

        parts = self._folder.parts("pairs")
        draws = np.fromiter((_draw(pair) for part in parts for _, pair in self.rows(part)), np.uint64)
        count = int(sample)
        return int(np.partition(draws, count - 1)[count - 1]) if count < len(draws) else _GREATEST


def plan_of(choice: Choice, config: QualityConfig, judgments: Judgments) -> QualityPlan:
    """What grading these pairs would ask and cost, beyond the judgments that are there."""
    tokens = [0, 0]
    batches = asked = 0
    known: Counts = {}
    for batch in choice.batches(judgments, known):
        batches += 1
        asked += len(batch)
        for way, count in enumerate(estimate(batch, config)):
            tokens[way] += count
    cached = known.get("cached", 0)
    return QualityPlan(asked + cached, cached, batches, tokens[0], tokens[1], cost_of(tokens, config))


def estimate(pairs: Sequence[Pair], config: QualityConfig) -> tuple[int, int]:
    """About how many tokens a request about these pairs sends and receives."""
    texts = (text[: config.longest] for pair in pairs for text in (pair.text_a, pair.text_b))
    rubric = weight(RUBRICS[rubric_for(pairs[0])])
    sent = (rubric + sum(map(weight, texts))) // _WEIGHT_PER_TOKEN
    return sent + _TOKENS_AROUND * len(pairs), _TOKENS_PER_SCORE * len(pairs)


def cost_of(tokens: Sequence[int], config: QualityConfig) -> float:
    """The price of some tokens sent and received, in the currency of the prices."""
    return (tokens[0] * config.price_in + tokens[1] * config.price_out) / 1e6


def key_of(pair: Pair, config: QualityConfig) -> str:
    """What the cache calls the grading of a pair: by whom, with which options and rubric, of which texts."""
    shown = [text[: config.longest] for text in (pair.text_a, pair.text_b)]
    asked = [config.base_url.rstrip("/"), config.model, config.options]
    return hash_json([*asked, RUBRICS[rubric_for(pair)], *shown])


def _draw(pair: Pair) -> int:
    """A number below 2 to the 64 that depends on the texts alone."""
    return hash64(pair.text_a, pair.text_b)
