"""Bytes of a file to text: UTF-8, UTF-16, UTF-32, GB18030 and Big5, the encodings people really have."""

from __future__ import annotations

import codecs
import contextlib
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING

from yuyi.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Control characters that hardly any text holds: all below the space but tab, line ends, form feed and escape.
# A stray one is found in real documents; a zero, or more than this share of them, means that it is no text.
_CONTROLS = bytes({*range(0x20), 0x7F} - {*b"\t\n\v\f\r\x1b"})
_BINARY_SHARE = 0.01
# Of bytes in UTF-16 without a mark, which any bytes may seem to be.
_UTF16_SHARE = 0.98
# And so few bytes tell nothing.
_LEAST_WIDE = 16
# Of bytes in another encoding a wrong decoder makes characters too; this share must be what people write.
_PLAUSIBLE_SHARE = 0.9
# Of the Chinese characters in running text at least a quarter is in `_FREQUENT`; bytes of another language
# that happen to decode hold far fewer. A list of names may too, so few characters are not judged.
_FREQUENT_SHARE = 0.15
_JUDGED_FROM = 100
# Looking at more characters would not change the judgment.
_LOOKED_AT = 4096
# The mark of UTF-32 begins with that of UTF-16.
_WIDE_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# Of ambiguous bytes the first wins.
_CHINESE = ("gb18030", "cp950", "big5hkscs")
_FREQUENT = frozenset(
    "的一是不了在人有我他这個个们們中来來上大为為和国國地到以说說时時要就出会會可也你对對生能而子那得于於着著下自之年过過"
    "发發后後作里裡用道行所然家种種事成方多经經么麼去法学學如都同现現当當没沒动動面起看定天分还還进進好小部其些主样樣理心"
    "她本前开開但因只从從想实實日军軍者意无無力它与與长長把机機十民第公此已工使情明性知全三又关關点點正业業外将將两兩高间間"
    "由问問很最重并並物手应應战戰向头頭文体體政美相见見被利什二等产產新己制身果加西斯月话話合回特代内內信表化老给給世位次"
    "度门門任常先海通教儿兒原东東声聲提立及比员員解水名真论論处處走义義各入几幾口认認条條平系气氣题題活尔爾更别別打女变變"
    "四神总總何电電数數安少报報才结結反受目太量再感建务務做接必场場件计計管期市直德资資命山金指克许許统統区區保至队隊形社"
    "便空决決治展马馬科司五基眼书書非则則听聽白却卻界达達光放强強即像难難且权權思王象完设設式色路记記南品住告类類求据據程"
)  # fmt: skip


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
    text = recognise(data)[1]
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def recognise(data: bytes) -> tuple[str, str]:
    """The encoding of `data` (a codec name) and its text with its line ends, without a byte order mark.

    What is valid UTF-8 is UTF-8, and what has a mark is what that says; of other encodings the one whose
    text is most like what people write.

    Raises:
        InputError: `data` is binary or in no known encoding.
    """
    encoding = recognise_wide(data)
    if encoding:
        try:
            return encoding, data.decode(encoding).removeprefix("\ufeff")
        except UnicodeDecodeError as error:
            raise InputError(
                f"starts like {encoding[:6].upper()} text but is damaged. Save it as UTF-8."
            ) from error
    refuse_binary(data)
    try:
        return "utf-8", data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        failure = error
    found = {name: text for name in _CHINESE if (text := _decoded(data, name)) is not None}
    best = max(found, key=lambda name: _likeness(found[name]), default="")
    if not best or not _is_plausible(found[best]):
        raise InputError(
            f"is neither UTF-8 (byte {failure.start} does not fit) nor GB18030 nor Big5. Save it as UTF-8."
        ) from failure
    return best, found[best]


def recognise_wide(data: bytes) -> str | None:
    """The codec of text in UTF-16 or UTF-32 that begins with `data`; else None.

    UTF-32 is told by its mark, UTF-16 by its mark or by what it says.
    """
    for mark, encoding in _WIDE_MARKS:
        if data.startswith(mark):
            return encoding
    # Without a mark it is told by its zeros: the upper halves of ASCII characters, line ends among them.
    head = data[: 2 * _LOOKED_AT]
    if len(head) < _LEAST_WIDE or b"\0" not in head or (len(data) % 2 and len(data) <= len(head)):
        return None
    shares = {name: _written_share(head, name) for name in ("utf-16-le", "utf-16-be")}
    best = max(shares, key=lambda name: shares[name])
    return best if shares[best] >= _UTF16_SHARE else None


def _written_share(data: bytes, encoding: str) -> float:
    text = data[: len(data) // 2 * 2].decode(encoding, errors="replace")
    if "\0" in text:
        return 0.0
    written = sum(
        char in "\t\n\r" or " " <= char <= "~" or "\xa0" <= char < "\u0250" or _is_written(char)
        for char in text
    )
    return written / len(text)


def refuse_binary(data: bytes) -> None:
    """Return where `data` may be text in an encoding whose ASCII is ASCII.

    Raises:
        InputError: it holds what only binary files hold.
    """
    controls = len(data) - len(data.translate(None, _CONTROLS))
    if b"\0" in data or controls > _BINARY_SHARE * len(data):
        raise InputError("holds binary data, not text. Give a text or Markdown file.")


def _decoded(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        return None


def _is_plausible(text: str) -> bool:
    """Whether what a decoder made reads as Chinese rather than as mangled bytes."""
    foreign = _foreign(text)
    written = sum(map(_is_written, foreign))
    ideographs = [char for char in foreign if "\u4e00" <= char <= "\u9fff"]
    frequent = sum(char in _FREQUENT for char in ideographs)
    if len(ideographs) >= _JUDGED_FROM and frequent < _FREQUENT_SHARE * len(ideographs):
        return False
    return written > 0 and written >= _PLAUSIBLE_SHARE * len(foreign)


def _likeness(text: str) -> float:
    """How much text that a decoder made is like what people write, from 0 to 2."""
    foreign = _foreign(text)
    common = sum(char in _common() if "\u4e00" <= char <= "\u9fff" else _is_written(char) for char in foreign)
    return (sum(char in _FREQUENT for char in foreign) + common) / len(foreign)


def _foreign(text: str) -> list[str]:
    return list(islice((char for char in text if char > "\x7f"), _LOOKED_AT))


def _is_written(char: str) -> bool:
    """Whether a character beyond ASCII is one that a Chinese text holds."""
    return (
        "\u4e00" <= char <= "\u9fff" or "\u3000" <= char <= "\u303f" or "\uff00" <= char <= "\uffef"
        or "\u2010" <= char <= "\u2027" or "\u3105" <= char <= "\u3129" or "\ufe30" <= char <= "\ufe6b"
        # Arrows, frames, ticks, circled numbers and emoji; spaces that do not break.
        or "\u2190" <= char <= "\u27bf" or "\U0001f300" <= char <= "\U0001faff" or char in "\xa0·°±×÷"
    )  # fmt: skip


@cache
def _common() -> frozenset[str]:
    """The characters in everyday use: the first level of GB 2312 and that of Big5, about 6,800."""
    levels = (("gb2312", range(0xB0, 0xD8)), ("big5", range(0xA4, 0xC7)))
    return frozenset(
        char
        for encoding, rows in levels
        for row in rows
        for cell in (*range(0x40, 0x7F), *range(0xA1, 0xFF))
        for char in bytes((row, cell)).decode(encoding, errors="ignore")
        if char > "\x7f"
    )
