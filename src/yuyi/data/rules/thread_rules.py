"""Rules that find pairs among the parts of a document: threads, abstracts with keywords, translations."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from yuyi.data.clean import match_key, weight
from yuyi.data.rules.alignment import aligned
from yuyi.data.rules.candidates import LEAST_ANSWER, LEAST_QUESTION, Candidate

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from yuyi.data.blocks import CleanBlock
    from yuyi.data.rules.sections import Reading
    from yuyi.records import Part

# Least `weight` of a title that asks by itself, and of a duplicate question.
_LEAST_TITLE, _LEAST_DUPLICATE = 8, 8

_KEYWORDS = re.compile(r"(?:关键[词字]|主题词|key\s?words?|index terms)\s*[:：—-]*\s*", re.IGNORECASE)
_SUMMARY = re.compile(r"(?:摘\s*要|内容提要|abstract|summary)\s*[:：.—-]+\s*", re.IGNORECASE)


def qa(reading: Reading, least_score: float) -> Iterator[Candidate]:
    """The question of a thread, and each answer whose score is high enough, the best first.

    One question may have several: `PairMaker` takes the first few.

    `水垢怎么清除？` gives `用柠檬酸泡十分钟。` with 9 votes, then `用白醋煮开。` with 2.
    """
    return _to_parts(reading, "answer", LEAST_ANSWER, least_score)


def post_comment(reading: Reading, least_score: float) -> Iterator[Candidate]:
    """A post, and each comment on it whose score is high enough, the best first.

    An answer `Use citric acid.` gives the comment on it `That worked for mine too, within minutes.`
    """
    return _to_parts(reading, "comment", LEAST_ANSWER, least_score)


def duplicate_questions(reading: Reading, least_score: float) -> Iterator[Candidate]:
    """A question, and one that was asked before.

    `How do I descale a kettle?` gives `What removes limescale from kettles?`
    """
    return _to_parts(reading, "duplicate", _LEAST_DUPLICATE)


def summary_content(reading: Reading, least_score: float) -> Iterator[Candidate]:
    """A summary, and what it sums up: `摘要：比较了三种除垢办法` without `摘要：`, and the article."""
    contents = [number for number, _ in _numbered(reading, "content")]
    for number, part in _numbered(reading, "summary"):
        of = part.of if part.of >= 0 else next(iter(contents), -1)
        content = [block for block in reading.of_part(of) if block.kind != "heading"]
        if content and (summary := reading.of_part(number)):
            yield Candidate(_SUMMARY.sub("", _text(summary), count=1), content, _place(summary))


def keywords_abstract(reading: Reading, least_score: float) -> Iterator[Candidate]:
    """A line of keywords, and the abstract: `水垢; 柠檬酸` of `关键词：水垢; 柠檬酸`, and the summary."""
    summaries = [number for number, _ in _numbered(reading, "summary")]
    for number, _ in _numbered(reading, "keywords"):
        keywords = reading.of_part(number)
        for summary in summaries[:1] if keywords else ():
            first, *rest = reading.of_part(summary) or (None,)
            if first is not None:
                opened = replace(first, text=_SUMMARY.sub("", first.text, count=1))
                text = _KEYWORDS.sub("", _text(keywords), count=1)
                yield Candidate(text, [opened, *rest], _place(keywords))


def parallel(reading: Reading, least_score: float) -> Iterator[Candidate]:
    """A block of an original, and the same block of its translation: `Rinse it` and `冲洗一遍`."""
    originals = [number for number, _ in _numbered(reading, "original")]
    for number, part in _numbered(reading, "translation"):
        of = part.of if part.of >= 0 else next(iter(originals), -1)
        for first, second in aligned(reading.of_part(of), reading.of_part(number)):
            yield Candidate(
                first.text,
                [second],
                (first.start, first.end),
                least=LEAST_QUESTION,
                languages=(first.lang, second.lang),
            )


def _numbered(reading: Reading, role: str) -> list[tuple[int, Part]]:
    """The parts of a role with their numbers."""
    return [(number, part) for number, part in enumerate(reading.document.parts) if part.role == role]


def _to_parts(
    reading: Reading, role: str, least: int, least_score: float | None = None
) -> Iterator[Candidate]:
    """What each part of a role is to, and the part, highest score first.

    The title asks for the question of a thread, unless it is only the beginning of it or the thread goes
    on to other questions.
    """
    questions = [number for number, _ in _numbered(reading, "question")]
    for number, part in sorted(_numbered(reading, role), key=_score, reverse=True):
        answer = [block for block in reading.of_part(number) if block.kind != "heading"]
        above = reading.of_part(part.of)
        if not answer:
            continue
        low = least_score is not None and part.score is not None and part.score < least_score
        drop = "score too low" if low else ""
        if (part.of < 0 or questions == [part.of]) and _asks(reading.title, above):
            yield Candidate(reading.title, answer, least=least, drop=drop)
        elif above:
            yield Candidate(_text(above), answer, _place(above), least=least, drop=drop)


def _score(numbered: tuple[int, Part]) -> float:
    return numbered[1].score or 0.0


def _asks(title: str, above: Sequence[CleanBlock]) -> bool:
    begins = bool(above) and match_key(_text(above)).startswith(match_key(title.rstrip("…")))
    return weight(title) >= _LEAST_TITLE and not begins


def _text(blocks: Sequence[CleanBlock]) -> str:
    return "\n".join(block.text for block in blocks)


def _place(blocks: Sequence[CleanBlock]) -> tuple[int, int]:
    return blocks[0].start, blocks[-1].end
