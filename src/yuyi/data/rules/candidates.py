"""What a rule proposes, and what holds for the pairs of every rule.

A rule says what asks and which blocks answer. Here, once for all: the answer is cut to length and does not
begin with its question, what is too short or says the same on both sides is dropped, and a heading that a
document answers again and again is no question. Both sides are traced to the words they were made of.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from yuyi.data.clean import ideographs, match_key
from yuyi.data.languages import language_of
from yuyi.data.rules.sentences import last_end
from yuyi.records import Pair

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from yuyi.data.blocks import CleanBlock
    from yuyi.records import Document

# Least `weight` of a question or heading, and of an answer (fifteen Chinese characters).
LEAST_QUESTION, LEAST_ANSWER = 3, 30
# A question that a rule answers more often than this is none: its heading stands over everything. People give
# a question of a thread as many answers as they like.
_ANSWERS_PER_QUESTION = 2
_OF_THREADS = ("qa", "post_comment", "duplicate_questions")
# An answer of this `weight` or more that begins as a referral says something besides.
_LONGEST_REFERRAL = 120
_REFERRAL = re.compile(
    r"(?:please )?(?:see|refer to|read|check out|visit|learn (?:more )?(?:about|how))\b"
    r"|for (?:more |further |detailed )?(?:details|information)\b"
    r"|(?:具体|详细|更多)?(?:内容|信息|详情|用法)?(?:请|可以|可)?(?:参[阅见考照看]|查看|阅读|访问|详见)"
    r"|(?:有关|关于|如需).{0,40}(?:请|可)?(?:参[阅见考]|查看)|.{0,4}同上|待(?:补充|续|完善)|tbd\b|todo\b"
    r"|coming soon",
    re.IGNORECASE,
)

# Of Markdown what is not shown: spaces, signs of emphasis, code and links, where a link leads, tags of HTML.
_UNSEEN = re.compile(r"(?<=\])(?:\([^()\s]*\)|\[[^\[\]\s]*\])|[\s*`_\\\[\]]|</?[a-zA-Z][^<>]*>")
_JOINT = " \t\n:：,，.。;；-—–、|!！?？"


@dataclass(frozen=True, slots=True)
class Candidate:
    """What a rule proposes.

    Attributes:
        question: the asking text.
        answer: the answering blocks, in order.
        asked_at: start and end of the question in its document, or -1 twice where it is put together.
        asked_in: `doc_id` and language of the question's document where that is another one; else empty.
        least: least `weight` of the answer.
        languages: of question and answer, where the rule knows them; else empty.
        drop: why the rule does not want it after all; else empty.
    """

    question: str
    answer: Sequence[CleanBlock]
    asked_at: tuple[int, int] = (-1, -1)
    asked_in: tuple[str, str] = ("", "")
    least: int = LEAST_ANSWER
    languages: tuple[str, ...] = ()
    drop: str = ""


class PairMaker:
    """Pairs of one document after the other, and counts of what was dropped.

    Args:
        longest: characters of a text.
        answers: answers, comments or duplicates that a question of a thread may have.
    """

    def __init__(self, longest: int, answers: int = 5) -> None:
        self._longest = longest
        self._answers = answers
        self.dropped: Counter[tuple[str, str]] = Counter()

    def pairs(self, document: Document, found: Iterable[tuple[str, Candidate]]) -> Iterator[Pair]:
        """The pairs of all candidates of a document, each given with the name of its rule."""
        answers: Counter[tuple[str, str]] = Counter()
        seen: set[tuple[str, str]] = set()
        for rule, candidate in found:
            if candidate.drop:
                self.dropped[document.source, candidate.drop] += 1
            if candidate.drop or not candidate.answer:
                continue
            text_a = cut(candidate.question, self._longest)
            text_b, used = passage(candidate.question, candidate.answer, self._longest)
            key_a, key_b = match_key(text_a), match_key(text_b)
            # As `weight` has it, without going through the texts again.
            weight_a, weight_b = (len(key) + ideographs(key) for key in (key_a, key_b))
            if weight_a < LEAST_QUESTION or weight_b < candidate.least:
                reason = "says too little"
            elif weight_b < _LONGEST_REFERRAL and _REFERRAL.match(text_b):
                reason = "only refers"
            elif key_a == key_b:
                reason = "same on both sides"
            elif (key_a, key_b) in seen:
                reason = "same pair in document"
            elif rule in _OF_THREADS and answers[rule, key_a] == self._answers:
                reason = "more answers than wanted"
            elif rule not in _OF_THREADS and answers[rule, key_a] == _ANSWERS_PER_QUESTION:
                reason = "question of many answers"
            else:
                seen.add((key_a, key_b))
                answers[rule, key_a] += 1
                yield _pair(document, rule, candidate, text_a, text_b, used)
                continue
            self.dropped[document.source, reason] += 1


def _pair(
    document: Document,
    rule: str,
    candidate: Candidate,
    text_a: str,
    text_b: str,
    used: Sequence[tuple[CleanBlock, str]],
) -> Pair:
    (first, begins), (last, ends) = used[0], used[-1]
    asked_at = candidate.asked_at
    if not candidate.asked_in[0]:
        asked_at = _place(document.text, text_a, *asked_at)
    return Pair(
        source=document.source,
        kind=rule,
        text_a=text_a,
        text_b=text_b,
        label=None,
        lang=_languages(candidate, [block for block, _ in used], document.lang),
        doc_id=document.doc_id,
        start=_place(document.text, begins, first.start, first.end, last=True)[0],
        end=_place(document.text, ends, last.start, last.end, last=True)[1],
        pair_id=pair_id(document.source, rule, document.doc_id, text_a, text_b),
        doc_a=candidate.asked_in[0],
        start_a=asked_at[0],
        end_a=asked_at[1],
        lang_b=document.lang,
        lang_a=candidate.asked_in[1],
    )


def _place(text: str, words: str, start: int, end: int, *, last: bool = False) -> tuple[int, int]:
    """Where in `text[start:end]` these words stand, first or last; else `start` and `end`.

    Spaces, line ends and inline markup count for nothing.
    """
    words = _UNSEEN.sub("", words)
    if not words or not 0 <= start < end <= len(text):
        return start, end
    raw = text[start:end]
    seen = _UNSEEN.sub("", raw)
    at = seen.rfind(words) if last else seen.find(words)
    if at < 0:
        return start, end
    if len(seen) == len(words):
        return start, end
    places: list[int] = []
    begin = 0
    for unseen in _UNSEEN.finditer(raw):
        places += range(begin, unseen.start())
        begin = unseen.end()
    places += range(begin, len(raw))
    return start + places[at], start + places[at + len(words) - 1] + 1


def pair_id(source: str, kind: str, doc_id: str, text_a: str, text_b: str) -> str:
    """16 hex digits that name a pair."""
    named = "\x1f".join((source, kind, doc_id, text_a, text_b))
    return hashlib.blake2b(named.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _languages(candidate: Candidate, answer: Sequence[CleanBlock], other: str) -> str:
    """The language of both sides, or both languages joined."""
    lengths: Counter[str] = Counter()
    for block in answer:
        if block.lang:
            lengths[block.lang] += len(block.text)
    asks, answers = candidate.languages or (
        # Empty where it may be a name in a text of any language.
        language_of(candidate.question),
        lengths.most_common(1)[0][0] if lengths else other,
    )
    return "-".join(sorted({asks, answers} - {""})) if asks != answers else answers


def passage(
    question: str, blocks: Sequence[CleanBlock], longest: int
) -> tuple[str, list[tuple[CleanBlock, str]]]:
    """The answering text of at most `longest` characters, and the blocks in it, each with its share."""
    asked = match_key(question)
    while len(blocks) > 1 and match_key(blocks[0].text) in asked:
        blocks = blocks[1:]
    taken: list[CleanBlock] = []
    size = 0
    for block in blocks:
        taken.append(block)
        size += len(block.text) + 1
        if size > longest:
            break
    whole = "\n".join(block.text for block in taken)
    rest = without_start(whole, question)
    text = cut(rest, longest)
    used: list[tuple[CleanBlock, str]] = []
    # Where a block begins in the text, which may be before it.
    begin = len(rest) - len(whole)
    for block in taken:
        if share := text[max(0, begin) : max(0, begin + len(block.text))].strip():
            used.append((block, share))
        begin += len(block.text) + 1
    return text, used or [(taken[0], "")]


def without_start(text: str, question: str) -> str:
    """The text without the question that it begins with.

    >>> without_start("安装：先下载。", "安装")
    '先下载。'
    >>> without_start("Cutting is hard.", "Cut")
    'Cutting is hard.'
    """
    if not question or text[: len(question)].casefold() != question.casefold():
        return text
    rest = text[len(question) :]
    # A word must not be taken apart; and what goes on without a joint is a sentence that needs its subject.
    return rest.lstrip(_JOINT) if rest[:1] in _JOINT.replace(" ", "") else text


def cut(text: str, longest: int) -> str:
    """At most `longest` characters, up to the last sentence end in the second half, else to a word's end."""
    if len(text) <= longest:
        return text
    head = text[:longest]
    end = last_end(head, longest // 2)
    if end < 0:
        end = head.rfind(" ", longest // 2)
    return head[: end if end > 0 else longest].rstrip()
