"""What was encoded already: in memory while a task runs, and on disk from run to run where a folder is given.

The file on disk is an SQLite database, one for a fingerprint, what becomes of long texts, engine and device.
Its key is a digest of prompt and text, its value the whole vector, cut and scaled only when it is used.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np

from yuyi.artifacts import make_folder
from yuyi.errors import InputError, ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from yuyi.evaluate.settings import Reader

    Vectors = NDArray[np.float32]

# Beyond that the vectors of a task are forgotten and, at a further dimension, encoded again.
_MOST_BYTES = 4 << 30
# Texts between two commits; no more than these are lost when a run is killed.
_PORTION = 4096
# SQLite takes 999 parameters at a time, if it is old.
_KEYS = 900
# Seconds to wait for another run that writes to the same file.
_PATIENCE = 60


class VectorMemory:
    """Vectors by text and prompt: each text of a task is encoded once, however often it is asked for.

    Args:
        reader: what encodes.
        task: the task's name, for messages.
        file: where vectors are kept from run to run; None for nowhere.
    """

    def __init__(self, reader: Reader, task: str, file: VectorFile | None = None) -> None:
        self._reader = reader
        self._task = task
        self._file = file
        self._rows: dict[str, _Rows] = {}

    @property
    def reader(self) -> Reader:
        """What encodes."""
        return self._reader

    def take(self, texts: list[str], role: str) -> Vectors:
        """(rows, dim) float32 for the texts, in their order.

        Args:
            texts: what to encode.
            role: as `Reader.encode` takes it.

        Raises:
            ModelError: the model gives another number of vectors, another dimension, or no numbers.
            InputError: the file on disk is damaged.
        """
        prompts = self._reader.prompts
        # Without knowledge of the prompts, roles are apart; with it, what has the same prompt is the same.
        rows = self._rows.setdefault(
            role if prompts is None else prompts[role], _Rows(self._reader.encoder.dim)
        )
        fresh = [text for text in dict.fromkeys(texts) if text not in rows.places]
        if fresh:
            held = sum(known.nbytes for known in self._rows.values())
            if held and held + len(fresh) * 4 * self._reader.encoder.dim > _MOST_BYTES:
                self._rows = {}
                return self.take(texts, role)
            for portion, vectors in self._vectors(fresh, role):
                rows.add(portion, vectors)
        return rows.take(texts)

    def _vectors(self, texts: list[str], role: str) -> Iterator[tuple[list[str], Vectors]]:
        """Texts with their vectors, in portions; read from the file or encoded, and then kept there."""
        if self._file is None:
            yield texts, self._encode(texts, role)
            return
        prompts = self._reader.prompts
        way = (role, "") if prompts is None else ("", prompts[role])
        for start in range(0, len(texts), _PORTION):
            keys = {_key(*way, text): text for text in texts[start : start + _PORTION]}
            known = self._file.read(list(keys))
            if known:
                yield [keys[key] for key in known], np.stack(list(known.values()))
            missing = {key: text for key, text in keys.items() if key not in known}
            if missing:
                found = self._encode(list(missing.values()), role)
                self._file.write(list(missing), found)
                yield list(missing.values()), found

    def _encode(self, texts: list[str], role: str) -> Vectors:
        vectors = self._reader.encode(texts, role)
        name, wanted = self._reader.judged.name, (len(texts), self._reader.encoder.dim)
        if vectors.shape != wanted:
            raise ModelError(
                f"{name}: gave an array of shape {vectors.shape} for {len(texts)} texts of {self._task}, the "
                f"first of them {texts[0]!r:.60}, not {wanted}. Mend the model's encode or its dim."
            )
        finite = np.isfinite(vectors).all(axis=1)
        if not finite.all():
            text = texts[int(np.argmin(finite))]
            raise ModelError(
                f"{name}: gave a text of {self._task}, {text!r:.60}, a vector that is not a number. Its "
                "weights are damaged, or its number type is too narrow: try float32."
            )
        return vectors.astype(np.float32, copy=False)


class _Rows:
    """A growing table of vectors and the place of each text in it."""

    def __init__(self, dim: int) -> None:
        self.places: dict[str, int] = {}
        self._values = np.empty((0, dim), np.float32)

    @property
    def nbytes(self) -> int:
        return self._values.nbytes

    def add(self, texts: list[str], vectors: Vectors) -> None:
        first, last = len(self.places), len(self.places) + len(texts)
        if last > len(self._values):
            grown = np.empty((max(last, 2 * first), self._values.shape[1]), np.float32)
            grown[:first] = self._values[:first]
            self._values = grown
        self._values[first:last] = vectors
        self.places.update(zip(texts, range(first, last), strict=True))

    def take(self, texts: list[str]) -> Vectors:
        return self._values[np.fromiter(map(self.places.__getitem__, texts), np.int64, len(texts))]


class VectorFile:
    """Vectors of one model under one setting on disk; nothing of it breaks when the process is killed.

    Args:
        folder: where the files are; it is made if it is not there.
        reader: whose vectors they are.

    Raises:
        InputError: the folder cannot be used, or the file is damaged.
    """

    def __init__(self, folder: Path, reader: Reader) -> None:
        judged = reader.judged
        self._dim = judged.dim
        setting = reader.setting(judged.dim)
        # Engines and devices add up in other orders, so their vectors are not the same.
        told = (judged.fingerprint[:24], reader.overflow, setting.backend, setting.device.replace(":", ""))
        self.path = folder / ("-".join(filter(None, told)) + ".sqlite")
        make_folder(folder, "vectors")
        with self._open() as database:
            # Readers and a writer get along, and a commit is one write to the disk.
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, value BLOB NOT NULL)")

    def read(self, keys: list[bytes]) -> dict[bytes, Vectors]:
        """(dim,) float32 for each of the keys that the file has.

        Raises:
            InputError: the file is damaged.
        """
        found: dict[bytes, Vectors] = {}
        with self._open() as database:
            for start in range(0, len(keys), _KEYS):
                some = keys[start : start + _KEYS]
                marks = ",".join("?" * len(some))
                rows = database.execute(f"SELECT key, value FROM vectors WHERE key IN ({marks})", some)
                found.update((key, self._vector(value)) for key, value in rows)
        return found

    def write(self, keys: list[bytes], vectors: Vectors) -> None:
        """Keep vectors, (rows, dim), all of them or none.

        Raises:
            InputError: the file cannot be written.
        """
        rows = zip(keys, map(np.ndarray.tobytes, vectors.astype("<f4", copy=False)), strict=True)
        with self._open() as database:
            database.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", rows)

    def _vector(self, value: object) -> Vectors:
        if not isinstance(value, bytes) or len(value) != 4 * self._dim:
            raise self._damaged(f"a vector is not of {self._dim} values")
        vector: Vectors = np.frombuffer(value, "<f4")
        if not np.isfinite(vector).all():
            raise self._damaged("a vector is not of numbers")
        return vector

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """The database; what was done is kept at the end, unless there was an error."""
        try:
            with closing(sqlite3.connect(self.path, timeout=_PATIENCE)) as database, database:
                yield database
        # Locked, full, not to be written: what is in the file may be whole.
        except sqlite3.OperationalError as error:
            raise InputError(
                f"{self.path}: cannot be used now ({error}). Wait for the run that holds it, make room on "
                "the disk, or choose another folder for vectors."
            ) from error
        except sqlite3.Error as error:
            raise self._damaged(str(error)) from error

    def _damaged(self, cause: str) -> InputError:
        return InputError(
            f"{self.path}: these kept vectors cannot be used ({cause}). Remove the file, or choose another "
            "folder."
        )


def _key(role: str, prompt: str, text: str) -> bytes:
    # A zero byte stands in no prompt, so no two different inputs look the same.
    return sha256("\0".join((role, prompt, text)).encode("utf-8", "surrogatepass")).digest()
