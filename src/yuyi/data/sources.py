"""What is read, and by which reader: a file or a folder becomes inputs of a size that one process does."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, TypeAlias

from pydantic import Field

from yuyi.config import REFUSE_UNKNOWN
from yuyi.data.readers.distinct import Names
from yuyi.data.readers.skipped import Skipped
from yuyi.data.readers.tables import (
    ColumnRole,
    TableKind,
    column_roles,
    is_pairs,
    may_hold_text,
    read_table,
    table_columns,
)
from yuyi.data.readers.threads import holds_threads
from yuyi.errors import InputError
from yuyi.records import Document, Pair
from yuyi.text.decode import reading

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
_POSTS = "posts.xml"
_PACKED = re.compile(r"\.(7z|zip|rar|tar|tgz|tar\.\w+)$", re.IGNORECASE)
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
        named: whether they were named themselves, so that what is wrong with them is an error.
    """

    format: Format
    files: tuple[tuple[Path, str], ...]
    pairs: bool = False
    skip: str = ""
    named: bool = False


Row: TypeAlias = Document | Pair | Skipped


def source_name(config: SourceConfig) -> str:
    """What the collection is called: as the settings say, else as its file, without suffixes, or folder."""
    if config.name:
        return config.name
    whole = Path(_TWO_FILES.sub(r"\1\4", config.path)).absolute()
    # Links are called what the user calls them; one to itself leads nowhere.
    path = _folder_of_dump(Path(os.path.normpath(whole)), config)
    is_folder = os.path.isdir(path)  # noqa: PTH112 (never raises)
    return (path.name if is_folder else path.name.split(".")[0]) or "source"


def is_language(suffix: str) -> bool:
    """Whether the end of a file's name is a language, such as `.zh`."""
    return _LANGUAGES.fullmatch(suffix) is not None


def find_inputs(config: SourceConfig, *, output: Path | None = None) -> list[Input]:
    """What there is to read, in an order that depends on names and sizes alone.

    Hidden files and folders are passed over, and so are folders with data that yuyi made; links to folders
    are not followed.

    Args:
        config: the collection.
        output: the folder that is being written, which is passed over too.

    Raises:
        InputError: there is nothing at the path, the columns of a table do not tell what they hold, or a file
            that was named itself is damaged.
    """
    two = _TWO_FILES.match(config.path)
    if two:
        before, one, other, after = two.groups()
        paths = [Path(f"{before}{lang}{after}") for lang in (one, other)]
        return [Input("parallel", tuple((path, path.name) for path in paths), named=True)]
    path = _folder_of_dump(Path(config.path), config)
    with reading(path):
        is_there = path.exists()
    if not is_there:
        raise InputError(f"{path}: no such file or folder. Check the path.")
    if not path.is_dir():
        return [_named_input(path, config)]
    with reading(path):
        is_dump = _is_dump(file.name for file in path.iterdir())
    if config.format == "stackexchange" or (config.format == "auto" and is_dump):
        return [Input("stackexchange", ((path, path.name),), named=True)]
    files = _files_below(path, output)
    aligned = list(_aligned_files(files)) if config.format in ("auto", "parallel") else []
    used = {name for found in aligned for _, name in found.files}
    inputs = [_input(file, name, config) for file, name in files if name not in used]
    return list(_together([*aligned, *inputs]))


def _is_dump(names: Iterable[str]) -> bool:
    """Whether a folder with files of these names holds a dump of Stack Exchange."""
    return any(name.lower() == _POSTS for name in names)


def _folder_of_dump(path: Path, config: SourceConfig) -> Path:
    """The path, or its folder where it is the posts of Stack Exchange, whose comments lie beside them."""
    posts = config.format in ("auto", "stackexchange") and path.name.lower() == _POSTS
    return path.parent if posts and os.path.isfile(path) else path  # noqa: PTH113 (never raises)


def _files_below(folder: Path, output: Path | None) -> list[tuple[Path, str]]:
    """Each file and its name below the folder; a folder of Stack Exchange stands for its files."""
    if _is_written(folder, output):
        raise InputError(f"{folder}: is a folder with data that yuyi makes. Name what it is to be made of.")
    found = []

    def refuse(error: OSError) -> None:
        if Path(error.filename) == folder:
            raise InputError(
                f"{folder}: cannot be read ({error.strerror}). Check its permissions."
            ) from error
        found.append(Path(error.filename))

    for place, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [
            name for name in folders if name[0] != "." and not _is_written(Path(place, name), output)
        ]
        found += [path for name in folders if (path := Path(place, name)).is_symlink()]
        if _is_dump(files):
            found.append(Path(place))
            folders.clear()
        else:
            found += [Path(place, name) for name in files if name[0] != "."]
    if not found:
        raise InputError(f"{folder}: holds no file. Name another folder.")
    return sorted(((path, path.relative_to(folder).as_posix()) for path in found), key=lambda file: file[1])


def _is_written(folder: Path, output: Path | None) -> bool:
    """Whether yuyi writes, or wrote, its data into a folder."""
    if os.path.exists(folder / "documents" / "step.json"):  # noqa: PTH110 (never raises)
        return True
    return output is not None and output.exists() and folder.samefile(output)


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


def _named_input(path: Path, config: SourceConfig) -> Input:
    if _PACKED.search(path.name):
        raise InputError(f"{path}: is packed. Unpack it, and name the folder.")
    found = _look_at(path, path.name, config, named=True)
    if found.format == "auto":
        raise InputError(
            f"{path}: its name does not tell what it is. Say so with format, such as text or mediawiki."
        )
    return replace(found, named=True)


