"""What a card says of dimensions, lengths and pooling, against the settings of the model beside it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from yuyi.evaluate.linting.card import Entry, Finding
from yuyi.evaluate.linting.tables import find_model, own_rows, plain
from yuyi.pipeline import DIMS_KEY, POOLING_FLAGS, POOLING_NAMES, read_json, read_modules, usable_positions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from yuyi.evaluate.linting.card import Card, Passage

# Where sentence-transformers puts its modules if no `modules.json` says otherwise.
_USUAL_FOLDERS = {"Transformer": "", "Pooling": "1_Pooling", "Dense": "2_Dense"}
_DIM_HEADING = re.compile(r"\bdim|dimension|维度|维数", re.IGNORECASE)
_LENGTH_HEADING = re.compile(r"length|max.{0,4}tokens|长度", re.IGNORECASE)
# What a line or a row of facts is called; `dimension reduction` and `training length` are none.
_FACT_NAME = re.compile(
    r"(?:(?:output|embedding|vector) )?dim(?:ension(?:s|ality)?)?"
    r"|(?:(?:max(?:imum)?|sequence|input|context)[ _]?)+(?:length|tokens)"
    r"|(?:输出|嵌入|向量)?维[度数]|(?:最大)?(?:输入|序列|文本)?长度",
    re.IGNORECASE,
)
_INTEGER = re.compile(r"\d{1,2}(?:,\d{3})+(?!\d)|\d{1,9}", re.ASCII)
# The sentence of sentence-transformers' cards.
_DENSE_SPACE = re.compile(r"\ba (\d{1,9})[ -]dimensional dense vector space", re.ASCII)
# A line of facts: `- **Output Dimensionality:** 768 dimensions`, `最大长度：512`.
_FACT_LINE = re.compile(r"^[\s*_-]*([^:：\n]{1,40})[:：][\s*_]*(.{1,80})", re.MULTILINE)
_MAX_LENGTH = re.compile(r"max_(?:seq_)?len(?:gth)?['\"]?\s*[=:,]\s*(?:default\s*=\s*)?(\d{1,9})\b", re.ASCII)
# Code that pools, by what it takes. Repeats are bounded, so that no text can make the search slow.
_STATES = r"\w{0,20}(?:state|output|hidden|embedding|feature)\w{0,20}(?:\.\w{1,30}|\[0\]){0,3}"
_NAMED = r"pooling\w{{0,30}}['\"]?\s*[=:,]\s*(?:default\s*=\s*)?['\"]{}['\"]"
_POOLING_CODE = {
    "cls": (
        _STATES + r"\[\s*:\s*,\s*0\s*(?:,\s*:\s*)?\]",
        r"\bcls_pool\w*\(",
        _NAMED.format("cls"),
        r"pooling_mode_cls_token['\"]?\s*[=:]\s*True",
    ),
    "mean": (
        r"\b(?:mean|average|avg)_pool\w*\(",
        _NAMED.format("(?:mean|avg|average)"),
        r"pooling_mode_mean_tokens['\"]?\s*[=:]\s*True",
        _STATES + r"\.mean\(\s*(?:dim\s*=\s*|axis\s*=\s*)?1\s*\)",
    ),
    "last": (
        r"\blast_?token_pool\w*\(",
        _NAMED.format("last(?:_?token)?"),
        r"pooling_mode_lasttoken['\"]?\s*[=:]\s*True",
        _STATES + r"\[\s*:\s*,\s*-1\s*(?:,\s*:\s*)?\]",
    ),
    "max": (r"\bmax_pooling\(", _NAMED.format("max"), r"pooling_mode_max_tokens['\"]?\s*[=:]\s*True"),
    "the pooler's output": (r"\.pooler_output\b",),
}


class Fact(NamedTuple):
    """Something that is known of the model, and where it stands."""

    value: Any
    source: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a card's model; None where nothing says it.

    Attributes:
        dim: length of its vectors.
        dims: lengths that they may be cut to, `dim` among them.
        tokens: the longest text it takes.
        pooling: how token states become one vector; several are concatenated.
    """

    dim: Fact | None
    dims: frozenset[int]
    tokens: Fact | None
    pooling: Fact | None


def check_settings(card: Card) -> Iterator[Finding]:
    """Dimensions, lengths and pooling in the card that contradict the model's own files.

    Where a file is not beside the card, what is published about a model of that name stands for it.

    Raises:
        ModelError: a file beside the card is damaged.
    """
    facts = read_facts(card)
    yield from _check_tables(card, facts)
    yield from _check_text(card, facts)
    for code in card.code:
        yield from _check_code(code, facts)


def read_facts(card: Card) -> Facts:
    """What the files beside a card say, whether or not yuyi could open the model, and what is published.

    Raises:
        ModelError: a file is damaged.
    """
    folder = card.path.absolute().parent
    own = _facts_of_files(folder)
    model = card.entries[0].model if card.entries else folder.name
    known = find_model(model)
    if known is None or (own.dim is not None and own.dim.value != known.dim):
        return own
    source = f"what is published of {known.name}"
    return Facts(
        dim=own.dim or (Fact(known.dim, source) if known.dim else None),
        dims=own.dims | set(known.dims),
        tokens=own.tokens or (Fact(known.max_tokens, source) if known.max_tokens else None),
        pooling=own.pooling or (Fact((known.pooling,), source) if known.pooling else None),
    )


