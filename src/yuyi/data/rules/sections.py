"""The cleaned blocks of a document in sections, each with the headings that it stands under."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from yuyi.data.clean import IDEOGRAPHS, clean, match_key, weight
from yuyi.data.rules.headings import is_empty, is_generic
from yuyi.data.rules.sentences import has_sentence

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from yuyi.data.blocks import CleanBlock
    from yuyi.records import Document, Part

# A block that says less than this (by `weight`) beside its links is a list of links.
_LEAST_BESIDE_LINKS = 12
# Least `weight` of prose, of a document's lead, and of a file's name that stands for a title.
_LEAST_PROSE, _LEAST_LEAD, _LEAST_NAME = 60, 120, 4
# Its text is put together from others' or of another language, so that none of the document's headings hold.
_ROLES_APART = ("keywords", "duplicate", "translation", "comment")

_TAG = re.compile(r"</?[a-zA-Z][^<>]*>")
# Three words or more that are joined; a command has two.
_FILE_NAME = re.compile(r"[\w.]+(?:[-_][\w.]+){2,}", re.ASCII)
# What a reader takes for a title where there is none: the first sentence, or a list of names.
_NO_TITLE = re.compile(
    rf".{{30}}.*(?:。|[.．：:]$)|[{IDEOGRAPHS}][.．：:]$|^(?:authors?|disqus):", re.IGNORECASE
)
_JOINT = re.compile(r"[-_\s]+")
_BEFORE_TITLE = re.compile(r"^(?::{3,}\s*\w*|\.\. _[\w-]+:)\s*")
# The name of a place in the text, as documentation generators write it on a line of its own.
_LABEL = re.compile(r"\w+(?:[_:-]\w+)+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Section:
    """The text that stands directly under one heading.

    Attributes:
        path: the headings down to this one, title first; empty before any heading of an untitled document.
        heading: its own heading; None where it stands under the title alone.
        blocks: what stands in it, without what is dropped and lists of links.
        prose: numbers of those of them that are prose of some length.
        left_out: why the others were left out: `list of links` or `label`.
    """

    path: tuple[str, ...]
    heading: CleanBlock | None = None
    blocks: list[CleanBlock] = field(default_factory=list)
    prose: list[int] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Reading:
    """A document as the rules see it.

    Attributes:
        document: the document; its text may be left out.
        title: its title, cleaned; where that is a file's name or a sentence, the one highest
            heading, or else the file's name, if the file holds nothing else.
        sections: the blocks by heading; the first holds what stands before any. A new one begins at each
            part, and parts that are no prose of the document are in none.
        by_part: the blocks of each part; under -1 those in none.
    """

    document: Document
    title: str
    sections: tuple[Section, ...]
    by_part: Mapping[int, Sequence[CleanBlock]]

    def of_part(self, number: int) -> Sequence[CleanBlock]:
        """The blocks of the part of that number, or of -1 for those in none."""
        return self.by_part.get(number, ())


def read_sections(document: Document, blocks: Iterable[CleanBlock]) -> Reading:
    """The document with its blocks in sections."""
    kept = tuple(block for block in blocks if not block.drop)
    title = _title(document, kept)
    found = [Section((title,) if title else ())]
    stack: list[CleanBlock] = []
    by_part: dict[int, list[CleanBlock]] = {}
    part = -1
    for block in kept:
        by_part.setdefault(block.part, []).append(block)
        if block.part != part:
            part, stack = block.part, []
            found.append(Section((title,) if title else ()))
        if is_apart(document.parts, block.part):
            continue
        if block.kind == "heading":
            while stack and stack[-1].level >= block.level:
                stack.pop()
            stack.append(block)
            found.append(Section(_below(title, stack), block))
        elif is_list_of_links(block):
            found[-1].left_out.append("list of links")
        elif _LABEL.fullmatch(block.text):
            found[-1].left_out.append("label")
        else:
            if _is_prose(block):
                found[-1].prose.append(len(found[-1].blocks))
            found[-1].blocks.append(block)
    return Reading(document, title, tuple(found), by_part)


def lead(reading: Reading) -> list[CleanBlock]:
    """The first text of a document; where a section says little, the next one's too."""
    found: list[CleanBlock] = []
    for section in reading.sections:
        if section.blocks and not (section.path and is_empty(section.path[-1])):
            found += section.blocks
            if sum(weight(block.text) for block in found) >= _LEAST_LEAD:
                break
    return found


def _is_prose(block: CleanBlock) -> bool:
    return (
        block.kind in ("paragraph", "quote")
        and weight(block.text) >= _LEAST_PROSE
        and has_sentence(block.text)
    )


def is_apart(parts: Sequence[Part], number: int) -> bool:
    """Whether the part of that number is no prose of the document itself; -1 is the document."""
    return number >= 0 and parts[number].role in _ROLES_APART


def is_list_of_links(block: CleanBlock) -> bool:
    """Whether a block holds links and hardly a word beside them."""
    if not block.links:
        return False
    return weight(block.text) - sum(weight(link.text) for link in block.links) < _LEAST_BESIDE_LINKS


def _title(document: Document, blocks: Sequence[CleanBlock]) -> str:
    title = clean(_BEFORE_TITLE.sub("", html.unescape(_TAG.sub("", document.title))))
    if title and not (_FILE_NAME.fullmatch(title) or _NO_TITLE.search(title)):
        return title
    headings = [block for block in blocks if block.kind == "heading"]
    highest = min((heading.level for heading in headings), default=0)
    above = [heading.text for heading in headings if heading.level == highest]
    # Of several none stands over the whole document.
    if len(above) == 1 and not is_generic(above[0]):
        return above[0]
    # One document of many in a file: the file's name says nothing of it.
    if "#" in document.doc_id:
        return ""
    name = _JOINT.sub(" ", PurePosixPath(document.doc_id).stem)
    telling = weight(name) >= _LEAST_NAME and any(map(str.isalpha, name)) and not is_generic(name)
    return name if telling else ""


def _below(title: str, stack: Sequence[CleanBlock]) -> tuple[str, ...]:
    """The headings with the document's title first, where it is not there already."""
    path = tuple(heading.text for heading in stack)
    return path if not title or match_key(path[0]) == match_key(title) else (title, *path)
