"""The passages that queries are compared with: numbered once, kept on disk by part, opened group by group.

A group is a source, or everything. Its passages are the distinct `text_b` of its kept pairs, numbered in the
order in which they first stand; what each part brings is made once and lies in the step's scratch folder.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from yuyi.artifacts import publish_file
from yuyi.data.clean import match_key
from yuyi.data.hashing import hash64
from yuyi.data.mining.dense import open_encoder, write_vectors
from yuyi.data.mining.lexical import LexicalIndex, count_terms
from yuyi.records import read_batches
from yuyi.search.flat import FlatIndex

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from yuyi.data.step import Counts

    Integers = NDArray[np.int64]

_COLUMNS = ["source", "text_a", "text_b", "label", "pair_id"]
_TEXTS = 5_000


@dataclass(frozen=True, slots=True)
class PartJob:
    """A part of pairs: its number and file, the rows that are marked, and what it is compared with."""

    part: int
    path: Path
    dropped: frozenset[int]
    scope: str
    encoder: str


def kept_pairs(job: PartJob) -> Iterator[tuple[int, dict[str, Any]]]:
    """The pairs of a part that are neither marked nor judged, with their rows."""
    row = -1
    for batch in read_batches(job.path, _COLUMNS, ["doc_id"]):
        for pair in batch.to_pylist():
            row += 1
            if row not in job.dropped and pair["label"] is None:
                yield row, pair


def gather_part(name: str, job: PartJob, folder: Path) -> Counts:
    """Write what tells pairs, texts and documents of a part apart, as numbers."""
    rows, groups, keys = [], [], []
    for row, pair in kept_pairs(job):
        rows.append(row)
        groups.append(pair["source"] if job.scope == "source" else "")
        document = hash64(pair["source"], pair["doc_id"]) if pair.get("doc_id") else 0
        keys.append((hash64(match_key(pair["text_a"])), hash64(match_key(pair["text_b"])), document))
    asked, text, documents = np.array(keys, np.uint64).reshape(-1, 3).T
    with publish_file(folder / f"{name}.npz") as temporary, temporary.open("wb") as file:
        np.savez(
            file, row=np.array(rows, np.int64), group=np.array(groups, np.str_),
            asked=asked, text=text, document=documents,
        )  # fmt: skip
    return {}


def number_passages(scratch: Path, parts: list[str], most: int, path: Path) -> None:
    """Write what `Numbers` holds of every kept pair; of each group `most` pairs get negatives."""
    tables = [dict(np.load(scratch / f"{name}.gather.npz")) for name in parts]
    joined = {key: np.concatenate([table[key] for table in tables]) for key in tables[0]}
    names, group = np.unique(joined["group"], return_inverse=True)
    passage, first = _numbered(group, joined["text"])
    query, _ = _numbered(group, joined["asked"])
    part = np.repeat(np.arange(len(parts)), [len(table["row"]) for table in tables])
    with path.open("wb") as file:
        np.savez(
            file, names=names, part=part, row=joined["row"], group=group, passage=passage, first=first,
            query=query, document=joined["document"],
            asks=_draw(group, joined["asked"] ^ joined["text"], most),
        )  # fmt: skip


def encode_part(name: str, job: PartJob, folder: Path) -> Counts:
    """Write the vectors of a part's queries and of the passages that first stand in it."""
    asking, answering, _ = _texts(job, folder)
    encoder = open_encoder(job.encoder)
    for what, texts in (("queries", asking), ("passages", answering)):
        with publish_file(folder / f"{name}.{what}.npy") as temporary:
            write_vectors(temporary, encoder, texts, asking=what == "queries")
    return {}


def count_part(name: str, job: PartJob, folder: Path) -> Counts:
    """Write the terms of a part's queries and of the passages that first stand in it, and their texts."""
    import pyarrow as pa
    from scipy import sparse

    asking, answering, ids = _texts(job, folder)
    for what, texts in (("queries", asking), ("passages", answering)):
        blocks = [count_terms(texts[start : start + _TEXTS]) for start in range(0, len(texts) or 1, _TEXTS)]
        with publish_file(folder / f"{name}.{what}.npz") as temporary, temporary.open("wb") as file:
            sparse.save_npz(file, sparse.vstack(blocks, format="csr"), compressed=False)
    table = pa.table({"text": pa.array(answering, pa.string()), "pair_id": pa.array(ids, pa.string())})
    with (
        publish_file(folder / f"{name}.arrow") as temporary,
        pa.ipc.new_file(str(temporary), table.schema) as writer,
    ):
        writer.write_table(table)
    return {}


@dataclass(frozen=True, slots=True)
class Numbers:
    """What `number_passages` wrote, an element a kept pair.

    Attributes:
        names: of the groups.
        part: number of the part.
        row: of the pair in its part.
        group: number of the group.
        passage: number of `text_b` in its group.
        first: whether no earlier pair of the group has it.
        query: number of `text_a` in its group.
        document: a number for the document, 0 where it has none.
        asks: whether it gets negatives.
    """

    names: NDArray[np.str_]
    part: Integers
    row: Integers
    group: Integers
    passage: Integers
    first: NDArray[np.bool_]
    query: Integers
    document: NDArray[np.uint64]
    asks: NDArray[np.bool_]


