"""The passages and vectors of many files in one file on disk, of which only what is asked for is decoded.

The file is in safetensors form and is mapped, not read. Its arrays carry a CRC-32 each, so damage is noticed.
Being one file, it is replaced in one step: whoever reads meanwhile keeps the old one, and of two processes
that write at once the later leaves its whole result.
"""

from __future__ import annotations

import json
import os
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from yuyi.artifacts import publish_file
from yuyi.errors import InputError
from yuyi.search.query import Passage

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

# The arrays of a store and their types on disk. One row a passage in the first three, one a file in the next
# two; `passages` and `paths` are UTF-8 bytes without gaps, and file names end with a zero byte.
_ARRAYS = {
    "vectors": np.float32,
    "lengths": np.int32,
    "lines": np.int32,
    "stats": np.int64,
    "digests": np.uint8,
    "paths": np.uint8,
    "passages": np.uint8,
}


class DamagedStore(ValueError):
    """A store that is cut off, altered, or not one at all."""


class FileStamp(NamedTuple):
    """What tells whether a file is the one that was read.

    Attributes:
        path: absolute path.
        size: bytes.
        mtime_ns: when it was last written, nanoseconds since the epoch; -1 when that could not be relied on.
        digest: SHA-256 of its bytes.
        is_text: whether its bytes are text; a file without text has no passages.
    """

    path: str
    size: int
    mtime_ns: int
    digest: bytes
    is_text: bool


@dataclass(frozen=True, slots=True)
class FilePart:
    """All that a store keeps of one file.

    Attributes:
        stamp: the file as it was read.
        lines: (rows,) int32, the line on which each passage begins.
        lengths: (rows, 2) int32, bytes of each passage's headings and text.
        passages: (bytes,) uint8, UTF-8 of headings, parted by newlines, and text of each passage.
        vectors: (rows, dim) float32.
    """

    stamp: FileStamp
    lines: NDArray[np.int32]
    lengths: NDArray[np.int32]
    passages: NDArray[np.uint8]
    vectors: NDArray[np.float32]

    @classmethod
    def of(cls, stamp: FileStamp, passages: Sequence[Passage], vectors: NDArray[np.float32]) -> FilePart:
        """The part of a file that was cut into `passages`, whose `vectors` are (rows, dim)."""
        fields = [field.encode() for passage in passages for field in ("\n".join(passage.path), passage.text)]
        return cls(
            stamp,
            np.array([passage.line for passage in passages], np.int32),
            np.array([len(field) for field in fields], np.int32).reshape(-1, 2),
            np.frombuffer(b"".join(fields), np.uint8),
            vectors,
        )


class Store:
    """Passages of many files with their vectors, in memory or mapped from a file.

    Attributes:
        stamps: the files, each once.
        vectors: (rows, dim) float32, the passages of the first file first.
    """

    def __init__(self, arrays: dict[str, NDArray[Any]]) -> None:
        self._arrays = arrays
        self.vectors: NDArray[np.float32] = arrays["vectors"]
        paths = os.fsdecode(arrays["paths"].tobytes()).split("\0")[:-1]
        digests = arrays["digests"].tobytes()
        self.stamps = [
            FileStamp(path, size, mtime_ns, digests[32 * at : 32 * at + 32], bool(is_text))
            for at, (path, (size, mtime_ns, _, is_text)) in enumerate(
                zip(paths, arrays["stats"].tolist(), strict=True)
            )
        ]
        self._rows = _boundaries(arrays["stats"][:, 2])
        self._bytes = _boundaries(arrays["lengths"].ravel())

    def __len__(self) -> int:
        return len(self.vectors)

    @classmethod
    def join(cls, parts: Sequence[FilePart], dim: int) -> Store:
        """The store of these files; their vectors have `dim` dimensions, which must be said for no files."""
        stamps = [part.stamp for part in parts]
        stats = [(s.size, s.mtime_ns, len(p.lines), s.is_text) for s, p in zip(stamps, parts, strict=True)]
        names = os.fsencode("".join(f"{stamp.path}\0" for stamp in stamps))
        digests = b"".join(stamp.digest for stamp in stamps)
        return cls(
            {
                "vectors": np.concatenate([np.empty((0, dim), np.float32), *(p.vectors for p in parts)]),
                "lengths": np.concatenate([np.empty((0, 2), np.int32), *(p.lengths for p in parts)]),
                "lines": np.concatenate([np.empty(0, np.int32), *(p.lines for p in parts)]),
                "stats": np.array(stats, np.int64).reshape(-1, 4),
                "digests": np.frombuffer(digests, np.uint8).reshape(-1, 32),
                "paths": np.frombuffer(names, np.uint8),
                "passages": np.concatenate([np.empty(0, np.uint8), *(p.passages for p in parts)]),
            }
        )

    def part(self, at: int, stamp: FileStamp) -> FilePart:
        """What is kept of the file at `at`, under a newer stamp of the same content."""
        rows = slice(self._rows[at], self._rows[at + 1])
        text = slice(self._bytes[2 * rows.start], self._bytes[2 * rows.stop])
        a = self._arrays
        return FilePart(stamp, a["lines"][rows], a["lengths"][rows], a["passages"][text], self.vectors[rows])

    def passage(self, row: int) -> tuple[str, Passage]:
        """The absolute path of the file of a row, and its passage."""
        at = int(np.searchsorted(self._rows, row, side="right")) - 1
        begin, middle, end = self._bytes[2 * row : 2 * row + 3]
        headings = self._arrays["passages"][begin:middle].tobytes().decode()
        text = self._arrays["passages"][middle:end].tobytes().decode()
        path = tuple(headings.split("\n")) if headings else ()
        return self.stamps[at].path, Passage(text, path, int(self._arrays["lines"][row]))

    def save(self, path: Path) -> None:
        """Write the store to a file, which takes the place of an older one only when it is whole.

        Raises:
            InputError: the place cannot be written, or the disk is full.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import save_file

        checks = {name: str(zlib.crc32(array.data)) for name, array in self._arrays.items()}
        with publish_file(path) as temporary:
            try:
                save_file(self._arrays, temporary, metadata=checks)
            except SafetensorError as error:
                raise InputError(f"{path}: cannot be written ({error}). Make room on the disk.") from error

    @classmethod
    def open(cls, path: Path) -> Store:
        """The store in a file; its arrays stay on disk until they are touched.

        Raises:
            DamagedStore: the file is not a store, or not as it was written.
            FileNotFoundError: there is no such file.
            OSError: it cannot be read.
        """
        try:
            return cls(_map_arrays(path))
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise DamagedStore(f"{path}: damaged") from error


def _map_arrays(path: Path) -> dict[str, NDArray[Any]]:
    data = np.memmap(path, np.uint8, mode="r")
    begin = 8 + int.from_bytes(data[:8].tobytes(), "little")
    header = json.loads(data[8:begin].tobytes())
    arrays = {}
    for name, dtype in _ARRAYS.items():
        first, last = header[name]["data_offsets"]
        raw = np.asarray(data[begin + first : begin + last])
        if zlib.crc32(raw.data) != int(header["__metadata__"][name]):
            raise ValueError(f"{name} is not as it was written")
        arrays[name] = raw.view(dtype).reshape(header[name]["shape"])
    return arrays


def _boundaries(lengths: NDArray[Any]) -> NDArray[np.int64]:
    """(n + 1,) int64, where each of n runs begins, and where the last one ends."""
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
