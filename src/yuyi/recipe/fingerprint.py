"""Skip what is done: a stage's output stands while everything that decided it is unchanged."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from yuyi.artifacts import hash_input, hash_json, publish_file

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path


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
