"""What lies in the files of a run: rows of each collection and kind, and how long their texts are."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from yuyi.errors import InputError
from yuyi.records import read_batches, read_columns
from yuyi.train.passages import read_texts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from yuyi.text.tokenizer import BatchTokenizer
    from yuyi.train.settings import DataEntry, TrainConfig

# Rows of a collection whose texts are tokenised, and how many of them one block of a file gives at most.
_SAMPLE, _OF_BLOCK = 512, 64
_BLOCK = 65_536
# Documents of a file whose texts are tokenised.
_DOCUMENTS = 200

_NONE = np.zeros(0, dtype=np.int64)


@dataclass(slots=True)
class Surveyed:
    """The rows of one collection and kind.

    Attributes:
        name: of the collection.
        kind: what the two texts of a pair are to each other.
        rows: how many there are.
        labelled: how many of them have a label.
        with_negatives: how many of them bring hard negatives.
        queries: some of the texts that ask.
        documents: the texts that answer those.
        negatives: of each of those rows, the hard negatives that it brings.
        query_tokens: (sampled rows,) int64, their lengths without special tokens; empty until counted.
        document_tokens: likewise.
    """

    name: str
    kind: str
    rows: int = 0
    labelled: int = 0
    with_negatives: int = 0
    queries: list[str] = field(default_factory=list)
    documents: list[str] = field(default_factory=list)
    negatives: list[int] = field(default_factory=list)
    query_tokens: NDArray[np.int64] = field(default_factory=_NONE.copy)
    document_tokens: NDArray[np.int64] = field(default_factory=_NONE.copy)

    def count(self, tokenizer: BatchTokenizer) -> None:
        """Tokenise what was sampled."""
        self.query_tokens = tokenizer(self.queries).lengths
        self.document_tokens = tokenizer(self.documents).lengths


def survey(config: TrainConfig) -> list[Surveyed]:
    """Each collection and kind of the pairs that the run names, in order of name; texts of some rows.

    Raises:
        InputError: a file is missing, damaged, without rows, or lacks a column.
    """
    found: dict[tuple[str, str], Surveyed] = {}
    for entry in config.data:
        before = sum(each.rows for each in found.values())
        _survey_file(entry, found, config.seed)
        if sum(each.rows for each in found.values()) == before:
            raise InputError(f"{entry.path}: has no rows. Name another file, or leave it out.")
    return [found[key] for key in sorted(found)]


def _survey_file(entry: DataEntry, found: dict[tuple[str, str], Surveyed], seed: int) -> None:
    generator = np.random.default_rng(seed)
    needed = ["text_a", "text_b", *([] if entry.name else ["source"]), *([] if entry.kind else ["kind"])]
    for batch in read_batches(Path(entry.path), needed, ["label", "negatives"], rows=_BLOCK):
        names = _values(batch, "source", entry.name)
        kinds = _values(batch, "kind", entry.kind)
        labelled = _present(batch, "label")
        negatives = _counts(batch, "negatives")
        groups = np.asarray([f"{name}\0{kind}" for name, kind in zip(names, kinds, strict=True)])
        for group in np.unique(groups):
            rows = np.flatnonzero(groups == group)
            name, _, kind = str(group).partition("\0")
            each = found.setdefault((name, kind), Surveyed(name, kind))
            each.rows += len(rows)
            each.labelled += int(labelled[rows].sum())
            each.with_negatives += int((negatives[rows] > 0).sum())
            room = max(0, min(_OF_BLOCK, _SAMPLE - len(each.queries)))
            for row in np.sort(generator.permutation(rows)[:room]).tolist():
                each.queries.append(batch["text_a"][row].as_py() or "")
                each.documents.append(batch["text_b"][row].as_py() or "")
                each.negatives.append(int(negatives[row]))


def survey_documents(config: TrainConfig, tokenizer: BatchTokenizer) -> tuple[int, int]:
    """How many rows of tokens the documents of a run give, and how many tokens, about.

    Some documents of each file are tokenised; the others are taken to be as long.

    Raises:
        InputError: a file is missing or damaged, or holds no texts.
    """
    rows = tokens = 0
    for path in map(Path, config.documents):
        texts = [text for text, _ in zip(read_texts(path), range(_DOCUMENTS), strict=False)]
        if not texts:
            raise InputError(f"{path}: has no rows. Name another file, or leave it out.")
        lengths = tokenizer(texts).lengths
        lengths = lengths[lengths >= config.passages.shortest]
        names, count = read_columns(path)
        share = max(1.0, count * (2 if "text_a" in names else 1) / len(texts))
        rows += round(share * int((-(-lengths // config.passages.longest)).sum()))
        tokens += round(share * int(lengths.sum()))
    return rows, tokens


def _values(batch: Any, column: str, instead: str) -> list[str]:
    return [instead] * len(batch) if instead else batch[column].to_pylist()


def _present(batch: Any, column: str) -> NDArray[np.bool_]:
    """(rows,) whether a row has a value in an optional column."""
    if column not in batch.schema.names:
        return np.zeros(len(batch), dtype=bool)
    return np.asarray(batch[column].is_valid().to_numpy(zero_copy_only=False), dtype=bool)


def _counts(batch: Any, column: str) -> NDArray[np.int64]:
    """(rows,) how many values a row has in an optional column of lists."""
    import pyarrow.compute as pc

    if column not in batch.schema.names:
        return np.zeros(len(batch), dtype=np.int64)
    counts = pc.fill_null(pc.list_value_length(batch[column]), 0)
    return np.asarray(counts.to_numpy(zero_copy_only=False), dtype=np.int64)
