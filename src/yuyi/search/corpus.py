"""Files made searchable: what has changed since the last time is embedded, all else is kept."""

from __future__ import annotations

import hashlib
import os
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from yuyi.errors import InputError
from yuyi.search.flat import FlatIndex
from yuyi.search.query import Hit
from yuyi.search.scan import scan
from yuyi.search.store import DamagedStore, FilePart, FileStamp, Store
from yuyi.text.decode import decode
from yuyi.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from yuyi.search.query import Passage
    from yuyi.search.scan import FoundFile, Scan
    from yuyi.types import Encoder

# A file written this shortly before it is read may be written again under the same time stamp.
_CLOCK_STEP_NS = 100_000_000


class Corpus:
    """Files whose passages can be searched. Made by `open_corpus`.

    Attributes:
        files: number of files searched, empty ones included.
        passages: number of passages they were cut into.
        embedded: number of passages that had to be embedded this time.
        skipped: number of entries left out, by reason: `hidden`, `not text`, `unreadable`.
        notes: a line for each thing that went wrong without stopping the search.
    """

    def __init__(
        self, store: Store, shown: dict[str, str], embedded: int, skipped: Counter[str], notes: list[str]
    ) -> None:
        self._store = store
        self._shown = shown
        self.files = sum(stamp.is_text for stamp in store.stamps)
        self.passages = len(store)
        self.embedded = embedded
        self.skipped = skipped
        self.notes = notes

    def search(self, question: NDArray[np.float32], top: int) -> list[Hit]:
        """The `top` passages closest to the question, best first.

        Args:
            question: (1, dim) float32 of unit length, from the encoder the corpus was opened with.
            top: number of passages wanted.
        """
        scores, rows = FlatIndex(self._store.vectors).search(question, top)
        hits = []
        for score, row in zip(scores[0].tolist(), rows[0].tolist(), strict=True):
            path, passage = self._store.passage(row)
            shown = os.fsencode(self._shown[path]).decode(errors="backslashreplace")
            hits.append(Hit(score, shown, passage))
        return hits


def cache_folder() -> Path:
    """Where yuyi keeps what it can make again: $YUYI_CACHE, else $XDG_CACHE_HOME/yuyi, else ~/.cache/yuyi."""
    if chosen := os.environ.get("YUYI_CACHE"):
        return Path(chosen)
    if caches := os.environ.get("XDG_CACHE_HOME"):
        return Path(caches, "yuyi")
    return Path("~/.cache/yuyi").expanduser()


def open_corpus(
    paths: Sequence[str],
    encoder: Encoder,
    cache: Path | None = None,
    progress: Callable[[int], None] = lambda passages: None,
) -> Corpus:
    """The files at and under `paths`, ready to be searched.

    What cannot be read is left out and noted. A cache that is damaged or cannot be written is noted too; the
    search then works without it.

    Args:
        paths: files and folders.
        encoder: makes the vectors; its fingerprint is part of what the cache is found by.
        cache: folder in which the index is kept for the next time; None keeps nothing.
        progress: called with the number of passages of each changed file.

    Raises:
        InputError: a path does not exist, or there are files and none of them could be read.
    """
    found = scan(paths)
    notes: list[str] = []
    place = cache and cache / "search" / f"{_key(paths, encoder)}.safetensors"
    kept = _open_kept(place, notes) if place else None
    update = _Update(Store.join([], encoder.dim) if kept is None else kept, encoder, progress)
    store = update.run(found.files)
    if place and store is not kept and store.stamps:
        _keep(store, place, notes)
    unreadable = [*found.unreadable, *update.unreadable]
    not_text = [stamp.path for stamp in store.stamps if not stamp.is_text]
    shown = {file.path: file.shown for file in found.files}
    notes += unreadable
    if not any(stamp.is_text for stamp in store.stamps):
        _refuse_unless_empty(found, unreadable, [shown[path] for path in not_text])
    skipped = Counter({"hidden": found.hidden, "not text": len(not_text), "unreadable": len(unreadable)})
    return Corpus(store, shown, update.embedded, skipped, notes)


def _key(paths: Sequence[str], encoder: Encoder) -> str:
    """What a kept index is found by: the set of paths, the model, and the code that cut the passages."""
    places = sorted({os.fsencode(Path(path).absolute()) for path in paths})
    return hashlib.sha256(
        b"\0".join([__version__.encode(), encoder.fingerprint.encode(), *places])
    ).hexdigest()


