"""Hard negatives: texts that resemble what a query looks for, and very likely do not answer it.

Candidates are the best passages by BM25 and by vectors, fused by their ranks (Cormack et al., 2009). One is
taken only where it scores clearly below the pair's own text: at most 95 % of its score, as NV-Retriever found
best (Moreira et al., 2024, section 4). What the pair's query is known to be answered by, near-copies of the
answer and texts of its document are never taken.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from yuyi.config import REFUSE_UNKNOWN
from yuyi.data.clean import match_key
from yuyi.data.mining.candidates import Candidates, find_candidates, guard
from yuyi.data.mining.dense import open_encoder, scores_of
from yuyi.data.mining.false_negatives import judge_part, write_estimate, write_samples
from yuyi.data.mining.groups import (
    PartJob,
    count_part,
    encode_part,
    gather_part,
    kept_pairs,
    number_passages,
    open_group,
    read_numbers,
)
from yuyi.data.mining.second_opinion import open_judge, too_close
from yuyi.data.reasons import Reasons
from yuyi.data.step import add_counts, run_step
from yuyi.records import write_records

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from yuyi.data.folder import DataFolder
    from yuyi.data.mining.groups import Group, Integers
    from yuyi.data.step import Counts, StepRecord, Workplace
    from yuyi.progress import Done

_STEP = "negatives"
_CODE = ("data/negatives.py", "data/mining", "data/reasons.py", "search/flat.py")
# Pairs whose candidates are weighed at a time.
_PAIRS = 4_096
Share = Annotated[float, Field(gt=0, le=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class NegativesConfig:
    """What decides which texts become negatives.

    Attributes:
        encoder: name or folder of the model that searches; empty for the embedded one.
        scope: whether a pair's negatives come from its own source or from all.
        queries: most pairs of a source (or of all) that get negatives; of more, as many are drawn, and the
            texts of the others are passages only.
        count: most negatives of a pair.
        lexical: candidates by BM25, 0 for none.
        dense: candidates by vectors, 0 for none.
        longest: a term in more passages than this is not looked up by BM25; lower is faster.
        rank_from: best fused rank that is taken, counted without known positives; higher means easier
            negatives, fewer of which answer the query.
        rank_to: worst fused rank that is taken.
        most: a negative's score is at most this share of the positive's.
        least: a negative's score is at least this share of the positive's; below, it is no hard one.
        margin: a negative's score is at least this much below the positive's.
        near_copy: a passage is a near-copy of the positive from this cosine on; it is not taken.
        same_document: whether passages of the positive's own document are taken.
        check_model: folder or name of a second model that looks over the negatives; empty for none.
        check_kind: `encoder`, or `cross-encoder` for a folder that sentence-transformers opens as one.
        check_most: a negative that the second model scores above this share of the positive is dropped.
        sample: negatives in each part that the estimate of false negatives looks at.
    """

    __pydantic_config__: ClassVar = REFUSE_UNKNOWN

    encoder: str = ""
    scope: Literal["source", "all"] = "source"
    queries: PositiveInt = 100_000
    count: PositiveInt = 8
    lexical: NonNegativeInt = 50
    dense: NonNegativeInt = 50
    longest: PositiveInt = 10_000
    rank_from: PositiveInt = 1
    rank_to: PositiveInt = 100
    most: Share = 0.95
    least: Annotated[float, Field(ge=0, le=1)] = 0.3
    margin: NonNegativeFloat = 0.0
    near_copy: Share = 0.9
    same_document: bool = False
    check_model: str = ""
    check_kind: Literal["encoder", "cross-encoder"] = "encoder"
    check_most: Share = 0.95
    sample: PositiveInt = 200


@dataclass(frozen=True, slots=True)
class Negative:
    """A text that resembles the positive and does not answer.

    Attributes:
        pair_id: of the first pair that has it as `text_b`.
        text: itself.
        score: its cosine to the query, by the model that searched.
        lexical_rank: its rank by BM25 from 1 on, or 0 where it is not among the candidates.
        dense_rank: its rank by vectors, or 0.
    """

    pair_id: str
    text: str
    score: float
    lexical_rank: int
    dense_rank: int


@dataclass(frozen=True, slots=True)
class Negatives:
    """The negatives of a pair.

    Attributes:
        row: number of the pair in its part.
        pair_id: its name.
        positive_score: cosine of its two texts, by the model that searched.
        negatives: best fused rank first; none for some pairs.
    """

    row: int
    pair_id: str
    positive_score: float
    negatives: tuple[Negative, ...] = field(default=(), metadata={"rows": Negative})


def mine_negatives(
    folder: DataFolder,
    config: NegativesConfig,
    *,
    workers: int | None = None,
    on_done: Done = lambda texts, tokens=0: None,
) -> StepRecord:
    """The record of `negatives/`: for each pair without marks and label, its hard negatives.

    A pair whose document is marked counts as marked. What is marked is no negative of another pair either.

    Beside the parts stands `estimate.json`: how many of the negatives may be false, by which measure, with
    examples, as `yuyi.data.mining.false_negatives` explains.

    Args:
        folder: holds pairs and marks.
        config: what decides.
        workers: processes that count words; None for one a core. Vectors keep all cores busy by themselves.
        on_done: called with numbers of pairs as they are done.

    Raises:
        InputError: there are no pairs, marks are out of date, or the place cannot be written.
        ModelError: a model cannot be opened.
    """
    reasons = Reasons(folder)
    encoder = open_encoder(config.encoder)
    judge = open_judge(config.check_kind, config.check_model)
    return run_step(
        folder.path / _STEP,
        lambda place: _make(folder, reasons, config, place),
        settings=config,
        inputs={
            "pairs": folder.need("pairs").digest,
            "encoder": encoder.fingerprint,
            **({"check_model": judge.fingerprint} if judge else {}),
            **reasons.digests(),
        },
        code=_CODE,
        workers=workers,
        on_done=on_done,
    )


def _make(folder: DataFolder, reasons: Reasons, config: NegativesConfig, place: Workplace) -> Counts:
    """Write the negatives of all parts and the estimate, and count what was mined."""
    alone = replace(place, workers=1)
    jobs = {
        name: PartJob(number, path, frozenset(reasons.rows(name)), config.scope, config.encoder)
        for number, (name, path) in enumerate(folder.parts("pairs").items())
    }
    place.each({f"{name}.gather": job for name, job in jobs.items()}, gather_part, scratch=True)
    parts = tuple(jobs)
    place.once("numbers.npz", lambda path: number_passages(place.scratch, list(parts), config.queries, path))
    alone.each({f"{name}.vectors": job for name, job in jobs.items()}, encode_part, scratch=True)
    place.each({f"{name}.terms": job for name, job in jobs.items()}, count_part, scratch=True)
    mining = {name: _Mining(job, parts, place.scratch, config) for name, job in jobs.items()}
    counts = alone.each(mining, _mine_part)
    write_estimate(place.folder / "estimate.json", place.scratch, parts, counts)
    return counts


@dataclass(frozen=True, slots=True)
class _Mining:
    job: PartJob
    parts: tuple[str, ...]
    scratch: Path
    config: NegativesConfig


def _mine_part(name: str, job: _Mining, folder: Path) -> Counts:
    """Write the negatives of a part's pairs, and what the estimate needs of them."""
    numbers = read_numbers(job.scratch / "numbers.npz")
    asks = numbers.asks[numbers.part == job.job.part]
    here = np.flatnonzero((numbers.part == job.job.part) & numbers.asks)
    pairs = [pair for (_, pair), one in zip(kept_pairs(job.job), asks, strict=True) if one]
    mined: dict[int, Negatives] = {}
    counts: Counts = {"rows": len(pairs), "pairs": {}, "mined": {}, "refused": {}, "hidden": Counter()}
    vectors = np.load(job.scratch / f"{name}.vectors.queries.npy", mmap_mode="r")
    terms = _load_terms(job.scratch / f"{name}.terms.queries.npz")
    samples: list[dict[str, Any]] = []
    for number in np.unique(numbers.group[here]):
        group = open_group(job.scratch, job.parts, int(number), job.config.longest)
        places = np.flatnonzero(numbers.group[here] == number)
        source = str(numbers.names[number]) or "all"
        found: list[tuple[int, Negatives, Integers]] = []
        refused: Counter[str] = Counter()
        for start in range(0, len(places), _PAIRS):
            block = places[start : start + _PAIRS]
            asked = _Asked(
                block, numbers.query[here[block]], numbers.passage[here[block]], numbers.document[here[block]]
            )
            more, why, hidden = _mine_block(group, asked, vectors[block], terms[block], pairs, job.config)
            found += more
            refused += why
            counts["hidden"] += hidden
        samples += judge_part(group, source, pairs, found, numbers.passage[here], job.config.sample)
        mined |= {place: negatives for place, negatives, _ in found}
        add_counts(counts["pairs"], {source: len(places)})
        add_counts(counts["mined"], {source: sum(len(one.negatives) for _, one, _ in found)})
        add_counts(counts["refused"], {source: refused})
    rows = numbers.row[here].tolist()
    write_records(
        folder / f"{name}.parquet",
        (replace(mined[place], row=row) for place, row in enumerate(rows)),
        Negatives,
    )
    write_samples(job.scratch / f"{name}.samples.json", samples)
    return counts


