"""The step that makes pairs: each part of cleaned blocks through the rules, and ready pairs cleaned."""

from __future__ import annotations

import functools
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field, fields, replace
from itertools import groupby, islice
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field, PositiveInt

from yuyi.artifacts import hash_file
from yuyi.config import REFUSE_UNKNOWN
from yuyi.data.blocks import read_blocks
from yuyi.data.clean import clean
from yuyi.data.languages import language_of
from yuyi.data.rules import thread_rules
from yuyi.data.rules.candidates import PairMaker, pair_id
from yuyi.data.rules.document_rules import (
    first_rest,
    neighbours,
    path_section,
    question_answer,
    table_row,
    term_definition,
    title_best,
    title_lead,
)
from yuyi.data.rules.linked_rules import (
    Links,
    anchor_target,
    find_links,
    join_links,
    parallel_documents,
    twins_of,
)
from yuyi.data.rules.sections import read_sections
from yuyi.data.step import run_step
from yuyi.errors import InputError
from yuyi.records import Document, Part, read_pairs, read_rows, write_pairs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from yuyi.data.blocks import CleanBlock
    from yuyi.data.folder import DataFolder
    from yuyi.data.rules.candidates import Candidate
    from yuyi.data.rules.linked_rules import Twin
    from yuyi.data.rules.sections import Reading
    from yuyi.data.step import Counts, StepRecord, Workplace
    from yuyi.progress import Done
    from yuyi.records import Pair
    from yuyi.text.tokenizer import BatchTokenizer

_RULES: dict[str, Callable[[Reading], Iterator[Candidate]]] = {
    rule.__name__: rule
    for rule in (
        *(question_answer, title_lead, path_section, title_best),
        *(term_definition, table_row, first_rest, neighbours),
    )
}
_THREAD_RULES: dict[str, Callable[[Reading, float], Iterator[Candidate]]] = {
    rule.__name__: rule
    for rule in (
        *(thread_rules.qa, thread_rules.post_comment, thread_rules.duplicate_questions),
        *(thread_rules.summary_content, thread_rules.keywords_abstract, thread_rules.parallel),
    )
}

# A text is never cut shorter than a sentence or two.
Characters = Annotated[int, Field(ge=100)]

