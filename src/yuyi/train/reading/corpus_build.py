"""Rows of texts to arrays of tokens on disk, a group for each collection and kind, in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from yuyi.errors import InputError, RecipeError
from yuyi.text.plan import spans
from yuyi.train.reading.array_folder import ArrayWriter
from yuyi.train.reading.held_out import choose_held_out
from yuyi.train.reading.pair_files import place_of, read_pair_file
from yuyi.train.reading.tokens import column_of, keys_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from yuyi.text.tokenizer import BatchTokenizer
    from yuyi.train.reading.corpus import CorpusConfig
    from yuyi.train.reading.held_out import HeldOut
    from yuyi.train.reading.pair_files import Row
    from yuyi.train.reading.sources import Column

    Integers = NDArray[np.int64]
    Group = tuple[str, str]

SIDES = ("queries", "documents", "negatives")
ARRAYS = {
    **{f"{side}.ids": "<i4" for side in SIDES},
    **{f"{side}.offsets": "<i8" for side in SIDES},
    **{f"{side}.keys": "<i8" for side in SIDES},
    "labels": "<f4",
    "negative_offsets": "<i8",
    "scores": "<f4",
    "file": "<i4",
    "row": "<i8",
}
"""Each array of a source on disk with its type."""

# Rows from which on a source is not to be lost for the sake of those held out.
_LARGE = 1_000


@dataclass(frozen=True, slots=True)
class Feed:
    """Where rows come from.

    Attributes:
        path: the file; None for pairs at hand.
        blocks: reads it, from the beginning each time.
    """

    path: Path | None
    blocks: Callable[[], Iterable[list[Row]]]

    @staticmethod
    def of_file(path: Path, name: str = "", kind: str = "", prefix: str = "") -> Feed:
        """The rows of a file, under this name and kind where they are given, `prefix` before the name."""

        def blocks() -> Iterator[list[Row]]:
            for rows in read_pair_file(path, name, kind):
                yield [replace(row, source=prefix + row.source) for row in rows] if prefix else rows

        return Feed(path, blocks)


def build(
    folder: Path,
    feeds: Sequence[Feed],
    tokenizer: BatchTokenizer,
    config: CorpusConfig,
    on_done: Callable[[int], None] = lambda count: None,
    held_out: HeldOut | None = None,
) -> None:
    """Write the arrays of all sources into an empty folder.

    Args:
        folder: is filled.
        feeds: where rows come from.
        tokenizer: cuts texts.
        config: what is taken of the rows, and how.
        on_done: called with the number of rows that were just read.
        held_out: the rows that are not to be learned from; None for none.

    Raises:
        InputError: a feed cannot be read, some rows of a source have labels or scores and others none, or
            most rows have texts of held-out rows, of all or of a large source.
        RecipeError: a row has a language for which there is no prompt.
    """
    builder = _Builder(folder, tokenizer, config, held_out)
    for number, feed in enumerate(feeds):
        for rows in feed.blocks():
            builder.add(number, feed.path, rows)
            on_done(len(rows))
    builder.finish()


def held_out_of(feeds: Sequence[Feed], most: int) -> HeldOut:
    """The rows of all feeds that are held out, `most` of each source (`choose_held_out`)."""

    def keys() -> Iterator[tuple[Group, Integers, Integers]]:
        for rows in chain.from_iterable(feed.blocks() for feed in feeds):
            queries, documents = keys_of([row.text_a for row in rows]), keys_of([row.text_b for row in rows])
            for group, numbers in _by_group(rows).items():
                yield group, queries[numbers], documents[numbers]

    return choose_held_out(keys, most)


class _Builder:
    """Adds rows to the arrays of their sources."""

    def __init__(
        self, folder: Path, tokenizer: BatchTokenizer, config: CorpusConfig, held_out: HeldOut | None
    ) -> None:
        self._writer = ArrayWriter(folder, ARRAYS)
        self._tokenizer = tokenizer
        self._config = config
        self._held_out = held_out
        self._placed: dict[Group, set[int]] = {}
        self._seen: dict[Group, int] = {}
        self._left_out: dict[Group, int] = {}
        self._groups: dict[tuple[Group, bool], int] = {}
        self._rows: dict[int, int] = {}
        self._ends: dict[tuple[int, str], int] = {}
        self._alike: dict[tuple[Group, str], bool] = {}

    def add(self, file: int, path: Path | None, rows: list[Row]) -> None:
        """Add the rows that are wanted."""
        rows = [row for row in rows if self._wants(row)]
        if not rows:
            return
        block = _Block(rows, path, self._tokenizer, self._config)
        for group, numbers in _by_group(rows).items():
            self._check_alike(group, "label", ~np.isnan(block.labels[numbers]), block.places(numbers))
            scored = np.array([bool(rows[number].scores) for number in numbers.tolist()])
            self._check_alike(group, "score", scored, block.places(numbers))
            if self._held_out is None:
                self._append((group, False), block, numbers, file)
                continue
            queries, documents = block.queries.keys[numbers], block.documents.keys[numbers]
            held_out, free = self._held_out.split(
                group, queries, documents, self._placed.setdefault(group, set())
            )
            self._seen[group] = self._seen.get(group, 0) + len(numbers)
            self._left_out[group] = self._left_out.get(group, 0) + int((~held_out & ~free).sum())
            self._append((group, False), block, numbers[free], file)
            self._append((group, True), block, numbers[held_out], file)

    def finish(self) -> None:
        """Write what was added: sources in order of name and kind, first those to learn from."""
        self._check_left_out()
        chosen = {
            number: {
                "name": name,
                "kind": kind,
                "held_out": held_out,
                "left_out": self._left_out.get((name, kind), 0),
            }
            for ((name, kind), held_out), number in sorted(
                self._groups.items(), key=lambda item: (item[0][1], item[0][0])
            )
            if held_out or self._rows[number] >= self._config.smallest
        }
        self._writer.finish(list(chosen), list(chosen.values()))

    def _wants(self, row: Row) -> bool:
        kinds, names = self._config.kinds, self._config.names
        return (not kinds or row.kind in kinds) and (not names or row.source in names)

    def _check_alike(
        self, group: Group, what: str, has: NDArray[np.bool_], places: Callable[[int], str]
    ) -> None:
        """Return when all rows of the source have a label or score, or none has."""
        expected = self._alike.setdefault((group, what), bool(has[0]))
        odd = np.flatnonzero(has != expected)
        if len(odd):
            name, kind = group
            raise InputError(
                f"{places(int(odd[0]))}: has {'no' if expected else 'a'} {what}, and the rows of {name} "
                f"({kind}) before it have {'one' if expected else 'none'}. Give all rows of one "
                "source and kind one, or none."
            )

    def _check_left_out(self) -> None:
        """Return when at least half of each large source is left, and of all rows where all are taken.

        A few rows that share a question may all go.
        """
        shares = {group: self._left_out[group] / seen for group, seen in self._seen.items()}
        lost = [group for group, share in shares.items() if share > 0.5 and self._seen[group] >= _LARGE]
        seen, left_out = sum(self._seen.values()), sum(self._left_out.values())
        whole = not (self._config.kinds or self._config.names)
        if whole and 2 * left_out > seen >= self._config.smallest:
            lost.append(max(shares, key=shares.__getitem__))
        if lost:
            name, kind = group = lost[0]
            raise InputError(
                f"{name} ({kind}): {self._left_out[group]:,} of {self._seen[group]:,} rows have a text of a "
                "held-out row, so most may not be learned from. Lower hold_out, or drop rows that are there "
                "twice."
            )

    def _append(self, key: tuple[Group, bool], block: _Block, rows: Integers, file: int) -> None:
        if not len(rows):
            return
        if key not in self._groups:
            self._groups[key] = self._writer.new_group()
            self._rows[self._groups[key]] = 0
            for name in (name for name in ARRAYS if name.endswith("offsets")):
                self._writer.append(self._groups[key], name, np.zeros(1))
        group = self._groups[key]
        self._rows[group] += len(rows)
        numbers, counts, kept = self._negatives(block, rows, held_out=key[1])
        self._append_column(group, "queries", block.queries.take(rows))
        self._append_column(group, "documents", block.documents.take(rows))
        self._append_column(group, "negatives", block.negatives.take(numbers))
        self._append_offsets(group, "negative_offsets", counts)
        self._writer.append(group, "labels", block.labels[rows])
        self._writer.append(group, "file", np.full(len(rows), file))
        self._writer.append(group, "row", block.numbers[rows])
        scores = [block.rows[row].scores for row in rows.tolist()]
        self._writer.append(group, "scores", np.array([each[0] for each in scores if each]))
        others = np.array(list(chain.from_iterable(each[1:] for each in scores)))
        self._writer.append(group, "scores", others[kept] if len(others) else others, behind=True)

    def _negatives(
        self, block: _Block, rows: Integers, *, held_out: bool
    ) -> tuple[Integers, Integers, NDArray[np.bool_]]:
        """The negatives of some rows that may be learned from: numbers, how many a row, which of all."""
        numbers, counts = spans(block.firsts[rows], block.counts[rows]), block.counts[rows]
        if self._held_out is None or held_out:
            return numbers, counts, np.ones(len(numbers), dtype=bool)
        kept = ~self._held_out.has(block.negatives.keys[numbers])
        owners = np.repeat(np.arange(len(rows)), counts)
        return numbers[kept], np.bincount(owners[kept], minlength=len(rows)), kept

    def _append_column(self, group: int, side: str, column: Column) -> None:
        self._writer.append(group, f"{side}.ids", column.tokens.ids)
        self._append_offsets(group, f"{side}.offsets", column.tokens.lengths)
        self._writer.append(group, f"{side}.keys", column.keys)

    def _append_offsets(self, group: int, name: str, lengths: Integers) -> None:
        before = self._ends.get((group, name), 0)
        self._writer.append(group, name, before + np.cumsum(lengths))
        self._ends[group, name] = before + int(lengths.sum())


class _Block:
    """Rows as columns, tokenised.

    Attributes:
        rows: as they were read.
        queries, documents: (rows,) their texts.
        negatives: of all rows, one row after another; row `i` has `counts[i]` of them from `firsts[i]` on.
        labels: (rows,) float32.
        numbers: (rows,) int64, of the rows in their file.
    """

    def __init__(
        self, rows: list[Row], path: Path | None, tokenizer: BatchTokenizer, config: CorpusConfig
    ) -> None:
        self.rows = rows
        self._path = path

        def column(texts: list[str], key: str, owners: list[Row]) -> Column:
            prompt = config.query_prompt if key == "query_prompt" else config.document_prompt
            prompts = self._prompts(key, prompt, owners) if prompt else None
            return column_of(texts, tokenizer, config.longest, prompts)

        self.queries = column([row.text_a for row in rows], "query_prompt", rows)
        self.documents = column([row.text_b for row in rows], "document_prompt", rows)
        self.counts = np.array([len(row.negatives) for row in rows], dtype=np.int64)
        self.firsts = np.cumsum(self.counts) - self.counts
        self.negatives = column(
            [text for row in rows for text in row.negatives],
            "document_prompt",
            [row for row in rows for _ in row.negatives],
        )
        self.labels = np.array([row.label for row in rows], dtype=np.float32)
        self.numbers = np.array([row.number for row in rows], dtype=np.int64)

    def places(self, rows: Integers) -> Callable[[int], str]:
        """What to call each of these rows in a message."""
        return lambda number: place_of(self._path, int(self.numbers[rows[number]]))

    def _prompts(self, key: str, prompt: str | Mapping[str, str], owners: list[Row]) -> list[str]:
        """The prompt of each text."""
        if isinstance(prompt, str):
            return [prompt] * len(owners)
        prompts = []
        for row in owners:
            first, _, second = row.lang.partition("-")
            lang = first if key == "query_prompt" else second or first
            if lang not in prompt:
                raise RecipeError(
                    f"{key}: has prompts for {', '.join(prompt)}, and {place_of(self._path, row.number)} is "
                    f"{lang!r}. Add {key}.{lang or 'LANG'}, or name one prompt for all."
                )
            prompts.append(prompt[lang])
        return prompts


def _by_group(rows: Sequence[Row]) -> dict[Group, Integers]:
    """Numbers of the rows of each collection and kind."""
    groups: dict[Group, list[int]] = {}
    for number, row in enumerate(rows):
        groups.setdefault((row.source, row.kind), []).append(number)
    return {group: np.array(numbers) for group, numbers in groups.items()}
