"""Word pieces trained on Chinese and English texts, and opened by transformers."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

from yuyi.errors import InputError, RecipeError
from yuyi.train.starting.model_config import TokenizerConfig
from yuyi.train.starting.wordpieces import train_wordpieces

TINY = Path(__file__).parent.parent / "tiny"
CORPUS = (
    "今天天气很好，我们去公园散步。今天我们学习自然语言处理。",
    "自然语言处理让计算机理解语言；语言处理的应用很多！",
    "How do I renew my passport? The passport office renews passports every weekday.",
    "Learning to learn: learners learned what teachers teach, teaching teachers.",
    "Café prices in Zürich: 12.50 per cup. Kaffee in Zürich, café in Paris.",
    "Python 3.13 支持自由线程模式，numpy 和 python 都要更新。",
) * 3
STRANGE = (
    "𠮷野家 é ü ﬁ 全角ＡＢＣ１２３ 😀",
    "a\u200bb\u0000c\tд e\u0301",
    "snake_case x²",
    "",
    " ",
    "##ing [CLS]",
)


@cache
def _trained() -> Tokenizer:
    return train_wordpieces(CORPUS, TokenizerConfig(pieces=300, smallest_count=1))


@pytest.mark.parametrize("lower_case", [True, False])
def test_transformers_cuts_texts_alike(lower_case: bool, tmp_path: Path) -> None:
    from transformers import BertTokenizer

    config = TokenizerConfig(pieces=400, smallest_count=2, lower_case=lower_case)
    tokenizer = train_wordpieces(CORPUS, config)
    numbers = tokenizer.get_vocab()
    vocabulary = tmp_path / "vocab.txt"
    vocabulary.write_text("\n".join(sorted(numbers, key=numbers.__getitem__)), encoding="utf-8")
    peer = BertTokenizer(vocab=str(vocabulary), do_lower_case=lower_case)
    for text in (*CORPUS, *STRANGE):
        assert tokenizer.encode(text).ids == peer(text)["input_ids"], text
    pair = tokenizer.encode("今天", "passport")
    assert pair.ids == peer("今天", "passport")["input_ids"]
    assert pair.type_ids == peer("今天", "passport")["token_type_ids"]


def test_what_is_learned() -> None:
    tokenizer = train_wordpieces(CORPUS, TokenizerConfig(pieces=180, smallest_count=2))
    numbers = tokenizer.get_vocab()
    pieces = sorted(numbers, key=numbers.__getitem__)
    assert len(pieces) == 180
    assert pieces[:5] == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    # Chinese characters stand alone and are never joined; words grow together.
    assert {"语", "言", "，"} <= numbers.keys()
    assert "##语" not in numbers
    assert not [piece for piece in pieces if len(piece) > 1 and "\u4e00" <= piece[-1] <= "\u9fff"]
    assert tokenizer.encode("语言").tokens == ["[CLS]", "语", "言", "[SEP]"]
    assert tokenizer.encode("Passport", add_special_tokens=False).tokens == ["passport"]
    assert tokenizer.encode("café", add_special_tokens=False).tokens == ["cafe"]
    # Single characters come before what is merged of them.
    inner = [number for piece, number in numbers.items() if len(piece) == 3 and piece.startswith("##")]
    assert max(inner) < numbers["passport"]


def test_rare_characters_are_left_out() -> None:
    texts = [*(["常见的字 common"] * 5), "罕 ǂ"]
    tokenizer = train_wordpieces(texts, TokenizerConfig(pieces=60, smallest_count=2))
    assert tokenizer.token_to_id("罕") is None
    assert tokenizer.token_to_id("常") is not None
    assert tokenizer.encode("罕", add_special_tokens=False).tokens == ["[UNK]"]


@given(st.lists(st.sampled_from([*"今天语言，. 1P", "pass", "port", "learn", "ing", "ü", " "]), max_size=30))
@settings(max_examples=50)
def test_texts_of_seen_characters_are_known(parts: list[str]) -> None:
    assert "[UNK]" not in _trained().encode("".join(parts)).tokens


def test_the_same_corpus_gives_the_same_bytes_everywhere() -> None:
    code = (
        "import sys, hashlib, json\n"
        "from yuyi.train.starting.model_config import TokenizerConfig\n"
        "from yuyi.train.starting.wordpieces import train_wordpieces\n"
        "made = train_wordpieces(json.load(sys.stdin), TokenizerConfig(pieces=200, smallest_count=1))\n"
        "print(hashlib.sha256(made.to_str().encode()).hexdigest())\n"
    )
    here = train_wordpieces(CORPUS, TokenizerConfig(pieces=200, smallest_count=1)).to_str()
    shuffled = train_wordpieces(reversed(CORPUS), TokenizerConfig(pieces=200, smallest_count=1)).to_str()
    assert shuffled == here
    for seed in ("1", "2"):
        ran = subprocess.run(
            [sys.executable, "-c", code],
            input=json.dumps(CORPUS),
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed, "RAYON_NUM_THREADS": seed},
        )
        assert ran.stdout.strip() == hashlib.sha256(here.encode()).hexdigest()


def test_pieces_are_those_of_the_trainer_itself() -> None:
    # Ties aside, what is merged is what the library merges from the raw texts.
    texts = [text for text in CORPUS if text.isascii()] + ["teach " * 40, "learn " * 60, "pass " * 80]
    ours = train_wordpieces(texts, TokenizerConfig(pieces=80, smallest_count=1)).get_vocab()
    peer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    peer.normalizer = normalizers.BertNormalizer(lowercase=True)
    peer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    peer.train_from_iterator(texts, trainers.WordPieceTrainer(vocab_size=75, show_progress=False))
    merged = {piece for piece in peer.get_vocab() if len(piece.removeprefix("##")) > 1}
    found = {piece for piece in ours if len(piece.removeprefix("##")) > 1 and not piece.startswith("[")}
    assert {"learn", "teach", "pass"} <= found
    assert len(found & merged) >= 0.8 * len(found)


def test_what_cannot_be_trained() -> None:
    for texts in ([], ["", "  "]):
        with pytest.raises(InputError, match=r"model\.tokenizer: there are no texts"):
            train_wordpieces(texts, TokenizerConfig())
    with pytest.raises(RecipeError, match=r"model\.tokenizer\.pieces: 40, and the texts have \d+ characters"):
        train_wordpieces(CORPUS, TokenizerConfig(pieces=40, smallest_count=1))


def test_the_characters_of_prompts_are_known_however_rare() -> None:
    config = TokenizerConfig(pieces=300, smallest_count=3)
    prompts = ("檢索：", "Ξ query: ")
    assert "[UNK]" in train_wordpieces(CORPUS, config).encode(prompts[0]).tokens
    tokenizer = train_wordpieces(CORPUS, config, prompts)
    assert not any("[UNK]" in tokenizer.encode(prompt).tokens for prompt in prompts)
    with pytest.raises(InputError, match="there are no texts to learn pieces from"):
        train_wordpieces((), config, prompts)