# Pairs whose tokens are counted at a time.
_BATCH = 2_000
_CODE = ("data/pairs.py", "data/rules", "data/blocks.py", "data/clean.py", "data/languages.py",
         "text/tokenizer.py", "text/tokenizer_folder.py", "text/overflow.py", "records.py")  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Which rules make pairs; where two give one pair, the one further up names it.

    Attributes:
        qa: the question of a thread, and an answer.
        post_comment: a post, and a comment on it.
        duplicate_questions: a question, and one that was asked before.
        summary_content: a summary, and what it sums up.
        keywords_abstract: a line of keywords, and the abstract.
        parallel: a block, and its translation in the document or in the one of its name in another language.
        question_answer: a heading or text that asks, and what answers it.
        title_lead: a title, and the first text under it.
        path_section: a heading, with its title where it is not clear alone, and the text under it.
        title_best: a title, and the passage of the body most like it.
        anchor_target: the text of a link, and the first text of where it leads within the source.
        term_definition: a term in a list, and what is said of it.
        table_row: the first cell of a row, and the others.
        first_rest: the first sentence of a paragraph, and the rest.
        neighbours: a paragraph, and the next.
    """

    __pydantic_config__: ClassVar = REFUSE_UNKNOWN

    qa: bool = True
    post_comment: bool = True
    duplicate_questions: bool = True
    summary_content: bool = True
    keywords_abstract: bool = True
    parallel: bool = True
    question_answer: bool = True
    title_lead: bool = True
    path_section: bool = True
    title_best: bool = True
    anchor_target: bool = True
    term_definition: bool = True
    table_row: bool = True
    first_rest: bool = True
    neighbours: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PairsConfig:
    """What decides the pairs.

    Attributes:
        rules: which rules are on.
        longest: characters of a text; longer ones are cut at the end of a sentence.
        least_score: votes that an answer or comment needs, where votes were counted.
        answers: answers that a question of a thread gives pairs with, the best first; likewise comments and
            duplicates. Under a heading no rule takes more than two.
        tokenizer: a `tokenizer.json` that counts the tokens of each text; empty for the embedded model's.
    """

    __pydantic_config__: ClassVar = REFUSE_UNKNOWN

    rules: Rules = field(default_factory=Rules)
    longest: Characters = 1_000
    least_score: float = 0.0
    answers: PositiveInt = 5
    tokenizer: str = ""


def make_pairs(
    folder: DataFolder,
    config: PairsConfig,
    *,
    workers: int | None = None,
    on_done: Done = lambda texts, tokens=0: None,
) -> StepRecord:
    """The record of the step `pairs`, which holds the pairs of every document and the ready ones.

    Its counts: `rows`; `pairs` by source and rule; `dropped` by source and reason.

    Args:
        folder: holds finished `documents` and `blocks`.
        config: which rules, and how long the texts.
        workers: processes; None for one a core.
        on_done: called with numbers of pairs as they are made.

    Raises:
        InputError: an earlier step is missing, or a file cannot be read or written.
    """
    inputs = {name: folder.need(name).digest for name in ("documents", "blocks")}
    inputs["tokenizer"] = hash_file(_tokenizer_file(config.tokenizer))
    if config.tokenizer:
        _tokenizer(config.tokenizer)

    def make(place: Workplace) -> Counts:
        blocks = folder.parts("blocks")
        links = None
        if config.rules.anchor_target or config.rules.parallel:
            parts = {
                part: Links(folder.path / "documents" / path.name, path) for part, path in blocks.items()
            }
            place.each(parts, find_links, scratch=True)
            found = [place.scratch / f"{part}.links.jsonl" for part in parts]
            links = place.once("links.sqlite", lambda path: join_links(path, found))
        jobs = {
            part: _Job(path, folder.path / "documents" / path.name, blocks, links, config)
            for part, path in blocks.items()
        }
        ready = {part: _Job(path, None, {}, None, config) for part, path in folder.ready_pairs().items()}
        return place.each(dict(sorted({**jobs, **ready}.items())), _make_part)

    return run_step(
        folder.path / "pairs",
        make,
        settings=config,
        inputs=inputs,
        code=_CODE,
        workers=workers,
        on_done=on_done,
    )


@dataclass(frozen=True, slots=True)
class _Job:
    """One part: its blocks, or ready pairs.

    Attributes:
        path: the file of blocks or of pairs.
        documents: the documents of the blocks; ready pairs have none.
        blocks: the files of all blocks, by part.
        links: what the parts know of each other, where a rule needs it.
        config: the settings.
    """

    path: Path
    documents: Path | None
    blocks: dict[str, Path]
    links: Path | None
    config: PairsConfig


def _make_part(name: str, job: _Job, folder: Path) -> Counts:
    maker = PairMaker(job.config.longest, job.config.answers)
    made: Counter[tuple[str, str]] = Counter()
    if job.documents is None:
        pairs = _ready(job.path, maker.dropped)
    else:
        pairs = _of_documents(name, job.documents, job, maker)
    pairs = _with_tokens(pairs, _tokenizer(job.config.tokenizer))
    rows = write_pairs(folder / f"{name}.parquet", _counted(pairs, made))
    return {"rows": rows, "pairs": _nested(made), "dropped": _nested(maker.dropped)}


def _of_documents(name: str, documents: Path, job: _Job, maker: PairMaker) -> Iterator[Pair]:
    with closing(sqlite3.connect(job.links or ":memory:")) as base:
        parallel = job.links is not None and job.config.rules.parallel
        twins = twins_of(base, name, job.blocks) if parallel else {}
        for document, blocks in read_parts(documents, job.path):
            of_document = twins.pop(blocks[0].document, [])
            yield from maker.pairs(document, _candidates(document, blocks, of_document, base, job.config))


def _candidates(
    document: Document,
    blocks: list[CleanBlock],
    twins: list[Twin],
    base: sqlite3.Connection,
    config: PairsConfig,
) -> Iterator[tuple[str, Candidate]]:
    """What each rule that is on finds in a document, with its name."""
    reading = read_sections(document, blocks)
    for each in fields(Rules):
        found: Iterable[Candidate] = ()
        if not getattr(config.rules, each.name):
            continue
        if each.name in _THREAD_RULES:
            found = _THREAD_RULES[each.name](reading, config.least_score) if document.parts else ()
        elif each.name == "anchor_target":
            found = anchor_target(reading, base)
        else:
            found = _RULES[each.name](reading)
        yield from ((each.name, candidate) for candidate in found)
        for twin in twins if each.name == "parallel" else ():
            yield from (("parallel", one) for one in parallel_documents(blocks, twin))


def read_parts(documents: Path, blocks: Path) -> Iterator[tuple[Document, list[CleanBlock]]]:
    """Each document of a part that has blocks, and its blocks."""
    by_document = groupby(read_blocks(blocks), attrgetter("document"))
    wanted, found = next(by_document, (-1, iter(())))
    columns = [each.name for each in fields(Document) if each.name != "parts"]
    for row, values in enumerate(read_rows(documents, columns, ["parts"])):
        if row == wanted:
            parts = tuple(Part(**part) for part in values.pop("parts", None) or ())
            yield Document(**values, parts=parts), list(found)
            wanted, found = next(by_document, (-1, iter(())))


def _ready(path: Path, dropped: Counter[tuple[str, str]]) -> Iterator[Pair]:
    for pair in read_pairs(path):
        cleaned = replace(
            pair,
            text_a=clean(pair.text_a or ""),
            text_b=clean(pair.text_b or ""),
            negatives=tuple(filter(None, map(clean, pair.negatives))),
        )
        # A text to classify has nothing beside it but its label.
        if cleaned.text_a and (cleaned.text_b or pair.kind == "classification"):
            identity = pair_id(pair.source, pair.kind, pair.doc_id, cleaned.text_a, cleaned.text_b)
            lang = pair.lang or _language(cleaned.text_a, cleaned.text_b)
            yield replace(cleaned, pair_id=pair.pair_id or identity, lang=lang)
        else:
            dropped[pair.source, "empty"] += 1


def _language(*texts: str) -> str:
    return "-".join(sorted({language_of(text) for text in texts} - {""}))


def _with_tokens(pairs: Iterator[Pair], tokenizer: BatchTokenizer) -> Iterator[Pair]:
    while batch := list(islice(pairs, _BATCH)):
        lengths_a = tokenizer([pair.text_a for pair in batch]).lengths.tolist()
        lengths_b = tokenizer([pair.text_b for pair in batch]).lengths.tolist()
        for pair, tokens_a, tokens_b in zip(batch, lengths_a, lengths_b, strict=True):
            yield replace(pair, tokens_a=tokens_a, tokens_b=tokens_b)


def _tokenizer_file(path: str) -> Path:
    from yuyi.encode.load import EMBEDDED

    file = Path(path) if path else EMBEDDED / "tokenizer.json"
    if not file.is_file():
        raise InputError(f"{file}: no such tokenizer. Name a tokenizer.json, or leave it empty.")
    return file


def _tokenizer(path: str) -> BatchTokenizer:
    file = _tokenizer_file(path)
    return _load_tokenizer(file, file.stat().st_mtime_ns)


@functools.cache
def _load_tokenizer(file: Path, changed: int) -> BatchTokenizer:
    from yuyi.text.tokenizer import BatchTokenizer
    from yuyi.text.tokenizer_folder import load_tokenizer

    return BatchTokenizer(load_tokenizer(file))


def _counted(pairs: Iterable[Pair], made: Counter[tuple[str, str]]) -> Iterator[Pair]:
    for pair in pairs:
        made[pair.source, pair.kind] += 1
        yield pair


def _nested(counts: Counter[tuple[str, str]]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for (source, name), count in sorted(counts.items()):
        nested.setdefault(source, {})[name] = count
    return nested
