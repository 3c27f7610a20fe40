"""Marks on documents and pairs that repeat an earlier one: exactly, or in nearly all of their shingles.

Two texts are equal when their letters and digits are (`clean.match_key`). They are nearly equal when the
Jaccard similarity of their shingles reaches a threshold; a shingle is five characters of the match key.
With three, long English texts that have nothing to do with each other share a tenth of their shingles and are
proposed by the million; with five they share a hundredth, and a Chinese sentence still has enough of them.
Two pairs are nearly equal when both sides together are, and neither side is another text: a passage that
answers two questions makes two pairs.

Judged pairs repeat only pairs that were judged on the same scale, and nearly only such of the same label:
in sets like PAWS two words that change places are the whole point.

Pairs that the filters marked, or whose document is marked, are left out: no other pair repeats one of them.
Rows keep the order of their parts. A row stays unless it is near an earlier row that stays, so every marked
row is as similar as its mark says to a row that is kept; chains are not followed.
"""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from pydantic import Field, PositiveInt

from yuyi.artifacts import publish_file
from yuyi.config import REFUSE_UNKNOWN
from yuyi.data.clean import clean, match_key
from yuyi.data.hashing import hash64
from yuyi.data.marking.minhash import Bands, common, neighbours, shingles
from yuyi.data.marking.sketches import Sketches
from yuyi.data.reasons import Reasons
from yuyi.data.step import run_step
from yuyi.records import Mark, read_batches, read_rows, write_marks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from yuyi.data.folder import DataFolder
    from yuyi.data.step import Counts, StepRecord, Workplace
    from yuyi.progress import Done

_CODE = (
    *("data/dedupe.py", "data/marking/minhash.py", "data/marking/sketches.py", "data/clean.py"),
    *("data/hashing.py", "data/reasons.py"),
)
# Marks that are made after those of duplicates.
_LATER = ("marks/duplicates", "marks/evaluation", "marks/consistency", "marks/quality")
_BATCH = 5_000
# Of many texts with one band, each is compared with so many before it, and with the first.
_REACH = 4
# Candidates of one job, and shingles that it compares at a time.
_CANDIDATES, _COMPARED = 200_000, 1 << 21
_REASONS = ("duplicate", "near duplicate", "repeated answer", "repeated question")
_VERDICT = np.dtype([("row", "<i8"), ("of", "<i8"), ("value", "<f8"), ("reason", "<i1")])


@dataclass(frozen=True, slots=True, kw_only=True)
class DedupeConfig:
    """What counts as a repetition.

    Attributes:
        near: Jaccard similarity of shingles, 0 to 1, from which on two texts are near duplicates; null to
            mark exact duplicates alone.
        shingle: characters in a shingle.
        least_side: Jaccard similarity that each side of two pairs must reach alone, so that one long common
            side does not make near duplicates of pairs that ask different things.
        answer_limit: pairs without a judgment that may have the same `text_b`; null for any number.
        question_limit: pairs without a judgment that may have the same `text_a` and different `text_b`; null
            for any number.
    """

    __pydantic_config__: ClassVar = REFUSE_UNKNOWN

    near: Annotated[float, Field(gt=0, lt=1)] | None = 0.8
    shingle: PositiveInt = 5
    least_side: Annotated[float, Field(ge=0, le=1)] = 0.5
    answer_limit: PositiveInt | None = 10
    question_limit: PositiveInt | None = 10


def dedupe_documents(
    folder: DataFolder,
    config: DedupeConfig,
    *,
    workers: int | None = None,
    on_done: Done = lambda texts, tokens=0: None,
) -> StepRecord:
    """The record of `marks/documents`, which marks documents that repeat an earlier one of any source.

    A mark's note names the source and the document that is kept; its value is their Jaccard similarity.

    Raises:
        InputError: nothing was extracted.
    """
    return _dedupe(folder, "documents", "marks/documents", config, workers, on_done)


