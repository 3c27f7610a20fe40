"""Processes that are to write the same thing take turns: one writes, and the others find it written."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from yuyi.errors import InputError
from yuyi.file_lock import wait_for_lock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextlib.contextmanager
def in_turn(folder: Path) -> Iterator[None]:
    """A block that one process or thread enters after another; the folder is made where it is missing.

    Raises:
        InputError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be written ({error.strerror}). Choose another place or make room."
        ) from error
    with lock:
        wait_for_lock(lock)
        yield
