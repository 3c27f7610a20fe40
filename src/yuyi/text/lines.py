"""The lines of texts too large to hold, decoded as they come."""

from __future__ import annotations

import codecs
import io
from typing import TYPE_CHECKING

from yuyi.errors import InputError
from yuyi.text.decode import reading, recognise, recognise_wide, refuse_binary

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

_BLOCK_BYTES = 1 << 20
# Bytes or characters; a longer line would not fit in memory in several copies.
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

    Memory stays at a few megabytes or the longest line. The first block with a byte beyond ASCII decides the
    encoding, and the rest must be in the same.

    Raises:
        InputError: the file is binary, in no known encoding, or in more than one, or a line has more than
            32 MiB.
    """
    first = _read_block(file, 0)
    encoding = recognise_wide(first)
    texts = _decode_wide(file, first, encoding) if encoding else _decode_blocks(file, first)
    newlines = io.IncrementalNewlineDecoder(None, translate=True)
    seen = 0
    rest = ""
    for text in texts:
        lines = (rest + newlines.decode(text)).split("\n")
        rest = lines.pop()
        seen += len(lines)
        yield from lines
        if len(rest) > LONGEST_LINE:
            raise _too_long(seen)
    rest += newlines.decode("", final=True)
    if rest:
        yield rest.removesuffix("\n")


def _decode_blocks(file: BinaryIO, block: bytes) -> Iterator[str]:
    """The text of each block; where it is ASCII, what it is in is left open."""
    expected = None
    seen = 0
    while block:
        refuse_binary(block)
        try:
            if expected is not None or block.isascii():
                text = block.decode(expected or "ascii")
            else:
                expected, text = recognise(block)
        except (UnicodeDecodeError, InputError) as error:
            raise _strange_bytes(error, block, seen, expected) from error
        yield text
        seen += block.count(b"\n")
        block = _read_block(file, seen)


def _strange_bytes(error: Exception, block: bytes, seen: int, expected: str | None) -> InputError:
    failure = error if isinstance(error, UnicodeDecodeError) else error.__cause__
    if not isinstance(failure, UnicodeDecodeError):
        return InputError(f"{error} (found after line {seen})" if seen else str(error))
    line = seen + block.count(b"\n", 0, failure.start) + 1
    if expected is None:
        return InputError(f"line {line} is neither UTF-8 nor GB18030 nor Big5. Save the file as UTF-8.")
    return InputError(f"line {line} is not {expected}, as the lines before it are. Save all of it as UTF-8.")


def _decode_wide(file: BinaryIO, block: bytes, encoding: str) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        yield decoder.decode(block).removeprefix("\ufeff")
        while block := file.read(_BLOCK_BYTES):
            yield decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise InputError(
            f"starts like {encoding[:6].upper()} text but is damaged. Save it as UTF-8."
        ) from error


def _read_block(file: BinaryIO, seen: int) -> bytes:
    """About a megabyte, ending where a line ends, so that it can be decoded by itself."""
    block = file.read(_BLOCK_BYTES)
    rest = file.readline(LONGEST_LINE)
    if len(rest) == LONGEST_LINE and not rest.endswith(b"\n"):
        raise _too_long(seen + block.count(b"\n"))
    return block + rest


def _too_long(seen: int) -> InputError:
    return InputError(
        f"line {seen + 1} is longer than {LONGEST_LINE >> 20} MiB. Break it up, or leave it out."
    )
