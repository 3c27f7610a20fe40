"""What is read, and by which reader: a file or a folder becomes inputs of a size that one process does."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, NoReturn, TypeAlias

from pydantic import Field

from yuyi.config import REFUSE_UNKNOWN
from yuyi.data.readers.tables import (
    ColumnRole,
    TableKind,
    column_roles,
    is_pairs,
    may_hold_text,
    read_table,
    table_columns,
)
from yuyi.errors import InputError
from yuyi.records import Document, Pair
from yuyi.text.decode import reading
from yuyi.text.rows import read_objects

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Format = Literal[
    "auto", "text", "html", "jsonl", "csv", "parquet", "stackexchange", "mediawiki", "threads", "parallel"
]

# Which reader a file needs by the end of its name, in lower case.
_BY_SUFFIX: dict[str, Format] = {
    ".markdown": "text", ".md": "text", ".rst": "text", ".txt": "text",
    ".html": "html", ".htm": "html", ".xhtml": "html",
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "csv", ".parquet": "parquet",
    ".tmx": "parallel",
}  # fmt: skip
_DUMP = re.compile(r"\.xml(\.bz2|\.gz|\.xz)?$", re.IGNORECASE)
POSTS = "Posts.xml"
_TWO_FILES = re.compile(r"^(.*)\{([^{},]+),([^{},]+)\}(.*)$", re.DOTALL)
_TABLES: tuple[TableKind, ...] = ("jsonl", "csv", "parquet")
_LANGUAGES = re.compile(
    r"\.(ar|bg|cs|da|de|el|en|es|et|fa|fi|fr|he|hi|hr|hu|id|it|ja|ko|lt|lv|ms|nl|no|pl|pt|ro|ru|sk|sl|sv|th"
    r"|tr|uk|vi|zh([-_](cn|hk|tw))?)",
    re.IGNORECASE,
)

# Small files are read together in inputs of about this size.
_INPUT_BYTES = 32 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceConfig:
    """A collection of texts to read.

    Attributes:
        path: a file or folder. Two files whose lines are translations of each other are written
            `news.{en,zh}`, the original first.
        name: of the collection; empty for the name of the file or folder, or, of Parquet files that yuyi
            wrote, for what each row says.
        format: how to read it; `auto` goes by names and first lines, in a folder for each file by itself.
        columns: of a table, the column for each role; empty to go by their names.
        origin: where it comes from, such as an address; for the manifest.
        licence: under which it may be used; for the manifest.
        lang: language code of all its texts; empty to find it out for each.
    """

    __pydantic_config__: ClassVar = REFUSE_UNKNOWN

    path: Annotated[str, Field(min_length=1)]
    name: str = ""
    format: Format = "auto"
    columns: dict[ColumnRole, str] = field(default_factory=dict)
    origin: str = ""
    licence: str = ""
    lang: str = ""


@dataclass(frozen=True, slots=True)
class Input:
    """Files that one process reads one after another.

    Attributes:
        format: how they are read.
        files: path of each, and its name below the source's path. Two that are read line by line together
            are one input.
        pairs: whether they hold ready pairs.
        skip: why they are not read at all; empty where they are.
    """

    format: Format
    files: tuple[tuple[Path, str], ...]
    pairs: bool = False
    skip: str = ""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that was not read.

    Attributes:
        file: its name below the source's path.
        reason: a stable short phrase.
        note: what is wrong with it in particular.
    """

    file: str
    reason: str
    note: str = ""


Row: TypeAlias = Document | Pair | Skipped


def source_name(config: SourceConfig) -> str:
    """What the collection is called: as the settings say, else as its file, without suffixes, or folder."""
    path = Path(_TWO_FILES.sub(r"\1\4", config.path)).resolve()
    return config.name or (path.name if path.is_dir() else path.name.split(".")[0]) or "source"


def find_inputs(config: SourceConfig) -> list[Input]:
    """What there is to read, in an order that depends on names and sizes alone.

    Hidden files and folders are passed over, and links to folders are not followed.

    Raises:
        InputError: there is nothing at the path, the columns of a table do not tell what they hold, or a file
            is damaged.
    """
    two = _TWO_FILES.match(config.path)
    if two:
        before, one, other, after = two.groups()
        paths = [Path(f"{before}{lang}{after}") for lang in (one, other)]
        return [Input("parallel", tuple((path, path.name) for path in paths))]
    path = Path(config.path)
    if not path.exists():
        raise InputError(f"{path}: no such file or folder. Check the path.")
    if not path.is_dir():
        return [_input(path, path.name, config)]
    if config.format == "stackexchange" or (config.format == "auto" and (path / POSTS).is_file()):
        return [Input("stackexchange", ((path, path.name),))]
    files = _files_below(path)
    aligned = list(_aligned_files(files)) if config.format in ("auto", "parallel") else []
    used = {name for found in aligned for _, name in found.files}
    inputs = [_input(file, name, config) for file, name in files if name not in used]
    return list(_together([*aligned, *inputs]))


