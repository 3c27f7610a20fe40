"""The language and the Chinese script of a short text, by its letters and its commonest words."""

from __future__ import annotations

import functools
import re

from yuyi.data.clean import IDEOGRAPHS

_KANA = re.compile("[\u3041-\u3096\u30a1-\u30fa]")
_HANGUL_AND_FURTHER = re.compile(
    "[\u0400-\u052f\u0530-\u058f\u0590-\u05ff\u0600-\u06ff\u0750-\u077f\u0900-\u0dff\u0e01-\u0eff\u0f40-\u0fbc"
    "\u1000-\u109f\u10a0-\u10ff\u1100-\u11ff\u1200-\u137f\u1780-\u17b3\u1f00-\u1ffe\uac00-\ud7a3]"
)
_GREEK = re.compile("[\u03b1-\u03c9\u0386-\u03ce]{3,}")
_IDEOGRAPHS = re.compile(f"[{IDEOGRAPHS}]+")
_LATIN = re.compile(r"[A-Za-z\u00c0-\u024f\u1e00-\u1eff]")
_WORD = re.compile(
    r"(?<![\w./:@$#%\\-])[A-Za-z\u00c0-\u024f\u1e00-\u1eff]+(?:['’][A-Za-z]+)?(?![\w/:@\\(=]|\.\w)"
)
# Letters that English writes in names and borrowed words only.
_FOREIGN_LETTER = re.compile("[\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u1e00-\u1eff]")

# The commonest function words. A word that English has too (`die`, `a`, `on`, `an`, `to`, `do`, `was`) is in no
# list but that of English.
_ENGLISH = frozenset(
    """the of and to in is you that it he was for on are as with his they i at be this have from or one had by
    word but not what all were we when your can said there use an each which she do how their if will up other
    about out many then them these so some her would make like him into time has look two more write go see no
    way could people my than been call who its now find any also must should may does using used only set new
    file files value a not no yes run get add list show name must after before between where while such""".split()
)
_FOREIGN = (
    frozenset(
        """der die das und ist nicht ein eine einen einem einer des dem den mit auf für von zu im sich auch werden
    wird oder wie bei aus nach durch kann sind wenn dass diese dieser dieses über nur noch zum zur haben sie wir
    le la les des du une et est dans pour que qui sur avec pas ce cette ces sont par plus vous nous il elle au
    aux ou mais comme être leur peut votre
    el los las una y en que es por con para del se lo como más pero sus este esta son está puede cuando sin
    il lo gli di che è per non sono della dei delle nel alla anche più questo questa come può essere uno
    o os um uma e do da dos das em não com são mais ao pelo pela você isso também
    het een van niet dat zijn voor aan met ook maar wordt kan deze naar wij
    och att det som är inte på av till ett har jag du kan men om
    og ikke til av på det som med er en har
    nie jest się na do że to jak po tym przez dla są
    ve bir bu için ile de da olarak olan çok
    và của là các có cho không một được trong với này những người để khi từ đã
    yang dan untuk dengan ini itu tidak dari pada adalah akan atau""".split()
    )
    - _ENGLISH
    - frozenset(
        "do to so i a en de la das se no es des los on in per son pour par plus non come dos kan "
        "van an man den dem e o os em da du y il lo el men er sur le na po di al au aux si om "
        "har das um ne ve bir mit dan pada uno una est sie wie bei las met".split()
    )
)

# Of the first characters of a text this many are looked at: they tell as well as all.
_ENOUGH = 600


def language_of(text: str) -> str:
    """`zh`, `en` or `other`; the empty string where a text has too few words to tell, as numbers or code.

    A tenth of ideographs among the letters makes a text Chinese, because a technical one is full of English
    names. Kana, Hangul, Cyrillic, Arabic and the like are `other`, and so are Latin letters with more of the
    commonest words of eleven other languages, or of letters with marks, than English has.
    """
    text = text[:_ENOUGH]
    if text.isascii():
        return _of_latin(text)
    chinese = len(text) - len(_IDEOGRAPHS.sub("", text))
    kana = len(_KANA.findall(text))
    further = len(_HANGUL_AND_FURTHER.findall(text)) + sum(map(len, _GREEK.findall(text)))
    latin = len(_LATIN.findall(text))
    if further and 2 * further > latin + 2 * chinese + kana or kana >= 3 and 5 * kana > chinese + kana:
        return "other"
    if chinese and 10 * chinese >= chinese + latin + kana + further:
        return "zh"
    return _of_latin(text)


def _of_latin(text: str) -> str:
    words = _WORD.findall(text)
    if len(words) < 2:
        return ""
    lower = [word.lower() for word in words]
    english = sum(word in _ENGLISH for word in lower)
    foreign = sum(word in _FOREIGN for word in lower)
    marked = sum(_FOREIGN_LETTER.search(word) is not None for word in words) if not text.isascii() else 0
    if foreign + marked > max(english, 1) and 6 * (foreign + marked) >= len(words):
        return "other"
    return "en" if english or len(words) >= 4 else ""


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
