"""Pairs whose partner an encoder does not find among the documents of their source.

The consistency filter of E5 (Wang et al., 2022, section 3.1) and KaLM: a pair is kept where `text_b` stands
among the best of a pool for `text_a`. The pool is drawn from the source's own documents, because telling a
recipe from a statute is no test, and from pairs of the same language, because an English text resembles other
English texts more than its own translation. Ranks are counted by a matrix product a block at a time; nothing
is sorted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from pydantic import Field, PositiveInt

from yuyi.artifacts import publish_file
from yuyi.config import REFUSE_UNKNOWN
from yuyi.data.hashing import hash64
from yuyi.data.mining.dense import count_above, open_encoder, write_vectors
from yuyi.data.reasons import Reasons
from yuyi.data.step import add_counts, run_step
from yuyi.records import Mark, read_batches, write_marks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from yuyi.data.folder import DataFolder
    from yuyi.data.step import Counts, StepRecord, Workplace
    from yuyi.progress import Done

REASON = "inconsistent"
_STEP = "marks/consistency"
# Marks that make no difference to ranks: what they drop is judged.
_OTHERS = ("marks/consistency", "marks/evaluation", "marks/quality")
_CODE = ("data/consistency.py", "data/mining/dense.py", "data/hashing.py", "data/reasons.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsistencyConfig:
    """What decides which pairs are inconsistent.

    Attributes:
        encoder: name or folder of the model that ranks; empty for the embedded one.
        pool: most documents of a source and language that a pair's partner is ranked among.
        top_k: lowest rank that is kept.
        top_k_of: the same by kind of pair, where it should be another: a translation has one right partner
            and few that resemble it, an answer has many.
        top_share: lowest rank that is kept, as a share of the pool, rounded down; the stricter of the two
            counts, but three are always kept. A pair of unrelated texts passes with at most this probability
            in pools that are not tiny.
        least_pool: in a source and language with fewer documents than this nothing is judged: chance would
            decide.
        labelled: whether pairs with a label are judged too; their label says more than a rank.
        dropped: whether pairs are judged too that are marked as duplicates or by the filters, or whose
            document is marked.
        leave_kinds: kinds of pairs that are not judged.
    """

    __pydantic_config__: ClassVar = REFUSE_UNKNOWN

    encoder: str = ""
    pool: PositiveInt = 50_000
    top_k: PositiveInt = 1_000
    top_k_of: dict[str, PositiveInt] = field(default_factory=lambda: {"parallel": 10})
    top_share: Annotated[float, Field(gt=0, le=1)] = 0.25
    least_pool: PositiveInt = 30
    labelled: bool = False
    dropped: bool = False
    leave_kinds: tuple[str, ...] = ()

    def lowest_rank(self, kind: str, pool: int) -> int:
        """The lowest rank that is kept of a kind of pairs in a pool of so many documents."""
        return min(self.top_k_of.get(kind, self.top_k), max(3, math.floor(self.top_share * pool)))


def filter_by_consistency(
    folder: DataFolder,
    config: ConsistencyConfig,
    *,
    workers: int | None = None,
    on_done: Done = lambda texts, tokens=0: None,
) -> StepRecord:
    """The record of `marks/consistency`: a mark for each pair whose partner ranks too low.

    A mark's value is the partner's rank, its note the size of the pool. The encoder and the matrix product
    keep all cores busy by themselves, so everything happens in this process.

    Args:
        folder: holds pairs, and perhaps marks of earlier steps.
        config: what decides.
        workers: of no effect here; every step takes it.
        on_done: called with numbers of pairs as they are done.

    Raises:
        InputError: there are no pairs, earlier marks are out of date, or the place cannot be written.
        ModelError: the encoder cannot be opened.
    """
    pairs = folder.need("pairs").digest
    reasons = None if config.dropped else Reasons(folder, without=_OTHERS)
    encoder = open_encoder(config.encoder)

    def make(place: Workplace) -> Counts:
        alone = replace(place, workers=1)
        jobs = {name: _Job(path, reasons, config) for name, path in folder.parts("pairs").items()}
        alone.each({f"{name}.texts": job for name, job in jobs.items()}, _encode_part, scratch=True)
        pools = _draw_pools(place, list(jobs), config.pool)
        return alone.each({name: (job, pools, place.scratch) for name, job in jobs.items()}, _mark_part)

    return run_step(
        folder.path / _STEP,
        make,
        settings=config,
        inputs={
            "pairs": pairs,
            "encoder": encoder.fingerprint,
            **(reasons.digests() if reasons else {}),
        },
        code=_CODE,
        workers=workers,
        on_done=on_done,
    )


@dataclass(frozen=True, slots=True)
class _Job:
    """A part of pairs, why some are left alone, and the settings."""

    path: Path
    reasons: Reasons | None
    config: ConsistencyConfig


class _Distinct(dict[str, int]):
    """The distinct texts among those asked for, in order, each with its number."""

    def __missing__(self, text: str) -> int:
        self[text] = number = len(self)
        return number


def _encode_part(name: str, job: _Job, folder: Path) -> Counts:
    """Write the vectors of a part's distinct texts, and which of them each pair has."""
    asking, answering = _Distinct(), _Distinct()
    judged = [
        (row, f"{pair['source']} {pair['lang']}", asking[pair["text_a"]], answering[pair["text_b"]])
        for row, pair in _judged_pairs(job)
    ]
    rows, groups, a, b = zip(*judged, strict=True) if judged else ((), (), (), ())
    encoder = open_encoder(job.config.encoder)
    with publish_file(folder / f"{name}.a.npy") as temporary:
        write_vectors(temporary, encoder, list(asking), asking=True)
    with publish_file(folder / f"{name}.b.npy") as temporary:
        write_vectors(temporary, encoder, list(answering), asking=False)
    with publish_file(folder / f"{name}.npz") as temporary, temporary.open("wb") as file:
        np.savez(
            file,
            row=np.array(rows, np.int64),
            group=np.array(groups, np.str_),
            a=np.array(a, np.int64),
            b=np.array(b, np.int64),
            key=np.array([hash64(text) for text in answering], np.uint64),
        )
    return {}


