"""Rules that find pairs within one document, each a small function over its sections."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from yuyi.data.candidates import Candidate
from yuyi.data.clean import weight
from yuyi.data.headings import is_empty, is_question, question_of
from yuyi.data.sentences import has_sentence

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from yuyi.data.blocks import CleanBlock
    from yuyi.data.sections import Reading, Section

# Least `weight` of a document's lead (it goes on into the next section if the first says less), and of a
# neighbour.
_LEAST_LEAD, _LEAST_NEIGHBOUR = 120, 60

_ASKS = re.compile(r"(?:question|q|问题?|提问)\s*\d{0,3}\s*[:：]\s*(?=\S)", re.IGNORECASE)
_ANSWERS = re.compile(r"(?:answer|a|答案?|回答)\s*\d{0,3}\s*[:：]\s*(?=\S)", re.IGNORECASE)


def question_answer(reading: Reading) -> Iterator[Candidate]:
    """A heading that reads as a question, and its text; a text marked `Q:` or `问：`, and the next: `A:`."""
    for section in reading.sections:
        if section.heading and is_question(section.path[-1]):
            yield _under_heading(section, _unmarked(section.blocks))
        for asking, answering in pairwise(section.blocks):
            if (asks := _ASKS.match(asking.text)) and _ANSWERS.match(answering.text):
                yield Candidate(asking.text[asks.end() :], _unmarked([answering]), (asking.start, asking.end))


def _unmarked(answer: Sequence[CleanBlock]) -> Sequence[CleanBlock]:
    """The blocks without the `A:` or `答：` before the first."""
    if answer and (mark := _ANSWERS.match(answer[0].text)):
        return [replace(answer[0], text=answer[0].text[mark.end() :]), *answer[1:]]
    return answer


def title_lead(reading: Reading) -> Iterator[Candidate]:
    """The title, or the first heading of a document without one, and its first text."""
    title = next((section.path[:1] for section in reading.sections if section.path), None)
    if title is None:
        return
    lead: list[CleanBlock] = []
    for section in reading.sections:
        if section.blocks and not (section.path and is_empty(section.path[-1])):
            lead += section.blocks
            if sum(weight(block.text) for block in lead) >= _LEAST_LEAD:
                break
    yield Candidate(question_of(title), lead)


def path_section(reading: Reading) -> Iterator[Candidate]:
    """A heading, with its title where it is not clear alone, and the text under it."""
    for section in reading.sections:
        if section.heading and not is_empty(section.path[-1]):
            yield _under_heading(section, section.blocks)


def _under_heading(section: Section, answer: Sequence[CleanBlock]) -> Candidate:
    """What asks the heading of a section, and an answer to it."""
    heading = section.heading
    assert heading is not None, "asked only of sections under a heading"
    question = question_of(section.path, heading.common)
    alone = question in heading.text
    return Candidate(question, answer, (heading.start, heading.end) if alone else (-1, -1))


def neighbours(reading: Reading) -> Iterator[Candidate]:
    """A paragraph, and the next paragraph of the same section; no paragraph serves twice."""
    for section in reading.sections:
        prose = [block for block in section.blocks if block.kind in ("paragraph", "quote")]
        prose = [
            block for block in prose if weight(block.text) >= _LEAST_NEIGHBOUR and has_sentence(block.text)
        ]
        for first, second in zip(prose[::2], prose[1::2], strict=False):
            yield Candidate(first.text, [second], (first.start, first.end))
