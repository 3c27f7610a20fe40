"""Which files a search covers: those named, and the text and Markdown files of the folders named."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from yuyi.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

MARKUP_SUFFIXES = frozenset({".md", ".markdown", ".rst"})
TEXT_SUFFIXES = (*sorted(MARKUP_SUFFIXES), ".txt")


class FoundFile(NamedTuple):
    """A file to search.

    Attributes:
        path: its absolute path.
        shown: its path as the user would write it.
        size: bytes.
        mtime_ns: when it was last written, nanoseconds since the epoch.
    """

    path: str
    shown: str
    size: int
    mtime_ns: int


@dataclass(slots=True)
class Scan:
    """What was found under some paths.

    Attributes:
        files: each file once, folders in order of their names.
        hidden: number of files and folders left out because their name begins with a dot.
        unreadable: a line for each folder or file that cannot be looked at.
    """

    files: list[FoundFile] = field(default_factory=list)
    hidden: int = 0
    unreadable: list[str] = field(default_factory=list)


def scan(paths: Iterable[str]) -> Scan:
    """The files at and under `paths`. A file that is named itself counts whatever its name or suffix.

    Links to files are followed, links to folders are not, so that no loop can arise.

    Raises:
        InputError: a path does not exist, or is neither a file nor a folder.
    """
    found = Scan()
    seen: set[str] = set()
    for path in paths:
        try:
            status = Path(path).stat()
        except OSError as error:
            raise InputError(f"{path}: {error.strerror or error}. Check the path.") from error
        shown = os.path.normpath(path)
        if stat.S_ISDIR(status.st_mode):
            _walk(shown, found, seen)
        elif stat.S_ISREG(status.st_mode):
            _take(str(Path(shown).absolute()), shown, status, found, seen)
        else:
            raise InputError(
                f"{path}: neither a file nor a folder. Send its lines to standard input instead."
            )
    return found


def _walk(root: str, found: Scan, seen: set[str]) -> None:
    # Folders as their absolute path and as the user would write it: paths of files are put together from
    # these, since asking for each would take longer than all the rest.
    folders = [(str(Path(root).absolute()), "" if root == "." else f"{root.rstrip('/')}/")]
    while folders:
        folder, prefix = folders.pop()
        try:
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            found.unreadable.append(f"{prefix or '.'}: {error.strerror or error}")
            continue
        inner = []
        for entry in entries:
            if entry.name.startswith("."):
                found.hidden += 1
            elif entry.is_dir(follow_symlinks=False):
                inner.append((entry.path, f"{prefix}{entry.name}/"))
            elif entry.name.lower().endswith(TEXT_SUFFIXES):
                _take_entry(entry, prefix + entry.name, found, seen)
        folders.extend(reversed(inner))


def _take_entry(entry: os.DirEntry[str], shown: str, found: Scan, seen: set[str]) -> None:
    try:
        if entry.is_file():
            _take(entry.path, shown, entry.stat(), found, seen)
    except OSError as error:
        found.unreadable.append(f"{shown}: {error.strerror or error}")


def _take(path: str, shown: str, status: os.stat_result, found: Scan, seen: set[str]) -> None:
    if path not in seen:
        seen.add(path)
        found.files.append(FoundFile(path, shown, status.st_size, status.st_mtime_ns))