def _judged_pairs(job: _Job) -> Iterator[tuple[int, dict[str, Any]]]:
    """The pairs of a part that are to be judged, with their rows."""
    dropped = job.reasons.rows(job.path.stem) if job.reasons else set()
    row = -1
    for batch in read_batches(job.path, ["source", "kind", "text_a", "text_b", "label", "lang"]):
        for pair in batch.to_pylist():
            row += 1
            left = row in dropped or pair["kind"] in job.config.leave_kinds
            if not left and (job.config.labelled or pair["label"] is None):
                yield row, pair


def _draw_pools(place: Workplace, parts: Sequence[str], most: int) -> dict[str, Path]:
    """The file of each group's pool: the vectors of the distinct documents whose hashes are smallest."""
    found: dict[str, list[tuple[int, NDArray[np.int64], NDArray[np.uint64]]]] = {}
    for number, name in enumerate(parts):
        with np.load(place.scratch / f"{name}.texts.npz") as part:
            groups, b, keys = part["group"], part["b"], part["key"]
        for group in np.unique(groups):
            rows = np.unique(b[groups == group])
            found.setdefault(str(group), []).append((number, rows, keys[rows]))
    pools = {}
    for number, (group, pieces) in enumerate(sorted(found.items())):
        keys = np.concatenate([piece[2] for piece in pieces])
        _, first = np.unique(keys, return_index=True)
        owner = np.repeat([piece[0] for piece in pieces], [len(piece[1]) for piece in pieces])[first[:most]]
        rows = np.concatenate([piece[1] for piece in pieces])[first[:most]]

        def write(path: Path, owner: Any = owner, rows: Any = rows) -> None:
            chosen = [
                np.load(place.scratch / f"{parts[part]}.texts.b.npy", mmap_mode="r")[
                    np.sort(rows[owner == part])
                ]
                for part in np.unique(owner)
            ]
            with path.open("wb") as file:
                np.save(file, np.concatenate(chosen))

        pools[group] = place.once(f"pool-{number}.npy", write)
    return pools


def _mark_part(name: str, job: tuple[_Job, Mapping[str, Path], Path], folder: Path) -> Counts:
    """Write the marks of a part."""
    part, pools, scratch = job
    ranks = _rank_part(scratch / f"{name}.texts", pools)
    counts: Counts = {"rows": 0, "judged": {}, "marked": {}, "by_kind": {}, "too_few": {}}
    marks = []
    for batch in read_batches(part.path, ["source", "kind", "pair_id"]):
        for row, pair in enumerate(batch.to_pylist(), counts["rows"]):
            if row not in ranks:
                continue
            rank, pool = ranks[row]
            source, kind = pair["source"], pair["kind"]
            if pool < part.config.least_pool:
                add_counts(counts["too_few"], {source: 1})
                continue
            low = rank > part.config.lowest_rank(kind, pool)
            add_counts(counts["judged"], {source: 1})
            add_counts(counts["by_kind"], {kind: {"judged": 1, REASON: int(low)}})
            if low:
                marks.append(Mark(row, pair["pair_id"], REASON, rank, f"of {pool}"))
                add_counts(counts["marked"], {source: {REASON: 1}})
        counts["rows"] += len(batch)
    write_marks(folder / f"{name}.parquet", marks)
    return counts


def _rank_part(texts: Path, pools: Mapping[str, Path]) -> dict[int, tuple[int, int]]:
    """By row, the rank of its partner and the size of the pool that it was ranked in."""
    with np.load(texts.with_name(f"{texts.name}.npz")) as table:
        rows, groups, a, b = (table[key] for key in ("row", "group", "a", "b"))
    asking = np.load(texts.with_name(f"{texts.name}.a.npy"), mmap_mode="r")
    answering = np.load(texts.with_name(f"{texts.name}.b.npy"), mmap_mode="r")
    ranks: dict[int, tuple[int, int]] = {}
    for group in np.unique(groups):
        here = groups == group
        pool = np.load(pools[str(group)])
        found = count_above(asking[a[here]], answering[b[here]], pool) + 1
        ranks |= {
            row: (rank, len(pool)) for row, rank in zip(rows[here].tolist(), found.tolist(), strict=True)
        }
    return ranks
