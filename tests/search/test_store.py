"""A store comes back from disk as it was, and notices every kind of damage."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yuyi.search.query import Passage
from yuyi.search.store import DamagedStore, FilePart, FileStamp, Store

if TYPE_CHECKING:
    from pathlib import Path

PASSAGES = [
    [Passage("护照到期。\n换新的。", ("出入境", "护照"), 3), Passage("签证", (), 9)],
    [],
    [Passage("Install it.", ("Guide",), 1)],
]


def part(name: str, passages: list[Passage], *, is_text: bool = True) -> FilePart:
    stamp = FileStamp(name, 10, 2**62 + 1, bytes(range(32)), is_text)
    vectors = np.full((len(passages), 4), len(name), np.float32)
    return FilePart.of(stamp, passages, vectors)


@pytest.fixture
def store() -> Store:
    names = ["/a/护照.md", "/a/not\udcfftext.md", "/b.md"]
    return Store.join([part(*both) for both in zip(names, PASSAGES, strict=True)], 4)


def read_all(store: Store) -> list[tuple[str, Passage]]:
    return [store.passage(row) for row in range(len(store))]


def test_a_store_comes_back_from_disk(store: Store, tmp_path: Path) -> None:
    store.save(tmp_path / "index.safetensors")
    again = Store.open(tmp_path / "index.safetensors")
    assert again.stamps == store.stamps
    assert read_all(again) == read_all(store)
    assert read_all(again) == [("/a/护照.md", p) for p in PASSAGES[0]] + [("/b.md", PASSAGES[2][0])]
    np.testing.assert_array_equal(again.vectors, store.vectors)


def test_parts_are_taken_out_and_joined_anew(store: Store, tmp_path: Path) -> None:
    store.save(tmp_path / "index.safetensors")
    mapped = Store.open(tmp_path / "index.safetensors")
    newer = mapped.stamps[2]._replace(mtime_ns=5)
    joined = Store.join(
        [mapped.part(2, newer), part("/new.md", [PASSAGES[0][0]]), mapped.part(0, mapped.stamps[0])], 4
    )
    assert [stamp.path for stamp in joined.stamps] == ["/b.md", "/new.md", "/a/护照.md"]
    assert joined.stamps[0].mtime_ns == 5
    assert read_all(joined) == [
        ("/b.md", PASSAGES[2][0]),
        ("/new.md", PASSAGES[0][0]),
        ("/a/护照.md", PASSAGES[0][0]),
        ("/a/护照.md", PASSAGES[0][1]),
    ]
    assert joined.vectors[:, 0].tolist() == [5, 7, 8, 8]


def test_a_store_of_nothing(tmp_path: Path) -> None:
    Store.join([], 4).save(tmp_path / "index.safetensors")
    again = Store.open(tmp_path / "index.safetensors")
    assert (len(again), again.stamps, again.vectors.shape) == (0, [], (0, 4))


def test_every_flipped_byte_and_every_cut_is_noticed(store: Store, tmp_path: Path) -> None:
    place = tmp_path / "index.safetensors"
    store.save(place)
    whole = place.read_bytes()
    expected = read_all(store)
    unnoticed = []
    for at in range(0, len(whole), 3):
        place.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
        try:
            again = Store.open(place)
        except DamagedStore:
            continue
        unnoticed.append(at)
        assert read_all(again) == expected
    # The header names the types too, which are not read from it; every byte of the arrays counts.
    assert max(unnoticed) < 8 + int.from_bytes(whole[:8], "little")
    for length in range(0, len(whole), 7):
        place.write_bytes(whole[:length])
        with pytest.raises(DamagedStore):
            Store.open(place)


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_any_other_file_is_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    place = tmp_path_factory.getbasetemp() / "other.safetensors"
    place.write_bytes(data)
    with pytest.raises(DamagedStore):
        Store.open(place)


def test_a_missing_store_is_no_damage(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Store.open(tmp_path / "nowhere")


# Opens the store named by its argument and saves it again where no file may be longer than 100 bytes.
SAVE_WITHOUT_ROOM = """
import resource, signal, sys
from pathlib import Path
from yuyi.errors import InputError
from yuyi.search.store import Store

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = Store.open(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
try:
    store.save(Path(sys.argv[1]))
except InputError as error:
    sys.exit(str(error))
"""


def test_a_full_disk_leaves_the_old_store(store: Store, tmp_path: Path) -> None:
    place = tmp_path / "index.safetensors"
    store.save(place)
    command = [sys.executable, "-c", SAVE_WITHOUT_ROOM, str(place)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "cannot be written" in done.stderr
    assert read_all(Store.open(place)) == read_all(store)
    assert list(tmp_path.iterdir()) == [place]
