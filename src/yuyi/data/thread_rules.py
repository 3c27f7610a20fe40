"""Rules that find pairs among the parts of a document: threads, abstracts with keywords, translations."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from yuyi.data.alignment import aligned
from yuyi.data.candidates import LEAST_QUESTION, Candidate
from yuyi.data.clean import weight

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from yuyi.data.blocks import CleanBlock
    from yuyi.data.sections import Reading
    from yuyi.records import Part

# Least `weight` of a title that asks by itself, of a comment, and of a duplicate question.
_LEAST_TITLE, _LEAST_COMMENT, _LEAST_DUPLICATE = 8, 30, 8

_KEYWORDS = re.compile(r"(?:关键[词字]|主题词|key\s?words?|index terms)\s*[:：—-]*\s*", re.IGNORECASE)
_SUMMARY = re.compile(r"(?:摘\s*要|内容提要|abstract|summary)\s*[:：.—-]+\s*", re.IGNORECASE)


def qa(reading: Reading, least_score: float) -> Iterator[Candidate]:
    """The question of a thread, and each answer whose score is high enough, the best first."""
    answers = _numbered(reading, "answer", least_score)
    for _, part in sorted(answers, key=lambda answer: -(answer[1].score or 0.0)):
        yield from _to_part(reading, part, LEAST_QUESTION)


def post_comment(reading: Reading, least_score: float) -> Iterator[Candidate]:
    """A post, and each comment on it whose score is high enough, the best first."""
    comments = _numbered(reading, "comment", least_score)
    for _, part in sorted(comments, key=lambda comment: -(comment[1].score or 0.0)):
        yield from _to_part(reading, part, _LEAST_COMMENT, body=True)


def duplicate_questions(reading: Reading, least_score: float) -> Iterator[Candidate]:
    """A question, and one that was asked already."""
    for _, part in _numbered(reading, "duplicate"):
        yield from _to_part(reading, part, _LEAST_DUPLICATE)


def summary_content(reading: Reading, least_score: float) -> Iterator[Candidate]:
    """A summary, and what it sums up."""
    for number, part in _numbered(reading, "summary"):
        content = [
            block
            for other, of in _numbered(reading, "content")
            if part.of in (-1, other) and of.of in (-1, number)
            for block in _blocks(reading, other)
        ] or [block for block in _blocks(reading, part.of) if block.kind != "heading"]
        summary = _blocks(reading, number)
        if summary and content:
            text = _SUMMARY.sub("", _text(summary), count=1)
            yield Candidate(text, content, _place(summary))


def keywords_abstract(reading: Reading, least_score: float) -> Iterator[Candidate]:
    """A line of keywords, and the abstract."""
    summaries = [number for number, _ in _numbered(reading, "summary")]
    for number, _ in _numbered(reading, "keywords"):
        keywords = _blocks(reading, number)
        for summary in summaries[:1] if keywords else ():
            first, *rest = _blocks(reading, summary) or (None,)
            if first is not None:
                opened = replace(first, text=_SUMMARY.sub("", first.text, count=1))
                text = _KEYWORDS.sub("", _text(keywords), count=1)
                yield Candidate(text, [opened, *rest], _place(keywords))


def parallel(reading: Reading, least_score: float) -> Iterator[Candidate]:
    """A block of an original, and the same block of its translation."""
    originals = [number for number, _ in _numbered(reading, "original")]
    for number, part in _numbered(reading, "translation"):
        of = part.of if part.of >= 0 else max((one for one in originals if one < number), default=-1)
        for first, second in aligned(_blocks(reading, of), _blocks(reading, number)):
            yield Candidate(
                first.text,
                [second],
                (first.start, first.end),
                least=LEAST_QUESTION,
                languages=(first.lang, second.lang),
            )


def _numbered(reading: Reading, role: str, least_score: float | None = None) -> list[tuple[int, Part]]:
    """The parts of a role with their numbers, without those whose score is too low."""
    return [
        (number, part)
        for number, part in enumerate(reading.document.parts)
        if part.role == role and (least_score is None or part.score is None or part.score >= least_score)
    ]


def _to_part(reading: Reading, part: Part, least: int, *, body: bool = False) -> Iterator[Candidate]:
    """What a part answers, and the part."""
    number = reading.document.parts.index(part)
    answer = [block for block in _blocks(reading, number) if block.kind != "heading"]
    above = _blocks(reading, part.of)
    asks_whole = part.of < 0 or reading.document.parts[part.of].role == "question"
    if answer and asks_whole and not (body and above) and weight(reading.title) >= _LEAST_TITLE:
        yield Candidate(reading.title, answer, least=least)
    elif answer and above:
        yield Candidate(_text(above), answer, _place(above), least=least)


def _blocks(reading: Reading, number: int) -> Sequence[CleanBlock]:
    """The blocks of a part; of number -1 those in no part."""
    return [block for block in reading.blocks if block.part == number]


def _text(blocks: Sequence[CleanBlock]) -> str:
    return "\n".join(block.text for block in blocks)


def _place(blocks: Sequence[CleanBlock]) -> tuple[int, int]:
    return blocks[0].start, blocks[-1].end
