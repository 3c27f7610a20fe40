"""Skip what is done: a stage's output stands while everything that decided it is unchanged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yuyi
from yuyi.artifacts import hash_file, hash_json, publish_file
from yuyi.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_PACKAGE = Path(yuyi.__file__).parent


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
        raise InputError(
            f"{path}: no such file or folder; the recipe names it. Check the path or give --data."
        )
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return hash_json([[str(file.relative_to(path)), hash_file(file)] for file in files])


class Ledger:
    """Which stage outputs of a run folder were made from what."""

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        """Open the ledger of `folder`; `say` is told what runs and what is skipped."""
        self._path = folder / "stages.json"
        self._say = say
        self._keys: dict[str, str] = json.loads(self._path.read_text("utf-8")) if self._path.exists() else {}

    def stage(self, name: str, key: Sequence[Any], output: Path, make: Callable[[], None]) -> str:
        """Hex digest of `output`, which `make` writes unless it stands from a run with the same key."""
        digest = hash_json(list(key))
        if self._keys.get(name) == digest and output.exists():
            self._say(f"{name}: unchanged, kept")
            return hash_input(output)
        self._say(f"{name}: running")
        make()
        self._keys[name] = digest
        with publish_file(self._path) as temporary:
            temporary.write_text(json.dumps(self._keys, indent=2), "utf-8")
        return hash_input(output)