def dedupe_pairs(
    folder: DataFolder,
    config: DedupeConfig,
    *,
    workers: int | None = None,
    on_done: Done = lambda texts, tokens=0: None,
) -> StepRecord:
    """The record of `marks/duplicates`, which marks pairs that repeat an earlier one of any source.

    A mark's note is the `pair_id` of the pair that is kept. Its value is the Jaccard similarity of the two,
    or for a side that stands in too many pairs, in how many it stands.

    Raises:
        InputError: no pairs were made, or marks of filters or documents are out of date.
    """
    return _dedupe(folder, "pairs", "marks/duplicates", config, workers, on_done)


def _dedupe(
    folder: DataFolder, on: str, step: str, config: DedupeConfig, workers: int | None, on_done: Done
) -> StepRecord:
    inputs = {on: folder.need(on).digest}
    reasons = Reasons(folder, without=_LATER) if on == "pairs" else None
    return run_step(
        folder.path / step,
        lambda place: _make(place, folder.parts(on), on, config, reasons),
        settings=config,
        inputs={**inputs, **(reasons.digests() if reasons else {})},
        code=_CODE,
        workers=workers,
        on_done=on_done,
    )


def _make(
    place: Workplace, parts: Mapping[str, Path], on: str, config: DedupeConfig, reasons: Reasons | None
) -> Counts:
    jobs = {f"{name}.sketch": (path, on, config, reasons) for name, path in parts.items()}
    counts = place.each(jobs, _sketch, scratch=True)
    sketches = Sketches(place.scratch, list(jobs), 2 if on == "pairs" else 1)
    verdicts = place.once("verdicts.npy", lambda path: _save(path, _judge(place, sketches, config)))
    return {"rows": counts.get("rows", 0), "marked": _write(place.folder, parts, on, sketches, verdicts)}


def _sketch(name: str, job: tuple[Path, str, DedupeConfig, Reasons | None], folder: Path) -> Counts:
    """Write a part's hashes: of each row and its sides, of its shingles, and of its bands."""
    path, on, config, reasons = job
    left_out = reasons.rows(path.stem) if reasons else set()
    keys, sizes = [np.empty((3, 0), np.uint64)], [np.empty(0, np.int64)]
    bands = Bands(config.near) if config.near else None
    banded = [np.empty((bands.count if bands else 0, 0), np.uint64)]
    with ExitStack() as files:
        raw = files.enter_context(files.enter_context(publish_file(folder / f"{name}.shingles")).open("wb"))
        for texts, row_keys, groups in _read_rows(path, on, left_out):
            keys.append(row_keys)
            if bands:
                found = shingles(texts, config.shingle)
                found.hashes.tofile(raw)
                sizes.append(found.sizes)
                sides = len(texts) // len(groups)
                banded.append(bands.hashes(found.joined(sides)) ^ groups)
    all_keys = np.concatenate(keys, axis=1)
    for kind, array in (("keys", all_keys), ("sizes", np.concatenate(sizes))):
        _publish(folder / f"{name}.{kind}.npy", array)
    _publish(folder / f"{name}.bands.npy", np.concatenate(banded, axis=1))
    return {"rows": all_keys.shape[1]}


def _read_rows(
    path: Path, on: str, left_out: set[int]
) -> Iterator[tuple[list[str], NDArray[np.uint64], NDArray[np.uint64]]]:
    """The match keys of some rows, side by side; hashes of row, question and answer; hash of the judgment.

    A row that is left out has empty keys and no hash but 0; so have question and answer of a judged pair.
    """
    columns = ["text"] if on == "documents" else ["text_a", "text_b", "kind", "label"]
    begin = 0
    for batch in read_batches(path, columns, rows=_BATCH):
        values = [column.to_pylist() for column in batch.columns]
        if on == "documents":
            texts = [match_key(clean(text)) for text in values[0]]
            hashes = [(hash64(text), 0, 0) for text in texts]
            judgments = [0] * len(texts)
        else:
            out = [row in left_out for row in range(begin, begin + len(batch))]
            texts = [
                "" if gone else match_key(clean(text))
                for *row, gone in zip(*values[:2], out, strict=True)
                for text in row
            ]
            rows = list(zip(texts[::2], texts[1::2], *values[2:], out, strict=True))
            hashes = [(0, 0, 0) if gone else _hashes(*row) for *row, gone in rows]
            judgments = [0 if label is None else hash64(kind, str(label)) for *_, kind, label, _ in rows]
        begin += len(batch)
        yield texts, np.array(hashes, np.uint64).reshape(-1, 3).T, np.array(judgments, np.uint64)


