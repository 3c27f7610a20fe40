"""Hashes of what is on disk, and publishing that is all or nothing."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yuyi.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLOCK = 1 << 20
SEAL = re.compile(r"<!-- yuyi wrote this: ([0-9a-f]{16}) -->\n\Z")
_PACKAGE = Path(__file__).parent


def hash_file(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def hash_json(value: Any) -> str:
    """Hex SHA-256 of a JSON value, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def write_json(path: Path, value: Any) -> None:
    """Write a JSON value as people read it: indented, Chinese as it is, with a line end."""
    path.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def sealed(text: str) -> str:
    """A Markdown text with a last line, not shown, by which `is_sealed` knows it while nobody edits it."""
    return f"{text}<!-- yuyi wrote this: {_seal(text)} -->\n"


def is_sealed(text: str) -> bool:
    """Whether a text is as `sealed` gave it, so that it may be written anew and nobody's work is lost."""
    found = SEAL.search(text)
    return found is not None and found[1] == _seal(text[: found.start()])


def _seal(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def hash_code(*rooms: str) -> str:
    """Hex digest of the source of these rooms or files of yuyi, so that changed code reruns its stages."""
    files = [
        file for room in rooms for file in (sorted((_PACKAGE / room).rglob("*.py")) or [_PACKAGE / room])
    ]
    return hash_json([hash_file(file) for file in files])


def hash_input(path: Path) -> str:
    """Hex digest of a file, or of all files of a folder with their names.

    Raises:
        InputError: there is nothing at that path.
    """
    if path.is_file():
        return hash_file(path)
    if not path.is_dir():
        raise InputError(f"{path}: no such file or folder. Check the path, or where it is relative to.")
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return hash_json([[str(file.relative_to(path)), hash_file(file)] for file in files])


@contextlib.contextmanager
def publish_file(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`; it takes the place of `path` when the block ends without an error.

    Raises:
        InputError: the folder of `path` does not exist or cannot be written, or the disk is full.
    """
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    except OSError as error:
        raise _unwritable(path, error) from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        _set_default_mode(temporary)
        temporary.replace(path)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def publish_folder(path: Path) -> Iterator[Path]:
    """A temporary folder beside `path`; it becomes `path` when the block ends without an error.

    An existing folder is replaced only then. Its files may be read by whom ordinary new ones may, however
    they were written: safetensors, for one, lets nobody else read what it writes.

    Raises:
        InputError: the parent does not exist or cannot be written, or the disk is full.
    """
    try:
        temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        yield temporary
        for inner in (temporary, *temporary.rglob("*")):
            _set_default_mode(inner)
        if path.exists():
            old = temporary.with_name(temporary.name + ".old")
            path.rename(old)
            temporary.rename(path)
            shutil.rmtree(old)
        else:
            temporary.rename(path)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        if temporary.exists():
            shutil.rmtree(temporary)


def make_folder(path: Path, what: str) -> None:
    """Make a folder and those above it, where they are not there.

    Args:
        path: the folder.
        what: what it is for, such as "results".

    Raises:
        InputError: it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be made ({error.strerror or error}). Choose another folder for {what}."
        ) from error


def _set_default_mode(path: Path) -> None:
    """Give a temporary file or folder the permissions that an ordinary new one would have."""
    if path.is_symlink():
        return
    mask = os.umask(0)
    os.umask(mask)
    path.chmod((0o777 if path.is_dir() else 0o666) & ~mask)


def _unwritable(path: Path, error: OSError) -> InputError:
    reason = error.strerror or error
    return InputError(f"{path}: cannot be written ({reason}). Choose another place or make room.")