def _input(path: Path, name: str, config: SourceConfig) -> Input:
    """One file of a folder, or folder of Stack Exchange, by itself."""
    if skip := _no_file(path):
        return Input("auto", ((path, name),), skip=skip)
    try:
        return _look_at(path, name, config)
    except InputError:
        # Reading it will tell what is wrong.
        format = _BY_SUFFIX.get(path.suffix.lower(), "mediawiki")
        return Input(format if config.format == "auto" else config.format, ((path, name),))


def _no_file(path: Path) -> str:
    """Why nothing can be read at a path in a folder; empty where it is worth trying."""
    if not os.path.exists(path):  # noqa: PTH110 (never raises)
        return "broken link"
    if path.is_dir():
        return "link to a folder" if path.is_symlink() else ""
    if not path.is_file():
        return "no regular file"
    return "packed archive" if _PACKED.search(path.name) else ""


def _look_at(path: Path, name: str, config: SourceConfig, *, named: bool = False) -> Input:
    format = config.format if config.format != "auto" else _recognise(path)
    skip = "no known format" if format == "auto" else ""
    pairs = False
    if format in _TABLES:
        if not table_columns(path, format):
            skip = "empty"
        elif named or config.columns or may_hold_text(path, format):
            pairs = is_pairs(column_roles(path, format, config.columns))
        else:
            skip = "no column of text"
    return Input(format, ((path, name),), pairs, skip)


def _recognise(path: Path) -> Format:
    """How a file is to be read; `auto` where nothing tells."""
    if path.is_dir():
        return "stackexchange"
    if _DUMP.search(path.name):
        return "mediawiki" if _is_mediawiki(path) else "auto"
    format = _BY_SUFFIX.get(path.suffix.lower(), "auto")
    if format == "jsonl" and holds_threads(path):
        return "threads"
    return format


def _is_mediawiki(path: Path) -> bool:
    if path.suffix.lower() != ".xml":
        return True  # Nothing else is published as compressed XML by this name.
    with reading(path), path.open("rb") as file:
        return b"<mediawiki" in file.read(4096)


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
            more = 0 if skip else path.stat().st_size
            if files and size + more > _INPUT_BYTES:
                yield Input(group[0].format, tuple(files), pairs, skip)
                files, size = [], 0
            files.append((path, name))
            size += more
        yield Input(group[0].format, tuple(files), pairs, skip)


def read_input(found: Input, config: SourceConfig) -> Iterator[Row]:
    """Each document or pair of an input in order, and what was passed over.

    A file in a folder that turns out to be damaged is passed over from there on; what came before is kept.

    Raises:
        InputError: a file that was named itself is damaged or cannot be read.
    """
    source = source_name(config)
    if found.skip:
        yield from (Skipped(name, found.skip) for _, name in found.files)
    elif found.format == "parallel":
        from yuyi.data.readers.parallel import read_parallel

        paths = [path for path, _ in found.files]
        rows: Iterator[Row] = read_parallel(paths, name=found.files[0][1], source=source, lang=config.lang)
        yield from rows if found.named else _as_far_as_readable(rows, found.files)
    else:
        for file in found.files:
            rows = _read_file(*file, found, source, config)
            yield from rows if found.named else _as_far_as_readable(rows, (file,))


def _as_far_as_readable(rows: Iterator[Row], files: tuple[tuple[Path, str], ...]) -> Iterator[Row]:
    """The rows of files that are read together, up to where they are damaged, and what is wrong there."""
    kept = 0
    try:
        for row in rows:
            kept += not isinstance(row, Skipped)
            yield row
    except InputError as error:
        note = str(error)
        for path, name in files:
            note = note.replace(str(path), name)  # The same wherever the folder lies.
        if kept:
            note += f" The {kept} documents or pairs before it are kept."
        yield from (Skipped(name, "partly read" if kept else "not readable", note) for _, name in files)


def _read_file(path: Path, name: str, found: Input, source: str, config: SourceConfig) -> Iterator[Row]:
    rows: Iterator[Row]
    own_ids = found.named
    if found.format in _TABLES:
        roles = column_roles(path, found.format, config.columns)
        if config.name:
            roles.pop("source", None)
        # Of files that yuyi wrote the ids are distinct by collection, and links lead to them.
        own_ids |= "source" in roles
        table = read_table(path, found.format, roles, name=name, source=source, lang=config.lang)
        rows = (Skipped(name, "row without text") if row is None else row for row in table)
    elif found.format == "stackexchange":
        from yuyi.data.readers.stackexchange import read_stackexchange

        rows = read_stackexchange(path, source, partly=not found.named)
    elif found.format == "mediawiki":
        from yuyi.data.readers.mediawiki import read_mediawiki

        rows = read_mediawiki(path, name=name, source=source)
        own_ids = True  # titles, to which links lead
    elif found.format == "threads":
        from yuyi.data.readers.threads import read_threads

        rows = read_threads(path, name=name, source=source)
    else:
        yield from _read_text(path, name, found.format, source, config)
        return
    names = Names()
    for row in rows:
        if not isinstance(row, Document):
            yield row
            continue
        prefix = "" if own_ids or row.doc_id.startswith(f"{name}#") else f"{name}/"
        lang = config.lang or row.lang
        doc_id = names.distinct(prefix + row.doc_id, f"{row.source}\x1f{lang}")
        same = doc_id == row.doc_id and lang == row.lang
        yield row if same else replace(row, doc_id=doc_id, lang=lang)


def _read_text(path: Path, name: str, format: Format, source: str, config: SourceConfig) -> Iterator[Row]:
    from yuyi.data.readers.text_files import read_html_file, read_text_file

    read = read_html_file if format == "html" else read_text_file
    empty = True
    for document in read(path, name=name, source=source, lang=config.lang):
        empty = False
        yield document
    if empty:
        yield Skipped(name, "empty")
