"""Documents and ready pairs out of tables: JSONL, CSV and Parquet, each column with its role.

A row with a question and an answer, a summary and its text, keywords and an abstract, or a text and its
translation becomes one document, which says by its parts what is what. A row with `text_a` and `text_b` is a
ready pair.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from yuyi.data.readers.posts import post_to_markdown
from yuyi.data.readers.text_files import first_language
from yuyi.data.readers.threads import Thread
from yuyi.errors import InputError
from yuyi.records import Document, Pair, Role, read_batches, read_columns
from yuyi.text.rows import read_fields, read_objects

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    Row: TypeAlias = Mapping[str, Any]

TableKind: TypeAlias = Literal["jsonl", "csv", "parquet"]
ColumnRole: TypeAlias = Literal[
    "doc_id", "title", "text", "lang", "question", "answer", "comment", "summary", "content", "keywords",
    "translation", "text_a", "text_b", "label", "kind", "score", "source", "negatives",
]  # fmt: skip

# What columns are called, in lower case, where nobody says; the first that a table has is taken.
_GUESSES: dict[ColumnRole, tuple[str, ...]] = {
    "doc_id": ("doc_id", "docid", "id", "_id", "uid", "编号"),
    "title": ("title", "headline", "标题", "题目"),
    "negatives": ("negatives", "negative"),
    "text": ("text", "body", "content", "article", "document", "markdown", "正文", "内容", "文本"),
    "lang": ("lang", "language", "语言"),
    "question": ("question", "query", "问题", "提问"),
    "answer": ("answer", "answers", "response", "reply", "答案", "回答", "回复"),
    "comment": ("comment", "comments", "评论"),
    "summary": ("summary", "abstract", "摘要", "概要"),
    "keywords": ("keywords", "keyword", "关键词", "关键字"),
    "translation": ("translation", "译文", "翻译"),
    "text_a": ("text_a", "sentence1", "sentence_a", "text1", "anchor"),
    "text_b": ("text_b", "sentence2", "sentence_b", "text2", "positive"),
    "label": ("label", "similarity", "标签"),
    "kind": ("kind", "task"),
    "score": ("score", "votes", "likes", "点赞"),
}
_SAYING: tuple[ColumnRole, ...] = ("text", "content", "question", "answer", "summary")
# The columns of yuyi's own documents and pairs, whose `source` is the collection of each row.
_OWN = ({"source", "doc_id", "title", "text", "lang"}, {"source", "kind", "text_a", "text_b", "lang"})
# In this order the pieces of a row stand in its document; each belongs to the first of its targets there is.
_TARGETS: dict[Role, tuple[Role, ...]] = {
    "question": (),
    "answer": ("question", "content"),
    "summary": ("content",),
    "keywords": ("summary", "content"),
    "content": (),
    "original": (),
    "translation": ("original",),
    "comment": ("answer", "question", "content"),
}
# What makes more of a row than a text.
_BESIDE: tuple[ColumnRole, ...] = ("question", "answer", "summary", "keywords", "translation", "comment")

# Rows whose columns are looked at; a later row of JSONL may have others.
_LOOK = 100
_BATCH_BYTES = 16 << 20
_MOST_ROWS = 4096


def table_columns(path: Path, kind: TableKind) -> tuple[str, ...]:
    """Names of a table's columns: of JSONL those of its first hundred lines.

    Raises:
        InputError: the table is missing, damaged or empty.
    """
    if kind == "parquet":
        return read_columns(path)[0]
    if kind == "jsonl":
        return tuple(dict.fromkeys(name for _, row in islice(read_objects(path), _LOOK) for name in row))
    _, names = next(read_fields(path, _delimiter(path)), (0, []))
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"{path}: its first line names the column {twice} twice. Rename one.")
    return tuple(names)


def column_roles(path: Path, kind: TableKind, chosen: Mapping[ColumnRole, str]) -> dict[ColumnRole, str]:
    """The column for each role: those chosen, or those with a name that tells where none was chosen.

    Raises:
        InputError: a chosen column is absent, or none is known to hold a text.
    """
    names = table_columns(path, kind)
    if chosen:
        absent = next((name for name in chosen.values() if name not in names), None)
        if absent is not None:
            raise InputError(f"{path}: has no column {absent}; it has {', '.join(names)}. Name one of these.")
        roles = dict(chosen)
    else:
        roles = _guess(names)
    if not is_pairs(roles) and not any(role in roles for role in _SAYING):
        raise InputError(
            f"{path}: which of its columns holds the text? It has {', '.join(names) or 'none'}. "
            "Say so with columns, such as {text: NAME} or {question: NAME, answer: NAME}."
        )
    return roles


def may_hold_text(path: Path, kind: TableKind) -> bool:
    """Whether the names of a table's columns tell which of them hold texts.

    Raises:
        InputError: the table is missing or damaged.
    """
    roles = _guess(table_columns(path, kind))
    return is_pairs(roles) or any(role in roles for role in _SAYING)


def _guess(names: tuple[str, ...]) -> dict[ColumnRole, str]:
    lower = {name.lower().strip(): name for name in reversed(names)}
    found: dict[ColumnRole, str] = {
        role: lower[guess]
        for role, guesses in _GUESSES.items()
        for guess in [next((guess for guess in guesses if guess in lower), None)]
        if guess is not None
    }
    if any(own <= set(names) for own in _OWN):
        found["source"] = "source"
    if is_pairs(found) and "label" not in found and "score" in found:
        found["label"] = found["score"]
    return found


def is_pairs(roles: Mapping[ColumnRole, str]) -> bool:
    """Whether a table with these columns holds ready pairs rather than documents."""
    return "text_a" in roles and "text_b" in roles


def read_table(
    path: Path,
    kind: TableKind,
    roles: Mapping[ColumnRole, str],
    *,
    name: str,
    source: str,
    lang: str = "",
) -> Iterator[Document | Pair | None]:
    """Each row as a document, or as a pair where `roles` has both its texts; None for a row without text.

    Args:
        path: the table.
        kind: of which format it is.
        roles: the column for each role.
        name: what the table is called in `doc_id`, which is `name#row` unless a column says otherwise.
        source: the collection; a column with the role `source` goes before it.
        lang: language of all rows; empty where a column says it, or else each text by itself.

    Raises:
        InputError: the table is damaged, or a cell does not hold what its role needs.
    """
    build = _pair if is_pairs(roles) else _document
    for number, (line, cells) in enumerate(_rows(path, kind, tuple(dict.fromkeys(roles.values()))), 1):
        row: Row = {role: cells.get(column) for role, column in roles.items()}
        try:
            yield build(row, _text(row.get("source"), "source") or source, f"{name}#{number}", lang)
        except ValueError as error:
            raise InputError(
                f"{path}: line {line} {error}. Mend the row, or choose another column."
            ) from None


def _rows(path: Path, kind: TableKind, columns: tuple[str, ...]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each row with the number of its line, of Parquet from 1."""
    if kind == "jsonl":
        yield from read_objects(path)
    elif kind == "csv":
        rows = read_fields(path, _delimiter(path))
        _, names = next(rows)
        for line, fields in rows:
            yield line, dict(zip(names, fields, strict=True))
    else:
        line = 0
        for batch in read_batches(path, columns, rows=_batch_rows(path)):
            try:
                rows = batch.to_pylist()
            except UnicodeDecodeError as error:
                raise InputError(
                    f"{path}: damaged Parquet file ({error}). Write or copy it again."
                ) from error
            for row in rows:
                line += 1
                yield line, row