def _open_kept(place: Path, notes: list[str]) -> Store | None:
    try:
        return Store.open(place)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (DamagedStore, OSError) as error:
        notes.append(f"the index of an earlier search cannot be used, so it is made again: {error}")
        return None


def _keep(store: Store, place: Path, notes: list[str]) -> None:
    try:
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # It holds text of the user's files.
        store.save(place)
    except (InputError, OSError) as error:
        notes.append(f"the index is not kept for the next search: {error}")


def _refuse_unless_empty(found: Scan, unreadable: list[str], not_text: list[str]) -> None:
    if not_text:
        raise InputError(
            f"{not_text[0]}: not text in UTF-8, UTF-16 or GB18030, and there is no other file to search. "
            "Give text or Markdown files."
        )
    if unreadable:
        raise InputError(f"{unreadable[0]}, and there is no other file to search. Check its permissions.")


class _Update:
    """One pass over the files: those kept stay, those changed are read, cut and embedded."""

    def __init__(self, kept: Store, encoder: Encoder, progress: Callable[[int], None]) -> None:
        self.unreadable: list[str] = []
        self.embedded = 0
        self._kept = kept
        self._places = {stamp.path: at for at, stamp in enumerate(kept.stamps)}
        self._encoder = encoder
        self._progress = progress
        # Files whose passages stay: where the kept store has them, and their newest stamp.
        self._stay: list[tuple[int, FileStamp]] = []
        self._cut: list[tuple[FileStamp, list[Passage]]] = []

    def run(self, files: Sequence[FoundFile]) -> Store:
        """The kept store if all in it still holds and nothing is new, else one brought up to date."""
        changed = [file for file in files if not self._is_untouched(file)]
        untouched = len(self._stay)
        # The encoder draws the passages while it works on earlier ones, so reading and embedding overlap.
        vectors = self._encoder.encode_document(self._draw_passages(changed))
        self.embedded = len(vectors)
        if untouched == len(self._stay) == len(self._kept.stamps) and not self._cut:
            return self._kept
        parts = [self._kept.part(at, stamp) for at, stamp in self._stay]
        first = 0
        for stamp, passages in self._cut:
            last = first + len(passages)
            parts.append(FilePart.of(stamp, passages, vectors[first:last]))
            first = last
        return Store.join(parts, self._encoder.dim)

    def _is_untouched(self, file: FoundFile) -> bool:
        """Whether the file is kept as it is now; it then stays."""
        at = self._places.get(file.path)
        if at is None:
            return False
        stamp = self._kept.stamps[at]
        if stamp.size != file.size or stamp.mtime_ns != file.mtime_ns:
            return False
        self._stay.append((at, stamp))
        return True

    def _draw_passages(self, files: Sequence[FoundFile]) -> Iterator[str]:
        """The passages of the files whose bytes are new, for the encoder; the rest is noted on the way."""
        for file in files:
            try:
                stamp, text = _read(file.path)
            except FileNotFoundError:
                self.unreadable.append(f"{file.shown}: went away while it was being read")
            except OSError as error:
                self.unreadable.append(f"{file.shown}: {error.strerror or error}")
            else:
                at = self._places.get(file.path)
                if at is not None and self._kept.stamps[at].digest == stamp.digest:
                    self._stay.append((at, stamp))
                else:
                    passages = _cut(file.path, text)
                    self._cut.append((stamp, passages))
                    yield from (passage.in_context for passage in passages)
                    self._progress(len(passages))


def _read(path: str) -> tuple[FileStamp, str]:
    """A file as it is now, and its text; a file that is not text has none."""
    with Path(path).open("rb") as file:
        status = os.fstat(file.fileno())
        read_at = time.time_ns()
        data = file.read()
    is_settled = abs(read_at - status.st_mtime_ns) > _CLOCK_STEP_NS
    try:
        text = decode(data)
        is_text = True
    except InputError:
        text, is_text = "", False
    digest = hashlib.sha256(data).digest()
    mtime_ns = status.st_mtime_ns if is_settled else -1
    return FileStamp(path, status.st_size, mtime_ns, digest, is_text), text


def _cut(path: str, text: str) -> list[Passage]:
    # Imported only when a file is new: a search of unchanged files does not pay for the Markdown parser.
    from yuyi.search.passages import cut_file

    return cut_file(path, text)
