"""Filters as marks: why a pair should not be trained on, and the number that decided. Nothing is deleted."""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import re
from dataclasses import dataclass, field
from math import isnan
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, TypeAlias, cast

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from yuyi.artifacts import hash_file
from yuyi.config import REFUSE_UNKNOWN
from yuyi.data.marking.filter_rules import RULES, RULES_FOR_JUDGED, RULES_FOR_TRANSLATIONS, Side
from yuyi.data.step import add_counts, run_step
from yuyi.errors import InputError
from yuyi.records import Mark, read_pairs, write_marks
from yuyi.text.decode import read_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from yuyi.data.folder import DataFolder
    from yuyi.data.marking.filter_rules import Rule
    from yuyi.data.step import Counts, StepRecord
    from yuyi.progress import Done
    from yuyi.records import Pair

Share = Annotated[float, Field(ge=0, le=1)]
Language = Literal["zh", "en", "other"]
Judge: TypeAlias = "Callable[[str], float]"

_ENTRY = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


@dataclass(frozen=True, slots=True, kw_only=True)
class FiltersConfig:
    """Limits beyond which a pair is marked. None turns a filter off.

    Lengths are in tokens as the pairs tell them; where they do not, three letters count as a token, an
    ideograph as two letters.

    Attributes:
        shortest_a: fewest tokens of `text_a`: a title may be short.
        shortest_b: fewest tokens of `text_b`: an answer may not.
        shortest_of: the same by kind of pair, instead of `shortest_b`.
        longest_a: most tokens of `text_a`.
        longest_b: most tokens of `text_b`.
        copied: least share of stretches of three letters that two sides have in common.
        repetition: least share of a side's stretches of five words that are repetitions.
        symbols: least share of signs among the characters of `text_b`, white space not counted.
        digits: least share of digits among the characters of `text_b`.
        boilerplate: least share of the characters of `text_b` in sentences with a phrase such as `扫码关注`.
        languages: languages that are wanted; `other` is every script but Latin and Chinese. None for all.
        language_mismatch: whether sides of prose in two languages are marked.
        translations: kinds of pairs that translate; only length, copies and unwanted languages count there.
        script: the Chinese script that is wanted; None for both.
        incomplete: fewest tokens before a last clause that announces what does not follow.
        code: least share of the signs of programming languages among the characters of `text_b`.
        links: least share of a side's characters in web addresses.
        blocklist: path of a list of words, one a line, or `module:function` of a Python function that takes a
            text and returns a number.
        blocked: least number of listed words in a side, or least number that the function returns.
        judged: filters for pairs with a label: `all`, or `few` for the blocklist and those that find a side
            empty or in a language that is not wanted, because what was judged is short on purpose.
    """

    __pydantic_config__: ClassVar = REFUSE_UNKNOWN

    shortest_a: NonNegativeFloat | None = 1.0
    shortest_b: NonNegativeFloat | None = 6.0
    shortest_of: dict[str, NonNegativeFloat | None] = field(
        default_factory=lambda: {
            "parallel": 1.0,
            "paraphrase": 2.0,
            "duplicate_questions": 2.0,
            "post_comment": 4.0,
            "table_row": 3.0,
            "term_definition": 4.0,
            "idiom_definition": 1.0,
            "qa": 3.0,
        }
    )
    longest_a: PositiveInt | None = 1024
    longest_b: PositiveInt | None = 8192
    copied: Share | None = 0.9
    repetition: Share | None = 0.6
    symbols: Share | None = 0.55
    digits: Share | None = 0.55
    boilerplate: Share | None = 0.5
    languages: tuple[Language, ...] | None = None
    language_mismatch: bool = True
    translations: tuple[str, ...] = ("parallel",)
    script: Literal["simplified", "traditional"] | None = None
    incomplete: NonNegativeFloat | None = 9.5
    code: Share | None = 0.2
    links: Share | None = 0.7
    blocklist: str | None = None
    blocked: PositiveFloat = 1.0
    judged: Literal["few", "all"] = "few"


def marks_of(pair: Pair, config: FiltersConfig) -> list[tuple[str, float]]:
    """Each reason why a pair should not be used, with the number that decided; empty for a good one.

    Raises:
        InputError: the blocklist cannot be read, or its function not be found, fails or returns no number.
    """
    a, b = Side(pair.text_a, pair.tokens_a), Side(pair.text_b, pair.tokens_b)
    found = [mark for rule in _rules_for(pair, config) if (mark := rule(pair, a, b, config)) is not None]
    if config.blocklist is not None:
        value = max(_blocked(config.blocklist, text) for text in (pair.text_a, pair.text_b))
        if value >= config.blocked:
            found.append(("blocklist", value))
    return found


def _rules_for(pair: Pair, config: FiltersConfig) -> Sequence[Rule]:
    if pair.label is not None and config.judged == "few":
        return RULES_FOR_JUDGED
    return RULES_FOR_TRANSLATIONS if pair.kind in config.translations else RULES


