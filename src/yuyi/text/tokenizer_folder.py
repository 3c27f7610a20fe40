"""The tokenizer in a transformer model's folder, set up as transformers' AutoTokenizer sets it up."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from yuyi.errors import ModelError

if TYPE_CHECKING:
    from pathlib import Path

# The files that decide the ids of a text, those that a folder has.
TOKENIZER_FILES = ("tokenizer.json", "vocab.txt", "tokenizer_config.json")

_BERT_CLASSES = ("BertTokenizer", "BertTokenizerFast")
# Names of the special tokens in tokenizer_config.json, with what BERT calls them, in the order of its ids.
BERT_SPECIALS = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}


def read_tokenizer(folder: Path, *, lower_case: bool = False) -> Tokenizer:
    """The tokenizer of the folder that holds a transformer's `config.json`.

    Args:
        folder: holds `tokenizer.json`, or BERT's `vocab.txt`.
        lower_case: lower-case texts first, as sentence-transformers' `do_lower_case` does.

    Raises:
        ModelError: there is no tokenizer, or it is damaged.
    """
    settings = _settings(folder / "tokenizer_config.json")
    if (folder / "tokenizer.json").is_file():
        tokenizer = load_tokenizer(folder / "tokenizer.json")
        if isinstance(tokenizer.normalizer, normalizers.BertNormalizer) and _is_bert(folder, settings):
            tokenizer.normalizer = _bert_normalizer(settings)
    elif (folder / "vocab.txt").is_file():
        tokenizer = _bert_tokenizer(folder / "vocab.txt", settings)
    else:
        raise ModelError(
            f"{folder}: the tokenizer is missing; neither tokenizer.json nor vocab.txt is there. "
            "Copy it from where the model came from."
        )
    if lower_case and not _lowers(tokenizer.normalizer):
        steps = [normalizers.Lowercase(), *([tokenizer.normalizer] if tokenizer.normalizer else [])]
        tokenizer.normalizer = normalizers.Sequence(steps)
    return tokenizer


def read_specials(folder: Path) -> dict[str, str]:
    """The special tokens that a folder names, by transformers' names for them; BERT's where it names none.

    Raises:
        ModelError: a file that names them is damaged.
    """
    told = _settings(folder / "special_tokens_map.json") | _settings(folder / "tokenizer_config.json")
    names = (*BERT_SPECIALS, "bos_token", "eos_token")
    named = {name: token for name in names if (token := _content(told.get(name), ""))}
    return named or dict(BERT_SPECIALS)


def load_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer in a `tokenizer.json`.

    Raises:
        ModelError: the file is missing or damaged.
    """
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the tokenizers library raises nothing narrower
        raise ModelError(f"{path}: missing or damaged ({error}). Copy it again.") from error


def _settings(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        settings = json.loads(path.read_bytes())
    except ValueError as error:
        raise ModelError(f"{path}: damaged, it is not JSON ({error}). Copy it again.") from error
    return settings if isinstance(settings, dict) else {}


def _is_bert(folder: Path, settings: dict[str, Any]) -> bool:
    """Whether transformers would take its BERT tokenizer, whose settings go before `tokenizer.json`."""
    if "tokenizer_class" in settings:
        return settings["tokenizer_class"] in _BERT_CLASSES
    return bool(_settings(folder / "config.json").get("model_type") == "bert")


def _bert_normalizer(settings: dict[str, Any]) -> Any:
    return normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=settings.get("tokenize_chinese_chars", True),
        strip_accents=settings.get("strip_accents"),
        lowercase=settings.get("do_lower_case", True),
    )


def _bert_tokenizer(path: Path, settings: dict[str, Any]) -> Tokenizer:
    """BERT's tokenizer from its list of pieces, one a line."""
    try:
        with path.open(encoding="utf-8") as file:
            vocabulary = {line.rstrip("\n"): number for number, line in enumerate(file)}
    except UnicodeDecodeError as error:
        raise ModelError(f"{path}: damaged, it is not UTF-8 ({error}). Copy it again.") from error
    specials = _specials(settings)
    needed = (specials[name] for name in ("unk_token", "cls_token", "sep_token"))
    if missing := [token for token in needed if token not in vocabulary]:
        raise ModelError(f"{path}: {', '.join(missing)} is not among its pieces. Copy it again.")
    return bert_tokenizer(vocabulary, settings)


def bert_tokenizer(vocabulary: dict[str, int], settings: dict[str, Any]) -> Tokenizer:
    """BERT's tokenizer with these pieces, set up as transformers' BertTokenizer.

    Args:
        vocabulary: an id for each piece; the special tokens are among them.
        settings: what a `tokenizer_config.json` holds; BERT's uncased models need nothing.
    """
    specials = _specials(settings)
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token=specials["unk_token"]))
    tokenizer.normalizer = _bert_normalizer(settings)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens([token for token in specials.values() if token in vocabulary])
    first, last = specials["cls_token"], specials["sep_token"]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{first} $A {last}",
        pair=f"{first} $A {last} $B:1 {last}:1",
        special_tokens=[(first, vocabulary[first]), (last, vocabulary[last])],
    )
    return tokenizer


def _specials(settings: dict[str, Any]) -> dict[str, str]:
    return {name: _content(settings.get(name), usual) for name, usual in BERT_SPECIALS.items()}


def _content(token: Any, usual: str) -> str:
    """A special token as its text; some folders spell it as an object."""
    if isinstance(token, dict):
        token = token.get("content")
    return token if isinstance(token, str) else usual


def _lowers(normalizer: Any) -> bool:
    """Whether texts are lower-cased already."""
    match normalizer:
        case normalizers.Lowercase():
            return True
        case normalizers.BertNormalizer():
            return bool(normalizer.lowercase)
        case normalizers.Sequence():
            return any(_lowers(normalizer[number]) for number in range(len(normalizer)))
    return False
