"""The texts, passages and scored pairs by which the forms of a model are judged."""

from __future__ import annotations

import json
import math
from bisect import bisect_left
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yuyi.errors import InputError
from yuyi.text.rows import read_texts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from yuyi.encode import Encoder
    from yuyi.export.settings import ExportSettings

NEIGHBOURS = 10
"""How many of the nearest passages are compared."""

_HERE = Path(__file__).parent
_PASSAGES = 10_000
# Kinds of yuyi's own texts that are sentences; each of them under every topic makes yuyi's own passages.
_SENTENCES = ("zh", "en", "mixed", "traditional")
_PAIR_COLUMNS = ("sentence1", "sentence2", "score")
# A model that reads any length gets a text of so many characters.
_LONG = 4_000
_OWN = "yuyi"


@dataclass(frozen=True, slots=True)
class Trial:
    """What every form is given.

    Attributes:
        texts: of many kinds, the empty one included.
        passages: among which the nearest of each text are looked for.
        pairs: two texts and how alike they are, on any scale.
        sources: names of the files that passages and pairs are from.
    """

    texts: tuple[str, ...]
    passages: tuple[str, ...]
    pairs: tuple[tuple[str, str, float], ...]
    sources: dict[str, str]

    @property
    def pair_texts(self) -> list[str]:
        """The texts of the pairs, first and second by turns."""
        return [text for first, second, _ in self.pairs for text in (first, second)]

    @property
    def size(self) -> int:
        """Number of texts that an encoder is given."""
        return len(self.texts) + len(self.passages) + 2 * len(self.pairs)


def read_trial(settings: ExportSettings) -> Trial:
    """The texts of a trial: yuyi's own where no file is named.

    Raises:
        InputError: a file is missing, damaged or too small.
        MissingExtra: a file is Parquet and pyarrow is not installed.
    """
    kinds: dict[str, list[str]] = _read_own("texts.json")
    own_pairs = tuple((first, second, float(score)) for first, second, score in _read_own("pairs.json"))
    sentences = list(chain.from_iterable(kinds[kind] for kind in _SENTENCES))
    own_passages = compose(_read_own("topics.json"), sentences, _PASSAGES)
    sources = {"passages": settings.passages, "pairs": settings.sts}
    return Trial(
        tuple(chain.from_iterable(kinds.values())),
        tuple(_read_passages(settings.passages) if settings.passages else own_passages),
        _read_pairs(settings.sts) if settings.sts else own_pairs,
        {what: path.name if path else _OWN for what, path in sources.items()},
    )


def compose(topics: Sequence[str], sentences: Sequence[str], count: int) -> Iterator[str]:
    """So many passages, each a sentence under a topic; each sentence has every topic once at most.

    Args:
        topics: all different.
        sentences: likewise; so many times the topics are at least `count`.
        count: of passages.
    """
    for place in range(count):
        step, row = divmod(place, len(sentences))
        yield f"{topics[(row + step) % len(topics)]}: {sentences[row]}"


def too_long_text(encoder: Encoder, sentences: Sequence[str]) -> str:
    """A text of one token more than the model reads, or hardly more; a long one where it reads any length.

    Args:
        encoder: of the model.
        sentences: that it is put together from, again and again.
    """
    text = " ".join(" ".join(sentences).split()) + " "
    if encoder.max_tokens is None:
        return (text * (1 + _LONG // len(text)))[:_LONG]
    limit = encoder.max_tokens - _count(encoder, "")
    while len(encoder.tokens(text)) <= limit:
        text += text
    enough = bisect_left(range(len(text)), limit + 1, key=lambda end: len(encoder.tokens(text[:end])))
    return text[:enough]


def _count(encoder: Encoder, text: str) -> int:
    return int(encoder.encode([text], return_info=True)[1].tokens[0])


def _read_own(name: str) -> Any:
    return json.loads((_HERE / name).read_text(encoding="utf-8"))


def _read_passages(path: Path) -> list[str]:
    """The first texts of a file, without blank and repeated ones."""
    texts = chain.from_iterable(block.texts for block in read_texts(str(path)))
    found = list(islice(dict.fromkeys(text for text in texts if text.strip()), _PASSAGES))
    if len(found) <= NEIGHBOURS:
        raise InputError(
            f"{path}: holds {len(found)} different texts, and the {NEIGHBOURS} nearest passages are looked "
            "for among them. Give more."
        )
    return found


def _read_pairs(path: Path) -> tuple[tuple[str, str, float], ...]:
    first, second, score = _PAIR_COLUMNS
    found: list[tuple[str, str, float]] = []
    for block in read_texts(str(path), first, whole_rows=True):
        for row in block.rows if isinstance(block.rows, list) else block.rows.to_pylist():
            place = f"{path}: row {len(found)}"
            if missing := [name for name in _PAIR_COLUMNS if row.get(name) is None]:
                raise InputError(f"{place} has no {missing[0]}. A pair has {', '.join(_PAIR_COLUMNS)}.")
            found.append((str(row[first]), str(row[second]), _score(place, row[score])))
    if len({score for _, _, score in found}) < 2:
        raise InputError(f"{path}: holds no pairs with different scores. Give pairs that can be ranked.")
    return tuple(found)


def _score(place: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"{place} has score {value!r:.40}, which is no number. Mend or drop the row.")
    return number
