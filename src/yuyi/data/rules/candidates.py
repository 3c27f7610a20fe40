"""What a rule proposes, and what holds for the pairs of every rule.

A rule says what asks and which blocks answer. Here, once for all: the answer is cut to length and does not
begin with its question, what is too short or says the same on both sides is dropped, and a question that a
document answers again and again is none.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from yuyi.data.clean import ideographs, match_key
from yuyi.data.rules.sentences import last_end
from yuyi.records import Pair

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from yuyi.data.blocks import CleanBlock
    from yuyi.records import Document

# Least `weight` of a question or heading, and of an answer (fifteen Chinese characters).
LEAST_QUESTION, LEAST_ANSWER = 3, 30
# A question that a document answers more often than this is none: its heading stands over everything.
_ANSWERS_PER_QUESTION = 2
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

_JOINT = " \t\n:：,，.。;；-—–、|!！?？"
_ENGLISH_WORD = re.compile(r"(?<![\w.:/])[A-Za-z][a-z]{1,}(?![\w:/(])")


@dataclass(frozen=True, slots=True)
class Candidate:
    """What a rule proposes.

    Attributes:
        question: the asking text.
        answer: the answering blocks, in order.
        asked_at: start and end of the question in its document, or -1 twice where it is put together.
        asked_in: `doc_id` of the question's document where that is another one; else empty.
        least: least `weight` of the answer.
        languages: of question and answer, where the rule knows them; else empty.
    """

    question: str
    answer: Sequence[CleanBlock]
    asked_at: tuple[int, int] = (-1, -1)
    asked_in: str = ""
    least: int = LEAST_ANSWER
    languages: tuple[str, ...] = ()


class PairMaker:
    """Pairs of one document after the other, and counts of what was dropped.

    Args:
        longest: characters of a text.
    """

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self.dropped: Counter[tuple[str, str]] = Counter()

    def pairs(self, document: Document, found: Iterable[tuple[str, Candidate]]) -> Iterator[Pair]:
        """The pairs of all candidates of a document, each given with the name of its rule."""
        answers: dict[str, set[str]] = {}
        seen: set[str] = set()
        for rule, candidate in found:
            if not candidate.answer:
                continue
            text_a = cut(candidate.question, self._longest)
            text_b, end = passage(candidate.question, candidate.answer, self._longest)
            key_a, key_b = match_key(text_a), match_key(text_b)
            known = answers.setdefault(key_a, set())
            # As `weight` has it, without going through the texts again.
            weight_a, weight_b = (len(key) + ideographs(key) for key in (key_a, key_b))
            if weight_a < LEAST_QUESTION or weight_b < candidate.least:
                reason = "says too little"
            elif weight_b < _LONGEST_REFERRAL and _REFERRAL.match(text_b):
                reason = "only refers"
            elif key_a == key_b:
                reason = "same on both sides"
            elif key_b in known or key_a + "\n" + key_b in seen:
                reason = "same pair in document"
            elif len(known) == _ANSWERS_PER_QUESTION:
                reason = "question of many answers"
            else:
                known.add(key_b)
                yield _pair(document, rule, candidate, text_a, text_b, end)
                continue
            self.dropped[document.source, reason] += 1


def _pair(document: Document, rule: str, candidate: Candidate, text_a: str, text_b: str, end: int) -> Pair:
    return Pair(
        source=document.source,
        kind=rule,
        text_a=text_a,
        text_b=text_b,
        label=None,
        lang=_languages(candidate, document.lang),
        doc_id=document.doc_id,
        start=candidate.answer[0].start,
        end=end,
        pair_id=pair_id(document.source, rule, document.doc_id, text_a, text_b),
        doc_a=candidate.asked_in,
        start_a=candidate.asked_at[0],
        end_a=candidate.asked_at[1],
    )


def pair_id(source: str, kind: str, doc_id: str, text_a: str, text_b: str) -> str:
    """16 hex digits that name a pair."""
    named = "\x1f".join((source, kind, doc_id, text_a, text_b))
    return hashlib.blake2b(named.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _languages(candidate: Candidate, other: str) -> str:
    """The language of both sides, or both languages joined."""
    lengths: Counter[str] = Counter()
    for block in candidate.answer:
        if block.lang:
            lengths[block.lang] += len(block.text)
    asks, answers = candidate.languages or (
        _asking_language(candidate.question),
        lengths.most_common(1)[0][0] if lengths else other,
    )
    return "-".join(sorted({asks, answers} - {""})) if asks != answers else answers


def _asking_language(question: str) -> str:
    """The language of a question or heading; empty where it may be a name in a text of any language."""
    if ideographs(question):
        return "zh"
    return "en" if len(_ENGLISH_WORD.findall(question)) >= 3 else ""


def passage(question: str, blocks: Sequence[CleanBlock], longest: int) -> tuple[str, int]:
    """The answering text of at most `longest` characters, and where its last block ends in the document."""
    taken: list[str] = []
    size, end = 0, -1
    asked = match_key(question)
    while len(blocks) > 1 and match_key(blocks[0].text) in asked:
        blocks = blocks[1:]
    for block in blocks:
        taken.append(block.text)
        size, end = size + len(block.text) + 1, block.end
        if size > longest:
            break
    return cut(without_start("\n".join(taken), question), longest), end


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
