"""The folder of a run: what it began with, its log, its checkpoints, and at the end the model."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yuyi
from yuyi.artifacts import hash_file, publish_file
from yuyi.errors import InputError

if TYPE_CHECKING:
    from yuyi.train.settings import TrainConfig

# Settings that change nothing about the result, and those that are paths.
_FREE = ("checkpoint", "log", "license", "languages", "path", "folder", "documents")


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Where everything of a run lies.

    Attributes:
        path: the folder.
        name: of the model.
    """

    path: Path
    name: str

    @property
    def model(self) -> Path:
        """The finished model."""
        return self.path / self.name

    @property
    def start(self) -> Path:
        """The model that training begins with."""
        return self.path / "start"

    @property
    def checkpoint(self) -> Path:
        """The state to go on from."""
        return self.path / "checkpoint.safetensors"

    @property
    def log(self) -> Path:
        """A line of JSON every few steps."""
        return self.path / "training.jsonl"

    @property
    def facts(self) -> Path:
        """What the run was begun with."""
        return self.path / "run.json"

    def check(self, resume: bool) -> None:
        """Refuse to train over what is there.

        Raises:
            InputError: a run is there, finished or not, and `resume` does not say to go on with it; or it is
                to go on and there is none.
        """
        if self.model.exists() and not resume:
            raise InputError(
                f"{self.path}: this run is finished; its model is {self.model}. Choose another place with "
                "--out to train again."
            )
        if self.facts.exists() and not resume:
            raise InputError(
                f"{self.path}: an unfinished run is there. Go on with it by --resume, or choose another "
                "place with --out."
            )
        if resume and not self.facts.exists():
            raise InputError(f"{self.path}: no run to go on with is there. Leave out --resume to begin one.")

    def make(self) -> None:
        """Make the folder.

        Raises:
            InputError: the place cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"{self.path}: cannot be a folder ({error.strerror}). Choose another place with --out."
            ) from error

    def begin(self, facts: dict[str, Any]) -> None:
        """Write down what the run is begun with, which makes the folder one to resume.

        Raises:
            InputError: the place cannot be written.
        """
        with publish_file(self.facts) as temporary:
            temporary.write_text(json.dumps(facts, ensure_ascii=False, indent=1), "utf-8")

    def compare(self, facts: dict[str, Any]) -> None:
        """Refuse to go on with a run that was begun otherwise.

        Raises:
            InputError: a setting, a file, or the number of processes is another; the message names it.
        """
        try:
            begun = json.loads(self.facts.read_bytes())
        except ValueError as error:
            raise InputError(f"{self.facts}: damaged ({error}). Choose another place with --out.") from error
        if begun["ranks"] != facts["ranks"]:
            raise InputError(
                f"{self.path}: this run was begun with {begun['ranks']} processes, and there are "
                f"{facts['ranks']}. Start as many, or begin another with --out."
            )
        for part in ("settings", "files"):
            key, old, new = _difference(begun[part], facts[part], part)
            if key:
                key = key.removeprefix("settings.")
                raise InputError(
                    f"{self.path}: this run was begun with another {key} ({_short(old)}, now {_short(new)}). "
                    "Put it back, or begin another with --out."
                )


def run_facts(config: TrainConfig, ranks: int) -> dict[str, Any]:
    """What decides a run: settings, the bytes of the files that it reads, and the number of processes.

    Raises:
        InputError: a file is missing.
    """
    read = [*(entry.path for entry in config.data), *config.documents]
    for path in read:
        if not Path(path).is_file():
            raise InputError(f"{path}: no such file. Check the path; it is relative to that of the settings.")
    return {
        "yuyi": yuyi.__version__,
        "settings": _settings(json.loads(json.dumps(asdict(config)))),
        "files": [f"{Path(path).name}: {hash_file(Path(path))}" for path in read],
        "ranks": ranks,
    }


def _settings(tree: Any) -> Any:
    """The settings without those that change nothing, and without paths, which may be written otherwise."""
    if isinstance(tree, list):
        return [_settings(each) for each in tree]
    if not isinstance(tree, dict):
        return tree
    return {key: _settings(value) for key, value in tree.items() if key not in _FREE}


def _difference(old: Any, new: Any, where: str) -> tuple[str, Any, Any]:
    """The dotted key of the first value that differs, with both values; empty where none does."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in (*old, *(key for key in new if key not in old)):
            found = _difference(old.get(key), new.get(key), f"{where}.{key}")
            if found[0]:
                return found
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for number, pair in enumerate(zip(old, new, strict=True)):
            found = _difference(*pair, f"{where}.{number}")
            if found[0]:
                return found
    elif old != new:
        return where, old, new
    return "", None, None


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."
