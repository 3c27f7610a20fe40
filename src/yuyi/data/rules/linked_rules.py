"""Rules that need a second document: where a link leads, and the same document in another language.

What they need to know of other documents lies in one SQLite file, made once from all parts: who has which
name, which links lead to whom, and who is whose translation. A pair is made with the part that holds the
document of its answer.
"""

from __future__ import annotations

import json
import posixpath
import re
import sqlite3
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote

from yuyi.artifacts import publish_file
from yuyi.data.blocks import CleanBlock
from yuyi.data.clean import match_key, weight
from yuyi.data.rules.alignment import aligned
from yuyi.data.rules.candidates import LEAST_QUESTION, Candidate
from yuyi.data.rules.headings import is_empty, is_generic
from yuyi.data.rules.likeness import terms
from yuyi.data.rules.sections import lead
from yuyi.records import read_batches, read_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from yuyi.data.rules.sections import Reading
    from yuyi.data.step import Counts

# A link's text says at least this by `weight`; of one target, the texts that most links have are taken.
_LEAST_ANCHOR, _ANCHORS_PER_TARGET = 6, 3

_GENERIC_ANCHOR = re.compile(
    r"(?:(?:请)?(?:点击|单击|点|戳)?(?:这里|此处|这儿|这篇文章|本文|该文|此文|这个|该|此)(?:链接|页面|文章"
    r"|文档)?|查看|详情|详见"
    r"|更多(?:信息|内容)?|了解更多|(?:点击|单击)?(?:查看|阅读|下载|访问)(?:全文|原文|更多|详情|文档)?"
    r"|(?:教程)?链接"
    r"|(?:官方|api ?)?(?:参考)?(?:文档|手册)|文章|原文|译文|源码|示例|代码|教程|参考|说明"
    r"|[上下前后]一[章节页篇].*|返回.*|回到.*"
    r"|目录|首页|主页|中文版?|英文版?|(?:第\s*)?[\d.一二三四五六七八九十]+\s*(?:[章节篇期]|小节)?|图\s*\d+"
    r"|\W*|(?:click )?here"
    r"|(?:this|the|that|these) (?:\w+ )?(?:page|link|post|article|document|section|guide|example|one|file)"
    r"|links?|docs?|documents?|documentation|more(?: info| information)?|read more|learn more|see more"
    r"|details|source"
    r"|demo"
    r"|example|edit|next|prev(?:ious)?|back|home|top|index|download|website|english|chinese|readme(?:\.md)?"
    r"|(?:chapter|section|figure|fig\.?|appendix|part|step) [\w.]+)",
    re.IGNORECASE,
)
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*:|//|www\.", re.IGNORECASE)
_SUFFIX = re.compile(r"\.(?:md|mdx|markdown|rst|html?|txt|adoc|aspx|php)$", re.IGNORECASE)
_INDEX = re.compile(r"(?:^|/)(?:index|readme|_index)$", re.IGNORECASE)

_REGION = r"[-_](?:han[st]|cn|tw|hk|mo|sg|us|gb|uk|au|ca|in)"
_LANGUAGE = re.compile(rf"(?:zh|en)(?:{_REGION}){{0,2}}|cn|chs|eng|chinese|english|中文|英文")
_LANGUAGE_OF_FILE = re.compile(rf"(?<=[^._-])[._-](?:{_LANGUAGE.pattern})(?=\.[a-z]+$)")

_TABLES = """
CREATE TABLE names(source, lang, name, doc_id);
CREATE TABLE documents(source, doc_id, lang, part, row, name);
CREATE TABLE links(source, lang, path, name, fragment, text, doc_id, start, end, block_lang);
"""
_INDEXES = """
CREATE INDEX names_by_name ON names(source, lang, name);
CREATE INDEX documents_by_name ON documents(source, name, lang);
DELETE FROM names WHERE rowid IN (
    SELECT one.rowid FROM names one JOIN names other USING (source, lang, name)
    WHERE one.doc_id <> other.doc_id
);
CREATE TABLE resolved AS
    SELECT source, lang, fragment, text, doc_id AS doc_a, start, end, block_lang, COALESCE(
        (SELECT doc_id FROM names WHERE source = l.source AND lang = l.lang AND names.name = l.path),
        (SELECT doc_id FROM names WHERE source = l.source AND lang = l.lang AND names.name = l.name)
    ) AS doc_id FROM links l;
DROP TABLE links;
DROP TABLE names;
CREATE INDEX resolved_by_id ON resolved(source, lang, doc_id);
CREATE TABLE single AS SELECT * FROM documents GROUP BY source, name, lang HAVING count(*) = 1;
CREATE INDEX single_by_name ON single(source, name);
CREATE TABLE twins AS
    SELECT one.part, one.row, other.part AS part_a, other.row AS row_a,
        other.doc_id AS doc_a, other.lang AS lang_a
    FROM single one JOIN single other USING (source, name) WHERE other.lang < one.lang;
DROP TABLE single;
CREATE INDEX twins_by_part ON twins(part);
DROP TABLE documents;
"""