def _files_below(folder: Path) -> list[tuple[Path, str]]:
    """Each file and its name below the folder; a folder of Stack Exchange stands for its files."""
    found = []
    for place, folders, files in os.walk(folder, onerror=_refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        if POSTS in files:
            found.append((Path(place), Path(place).relative_to(folder).as_posix()))
            folders.clear()
            continue
        for name in files:
            path = Path(place, name)
            if not name.startswith(".") and path.is_file():
                found.append((path, path.relative_to(folder).as_posix()))
    if not found:
        raise InputError(f"{folder}: holds no file. Name another folder.")
    return sorted(found, key=lambda file: file[1])


def _refuse(error: OSError) -> NoReturn:
    raise InputError(
        f"{error.filename}: cannot be read ({error.strerror}). Check its permissions."
    ) from error


def _aligned_files(files: list[tuple[Path, str]]) -> Iterator[Input]:
    """Files that have one name but for a language at its end, `news.en` and `news.zh`, two by two."""
    by_stem: dict[str, list[tuple[Path, str]]] = {}
    for path, name in files:
        if _LANGUAGES.fullmatch(path.suffix):
            by_stem.setdefault(name.removesuffix(path.suffix), []).append((path, name))
    for group in by_stem.values():
        # One of them a language that yuyi is made for; `a.cs` and `a.tr` may be anything.
        if len(group) == 2 and any(path.suffix.lower() in (".en", ".zh") for path, _ in group):
            yield Input("parallel", tuple(group))


def _input(path: Path, name: str, config: SourceConfig) -> Input:
    """One file, or folder of Stack Exchange, by itself."""
    format = config.format if config.format != "auto" else _recognise(path)
    alone = path == Path(config.path)
    skip = ""
    if format == "auto":
        skip = "no known format"
        if alone:
            raise InputError(
                f"{path}: its name does not tell what it is. Say so with format, such as text or mediawiki."
            )
    pairs = False
    if format in _TABLES:
        if not table_columns(path, format):
            skip = "empty"
        elif alone or config.columns or may_hold_text(path, format):
            pairs = is_pairs(column_roles(path, format, config.columns))
        else:
            skip = "no column of text"
    return Input(format, ((path, name),), pairs, skip)


def _recognise(path: Path) -> Format:
    """How a file is to be read; `auto` where nothing tells."""
    if path.is_dir() or path.name == POSTS:
        return "stackexchange"
    if _DUMP.search(path.name):
        return "mediawiki" if _is_mediawiki(path) else "auto"
    format = _BY_SUFFIX.get(path.suffix.lower(), "auto")
    if format == "jsonl" and _holds_threads(path):
        return "threads"
    return format


def _is_mediawiki(path: Path) -> bool:
    if path.suffix.lower() != ".xml":
        return True  # Nothing else is published as compressed XML by this name.
    with reading(path), path.open("rb") as file:
        return b"<mediawiki" in file.read(4096)


def _holds_threads(path: Path) -> bool:
    """Whether the first object of a JSONL file holds a list of objects, as a thread holds its posts."""
    _, row = next(read_objects(path), (0, {}))
    return any(isinstance(value, list) and value and isinstance(value[0], dict) for value in row.values())


def _together(inputs: Iterable[Input]) -> Iterator[Input]:
    """The inputs, small files of one kind put together."""
    kinds: dict[tuple[str, bool, str], list[Input]] = {}
    for found in inputs:
        kinds.setdefault((found.format, found.pairs, found.skip), []).append(found)
    for (format, pairs, skip), group in sorted(kinds.items()):
        if format not in (*_TABLES, "text", "html", "auto"):
            yield from group
            continue
        files: list[tuple[Path, str]] = []
        size = 0
        for path, name in (file for found in group for file in found.files):
            more = path.stat().st_size
            if files and size + more > _INPUT_BYTES and not skip:
                yield Input(group[0].format, tuple(files), pairs, skip)
                files, size = [], 0
            files.append((path, name))
            size += more
        yield Input(group[0].format, tuple(files), pairs, skip)


def read_input(found: Input, config: SourceConfig) -> Iterator[Row]:
    """Each document or pair of an input in order, and each file or row that was passed over.

    Raises:
        InputError: a table or dump is damaged, or the only file there is cannot be read.
    """
    source = source_name(config)
    if found.skip:
        yield from (Skipped(name, found.skip) for _, name in found.files)
    elif found.format == "parallel":
        from yuyi.data.readers.parallel import read_parallel

        paths = [path for path, _ in found.files]
        yield from read_parallel(paths, name=found.files[0][1], source=source, lang=config.lang)
    else:
        for path, name in found.files:
            yield from _read_file(path, name, found.format, source, config)


def _read_file(path: Path, name: str, format: Format, source: str, config: SourceConfig) -> Iterator[Row]:
    if format in _TABLES:
        roles = column_roles(path, format, config.columns)
        if config.name:
            roles.pop("source", None)
        for row in read_table(path, format, roles, name=name, source=source, lang=config.lang):
            yield Skipped(name, "row without text") if row is None else row
    elif format == "stackexchange":
        from yuyi.data.readers.stackexchange import read_stackexchange

        yield from _in_language(read_stackexchange(path, source), config.lang)
    elif format == "mediawiki":
        from yuyi.data.readers.mediawiki import read_mediawiki

        yield from _in_language(read_mediawiki(path, source), config.lang)
    elif format == "threads":
        from yuyi.data.readers.threads import read_threads

        yield from _in_language(read_threads(path, name=name, source=source), config.lang)
    else:
        yield from _read_text(path, name, format, source, config)


def _in_language(documents: Iterator[Document], lang: str) -> Iterator[Document]:
    return (replace(document, lang=lang) for document in documents) if lang else documents


def _read_text(path: Path, name: str, format: Format, source: str, config: SourceConfig) -> Iterator[Row]:
    """The documents of a text file; in a folder one that is no text is passed over, alone it is an error."""
    from yuyi.data.readers.text_files import read_html_file, read_text_file

    read = read_html_file if format == "html" else read_text_file
    empty = True
    try:
        for document in read(path, name=name, source=source, lang=config.lang):
            empty = False
            yield document
    except InputError as error:
        if not empty or path == Path(config.path):
            raise
        yield Skipped(name, "not readable as text", str(error))
        return
    if empty:
        yield Skipped(name, "empty")
