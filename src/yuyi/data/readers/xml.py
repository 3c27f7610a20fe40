"""XML files of any size, element by element, in constant memory; also compressed ones."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn, Protocol, cast
from xml.parsers import expat

from yuyi.errors import InputError
from yuyi.text.decode import reading

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_CHUNK_BYTES = 1 << 18
_OPENERS = {".bz2": bz2.open, ".gz": gzip.open, ".xz": lzma.open}


class Elements(Protocol):
    """What is told of each element."""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """An element begins."""

    def end(self, name: str) -> None:
        """An element ends."""

    def data(self, text: str) -> None:
        """Text of the innermost open element, perhaps not all of it."""


def stream_xml(path: Path, root: str, elements: Elements) -> Iterator[None]:
    """Tells `elements` what the file holds, and stops after each quarter of a megabyte for it to be used.

    Args:
        path: XML, also compressed as `.bz2`, `.gz` or `.xz`.
        root: what its outermost element must be called.
        elements: is told.

    Raises:
        InputError: the file is missing, cut off, not well-formed, declares entities, or has another root; the
            message names the line.
    """
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.buffer_size = 1 << 16

    def start_root(name: str, attributes: dict[str, str]) -> None:
        if name != root:
            raise InputError(f"line {parser.CurrentLineNumber}: is <{name}>, not <{root}>. Check the file.")
        parser.StartElementHandler = elements.start
        elements.start(name, attributes)

    def refuse(*_: object) -> NoReturn:
        # Entities that hold entities grow without bound, and no dump declares any.
        raise InputError(f"line {parser.CurrentLineNumber}: declares an entity, as no dump does. Remove it.")

    parser.StartElementHandler = start_root
    parser.EndElementHandler = elements.end
    parser.CharacterDataHandler = elements.data
    parser.EntityDeclHandler = refuse
    with reading(path), _open(path) as file:
        while True:
            chunk = _read(file)
            try:
                parser.Parse(chunk, not chunk)
            except expat.ExpatError as error:
                yield  # what came before it
                raise InputError(
                    f"line {error.lineno}: not well-formed XML ({expat.ErrorString(error.code)}). "
                    + ("Mend it there." if chunk else "The file is cut off; copy or download it again.")
                ) from error
            yield
            if not chunk:
                return


def _open(path: Path) -> BinaryIO:
    opener: Any = _OPENERS.get(path.suffix.lower(), open)
    return cast("BinaryIO", opener(path, "rb"))


def _read(file: BinaryIO) -> bytes:
    try:
        return file.read(_CHUNK_BYTES)
    except (EOFError, OSError, lzma.LZMAError, zlib.error) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk's fault, not the file's
        raise InputError(
            f"damaged or cut-off compressed file ({error}). Copy or download it again."
        ) from error
