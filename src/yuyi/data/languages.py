"""The language and the Chinese script of a short text, by its letters and its commonest words."""

from __future__ import annotations

import functools
import re

from yuyi.data.clean import IDEOGRAPHS

_KANA = re.compile("[\u3041-\u3096\u30a1-\u30fa]")
# Letters of other scripts, from Greek to Hangul; two of Greek stand together only in words, not in formulas.
_FURTHER = re.compile(
    "[\u0386-\u03ce]{2,}|[\u0400-\u07ff\u0900-\u109f\u10a0-\u10ff\u1100-\u137f\u1780-\u17b3\uac00-\ud7a3]"
)
_IDEOGRAPHS = re.compile(f"[{IDEOGRAPHS}]+")
_LATIN = re.compile(r"[A-Za-z\u00c0-\u024f\u1e00-\u1eff]")
# A word between spaces or punctuation; names of files, commands and variables are none.
_WORD = re.compile(
    r"(?<![\w./:@$#%\\-])[A-Za-z\u00c0-\u024f\u1e00-\u1eff]+(?:['’][A-Za-z]+)?(?![\w/:@\\(=-]|\.\w)"
)
# Letters that English writes in names and borrowed words only.
_MARKED = re.compile("[\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u1e00-\u1eff]")
_FORMULA = re.compile(r"\$\$[^$]+(?:\$\$|\Z)|\$[^$\n]{1,200}\$")

# The commonest function words. One that English texts are full of too is no foreign one (`die`, `on`, `no`).
_ENGLISH = frozenset(
    re.findall(
        r"\w+",
        """
    the of and to in is you that it he was for on are as with his they i at be this have from or one had by
    not what all were we when your can said there use an each which she do how their if will up other about
    out many then them these so some her would make like him into time has look two more see no way could
    people my than been who its now find any also must should may does using used only set new value a yes
    run get add after before between where while such over under same without through because but
    """,
    )
)
_FOREIGN = (
    frozenset(
        re.findall(
            r"\w+",
            """
    der und ist nicht ein eine einen einem einer auf für von zu im sich auch werden wird oder nach durch kann
    sind wenn dass diese dieser dieses über nur noch zum zur haben wir ihre das den dem des mit bei wie sie
    les une et dans que qui avec pas ce cette ces sont vous nous elle aux ou mais comme être leur peut votre
    le la du de las los en por con del una se como más pero sus este esta está puede cuando sin también
    gli che è sono della dei delle nel alla anche più questo questa può essere uma não com são mais ao pelo
    pela você isso dos em het een niet dat zijn voor aan ook maar wordt worden deze naar och att
    det som är inte på till ett jag ikke til av nie jest się że tym przez są lub için olarak olan çok
    và của là các có cho không một được trong với này những người để khi từ đã yang untuk dengan ini itu tidak
    dari adalah akan atau
    """,
        )
    )
    - _ENGLISH
)

# Of the first characters of a text this many are looked at: they tell as well as all.
_ENOUGH = 600
# So many words are English although none of them is a common one.
_TELLING_WORDS = 4


def language_of(text: str) -> str:
    """`zh`, `en` or `other`; the empty string where a text has too few words to tell, as numbers or code.

    A tenth of ideographs among the letters makes a text Chinese, because a technical one is full of English
    names; so do fewer where no English word stands beside them. Kana, Hangul, Cyrillic, Arabic and the like
    are `other`, and so are Latin letters with more of the commonest words of other languages, and of letters
    with marks, than of the commonest words of English.
    """
    if "$" in text:
        text = _FORMULA.sub(" ", text)
    text = text[:_ENOUGH]
    if text.isascii():
        return _of_latin(text)
    chinese = len(text) - len(_IDEOGRAPHS.sub("", text))
    kana = len(_KANA.findall(text))
    latin = len(_LATIN.findall(text))
    further = len(_FURTHER.findall(text)) if chinese + kana + latin < len(text) - text.count(" ") else 0
    if (kana >= 3 and 5 * kana > chinese + kana) or 2 * further > latin + 2 * chinese + kana:
        return "other"
    if chinese and 10 * chinese >= chinese + latin:
        return "zh"
    if chinese and not any(word.lower() in _ENGLISH for word in _WORD.findall(text)):
        return "zh"
    return _of_latin(text)


def _of_latin(text: str) -> str:
    words = _WORD.findall(text)
    english = foreign = 0
    for word in words:
        if word.lower() in _ENGLISH:
            english += 1
        # An abbreviation such as COM is no word of any language.
        elif (word.lower() in _FOREIGN and not word.isupper()) or _MARKED.search(word):
            foreign += 1
    if foreign > 2 * english and (foreign >= 2 or len(words) >= _TELLING_WORDS) and 6 * foreign >= len(words):
        return "other"
    return "en" if (english and len(words) > 1) or len(words) >= _TELLING_WORDS else ""


def script_of(text: str) -> str:
    """`simplified` or `traditional`; the empty string where no character tells, or they disagree.

    A character tells if GB 2312, the standard of simplified Chinese, has it and Big5, that of traditional
    Chinese, has not; or if it is one of the 5,401 frequent characters of Big5 and GB 2312 has it not.
    """
    simplified, traditional = _telling()
    text = text[:_ENOUGH]
    only_simplified = len(simplified.findall(text))
    only_traditional = len(traditional.findall(text))
    if only_simplified > 2 * only_traditional:
        return "simplified"
    return "traditional" if only_traditional > 2 * only_simplified else ""


@functools.cache
def _telling() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Patterns of the characters that tell simplified and traditional Chinese."""
    simplified, traditional = [], []
    for char in map(chr, range(0x4E00, 0x9FA6)):
        in_gb2312 = char.encode("gb2312", "ignore")
        in_big5 = char.encode("big5", "ignore")
        if in_gb2312 and not in_big5:
            simplified.append(char)
        elif not in_gb2312 and b"\xa4\x40" <= in_big5 <= b"\xc6\x7e":
            traditional.append(char)
    return re.compile(f"[{''.join(simplified)}]"), re.compile(f"[{''.join(traditional)}]")
