"""The first step of making data: whatever there is becomes documents and ready pairs."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import PositiveInt  # noqa: TC002 (read when settings are checked)

from yuyi.artifacts import hash_file, hash_json, publish_file
from yuyi.config import REFUSE_UNKNOWN
from yuyi.data.folder import READY_SUFFIX
from yuyi.data.readers.skipped import Skipped
from yuyi.data.readers.stackexchange import dump_files
from yuyi.data.sources import Input, SourceConfig, find_inputs, is_language, read_input, source_name
from yuyi.data.step import add_counts, run_step
from yuyi.errors import InputError
from yuyi.extras import require
from yuyi.records import Document, Pair, write_documents, write_pairs
from yuyi.text.decode import reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from yuyi.data.folder import DataFolder
    from yuyi.data.sources import Row
    from yuyi.data.step import Counts, StepRecord, Workplace
    from yuyi.progress import Done

# Of a source that holds nothing, this many of the files that were passed over are named.
_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractConfig:
    """What is read, and in what parts it is written.

    Attributes:
        sources: the collections.
        part_characters: a part ends with the document that brings it to this many characters, or
        part_documents: after this many documents or pairs.
    """

    __pydantic_config__: ClassVar = REFUSE_UNKNOWN

    sources: tuple[SourceConfig, ...] = ()
    part_characters: PositiveInt = 16_000_000
    part_documents: PositiveInt = 50_000


@dataclass(frozen=True, slots=True)
class _Job:
    """An input, and what is needed to read and write it in another process."""

    source: SourceConfig
    found: Input
    part_characters: int
    part_documents: int


def extract(
    folder: DataFolder,
    config: ExtractConfig,
    *,
    workers: int | None = None,
    on_done: Done = lambda texts, tokens=0: None,
) -> StepRecord:
    """The record of the step, once `documents/` holds all that the sources hold.

    Documents go to parts `NNNN-MMMM.parquet`, ready pairs to `NNNN-MMMM.pairs.parquet`, N counting inputs and
    M pieces. What was passed over is listed in `NNNN.skipped.jsonl`. The counts, by source: `documents`,
    `pairs`, `characters`, `languages`, `skipped` by reason, and under `collections` what the rows of each
    source of the settings are called.

    Args:
        folder: where it goes.
        config: what is read.
        workers: processes; None for one a core.
        on_done: called with numbers of rows as they are done.

    Raises:
        InputError: a source is missing, damaged or empty, or two have one name.
        MissingExtra: a package of the `data` extra is not installed.
    """
    require("data")
    _check_names(config.sources)
    inputs = [(source, find_inputs(source, output=folder.path)) for source in config.sources]
    digests = {source_name(source): _digest(found) for source, found in inputs}
    waiting = [(source, each) for source, found in inputs for each in found]
    width = max(4, len(str(len(waiting))))
    jobs = {
        f"{number:0{width}d}": _Job(source, each, config.part_characters, config.part_documents)
        for number, (source, each) in enumerate(waiting)
    }

    def make(place: Workplace) -> Counts:
        counts = place.each(jobs, extract_input)
        for source in config.sources:
            _check_found(source, counts, place.folder)
        return counts

    return run_step(
        folder.path / "documents",
        make,
        settings=config,
        inputs=digests,
        code=_CODE,
        workers=workers,
        on_done=on_done,
    )


# All that decides what a reader makes of a file.
_CODE = ("data/extract.py", "data/sources.py", "data/readers", "records.py", "text")


def licences(record: StepRecord) -> dict[str, dict[str, str]]:
    """Origin and licence of each collection that `extract` wrote, by the name that its rows carry."""
    sources = [SourceConfig(**values) for values in record.settings["sources"]]
    return {
        collection: {"origin": source.origin, "licence": source.licence}
        for source in sources
        for collection in sorted(record.counts["collections"][source_name(source)])
    }


def extract_input(name: str, job: _Job, folder: Path) -> Counts:
    """Write the parts of one input and return what they hold; runs in a process of its own."""
    counts: Counts = {
        "rows": 0,
        "documents": {},
        "pairs": {},
        "characters": {},
        "languages": {},
        "skipped": {},
    }
    source = source_name(job.source)
    counts["collections"] = {source: {}}
    skipped: dict[tuple[str, str, str], int] = {}
    rows = _counted(read_input(job.found, job.source), source, counts, skipped)
    pieces = _Pieces(job.part_characters, job.part_documents)
    for piece, part in groupby(rows, pieces.number):
        if job.found.pairs:
            write_pairs(folder / f"{name}-{piece:04d}{READY_SUFFIX}", part)  # type: ignore[arg-type]
        else:
            write_documents(folder / f"{name}-{piece:04d}.parquet", part)  # type: ignore[arg-type]
    if skipped:
        with (
            publish_file(folder / f"{name}.skipped.jsonl") as temporary,
            temporary.open("w", encoding="utf-8") as file,
        ):
            for (which, reason, note), times in skipped.items():
                line = {"source": source, "file": which, "reason": reason, "times": times, "note": note}
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
    return counts


class _Pieces:
    """Which piece of an input a row falls into."""

    def __init__(self, most_characters: int, most_rows: int) -> None:
        self._most = (most_characters, most_rows)
        self._piece = 0
        self._characters = self._rows = 0

    def number(self, row: Document | Pair) -> int:
        """The piece of the next row."""
        length = len(row.text) if isinstance(row, Document) else len(row.text_a) + len(row.text_b)
        full = self._characters + length > self._most[0] or self._rows >= self._most[1]
        if self._rows and full:
            self._piece += 1
            self._characters = self._rows = 0
        self._characters += length
        self._rows += 1
        return self._piece


def _counted(
    rows: Iterator[Row], source: str, counts: Counts, skipped: dict[tuple[str, str, str], int]
) -> Iterator[Document | Pair]:
    """The rows that are documents or pairs; all are counted as they pass."""
    for row in rows:
        if isinstance(row, Skipped):
            add_counts(counts["skipped"], {source: {row.reason: 1}})
            key = (row.file, row.reason, row.note)
            skipped[key] = skipped.get(key, 0) + 1
            continue
        counts["rows"] += 1
        name = row.source
        document = isinstance(row, Document)
        length = len(row.text) if isinstance(row, Document) else len(row.text_a) + len(row.text_b)
        counts["collections"][source][name] = 1
        _add(counts["documents" if document else "pairs"], name, 1)
        _add(counts["characters"], name, length)
        _add(counts["languages"].setdefault(name, {}), row.lang, 1)
        yield row


def _add(numbers: dict[str, int], name: str, more: int) -> None:
    numbers[name] = numbers.get(name, 0) + more


def _check_names(sources: tuple[SourceConfig, ...]) -> None:
    if not sources:
        raise InputError("no sources to read. Name at least one file or folder.")
    seen: dict[str, str] = {}
    for source in sources:
        name = source_name(source)
        if name in seen:
            raise InputError(
                f"{seen[name]} and {source.path}: two sources with the name {name}. "
                + _way_out(Path(seen[name]), Path(source.path))
            )
        seen[name] = source.path


def _way_out(one: Path, other: Path) -> str:
    """How two sources get names of their own."""
    if one.with_suffix("") == other.with_suffix("") and is_language(one.suffix) and is_language(other.suffix):
        both = f"{one.with_suffix('')}.{{{one.suffix[1:]},{other.suffix[1:]}}}"
        return f"If one is the translation of the other, write '{both}', with the quotes."
    return "Name them in a file for --config: extract: {sources: [{path: ..., name: ...}, ...]}"


def _check_found(source: SourceConfig, counts: Mapping[str, Any], folder: Path) -> None:
    name = source_name(source)
    if counts["collections"].get(name):
        return
    reasons = counts["skipped"].get(name, {})
    if not reasons:
        raise InputError(f"{source.path}: holds nothing to read. Name another file or folder.")
    listed = ", ".join(f"{reason}: {number}" for reason, number in sorted(reasons.items()))
    skipped = _skipped(name, folder)
    files = ", ".join(line["file"] for line in skipped[:_NAMED])
    note = next((f" {line['note']}" for line in skipped if line["note"]), "")
    raise InputError(
        f"{source.path}: holds nothing that can be read ({listed}; such as {files}).{note} Name another file "
        "or folder, or say its format."
    )


def _skipped(source: str, folder: Path) -> list[dict[str, Any]]:
    lines = (
        json.loads(line)
        for file in sorted(folder.glob("*.skipped.jsonl"))
        for line in file.read_text("utf-8").splitlines()
    )
    return [line for line in lines if line["source"] == source]


def _digest(inputs: list[Input]) -> str:
    """Of names and bytes of all files that are read, so that it is the same wherever they lie."""
    files = []
    for found in inputs:
        for path, name in found.files if not found.skip else ():
            # What cannot be read is told when it is read.
            with contextlib.suppress(InputError):
                for inner in dump_files(path).values() if found.format == "stackexchange" else [path]:
                    files.append([name, inner.name, ""])
                    with reading(inner):
                        files[-1][2] = hash_file(inner)
    return hash_json([files, [name for found in inputs if found.skip for _, name in found.files]])
