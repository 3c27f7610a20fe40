"""Which tasks are meant: types, languages and names as people write them."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from yuyi.errors import InputError
from yuyi.evaluate.tasks.kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# Names of one language. mteb has Chinese under three codes: Mandarin, all of Chinese, and one that stands for
# Central Mnong.
_ALIKE = (("zh", "cmn", "zho", "cmo"), ("en", "eng"))


def task_types(names: Iterable[str]) -> list[str]:
    """Mteb's names of types of task.

    Raises:
        InputError: a name is none; the message has those that are near.
    """
    return [near(name, KINDS, "type of task") for name in names]


def language_codes(names: Iterable[str]) -> list[str]:
    """All codes by which mteb may have the languages: "cmn", "zho" and "cmo" for "zh"; "deu-Latn" as it is.

    Args:
        names: codes in any case, of two or three letters, with a script behind a hyphen or without.

    Raises:
        InputError: a name has letters that no code has.
    """
    codes = []
    for name in names:
        if not name.isascii():
            raise InputError(f"{name}: no code of a language. Write zh, en, or a code such as deu.")
        language, _, script = name.casefold().partition("-")
        group = next((alike for alike in _ALIKE if language in alike), (language,))
        ending = f"-{script.title()}" if script else ""
        codes += [code + ending for code in group if len(code) == 3 or len(group) == 1]
    return codes


def speaks(languages: Sequence[str], codes: Iterable[str]) -> bool:
    """Whether one of the languages of a text, as mteb names them ("zho-Hans"), is among the codes."""
    return any(code in (name, name.split("-")[0]) for name in languages for code in codes)


def near(name: str, known: Iterable[str], what: str) -> str:
    """The known name that is the same but for upper and lower case.

    Args:
        name: what was written.
        known: all names.
        what: what they are names of, for the message.

    Raises:
        InputError: there is none; the message has those that are near.
    """
    folded = {each.casefold(): each for each in known}
    if name.casefold() in folded:
        return folded[name.casefold()]
    close = [folded[each] for each in get_close_matches(name.casefold(), folded, n=3)]
    few = sorted(folded.values()) if len(folded) < 10 else []
    hint = f" Did you mean {' or '.join(close)}?" if close else f" Known: {', '.join(few)}." if few else ""
    raise InputError(f"{name}: no {what} of this name.{hint or ' Check its spelling.'}")
