"""Pairs out of a document: named rules, each a small function over the document's sections.

A rule proposes what asks and which blocks answer. Everything that holds for all pairs is done once, around
the rules: what is too short is dropped, what is long is cut, and an answer does not begin with its question.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from yuyi.data.clean import clean, is_boilerplate, match_key, weight, without_links
from yuyi.data.headings import is_empty, is_question, question_of, without_number
from yuyi.errors import InputError
from yuyi.records import Pair
from yuyi.text.markdown import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from yuyi.records import Document
    from yuyi.text.markdown import Block

# Characters. Training reads about a hundred tokens of a text; this is several times as much.
_LONGEST = 1_000
# Least `weight` of a question or heading, of an answer (fifteen Chinese characters), of a document's lead (it
# goes on into the next section if the first says less), and of a neighbour.
_LEAST_QUESTION, _LEAST_ANSWER, _LEAST_LEAD, _LEAST_NEIGHBOUR = 3, 30, 120, 60
_NEIGHBOURS_PER_SECTION = 2
# A question that a document answers more often than this is none: its heading stands over everything.
_ANSWERS_PER_QUESTION = 2
# A heading over this many sections of a source says too little without its title; a block that stands in this
# many of its sections is a notice that belongs to none of them.
_COMMON_HEADING, _COMMON_BLOCK = 3, 5

_ASKS = re.compile(r"(?:question|q|问题?|提问)\s*\d{0,3}\s*[:：]\s*(?=\S)", re.IGNORECASE)
_ANSWERS = re.compile(r"(?:answer|a|答案?|回答)\s*\d{0,3}\s*[:：]\s*(?=\S)", re.IGNORECASE)
_BEFORE_MARK = re.compile(rf"\n(?={_ASKS.pattern}|{_ANSWERS.pattern})", re.IGNORECASE)
_SENTENCE_END = re.compile(r"[。！？；…!?]+[”’」』）)\"']*|[.](?=\s)|\n")
_JOINT = " \t\n:：,，.。;；-—–、|!！?？"


@dataclass(frozen=True, slots=True)
class Section:
    """The text that stands directly under one heading.

    Attributes:
        path: the headings down to this one, title first; empty before any heading of an untitled document.
        blocks: its blocks without code and boilerplate, their text cleaned.
    """

    path: tuple[str, ...]
    blocks: list[Block] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Recurring:
    """What a source says again and again.

    Attributes:
        headings: match keys of its common headings, which need their title.
        blocks: its common blocks, notices that are left out.
    """

    headings: frozenset[str] = frozenset()
    blocks: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Candidate:
    """What a rule proposes: a text that asks, and the blocks that answer, all of one section."""

    question: str
    answer: Sequence[Block]


def sections(document: Document) -> list[Section]:
    """The sections of a document in order; the first holds what stands before any heading."""
    title = clean(document.title)
    found = [Section((title,) if title else ())]
    for block in parse(document.text):
        if block.kind == "heading":
            path = tuple(clean(heading) for heading in (*block.path, block.text))
            found.append(Section(_below(title, path)))
        elif block.kind != "code" and not is_boilerplate(block.text):
            found[-1].blocks.extend(_cleaned(block))
    return found


def _cleaned(block: Block) -> Iterator[Block]:
    """The block with its text cleaned; several where marks of question and answer begin its lines."""
    if block.kind == "table":
        texts = ["\n".join(filter(None, map(_clean_line, block.text.splitlines())))]
    else:
        texts = [_clean_line(part) for part in _BEFORE_MARK.split(block.text)]
    return (replace(block, text=text) for text in texts if text)


def _clean_line(text: str) -> str:
    return clean(without_links(text))


def _below(title: str, path: tuple[str, ...]) -> tuple[str, ...]:
    """`path` with the document's title first, where it is not there already."""
    return path if not title or match_key(path[0]) == match_key(title) else (title, *path)


def what_recurs(documents: Iterable[Sequence[Section]]) -> Recurring:
    """The headings and blocks that a source repeats, found over the sections of all its documents."""
    headings: Counter[str] = Counter()
    blocks: Counter[str] = Counter()
    for document in documents:
        for section in document:
            blocks.update({block.text for block in section.blocks})
            if len(section.path) > 1:
                headings[match_key(without_number(section.path[-1]))] += 1
    return Recurring(
        frozenset(heading for heading, count in headings.items() if count >= _COMMON_HEADING),
        frozenset(block for block, count in blocks.items() if count >= _COMMON_BLOCK),
    )


def _without_recurring(document: Iterable[Section], recurring: Recurring) -> list[Section]:
    return [
        Section(section.path, [block for block in section.blocks if block.text not in recurring.blocks])
        for section in document
    ]


def question_answer(document: Sequence[Section], common: frozenset[str]) -> Iterator[Candidate]:
    """A heading that reads as a question, and its text; a text marked `Q:` or `问：`, and the next: `A:`."""
    for section in document:
        if len(section.path) > 1 and is_question(section.path[-1]):
            yield Candidate(
                question_of(section.path, match_key(without_number(section.path[-1])) in common),
                _unmarked(section.blocks),
            )
        for asking, answering in pairwise(section.blocks):
            if (asks := _ASKS.match(asking.text)) and _ANSWERS.match(answering.text):
                yield Candidate(asking.text[asks.end() :], _unmarked([answering]))