@dataclass(frozen=True, slots=True)
class _Asked:
    """Pairs of one group: their places in the part, and numbers of their queries, passages and documents."""

    places: Integers
    queries: Integers
    positives: Integers
    documents: NDArray[np.uint64]


def _mine_block(
    group: Group, asked: _Asked, vectors: NDArray[np.int16], terms: Any, pairs: list[dict[str, Any]],
    config: NegativesConfig,
) -> tuple[list[tuple[int, Negatives, Integers]], Counter[str], Counter[str]]:  # fmt: skip
    """The negatives of some pairs (place, row, passages), why others were refused, what was hidden."""
    scores = scores_of(vectors, group.vectors[asked.positives])
    found = find_candidates(group, vectors, terms, config)
    known = group.knows(asked.queries[found.pair], found.passage)
    own = found.passage == asked.positives[found.pair]
    kept, refused = guard(group, found, known, asked.positives, asked.documents, scores, config)
    blind, _ = guard(group, found, own, asked.positives, asked.documents, scores, config)
    hidden = _count_hidden(group, blind, asked, config.count)
    # Some more than wanted, since the text itself or a second model may yet refuse one.
    near = kept.where(kept.ranks() <= 2 * config.count)
    texts = group.read(near.passage)
    answers = [pairs[place]["text_b"] for place in asked.places.tolist()]
    good = np.array(
        [not _contains(answers[pair], one["text"]) for pair, one in zip(near.pair, texts, strict=True)], bool
    )
    refused["copy of the positive"] = int((~good).sum())
    if judge := open_judge(config.check_kind, config.check_model):
        questions = [pairs[place]["text_a"] for place in asked.places.tolist()]
        close = too_close(
            judge, questions, answers, near.pair, [one["text"] for one in texts], config.check_most
        )
        refused["second model"] = int((good & close).sum())
        good &= ~close
    starts = np.searchsorted(near.pair, np.arange(len(answers) + 1))
    mined = []
    for pair, place in enumerate(asked.places.tolist()):
        chosen = [i for i in range(starts[pair], starts[pair + 1]) if good[i]][: config.count]
        negatives = tuple(
            Negative(
                texts[i]["pair_id"], texts[i]["text"], round(float(near.score[i]), 4),
                int(near.lexical_rank[i]), int(near.dense_rank[i]),
            )
            for i in chosen
        )  # fmt: skip
        own_score = round(float(scores[pair]), 4)
        mined.append(
            (place, Negatives(0, pairs[place]["pair_id"], own_score, negatives), near.passage[chosen])
        )
    return mined, refused, hidden


def _count_hidden(group: Group, blind: Candidates, asked: _Asked, count: int) -> Counter[str]:
    """How often known answers would have been mined, had nobody known them."""
    answers = group.answers_of(asked.queries)
    several = answers > 1
    taken = blind.where((blind.ranks() <= count) & several[blind.pair])
    false = group.knows(asked.queries[taken.pair], taken.passage)
    return Counter(
        pairs=int(several.sum()),
        answers=int((answers[several] - 1).sum()),
        mined=len(false),
        returned=int(false.sum()),
    )


def _contains(answer: str, text: str) -> bool:
    one, other = match_key(answer), match_key(text)
    return one in other or other in one


def _load_terms(path: Path) -> Any:
    from scipy import sparse

    return sparse.load_npz(path)
