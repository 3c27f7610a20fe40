"""What lies in the files of a run: rows of each collection and kind, and some of their texts."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from yuyi.errors import InputError
from yuyi.records import Pair, read_columns
from yuyi.train.reading.pair_files import read_pair_file
from yuyi.train.reading.passages import read_texts
from yuyi.train.teaching.continual import REPLAYED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from yuyi.text.tokenizer import BatchTokenizer
    from yuyi.train.settings import DataEntry, TrainConfig

# Rows of a collection that are kept as its sample.
_SAMPLE = 512
# Documents of a file whose texts are tokenised.
_DOCUMENTS = 200


@dataclass(slots=True)
class Surveyed:
    """The rows of one collection and kind.

    Attributes:
        name: of the collection; old ones are called replayed.
        kind: what the two texts of a pair are to each other.
        rows: how many there are.
        with_negatives: how many of them bring hard negatives.
        sample: some of them, drawn at random.
    """

    name: str
    kind: str
    rows: int = 0
    with_negatives: int = 0
    sample: list[Pair] = field(default_factory=list)


def read_entries(config: TrainConfig) -> Iterator[Pair]:
    """Each pair of the files of a run, new ones and old, without scores.

    Raises:
        InputError: a file is missing, damaged or empty, or has a row that cannot be used.
    """
    return _read((*config.data, *config.replay))


def _read(entries: Iterable[DataEntry]) -> Iterator[Pair]:
    for entry in entries:
        for rows in read_pair_file(Path(entry.path), entry.name, entry.kind):
            for row in rows:
                label = None if math.isnan(row.label) else row.label
                yield Pair(
                    row.source, row.kind, row.text_a, row.text_b, label, row.lang, negatives=row.negatives
                )


def survey(config: TrainConfig) -> list[Surveyed]:
    """Each collection and kind of the pairs of a run, in order of name.

    Raises:
        InputError: as `read_entries`.
    """
    found: dict[tuple[str, str], Surveyed] = {}
    generator = np.random.default_rng(config.seed)
    old = (replace(pair, source=REPLAYED + pair.source) for pair in _read(config.replay))
    for pair in chain(_read(config.data), old):
        each = found.setdefault((pair.source, pair.kind), Surveyed(pair.source, pair.kind))
        each.rows += 1
        each.with_negatives += bool(pair.negatives)
        if len(each.sample) < _SAMPLE:
            each.sample.append(pair)
        elif (place := int(generator.integers(each.rows))) < _SAMPLE:
            each.sample[place] = pair
    return [found[key] for key in sorted(found)]


def survey_documents(
    config: TrainConfig, tokenizer: BatchTokenizer, room: int | None = None
) -> tuple[int, int]:
    """How many rows of tokens the documents of a run give, and how many tokens, about.

    Some documents of each file are tokenised; the others are taken to be as long.

    Args:
        config: names the files, and how long rows are.
        tokenizer: cuts texts.
        room: tokens that the model takes, special tokens not counted.

    Raises:
        InputError: a file is missing or damaged, or holds no texts.
    """
    rows = tokens = 0
    longest = min(config.passages.longest, room or config.passages.longest)
    for path in map(Path, config.documents):
        texts = [text for text, _ in zip(read_texts(path), range(_DOCUMENTS), strict=False)]
        if not texts:
            raise InputError(f"{path}: has no rows. Name another file, or leave it out.")
        lengths = tokenizer(texts).lengths
        lengths = lengths[lengths >= config.passages.shortest]
        names, count = read_columns(path)
        share = max(1.0, count * (2 if "text_a" in names else 1) / len(texts))
        rows += round(share * int((-(-lengths // longest)).sum()))
        tokens += round(share * int(lengths.sum()))
    return rows, tokens
