"""Where a pair came from and why it is not used; and pairs drawn at random, for reading."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from yuyi.data.blocks import read_blocks
from yuyi.data.mixing.draw import generator
from yuyi.data.mixing.rows import negatives_by_row
from yuyi.data.reasons import Reasons
from yuyi.errors import InputError
from yuyi.records import Document, Mark, Pair, read_batches

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from pathlib import Path

    from yuyi.data.folder import DataFolder

# Characters of the document that are shown on either side of a span.
_CONTEXT = 200
_ID_DIGITS = 16
_ROWS_AT_ONCE = 500
_OFFERED = 3
_COLUMNS = ("source", "kind", "text_a", "text_b", "label", "lang")


@dataclass(frozen=True, slots=True)
class Sample:
    """A pair and what is known of it.

    Attributes:
        part: name of the part of `pairs` that it lies in.
        row: its row there.
        pair: itself.
        marks: on the pair, and on its document with reasons that begin with `document: `; none if it is kept.
    """

    part: str
    row: int
    pair: Pair
    marks: tuple[Mark, ...]


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a document.

    Attributes:
        source: name of the document's collection.
        doc_id: name of the document.
        title: its title.
        lang: its language.
        start: offset of the first character in its text; -1 where a side was put together from several.
        end: one past the last.
        text: what stands there, as it does in the document.
        before: some characters before it.
        after: some characters after it.
        headings: those that it stands under, the highest first.
    """

    source: str
    doc_id: str
    title: str
    lang: str
    start: int
    end: int
    text: str
    before: str
    after: str
    headings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Trace:
    """Where a pair came from.

    Attributes:
        sample: the pair with its marks.
        text_a: the span that `text_a` was made of; None where it came from no document.
        text_b: the span that `text_b` was made of; None where it came from no document.
        negatives: its hard negatives, the hardest first.
    """

    sample: Sample
    text_a: Span | None
    text_b: Span | None
    negatives: tuple[str, ...]


class _Name(NamedTuple):
    """What a document is called; where its language is not known it should be one of the pair's."""

    source: str
    doc_id: str
    lang: str
    languages: str


def trace(folder: DataFolder, pair_id: str) -> Trace:
    """Where the pair of this id came from: document, span, headings, marks and negatives.

    Raises:
        InputError: there is no such pair; the message offers ids that begin likewise.
    """
    part, row = _find(folder, pair_id)
    found = samples_at(folder, Reasons(folder), [(part, row)])[0]
    pair = found.pair
    name_b = _Name(pair.source, pair.doc_id, pair.lang_b, pair.lang)
    name_a = _Name(pair.source, pair.doc_a, pair.lang_a, pair.lang) if pair.doc_a else name_b
    text_b = _span(folder, part, name_b, pair.start, pair.end)
    text_a = _span(folder, part, name_a, pair.start_a, pair.end_a)
    mined = negatives_by_row(folder, part, None).get(row, ())
    return Trace(found, text_a, text_b, mined or pair.negatives)


def sample(
    folder: DataFolder,
    n: int = 10,
    seed: int = 0,
    kinds: Collection[str] = (),
    sources: Collection[str] = (),
    reasons: Collection[str] = (),
) -> list[Sample]:
    """Pairs drawn at random, fewer than `n` where there are not as many.

    Args:
        folder: holds finished `pairs`, and marks if there are any.
        n: how many.
        seed: another one draws others.
        kinds: kinds of pairs, that is names of rules; empty for all.
        sources: names of collections; empty for all.
        reasons: draw pairs that are marked with one of these; empty for pairs without marks.

    Raises:
        InputError: there are no pairs, or a kind, source or reason does not occur.
    """
    marked = Reasons(folder)
    seen: tuple[set[str], set[str], set[str]] = (set(), set(), set())
    chosen: list[tuple[float, str, int]] = []
    for part, path in folder.parts("pairs").items():
        of_part = marked.of_part(part)
        kind_of, source_of = _column(path, "kind"), _column(path, "source")
        for names, there in zip(seen, (set(kind_of), set(source_of), of_part.names), strict=True):
            names.update(there)
        wanted = np.zeros(len(kind_of), bool)
        codes = [code for code, name in enumerate(of_part.names) if not reasons or name in reasons]
        wanted[of_part.rows[np.isin(of_part.codes, codes)]] = True
        if not reasons:
            wanted = ~wanted
        if kinds:
            wanted &= np.isin(kind_of, list(kinds))
        if sources:
            wanted &= np.isin(source_of, list(sources))
        rows = np.flatnonzero(wanted)
        keys = generator(seed, part).random(len(wanted))[rows]
        first = np.argsort(keys)[:n]
        chosen += [(float(key), part, int(row)) for key, row in zip(keys[first], rows[first], strict=True)]
    for what, given, known in zip(("kind", "source", "reason"), (kinds, sources, reasons), seen, strict=True):
        for name in given:
            if name not in known:
                there = ", ".join(sorted(known)) or "none"
                raise InputError(f"{name!r}: no such {what} in {folder.path}. There are: {there}.")
    return samples_at(folder, marked, [(part, row) for _, part, row in sorted(chosen)[:n]])