class Twin(NamedTuple):
    """A document in another language: its name, its language and its blocks."""

    doc_id: str
    lang: str
    blocks: list[CleanBlock]


class Links(NamedTuple):
    """A part, as `find_links` reads it: its documents and its blocks."""

    documents: Path
    blocks: Path


def find_links(name: str, part: Links, folder: Path) -> Counts:
    """Write what others must know of a part: its documents with their names, and its links, as JSON lines."""
    known = list(read_rows(part.documents, ["source", "doc_id", "title", "lang"]))
    columns = ["document", "start", "end", "lang", "links", "drop"]
    with (
        publish_file(folder / f"{name}.links.jsonl") as temporary,
        temporary.open("w", encoding="utf-8") as file,
    ):

        def write(table: str, *values: Any) -> None:
            file.write(json.dumps([table, *values], ensure_ascii=False) + "\n")

        for row, document in enumerate(known):
            source, doc_id, lang = document["source"], document["doc_id"], document["lang"]
            write("documents", source, doc_id, lang, name, row, name_in_any_language(doc_id))
            for own in sorted(
                {"/" + _path(doc_id), _name(doc_id), "=" + match_key(document["title"])} - {"=", ""}
            ):
                write("names", source, lang, own, doc_id)
        for block in _blocks_with_links(part.blocks, columns):
            document = known[block["document"]]
            source, doc_id, lang = document["source"], document["doc_id"], document["lang"]
            for link in block["links"]:
                target = _target(link["target"], doc_id)
                if target is None or not is_telling(link["text"]):
                    continue
                place = (block["start"], block["end"], block["lang"])
                write("links", source, lang, *target, link["text"], doc_id, *place)
    return {}


def name_in_any_language(doc_id: str) -> str:
    """The name that a document and its translation have in common, in lower case.

    >>> name_in_any_language("docs/zh-CN/kettle.md")
    'docs/kettle.md'
    >>> name_in_any_language("kettle_zh.md") == name_in_any_language("kettle.en.md")
    True
    """
    # One document of many in a file has a number, which says nothing of another file's.
    if "#" in doc_id:
        return doc_id
    *folders, name = doc_id.lower().split("/")
    folders = [each for each in folders if not _LANGUAGE.fullmatch(each)]
    return "/".join((*folders, _LANGUAGE_OF_FILE.sub("", name)))


