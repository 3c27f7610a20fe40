"""Documents out of Parquet files, folders, and single text files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from yuyi.data.clean import language
from yuyi.errors import InputError
from yuyi.records import Document, read_columns, read_documents
from yuyi.text.decode import read_text
from yuyi.text.markdown import parse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TEXT_SUFFIXES = (".markdown", ".md", ".rst", ".txt")


def inputs_below(path: Path) -> list[Path]:
    """What can be read by itself: the path, or of a folder each Parquet file and then all its text files.

    Raises:
        InputError: the path is missing, or a folder without anything to read.
    """
    if not path.is_dir():
        if not path.exists():
            raise InputError(f"{path}: no such file or folder. Check the path.")
        return [path]
    inputs = _files_below(path, (".parquet",))
    if _files_below(path, TEXT_SUFFIXES):
        inputs.append(path)
    if not inputs:
        wanted = ", ".join((*TEXT_SUFFIXES, ".parquet"))
        raise InputError(f"{path}: holds no {wanted} file. Name another folder.")
    return inputs


def holds_pairs(path: Path) -> bool:
    """Whether a Parquet file holds pairs rather than documents.

    Raises:
        InputError: it is not a Parquet file, or a cut-off one.
    """
    return path.suffix.lower() == ".parquet" and "text_a" in read_columns(path)[0]


def documents_from(path: Path) -> Iterator[Document]:
    """Each document of a Parquet file, of a text file, or of all text files in a folder and below, by path.

    Hidden files and folders are passed over. A text file's title is its first heading, else its name; its
    source is the folder that was named, its `doc_id` the path below that.

    Raises:
        InputError: a file is missing or cannot be read as what its name says.
    """
    if path.is_dir():
        for file in _files_below(path, TEXT_SUFFIXES):
            yield _text_document(file, path)
    elif path.suffix.lower() == ".parquet":
        yield from read_documents(path)
    else:
        yield _text_document(path, path.parent)


def _files_below(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    return sorted(
        file
        for file in folder.rglob("*")
        if file.suffix.lower() in suffixes
        and not any(part.startswith(".") for part in file.relative_to(folder).parts)
        and file.is_file()
    )


def _text_document(file: Path, folder: Path) -> Document:
    text = read_text(file)
    return Document(
        source=folder.resolve().name,
        doc_id=file.relative_to(folder).as_posix(),
        title=next((block.text for block in parse(text) if block.kind == "heading"), file.stem),
        text=text,
        lang=language(text),
    )
