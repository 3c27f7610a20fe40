"""Documents cleaned into blocks, and the blocks that say nothing marked with the reason.

What one block shows is decided in a first pass; what a source repeats takes counting over all of it, so the
first pass also writes a hash of each block and heading, eight bytes each, and a second pass over the blocks
alone marks what recurs.
"""

from __future__ import annotations

import hashlib
import re
from array import array
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import PositiveInt  # noqa: TC002 - pydantic reads it

from yuyi.artifacts import publish_file
from yuyi.config import REFUSE_UNKNOWN
from yuyi.data.blocks import CleanBlock, Link, write_blocks
from yuyi.data.boilerplate import block_reason, document_reason
from yuyi.data.clean import clean, match_key, weight, without_links
from yuyi.data.languages import language_of, script_of
from yuyi.data.rules.headings import is_empty, without_number
from yuyi.data.step import run_step
from yuyi.records import read_documents, read_rows
from yuyi.text.markdown import front_matter_end, parse

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy as np

    from yuyi.data.folder import DataFolder
    from yuyi.data.step import Counts, StepRecord, Workplace
    from yuyi.progress import Done
    from yuyi.records import Document, Part
    from yuyi.text.markdown import Block

# Marks of question and answer begin a block of their own.
_BEFORE_MARK = re.compile(
    r"\n(?=(?:question|q|问题?|提问|answer|a|答案?|回答)\s*\d{0,3}\s*[:：]\s*\S)", re.IGNORECASE
)
# By `weight`: an item of less is a step, an ingredient or a clause of a law, which recurs for good reason.
_LEAST_ITEM = 120
_ITEM = re.compile(r"\(?（?[一二三四五六七八九十\d]{1,3}[)）.、]|第.{1,8}条")
# A paragraph without links ends a table of contents, after which many articles begin without a heading. Under
# other headings of links it ends them if it says more than this (by `weight`); thanks and titles can be long.
_LEAST_PROSE = 100
_CONTENTS = re.compile(r"目录|contents|^in this ", re.IGNORECASE)
_THANKS = re.compile(
    r"致谢|acknowledg|credits|copyright|references|参考文献|footnotes|log|日志", re.IGNORECASE
)
_ROWS_PER_GROUP = 20_000
_NO_HASH = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanConfig:
    """How documents are cleaned.

    Attributes:
        code: what becomes of blocks of code: `drop` marks them with the reason `code`, `keep` does not.
        recurring: a block that stands in this many documents of its source is dropped as `recurring`.
        common: a heading that stands over this many sections of its source is common, and says little alone.
    """

    __pydantic_config__: ClassVar = REFUSE_UNKNOWN

    code: Literal["keep", "drop"] = "drop"
    recurring: PositiveInt = 5
    common: PositiveInt = 3


