"""An encoder distilled into a token table.

Each piece begins with the encoder's vector of it, on the principal axes of what the encoder says and cut to
fewer dimensions, less what all pieces have in common (Model2Vec, Tulkens and van Dongen 2024,
https://github.com/MinishLab/model2vec), the shorter the more frequent it is; then the table learns to follow
the encoder on whole texts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from yuyi.artifacts import hash_json
from yuyi.encode.static_backend import StaticBackend
from yuyi.encode.static_folder import StaticCard, StaticModel
from yuyi.errors import InputError
from yuyi.export.distilling.follow import Lesson, follow
from yuyi.export.distilling.pieces import counted_pieces, own_pieces
from yuyi.export.quantizing.texts import calibration_texts
from yuyi.text.plan import select
from yuyi.text.prompts import Prompts
from yuyi.text.rows import read_texts
from yuyi.text.tokenizer import BatchTokenizer
from yuyi.train.static import frequency_weights
from yuyi.train.teaching.teacher_vectors import turn
from yuyi.types import TokenBatch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from tokenizers import Tokenizer

    from yuyi.encode import Encoder
    from yuyi.export.distilling.pieces import Pieces
    from yuyi.export.distilling.settings import Distilling

    Vectors = NDArray[np.float32]

# Words are counted in so many times as many texts as the encoder is asked about.
_COUNTED = 10
_HELD_OUT = 0.05
# A corpus must leave something to learn and something to hold out.
_FEWEST = 20


def distil(
    teacher: Encoder, tokenizer: Tokenizer, settings: Distilling
) -> tuple[StaticModel, dict[str, Any]]:
    """The table, and what is known of it: its pieces, its dimension, how near it is to the encoder.

    The encoder's prompts stand before nothing: the table has their names, which callers may use, and each of
    them is empty.

    Args:
        teacher: the encoder.
        tokenizer: its own, which gives the pieces where there is no corpus.
        settings: what the table is made of.

    Raises:
        InputError: the corpus is missing, damaged or too small.
        MissingExtra: what reads the corpus or segments Chinese is not installed.
    """
    check_corpus(settings)
    texts = _draw(settings) if settings.corpus else []
    pieces = counted_pieces(texts, teacher.folder, settings.pieces) if texts else own_pieces(tokenizer)
    texts = texts[: settings.texts]
    rows, vectors = _turned(teacher, pieces, texts, settings.dim)
    tokenize = BatchTokenizer(pieces.tokenizer)
    tokens = _audible(tokenize(texts), pieces.silent)
    # Without texts, yuyi's own tell at least which pieces are on every line.
    counted = tokens if texts else _audible(tokenize(calibration_texts(None)), pieces.silent)
    table = (rows * frequency_weights(_shares(counted, len(rows)))[:, None]).astype(np.float32)
    facts: dict[str, Any] = {"pieces": len(table), "dim": table.shape[1], "texts": len(texts)}
    if any(teacher.prompts.values()):
        facts["prompts"] = "left out"
    if texts:
        held = max(1, int(len(texts) * _HELD_OUT))
        parts = np.arange(held), np.arange(held, len(texts))
        held_out, lesson = (Lesson(select(tokens, part), vectors[part]) for part in parts)
        followed = follow(table, lesson, held_out, settings.epochs, settings.seed)
        table = followed.table
        facts |= {
            "held_out": held,
            "before": followed.before,
            "after": followed.after,
            "epochs": followed.epochs,
        }
    card = StaticCard(f"{teacher.name}-static", (table.shape[1],), teacher.languages, teacher.license)
    digest = hash_json([teacher.fingerprint, facts])
    prompts = Prompts(dict.fromkeys(teacher.prompts, ""))
    return StaticModel(card, pieces.tokenizer, StaticBackend(table, None), digest, prompts), facts


def check_corpus(settings: Distilling) -> None:
    """Return when there is no corpus, or enough different texts are in it to learn from.

    Raises:
        InputError: it is missing, damaged or too small.
    """
    if settings.corpus is None:
        return
    different: set[str] = set()
    for text in _cut_texts(settings):
        different.add(text)
        if len(different) == _FEWEST:
            return
    raise InputError(
        f"--distil {settings.corpus}: holds {len(different)} different texts, and a table learns from at "
        f"least {_FEWEST}, better from tens of thousands. Give more, one a line."
    )


def _draw(settings: Distilling) -> list[str]:
    """Different texts of the corpus in the order of a lottery, enough of them to count words in."""
    most = settings.texts * _COUNTED
    random = np.random.default_rng(settings.seed)
    drawn: dict[str, float] = {}
    for text in _cut_texts(settings):
        drawn.setdefault(text, random.random())
        if len(drawn) >= 2 * most:
            drawn = dict(sorted(drawn.items(), key=lambda item: item[1])[:most])
    return sorted(drawn, key=drawn.__getitem__)[:most]


def _cut_texts(settings: Distilling) -> Iterator[str]:
    for block in read_texts(str(settings.corpus)):
        yield from (cut for text in block.texts if (cut := text[: settings.characters].strip()))


def _turned(teacher: Encoder, pieces: Pieces, texts: list[str], dim: int) -> tuple[Vectors, Vectors]:
    """(pieces, dim) less their mean, zeros for silent ones, and (texts, dim), both on the same axes."""
    spoken = [text for text in pieces.texts if text]
    # A prompt is for the encoder alone: every piece would have its meaning in it.
    vectors = teacher.encode([*texts, *spoken], prompt="")
    turned = np.zeros((len(vectors), min(dim, teacher.dim)), dtype=np.float32)
    turn(vectors, turned)
    rows = np.zeros((len(pieces.texts), turned.shape[1]), dtype=np.float32)
    rows[~pieces.silent] = turned[len(texts) :] - turned[len(texts) :].mean(axis=0)
    return rows, turned[: len(texts)]


def _audible(tokens: TokenBatch, silent: NDArray[np.bool_]) -> TokenBatch:
    """The tokens without those of pieces that mean nothing, whose rows are to stay zeros."""
    kept = ~silent[tokens.ids]
    counts = np.concatenate([[0], np.cumsum(kept)])
    return TokenBatch(tokens.ids[kept], counts[tokens.offsets])


def _shares(tokens: TokenBatch, pieces: int) -> NDArray[np.float64]:
    """(pieces,) share of each among all tokens."""
    shares: NDArray[np.float64] = np.bincount(tokens.ids, minlength=pieces) / max(1, len(tokens.ids))
    return shares