def _blocks_with_links(path: Path, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    import pyarrow.compute as pc

    for batch in read_batches(path, columns):
        yield from batch.filter(pc.greater(pc.list_value_length(batch["links"]), 0)).to_pylist()


def is_telling(anchor: str) -> bool:
    """Whether a link's text says where it leads, so that it asks for it: not `here`, `文档` or an address."""
    return (
        weight(anchor) >= _LEAST_ANCHOR
        and _GENERIC_ANCHOR.fullmatch(anchor) is None
        and _ADDRESS.match(anchor) is None
        and any(map(str.isalpha, anchor))
        and not is_generic(anchor)
        and not is_empty(anchor)
    )


def _target(target: str, doc_id: str) -> tuple[str, str, str] | None:
    """Path, other name and fragment of what a link leads to; None where that is not in the source.

    >>> _target("../b/c.md#some-place", "a/x.md")
    ('/b/c', 'c', 'someplace')
    >>> _target("用户手册", "a/x.md")
    ('/a/用户手册', '=用户手册', '')
    """
    if not target or _ADDRESS.match(target):
        return None
    path, _, fragment = unquote(target.strip("<>")).partition("#")
    path = path.partition("?")[0]
    if not path:
        return ("/" + _path(doc_id), "", match_key(fragment)) if fragment else None
    inside = path.lstrip("/") if path.startswith("/") else posixpath.join(posixpath.dirname(doc_id), path)
    is_title = "/" not in path and not _SUFFIX.search(path)
    other = "=" + match_key(path.replace("_", " ")) if is_title else _name(path)
    return "/" + _path(posixpath.normpath(inside)), other, match_key(fragment)


def _path(doc_id: str) -> str:
    return _INDEX.sub("", _SUFFIX.sub("", doc_id)).lower()


def _name(doc_id: str) -> str:
    """The last part of a path; the empty string where that is a name that every folder has."""
    bare = _SUFFIX.sub("", doc_id)
    return "" if _INDEX.search(bare) else posixpath.basename(bare.rstrip("/")).lower()


def join_links(path: Path, parts: Sequence[Path]) -> None:
    """Make the SQLite file `path` of the JSON lines of all parts."""
    with closing(sqlite3.connect(path)) as base:
        # The file is thrown away if anything goes wrong, so nothing need be safe on disk.
        base.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;" + _TABLES)
        places = {"documents": "?,?,?,?,?,?", "names": "?,?,?,?", "links": "?,?,?,?,?,?,?,?,?,?"}
        for part in parts:
            with part.open(encoding="utf-8") as file:
                for line in file:
                    table, *values = json.loads(line)
                    base.execute(f"INSERT INTO {table} VALUES ({places[table]})", values)
        base.executescript(_INDEXES)
        base.commit()


def anchor_target(reading: Reading, base: sqlite3.Connection) -> Iterator[Candidate]:
    """The text of a link, and the first text of the document or section that it leads to.

    `see [how to descale](care.md#lime)` gives `how to descale` and the text under `Lime` in `care.md`.
    """
    document = reading.document
    found = base.execute(
        "SELECT fragment, text, doc_a, start, end, block_lang FROM resolved"
        " WHERE source = ? AND lang = ? AND doc_id = ? ORDER BY rowid",
        (document.source, document.lang, document.doc_id),
    ).fetchall()
    times = Counter((fragment, match_key(text)) for fragment, text, *_ in found)
    taken: Counter[str] = Counter()
    seen: set[tuple[str, str]] = set()
    for fragment, text, doc_a, start, end, lang in sorted(
        found, key=lambda link: -times[link[0], match_key(link[1])]
    ):
        answer, above = _lead(reading, fragment)
        key = (fragment, match_key(text))
        if not answer or key in seen or taken[fragment] == _ANCHORS_PER_TARGET:
            continue
        # A link whose words are neither in the headings nor in the text below leads somewhere else by now.
        if not terms(text) & terms("\n".join((above, *(block.text for block in answer)))):
            continue
        seen.add(key)
        taken[fragment] += 1
        # A link is followed within its language.
        elsewhere = (doc_a, document.lang) if doc_a != document.doc_id else ("", "")
        answer_lang = next((block.lang for block in answer if block.lang), lang)
        yield Candidate(text, answer, (start, end), elsewhere, languages=(lang or answer_lang, answer_lang))


def _lead(reading: Reading, fragment: str) -> tuple[list[CleanBlock], str]:
    """The first blocks of a document, or of the section that the fragment names, and what stands above."""
    if not fragment:
        return lead(reading), reading.title
    for section in reading.sections:
        if section.heading and section.blocks and match_key(section.path[-1]) == fragment:
            return section.blocks, "\n".join(section.path)
    return [], ""


def twins_of(base: sqlite3.Connection, part: str, blocks: Mapping[str, Path]) -> dict[int, list[Twin]]:
    """The translations of each document of a part that has some, by the document's row.

    Two documents of a source are translations of each other where their languages differ and their names do
    not, but for a folder or an ending that names the language: `care.md` in two languages, `en/care.md` and
    `zh/care.md`, `care.md` and `care.zh-CN.md`; and no third has that name in one of the languages.

    Args:
        base: what `join_links` made.
        part: name of the part.
        blocks: the files of blocks, by the name of their part.
    """
    wanted: dict[str, dict[int, Twin]] = {}
    found: dict[int, list[Twin]] = {}
    query = "SELECT row, part_a, row_a, doc_a, lang_a FROM twins WHERE part = ? ORDER BY part_a, row_a, row"
    for row, part_a, row_a, doc_a, lang_a in base.execute(query, (part,)):
        twin = wanted.setdefault(part_a, {}).setdefault(row_a, Twin(doc_a, lang_a, []))
        found.setdefault(row, []).append(twin)
    for part_a, twins in wanted.items():
        for block in _blocks_of(blocks[part_a], twins):
            twins[block.document].blocks.append(block)
    return found


def _blocks_of(path: Path, rows: Iterable[int]) -> Iterator[CleanBlock]:
    import pyarrow as pa
    import pyarrow.compute as pc

    columns = [
        "document",
        "kind",
        "level",
        "text",
        "lang",
        "script",
        "start",
        "end",
        "part",
        "common",
        "drop",
    ]
    wanted = pa.array(sorted(rows))
    for batch in read_batches(path, columns):
        chosen = batch.filter(pc.is_in(batch["document"], value_set=wanted))
        yield from (CleanBlock(**values) for values in chosen.to_pylist())


def parallel_documents(blocks: Sequence[CleanBlock], twin: Twin) -> Iterator[Candidate]:
    """A block of a document's translation, and the same block of the document."""
    for first, second in aligned(twin.blocks, blocks):
        yield Candidate(
            first.text,
            [second],
            (first.start, first.end),
            asked_in=(twin.doc_id, twin.lang),
            least=LEAST_QUESTION,
            languages=(first.lang, second.lang),
        )
