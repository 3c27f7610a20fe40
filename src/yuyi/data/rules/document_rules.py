"""Rules that find pairs within one document, each a small function over its sections."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise, takewhile
from typing import TYPE_CHECKING

from yuyi.data.clean import ideographs, match_key, weight
from yuyi.data.rules.candidates import Candidate
from yuyi.data.rules.headings import is_empty, is_generic, is_question, question_of
from yuyi.data.rules.likeness import held, overlap, terms
from yuyi.data.rules.sections import lead
from yuyi.data.rules.sentences import sentences

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from yuyi.data.blocks import CleanBlock
    from yuyi.data.rules.sections import Reading, Section

# Least `weight` of a first sentence, of the rest, and of what is said of a term or of the
# longest cell beside a row's first.
_LEAST_SENTENCE, _LEAST_REST, _LEAST_SAID = 24, 60, 20
# Least share of terms that neighbours, or a sentence and its rest, have in common: without any, the second
# often begins something new.
_LEAST_OVERLAP = 0.08
# Characters between neighbours, such as a picture or a line of code.
_WIDEST_GAP = 300
# Of a title and its best passage: passages drawn, terms of the title at least, and share of them at least.
_DRAWN, _LEAST_TERMS, _LEAST_HELD = 16, 2, 0.6
# Chinese characters and words of a term; characters of a column's name and of a row's first cell.
_LONGEST_TERM, _MOST_WORDS, _LONGEST_HEADER, _LONGEST_KEY = 14, 5, 40, 60
_ROWS_PER_TABLE = 30

_ASKS = re.compile(r"(?:question|q|问题?|提问)\s*\d{0,3}\s*[:：]\s*(?=\S)", re.IGNORECASE)
_ANSWERS = re.compile(r"(?:answer|a|答[案复]?|回答)\s*\d{0,3}\s*[:：]\s*(?=\S)", re.IGNORECASE)
# The same on one line, where a sentence ends before it.
_ANSWERS_AFTER = re.compile(rf"(?<=[?？。.!！\s])\s*{_ANSWERS.pattern}", re.IGNORECASE)
# A first sentence that begins so is about what stands before it.
_LEANS_ON_OTHERS = re.compile(
    r"例如|比如|此外|另外|因此|所以|但是?|然而|不过|同样|其次|最后|然后|接着|同时|并且|而且|这|那|其|它|他"
    r"|她|上述|上面|前者|后者"
    r"|换句话说|总之|当然|也就是说|于是|注意|(?:and|but|however|therefore|thus|also|for (?:example"
    r"|instance)|in addition"
    r"|this|that|these|those|it|its|they|he|she|then|so|note|otherwise|finally|the (?:former|latter|above"
    r"|following)"
    r"|similarly|as a result|in other words)\b",
    re.IGNORECASE,
)
_TERM = re.compile(r"([^:：，。；？！,;?!\n]{2,60}?)\s*(?:[:：](?![:：/\\\d])| [-–—]{1,2} |——)\s*(?=\S)")
_NO_TERM = re.compile(
    r"^(?:注|注意.*|说明|例|例子|例如|比如|如|提示|警告|重要.*|步骤.*|第.{1,3}步|默认.*|类型|作者|译者"
    r"|时间|日期|来源|原文"
    r"|答案?|问题?|优点|缺点|优势|劣势|原因|结果|输出|输入|参考.*|参见|详见|更多.*|链接|地址|网址|解释"
    r"|分析|思路|题目|其他|必需|可选"
    r"|(?:时间|空间)?复杂度|difficulty|note|tip|warning|caution|important|example|e\.g\.?|i\.e\.?|see.*"
    r"|default.*|type"
    r"|optional|required|returns?|author|date|source|time|url|link|answer|question|a|q|pros|cons|result"
    r"|output|input"
    r"|step.*|todo|ps|教程|tutorial|(?:方式|方法|选项|方案|option|method|way)\s*[\d一二三四五六]|update"
    r"|edit|reason|yes|no)$"
    r"|^(?:如果|若|当|可以|可|我们|你|您|这|那|它|在|对于?|为了|通过|使用|其中|以下|下面|因此|所以|但是?"
    r"|首先|然后|最后|接下来"
    r"|一是|二是|请|要|需要|必须|选择|单击|点击|打开|转到|将|有关|关于|根据|修[复正]|新增|增加|优化|支持"
    r"|解决|移除)"
    r"|^(?:if|when|to|for|in|you|we|this|that|these|it|as|or|and|but|then|there|please|https?|www"
    r"|the following)\b"
    r"|[`{}()=<>|]|^\d|[.。]$|的是$|如下$|为下$|包括$|[(（][^)）]*$",
    re.IGNORECASE,
)
# What goes on below, or is a formula, explains nothing by itself.
_NO_DEFINITION = re.compile(r"[:：]\W*$|\*\*")
_IS_NUMBERING = re.compile(r"#|no\.?|id|序号|编号|№", re.IGNORECASE)


def question_answer(reading: Reading) -> Iterator[Candidate]:
    """A heading that reads as a question, and its text; a text marked `Q:` or `问：`, and the next: `A:`.

    `## 护照丢了怎么办` gives the heading and what stands under it; `Q: Is it safe?` gives `Yes, ...`
    """
    for section in reading.sections:
        if section.heading and is_question(section.path[-1]) and not is_empty(section.path[-1]):
            yield _under_heading(section, _unmarked(section.blocks))
        for block in section.blocks:
            if (asks := _ASKS.match(block.text)) and (answers := _ANSWERS_AFTER.search(block.text)):
                answer = replace(block, text=block.text[answers.end() :])
                question = block.text[asks.end() : answers.start()].strip()
                yield Candidate(question, [answer], (block.start, block.end))
        for asking, answering in pairwise(section.blocks):
            if (asks := _ASKS.match(asking.text)) and _ANSWERS.match(answering.text):
                yield Candidate(asking.text[asks.end() :], _unmarked([answering]), (asking.start, asking.end))


def _unmarked(answer: Sequence[CleanBlock]) -> Sequence[CleanBlock]:
    """The blocks up to the next question, without the `A:` or `答：` before the first."""
    answer = list(takewhile(lambda block: _ASKS.match(block.text) is None, answer))
    if answer and (mark := _ANSWERS.match(answer[0].text)):
        return [replace(answer[0], text=answer[0].text[mark.end() :]), *answer[1:]]
    return answer


def title_lead(reading: Reading) -> Iterator[Candidate]:
    """The title, or the first heading of a document without one, and its first text.

    `Installing` gives `Installing` and `Before you install, check ...`.
    """
    title = next((section.path[:1] for section in reading.sections if section.path), None)
    if title is None:
        return
    yield Candidate(question_of(title), lead(reading))


def path_section(reading: Reading) -> Iterator[Candidate]:
    """A heading, with its title where it is not clear alone, and the text under it.

    `配置连接池` under the title `数据库` asks alone; `概述` asks as `数据库 概述`.
    """
    for section in reading.sections:
        if section.heading and not is_empty(section.path[-1]):
            found = _under_heading(section, section.blocks)
            yield found if section.blocks else replace(found, drop="".join(section.left_out[:1]))


def _under_heading(section: Section, answer: Sequence[CleanBlock]) -> Candidate:
    """What asks the heading of a section, and an answer to it."""
    heading = section.heading
    assert heading is not None, "asked only of sections under a heading"
    question = question_of(section.path, heading.common)
    if mark := _ASKS.match(question):
        question = question[mark.end() :]
    alone = question in heading.text
    return Candidate(question, answer, (heading.start, heading.end) if alone else (-1, -1))


def title_best(reading: Reading) -> Iterator[Candidate]:
    """The title, and the passage below the lead that holds most of its words.

    GTE (Li et al. 2023, appendix A) takes the most relevant of some passages drawn from the body; here they
    are drawn evenly.
    """
    title = question_of((reading.title,)) if reading.title else ""
    asked = terms(title)
    if len(asked) < _LEAST_TERMS:
        return
    prose = [section.blocks[number] for section in reading.sections for number in section.prose]
    drawn = prose[1 :: len(prose) // _DRAWN + 1]
    scored = [(held(asked, terms(block.text)), -number) for number, block in enumerate(drawn)]
    if scored and max(scored)[0] >= _LEAST_HELD:
        yield Candidate(title, [drawn[-max(scored)[1]]])


def first_rest(reading: Reading) -> Iterator[Candidate]:
    """The first sentence of a paragraph, and the rest of it.

    `Slots pass content to components. Where props pass values, ...` is parted after `components.`; one that
    begins with `However` or `因此` is about what stands before it, and gives nothing.
    """
    for section in reading.sections:
        for block in map(section.blocks.__getitem__, section.prose):
            first, *rest = sentences(block.text)
            answer = "".join(rest)
            if (
                weight(first) >= _LEAST_SENTENCE
                and weight(answer) >= _LEAST_REST
                and not _LEANS_ON_OTHERS.match(first)
                and overlap(terms(first), terms(answer)) >= _LEAST_OVERLAP
            ):
                yield Candidate(first.strip(), [replace(block, text=answer)], (block.start, block.end))


def neighbours(reading: Reading) -> Iterator[Candidate]:
    """A paragraph, and the next of the same section, where they share words; none serves twice.

    Of four paragraphs the first and second are a pair, and the third and fourth.
    """
    for section in reading.sections:
        known: dict[int, frozenset[str]] = {}
        for number in section.prose:
            block = section.blocks[number]
            said = terms(block.text)
            before = known.pop(number - 1, None)
            if before is not None:
                first = section.blocks[number - 1]
                near = block.start - first.end <= _WIDEST_GAP
                if near and overlap(before, said) >= _LEAST_OVERLAP:
                    yield Candidate(first.text, [block], (first.start, first.end))
                    continue
            known[number] = said


def term_definition(reading: Reading) -> Iterator[Candidate]:
    """The term before a colon or dash in a list, with the headings above, and what is said of it.

    `- **Quota**: the most that a user may store` under the title `Files` gives `Files Quota`.
    """
    for section in reading.sections:
        for block in section.blocks:
            match = _TERM.match(block.text) if block.kind == "list_item" else None
            if match is None or not _is_term(match[1]) or _NO_DEFINITION.search(block.text, match.end()):
                continue
            asks = question_of((*section.path, match[1].strip("* ")), common=True)
            answer = replace(block, text=block.text[match.end() :])
            yield Candidate(asks, [answer], least=_LEAST_SAID)


def _is_term(text: str) -> bool:
    return not (
        is_generic(text)
        or is_empty(text)
        or _NO_TERM.search(text)
        or ideographs(text) > _LONGEST_TERM
        or len(text.split()) > _MOST_WORDS
        or not any(map(str.isalpha, text))
    )


def table_row(reading: Reading) -> Iterator[Candidate]:
    """The first cell of a table's row, with the headings above, and the other cells, each with its column's.

    That way round it reads as a query and its answer: the row of `max_connections` in a table of settings.
    """
    for section in reading.sections:
        for block in section.blocks:
            if block.kind == "table":
                yield from _rows(section, block, reading.document.text)


def _rows(section: Section, table: CleanBlock, document: str) -> Iterator[Candidate]:
    lines = _lines(document, table)
    header, *rows = (line.split(" | ") for line in table.text.split("\n"))
    key = 1 if _IS_NUMBERING.fullmatch(header[0]) else 0
    if len(header) < key + 2 or max(map(len, header)) > _LONGEST_HEADER:
        return
    for row in rows[:_ROWS_PER_TABLE]:
        if len(row) != len(header) or len(row[key]) > _LONGEST_KEY or not any(map(str.isalpha, row[key])):
            continue
        others = [
            (name, cell)
            for name, cell in zip(header[key + 1 :], row[key + 1 :], strict=True)
            if cell.strip("-—/ ")
        ]
        # A cell is a sentence only where one says something; rows of numbers and types do not answer.
        if not others or max(weight(cell) for _, cell in others) < _LEAST_SAID:
            continue
        text = others[0][1] if len(others) == 1 else "\n".join(f"{name}: {cell}" for name, cell in others)
        asks = question_of((*section.path, row[key]), common=True)
        start, end = lines.get(match_key("".join(row)), (table.start, table.end))
        yield Candidate(asks, [replace(table, text=text, start=start, end=end)], least=_LEAST_SAID)


def _lines(document: str, table: CleanBlock) -> dict[str, tuple[int, int]]:
    """Start and end of each line of a table, by what it says."""
    found: dict[str, tuple[int, int]] = {}
    end = table.start
    for line in document[table.start : table.end].splitlines(keepends=True):
        start, end = end, end + len(line)
        found.setdefault(match_key(line), (start, start + len(line.rstrip())))
    return found
