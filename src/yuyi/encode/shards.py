"""What an unfinished output has so far, kept beside it, so that a run after a kill goes on where it stopped.

The folder `OUT.parts` holds `manifest.json`, which says what work it belongs to, and a `.npz` file for each
finished shard, named by its rows. A shard appears whole or not at all; the checksums of the zip format find
what a power cut has damaged.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import tempfile
import threading
import time
import zipfile
import zlib
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from yuyi.artifacts import publish_file, publish_folder
from yuyi.errors import InputError
from yuyi.file_lock import try_lock
from yuyi.text.overflow import EncodeInfo

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

# Work that ends sooner is not kept: doing it again costs less than the reader of this line has spent.
_PATIENCE_SECONDS = 5.0
_MANIFEST = "manifest.json"
# How zipfile and numpy say that a file is not whole.
_NOT_WHOLE = (OSError, ValueError, EOFError, KeyError, NotImplementedError, zipfile.BadZipFile, zlib.error)


class Shards:
    """The finished shards of one output. `take` and `keep` may be called from several threads."""

    def __init__(
        self, out: Path, key: Mapping[str, Any], size: tuple[int, int], *, start_over: bool = False
    ) -> None:
        """Find what an earlier run with the same key has left.

        Args:
            out: the output that the shards are for.
            key: everything that decides the vectors, as JSON values by a name that the user knows.
            size: rows and characters of a shard; what an earlier run began with goes before it.
            start_over: throw away what belongs to another key.

        Raises:
            InputError: what is there belongs to another key, and `start_over` is false.
        """
        self.folder = out.with_name(f"{out.name}.parts")
        self.size = size
        self._key = json.loads(json.dumps(key))
        self._begin = time.monotonic()
        self._lock = threading.Lock()
        if not self.folder.exists():
            return
        found, begun_with = self._read_manifest()
        changed = [name for name in {**self._key, **found} if found.get(name) != self._key.get(name)]
        if changed and not start_over:
            raise InputError(
                f"{self.folder}: holds unfinished work of a command with another {', '.join(changed)}. Run "
                "that one again to finish it, or add --force to start over."
            )
        if changed:
            self.remove()
        else:
            self.size = begun_with

    @property
    def rows(self) -> int:
        """Number of rows that are finished."""
        spans = (path.stem.split("-") for path in self.folder.glob("[0-9]*-*.npz"))
        return sum(int(stop) - int(start) for start, stop in spans)

    def take(self, start: int, stop: int) -> tuple[NDArray[Any], EncodeInfo] | None:
        """The vectors of these rows and their info; None where they are not finished, or damaged."""
        try:
            with self._path(start, stop).open("rb") as file, np.load(file) as arrays:
                info = EncodeInfo(arrays["tokens"], arrays["used"], arrays["chunks"])
                return arrays["vectors"], info
        except _NOT_WHOLE:
            return None

    def keep(self, start: int, stop: int, vectors: NDArray[Any], info: EncodeInfo) -> None:
        """Keep the vectors of these rows, unless the whole work has hardly begun.

        Raises:
            InputError: the place cannot be written, or the disk is full.
        """
        with self._lock:
            if not self.folder.exists():
                if time.monotonic() - self._begin < _PATIENCE_SECONDS:
                    return
                with publish_folder(self.folder) as folder:
                    manifest = {"work": self._key, "size": self.size}
                    text = json.dumps(manifest, ensure_ascii=False, indent=2)
                    (folder / _MANIFEST).write_text(text, encoding="utf-8")
        with publish_file(self._path(start, stop)) as temporary, temporary.open("wb") as file:
            np.savez(file, vectors=vectors, tokens=info.tokens, used=info.used, chunks=info.chunks)

    def remove(self) -> None:
        """Delete them: the output is complete, or nobody wants it."""
        if self.folder.exists():
            # Out of sight first, lest a kill in the middle leave a part that looks like a stranger's folder.
            doomed = Path(tempfile.mkdtemp(dir=self.folder.parent, prefix=f".{self.folder.name}."))
            self.folder.rename(doomed / self.folder.name)
            shutil.rmtree(doomed, ignore_errors=True)

    def _path(self, start: int, stop: int) -> Path:
        return self.folder / f"{start:012d}-{stop:012d}.npz"

    def _read_manifest(self) -> tuple[dict[str, Any], tuple[int, int]]:
        """The key and the size of the shards in the folder."""
        try:
            manifest = json.loads((self.folder / _MANIFEST).read_text(encoding="utf-8"))
            rows, characters = manifest["size"]
            return dict(manifest["work"]), (int(rows), int(characters))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{self.folder}: not the unfinished work of an earlier run, whose place it takes. "
                "Move or delete it."
            ) from error


@contextlib.contextmanager
def only_run(out: Path) -> Iterator[None]:
    """A block that no other process has entered for the same output; what killed runs left there is gone.

    A lock that ends with its process guards it, on a hidden file beside the output. Where the system or its
    file system has no such locks, nothing is guarded.

    Raises:
        InputError: another process writes the output, or its place cannot be written.
    """
    place = out.with_name(f".{out.name}.lock")
    with _open_lock(place, out) as file:
        if not try_lock(file):
            raise InputError(
                f"{out}: another run is writing it at this moment. Wait for its end, or name another file."
            )
        try:
            _remove_half_written(out)
            yield
        finally:
            place.unlink(missing_ok=True)


def _open_lock(place: Path, out: Path) -> IO[bytes]:
    try:
        return place.open("ab")
    except OSError as error:
        raise InputError(
            f"{out}: cannot be written ({error.strerror}). Choose another place or make room."
        ) from error


def _remove_half_written(out: Path) -> None:
    """Delete what killed runs left: temporaries of `publish_file` and `publish_folder`."""
    name, suffix, chance = re.escape(out.name), re.escape(out.suffix), "[a-z0-9_]{8}"  # As `tempfile` names.
    temporary = re.compile(rf"\.{name}\.(?:{chance}{suffix}|parts\.{chance})")
    for path in out.parent.iterdir():
        if not temporary.fullmatch(path.name):
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