def _batch_rows(path: Path) -> int:
    """Rows of a Parquet file that take about 16 MB, so that long texts do not fill the memory."""
    from pyarrow.parquet import read_metadata

    groups: Any = read_metadata(path)
    stored = sum(groups.row_group(number).total_byte_size for number in range(groups.num_row_groups))
    rows: int = _BATCH_BYTES * groups.num_rows // max(1, stored)
    return max(1, min(_MOST_ROWS, rows))


def _delimiter(path: Path) -> str:
    return "\t" if path.suffix.lower() == ".tsv" else ","


def _pair(row: Row, source: str, name: str, lang: str) -> Pair | None:
    text_a, text_b = (_text(row[role], role) for role in ("text_a", "text_b"))
    # A row with a label and one text is training data too: what has one label belongs together.
    if not text_a.strip() or (not text_b.strip() and row.get("label") is None):
        return None
    found = lang or _text(row.get("lang"), "lang") or _joined_language(text_a, text_b)
    return Pair(
        source=source,
        kind=_text(row.get("kind"), "kind") or "pair",
        text_a=text_a,
        text_b=text_b,
        label=_number(row.get("label"), "label"),
        lang=found,
        doc_id=name,
        negatives=_negatives(row.get("negatives")),
    )


def _negatives(value: object) -> tuple[str, ...]:
    texts = value if isinstance(value, list) else [value]
    return tuple(text for each in texts if (text := _text(each, "negatives")).strip())