def _blocked(blocklist: str, text: str) -> float:
    judge = _judge(blocklist)
    try:
        value = judge(text)
    except Exception as error:
        raise InputError(
            f"{blocklist}: fails on the text {text[:40]!r} ({type(error).__name__}: {error}). Mend it."
        ) from error
    if not isinstance(value, Real) or isnan(value):
        raise InputError(
            f"{blocklist}: returns {value!r:.40} for the text {text[:40]!r}. Let it return a number."
        )
    return float(value)


def filter_pairs(
    folder: DataFolder,
    config: FiltersConfig,
    *,
    workers: int | None = None,
    on_done: Done = lambda texts, tokens=0: None,
) -> StepRecord:
    """The record of `marks/filters`, once it holds the marks that `marks_of` finds on each pair.

    Its counts are `rows`, the rows of each source as `seen`, and by source and reason `marked`.

    Args:
        folder: where the pairs are.
        config: the limits.
        workers: processes; None for one a core.
        on_done: called with numbers of pairs.

    Raises:
        InputError: there are no pairs, the blocklist cannot be used, or the folder cannot be written.
    """
    inputs = {"pairs": folder.need("pairs").digest}
    if config.blocklist is not None:
        _judge.cache_clear()  # The file may be another one than at the last call.
        inputs["blocklist"] = _digest(config.blocklist)
    jobs = {name: (path, config) for name, path in folder.parts("pairs").items()}
    return run_step(
        folder.path / "marks/filters",
        lambda place: place.each(jobs, _mark_part),
        settings=config,
        inputs=inputs,
        code=("data/filters.py", "data/marking/filter_rules.py", "data/clean.py", "data/languages.py"),
        workers=workers,
        on_done=on_done,
    )


def _mark_part(name: str, job: tuple[Path, FiltersConfig], folder: Path) -> Counts:
    path, config = job
    counts: Counts = {"rows": 0, "seen": {}, "marked": {}}

    def marks() -> Iterator[Mark]:
        for row, pair in enumerate(read_pairs(path)):
            counts["rows"] += 1
            add_counts(counts["seen"], {pair.source: 1})
            for reason, value in marks_of(pair, config):
                add_counts(counts["marked"], {pair.source: {reason: 1}})
                yield Mark(row, pair.pair_id, reason, value)

    write_marks(folder / f"{name}.parquet", marks())
    return counts


@functools.cache
def _judge(blocklist: str) -> Judge:
    """The function that a blocklist stands for."""
    if _ENTRY.fullmatch(blocklist) and not Path(blocklist).exists():
        return _function(blocklist)
    path = Path(blocklist)
    if not path.is_file():
        raise InputError(f"{blocklist}: no such blocklist. Name a file of words, or module:function.")
    words = read_text(path).split("\n")
    return _counter([word.strip() for word in words])


def _function(entry: str) -> Judge:
    module, _, name = entry.partition(":")
    try:
        return cast("Judge", getattr(importlib.import_module(module), name))
    except (ImportError, AttributeError) as error:
        raise InputError(
            f"{entry}: no such function ({error}). Install its module, or mend the name."
        ) from error
    except Exception as error:  # Whatever the module does when it is imported.
        raise InputError(
            f"{entry}: its module fails ({type(error).__name__}: {error}). Mend the module."
        ) from error


def _counter(words: Iterable[str]) -> Judge:
    """A function that counts the places of a text at which one of the words stands, whatever the case.

    A Latin word counts only where no Latin letter goes on before or after it.
    """
    by_start: dict[str, list[str]] = {}
    for word in sorted({word.casefold() for word in words if word}):
        by_start.setdefault(word[:1], []).append(word)

    def count(text: str) -> float:
        text = text.casefold()
        places = (place for place, char in enumerate(text) if char in by_start)
        return float(sum(_stands(text, place, by_start[text[place]]) for place in places))

    return count


def _stands(text: str, place: int, words: Sequence[str]) -> bool:
    """Whether one of the words begins at a place of a text, and is no piece of a longer Latin word."""
    if _is_latin(text[place]) and _is_latin(text[place - 1 : place]):
        return False
    return any(
        text.startswith(word, place)
        and not (_is_latin(word[-1]) and _is_latin(text[place + len(word) : place + len(word) + 1]))
        for word in words
    )


def _is_latin(char: str) -> bool:
    return char.isascii() and char.isalnum()


def _digest(blocklist: str) -> str:
    """Hash of a list's file, or of the file that its function stands in."""
    if Path(blocklist).is_file():
        return hash_file(Path(blocklist))
    source = None
    with contextlib.suppress(TypeError):  # Built in, or an object that is called.
        source = inspect.getsourcefile(inspect.unwrap(_judge(blocklist)))
    return hash_file(Path(source)) if source else blocklist
