"""A smaller vocabulary: texts of the pieces that stay are cut as before, to the very same vectors."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from model.oracles import FOLDERS, TEXTS, TINY, flat
from tokenizers import Tokenizer, models

from yuyi.errors import InputError, RecipeError
from yuyi.model.config import read_config
from yuyi.model.weights import load_encoder
from yuyi.text.tokenizer_folder import read_tokenizer
from yuyi.train.starting.cut_vocabulary import choose_pieces, cut_tokenizer, cut_vocabulary
from yuyi.train.starting.model_config import KeepVocabulary

if TYPE_CHECKING:
    from yuyi.model.encoder import TransformerEncoder

CORPUS = ("How do I renew my passport?", "向量数据库保存这些向量。", "Where can I buy a good watch?")


@cache
def _whole(name: str) -> tuple[TransformerEncoder, Tokenizer]:
    tokenizer = read_tokenizer(TINY / name)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return load_encoder(TINY / name, read_config(TINY / name)), tokenizer


@cache
def _cut(name: str) -> tuple[TransformerEncoder, Tokenizer]:
    return cut_vocabulary(*_whole(name), CORPUS, KeepVocabulary())


def _states(encoder: TransformerEncoder, ids: list[int]) -> torch.Tensor:
    with torch.inference_mode():
        return encoder(*flat([ids]))


@pytest.mark.parametrize("name", FOLDERS)
def test_what_stays_is_cut_and_embedded_as_before(name: str) -> None:
    (whole, all_pieces), (encoder, pieces) = _whole(name), _cut(name)
    assert encoder.config.vocabulary == pieces.get_vocab_size() < all_pieces.get_vocab_size()
    for text in CORPUS:
        before, after = all_pieces.encode(text), pieces.encode(text)
        assert after.tokens == before.tokens
        assert (after.type_ids, after.offsets) == (before.type_ids, before.offsets)
        assert torch.equal(_states(encoder, after.ids), _states(whole, before.ids))
    pair = all_pieces.encode(*CORPUS[:2]).tokens
    assert pieces.encode(*CORPUS[:2]).tokens == pair


@pytest.mark.parametrize("name", FOLDERS)
def test_every_piece_keeps_its_vector(name: str) -> None:
    (whole, all_pieces), (encoder, pieces) = _whole(name), _cut(name)
    old = whole.embeddings.tokens.weight
    new = encoder.embeddings.tokens.weight
    numbers = pieces.get_vocab()
    assert sorted(numbers.values()) == list(range(len(new)))
    for piece, number in numbers.items():
        assert torch.equal(new[number], old[all_pieces.token_to_id(piece)]), piece
    # In the order they had.
    kept = sorted(numbers, key=numbers.__getitem__)
    assert kept == sorted(kept, key=all_pieces.token_to_id)
    assert pieces.id_to_token(encoder.config.pad_id) == all_pieces.id_to_token(whole.config.pad_id)
    for other, parameter in whole.named_parameters():
        if other != "embeddings.tokens.weight":
            assert torch.equal(parameter, encoder.get_parameter(other))
    assert whole.config.vocabulary == len(old)


@pytest.mark.parametrize("name", FOLDERS)
def test_special_tokens_and_single_characters_stay(name: str) -> None:
    (_, all_pieces), (_, pieces) = _whole(name), _cut(name)
    for piece in all_pieces.get_vocab():
        if len(piece.removeprefix("##")) == 1:
            assert pieces.token_to_id(piece) is not None
    specials = {number: token.content for number, token in pieces.get_added_tokens_decoder().items()}
    wanted = {token.content for token in all_pieces.get_added_tokens_decoder().values()}
    assert set(specials.values()) == wanted
    assert all(pieces.token_to_id(content) == number for number, content in specials.items())
    # So no text becomes unknown that was not.
    unknown = {"[UNK]", "<unk>"}
    for text in TEXTS:
        if not unknown & set(all_pieces.encode(text).tokens):
            assert not unknown & set(pieces.encode(text).tokens)


@given(data=st.data())
@settings(max_examples=60)
@pytest.mark.parametrize("name", ["bert-zh", "roberta", "xlm-roberta"])
def test_any_choice_of_pieces(name: str, data: st.DataObject) -> None:
    _, whole = _whole(name)
    parts = st.sampled_from([*" ".join(TEXTS).split(), *(piece.strip("#Ġ▁") for piece in whole.get_vocab())])
    before = whole.encode(text := data.draw(st.lists(parts, max_size=8).map(" ".join)))
    counts = np.zeros(whole.get_vocab_size(), dtype=np.int64)
    counts[before.ids] = 1
    counts[data.draw(st.lists(st.integers(0, len(counts) - 1), max_size=30))] = 1
    kept = choose_pieces(whole, counts, KeepVocabulary())
    assert set(np.flatnonzero(counts).tolist()) <= set(kept)
    after = cut_tokenizer(whole, kept).encode(text)
    assert after.tokens == before.tokens
    assert [kept[number] for number in after.ids] == before.ids


def test_the_lowest_score_of_a_unigram_stays() -> None:
    # "XYZ" is cut into XY and Z, since an unknown X costs the lowest score and ten. Without the piece of the
    # lowest score an unknown X followed by YZ would be cheaper.
    scores = [("<unk>", 0.0), ("XY", -12.0), ("Z", -12.0), ("Y", -12.0), ("YZ", -1.0), ("rare", -20.0)]
    whole = Tokenizer(models.Unigram(scores, unk_id=0))
    kept = choose_pieces(whole, np.array([0, 5, 5, 5, 5, 0]), KeepVocabulary())
    assert whole.encode("XYZ").tokens == ["XY", "Z"] == cut_tokenizer(whole, kept).encode("XYZ").tokens
    assert cut_tokenizer(whole, [0, 1, 2, 3, 4]).encode("XYZ").tokens == ["X", "YZ"]


def test_pieces_that_others_are_merged_from_stay() -> None:
    _, whole = _whole("roberta")
    merges = [tuple(merge) for merge in json.loads(whole.to_str())["model"]["merges"]]
    first, second = next(pair for pair in merges if min(map(len, pair)) >= 2)
    counts = np.zeros(whole.get_vocab_size(), dtype=np.int64)
    counts[whole.token_to_id(first + second)] = 9
    kept = choose_pieces(whole, counts, KeepVocabulary())
    assert {whole.token_to_id(piece) for piece in (first, second, first + second)} <= set(kept)
    text = whole.decoder.decode([first + second])
    assert cut_tokenizer(whole, kept).encode(text, add_special_tokens=False).tokens == [first + second]


def test_how_rare_and_how_many() -> None:
    encoder, whole = _whole("bert-zh")
    counts = np.zeros(whole.get_vocab_size(), dtype=np.int64)
    words = [whole.token_to_id(word) for word in ("passport", "renew", "watch", "kong")]
    counts[words] = [4, 3, 2, 1]
    fewest = len(choose_pieces(whole, counts, KeepVocabulary(at_least=5)))
    for most in range(4):
        kept = choose_pieces(whole, counts, KeepVocabulary(most=fewest + most))
        assert len(kept) == fewest + most
        assert set(words[:most]) <= set(kept)
    assert len(choose_pieces(whole, counts, KeepVocabulary(at_least=3))) == fewest + 2
    assert len(choose_pieces(whole, counts, KeepVocabulary(at_least=3, most=fewest + 1))) == fewest + 1
    with pytest.raises(RecipeError, match=r"most: 20, and special tokens and single characters alone are"):
        choose_pieces(whole, counts, KeepVocabulary(most=20))
    for texts in ([], [""]):
        with pytest.raises(InputError, match=r"model\.keep_vocabulary: there are no texts"):
            cut_vocabulary(encoder, whole, texts, KeepVocabulary())


def test_counts_are_those_of_the_whole_corpus() -> None:
    corpus = ["vectors"] * 3000 + ["python"] * 2999
    encoder, pieces = cut_vocabulary(*_whole("bert-zh"), iter(corpus), KeepVocabulary(at_least=3000))
    assert pieces.token_to_id("vectors") is not None
    assert pieces.token_to_id("python") is None
    assert pieces.encode("python").tokens != ["[CLS]", "[UNK]", "[SEP]"]
    assert encoder.embeddings.tokens.weight.requires_grad


@pytest.mark.parametrize("name", FOLDERS)
def test_prompts_are_cut_as_before_however_rare_their_pieces(name: str) -> None:
    prompts = ("为这个句子生成表示以用于检索相关文章：", "Represent this sentence for searching: ")
    _, pieces = cut_vocabulary(*_whole(name), CORPUS, KeepVocabulary(at_least=3), prompts)
    for prompt in prompts:
        assert pieces.encode(prompt).tokens == _whole(name)[1].encode(prompt).tokens