def _joined_language(text_a: str, text_b: str) -> str:
    return "-".join(dict.fromkeys((first_language(text_a), first_language(text_b))))


def _document(row: Row, source: str, name: str, lang: str) -> Document | None:
    title = _text(row.get("title"), "title").strip()
    doc_id = _text(row.get("doc_id"), "doc_id") or name
    lang = lang or _text(row.get("lang"), "lang")
    if not any(row.get(role) for role in _BESIDE):
        text = post_to_markdown(_text(row.get("content") or row.get("text"), "text"))
        return Document(source, doc_id, title, text, lang or first_language(text)) if text.strip() else None
    pieces = _pieces(row)
    thread = Thread(title)
    places = {role: number for number, (role, _, _) in reversed([*enumerate(pieces)])}
    for role, text, score in pieces:
        of = next((places[target] for target in _TARGETS[role] if target in places), -1)
        thread.add(role, text, score=score, of=of)
    document = thread.document(source, doc_id)
    return replace(document, lang=lang) if document and lang else document


def _pieces(row: Row) -> list[tuple[Role, str, float | None]]:
    """Role, text and score of each piece of a row, none of them empty."""
    cells: dict[Role, Any] = {role: row.get(role) for role in _TARGETS}
    cells["original" if row.get("translation") else "content"] = row.get("content") or row.get("text")
    scores = row.get("score")
    pieces: list[tuple[Role, str, float | None]] = []
    for role, cell in cells.items():
        texts = _texts(cell, role)
        for number, text in enumerate(["; ".join(texts)] if role == "keywords" and texts else texts):
            score = None
            if role == "answer":
                score = _number(_nth(scores, number), "score")
            pieces.append((role, text, score))
    return pieces


def _nth(cell: Any, number: int) -> Any:
    if isinstance(cell, list):
        return cell[number] if number < len(cell) else None
    return cell


def _texts(cell: Any, role: str) -> list[str]:
    cells = cell if isinstance(cell, list) else [cell]
    return [text for one in cells if (text := post_to_markdown(_text(one, role)).strip())]


def _text(cell: Any, role: str) -> str:
    if cell is None:
        return ""
    if isinstance(cell, str):
        return cell
    if role in ("doc_id", "kind") and isinstance(cell, int):
        return str(cell)
    raise ValueError(f"has {cell!r:.40} as {role}, which is not a text")


def _number(cell: Any, role: str) -> float | None:
    if cell is None or cell == "":
        return None
    try:
        return float(cell)
    except (TypeError, ValueError):
        raise ValueError(f"has {cell!r:.40} as {role}, which is not a number") from None
