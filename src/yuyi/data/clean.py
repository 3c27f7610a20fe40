"""Normalising a text without changing what it says."""

from __future__ import annotations

import re
import unicodedata

IDEOGRAPHS = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"

# Compatibility normalisation would make ASCII of these, or spell them out; in Chinese they are punctuation.
_KEPT_PUNCTUATION = "，。！？：；（）“”‘’《》〈〉【】〔〕「」『』、…—～·￥％＋－／"
# It would also change numbers (10² is not 102, 1½ not 11⁄2, ①安装 not 1安装) and words (it´s, Java™).
_KEPT_SIGNS = "ªº²³¹⁰⁴⁵⁶⁷⁸⁹⁺⁻ⁿ₀₁₂₃₄₅₆₇₈₉¼½¾⅐⅑⅒⅓⅔⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞™℠¨¯´¸" + "".join(
    map(chr, (0x24EA, *range(0x2460, 0x2474), *range(0x3251, 0x3260), *range(0x32B1, 0x32C0)))
)
# They pass through the normalisation as private-use characters, which no text that is kept contains.
_HIDE = {ord(char): 0xE000 + index for index, char in enumerate(_KEPT_PUNCTUATION + _KEPT_SIGNS)}
_SHOW = {hidden: shown for shown, hidden in _HIDE.items()}
# Units of areas and volumes keep their exponent too: ㎡ is m².
_UNITS = {
    ord(unit): unicodedata.normalize("NFKC", unit)[:-1] + power
    for units, power in (("㎟㎠㎡㎢", "²"), ("㎣㎤㎥㎦", "³"))
    for unit in units
}

# Texts of these characters alone are in normal form already; most texts are, and skip the slow path.
_UNCOMMON = re.compile(rf"[^\n -~\u4e00-\u9fff{_KEPT_PUNCTUATION}]")
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\uffff\ue000-\uf8ff\U000e0000-\U0010ffff]"
)
_SPACE_IN_CHINESE = re.compile(
    rf"(?<=[{IDEOGRAPHS}{_KEPT_PUNCTUATION}])\s++(?=[{IDEOGRAPHS}{_KEPT_PUNCTUATION}])"
)
_SPACE = re.compile(r"\s+")
# UTF-8 that was read as Latin-1 or Windows-1252, and UTF-8 that was read as GBK: 鐨, 锛 and 銆 are what
# became of the beginnings of 的, ， and 。.
_READ_AS_LATIN = re.compile("[\xc2-\xf4][\x80-\xbf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]")
_READ_AS_GBK = re.compile("[鐨锛銆鏄浣鍦鏈]")
_NOT_LETTER_OR_DIGIT = re.compile(r"[\W_]+")
_CHINESE = re.compile(f"[{IDEOGRAPHS}]+")

_LINK = re.compile(
    r"(?:\b(?:more information|see|via)\s*:?\s*|更多信息\s*[:：]\s*)?<?\b(?:https?|ftp)://[^\s<>\"'（）()《》【】，。；、]+>?",
    re.I,
)
_EMPTY_BRACKETS = re.compile(r"[(（\[【]\s*[)）\]】]")


def clean(text: str) -> str:
    """The text on one line in normal form; applying it twice changes nothing.

    Full-width letters and digits become plain ones and compatibility characters their usual form (ﬁ is fi,
    Ⅷ is VIII, ㎏ is kg), while Chinese punctuation stays, and so do exponents, fractions and numbers in
    circles, without which a number would be another one. Text that was decoded wrongly is put right where
    hardly anything of it was lost. Control, zero-width and private-use characters go; white space becomes one
    space, or nothing where a line was broken between Chinese characters.
    """
    found = text
    if not found.isascii() and _READ_AS_GBK.search(found):
        found = _decoded_again(found)
    if _UNCOMMON.search(found):
        found = _normal(found)
    if "\n" in found:
        found = _SPACE_IN_CHINESE.sub(lambda space: "" if "\n" in space[0] else " ", found)
    found = _SPACE.sub(" ", found).strip()
    # Text may have been decoded wrongly twice, or something stood between the halves of a character.
    wrong = (
        found != text and not found.isascii() and (_READ_AS_GBK.search(found) or _READ_AS_LATIN.search(found))
    )
    return clean(found) if wrong else found


def _normal(text: str) -> str:
    if _READ_AS_LATIN.search(text):
        import ftfy

        text = ftfy.fix_encoding(text)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    visible = _INVISIBLE.sub("", text).translate(_UNITS)
    shown = unicodedata.normalize("NFKC", visible.translate(_HIDE)).translate(_SHOW)
    return _INVISIBLE.sub("", shown)


def _decoded_again(text: str) -> str:
    """The text that was written, where it was UTF-8 and was read as GBK; else the text itself.

    An odd number of bytes before a Latin letter cannot be read as GBK, so that some characters are lost; a
    fifth may be. Real Chinese hardly ever makes three characters of UTF-8.
    """
    read = text.replace("\ufffd", "").encode("gb18030", "replace").decode("utf-8", "replace")
    found = ideographs(read)
    return read.replace("\ufffd", "") if found >= 3 and found > 5 * read.count("\ufffd") else text


def without_links(text: str) -> str:
    """The text without web addresses, and without brackets that then hold nothing."""
    if "://" not in text:
        return text
    return _EMPTY_BRACKETS.sub("", _LINK.sub("", text)).strip()


def match_key(text: str) -> str:
    """Letters and digits of the text in lower case: two texts with one key are the same text."""
    return _NOT_LETTER_OR_DIGIT.sub("", text).lower()


def weight(text: str) -> int:
    """How much a text says, roughly in Latin letters: letters and digits, an ideograph counting as two."""
    return len(_NOT_LETTER_OR_DIGIT.sub("", text)) + ideographs(text)


def ideographs(text: str) -> int:
    """Number of Chinese characters."""
    return 0 if text.isascii() else sum(map(len, _CHINESE.findall(text)))
