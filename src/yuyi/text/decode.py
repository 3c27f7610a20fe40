"""Bytes of a file to text: UTF-8, UTF-16 with its mark, and GB18030, the encodings people really have."""

from __future__ import annotations

import codecs
import contextlib
from typing import TYPE_CHECKING

from yuyi.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Control characters that hardly any text holds: all below the space but tab, line ends, form feed and escape.
# A stray one is found in real documents; a zero, or more than this share of them, means that it is no text.
_CONTROLS = bytes({*range(0x20), 0x7F} - {*b"\t\n\v\f\r\x1b"})
_BINARY_SHARE = 0.01
# A GB18030 decoder accepts much that is not Chinese; this share of the result must be what people write.
_PLAUSIBLE_SHARE = 0.9


def read_text(path: Path) -> str:
    """The text of a file, line ends as newlines, without a byte order mark.

    Raises:
        InputError: the file is missing, a folder, unreadable, binary, or in no known encoding.
    """
    with reading(path):
        return decode(path.read_bytes())


@contextlib.contextmanager
def reading(source: Path | str) -> Iterator[None]:
    """A block that reads `source`; what goes wrong in it becomes an `InputError` that names the source.

    Raises:
        InputError: the source is missing, a folder or unreadable, or the block raised one, without the name.
    """
    try:
        yield
    except InputError as error:
        raise InputError(f"{source}: {error}") from error
    except FileNotFoundError as error:
        raise InputError(f"{source}: no such file. Check the path.") from error
    except IsADirectoryError as error:
        raise InputError(f"{source}: is a folder, and a file is needed. Name a file in it.") from error
    except OSError as error:
        raise InputError(
            f"{source}: cannot be read ({error.strerror or error}). Check its permissions."
        ) from error


def decode(data: bytes) -> str:
    """The text that `data` holds, line ends as newlines, without a byte order mark.

    Raises:
        InputError: `data` is binary or in no known encoding.
    """
    return recognise(data)[1]


def recognise(data: bytes) -> tuple[str, str]:
    """The encoding of `data` (a codec name) and its text, as `decode` gives it.

    Raises:
        InputError: `data` is binary or in no known encoding.
    """
    encoding, text = _recognise(data)
    return encoding, text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def _recognise(data: bytes) -> tuple[str, str]:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            return "utf-16", data.decode("utf-16")
        except UnicodeDecodeError as error:
            raise InputError("starts like UTF-16 text but is damaged. Save it as UTF-8.") from error
    controls = len(data) - len(data.translate(None, _CONTROLS))
    if b"\0" in data or controls > _BINARY_SHARE * len(data):
        raise InputError("holds binary data, not text. Give a text or Markdown file.")
    try:
        return "utf-8", data.decode("utf-8-sig")
    except UnicodeDecodeError as failure:
        position = failure.start
    try:
        text = data.decode("gb18030")
    except UnicodeDecodeError:
        text = ""
    if not _is_plausible(text):
        raise InputError(
            f"is neither UTF-8 (byte {position} does not fit) nor GB18030 text. Save it as UTF-8."
        )
    return "gb18030", text


def _is_plausible(text: str) -> bool:
    """Whether text that came out of the GB18030 decoder reads as Chinese rather than as mangled bytes."""
    foreign = [char for char in text if char > "\x7f"]
    written = sum(
        "\u4e00" <= char <= "\u9fff" or "\u3000" <= char <= "\u303f" or "\uff00" <= char <= "\uffef"
        or "\u2010" <= char <= "\u2026" or char in "·°±×÷"
        for char in foreign
    )  # fmt: skip
    return written > 0 and written >= _PLAUSIBLE_SHARE * len(foreign)