def read_numbers(path: Path) -> Numbers:
    """What `number_passages` wrote; the last one stays in memory."""
    return _read_numbers(path, _identity(path))


def _identity(path: Path) -> tuple[int, int]:
    """What tells a file from another that lay at the same path in an earlier run."""
    found = path.stat()
    return found.st_ino, found.st_mtime_ns


@lru_cache(maxsize=1)
def _read_numbers(path: Path, identity: tuple[int, int]) -> Numbers:
    with np.load(path) as table:
        return Numbers(**{name: table[name] for name in Numbers.__slots__})


class Group:
    """A group's passages, to be searched.

    Args:
        scratch: the folder with what each part brought.
        parts: names of all parts.
        number: of the group.
        longest: as `LexicalIndex` takes it.
    """

    def __init__(self, scratch: Path, parts: tuple[str, ...], number: int, longest: int) -> None:
        import pyarrow as pa
        from scipy import sparse

        numbers = read_numbers(scratch / "numbers.npz")
        here = numbers.group == number
        vectors, counts, tables = [], [], []
        for part in np.unique(numbers.part[here]):
            name = parts[part]
            mine = here[(numbers.part == part) & numbers.first]
            vectors.append(np.load(scratch / f"{name}.vectors.passages.npy", mmap_mode="r")[mine])
            counts.append(sparse.load_npz(scratch / f"{name}.terms.passages.npz")[mine])
            table = pa.ipc.open_file(pa.memory_map(str(scratch / f"{name}.terms.arrow"))).read_all()
            tables.append(table.filter(pa.array(mine)))
        self.vectors = np.concatenate(vectors)
        self.counts = sparse.vstack(counts, format="csr")
        self.texts = pa.concat_tables(tables)
        self.dense = FlatIndex(self.vectors)
        self.lexical = LexicalIndex(self.counts, longest=longest)
        self.documents = numbers.document[here & numbers.first]
        self.known = np.unique(numbers.query[here] * len(self.vectors) + numbers.passage[here])

    def knows(self, queries: Integers, passages: Integers) -> NDArray[np.bool_]:
        """Whether each passage is a known positive of the query beside it."""
        codes = queries * len(self.vectors) + passages
        places = np.minimum(np.searchsorted(self.known, codes), len(self.known) - 1)
        found: NDArray[np.bool_] = self.known[places] == codes
        return found

    def answers_of(self, queries: Integers) -> Integers:
        """Number of known positives of each query."""
        size = len(self.vectors)
        last = np.searchsorted(self.known, (queries + 1) * size)
        return last - np.searchsorted(self.known, queries * size)

    def read(self, passages: Integers) -> list[dict[str, str]]:
        """Text and pair_id of passages."""
        rows: list[dict[str, str]] = self.texts.take(passages).to_pylist()
        return rows


def open_group(scratch: Path, parts: tuple[str, ...], number: int, longest: int) -> Group:
    """The group of that number; the last one stays open."""
    return _open_group(scratch, parts, number, longest, _identity(scratch / "numbers.npz"))


@lru_cache(maxsize=1)
def _open_group(
    scratch: Path, parts: tuple[str, ...], number: int, longest: int, identity: tuple[int, int]
) -> Group:
    return Group(scratch, parts, number, longest)


def _texts(job: PartJob, folder: Path) -> tuple[list[str], list[str], list[str]]:
    """The queries of a part, the passages that first stand in it, and the pairs of these."""
    numbers = read_numbers(folder / "numbers.npz")
    asking, answering, ids = [], [], []
    here = numbers.part == job.part
    for (_, pair), asks, first in zip(kept_pairs(job), numbers.asks[here], numbers.first[here], strict=True):
        if asks:
            asking.append(pair["text_a"])
        if first:
            answering.append(pair["text_b"])
            ids.append(pair["pair_id"])
    return asking, answering, ids


def _numbered(group: Integers, key: NDArray[np.uint64]) -> tuple[Integers, NDArray[np.bool_]]:
    """The number of each row's key in its group, by first standing, and whether the row is that first one."""
    order = np.lexsort((key, group))
    new = np.ones(len(key), bool)
    new[1:] = (np.diff(group[order]) != 0) | (key[order][1:] != key[order][:-1])
    run = np.cumsum(new) - 1
    # lexsort is stable, so a run begins with its first row.
    leaders = order[new]
    first = np.zeros(len(key), bool)
    first[leaders] = True
    by_group = np.lexsort((leaders, group[leaders]))
    starts = np.searchsorted(group[leaders][by_group], np.arange(group.max(initial=0) + 1))
    number = np.empty(len(leaders), np.int64)
    number[by_group] = np.arange(len(leaders)) - starts[group[leaders][by_group]]
    numbered = np.empty(len(key), np.int64)
    numbered[order] = number[run]
    return numbered, first


def _draw(group: Integers, key: NDArray[np.uint64], most: int) -> NDArray[np.bool_]:
    """Whether each row is among the `most` of its group with the smallest keys."""
    order = np.lexsort((key, group))
    place = np.arange(len(group)) - np.searchsorted(group[order], group[order])
    drawn = np.empty(len(group), bool)
    drawn[order] = place < most
    return drawn
