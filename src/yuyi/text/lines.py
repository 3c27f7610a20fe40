"""The lines of texts too large to hold, decoded as they come."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

from yuyi.errors import InputError
from yuyi.text.decode import reading, recognise

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

_BLOCK_BYTES = 1 << 20
LONGEST_LINE = 32 << 20


def read_lines(path: Path) -> Iterator[str]:
    """Each line of a file, as `decode_lines` gives it.

    Raises:
        InputError: the file is missing, a folder, unreadable, binary, or in no known encoding.
    """
    with reading(path), path.open("rb") as file:
        yield from decode_lines(file)


def count_lines(path: Path) -> int:
    """Number of lines of a file, without decoding them; line ends of old Macs are not seen.

    Raises:
        InputError: the file is missing, a folder or unreadable.
    """
    lines = 0
    last = b"\n"
    with reading(path), path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            lines += block.count(b"\n")
            last = block[-1:]
    return lines + (last != b"\n")


def decode_lines(file: BinaryIO) -> Iterator[str]:
    """Each line of an open file without its end, in the encodings that `decode` knows.

    Memory stays at a few megabytes or the longest line; UTF-16 alone is read whole. The first block with a
    byte beyond ASCII decides the encoding, and the rest must be in the same.

    Raises:
        InputError: the file is binary, in no known encoding, or in more than one.
    """
    expected = None
    seen = 0
    while block := _read_block(file):
        try:
            encoding, text = recognise(block)
        except InputError as error:
            raise InputError(f"{error} (found after line {seen})" if seen else str(error)) from error
        if not block.isascii():
            if expected not in (None, encoding):
                raise InputError(
                    f"changes from {expected} to {encoding} after line {seen}. Save it as UTF-8."
                )
            expected = encoding
        lines = text.split("\n")
        if not lines[-1]:
            lines.pop()
        seen += len(lines)
        yield from lines


def _read_block(file: BinaryIO) -> bytes:
    """About a megabyte, ending where a line ends, so that it can be decoded by itself."""
    block = file.read(_BLOCK_BYTES)
    if block.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return block + file.read()
    return block + file.readline()
