"""How many mined negatives may be answers after all: an estimate by two measures, with examples.

*Hidden answers.* Where a query has several known answers, all but one are hidden from the miner, and it is
counted how many of them it returns as negatives. This is a lower bound for such queries, since only known
answers count; it says nothing of queries with one answer.

*Covered answers.* A negative that holds at least half of what the positive says, by the weight (inverse
frequency) of its terms, may answer as well. The miner does not look for this: it searches by the query. The
same share among random passages of the group tells what the measure finds by chance.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from yuyi.artifacts import publish_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from yuyi.data.mining.groups import Group, Integers
    from yuyi.data.negatives import Negatives
    from yuyi.data.step import Counts

COVERED = 0.5
_EXAMPLES = 20


def coverage(group: Group, answers: Integers, passages: Integers) -> Any:
    """(rows,) float: how much of each answer's weight of terms stands in the passage beside it, 0 to 1."""
    shares = []
    for answer, passage in zip(answers.tolist(), passages.tolist(), strict=True):
        terms = _terms(group, answer)
        weights = group.lexical.idf[terms]
        shared = weights[np.isin(terms, _terms(group, passage))].sum()
        shares.append(float(shared / weights.sum()) if len(terms) else 0.0)
    return np.array(shares)


def judge_part(
    group: Group,
    source: str,
    pairs: Sequence[Mapping[str, Any]],
    found: Sequence[tuple[int, Negatives, Integers]],
    positives: Integers,
    sample: int,
) -> list[dict[str, Any]]:
    """A sample of the negatives of a group in a part, each with its coverage and that of a random passage.

    Args:
        group: the passages.
        source: what to call it.
        pairs: of the part.
        found: place of each pair in the part, its negatives, and their passages.
        positives: passage of each pair of the part.
        sample: most negatives that are looked at.
    """
    choice = np.random.default_rng(20)
    mined = [each for each in found if len(each[2])]
    chosen = [mined[i] for i in np.sort(choice.permutation(len(mined))[:sample])]
    which = [int(choice.integers(len(passages))) for _, _, passages in chosen]
    answers = positives[[place for place, _, _ in chosen]]
    passages = np.array([of[i] for (_, _, of), i in zip(chosen, which, strict=True)], np.int64)
    covered = coverage(group, answers, passages)
    chance = coverage(group, answers, choice.integers(len(group.vectors), size=len(answers)))
    return [
        {
            "source": source,
            "query": pairs[place]["text_a"],
            "positive": pairs[place]["text_b"],
            "negative": one.negatives[i].text,
            "positive_score": one.positive_score,
            "negative_score": one.negatives[i].score,
            "coverage": round(float(share), 3),
            "random_coverage": round(float(other), 3),
        }
        for (place, one, _), i, share, other in zip(chosen, which, covered, chance, strict=True)
    ]


def write_samples(path: Path, samples: Sequence[Mapping[str, Any]]) -> None:
    """Write the samples of a part, as `judge_part` gives them."""
    with publish_file(path) as temporary:
        temporary.write_text(json.dumps(samples, ensure_ascii=False), "utf-8")


def write_estimate(path: Path, scratch: Path, parts: Sequence[str], counts: Counts) -> None:
    """Write `estimate.json` from the samples of all parts and from what was counted of hidden answers."""
    samples = [
        one for name in parts for one in json.loads((scratch / f"{name}.samples.json").read_text("utf-8"))
    ]
    hidden = {"pairs": 0, "answers": 0, "mined": 0, "returned": 0} | counts.get("hidden", {})
    ordered = sorted(samples, key=lambda one: (-one["coverage"], one["query"]))
    estimate = {
        "hidden_answers": {
            **hidden,
            "share_of_negatives": _share(hidden["returned"], hidden["mined"]),
            "share_of_answers": _share(hidden["returned"], hidden["answers"]),
        },
        "covered_answers": {
            "sample": len(samples),
            "share_of_negatives": _share(sum(one["coverage"] >= COVERED for one in samples), len(samples)),
            "share_by_chance": _share(
                sum(one["random_coverage"] >= COVERED for one in samples), len(samples)
            ),
        },
        "examples": {
            "most_covered": ordered[:_EXAMPLES],
            "random": [samples[i] for i in np.random.default_rng(20).permutation(len(samples))[:_EXAMPLES]],
        },
    }
    with publish_file(path) as temporary:
        temporary.write_text(json.dumps(estimate, ensure_ascii=False, indent=1) + "\n", "utf-8")


def _terms(group: Group, passage: int) -> Any:
    counts = group.counts
    return counts.indices[counts.indptr[passage] : counts.indptr[passage + 1]]


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None
