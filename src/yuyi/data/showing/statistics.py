"""What a data folder holds, counted in one pass over its pairs and marks, with random examples."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from yuyi.data.mixing.draw import generator
from yuyi.data.mixing.manifest import documents_by_source, origins
from yuyi.data.reasons import Reasons
from yuyi.data.showing.limits import limits_of
from yuyi.data.showing.trace import Sample, samples_at
from yuyi.records import read_batches

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from yuyi.data.folder import DataFolder
    from yuyi.data.mixing.manifest import Origin
    from yuyi.data.reasons import PartReasons
    from yuyi.data.step import StepRecord
    from yuyi.progress import Done

Place: TypeAlias = "tuple[float, str, int]"

# Tokens at which the bars of the histograms of lengths begin: two a doubling.
LENGTH_EDGES = np.unique(np.round(2 ** (np.arange(0, 31) / 2)).astype(np.int64))
# The order in which the steps run, and so in which pairs are lost.
_ORDER = (
    *("documents", "marks/documents", "blocks", "pairs", "marks/filters", "marks/duplicates"),
    *("marks/evaluation", "marks/consistency", "marks/quality", "negatives", "mixture"),
)


@dataclass(slots=True)
class Tally:
    """Pairs that were made, and how many of them no step marked."""

    made: int = 0
    kept: int = 0

    def add(self, made: int, kept: int) -> None:
        """Count some more."""
        self.made += made
        self.kept += kept


@dataclass(frozen=True, slots=True)
class ReasonFigures:
    """What one reason did.

    Attributes:
        reason: its name, with `document: ` before it where it is the document's.
        step: which gave it, such as `marks/filters`.
        pairs: how many pairs have it.
        alone: how many pairs have no other.
        sources: pairs that have it, by source.
        values: the numbers that decided, one a mark.
        limits: numbers that these were compared with, by the name of the setting.
        samples: random pairs that have it.
    """

    reason: str
    step: str
    pairs: int
    alone: int
    sources: dict[str, int]
    values: NDArray[np.float64]
    limits: dict[str, float]
    samples: tuple[Sample, ...]


@dataclass(frozen=True, slots=True)
class Statistics:
    """Everything that a report shows.

    Attributes:
        pairs: made and kept in all.
        sources: made and kept of each source, the largest first.
        rules: made and kept of each kind of pair, the largest first.
        cells: made and kept by source and kind.
        languages: made and kept of each language.
        funnel: pairs that are left after each step that marks, in order, from all that were made.
        reasons: what each reason did, the most frequent first.
        lengths: pairs by side (`text_a`, `text_b`) and length: a row of dropped and one of kept ones, the
            bars beginning at `LENGTH_EDGES`. Pairs whose tokens were not counted are left out.
        kept_samples: random kept pairs of each kind.
        blocks: characters of the documents' blocks by language, writing and reason to leave them out.
        documents: number of documents of each source.
        documents_marked: documents that are marked.
        origins: where each source came from, as far as it is known.
        steps: what each step says of itself, in their order.
    """

    pairs: Tally
    sources: dict[str, Tally]
    rules: dict[str, Tally]
    cells: dict[tuple[str, str], Tally]
    languages: dict[str, Tally]
    funnel: dict[str, int]
    reasons: tuple[ReasonFigures, ...]
    lengths: dict[str, NDArray[np.int64]]
    kept_samples: dict[str, tuple[Sample, ...]]
    blocks: dict[tuple[str, str, str], int]
    documents: dict[str, int]
    documents_marked: int
    origins: dict[str, Origin]
    steps: tuple[StepRecord, ...]


def find_statistics(
    folder: DataFolder,
    *,
    samples: int = 20,
    seed: int = 0,
    on_done: Done = lambda texts, tokens=0: None,
) -> Statistics:
    """The statistics of a folder's pairs, marks and steps, in memory that grows with the marks alone.

    Args:
        folder: holds finished `pairs`, and whatever other steps were done.
        samples: examples of each reason and of each rule.
        seed: of the examples.
        on_done: called with numbers of pairs.

    Raises:
        InputError: there are no pairs, or marks are out of date or damaged.
    """
    marked = Reasons(folder)
    steps = [step for step in _ORDER if step in (*marked.on_documents, *marked.on_pairs)]
    steps += [step for step in marked.on_pairs if step not in steps]
    sums = _Sums(steps, samples)
    for part, path in folder.parts("pairs").items():
        rows = sums.add(part, path, marked.of_part(part), generator(seed, part))
        on_done(rows)
    read = _read_samples(folder, marked, sums)
    return Statistics(
        pairs=sums.total(),
        sources=sums.by(0),
        rules=sums.by(1),
        cells=dict(sorted(sums.cells().items())),
        languages=sums.by(2),
        funnel={"pairs": sums.total().made} | dict(zip(steps, sums.left.tolist(), strict=True)),
        reasons=_figures(folder, sums, read),
        lengths=sums.lengths,
        kept_samples={
            kind: tuple(read[part, row] for _, part, row in chosen)
            for kind, chosen in sorted(sums.of_rule.items())
        },
        blocks=_blocks(folder),
        documents=documents_by_source(folder),
        documents_marked=_documents_marked(folder, marked),
        origins=origins(folder),
        steps=tuple(record for step in _ORDER if (record := folder.record(step)) is not None),
    )


@dataclass(slots=True)
class _Sums:
    """What has been counted up to some part.

    Attributes:
        steps: that mark, in the order in which pairs are lost.
        samples: how many examples are chosen.
        cube: made and kept by source, kind and language.
        left: pairs that no step up to each has marked.
        lengths: as in `Statistics`.
        of_rule: the kept pairs of each kind with the smallest random numbers.
        of_reason: the same for pairs that have each reason, by reason and step.
        counts: by reason and step, pairs that have it, and pairs that have no other.
        sources: by reason and step, pairs of each source.
        values: by reason and step, the numbers that decided.
    """

    steps: list[str]
    samples: int
    cube: dict[tuple[str, str, str], Tally] = field(default_factory=dict)
    left: NDArray[np.int64] = field(init=False)
    lengths: dict[str, NDArray[np.int64]] = field(init=False)
    of_rule: dict[str, list[Place]] = field(default_factory=dict)
    of_reason: dict[tuple[str, str], list[Place]] = field(default_factory=dict)
    counts: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    sources: dict[tuple[str, str], Counter[str]] = field(default_factory=dict)
    values: dict[tuple[str, str], list[NDArray[np.float64]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.left = np.zeros(len(self.steps), np.int64)
        self.lengths = {side: np.zeros((2, len(LENGTH_EDGES)), np.int64) for side in ("text_a", "text_b")}

    def add(self, part: str, path: Path, marks: PartReasons, random: np.random.Generator) -> int:
        """Number of pairs of a part, after counting them."""
        import pyarrow as pa

        table = pa.Table.from_batches(
            list(read_batches(path, ("source", "kind", "lang"), ("tokens_a", "tokens_b"))) or [_no_rows()]
        )
        kept = np.ones(table.num_rows, bool)
        kept[marks.rows] = False
        groups = table.select(["source", "kind", "lang"]).append_column("kept", pa.array(kept))
        counted = groups.group_by(["source", "kind", "lang"]).aggregate([("kept", "count"), ("kept", "sum")])
        for row in counted.to_pylist():
            tally = self.cube.setdefault((row["source"], row["kind"], row["lang"]), Tally())
            tally.add(row["kept_count"], row["kept_sum"])
        self._add_lengths(table, kept)
        self._add_funnel(marks, table.num_rows)
        keys = random.random(table.num_rows)
        self._add_reasons(part, marks, table.column("source"), keys)
        kinds = table.column("kind").combine_chunks().dictionary_encode()
        codes = kinds.indices.to_numpy()
        for code, kind in enumerate(kinds.dictionary.to_pylist()):
            self._choose(self.of_rule, kind, part, np.flatnonzero(kept & (codes == code)), keys)
        return int(table.num_rows)

    def _add_lengths(self, table: Any, kept: NDArray[np.bool_]) -> None:
        for side, name in (("text_a", "tokens_a"), ("text_b", "tokens_b")):
            if name not in table.column_names:
                continue
            tokens = table.column(name).to_numpy()
            known = tokens >= 0
            bars = np.maximum(np.searchsorted(LENGTH_EDGES, tokens[known], side="right") - 1, 0)
            for row, chosen in enumerate((~kept[known], kept[known])):
                self.lengths[side][row] += np.bincount(bars[chosen], minlength=len(LENGTH_EDGES))

    def _add_funnel(self, marks: PartReasons, rows: int) -> None:
        lost = np.full(rows, len(self.steps), np.int64)
        place = np.array([self.steps.index(step) for step in marks.steps], np.int64)
        np.minimum.at(lost, marks.rows, place[marks.codes])
        self.left += rows - np.cumsum(np.bincount(lost, minlength=len(self.steps) + 1))[: len(self.steps)]

    def _add_reasons(self, part: str, marks: PartReasons, sources: Any, keys: NDArray[np.float64]) -> None:
        import pyarrow as pa

        # A pair that a reason marks twice, once a side, counts once.
        distinct = np.unique(np.stack([marks.rows, marks.codes]), axis=1)
        alone = np.bincount(distinct[0], minlength=len(keys)) == 1
        for code, name in enumerate(zip(marks.names, marks.steps, strict=True)):
            rows = distinct[0, distinct[1] == code]
            counts = self.counts.setdefault(name, [0, 0])
            counts[0] += len(rows)
            counts[1] += int(alone[rows].sum())
            of_source = sources.take(pa.array(rows)).value_counts().to_pylist()
            self.sources.setdefault(name, Counter()).update(
                {each["values"]: each["counts"] for each in of_source}
            )
            self.values.setdefault(name, []).append(marks.values[marks.codes == code])
            self._choose(self.of_reason, name, part, rows, keys)

    def _choose(
        self,
        chosen: dict[Any, list[Place]],
        name: Any,
        part: str,
        rows: NDArray[Any],
        keys: NDArray[np.float64],
    ) -> None:
        if not len(rows) or not self.samples:
            return
        if len(rows) > self.samples:
            rows = rows[np.argpartition(keys[rows], self.samples)[: self.samples]]
        places = [(float(keys[row]), part, int(row)) for row in rows]
        chosen[name] = sorted([*chosen.get(name, ()), *places])[: self.samples]

    def total(self) -> Tally:
        """All pairs."""
        total = Tally()
        for tally in self.cube.values():
            total.add(tally.made, tally.kept)
        return total

    def by(self, place: int) -> dict[str, Tally]:
        """Made and kept by source (0), kind (1) or language (2), the largest first."""
        found: dict[str, Tally] = {}
        for key, tally in self.cube.items():
            found.setdefault(key[place], Tally()).add(tally.made, tally.kept)
        return dict(sorted(found.items(), key=lambda item: (-item[1].made, item[0])))

    def cells(self) -> dict[tuple[str, str], Tally]:
        """Made and kept by source and kind."""
        found: dict[tuple[str, str], Tally] = {}
        for (source, kind, _), tally in self.cube.items():
            found.setdefault((source, kind), Tally()).add(tally.made, tally.kept)
        return found


def _no_rows() -> Any:
    import pyarrow as pa

    return pa.RecordBatch.from_pydict(
        {name: pa.array([], pa.string()) for name in ("source", "kind", "lang")}
    )


def _read_samples(folder: DataFolder, marked: Reasons, sums: _Sums) -> dict[tuple[str, int], Sample]:
    """Every chosen pair by part and row, each part being read once."""
    chosen = (*sums.of_rule.values(), *sums.of_reason.values())
    places = sorted({(part, row) for each in chosen for _, part, row in each})
    return dict(zip(places, samples_at(folder, marked, places), strict=True))


def _figures(
    folder: DataFolder, sums: _Sums, read: dict[tuple[str, int], Sample]
) -> tuple[ReasonFigures, ...]:
    found = [
        ReasonFigures(
            reason,
            step,
            pairs,
            alone,
            dict(sums.sources[reason, step].most_common()),
            np.concatenate(sums.values[reason, step]),
            limits_of(reason, folder.need(step).settings),
            tuple(read[part, row] for _, part, row in sums.of_reason.get((reason, step), ())),
        )
        for (reason, step), (pairs, alone) in sums.counts.items()
    ]
    return tuple(sorted(found, key=lambda each: (-each.pairs, each.reason)))


def _documents_marked(folder: DataFolder, marked: Reasons) -> int:
    parts = folder.parts("documents") if marked.on_documents else {}
    return sum(len({mark.row for mark in folder.marks(part, marked.on_documents)}) for part in parts)


def _blocks(folder: DataFolder) -> dict[tuple[str, str, str], int]:
    """Characters of all blocks by language, script and reason to leave them out."""
    if folder.record("blocks") is None:
        return {}
    import pyarrow as pa

    found: Counter[tuple[str, str, str]] = Counter()
    for path in folder.parts("blocks").values():
        for batch in read_batches(path, ("lang", "script", "drop", "start", "end")):
            table = pa.Table.from_batches([batch])
            length = table.column("end").to_numpy() - table.column("start").to_numpy()
            table = table.select(["lang", "script", "drop"]).append_column("length", pa.array(length))
            for row in table.group_by(["lang", "script", "drop"]).aggregate([("length", "sum")]).to_pylist():
                found[row["lang"], row["script"], row["drop"]] += row["length_sum"]
    return dict(found.most_common())