def _hashes(a: str, b: str, kind: str, label: float | None) -> tuple[int, int, int]:
    return (hash64(a, b), hash64(a), hash64(b)) if label is None else (hash64(a, b, kind), 0, 0)


def _judge(place: Workplace, sketches: Sketches, config: DedupeConfig) -> NDArray[Any]:
    """A verdict on each row that should not be used, by row."""
    keys = sketches.column("keys", 0)
    equal = np.where(keys == 0, np.arange(len(keys)), _firsts(keys))
    kept, value = equal.copy(), np.ones(len(equal))
    if config.near:
        for later, earlier, similarity in _near(place, sketches, equal, config):
            if kept[earlier] == earlier and kept[later] == later:
                kept[later], value[later] = earlier, similarity
    near = kept != equal
    # What equals a row that went goes for the same reason.
    kept, value, near = kept[equal], value[equal], near[equal]
    reason = np.where(near, 1, 0)
    alone = kept == np.arange(len(kept))
    for number, limit in ((2, config.answer_limit), (1, config.question_limit)):
        hashes = sketches.column("keys", number)
        rows = np.flatnonzero(alone & (hashes != 0))
        late, first, size = _beyond(hashes[rows], limit or len(rows))
        kept[rows[late]], value[rows[late]] = rows[first], size
        reason[rows[late]] = 4 - number
        alone[rows[late]] = False
    found = np.flatnonzero(~alone)
    verdicts = np.empty(len(found), _VERDICT)
    verdicts["row"], verdicts["of"], verdicts["value"] = found, kept[found], value[found]
    verdicts["reason"] = reason[found]
    return verdicts


def _firsts(hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
    """For each row the first that has its hash."""
    order, begins, sizes = _groups(hashes)
    firsts = np.empty(len(hashes), np.int64)
    firsts[order] = np.repeat(order[begins], sizes)
    return firsts


def _beyond(
    hashes: NDArray[np.uint64], limit: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The rows that come after `limit` others of their hash, the first of these, and how many have it."""
    order, begins, sizes = _groups(hashes)
    rank = np.arange(len(order)) - np.repeat(begins, sizes)
    late = np.flatnonzero(rank >= limit)
    return order[late], np.repeat(order[begins], sizes)[late], np.repeat(sizes, sizes)[late]


def _groups(hashes: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Rows ordered by hash and number; where each hash begins there; how often it occurs."""
    order = np.argsort(hashes, kind="stable")
    ranked = hashes[order]
    begins = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]])[: len(ranked)])
    return order, begins, np.diff(np.append(begins, len(ranked)))


def _near(
    place: Workplace, sketches: Sketches, equal: NDArray[np.int64], config: DedupeConfig
) -> Iterator[tuple[int, int, float]]:
    """Each row with an earlier one that it is near, and their similarity; by row, then by the earlier."""
    path = place.once("candidates.npy", lambda path: _save(path, _candidates(sketches, equal, config)))
    total = np.load(path, mmap_mode="r").shape[0]
    ends = [*range(0, total, _CANDIDATES), total]
    jobs = {f"near-{begin}": (path, begin, end, sketches, config) for begin, end in pairwise(ends)}
    place.each(jobs, _compare, scratch=True)
    for name in jobs:
        for later, earlier, similarity in np.load(place.scratch / f"{name}.npy").tolist():
            yield int(later), int(earlier), similarity


