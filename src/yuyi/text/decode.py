"""Bytes of a file to text: UTF-8, UTF-16 with its mark, and GB18030, the encodings people really have."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

from yuyi.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

# Control characters that no text file holds: all below the space but tab, line ends, form feed and escape.
_BINARY = bytes({*range(0x20), 0x7F} - {*b"\t\n\v\f\r\x1b"})
# A GB18030 decoder accepts much that is not Chinese; this share of the result must be what people write.
_PLAUSIBLE_SHARE = 0.9


def read_text(path: Path) -> str:
    """The text of a file, line ends as newlines, without a byte order mark.

    Raises:
        InputError: the file is missing, a folder, unreadable, binary, or in no known encoding.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file. Check the path.") from error
    except IsADirectoryError as error:
        raise InputError(f"{path}: is a folder, and a file is needed. Name a file in it.") from error
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror or error}). Check its permissions."
        ) from error
    try:
        return decode(data)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def decode(data: bytes) -> str:
    """The text that `data` holds, line ends as newlines, without a byte order mark.

    Raises:
        InputError: `data` is binary or in no known encoding.
    """
    text = _decode(data)
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def _decode(data: bytes) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            return data.decode("utf-16")
        except UnicodeDecodeError as error:
            raise InputError("starts like UTF-16 text but is damaged. Save it as UTF-8.") from error
    if len(data.translate(None, _BINARY)) != len(data):
        raise InputError("holds binary data, not text. Give a text or Markdown file.")
    try:
        return data.decode("utf-8-sig")
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
    return text


def _is_plausible(text: str) -> bool:
    """Whether text that came out of the GB18030 decoder reads as Chinese rather than as mangled bytes."""
    foreign = [char for char in text if char > "\x7f"]
    written = sum(
        "\u4e00" <= char <= "\u9fff" or "\u3000" <= char <= "\u303f" or "\uff00" <= char <= "\uffef"
        or "\u2010" <= char <= "\u2026" or char in "·°±×÷"
        for char in foreign
    )  # fmt: skip
    return written > 0 and written >= _PLAUSIBLE_SHARE * len(foreign)
