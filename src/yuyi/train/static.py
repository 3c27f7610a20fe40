"""A token table from pairs: tokenise, choose the first vectors, train, fold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from yuyi.text.tokenizer import SEPARATOR
from yuyi.train.loop import Trainer
from yuyi.train.reading.corpus import read_sources, teacher_source
from yuyi.train.routes import routed
from yuyi.train.starting.vocabulary import UNKNOWN
from yuyi.train.table import Parts, TokenTable, is_chinese_word
from yuyi.train.tasks import EmbeddingRunner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from tokenizers import Tokenizer

    from yuyi.records import Pair
    from yuyi.train.config import Course, Task
    from yuyi.train.reading.sources import Source

    Teacher = tuple[Sequence[str], NDArray[np.float32]]

# The constant of smooth inverse frequency weighting, and a teacher vector's length, as that of a random row.
_SIF = 1e-3
_TEACHER_LENGTH = 16.0


def train_table(
    config: Course,
    tokenizer: Tokenizer,
    pairs: Iterable[Pair],
    teacher: Teacher | None = None,
    folder: Path | None = None,
    log: Callable[[dict[str, Any]], None] | None = None,
) -> NDArray[np.float32]:
    """(vocabulary, dim) float32, a trained row for each piece of `tokenizer`.

    Args:
        config: stages and dimensions.
        tokenizer: its vocabulary decides the rows.
        pairs: what is learned from.
        teacher: texts and their (texts, dim) float32 vectors, or None.
        folder: where the run leaves its checkpoints, and goes on from them; see `Trainer.run`. Or None.
        log: called with one dictionary every few steps.

    Raises:
        RecipeError: a task finds no rows, or a loss is not finite.
    """
    sources = read_sources(pairs, tokenizer, config.longest)
    pieces = pieces_of(tokenizer)
    learner = TokenTable(*first_table(pieces, sources, max(config.dims), config.seed, teacher))
    vectors = None
    if teacher is not None:
        texts, vectors = teacher
        sources.append(teacher_source(texts, tokenizer, config.longest))
    config = routed(config, sources)

    def open_task(task: Task, seed: Sequence[int]) -> EmbeddingRunner:
        return EmbeddingRunner(task, learner, sources, config.dims, config.exponent, seed, vectors)

    trainer = Trainer(config, learner, open_task)
    trainer.check()
    trainer.run(folder, keep=1, log=log)
    return finished_table(learner, pieces)


def pieces_of(tokenizer: Tokenizer) -> list[str]:
    """The pieces of a vocabulary in order of their numbers."""
    numbers = tokenizer.get_vocab()
    return sorted(numbers, key=numbers.__getitem__)


def first_table(
    pieces: Sequence[str], sources: Sequence[Source], dim: int, seed: int, teacher: Teacher | None = None
) -> tuple[Parts, NDArray[np.float32]]:
    """The parts of a vocabulary, and the (parts, dim) float32 vectors that they begin with.

    Args:
        pieces: of the vocabulary, in order of their numbers.
        sources: what is learned from; frequent pieces begin with short vectors.
        dim: length of a vector.
        seed: of the random generator.
        teacher: texts and their (texts, dim) vectors; pieces among the texts begin with the teacher's.
    """
    parts = Parts.of(pieces)
    start = first_vectors(parts, _frequencies(sources, len(pieces)), dim, seed)
    # A Chinese word begins as nothing but its characters; what it means beyond them is learned.
    start[[row for row, piece in enumerate(pieces) if is_chinese_word(piece)]] = 0
    if teacher is not None:
        _start_from_words(start, pieces, *teacher)
    return parts, start


def finished_table(learner: TokenTable, pieces: Sequence[str]) -> NDArray[np.float32]:
    """(pieces, dim) float32, a row for each piece as it is served."""
    table = learner.fold()
    # What carries no meaning must not turn a vector: unknown characters, and the separator between texts.
    table[[pieces.index(UNKNOWN), pieces.index(SEPARATOR)]] = 0
    return table


def first_vectors(parts: Parts, frequencies: NDArray[np.float64], dim: int, seed: int) -> NDArray[np.float32]:
    """(parts, dim) float32, random, each shortened by its share of all tokens.

    Args:
        parts: of the vocabulary.
        frequencies: (pieces,) share of each piece among all tokens.
        dim: length of a vector.
        seed: of the random generator.
    """
    shares = np.zeros(parts.count)
    owners = np.repeat(np.arange(len(frequencies)), np.diff(parts.offsets))
    np.add.at(shares, parts.ids, frequencies[owners])
    weights = frequency_weights(shares)
    noise = np.random.default_rng(seed).normal(size=(len(shares), dim))
    return (noise * weights[:, None]).astype(np.float32)


def frequency_weights(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """What a piece weighs that is `share` of all tokens: a / (a + share), a = 0.001.

    Source: smooth inverse frequency, Arora et al. 2017, "A simple but tough-to-beat baseline for sentence
    embeddings".
    """
    weights: NDArray[np.float64] = _SIF / (_SIF + shares)
    return weights


def _frequencies(sources: Sequence[Source], pieces: int) -> NDArray[np.float64]:
    """(pieces,) share of each piece, the sources weighted as they are sampled."""
    counts = np.zeros(pieces)
    for source in sources:
        for side in (source.queries.tokens, source.documents.tokens):
            counts += len(source) ** -0.5 * np.bincount(side.ids, minlength=pieces)
    shares: NDArray[np.float64] = counts / (counts.sum() or 1.0)
    return shares


def _start_from_words(
    start: NDArray[np.float32], pieces: Sequence[str], texts: Sequence[str], vectors: NDArray[np.float32]
) -> None:
    """Turn the first vector of each piece that the teacher was asked about into its answer, no longer."""
    rows = {piece: row for row, piece in enumerate(pieces)}
    for text, vector in zip(texts, vectors, strict=True):
        row = rows.get(text)
        if row is not None:
            weight = np.linalg.norm(start[row]) / np.sqrt(start.shape[1])
            start[row] = vector * _TEACHER_LENGTH * weight
