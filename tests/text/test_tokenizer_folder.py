from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from yuyi.errors import ModelError
from yuyi.text.overflow import fit
from yuyi.text.tokenizer import BatchTokenizer
from yuyi.text.tokenizer_folder import read_tokenizer

TINY = Path(__file__).parent.parent / "tiny"
FOLDERS = ("bert-zh", "bert-dense", "bert-plain", "roberta", "xlm-roberta", "modernbert")
HARD = (
    *(
        "",
        " ",
        "\n\t\u3000",
        "a",
        "Héllo WÖRLD e\u0301 ﬁ Ａ①",
        "今天天气很好，我们去公园散步。",
        "中文English混排123",
    ),
    *(
        "😀👩\u200d👧",
        "𠮷野家",
        "\x00a\x1eb\ufeff\u200b",
        "x" * 150,
        "[MASK] [SEP] <s> </s> <mask> <|endoftext|>",
    ),
    *(
        "don't  stop…  'quoted'",
        "İstanbul ß ΑΣ",
        "ｶﾀｶﾅ 한국어 кириллица",
        "a\r\nb",
        "1,234.56 $%&",
        "\u0301a",
    ),
)
TEXTS = st.one_of(
    st.text(max_size=40),
    st.text("今天 天气很好，ABC abc 123 [MASK]é\u0301\u3000\n😀𠮷", max_size=40),
    st.sampled_from(HARD),
)


def ours(folder: Path, texts: list[str], max_tokens: int | None = None) -> list[list[int]]:
    tokenizer = BatchTokenizer(read_tokenizer(folder))
    batch = fit(tokenizer(texts), tokenizer.frame(max_tokens), "cut").batch
    return [part.tolist() for part in np.split(batch.ids, batch.offsets[1:-1])]


def check_alike(folder: Path, texts: list[str]) -> None:
    theirs = AutoTokenizer.from_pretrained(folder)
    assert ours(folder, texts) == theirs(texts)["input_ids"]
    cut = theirs(texts, truncation=True, max_length=9)["input_ids"]
    assert ours(folder, texts, 9) == cut


@pytest.mark.parametrize("name", FOLDERS)
@given(st.lists(TEXTS, min_size=1, max_size=5))
def test_ids_are_those_of_transformers(name: str, texts: list[str]) -> None:
    check_alike(TINY / name, texts)


@pytest.mark.shared
@pytest.mark.parametrize("name", ["acge_text_embedding", "gte-small"])
@pytest.mark.parametrize("files", [["tokenizer.json"], ["vocab.txt"]])
def test_ids_of_published_tokenizers(shared_data: Path, tmp_path: Path, name: str, files: list[str]) -> None:
    """With `vocab.txt` alone, and with `tokenizer.json`, whose own truncation and padding must not count."""
    for file in [*files, "config.json", "tokenizer_config.json"]:
        shutil.copy(shared_data.parent / "reference" / "models" / name / file, tmp_path)
    texts = [
        *HARD,
        *(chr(code) * 2 + " " + chr(code) for code in range(0x20, 0x3100, 7)),
        "今天 weather " * 90,
    ]
    check_alike(tmp_path, texts)


def settings_of(folder: Path, **changes: Any) -> None:
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    "changes",
    [
        {"do_lower_case": False},
        {"do_lower_case": False, "strip_accents": True},
        {"tokenize_chinese_chars": False},
        {"do_lower_case": False, "tokenizer_class": "PreTrainedTokenizerFast"},
    ],
)
def test_settings_of_bert_go_before_those_of_its_tokenizer(tmp_path: Path, changes: dict[str, Any]) -> None:
    folder = tmp_path / "model"
    shutil.copytree(TINY / "bert-zh", folder)
    settings_of(folder, **changes)
    check_alike(folder, list(HARD))


@pytest.mark.parametrize(
    "settings",
    [{}, {"do_lower_case": False}, {"cls_token": {"__type": "AddedToken", "content": "[SEP]"}}, None],
)
def test_a_list_of_pieces(tmp_path: Path, settings: dict[str, Any] | None) -> None:
    tokenizer = read_tokenizer(TINY / "bert-zh")
    pieces = sorted(tokenizer.get_vocab(), key=tokenizer.token_to_id)
    (tmp_path / "vocab.txt").write_text("".join(f"{piece}\n" for piece in pieces), "utf-8")
    shutil.copy(TINY / "bert-zh" / "config.json", tmp_path)
    if settings is not None:
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    check_alike(tmp_path, list(HARD))


def test_lower_casing_that_sentence_transformers_adds() -> None:
    plain = BatchTokenizer(read_tokenizer(TINY / "roberta"))
    lowered = BatchTokenizer(read_tokenizer(TINY / "roberta", lower_case=True))
    assert (
        lowered(["How DO I"]).ids.tolist()
        == plain(["how do i"]).ids.tolist()
        != plain(["How DO I"]).ids.tolist()
    )
    bert = read_tokenizer(TINY / "bert-zh", lower_case=True)
    assert str(bert.normalizer) == str(read_tokenizer(TINY / "bert-zh").normalizer)


def test_a_missing_or_damaged_tokenizer_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"neither tokenizer\.json nor vocab\.txt is there"):
        read_tokenizer(tmp_path)
    (tmp_path / "vocab.txt").write_text("[PAD]\na\n")
    with pytest.raises(ModelError, match=r"\[UNK\], \[CLS\], \[SEP\] is not among its pieces"):
        read_tokenizer(tmp_path)
    (tmp_path / "vocab.txt").write_bytes(b"\xff\xfe\n")
    with pytest.raises(ModelError, match=r"vocab\.txt: damaged, it is not UTF-8"):
        read_tokenizer(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text("{")
    with pytest.raises(ModelError, match=r"tokenizer_config\.json: damaged"):
        read_tokenizer(tmp_path)
    (tmp_path / "tokenizer_config.json").unlink()
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ModelError, match=r"tokenizer\.json: missing or damaged"):
        read_tokenizer(tmp_path)