def samples_at(folder: DataFolder, marked: Reasons, places: Sequence[tuple[str, int]]) -> list[Sample]:
    """The pairs at these places, part and row, in the order given."""
    rows_of: dict[str, set[int]] = {}
    for part, row in places:
        rows_of.setdefault(part, set()).add(row)
    found: dict[tuple[str, int], Sample] = {}
    for part, rows in rows_of.items():
        marks = marked.marks(part, rows)
        for row, pair in _pairs_at(folder.path / "pairs" / f"{part}.parquet", sorted(rows)):
            found[part, row] = Sample(part, row, pair, tuple(marks.get(row, ())))
    return [found[place] for place in places]


def _pairs_at(path: Path, rows: Sequence[int]) -> Iterable[tuple[int, Pair]]:
    begin = 0
    for batch in read_batches(path, _COLUMNS, every_column=True):
        here = [row for row in rows if begin <= row < begin + batch.num_rows]
        for row, values in zip(here, batch.take(np.array(here, np.int64) - begin).to_pylist(), strict=True):
            values["negatives"] = tuple(values.get("negatives") or ())
            yield row, Pair(**values)
        begin += batch.num_rows


def _find(folder: DataFolder, pair_id: str) -> tuple[str, int]:
    """Part and row of the first pair with this id."""
    import pyarrow as pa
    import pyarrow.compute as pc

    likely: list[str] = []
    for part, path in folder.parts("pairs").items():
        begin = 0
        for batch in read_batches(path, ("pair_id",)):
            ids = batch.column("pair_id")
            place = pc.index(ids, pa.scalar(pair_id)).as_py()
            if place >= 0:
                return part, begin + place
            alike = ids.filter(pc.starts_with(ids, pair_id[:4])) if pair_id else ids[:0]
            nearest = sorted({*likely, *alike.to_pylist()}, key=lambda each: _apart(each, pair_id))
            likely = nearest[:_OFFERED]
            begin += batch.num_rows
    offered = ", ".join(likely)
    raise InputError(
        f"{pair_id!r}: no pair of {folder.path} has this id. "
        + (
            f"Alike are: {offered}."
            if offered
            else f"An id has {_ID_DIGITS} hex digits; `yuyi data sample` shows some."
        )
    )


def _apart(one: str, other: str) -> tuple[int, str]:
    """How many characters two ids do not begin with together, fewer being nearer."""
    alike = next((place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), len(other))
    return -alike, one


def _span(folder: DataFolder, part: str, name: _Name, start: int, end: int) -> Span | None:
    """The span of a document that a side of a pair in `part` was made of."""
    found = _document(folder, part, name) if name.doc_id else None
    if found is None:
        return None
    part, row, document = found
    known = 0 <= start < end
    return Span(
        document.source,
        document.doc_id,
        document.title,
        document.lang,
        start,
        end,
        document.text[start:end] if known else "",
        document.text[max(0, start - _CONTEXT) : start] if known else "",
        document.text[end : end + _CONTEXT] if known else "",
        _headings(folder, part, row, start) if known else (),
    )


def _document(folder: DataFolder, part: str, name: _Name) -> tuple[str, int, Document] | None:
    """A document with its part and row; it may lie in another part than the pair."""
    parts = folder.parts("documents") if folder.record("documents") else {}
    for there in sorted(parts, key=lambda each: each != part):
        rows = _rows_named(parts[there], name)
        if rows:
            return there, rows[0], _document_at(parts[there], rows[0])
    return None


def _rows_named(path: Path, name: _Name) -> list[int]:
    """Rows of the documents of a name, those in a language of the pair first, read from three columns."""
    import pyarrow.compute as pc

    found: list[tuple[bool, int]] = []
    begin = 0
    for batch in read_batches(path, ("source", "doc_id", "lang")):
        wanted = pc.and_(pc.equal(batch["doc_id"], name.doc_id), pc.equal(batch["source"], name.source))
        for row in np.flatnonzero(wanted.to_numpy(zero_copy_only=False)).tolist():
            lang = batch["lang"][row].as_py()
            if not name.lang or lang == name.lang:
                found.append((lang not in name.languages.split("-"), begin + row))
        begin += batch.num_rows
    return [row for _, row in sorted(found)]


def _document_at(path: Path, row: int) -> Document:
    begin = 0
    for batch in read_batches(path, ("source", "doc_id", "title", "text", "lang"), rows=_ROWS_AT_ONCE):
        if row < begin + batch.num_rows:
            return Document(**batch.slice(row - begin, 1).to_pylist()[0])
        begin += batch.num_rows
    raise AssertionError("the row was found in this file")


def _headings(folder: DataFolder, part: str, row: int, start: int) -> tuple[str, ...]:
    """The headings that a place of a document stands under, as `clean` found them."""
    path = folder.path / "blocks" / f"{part}.parquet"
    above: list[tuple[int, str]] = []
    for block in read_blocks(path) if folder.record("blocks") and path.exists() else ():
        if block.document == row and block.kind == "heading" and block.end <= start:
            above = [*(each for each in above if each[0] < block.level), (block.level, block.text)]
    return tuple(text for _, text in above)


def _column(path: Path, name: str) -> list[str]:
    return [value for batch in read_batches(path, (name,)) for value in batch.column(name).to_pylist()]