def _facts_of_files(folder: Path) -> Facts:
    modules = _USUAL_FOLDERS
    if (folder / "modules.json").is_file():
        modules = dict(read_modules(folder))
    transformer, pooling, dense = (
        _read(folder / modules[kind] / "config.json") if kind in modules else {} for kind in _USUAL_FOLDERS
    )
    lengths = _read(folder / modules.get("Transformer", "") / "sentence_bert_config.json")
    pools = _pools(pooling)
    dim = _dim(transformer, pooling, dense, len(pools))
    declared = transformer.get(DIMS_KEY)
    dims = {size for size in declared if type(size) is int} if isinstance(declared, list) else set()
    return Facts(
        dim,
        frozenset(dims | ({dim.value} if dim else set())),
        _tokens(transformer, lengths),
        Fact(pools, "the pooling's config.json") if pools else None,
    )


def _read(path: Path) -> dict[str, Any]:
    """The settings in a file; none where it is not there."""
    return read_json(path) if path.is_file() else {}


def _pools(config: dict[str, Any]) -> tuple[str, ...]:
    """What a pooling module takes; empty where it does not say, or says what yuyi does not know."""
    names = config.get("pooling_mode")
    if names is None:
        names = [name for flag, name in POOLING_FLAGS.items() if config.get(flag)]
    names = names if isinstance(names, list) else [names]
    known = all(isinstance(name, str) and name in POOLING_NAMES for name in names)
    return tuple(POOLING_NAMES[name] for name in names) if known else ()


def _dim(
    transformer: dict[str, Any], pooling: dict[str, Any], dense: dict[str, Any], pools: int
) -> Fact | None:
    """Length of the vectors, from the last module that says it."""
    pooled = pooling.get("word_embedding_dimension", pooling.get("embedding_dimension"))
    for value, factor, source in (
        (dense.get("out_features"), 1, "the dense layer's config.json"),
        (pooled, max(pools, 1), "the pooling's config.json"),
        (transformer.get("hidden_size"), max(pools, 1), "config.json"),
    ):
        if type(value) is int and value > 0:
            return Fact(value * factor, source)
    return None


def _tokens(transformer: dict[str, Any], lengths: dict[str, Any]) -> Fact | None:
    """The smaller of the limits that the files state."""
    limits = []
    if type(lengths.get("max_seq_length")) is int and lengths["max_seq_length"] > 0:
        limits.append(Fact(lengths["max_seq_length"], "sentence_bert_config.json"))
    if transformer.get("max_position_embeddings") is not None and usable_positions(transformer) > 0:
        limits.append(Fact(usable_positions(transformer), "config.json"))
    return min(limits, default=None)


def _check_tables(card: Card, facts: Facts) -> Iterator[Finding]:
    for table in card.tables:
        if len(table.heading) == 2:
            lines = zip((table.line, *table.lines), (table.heading, *table.rows), strict=True)
            for line, (name, cell) in lines:
                yield from _check_fact(facts, "table", name, cell, line)
        for entry in card.entries or (Entry("", ()),):
            rows = own_rows(card, entry, table)
            for column, heading in enumerate(table.heading):
                cells = [table.rows[row][column] for row in rows]
                yield from _check_stated(facts, f"table, {plain(heading)}", heading, cells, table.line)


def _check_fact(facts: Facts, where: str, name: str, value: str, line: int) -> Iterator[Finding]:
    if _FACT_NAME.fullmatch(plain(name)):
        yield from _check_stated(facts, f"{where}, {plain(name)}", name, [value], line)


def _check_stated(facts: Facts, where: str, name: str, cells: list[str], line: int) -> Iterator[Finding]:
    """What is stated under a name: the largest counts, as smaller ones are settings of the same model."""
    numbers = [int(text.replace(",", "")) for cell in cells for text in _INTEGER.findall(plain(cell))]
    for rule, pattern, fact in (
        ("dimension", _DIM_HEADING, facts.dim),
        ("length", _LENGTH_HEADING, facts.tokens),
    ):
        if fact is not None and numbers and pattern.search(name) and max(numbers) != fact.value:
            yield _contradiction(rule, where, max(numbers), fact, line)


def _check_text(card: Card, facts: Facts) -> Iterator[Finding]:
    for passage in card.prose:
        for found in _FACT_LINE.finditer(passage.content):
            yield from _check_fact(facts, "text", found[1], found[2], passage.line_at(found.start(2)))
        for found in _DENSE_SPACE.finditer(passage.content):
            if facts.dim is not None and int(found[1]) not in facts.dims:
                line = passage.line_at(found.start())
                yield _contradiction("dimension", "text", int(found[1]), facts.dim, line)


def _check_code(code: Passage, facts: Facts) -> Iterator[Finding]:
    """The first piece of code of each pooling that is not the model's, and lengths beyond its limit."""
    pooling, tokens = facts.pooling, facts.tokens
    for kind, patterns in _POOLING_CODE.items():
        found = re.search("|".join(patterns), code.content)
        if pooling is None or kind in pooling.value or found is None:
            continue
        message = (
            f"`{found[0]}` takes {kind}; {pooling.source} says {' and '.join(pooling.value)}, and the "
            "wrong one spoils every vector. Mend the code."
        )
        yield Finding("pooling", "code", message, code.line_at(found.start()))
    for found in _MAX_LENGTH.finditer(code.content):
        if tokens is not None and int(found[1]) > tokens.value:
            line = code.line_at(found.start())
            yield _contradiction("length", f"code, `{found[0]}`", int(found[1]), tokens, line)


def _contradiction(rule: str, where: str, stated: int, fact: Fact, line: int) -> Finding:
    return Finding(rule, where, f"{stated} is stated; {fact.source} says {fact.value}. Mend the card.", line)
