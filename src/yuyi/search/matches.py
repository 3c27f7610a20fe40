"""Where the words of a question stand in a passage, for the reader's eye; the ranking does not use it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# Characters of scripts that are written without spaces: Chinese ideographs and Japanese kana.
IDEOGRAPH = r"\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"

_IDEOGRAPHS = re.compile(f"[{IDEOGRAPH}]+")
_WORD = re.compile(rf"[^\W_{IDEOGRAPH}]+")
# Words in almost every sentence: marked, they would hide the ones that matter.
_COMMON_ENGLISH = (
    "a an and are as at be by can do does for from how i if in is it my of on or s t that the this to was "
    "what when where which who why will with you your"
)
_COMMON_CHINESE = (
    "为什么 怎么办 怎么样 什么 怎么 怎样 如何 哪里 哪个 可以 我们 你们 他们 这个 那个 一个 的 了 是 在 我 "
    "你 他 她 它 们 有 和 与 或 不 也 都 就 很 吗 呢 吧 啊 么 这 那 个 把 被 要 会 能 可 以 "
    "到 从 为 对 上 下 中 里 一"
)
_COMMON = frozenset([*_COMMON_ENGLISH.split(), *_COMMON_CHINESE.split()])
_COMMON_PHRASE = re.compile("|".join(word for word in _COMMON_CHINESE.split() if len(word) > 1))


def matched_spans(question: str, text: str, tokens: Callable[[str], list[str]]) -> list[tuple[int, int]]:
    """Start and end of each stretch of `text` that shares words with the question, in order and apart.

    Words of spaced scripts match whole, whatever their case. Chinese matches by pairs of characters and by
    the tokens that both texts have; the commonest words of both languages are left unmarked.

    Args:
        question: what was asked.
        text: the passage.
        tokens: cuts a text into the model's own pieces.
    """
    lowered = text.lower()
    if len(lowered) != len(text):  # A few letters grow by this, and spans would shift.
        lowered = text
    chinese = {term for term in _chinese_terms(question, text, tokens) if term in lowered}
    words = {word for word in _WORD.findall(question.lower()) if word in lowered}
    patterns = [re.escape(term) for term in sorted(chinese - _COMMON, key=len, reverse=True)]
    # A neighbour of another script is a boundary too: in 安装docker, docker is a word.
    boundary = rf"[^\W_{IDEOGRAPH}]"
    patterns += [rf"(?<!{boundary}){re.escape(word)}(?!{boundary})" for word in sorted(words - _COMMON)]
    if not patterns:
        return []
    # Looking ahead finds pairs that overlap: of 换护照, both 换护 and 护照.
    overlapping = re.compile(f"(?=({'|'.join(patterns)}))")
    return _merged(match.span(1) for match in overlapping.finditer(lowered))


def _chinese_terms(question: str, text: str, tokens: Callable[[str], list[str]]) -> set[str]:
    question = _COMMON_PHRASE.sub(" ", question)
    shared = {token for token in tokens(question) if _IDEOGRAPHS.fullmatch(token)} & set(tokens(text))
    for run in _IDEOGRAPHS.findall(question):
        shared.update([run] if len(run) == 1 else (run[at : at + 2] for at in range(len(run) - 1)))
    return shared


def _merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans in order of their starts, those that touch or overlap made one."""
    merged: list[tuple[int, int]] = []
    for start, end in spans:
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
