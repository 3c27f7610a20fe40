"""How much two texts speak of the same things, by the words they share."""

from __future__ import annotations

import re
from operator import add

from yuyi.data.clean import IDEOGRAPHS

_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_+#.-]*[A-Za-z0-9+#]")
_CHINESE = re.compile(rf"[{IDEOGRAPHS}]{{2,}}")
# Words that stand in texts of every kind; Chinese pairs that hold such a character say as little.
_WORDS = """
a about after all also an and any are as at be been but by can could do does each every for from get has have
how if in into is it its just let like make may more most must need new no not now of on one only or other our
out over same set should so some such than that the their them then there these they this those to two up use
used using very want was way we were what when where which while who why will with would you your following
example see first via yet here
"""
_COMMON_WORDS = frozenset(_WORDS.split())
_WITHOUT_COMMON = str.maketrans(
    dict.fromkeys("的了是在和与或及等就也都而把被对于不有这那其中个们为以我你他它她会可要到从此将让", " ")
)


def terms(text: str) -> frozenset[str]:
    """The pairs of neighbouring Chinese characters and the words of a text, without those that say little.

    >>> sorted(terms("Redis 的缓存穿透"))
    ['redis', '存穿', '穿透', '缓存']
    """
    words = set(_WORD.findall(text.lower())) - _COMMON_WORDS
    # A plural is the same word.
    found = {word[:-1] if word.endswith("s") and word[-2] not in "sui" else word for word in words}
    if not text.isascii():
        for run in _CHINESE.findall(text.translate(_WITHOUT_COMMON)):
            found.update(map(add, run, run[1:]))
    return frozenset(found)


def held(few: frozenset[str], many: frozenset[str]) -> float:
    """Share of the terms of one text that another has too; 0 where it has none."""
    return len(few & many) / len(few) if few else 0.0


def overlap(first: frozenset[str], second: frozenset[str]) -> float:
    """Share of the terms of the text with fewer that the other has too; 0 where one has none."""
    return held(*sorted((first, second), key=len))