def clean_documents(
    folder: DataFolder,
    config: CleanConfig,
    *,
    workers: int | None = None,
    on_done: Done = lambda texts, tokens=0: None,
) -> StepRecord:
    """The record of the step that makes `blocks` of `documents`: cleaned, with language, and why dropped.

    Documents that are marked as duplicates do not count as repetition; nor does one that another of its
    source equals.

    Args:
        folder: holds the documents.
        config: what to drop.
        workers: processes; None for one a core.
        on_done: called with numbers of documents as they are done.

    Raises:
        InputError: there are no documents, or the place cannot be written.
    """
    inputs = {"documents": folder.need("documents").digest}
    marks = folder.mark_steps(on="documents")
    inputs |= {name: folder.need(name).digest for name in marks}
    parts = folder.parts("documents")

    def make(place: Workplace) -> Counts:
        first = {name: _First(path, config) for name, path in parts.items()}
        counts = place.each(first, _read_part, scratch=True)
        repeated = place.once("repeated.npy", lambda path: _count(path, folder, place, list(parts), config))
        second = {name: _Second(path, place.scratch, repeated) for name, path in parts.items()}
        return {**counts, **place.each(second, _finish_part)}

    return run_step(
        folder.path / "blocks",
        make,
        settings=config,
        inputs=inputs,
        code=("data/clean_documents.py", "data/clean.py", "data/languages.py", "data/boilerplate.py",
              "data/rules/headings.py", "data/blocks.py", "text/markdown.py", "text/restructured.py"),
        workers=workers,
        on_done=on_done,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _First:
    documents: Path
    config: CleanConfig


@dataclass(frozen=True, slots=True)
class _Second:
    documents: Path
    scratch: Path
    repeated: Path


def _read_part(name: str, job: _First, folder: Path) -> Counts:
    """Write a part's blocks, their hashes, and a hash of each of its documents."""
    import numpy as np

    hashes, sizes, whole = array("q"), array("q"), array("q")
    characters = 0

    def blocks() -> Iterator[CleanBlock]:
        nonlocal characters
        for row, document in enumerate(read_documents(job.documents)):
            characters += len(document.text)
            before = len(hashes)
            for block in _blocks(row, document, job.config):
                hashes.append(_hash_block(document.source, block))
                yield block
            sizes.append(len(hashes) - before)
            whole.append(_hash(document.source, document.text))

    write_blocks(folder / f"{name}.parquet", blocks())
    with publish_file(folder / f"{name}.npz") as temporary, temporary.open("wb") as file:
        np.savez(
            file, hashes=np.array(hashes, "i8"), sizes=np.array(sizes, "i8"), whole=np.array(whole, "i8")
        )
    return {"rows": len(sizes), "characters": characters}


def _blocks(row: int, document: Document, config: CleanConfig) -> Iterator[CleanBlock]:
    """Each block of a document, cleaned, with what it alone tells about why to drop it."""
    whole_reason = document_reason(document.doc_id, document.text)
    starts = [part.start for part in document.parts]
    lang = document.lang or language_of(document.text)
    heading = ""
    if matter := document.text[: front_matter_end(document.text)].strip("\ufeff"):
        # `parse` gives its title alone; the rest is not to vanish without a reason.
        start = document.text.index(matter)
        front = CleanBlock(row, "code", 0, matter.strip(), "", "", start, start + len(matter.rstrip()))
        yield replace(front, part=_part(document.parts, starts, start), drop=whole_reason or "front matter")
    for block in parse(document.text):
        for raw in _raw_texts(block):
            text = raw.strip("\n") if block.kind == "code" else _clean_lines(raw, block.kind)
            if not text:
                continue
            if block.kind == "heading":
                heading = text if is_empty(text) else ""
            elif heading and _is_prose(block, text, heading):
                heading = ""
            found = _language(block.kind, text, lang)
            yield CleanBlock(
                document=row,
                kind=block.kind,
                level=block.level,
                text=text,
                lang=found,
                script=script_of(text) if found == "zh" else "",
                start=block.start,
                end=block.end,
                part=_part(document.parts, starts, block.start),
                links=tuple(Link(clean(shown), target) for shown, target in block.links),
                drop=whole_reason or _reason(block, raw, text, heading, config),
            )


def _reason(block: Block, raw: str, text: str, empty_heading: str, config: CleanConfig) -> str:
    """Why to drop a block; `empty_heading` is the one it stands under, if that promises links or credits."""
    if block.kind == "code":
        return "code" if config.code == "drop" else ""
    reason = block_reason(block.kind, raw, text, block.links)
    return reason or ("empty section" if empty_heading and block.kind != "heading" else "")


def _is_prose(block: Block, text: str, heading: str) -> bool:
    """Whether a block cannot belong to the links or credits that its heading promises."""
    if block.kind != "paragraph" or block.links or _THANKS.search(heading):
        return False
    return weight(text) >= _LEAST_PROSE or _CONTENTS.search(heading) is not None


def _raw_texts(block: Block) -> Sequence[str]:
    if block.kind in ("paragraph", "list_item", "quote") and "\n" in block.text:
        return _BEFORE_MARK.split(block.text)
    return (block.text,)


def _clean_lines(raw: str, kind: str) -> str:
    if kind == "table":
        return "\n".join(filter(None, (clean(without_links(line)) for line in raw.splitlines())))
    return clean(without_links(raw))


def _language(kind: str, text: str, whole: str) -> str:
    """The block's language; the document's where words tell too little, none where there are no words."""
    if kind == "code" or not any(map(str.isalpha, text)):
        return ""
    return language_of(text) or whole


def _part(parts: Sequence[Part], starts: Sequence[int], start: int) -> int:
    """Number of the part, the innermost one, in which a block begins; -1 where it is in none."""
    number = bisect_right(starts, start) - 1
    while number >= 0 and parts[number].end <= start:
        number -= 1
    return number


def _hash(*texts: str) -> int:
    digest = hashlib.blake2b("\0".join(texts).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


def _hash_block(source: str, block: CleanBlock) -> int:
    """What is equal for blocks that a source repeats; `_NO_HASH` for what is not counted."""
    if block.kind == "heading":
        # Even for headings, odd for others, so that one array holds both.
        return _hash(source, "#", match_key(without_number(block.text))) & ~1
    # The same answer to several questions, or the same comment, is no notice.
    if block.drop or block.part >= 0 or not (key := match_key(block.text)):
        return _NO_HASH
    is_item = block.kind == "list_item" or _ITEM.match(block.text)
    if is_item and weight(block.text) < _LEAST_ITEM:
        return _NO_HASH
    return _hash(source, "", key) | 1


def _count(
    path: Path, folder: DataFolder, place: Workplace, names: Sequence[str], config: CleanConfig
) -> None:
    """Write the hashes of what recurs, counted over the documents that repeat no other."""
    import numpy as np

    counted = _counted_documents(folder, place, names)
    found = [_hashes(place.scratch / f"{name}.npz", counted[name]) for name in names]
    every = np.concatenate([*found, np.empty(0, "i8")])
    del found
    every.sort()
    repeated = [
        np.unique(which[times - 1 :][which[times - 1 :] == which[: max(0, len(which) - times + 1)]])
        for which, times in (
            (every[every & 1 == 1], config.recurring),
            (every[(every & 1 == 0) & (every != _NO_HASH)], config.common),
        )
    ]
    with path.open("wb") as file:
        np.save(file, np.concatenate(repeated))


def _counted_documents(folder: DataFolder, place: Workplace, names: Sequence[str]) -> dict[str, np.ndarray]:
    """For each part, which of its documents are not marked and are the first of their text."""
    import numpy as np

    marked = bool(folder.mark_steps(on="documents"))
    texts = [np.load(place.scratch / f"{name}.npz")["whole"] for name in names]
    counted = np.zeros(sum(map(len, texts)), bool)
    counted[np.unique(np.concatenate([*texts, np.empty(0, "i8")]), return_index=True)[1]] = True
    parts: dict[str, np.ndarray] = {}
    for name, text in zip(names, texts, strict=True):
        parts[name], counted = counted[: len(text)], counted[len(text) :]
        if marked:
            parts[name][list(folder.dropped_rows(name, on="documents"))] = False
    return parts


def _hashes(path: Path, counted: np.ndarray) -> np.ndarray:
    """The hashes of a part's counted documents: of headings all, of blocks one a document."""
    import numpy as np

    table = np.load(path)
    documents = np.repeat(np.arange(len(counted)), table["sizes"])
    chosen = counted[documents]
    documents, hashes = documents[chosen], table["hashes"][chosen]
    order = np.lexsort((hashes, documents))
    documents, hashes = documents[order], hashes[order]
    again = (hashes[1:] == hashes[:-1]) & (documents[1:] == documents[:-1]) & (hashes[1:] & 1 == 1)
    once: np.ndarray = hashes[np.concatenate([np.ones(min(1, len(hashes)), bool), ~again])]
    return once


def _finish_part(name: str, job: _Second, folder: Path) -> Counts:
    """Write a part's blocks with what recurs marked, and count them by source."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(job.scratch / f"{name}.parquet")
    known = np.isin(np.load(job.scratch / f"{name}.npz")["hashes"], np.load(job.repeated))
    heading = table["kind"].to_numpy() == "heading"
    drop = table["drop"].to_numpy()
    drop[known & ~heading & (drop == "")] = "recurring"
    for column, values in (("common", pa.array(known & heading)), ("drop", pa.array(drop, pa.string()))):
        table = table.set_column(table.schema.get_field_index(column), table.schema.field(column), values)
    with publish_file(folder / f"{name}.parquet") as temporary:
        pq.write_table(table, temporary, row_group_size=_ROWS_PER_GROUP, compression="zstd")
    sources = np.array([row["source"] for row in read_rows(job.documents, ("source",))], object)
    return _count_part(sources[table["document"].to_numpy()], drop, table["lang"].to_numpy())


def _count_part(sources: np.ndarray, drop: np.ndarray, lang: np.ndarray) -> Counts:
    counts: dict[str, Any] = {"blocks": dict(Counter(sources)), "dropped": {}, "languages": {}}
    for name, values in (("dropped", drop), ("languages", lang)):
        for (source, value), number in sorted(Counter(zip(sources, values, strict=True)).items()):
            if value or name == "languages":
                counts[name].setdefault(source, {})[value] = number
    return counts