def _unmarked(answer: Sequence[Block]) -> Sequence[Block]:
    """The blocks without the `A:` or `答：` before the first."""
    if answer and (mark := _ANSWERS.match(answer[0].text)):
        return [replace(answer[0], text=answer[0].text[mark.end() :]), *answer[1:]]
    return answer


def title_lead(document: Sequence[Section], common: frozenset[str]) -> Iterator[Candidate]:
    """The title, or the first heading of a document without one, and its first text."""
    title = next((section.path[:1] for section in document if section.path), None)
    if title is None:
        return
    lead: list[Block] = []
    for section in document:
        if section.blocks and not (section.path and is_empty(section.path[-1])):
            lead += section.blocks
            if sum(weight(block.text) for block in lead) >= _LEAST_LEAD:
                break
    yield Candidate(question_of(title), lead)


def path_section(document: Sequence[Section], common: frozenset[str]) -> Iterator[Candidate]:
    """A heading, with its title where it is not clear alone, and the text under it."""
    for section in document:
        if len(section.path) > 1 and not is_empty(section.path[-1]):
            yield Candidate(
                question_of(section.path, match_key(without_number(section.path[-1])) in common),
                section.blocks,
            )


def neighbours(document: Sequence[Section], common: frozenset[str]) -> Iterator[Candidate]:
    """A paragraph, and the next paragraph of the same section; no paragraph serves twice."""
    for section in document:
        prose = [block for block in section.blocks if block.kind in ("paragraph", "quote")]
        prose = [
            block for block in prose if weight(block.text) >= _LEAST_NEIGHBOUR and _has_sentence(block.text)
        ]
        for first in range(0, min(len(prose) - 1, 2 * _NEIGHBOURS_PER_SECTION), 2):
            yield Candidate(_cut(prose[first].text), [prose[first + 1]])


# In the order in which they are applied: of two rules that give one pair, the first names it.
RULES: dict[str, Callable[[Sequence[Section], frozenset[str]], Iterator[Candidate]]] = {
    rule.__name__: rule for rule in (question_answer, title_lead, path_section, neighbours)
}


def check_rules(rules: Iterable[str]) -> None:
    """Return when every rule is known.

    Raises:
        InputError: one is not.
    """
    if unknown := [rule for rule in rules if rule not in RULES]:
        raise InputError(f"{', '.join(unknown)}: no such rule. Choose from {', '.join(RULES)}.")


def pairs_from_document(
    document: Document, rules: Sequence[str] = tuple(RULES), recurring: Recurring | None = None
) -> Iterator[Pair]:
    """Each pair that the named rules find; its `kind` is the rule, and its span holds `text_b`.

    Args:
        document: where to look.
        rules: names out of `RULES`.
        recurring: what its source repeats; None where the document stands alone.

    Raises:
        InputError: a rule is not known.
    """
    return pairs_from_sections(document, sections(document), rules, recurring or Recurring())


def pairs_from_sections(
    document: Document, found: Sequence[Section], rules: Sequence[str], recurring: Recurring
) -> Iterator[Pair]:
    """The same, of a document whose sections are known already."""
    check_rules(rules)
    found = _without_recurring(found, recurring)
    answers: dict[str, set[str]] = {}
    for name, rule in RULES.items():
        for candidate in rule(found, recurring.headings) if name in rules else ():
            text_b, end = _passage(candidate.question, candidate.answer)
            if weight(candidate.question) < _LEAST_QUESTION or weight(text_b) < _LEAST_ANSWER:
                continue
            known = answers.setdefault(candidate.question, set())
            if text_b in known or len(known) == _ANSWERS_PER_QUESTION:
                continue
            known.add(text_b)
            yield Pair(
                source=document.source,
                kind=name,
                text_a=_cut(candidate.question),
                text_b=text_b,
                label=None,
                lang=document.lang,
                doc_id=document.doc_id,
                start=candidate.answer[0].start,
                end=end,
            )


def _has_sentence(text: str) -> bool:
    """Whether a text is more than a command or a row of names."""
    return text.endswith(".") or _SENTENCE_END.search(text) is not None


def _passage(question: str, blocks: Sequence[Block]) -> tuple[str, int]:
    """The answering text, and where in the document its last block ends."""
    taken: list[str] = []
    size, end = 0, -1
    for block in blocks:
        taken.append(block.text)
        size, end = size + len(block.text) + 1, block.end
        if size > _LONGEST:
            break
    return _cut(_without_start("\n".join(taken), question)), end


def _without_start(text: str, question: str) -> str:
    """The text without the question that it begins with."""
    if text[: len(question)].casefold() != question.casefold():
        return text
    rest = text[len(question) :]
    # "Cut" must not be taken from "Cutting": what follows has to begin a new word.
    return text if rest[:1].isalnum() and rest[:1].isascii() else rest.lstrip(_JOINT)


def _cut(text: str) -> str:
    """At most `_LONGEST` characters, up to the last sentence end in the second half, else to a word's end."""
    if len(text) <= _LONGEST:
        return text
    head = text[:_LONGEST]
    ends = [match.end() for match in _SENTENCE_END.finditer(head, _LONGEST // 2)]
    end = ends[-1] if ends else head.rfind(" ", _LONGEST // 2)
    return head[: end if end > 0 else _LONGEST].rstrip()
