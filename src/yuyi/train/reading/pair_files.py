"""Rows of texts for training out of Parquet and JSONL files, in blocks, each row checked.

A file has the columns of `yuyi.records.Pair`, of which the two texts are enough, or those of the tuples that
other tools train on: `anchor`, `positive` and `negative` (or `negative_1`, `negative_2`, ...); or `query`,
`pos` and `neg`, where `pos` may hold several texts, each of which makes a row. Beside them a teacher's
scores: `scores`, of the document and then of each negative; or `score`, of the document of a row without
negatives; or `pos_scores` and `neg_scores`. Where nobody says otherwise rows are of kind `pair`, and of the
collection that the file is named after.

A negative that is empty or the row's own document teaches nothing; it is left out, and its score with it.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from yuyi.errors import InputError
from yuyi.records import read_batches, read_columns
from yuyi.text.rows import read_objects

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from yuyi.records import Pair

SINGLE_TEXT_KINDS = ("classification", "clustering")
"""Kinds whose rows may be one text with its label."""

_JSONL = (".jsonl", ".ndjson")
# Rows of a block; few enough for long texts with many negatives.
_ROWS = 4_096
# What columns are called; the first that a row has is taken.
_NAMES = {
    "text_a": ("text_a", "anchor", "query"),
    "text_b": ("text_b", "positive", "pos"),
    "negatives": ("negatives", "negative", "neg"),
}
_FURTHER = ("source", "kind", "label", "lang", "score", "scores", "pos_scores", "neg_scores")
_NUMBERED = re.compile(r"negative_(\d+)")


@dataclass(frozen=True, slots=True)
class Row:
    """One row.

    Attributes:
        number: of the row in its file: of Parquet from 0, of JSONL that of the line from 1.
        source: name of the collection.
        kind: what the two texts are to each other.
        lang: language code, or two joined by a hyphen; empty where nobody says.
        text_a: the asking side.
        text_b: the answering side; empty for a text that has only a label.
        label: NaN where there is none.
        negatives: texts that do not answer `text_a`.
        scores: a teacher's, of `text_b` and of each negative; empty where there are none.
    """

    number: int
    source: str
    kind: str
    lang: str
    text_a: str
    text_b: str
    label: float
    negatives: tuple[str, ...]
    scores: tuple[float, ...]


def read_pair_file(path: Path, name: str = "", kind: str = "") -> Iterator[list[Row]]:
    """The rows of a file in blocks.

    Args:
        path: the file.
        name: of their collection, in place of what the rows say.
        kind: what their texts are to each other, likewise.

    Raises:
        InputError: the file is missing, damaged, empty or of an unknown kind, or a row has not what it needs.
        MissingExtra: it is Parquet and pyarrow is not installed.
    """
    empty = True
    given = {key: value for key, value in (("source", name), ("kind", kind)) if value}
    for numbered in _blocks(path):
        rows = [row for number, cells in numbered for row in _rows(path, number, {**cells, **given})]
        empty = False
        yield rows
    if empty:
        raise InputError(f"{path}: holds no rows, so there is nothing to train on. Name another file.")


def read_again(path: Path, numbers: NDArray[np.int64], kind: str = "") -> dict[int, list[dict[str, Any]]]:
    """The texts of some rows of a file by number: `text_a`, `text_b` and `negatives` of each row there.

    Args:
        path: the file.
        numbers: of the rows.
        kind: what their texts are to each other, in place of what the rows say.

    Raises:
        InputError: as `read_pair_file`.
    """
    wanted = set(numbers.tolist())
    last = max(wanted, default=-1)
    found: dict[int, list[dict[str, Any]]] = {}
    for block in _blocks(path, wanted):
        for number, cells in block:
            found[number] = [
                {"text_a": row.text_a, "text_b": row.text_b, "negatives": list(row.negatives)}
                for row in _rows(path, number, {**cells, "kind": kind} if kind else cells)
            ]
        if last in found:
            break
    return found


def place_of(path: Path | None, number: int) -> str:
    """What to call a row in a message; None for pairs at hand."""
    if path is None:
        return f"pair {number}"
    return f"{path}: {'line' if path.suffix.lower() in _JSONL else 'row'} {number}"


def blocks_of(pairs: Iterable[Pair]) -> Iterator[list[Row]]:
    """Pairs that are at hand as blocks of rows, numbered from 0.

    Raises:
        InputError: a row has not what it needs.
    """
    numbered = enumerate(pairs)
    while block := list(islice(numbered, _ROWS)):
        yield [row for number, pair in block for row in _rows(None, number, _cells(pair))]


def _cells(pair: Pair) -> dict[str, Any]:
    return {
        "source": pair.source,
        "kind": pair.kind,
        "lang": pair.lang,
        "text_a": pair.text_a,
        "text_b": pair.text_b,
        "label": pair.label,
        "negatives": list(pair.negatives),
    }


def _blocks(path: Path, wanted: set[int] | None = None) -> Iterator[list[tuple[int, dict[str, Any]]]]:
    """Cells by column of each row with its number, or of the rows `wanted` alone."""
    if path.suffix.lower() in _JSONL:
        objects = (
            (number, cells) for number, cells in read_objects(path) if wanted is None or number in wanted
        )
        while block := list(islice(objects, _ROWS)):
            yield block
        return
    if path.suffix.lower() != ".parquet":
        raise InputError(
            f"{path}: not a file of pairs. Name one that ends in .parquet or .jsonl; `yuyi data` makes them "
            "of other tables."
        )
    names, _ = read_columns(path)
    columns = [name for name in names if _is_known(name)]
    try:
        _check_names("text_a", names)
    except ValueError as error:
        raise InputError(f"{path}: {error}") from None
    first = 0
    for batch in read_batches(path, columns, rows=_ROWS):
        following = first + len(batch)
        own = (
            range(first, following)
            if wanted is None
            else sorted(wanted.intersection(range(first, following)))
        )
        if len(own):
            chosen = batch if wanted is None else batch.take([number - first for number in own])
            yield list(zip(own, chosen.to_pylist(), strict=True))
        first = following


def _is_known(name: str) -> bool:
    return (
        name in _FURTHER or any(name in names for names in _NAMES.values()) or bool(_NUMBERED.fullmatch(name))
    )


def _check_names(role: str, names: Iterable[str]) -> None:
    if not set(_NAMES[role]).intersection(names):
        raise ValueError(
            f"has no {' or '.join(_NAMES[role])}; it has {', '.join(names)}. Name its columns so, or make "
            "pairs of it with `yuyi data`."
        )


def _rows(path: Path | None, number: int, cells: Mapping[str, Any]) -> list[Row]:
    """The rows of one row of a file, or of pairs at hand: one for each of its positives."""
    try:
        return list(_rows_of(path, number, cells))
    except ValueError as error:
        raise InputError(f"{place_of(path, number)}: {error}") from None


def _rows_of(path: Path | None, number: int, cells: Mapping[str, Any]) -> Iterator[Row]:
    source, kind, lang = (_word(name, cells.get(name)) for name in ("source", "kind", "lang"))
    kind = kind or "pair"
    query, answers, negatives = (_cell(cells, names) for names in _NAMES.values())
    if query is None:
        _check_names("text_a", cells)
    if answers is None and kind not in SINGLE_TEXT_KINDS:
        _check_names("text_b", cells)
    documents = _texts("a positive", answers)
    against = _texts("a negative", negatives)
    if negatives is None:
        for name in sorted(filter(_NUMBERED.fullmatch, cells), key=lambda name: int(name.rpartition("_")[2])):
            against += _texts(name, cells[name])
    if isinstance(answers, list) and not documents:
        raise ValueError(f"has no positive, so {query!r:.60} has nothing to go with. Drop the row.")
    label = _label(cells.get("label"))
    asked = _texts("a query", query)
    if len(asked) > 1:
        raise ValueError(f"has {len(asked)} queries, the first is {asked[0]!r:.60}. Make a row of each.")
    for place, document in enumerate(documents or [""]):
        scores = _scores(cells, place, len(documents), len(against))
        kept = [n for n, text in enumerate(against) if text.strip() and text.strip() != document.strip()]
        row = Row(
            number=number,
            source=source or (path.stem if path else ""),
            kind=kind,
            lang=lang,
            text_a="".join(asked),
            text_b=document,
            label=label,
            negatives=tuple(against[n] for n in kept),
            scores=(scores[0], *(scores[1 + n] for n in kept)) if scores else (),
        )
        _check(row)
        yield row


def _cell(cells: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    for name in names:
        found = cells.get(name)
        if found is not None:
            return found
    return None


def _texts(role: str, cell: Any) -> list[str]:
    texts = _several(cell)
    for text in texts:
        if not isinstance(text, str):
            raise ValueError(f"has {text!r:.60} as {role}, which is no text. Mend the row.")
    return texts.copy()


def _word(name: str, cell: Any) -> str:
    if cell is None or isinstance(cell, str):
        return cell or ""
    raise ValueError(f"{name} {cell!r:.60} is no text. Mend the row.")


def _label(cell: Any) -> float:
    """A label as a number; NaN where there is none, which Parquet may write as NaN itself."""
    if cell is None:
        return math.nan
    if isinstance(cell, (int, float)) and not math.isinf(cell):
        return float(cell)
    raise ValueError(f"label {cell!r:.60} is unknown; a label is a finite number. Mend the row.")


def _scores(cells: Mapping[str, Any], place: int, documents: int, negatives: int) -> tuple[float, ...]:
    """A teacher's scores of the document number `place` and of the negatives."""
    if cells.get("pos_scores") is not None or cells.get("neg_scores") is not None:
        own, others = _several(cells.get("pos_scores")), _several(cells.get("neg_scores"))
        if len(own) != documents:
            raise ValueError(f"has {len(own)} pos_scores for {documents} positives. Give one for each.")
        scores = [own[place], *others]
    elif cells.get("scores") is not None:
        scores = _several(cells["scores"])
    elif cells.get("score") is not None:
        scores = _several(cells["score"])
    else:
        return ()
    if len(scores) != 1 + negatives:
        raise ValueError(
            f"has {len(scores)} scores for a document and {negatives} negatives. Give {1 + negatives}: the "
            "document's first, then one for each negative."
        )
    for score in scores:
        if not isinstance(score, (int, float)) or not math.isfinite(score):
            raise ValueError(f"score {score!r:.60} is no finite number. Mend the row.")
    return tuple(map(float, scores))


def _several(cell: Any) -> list[Any]:
    """A cell as a list; a value by itself is one of it."""
    return cell if isinstance(cell, list) else [] if cell is None else [cell]


def _check(row: Row) -> None:
    """Return when a row has the texts and the label that its kind needs."""
    if not row.text_a.strip():
        raise ValueError(f"its text_a is {row.text_a!r}. Drop the row.")
    single = row.kind in SINGLE_TEXT_KINDS
    if not single and not row.text_b.strip():
        raise ValueError(
            f"its text_b is {row.text_b!r}, and rows of kind {row.kind!r} need a positive. Drop the row, or "
            f"give it a label and one of the kinds {', '.join(SINGLE_TEXT_KINDS)}."
        )
    if single and math.isnan(row.label):
        raise ValueError(
            f"has no label, and rows of kind {row.kind!r} need one. Give it one, or drop the row."
        )
