"""Locks between processes, on a file; they end with the process that holds them.

Windows and some network file systems have no such locks: there nothing is guarded, and nobody waits.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import IO


def try_lock(file: IO[str] | IO[bytes]) -> bool:
    """Whether no other process holds a lock on an open file, which is held from now until it is closed."""
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    # Who held it before may have deleted it since it was opened here, so that a third may hold another.
    return os.fstat(file.fileno()).st_nlink > 0


def wait_for_lock(file: IO[str] | IO[bytes]) -> None:
    """Return when this process or thread alone holds a lock on an open file, until it is closed."""
    with contextlib.suppress(ImportError, OSError):
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX)
