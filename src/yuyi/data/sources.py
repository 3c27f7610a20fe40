"""Documents out of Parquet files, folders, and single text files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from yuyi.data.clean import language
from yuyi.errors import InputError
from yuyi.records import Document, read_documents
from yuyi.text.decode import read_text
from yuyi.text.markdown import parse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TEXT_SUFFIXES = (".markdown", ".md", ".rst", ".txt")


def documents_from(path: Path) -> Iterator[Document]:
    """Each document of a Parquet file, a text file, or all such files in a folder and below, sorted by path.

    Hidden files and folders are passed over. A text file's title is its first heading, else its name; its
    source is the folder that was named, its `doc_id` the path below that.

    Raises:
        InputError: the path is missing, holds no documents, or a file cannot be read as what its name says.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file or folder. Check the path.")
    if path.is_dir():
        files = _files_below(path)
        if not files:
            raise InputError(
                f"{path}: holds no {', '.join((*TEXT_SUFFIXES, '.parquet'))} file. Name another folder."
            )
        for file in files:
            yield from _documents_in(file, path)
    else:
        yield from _documents_in(path, path.parent)


def _files_below(folder: Path) -> list[Path]:
    return sorted(
        file
        for file in folder.rglob("*")
        if file.suffix.lower() in (*TEXT_SUFFIXES, ".parquet")
        and not any(part.startswith(".") for part in file.relative_to(folder).parts)
        and file.is_file()
    )


def _documents_in(file: Path, folder: Path) -> Iterator[Document]:
    if file.suffix.lower() == ".parquet":
        yield from read_documents(file)
    else:
        text = read_text(file)
        yield Document(
            source=folder.resolve().name,
            doc_id=file.relative_to(folder).as_posix(),
            title=next((block.text for block in parse(text) if block.kind == "heading"), file.stem),
            text=text,
            lang=language(text),
        )
