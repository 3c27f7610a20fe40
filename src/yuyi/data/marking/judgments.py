"""What a language model has said of pairs and what was paid for it, on disk after every answer."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from typing import TYPE_CHECKING

from yuyi.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

_TABLES = """
create table if not exists scores (key text primary key, score real not null) without rowid;
create table if not exists spent (model text primary key, tokens_in integer not null,
    tokens_out integer not null);
"""
_SPEND = """
insert into spent values (?, ?, ?) on conflict (model) do update
    set tokens_in = tokens_in + excluded.tokens_in, tokens_out = tokens_out + excluded.tokens_out
"""


class Judgments:
    """Scores by key, and tokens by model; several threads may use it.

    Args:
        path: a SQLite file, made where it is missing.

    Raises:
        InputError: the file is no such database, or cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        try:
            self._file = sqlite3.connect(path, check_same_thread=False)
            self._file.executescript(_TABLES)
        except sqlite3.Error as error:
            raise InputError(f"{path}: cannot be used as a cache ({error}). Move it away.") from error

    def keep(self, scores: Mapping[str, float], model: str, tokens_in: int, tokens_out: int) -> None:
        """Write an answer's scores and its cost, all or nothing."""
        with self._lock, self._file:
            self._file.executemany("insert or replace into scores values (?, ?)", scores.items())
            self._file.execute(_SPEND, (model, tokens_in, tokens_out))

    def scores(self, keys: Iterable[str]) -> dict[str, float]:
        """The scores of those keys that have one."""
        find = "select score from scores where key = ?"
        with self._lock:
            rows = ((key, self._file.execute(find, (key,)).fetchone()) for key in keys)
            return {key: row[0] for key, row in rows if row is not None}

    def spent(self, model: str) -> tuple[int, int]:
        """Tokens sent to a model and received from it so far."""
        sums = "select tokens_in, tokens_out from spent where model = ?"
        with self._lock:
            tokens_in, tokens_out = self._file.execute(sums, (model,)).fetchone() or (0, 0)
        return tokens_in, tokens_out

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


@contextlib.contextmanager
def judgments_in(path: Path) -> Iterator[Judgments]:
    """The judgments of a file, which is closed after the block."""
    judgments = Judgments(path)
    try:
        yield judgments
    finally:
        judgments.close()
