"""A model with a part of its vocabulary: the pieces that a corpus needs, each with the vector it had.

A text whose pieces all stay is cut into the same pieces as before. WordPiece takes the longest piece that
fits, so the pieces that are gone were never in its way. Unigram looks for the most probable cut, which is
still there, among fewer others; the lowest score stays, since that of unknown characters is told from it. BPE
merges step by step, so whatever a piece that stays is merged from stays too.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tokenizers import Tokenizer

from yuyi.errors import InputError, RecipeError
from yuyi.model.encoder import TransformerEncoder
from yuyi.text.tokenizer import BatchTokenizer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from yuyi.train.starting.model_config import KeepVocabulary

# Texts that are tokenised at a time.
_BLOCK = 1024
_BYTE = re.compile(r"<0x[0-9A-F]{2}>")


def cut_vocabulary(
    encoder: TransformerEncoder,
    tokenizer: Tokenizer,
    texts: Iterable[str],
    config: KeepVocabulary,
    prompts: Iterable[str] = (),
) -> tuple[TransformerEncoder, Tokenizer]:
    """Encoder and tokenizer with the pieces that `texts` need; what went in stays as it is.

    The encoder shares all weights but the token table with the one it was made of.

    Args:
        encoder: the whole one.
        tokenizer: its own.
        texts: the corpus, read once.
        config: how rare a piece may be, and how many may stay.
        prompts: texts that stand before others; their pieces stay, however rare.

    Raises:
        InputError: there is no text.
        RecipeError: the pieces that always stay are more than `config.most`.
    """
    counts = count_pieces(texts, tokenizer)
    if not counts.any():
        raise InputError(
            "model.keep_vocabulary: there are no texts to count pieces in. Give some, or leave it out."
        )
    of_prompts = np.flatnonzero(count_pieces(prompts, tokenizer)).tolist()
    kept = choose_pieces(tokenizer, counts, config, chain(_first_pieces(encoder), of_prompts))
    return _cut_table(encoder, kept), cut_tokenizer(tokenizer, kept)


def choose_pieces(
    tokenizer: Tokenizer, counts: NDArray[np.int64], config: KeepVocabulary, first: Iterable[int] = ()
) -> list[int]:
    """The ids that stay, rising: what must stay, then the most frequent pieces and what they are merged from.

    Args:
        tokenizer: the whole one.
        counts: (ids,) how often each piece occurs in the corpus.
        config: how rare a piece may be, and how many may stay.
        first: ids that must stay for the encoder's sake, or a prompt's.

    Raises:
        RecipeError: the pieces that must stay are more than `config.most`.
    """
    raw = json.loads(tokenizer.to_str())
    parts = _parts(raw["model"])
    kept = _with_parts({*first, *_always(raw)}, parts)
    most = len(counts) if config.most is None else config.most
    if len(kept) > most:
        raise RecipeError(
            f"model.keep_vocabulary.most: {most:,}, and special tokens and single characters alone are "
            f"{len(kept):,} of {len(counts):,} pieces. Raise it."
        )
    for piece in np.argsort(-counts, kind="stable").tolist():
        if counts[piece] < config.at_least:
            break
        more = _with_parts({piece}, parts) - kept
        if len(kept) + len(more) > most:
            break
        kept |= more
    return sorted(kept)


def cut_tokenizer(tokenizer: Tokenizer, kept: Sequence[int]) -> Tokenizer:
    """The tokenizer with these pieces alone, numbered in the order of `kept`.

    Args:
        tokenizer: stays as it is.
        kept: ids, rising; special tokens and whatever a piece is merged from are among them.
    """
    numbers = {old: new for new, old in enumerate(kept)}
    raw = json.loads(tokenizer.to_str())
    model = raw["model"]
    if isinstance(model["vocab"], list):
        model["vocab"] = [entry for old, entry in enumerate(model["vocab"]) if old in numbers]
        model["unk_id"] = numbers.get(model["unk_id"])
    else:
        old_numbers = model["vocab"]
        model["vocab"] = {piece: numbers[old] for piece, old in old_numbers.items() if old in numbers}
        if "merges" in model:
            model["merges"] = [
                merge
                for merge in model["merges"]
                if all(piece in model["vocab"] for piece in (*_pair(merge), _merged(merge, model)))
            ]
    for token in raw["added_tokens"]:
        token["id"] = numbers[token["id"]]
    _renumber(raw["post_processor"], numbers)
    raw["truncation"] = raw["padding"] = None
    cut: Tokenizer = Tokenizer.from_str(json.dumps(raw, ensure_ascii=False))
    return cut


def count_pieces(texts: Iterable[str], tokenizer: Tokenizer) -> NDArray[np.int64]:
    """(ids,) int64, how often each piece occurs; special tokens around the texts are not counted."""
    tokenize = BatchTokenizer(tokenizer)
    counts = np.zeros(1 + max(tokenizer.get_vocab(with_added_tokens=True).values()), dtype=np.int64)
    waiting = iter(texts)
    while block := list(islice(waiting, _BLOCK)):
        counts += np.bincount(tokenize(block).ids, minlength=len(counts))
    return counts


def _first_pieces(encoder: TransformerEncoder) -> range:
    """The padding token; where positions are counted from its id on, that id must not change."""
    pad = encoder.config.pad_id
    return range(0 if encoder.config.position_offset else pad, pad + 1)


def _always(raw: dict[str, Any]) -> set[int]:
    """Ids of special tokens, of the unknown piece, of single characters and of bytes."""
    model = raw["model"]
    always = {token["id"] for token in raw["added_tokens"]}
    if isinstance(model["vocab"], list):
        scores = [score for _, score in model["vocab"]]
        always |= {scores.index(min(scores)), *([] if model["unk_id"] is None else [model["unk_id"]])}
        pieces = {piece: number for number, (piece, _) in enumerate(model["vocab"])}
    else:
        pieces = model["vocab"]
    inner, last = model.get("continuing_subword_prefix") or "", model.get("end_of_word_suffix") or ""
    return always | {
        number
        for piece, number in pieces.items()
        if len(piece.removeprefix(inner).removesuffix(last)) <= 1
        or piece == model.get("unk_token")
        or _BYTE.fullmatch(piece)
    }


def _parts(model: dict[str, Any]) -> dict[int, set[int]]:
    """For each piece of a BPE, the pieces that it may be merged from; nothing for other kinds."""
    parts: dict[int, set[int]] = {}
    for merge in model.get("merges") or ():
        result = model["vocab"].get(_merged(merge, model))
        if result is not None:
            parts.setdefault(result, set()).update(model["vocab"][piece] for piece in _pair(merge))
    return parts


def _with_parts(pieces: set[int], parts: dict[int, set[int]]) -> set[int]:
    found, waiting = set(pieces), list(pieces)
    while waiting:
        new = parts.get(waiting.pop(), set()) - found
        found |= new
        waiting.extend(new)
    return found


def _pair(merge: str | list[str]) -> Sequence[str]:
    """The two pieces of a merge, which older files write as one string."""
    return merge.split(" ") if isinstance(merge, str) else merge


def _merged(merge: str | list[str], model: dict[str, Any]) -> str:
    first, second = _pair(merge)
    return first + second.removeprefix(model.get("continuing_subword_prefix") or "")


def _renumber(processor: dict[str, Any] | None, numbers: dict[int, int]) -> None:
    """Give the special tokens of a post-processor their new ids, in place."""
    if processor is None:
        return
    for inner in processor.get("processors", ()):
        _renumber(inner, numbers)
    for token in ("cls", "sep"):
        if isinstance(processor.get(token), list):
            processor[token][1] = numbers[processor[token][1]]
    for token in (processor.get("special_tokens") or {}).values():
        token["ids"] = [numbers[old] for old in token["ids"]]


def _cut_table(encoder: TransformerEncoder, kept: Sequence[int]) -> TransformerEncoder:
    config = encoder.config
    with torch.device("meta"):
        smaller = TransformerEncoder(replace(config, vocabulary=len(kept), pad_id=kept.index(config.pad_id)))
    state = encoder.state_dict()
    state["embeddings.tokens.weight"] = state["embeddings.tokens.weight"][list(kept)]
    smaller.load_state_dict(state, assign=True)
    return smaller.eval()