def _candidates(sketches: Sketches, equal: NDArray[np.int64], config: DedupeConfig) -> NDArray[np.int64]:
    """Rows that agree in a band, of shape (candidates, 2): each with an earlier one, in order."""
    rows = np.flatnonzero((equal == np.arange(len(equal))) & (sketches.column("keys", 0) != 0))
    found = np.empty(0, np.int64)
    for band in range(Bands(config.near).count if config.near else 0):
        agreeing = rows[neighbours(sketches.column("bands", band)[rows], _REACH)]
        found = np.sort(np.concatenate([found, agreeing[:, 1] << 32 | agreeing[:, 0]]))
        found = found[np.concatenate([[True], found[1:] != found[:-1]])[: len(found)]]
    return np.stack([found >> 32, found & 0xFFFFFFFF], axis=1)


def _compare(name: str, job: tuple[Path, int, int, Sketches, DedupeConfig], folder: Path) -> Counts:
    """Write which of some candidates are near: row, earlier row, similarity."""
    path, begin, end, sketches, config = job
    candidates = np.asarray(np.load(path, mmap_mode="r")[begin:end])
    weights = sketches.weights()[candidates].sum(axis=1)
    steps = np.flatnonzero(np.diff(np.cumsum(weights) // _COMPARED)) + 1
    found = [np.empty((0, 3))]
    for some in np.split(candidates, steps):
        sides = list(zip(*(sketches.shingles(column) for column in some.T), strict=True))
        shared = [common(one, other) for one, other in sides]
        every = [one.sizes + other.sizes - both for (one, other), both in zip(sides, shared, strict=True)]
        similarity = sum(shared) / sum(every)
        good = similarity >= (config.near or 1)
        if len(sides) > 1:
            for both, union in zip(shared, every, strict=True):
                good &= both >= config.least_side * union
        found.append(np.column_stack([some[good], similarity[good]]))
    _publish(folder / f"{name}.npy", np.concatenate(found))
    return {}


def _write(
    folder: Path, parts: Mapping[str, Path], on: str, sketches: Sketches, verdicts: Path
) -> dict[str, dict[str, int]]:
    """Write the marks of each part, and return how many there are by source and reason."""
    found = np.load(verdicts)
    names = _names(parts, on, sketches.begins, np.sort(found["of"]))
    counts: dict[str, Counter[str]] = {}
    for number, (part, path) in enumerate(parts.items()):
        begin, end = sketches.begins[number : number + 2].tolist()
        first, last = np.searchsorted(found["row"], [begin, end])
        waiting = iter(found[first:last].tolist())
        marks = []
        row, of, value, reason = next(waiting, (-1, 0, 0.0, 0))
        for place, (source, own) in enumerate(_identities(path, on), begin):
            if place == row:
                marks.append(Mark(row - begin, own, _REASONS[reason], value, names[of]))
                counts.setdefault(source, Counter())[_REASONS[reason]] += 1
                row, of, value, reason = next(waiting, (-1, 0, 0.0, 0))
        write_marks(folder / f"{part}.parquet", marks)
    return {source: dict(by_reason) for source, by_reason in sorted(counts.items())}


def _names(
    parts: Mapping[str, Path], on: str, begins: NDArray[np.int64], wanted: NDArray[np.int64]
) -> dict[int, str]:
    """What the notes call each of the rows `wanted`, which are in order."""
    names = {}
    for number, path in enumerate(parts.values()):
        first, last = np.searchsorted(wanted, begins[number : number + 2])
        rows = set((wanted[first:last] - begins[number]).tolist())
        for row, (source, own) in enumerate(islice(_identities(path, on), max(rows, default=-1) + 1)):
            if row in rows:
                names[row + int(begins[number])] = own if on == "pairs" else f"{source} {own}"
    return names


def _identities(path: Path, on: str) -> Iterator[tuple[str, str]]:
    own = "pair_id" if on == "pairs" else "doc_id"
    for row in read_rows(path, ["source"], [own]):
        yield row["source"], row.get(own) or ""


def _publish(path: Path, array: NDArray[Any]) -> None:
    with publish_file(path) as temporary:
        _save(temporary, array)


def _save(path: Path, array: NDArray[Any]) -> None:
    # By handle, since numpy would add a suffix to a path that has another.
    with path.open("wb") as file:
        np.save(file, array)
