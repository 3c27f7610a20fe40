"""Texts of documents as rows of tokens on disk, ready to be drawn from for pre-training.

A text longer than a row is parted between paragraphs, or where a paragraph is too long between sentences, or
between words; nothing of it is lost. The rows of a corpus are written once, as plain arrays that are mapped
into memory, so a corpus may be larger than the machine, and a run that starts again has them at once.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from importlib.metadata import version
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import PositiveInt  # noqa: TC002 (pydantic reads the annotation)

from yuyi.artifacts import hash_code, hash_file, hash_json, publish_folder
from yuyi.config import REFUSE_UNKNOWN
from yuyi.errors import InputError, RecipeError
from yuyi.extras import require
from yuyi.records import read_batches, read_columns
from yuyi.text.plan import gather, spans
from yuyi.text.tokenizer import SEPARATOR
from yuyi.train.reading.array_folder import ArrayWriter, read_arrays
from yuyi.train.reading.masking import token_begins, token_places, word_begins
from yuyi.train.reading.sources import text_key
from yuyi.train.reading.turns import in_turn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from tokenizers import Encoding, Tokenizer

    from yuyi.train.reading.held_out import HeldOut
    from yuyi.types import TokenBatch

    Integers = NDArray[np.int64]
    Flags = NDArray[np.bool_]

_DOCUMENT, _PAIR = ("title", "text"), ("text_a", "text_b")
_PARAGRAPH = re.compile(r"\n\s*\n")
_SENTENCE = re.compile(r"[。！？；…!?][”’」』）)\"']*|\.[\"')]*(?=\s)|\n")
# Characters that the tokenizer gets at a time, and the longest text that it gets whole.
_BLOCK_CHARACTERS = 1 << 20
_LONGEST_CHARACTERS = 1 << 16
_ROWS = 256
_CODE = tuple(f"train/reading/{name}.py" for name in ("array_folder", "masking", "passages"))


@dataclass(frozen=True, slots=True, kw_only=True)
class PassageConfig:
    """How texts become rows.

    Attributes:
        longest: tokens of a row at most, special tokens not counted.
        shortest: texts of fewer tokens are left out; no row is shorter.
    """

    __pydantic_config__: ClassVar = REFUSE_UNKNOWN

    longest: PositiveInt = 510
    shortest: PositiveInt = 8

    def __post_init__(self) -> None:
        if self.shortest < 2 or self.longest < 2 * self.shortest:
            raise RecipeError(
                f"passages: rows of {self.shortest} to {self.longest} tokens; a row has at least 2, and the "
                "longest is at least twice the shortest, so that each text can be parted. Change them."
            )


@dataclass(frozen=True, slots=True)
class Passages:
    """Rows of tokens, mapped from disk.

    Attributes:
        ids: (tokens,) uint16 or int32, without special tokens.
        begins: (tokens,) bool, whether a token begins a word.
        offsets: (rows + 1,) int64; row `i` owns `ids[offsets[i]:offsets[i + 1]]`.
    """

    ids: NDArray[np.integer[Any]]
    begins: Flags
    offsets: Integers

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def take(self, rows: Integers) -> tuple[TokenBatch, Flags]:
        """The tokens of these rows, in the order given, and which of them begin a word."""
        starts = self.offsets[rows]
        lengths = self.offsets[rows + 1] - starts
        places = spans(starts, lengths)
        batch = gather(self.ids[places].astype(np.int32), np.cumsum(lengths) - lengths, lengths)
        return batch, self.begins[places]


def read_texts(path: Path) -> Iterator[str]:
    """Each text of a Parquet file of documents (its title above it) or of pairs (both), streamed.

    Raises:
        InputError: the file is missing or damaged, or has neither kind of columns.
    """
    names, _ = read_columns(path)
    if set(_DOCUMENT) <= set(names):
        for row in _rows(path, _DOCUMENT):
            title, text = row["title"] or "", row["text"] or ""
            yield text if title in text[: len(title) + 100] else f"{title}\n\n{text}"
    elif set(_PAIR) <= set(names):
        for row in _rows(path, _PAIR):
            yield from (row[name] or "" for name in _PAIR)
    else:
        raise InputError(
            f"{path}: holds {', '.join(names)}: neither documents ({', '.join(_DOCUMENT)}) nor pairs "
            f"({', '.join(_PAIR)}). Name another file."
        )


def _rows(path: Path, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    # Few at a time, since a single document may have megabytes.
    for batch in read_batches(path, columns, rows=_ROWS):
        yield from batch.to_pylist()


def read_passages(
    paths: Sequence[Path],
    tokenizer: Tokenizer,
    config: PassageConfig,
    folder: Path,
    on_done: Callable[[int], None] = lambda count: None,
    *,
    held_out: HeldOut | None = None,
) -> Passages:
    """The rows of all texts of these files, from `folder` where the same were written before.

    Several processes may call this at once: one of them writes, and the others wait for it.

    Args:
        paths: Parquet files of documents or pairs.
        tokenizer: cuts texts into tokens.
        config: lengths of rows.
        folder: rows are kept in it, in a folder of their own for each set of files, tokenizer and settings.
        on_done: called with the number of texts that were just read.
        held_out: its forbidden texts are left out; a document is one only as a whole, title included.

    Raises:
        InputError: there is no text to make a row of, a file cannot be read, the place cannot be written, or
            what was written before is damaged.
        MissingExtra: pyarrow or the segmenter is not installed.
    """
    require("train")
    tokenizer.no_padding()
    tokenizer.no_truncation()
    facts = {
        "files": [hash_file(path) if path.is_file() else str(path) for path in paths],
        "tokenizer": hash_json(tokenizer.to_str()),
        "segmenter": version("rjieba"),
        "code": hash_code(*_CODE),
        "held_out": None if held_out is None else held_out.forbidden.tolist(),
        **asdict(config),
    }
    place = folder / hash_json(facts)[:16]
    if not place.is_dir():
        with in_turn(folder):
            if not place.is_dir():
                texts: Iterable[str] = chain.from_iterable(map(read_texts, paths))
                if held_out is not None:
                    texts = _free(texts, held_out)
                with publish_folder(place) as temporary:
                    _write(temporary, texts, tokenizer, config, on_done)
    [arrays], _ = read_arrays(place, _arrays(tokenizer))
    return Passages(arrays["ids"], arrays["begins"], arrays["offsets"])


def _free(texts: Iterable[str], held_out: HeldOut) -> Iterator[str]:
    """The texts that may be learned from."""
    forbidden = frozenset(held_out.forbidden.tolist())
    return (text for text in texts if text_key(text) not in forbidden)


def rows_of(text: str, encoding: Encoding, config: PassageConfig) -> tuple[Flags, list[int]]:
    """Which tokens of a text begin a word, and the bounds of its rows.

    Args:
        text: what was tokenised.
        encoding: its tokens and their offsets, without special tokens.
        config: lengths of rows.

    Returns:
        (tokens,) bool, and the first token of each row and one past the last; empty for too short a text.
    """
    offsets = np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2)
    places = token_places(text, offsets)
    begins = token_begins(offsets, places, word_begins(text))
    if len(places) < config.shortest:
        return begins, []
    if len(places) <= config.longest:
        return begins, [0, len(places)]
    paragraphs, sentences = (
        np.searchsorted(places, [match.end() for match in border.finditer(text)])
        for border in (_PARAGRAPH, _SENTENCE)
    )
    words = np.flatnonzero(begins)
    bounds = [0]
    while len(places) - bounds[-1] > config.longest:
        # What is left over for the last row is no scrap.
        limit = min(bounds[-1] + config.longest, len(places) - config.shortest)
        bounds.append(_cut(bounds[-1], limit, config, (paragraphs, sentences, words)))
    return begins, [*bounds, len(places)]


def _cut(start: int, limit: int, config: PassageConfig, borders: Sequence[Integers]) -> int:
    """Where a row that begins at `start` ends: the last border up to `limit` that leaves it half full."""
    half = start + max(config.longest // 2, config.shortest)
    for border in borders:
        last = int(np.searchsorted(border, limit, side="right")) - 1
        if last >= 0 and border[last] >= half:
            return int(border[last])
    return limit


def _write(
    folder: Path,
    texts: Iterable[str],
    tokenizer: Tokenizer,
    config: PassageConfig,
    on_done: Callable[[int], None],
) -> None:
    """Write the arrays of all rows."""
    if tokenizer.token_to_id(SEPARATOR) is not None:
        # As `BatchTokenizer` has it: in a text the sign stands for a space.
        texts = (text.replace(SEPARATOR, " ") for text in texts)
    writer = ArrayWriter(folder, _arrays(tokenizer))
    rows, end = writer.new_group(), 0
    writer.append(rows, "offsets", np.zeros(1))
    for block in _blocks(texts):
        encodings = tokenizer.encode_batch(block, add_special_tokens=False)
        parts: dict[str, list[NDArray[Any]]] = {name: [np.zeros(0)] for name in ("ids", "begins", "offsets")}
        for text, encoding in zip(block, encodings, strict=True):
            flags, bounds = rows_of(text, encoding, config)
            if bounds:
                parts["ids"].append(np.array(encoding.ids))
                parts["begins"].append(flags)
                parts["offsets"].append(end + np.array(bounds[1:]))
                end += bounds[-1]
        for name, arrays in parts.items():
            writer.append(rows, name, np.concatenate(arrays))
        on_done(len(block))
    if not end:
        raise InputError(
            f"the corpus has no text of {config.shortest} tokens or more, so there is nothing to train on. "
            "Name other files."
        )
    writer.finish([rows], None)


def _arrays(tokenizer: Tokenizer) -> dict[str, str]:
    """The arrays of a corpus, each with its type; tokens take the smallest that holds all pieces."""
    last = max(tokenizer.get_vocab(with_added_tokens=True).values())
    return {"ids": "<u2" if last < 1 << 16 else "<i4", "begins": "|b1", "offsets": "<i8"}


def _blocks(texts: Iterable[str]) -> Iterator[list[str]]:
    """Texts in lists of about a million characters, none so long that the tokenizer needs much memory."""
    block: list[str] = []
    characters = 0
    for text in chain.from_iterable(map(_parts, texts)):
        block.append(text)
        characters += len(text)
        if characters >= _BLOCK_CHARACTERS:
            yield block
            block, characters = [], 0
    if block:
        yield block


def _parts(text: str) -> Iterator[str]:
    """The text in parts of bounded length, parted at a paragraph, a line or a space where there is one."""
    start = 0
    while len(text) - start > _LONGEST_CHARACTERS:
        middle, limit = start + _LONGEST_CHARACTERS // 2, start + _LONGEST_CHARACTERS
        found = (text.rfind(border, middle, limit) for border in ("\n\n", "\n", "。", " "))
        last = next((at + 1 for at in found if at >= 0), limit)
        yield text[start:last]
        start = last
    yield text[start:]
